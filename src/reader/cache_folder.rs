//! The folder of a cache: small files under hashes as names. Any of them may be missing, damaged or something else than a file.
//!
//! Everything below the folder is reached from its open handle, link by link: whatever is put in the way later leads nowhere else.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

/// The largest file that is read.
pub const MAX_FILE: u64 = 64 << 20;

/// Raised when files of older programs should not even be looked at.
const VERSION: &str = "v1";
/// Its age is that of the last sweep.
const SWEPT: &str = "swept";
/// Before the name of a file that is being written.
const UNFINISHED: &str = ".new-";
/// Seconds after which a use is noted again, the folder is swept again, and an unfinished file is nobody's.
const HOUR: i64 = 3600;

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable { path: PathBuf, cause: io::Error },
    /// An entry of somebody else could not be told from our own.
    #[error("others may use {}, and without the owner's key nobody can tell who wrote what lies there", path.display())]
    Shared { path: PathBuf },
}

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
}

/// A file that a sweep may remove.
struct Kept {
    used: i64,
    size: u64,
    shard: String,
    name: String,
}

impl Folder {
    /// Opens the folder, and makes it, with those above it, for its owner alone. With `private`, it must belong to us and be open to nobody else.
    ///
    /// # Errors
    /// When it cannot be made or opened, or is not private.
    pub fn open(path: &Path, private: bool) -> Result<Self, FolderError> {
        let failed = |cause: io::Error| FolderError::Unusable { path: path.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        if private {
            let stat = rustix::fs::fstat(&root).map_err(|error| failed(error.into()))?;
            if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
                return Err(FolderError::Shared { path: path.to_owned() });
            }
        }
        let handle = open_or_make(&root, VERSION).map_err(|error| failed(error.into()))?;
        Ok(Self { handle })
    }

    /// A file's bytes. What is no file, or too large, is removed. `now`, in seconds since 1970, becomes the time of its last use.
    #[must_use]
    pub fn read(&self, name: &str, now: i64) -> Option<Vec<u8>> {
        let shard = open_folder(&self.handle, shard_of(name)).ok()?;
        // A pipe must not keep us waiting for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&shard, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return None,
            Err(_) => {
                remove(&shard, name);
                return None;
            }
        };
        let stat = rustix::fs::fstat(&file).ok();
        let Some(stat) = stat.filter(|stat| is_file(stat) && size_of(stat) <= MAX_FILE) else {
            remove(&shard, name);
            return None;
        };
        if now.saturating_sub(stat.st_mtime) > HOUR {
            // Without the right to do so the file only looks older than it is.
            let _ = set_age(&file, now);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size_of(&stat)).unwrap_or_default());
        File::from(file).take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Writes a file, whole or not at all. `random` makes the name under which it grows.
    ///
    /// # Errors
    /// When there is no room or no right.
    pub fn write(&self, name: &str, bytes: &[u8], random: u64) -> io::Result<()> {
        if bytes.len() as u64 > MAX_FILE {
            return Ok(());
        }
        let shard = open_or_make(&self.handle, shard_of(name))?;
        let unfinished = format!("{UNFINISHED}{random:016x}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&shard, &unfinished, flags, Mode::RUSR | Mode::WUSR)?);
        // Not synchronised: what a power loss leaves of it is found out when it is read.
        let done = file.write_all(bytes).and_then(|()| Ok(rustix::fs::renameat(&shard, &unfinished, &shard, name)?));
        if done.is_err() {
            remove(&shard, &unfinished);
        }
        done
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        if let Ok(shard) = open_folder(&self.handle, shard_of(name)) {
            remove(&shard, name);
        }
    }

    /// Brings the folder under `cap` bytes: what was not used for the longest time goes first. Does so once an hour, however often it is called.
    pub fn sweep(&self, cap: u64, now: i64) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let swept = rustix::fs::openat(&self.handle, SWEPT, flags | OFlags::EXCL, Mode::RUSR | Mode::WUSR);
        let is_first = swept.is_ok();
        let Ok(swept) = swept.or_else(|_| rustix::fs::openat(&self.handle, SWEPT, flags, Mode::RUSR | Mode::WUSR)) else { return };
        let age = rustix::fs::fstat(&swept).map_or(0, |stat| now.saturating_sub(stat.st_mtime));
        if !is_first && age.abs() < HOUR || set_age(&swept, now).is_err() {
            return;
        }
        let mut kept = self.list(now);
        let mut total: u64 = kept.iter().map(|file| file.size).sum();
        if total <= cap {
            return;
        }
        kept.sort_by_key(|file| file.used);
        for file in kept {
            // A tenth is left free, so that the next sweeps find nothing to do.
            if total <= cap / 10 * 9 {
                break;
            }
            if let Ok(shard) = open_folder(&self.handle, &file.shard) {
                remove(&shard, &file.name);
            }
            total -= file.size;
        }
    }

    /// Every file. Those that somebody left unfinished are removed.
    fn list(&self, now: i64) -> Vec<Kept> {
        let mut kept = Vec::new();
        for shard in (0..=u8::MAX).map(|byte| format!("{byte:02x}")) {
            let Ok(folder) = open_folder(&self.handle, &shard) else { continue };
            for entry in Dir::read_from(&folder).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().to_str() else { continue };
                let Ok(stat) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                if !is_file(&stat) {
                    continue;
                }
                if name.starts_with(UNFINISHED) && now.saturating_sub(stat.st_mtime) > HOUR {
                    remove(&folder, name);
                    continue;
                }
                kept.push(Kept { used: stat.st_mtime, size: size_of(&stat), shard: shard.clone(), name: name.to_owned() });
            }
        }
        kept
    }
}

fn shard_of(name: &str) -> &str {
    name.get(..2).unwrap_or(name)
}

fn open_folder(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn open_or_make(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    match open_folder(parent, name) {
        Err(Errno::NOENT) => {
            match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            open_folder(parent, name)
        }
        other => other,
    }
}

/// Whatever it is: a file, a link, a pipe, an empty folder.
fn remove(parent: &OwnedFd, name: &str) {
    if rustix::fs::unlinkat(parent, name, AtFlags::empty()).is_err() {
        let _ = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR);
    }
}

fn set_age(file: &OwnedFd, now: i64) -> rustix::io::Result<()> {
    let time = Timespec { tv_sec: now, tv_nsec: 0 };
    rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const NOW: i64 = 1_800_000_000;

    fn folder() -> (tempfile::TempDir, Folder) {
        let scratch = tempfile::tempdir().expect("scratch");
        let folder = Folder::open(&scratch.path().join("a/b"), true).expect("made");
        (scratch, folder)
    }

    fn path(scratch: &tempfile::TempDir, name: &str) -> PathBuf {
        scratch.path().join("a/b/v1").join(shard_of(name)).join(name)
    }

    fn name(number: u8) -> String {
        format!("{number:02x}").repeat(32)
    }

    #[test]
    fn a_file_comes_back_and_is_for_its_owner_alone() {
        let (scratch, folder) = folder();
        assert_eq!(folder.read(&name(1), NOW), None);
        folder.write(&name(1), b"first", 1).expect("written");
        folder.write(&name(1), b"second", 2).expect("written");
        assert_eq!(folder.read(&name(1), NOW).as_deref(), Some(&b"second"[..]));
        assert_eq!(path(&scratch, &name(1)).metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(scratch.path().join("a/b").metadata().expect("there").permissions().mode() & 0o777, 0o700);
        folder.remove(&name(1));
        assert_eq!(folder.read(&name(1), NOW), None);
    }

    #[test]
    fn what_is_no_file_of_modest_size_is_removed() {
        let (scratch, folder) = folder();
        folder.write(&name(1), b"x", 1).expect("written");
        let place = path(&scratch, &name(1));
        let elsewhere = scratch.path().join("elsewhere");
        std::fs::write(&elsewhere, b"secret").expect("written");
        let make: [&dyn Fn(); 4] = [
            &|| symlink(&elsewhere, &place).expect("linked"),
            &|| rustix::fs::mknodat(rustix::fs::CWD, &place, FileType::Fifo, Mode::RWXU, 0).expect("made"),
            &|| std::fs::create_dir(&place).expect("made"),
            // Ten gigabytes that take no room.
            &|| File::create(&place).and_then(|file| file.set_len(10 << 30)).expect("made"),
        ];
        for make in make {
            folder.remove(&name(1));
            make();
            assert_eq!(folder.read(&name(1), NOW), None);
            assert!(place.symlink_metadata().is_err(), "it is still there");
        }
        assert_eq!(std::fs::read(&elsewhere).expect("untouched"), b"secret");
    }

    #[test]
    fn a_link_in_place_of_a_folder_leads_nowhere() {
        let (scratch, folder) = folder();
        folder.write(&name(1), b"x", 1).expect("written");
        let shard = scratch.path().join("a/b/v1/01");
        std::fs::rename(&shard, scratch.path().join("moved")).expect("moved");
        symlink(scratch.path().join("moved"), &shard).expect("linked");
        assert_eq!(folder.read(&name(1), NOW), None);
        assert!(folder.write(&name(1), b"y", 2).is_err());
        assert_eq!(std::fs::read(scratch.path().join("moved").join(name(1))).expect("untouched"), b"x");
    }

    #[test]
    fn a_folder_that_others_may_use_is_refused_where_it_must_be_private() {
        let scratch = tempfile::tempdir().expect("scratch");
        for mode in [0o755, 0o770, 0o701] {
            std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(mode)).expect("ours");
            assert!(matches!(Folder::open(scratch.path(), true), Err(FolderError::Shared { .. })), "{mode:o}");
            assert!(Folder::open(scratch.path(), false).is_ok());
        }
        assert!(matches!(Folder::open(Path::new("/proc/nothing"), false), Err(FolderError::Unusable { .. })));
    }

    #[test]
    fn what_was_not_used_for_long_goes_first() {
        let (scratch, folder) = folder();
        for number in 0..10 {
            folder.write(&name(number), &[0; 1000], u64::from(number)).expect("written");
            let file = File::options().write(true).open(path(&scratch, &name(number))).expect("there");
            set_age(&file.into(), NOW - 100_000 + i64::from(number)).expect("ours");
        }
        // The oldest is used, and so it is the newest.
        assert!(folder.read(&name(0), NOW).is_some());
        folder.sweep(5000, NOW);
        let left: Vec<u8> = (0..10).filter(|number| path(&scratch, &name(*number)).exists()).collect();
        assert_eq!(left, [0, 7, 8, 9]);
        // Within the hour nothing is looked at.
        folder.sweep(0, NOW + 100);
        assert!(path(&scratch, &name(9)).exists());
        folder.sweep(0, NOW + HOUR + 100);
        assert!(!path(&scratch, &name(9)).exists());
    }

    #[test]
    fn an_unfinished_file_is_swept_once_its_writer_must_be_gone() {
        let (scratch, folder) = folder();
        folder.write(&name(1), b"x", 1).expect("written");
        let unfinished = scratch.path().join("a/b/v1/01/.new-0000000000000001");
        std::fs::write(&unfinished, b"half").expect("written");
        let written = unfinished.metadata().expect("there").modified().expect("a time");
        let written = i64::try_from(written.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()).expect("small");
        folder.sweep(1 << 30, written);
        assert!(unfinished.exists());
        folder.sweep(1 << 30, written + 2 * HOUR);
        assert!(!unfinished.exists() && path(&scratch, &name(1)).exists());
    }
}
