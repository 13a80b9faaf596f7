//! Whose policy holds: for a stranger's change, that of the branch that the change goes to, not that of the stranger's tree.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::cli::args::Global;
use crate::cli::diagnose::Failure;
use crate::cli::scratch::Scratch;
use crate::cli::setup::{Setup, here};
use crate::config::resolve::{EXCEPTIONS_FILE, Overrides};
use crate::forge::contract::Forge;
use crate::report::escape::line;
use crate::report::run_report::Notice;
use crate::source::git::Repository;

/// The largest file of a policy that is read.
const MAX_BYTES: usize = 4 << 20;
/// The most files of one folder of rules.
const MAX_FILES: usize = 1_000;

/// The settings of a step. Where the change is a stranger's, the configuration, exceptions, baseline, ignore files and rules that lie in the tree are
/// taken as the base commit has them, in a folder that lasts as long as the second of what is returned; where that cannot be had, the built-in
/// policy holds, and the third says so.
///
/// # Errors
/// With every problem of the configuration, or where the base lacks a file that is named.
pub async fn setup(global: &Global, wishes: Overrides) -> Result<(Setup, Option<Scratch>, Vec<Notice>), Failure> {
    let plain = |overrides: Overrides, directory: &Path| Setup::with(global, overrides, directory);
    // Without any file, for the way to the forge.
    let bare = plain(Overrides { config: Some("/dev/null".into()), ..Overrides::default() }, Path::new("/"))?;
    if bare.ci.trusted() {
        return Ok((plain(wishes, &here())?, None, Vec::new()));
    }
    let unwritable = |cause: io::Error| Failure::usage(format!("cannot use {}: {cause}", bare.settings.scratch.display()), "point TMPDIR elsewhere");
    let scratch = Scratch::new("honeycrate-policy-", &bare.settings.scratch).map_err(unwritable)?;
    let mut base = Base {
        tree: tree_of(&here()),
        folder: scratch.path().to_owned(),
        commit: bare.ci.base.clone(),
        forge: bare.forge().ok().flatten(),
        brought: BTreeSet::new(),
        missing: None,
    };
    let named = global.config.clone().or_else(|| bare.config_variable()).unwrap_or_else(|| "honeycrate.yaml".into());
    let config = base.bring(&here().join(named)).await.map_err(unwritable)?;
    base.bring(&here().join(&config.typed).with_file_name(EXCEPTIONS_FILE)).await.map_err(unwritable)?;
    let mut wishes = wishes;
    for path in wishes.baseline.iter_mut().chain(&mut wishes.ignore_files).chain(&mut wishes.rules) {
        *path = base.bring(&here().join(&*path)).await.map_err(unwritable)?.path;
    }
    let is_default = global.config.is_none() && bare.config_variable().is_none();
    let setup = if is_default && !config.path.exists() {
        plain(Overrides { config: Some("/dev/null".into()), ..wishes }, scratch.path())?
    } else {
        plain(Overrides { config: Some(config.path), ..wishes }, scratch.path())?
    };
    let files = setup.settings.baseline.iter().chain(&setup.settings.ignore_files).chain(&setup.settings.rules);
    for path in files {
        if let Ok(below) = path.strip_prefix(scratch.path()) {
            let typed = base.tree.join(below);
            base.bring(&typed).await.map_err(unwritable)?;
        }
    }
    let notices = match base.missing {
        Some(why) => {
            let text = format!("the built-in policy holds: the change is a stranger's, and the base branch's cannot be read ({})", line(&why));
            anstream::eprintln!("warning: {text}");
            vec![Notice { text, confidential: false }]
        }
        None => Vec::new(),
    };
    Ok((setup, Some(scratch), notices))
}

/// The tree as the branch has it that the change goes to.
struct Base {
    /// The stranger's work tree.
    tree: PathBuf,
    /// Where the files are put, each under its path in the tree.
    folder: PathBuf,
    commit: Option<String>,
    forge: Option<Arc<dyn Forge>>,
    brought: BTreeSet<PathBuf>,
    /// Why nothing can be had.
    missing: Option<String>,
}

/// A file of the policy.
struct Brought {
    /// As it was named, made absolute.
    typed: PathBuf,
    /// Where it is to be read: what lies outside of the tree is not the stranger's, and stays there.
    path: PathBuf,
}

impl Base {
    /// Puts a file, or the files of a folder, where they can be read. What the base does not have is not there.
    async fn bring(&mut self, typed: &Path) -> io::Result<Brought> {
        let typed = lexical(typed);
        let Ok(below) = typed.strip_prefix(&self.tree).map(Path::to_owned) else { return Ok(Brought { path: typed.clone(), typed }) };
        let path = self.folder.join(&below);
        if self.brought.insert(below.clone()) {
            for (name, bytes) in self.files(&below).await {
                let place = self.folder.join(name);
                std::fs::create_dir_all(place.parent().unwrap_or(&self.folder))?;
                std::fs::write(place, bytes)?;
            }
        }
        Ok(Brought { typed, path })
    }

    /// What the base commit has at a path: from the clone, or else from the forge.
    async fn files(&mut self, below: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let Some(commit) = self.commit.clone() else {
            self.missing.get_or_insert_with(|| "the event names no base commit".to_owned());
            return Vec::new();
        };
        let name = below.display().to_string();
        let clone = Repository::at(&self.tree);
        match clone.files_at(&commit, &name, MAX_FILES, MAX_BYTES) {
            Ok(files) => files.into_iter().map(|(path, bytes)| (path.into(), bytes)).collect(),
            Err(of_clone) => match &self.forge {
                Some(forge) => match forge.file_at(&commit, &name, MAX_BYTES).await {
                    Ok(file) => file.map(|bytes| (below.to_owned(), bytes)).into_iter().collect(),
                    Err(error) => {
                        self.missing.get_or_insert_with(|| format!("{error}; in the clone: {of_clone}"));
                        Vec::new()
                    }
                },
                None => {
                    self.missing.get_or_insert_with(|| of_clone.to_string());
                    Vec::new()
                }
            },
        }
    }
}

/// The work tree that a folder lies in; the folder itself, where it is in none.
fn tree_of(folder: &Path) -> PathBuf {
    folder.ancestors().find(|above| above.join(".git").exists()).unwrap_or(folder).to_owned()
}

/// A path without `.` and `..`, as it reads.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = clean.pop(),
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for (written, read) in [("/a/./b/../c", "/a/c"), ("/a/../../b", "/b"), ("/a", "/a")] {
            assert_eq!(lexical(Path::new(written)), Path::new(read));
        }
    }
}
