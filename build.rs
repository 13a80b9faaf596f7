//! Reads the rule files for the program to embed: every YAML file in `src/scan/rules`, by name. Names the reader: a hash of all sources that
//! decide what a blob comes to, so that no result outlives the code that it came from.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::scan::rule_text::read_file;

/// How rules are read is the program's own matter, and the same for those that a user adds.
#[allow(dead_code, unreachable_pub, reason = "the program uses more of it")]
#[path = "src/scan"]
mod scan {
    pub mod guard;
    pub mod rule_text;
    pub mod severity;
    pub mod validation;
}

/// The rooms that read bytes and recognise own bait.
const READER: [&str; 6] = ["src/oci", "src/secret", "src/image", "src/scan", "src/bait", "Cargo.lock"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    read_rules(&root.join("src/scan/rules"))?;
    let mut hasher = DefaultHasher::new();
    for part in READER {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
        hash(&root, &root.join(part), &mut hasher)?;
    }
    println!("cargo::rustc-env=HONEYCRATE_READER={:016x}", hasher.finish());
    Ok(())
}

/// Names and contents of a file, or of everything in a folder.
fn hash(root: &Path, path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    if path.is_dir() {
        let mut inside: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        inside.sort();
        return inside.iter().try_for_each(|path| hash(root, path, hasher));
    }
    let name = path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes();
    for part in [name, &fs::read(path)?] {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    Ok(())
}

fn read_rules(folder: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut rules = Vec::new();
    for path in files {
        // Whether its checks exist is for the tests to say, which know them.
        let read = read_file(&path.display().to_string(), &fs::read_to_string(&path)?, &|_| true);
        rules.extend(read.map_err(|problems| io::Error::other(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?);
    }
    let target = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("rules.json");
    fs::write(target, serde_json::to_vec(&rules)?)
}
