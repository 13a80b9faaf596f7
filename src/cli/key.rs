//! `honeycrate key`: the owner's key, made by the system's generator.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::cli::args::{Global, Key};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::pipeline::memory::random;
use crate::secret::key_ring::{KeyRing, MAX_EPOCH};

/// Runs one of the key commands.
///
/// # Errors
/// When a key exists already, or cannot be written.
pub fn key(command: &Key, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    match command {
        Key::New { print: true } => anstream::print!("{}", KeyRing::new(random()).to_text().as_str()),
        Key::New { print: false } => {
            let path = setup.key_file()?;
            create(&path)?;
            anstream::println!("made the owner's key {}", path.display());
            anstream::println!("keep a copy where CI secrets are kept (HONEYCRATE_KEY): without it no trigger can be traced");
        }
        Key::Rotate => {
            let path = setup.key_file()?;
            if setup.settings.key.is_some() {
                return Err(Failure::usage("the key comes from HONEYCRATE_KEY, which cannot be rewritten here", "unset it, or rotate the key file"));
            }
            let ring = setup.keys()?.rotated(random());
            let ring = ring.ok_or_else(|| Failure::usage(format!("all {MAX_EPOCH} epochs are used"), "make a new key in another file"))?;
            replace(&path, &ring)?;
            anstream::println!("epoch {} begins: new tokens are sealed under a new key, older ones stay recognisable", ring.newest().epoch());
        }
    }
    Ok(Exit::Passed)
}

/// Makes a key file that only its owner can read. An existing one is never touched.
///
/// # Errors
/// When there is one already, or it cannot be written.
pub fn create(path: &Path) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::AlreadyExists => Failure::usage(
            format!("there is a key already: {}", path.display()),
            "it seals every token planted so far and is not overwritten; `honeycrate key rotate` begins a new epoch",
        ),
        _ => Failure::usage(format!("cannot write {}: {cause}", path.display()), "choose another place with --key-file"),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(KeyRing::new(random()).to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Replaces a key file whole: a reader meets the old ring or the new one.
fn replace(path: &Path, ring: &KeyRing) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| Failure::usage(format!("cannot write {}: {cause}", path.display()), "check that its folder may be written");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Temporary files are made readable by their owner only.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(ring.to_text().as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
