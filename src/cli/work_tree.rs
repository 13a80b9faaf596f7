//! What the git work tree around us says, read without running git.

use std::path::{Path, PathBuf};

use crate::forge::ci::GitFacts;

/// The commit that is checked out and the remote `origin`, as far as they can be read.
#[must_use]
pub fn facts(directory: &Path) -> GitFacts {
    let Some(git) = git_directory(directory) else { return GitFacts::default() };
    GitFacts { commit: commit(&git), remote: remote(&git) }
}

fn git_directory(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().map(|folder| folder.join(".git")).find(|git| git.join("HEAD").exists())
}

fn commit(git: &Path) -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(git.join(path)).ok();
    let head = read("HEAD")?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    if name.contains("..") {
        return None;
    }
    let loose = read(name).map(|text| text.trim().to_owned());
    let packed =
        || read("packed-refs")?.lines().find_map(|line| line.split_once(' ').filter(|(_, other)| *other == name).map(|(hash, _)| hash.to_owned()));
    loose.or_else(packed)
}

fn remote(git: &Path) -> Option<String> {
    let text = std::fs::read_to_string(git.join("config")).ok()?;
    let origin = text.split_once("[remote \"origin\"]")?.1;
    let section = origin.split("\n[").next()?;
    section.lines().find_map(|line| line.trim().strip_prefix("url = ")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_and_remote_are_read_from_loose_and_packed_files() {
        let folder = tempfile::tempdir().expect("scratch");
        let git = folder.path().join(".git");
        std::fs::create_dir_all(git.join("refs/heads")).expect("created");
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").expect("written");
        std::fs::write(git.join("packed-refs"), "# pack\n4f2a refs/heads/main\n").expect("written");
        std::fs::write(git.join("config"), "[core]\n[remote \"origin\"]\n\turl = https://github.com/acme/shop.git\n[x]\n").expect("written");
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).expect("created");
        assert_eq!(facts(&below).commit.as_deref(), Some("4f2a"));
        assert_eq!(facts(&below).remote.as_deref(), Some("https://github.com/acme/shop.git"));
        std::fs::write(git.join("refs/heads/main"), "9999\n").expect("written");
        assert_eq!(facts(&below).commit.as_deref(), Some("9999"));
        assert_eq!(facts(Path::new("/")), GitFacts::default());
    }
}
