//! Scans a directory, a file or a stream: what there is before an image is built.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::scan::found::Recognise;
use crate::scan::image_scan::ScanOptions;
use crate::scan::rule_set::RuleSet;
use crate::scan::stream_scan::{FileScan, StreamScanner, gather, share_out};

/// Scans a file, or a directory with all below it. Symbolic links are not followed. The objects of
/// a repository are read as well: whoever gets the folder gets its history.
///
/// # Errors
/// When `target` itself cannot be read. What cannot be read below it is named in the coverage.
pub fn scan_path(target: &Path, rules: &RuleSet, recognise: &Recognise<'_>, options: &ScanOptions) -> io::Result<FileScan> {
    let mut not_scanned = Vec::new();
    let mut files = Vec::new();
    if fs::metadata(target)?.is_dir() {
        walk(target, &mut files, &mut not_scanned)?;
    } else {
        files.push(target.to_owned());
    }
    let parts = share_out(&files, options.threads, &|files| {
        let mut scanner = StreamScanner::new(rules, recognise, options);
        for path in files {
            let shown = shown_name(target, path);
            let read = File::open(path).and_then(|file| scanner.scan(&shown, None, &mut BufReader::with_capacity(64 << 10, file)));
            if let Err(error) = read {
                scanner.not_scanned(format!("{shown}: {error}"));
            }
        }
        scanner.finish()
    });
    Ok(gather(parts, not_scanned, rules, options))
}

/// Scans a stream; `name` is what findings call it.
///
/// # Errors
/// When the stream cannot be read.
pub fn scan_reader(name: &str, data: &mut dyn BufRead, rules: &RuleSet, recognise: &Recognise<'_>, options: &ScanOptions) -> io::Result<FileScan> {
    let mut scanner = StreamScanner::new(rules, recognise, options);
    scanner.scan(name, None, data)?;
    Ok(gather(vec![scanner.finish()], Vec::new(), rules, options))
}

/// Collects all regular files below a directory, in order. Directories wait in a list: depth costs no stack.
fn walk(top: &Path, files: &mut Vec<PathBuf>, not_scanned: &mut Vec<String>) -> io::Result<()> {
    let mut waiting = vec![top.to_owned()];
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if directory == top => return Err(error),
            Err(error) => {
                not_scanned.push(format!("{}: {error}", shown_name(top, &directory)));
                continue;
            }
        };
        for entry in entries {
            let (path, kind) = match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok(found) => found,
                Err(error) => {
                    not_scanned.push(format!("{}: {error}", shown_name(top, &directory)));
                    continue;
                }
            };
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(())
}

fn shown_name(top: &Path, path: &Path) -> String {
    let below = path.strip_prefix(top).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::limits::Limits;

    fn options() -> ScanOptions {
        ScanOptions { now: 0, threads: 2, limits: Limits::default(), fingerprint_key: None }
    }

    #[test]
    fn a_directory_is_scanned_but_for_links() {
        let top = tempfile::tempdir().expect("a scratch directory");
        let token = &RuleSet::builtin().get("npm-access-token").expect("a rule").examples[0];
        for path in ["a/.npmrc", ".git/config", ".git/objects/ab/cd", "objects/kept"] {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, token).expect("written");
        }
        std::os::unix::fs::symlink("a/.npmrc", top.path().join("link")).expect("linked");
        let scan = scan_path(top.path(), RuleSet::builtin(), &|_| None, &options()).expect("readable");
        assert_eq!((scan.coverage.files, scan.findings.len(), scan.findings[0].also_in), (4, 1, 3));
        let others: Vec<_> = scan.findings[0].places.iter().map(|place| (place.path.as_deref().unwrap_or_default(), place.line)).collect();
        assert_eq!(others, [(".git/objects/ab/cd", Some(1)), ("a/.npmrc", Some(1)), ("objects/kept", Some(1))]);
        let one = scan_path(&top.path().join("a/.npmrc"), RuleSet::builtin(), &|found| Some(found.fingerprint()), &options()).expect("readable");
        assert_eq!((one.findings.len(), one.own_bait.len()), (0, 1));
        assert!(scan_path(&top.path().join("missing"), RuleSet::builtin(), &|_| None, &options()).is_err());
    }

    #[test]
    fn a_stream_has_the_name_that_it_is_given() {
        let token = &RuleSet::builtin().get("npm-access-token").expect("a rule").examples[0];
        let scan = scan_reader("stdin", &mut token.as_bytes(), RuleSet::builtin(), &|_| None, &options()).expect("readable");
        assert_eq!(scan.findings[0].path.as_deref(), Some("stdin"));
    }
}
