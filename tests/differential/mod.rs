//! Our tar reader beside Python's, GNU's and Go's: they agree on every archive, or ours refuses it.
//!
//! Five thousand archives: `.ci/hostile`. Every ordinary run takes some hundred.

mod generator;
mod merged;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use honeycrate::image::entry::EntryKind;
use honeycrate::image::limits::Limits;
use honeycrate::image::tar::TarWalker;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::common::command::must;

const SOME: u64 = 400;
const ALL: u64 = 5_000;

/// One entry, as far as all readers tell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Member {
    /// Cleaned: below the root, without empty parts and dots.
    name: Vec<u8>,
    kind: String,
    /// Of files with holes: as they are read. Ours tells what is stored.
    size: u64,
    /// Of the data without its zeros.
    hash: String,
    link: Vec<u8>,
}

/// What one reader makes of an archive.
#[derive(Debug, Clone)]
enum Reading {
    Members(Vec<Member>),
    Refused(String),
}

#[derive(Deserialize)]
struct Told {
    members: Vec<ToldMember>,
    error: String,
}

#[derive(Deserialize)]
struct ToldMember {
    name: String,
    kind: String,
    size: u64,
    hash: String,
    link: String,
}

/// Our reading, which files have holes, and the bytes of all files without zeros.
struct Ours {
    reading: Reading,
    holes: Vec<bool>,
    together: String,
}

#[test]
fn readers_agree_on_generated_archives_or_ours_refuses_them() {
    compare(0..SOME);
}

#[test]
#[ignore = "five thousand archives: `.ci/hostile` runs it"]
fn readers_agree_on_five_thousand_generated_archives_or_ours_refuses_them() {
    compare(0..ALL);
}

#[expect(clippy::print_stdout, reason = "the table is for people who ask for it")]
fn compare(seeds: std::ops::Range<u64>) {
    let folder = tempdir().expect("scratch");
    let archives: Vec<(PathBuf, Vec<u8>)> = seeds
        .map(|seed| {
            let path = folder.path().join(format!("{seed}.tar"));
            let bytes = generator::archive(seed);
            std::fs::write(&path, &bytes).expect("scratch");
            (path, bytes)
        })
        .collect();
    let paths: Vec<&Path> = archives.iter().map(|(path, _)| path.as_path()).collect();
    let peers = peers(folder.path(), &paths);
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut wrong, mut refused) = (Vec::new(), BTreeMap::<String, usize>::new());
    for (number, (path, bytes)) in archives.iter().enumerate() {
        let ours = read(bytes);
        if let Reading::Refused(why) = &ours.reading {
            let why = why.split(" (at byte").next().unwrap_or(why).replace(|c: char| c.is_ascii_digit(), "#");
            *refused.entry(why).or_default() += 1;
        }
        for (peer, readings) in &peers {
            let outcome = match (&ours.reading, &readings[number]) {
                (Reading::Members(_), Reading::Members(theirs)) if agree(&ours, theirs, *peer == "GNU tar") => "agree",
                (Reading::Members(mine), Reading::Members(theirs)) => {
                    wrong.push(format!("{} and {peer}:\n ours {}\n theirs {}", path.display(), shown(mine), shown(theirs)));
                    "silent difference"
                }
                (Reading::Members(_), Reading::Refused(_)) => "refused by it alone",
                (Reading::Refused(_), Reading::Members(_)) => "refused by ours alone",
                (Reading::Refused(_), Reading::Refused(_)) => "refused by both",
            };
            *table.entry((peer, outcome)).or_default() += 1;
        }
    }
    println!("{} archives", archives.len());
    for ((peer, outcome), count) in &table {
        println!("  {peer:>10}  {outcome:<22} {count:>5}");
    }
    for (why, count) in &refused {
        println!("  ours refuses {count:>5}: {why}");
    }
    let few: Vec<String> = wrong.iter().take(20).cloned().collect();
    if !wrong.is_empty() {
        let _ = folder.keep();
    }
    assert!(wrong.is_empty(), "{} silent differences\n{}", wrong.len(), few.join("\n"));
    let agreed = table.iter().filter(|((_, outcome), _)| *outcome == "agree").map(|(_, count)| count).sum::<usize>();
    assert!(agreed > archives.len(), "they agree on too few to say anything: {agreed}");
}

/// GNU tar tells the data of all files together, and writes those with holes to a pipe in a way of its own.
fn agree(ours: &Ours, theirs: &[Member], together: bool) -> bool {
    let Reading::Members(mine) = &ours.reading else { return false };
    mine.len() == theirs.len()
        && mine.iter().zip(theirs).zip(&ours.holes).all(|((mine, other), &has_holes)| {
            let sizes = mine.size == other.size || (has_holes && mine.size < other.size);
            let hash = if together { &ours.together } else { &mine.hash };
            (&mine.name, &mine.kind, &mine.link) == (&other.name, &other.kind, &other.link)
                && sizes
                && (mine.kind != "file" || *hash == other.hash || (together && (other.hash.is_empty() || ours.holes.contains(&true))))
        })
}

fn read(bytes: &[u8]) -> Ours {
    let limits = Limits::default();
    let mut walker = TarWalker::new(bytes, "the archive", &limits);
    let (mut members, mut holes, mut together) = (Vec::new(), Vec::new(), Sha256::new());
    loop {
        let entry = match walker.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => return Ours { reading: Reading::Refused(error.to_string()), holes, together: String::new() },
        };
        let mut data = Vec::new();
        if let Err(error) = std::io::Read::read_to_end(&mut walker.data(), &mut data) {
            return Ours { reading: Reading::Refused(error.to_string()), holes, together: String::new() };
        }
        let kind = match entry.kind {
            EntryKind::File => "file",
            EntryKind::Directory => "directory",
            EntryKind::Symlink => "symlink",
            EntryKind::Hardlink => "hardlink",
            EntryKind::Special => "special",
        };
        let size = data.len() as u64;
        data.retain(|&byte| byte != 0);
        together.update(&data);
        holes.push(walker.is_sparse());
        members.push(Member { name: entry.path, kind: kind.to_owned(), size, hash: hex(Sha256::digest(&data)), link: entry.link });
    }
    Ours { reading: Reading::Members(members), holes, together: hex(together.finalize()) }
}

fn hex(hash: impl AsRef<[u8]>) -> String {
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What each of the others makes of each archive.
fn peers(folder: &Path, paths: &[&Path]) -> Vec<(&'static str, Vec<Reading>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let go = folder.join("tar_list");
    let compiler = if Path::new("/usr/local/go/bin/go").exists() { "/usr/local/go/bin/go" } else { "go" };
    must(
        Command::new(compiler)
            .args(["build", "-o"])
            .arg(&go)
            .arg(here.join("tar_list.go"))
            .env("GOCACHE", folder.join("cache"))
            .env("GO111MODULE", "off"),
    );
    let script = here.join("tar_list.py");
    let run = |name: &'static str, command: &mut Command| (name, tell(command, paths));
    vec![
        run("Go", &mut Command::new(go)),
        run("GNU tar", Command::new("python3").arg(&script).arg("gnu").env("PYTHONUTF8", "1")),
        run("Python", Command::new("python3").arg(&script).arg("python").env("PYTHONUTF8", "1")),
    ]
}

fn tell(command: &mut Command, paths: &[&Path]) -> Vec<Reading> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).expect("it listens"));
    let output = child.wait_with_output().expect("it was started");
    writer.join().expect("writing does not panic");
    let told =
        std::str::from_utf8(&output.stdout).expect("JSON is UTF-8").lines().map(|line| reading(serde_json::from_str(line).expect("a listing")));
    let readings: Vec<Reading> = told.collect();
    assert_eq!(readings.len(), paths.len(), "{command:?} stopped");
    readings
}

fn reading(told: Told) -> Reading {
    if !told.error.is_empty() {
        return Reading::Refused(told.error);
    }
    let bytes = |text: &str| STANDARD.decode(text).expect("base64");
    let members = told.members.into_iter().map(|ToldMember { name, kind, size, hash, link }| {
        let link = match kind.as_str() {
            "symlink" => bytes(&link),
            "hardlink" => clean(&bytes(&link)),
            _ => Vec::new(),
        };
        Member { name: clean(&bytes(&name)), kind, size, hash, link }
    });
    Reading::Members(members.collect())
}

/// A name as ours tells it.
fn clean(name: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"." | b"..")).collect();
    parts.join(&b'/')
}

fn shown(members: &[Member]) -> String {
    let one = |member: &Member| {
        format!("[{} {} {} {} -> {}]", member.kind, member.name.escape_ascii(), member.size, &member.hash[..6], member.link.escape_ascii())
    };
    members.iter().map(one).collect()
}
