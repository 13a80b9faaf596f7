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
use crate::forge::error::ForgeError;
use crate::report::escape::line;
use crate::report::run_report::Notice;
use crate::source::git::Repository;

/// The largest file of a policy that is read.
const MAX_BYTES: usize = 4 << 20;
/// The most files of one folder of rules.
const MAX_FILES: usize = 1_000;

/// The settings of a step. Where the change is a stranger's, the configuration, exceptions, baseline, ignore files, rules and certificates that lie in the tree are
/// taken as the base commit has them, in a folder that lasts as long as the second of what is returned. Where the event names no base commit, the
/// built-in policy holds, and the third says so.
///
/// # Errors
/// With every problem of the configuration; where the base cannot be read, whose policy may be stricter than the built-in one; and where a file
/// that is named lies in the stranger's tree by a way around the base.
pub async fn setup(global: &Global, wishes: Overrides) -> Result<(Setup, Option<Scratch>, Vec<Notice>), Failure> {
    let plain = |overrides: Overrides, directory: &Path| Setup::with(global, overrides, directory);
    let without_file = || Some(PathBuf::from("/dev/null"));
    // Without any file, for the way to the forge.
    let bare = Setup::with(global, Overrides { config: without_file(), ..Overrides::default() }, Path::new("/"))?;
    if bare.ci.trusted() {
        return Ok((plain(wishes, &here())?, None, Vec::new()));
    }
    let unwritable = |cause: io::Error| Failure::usage(format!("cannot use {}: {cause}", bare.settings.scratch.display()), "point TMPDIR elsewhere");
    let scratch = Scratch::new("honeycrate-policy-", &bare.settings.scratch).map_err(unwritable)?;
    let (here, trees) = bare.trees();
    let mut base = Base {
        tree: tree_of(&here),
        trees: trees.iter().chain([&tree_of(&here)]).filter_map(|tree| tree.canonicalize().ok()).collect(),
        folder: scratch.path().to_owned(),
        commit: bare.ci.base.clone(),
        forge: None,
        brought: BTreeSet::new(),
    };
    let mut wishes = wishes;
    // Whom to trust is part of the policy, and the way to the forge may need it.
    if let Some(named) = wishes.ca_file.take().or_else(|| bare.ca_file_variable()) {
        wishes.ca_file = Some(base.bring(&here.join(named), Kind::File).await?.path);
    }
    let way = Overrides { config: without_file(), ca_file: wishes.ca_file.clone(), ..Overrides::default() };
    base.forge = Setup::with(global, way, Path::new("/"))?.forge().ok().flatten();
    let named = global.config.clone().or_else(|| bare.config_variable());
    let is_default = named.is_none();
    let config = base.bring(&here.join(named.unwrap_or_else(|| "honeycrate.yaml".into())), Kind::File).await?;
    base.bring(&config.typed.with_file_name(EXCEPTIONS_FILE), Kind::File).await?;
    let files = wishes.baseline.iter_mut().chain(&mut wishes.ignore_files).map(|path| (path, Kind::File));
    for (path, kind) in files.chain(wishes.rules.iter_mut().map(|path| (path, Kind::FileOrFolder))) {
        *path = base.bring(&here.join(&*path), kind).await?.path;
    }
    let directory = here.strip_prefix(&base.tree).map_or_else(|_| scratch.path().to_owned(), |below| scratch.path().join(below));
    let file = if is_default && !config.path.exists() { without_file() } else { Some(config.path) };
    let setup = plain(Overrides { config: file, ..wishes }, &directory)?;
    let settings = &setup.settings;
    let files = settings.baseline.iter().chain(&settings.ignore_files).chain(&settings.registry.ca_file).map(|path| (path, Kind::File));
    for (path, kind) in files.chain(settings.rules.iter().map(|path| (path, Kind::FileOrFolder))) {
        let named = path.strip_prefix(scratch.path()).map_or_else(|_| path.clone(), |below| base.tree.join(below));
        // One that the configuration names from the root, and that lies in the tree, would be read there.
        if base.bring(&named, kind).await?.path != lexical(path) {
            return Err(of_a_stranger(path));
        }
    }
    let notices = if base.commit.is_some() {
        Vec::new()
    } else {
        let text = "the built-in policy holds: the change is a stranger's, and the event names no commit whose policy would".to_owned();
        anstream::eprintln!("warning: {text}");
        vec![Notice { text, confidential: false }]
    };
    Ok((setup, Some(scratch), notices))
}

/// The tree as the branch has it that the change goes to.
struct Base {
    /// The stranger's work tree.
    tree: PathBuf,
    /// Every folder that a stranger's files lie in, links resolved.
    trees: Vec<PathBuf>,
    /// Where the files are put, each under its path in the tree.
    folder: PathBuf,
    commit: Option<String>,
    forge: Option<Arc<dyn Forge>>,
    brought: BTreeSet<PathBuf>,
}

/// What may lie at a path of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    FileOrFolder,
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
    async fn bring(&mut self, typed: &Path, kind: Kind) -> Result<Brought, Failure> {
        let typed = lexical(typed);
        let Ok(below) = typed.strip_prefix(&self.tree).map(Path::to_owned) else {
            let real = typed.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or_default();
            if self.trees.iter().any(|tree| real.starts_with(tree)) {
                return Err(of_a_stranger(&typed));
            }
            return Ok(Brought { path: typed.clone(), typed });
        };
        let path = self.folder.join(&below);
        if self.brought.insert(below.clone()) {
            let unwritable = |cause: io::Error| Failure::usage(format!("cannot write {}: {cause}", path.display()), "point TMPDIR elsewhere");
            for (name, bytes) in self.files(&below, kind).await? {
                let place = self.folder.join(name);
                std::fs::create_dir_all(place.parent().unwrap_or(&self.folder)).map_err(unwritable)?;
                std::fs::write(place, bytes).map_err(unwritable)?;
            }
        }
        Ok(Brought { typed, path })
    }

    /// What the base commit has at a path: from the clone, or else from the forge.
    async fn files(&self, below: &Path, kind: Kind) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
        let Some(commit) = &self.commit else { return Ok(Vec::new()) };
        let name = below.display().to_string();
        let of_clone = match Repository::at(&self.tree).files_at(commit, &name, MAX_FILES, MAX_BYTES) {
            Ok(files) => return Ok(files.into_iter().map(|(path, bytes)| (path.into(), bytes)).collect()),
            Err(error) => error,
        };
        let of_forge = match &self.forge {
            Some(forge) => match of_forge(forge.as_ref(), commit, &name, kind).await {
                Ok(files) => return Ok(files.into_iter().map(|(path, bytes)| (path.into(), bytes)).collect()),
                Err(error) => format!("; {error}"),
            },
            None => String::new(),
        };
        Err(Failure::usage(
            format!("the base branch's {} cannot be read, and the change is a stranger's: {}{of_forge}", line(&name), line(&of_clone.to_string())),
            "fetch the base commit (fetch-depth: 0, or GIT_DEPTH: 0), or let the job's token read the repository's contents",
        ))
    }
}

fn of_a_stranger(path: &Path) -> Failure {
    Failure::usage(
        format!("{} lies in the tree of the change, which is a stranger's", line(&path.display().to_string())),
        "name it by a path relative to the checkout, and the base branch's is taken",
    )
}

/// What the forge has at a path of a commit.
async fn of_forge(forge: &dyn Forge, commit: &str, path: &str, kind: Kind) -> Result<Vec<(String, Vec<u8>)>, ForgeError> {
    let folder = match kind {
        Kind::File => None,
        Kind::FileOrFolder => forge.folder_at(commit, path, MAX_FILES).await?,
    };
    let mut files = Vec::new();
    for path in folder.unwrap_or_else(|| vec![path.to_owned()]) {
        files.extend(forge.file_at(commit, &path, MAX_BYTES).await?.map(|bytes| (path, bytes)));
    }
    Ok(files)
}

/// The work tree that a folder lies in; the folder itself, where it is in none. A submodule, which a stranger may have put there, is none.
fn tree_of(folder: &Path) -> PathBuf {
    let with = |is: fn(&Path) -> bool| folder.ancestors().find(|above| is(&above.join(".git")));
    with(Path::is_dir).or_else(|| with(Path::exists)).unwrap_or(folder).to_owned()
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
