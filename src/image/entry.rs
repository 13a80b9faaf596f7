//! One member of a layer.

/// What a tar member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Hardlink,
    /// Character or block device, or fifo.
    Special,
}

/// A member's header, cleaned. Paths are bytes and never touch the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root: no leading `/` or `./`, no trailing `/`, no empty, `.` or `..` component. Empty for the root itself.
    pub path: Vec<u8>,
    pub kind: EntryKind,
    /// Bytes of data that follow in the tar; 0 for anything but a file.
    pub size: u64,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Target of a symlink (as written) or of a hard link (cleaned like `path`).
    pub link: Vec<u8>,
}

/// What an entry's name says about lower layers.
///
/// Source: OCI image specification, layer.md, "Whiteouts".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whiteout {
    /// This path, and all below it, is deleted from lower layers.
    Path(Vec<u8>),
    /// Everything below this directory is deleted from lower layers; the layer's own entries stay.
    Opaque(Vec<u8>),
}

impl Entry {
    /// The whiteout that this entry is, if it is one.
    #[must_use]
    pub fn whiteout(&self) -> Option<Whiteout> {
        let (parent, name) = split(&self.path);
        if name == b".wh..wh..opq" {
            return Some(Whiteout::Opaque(parent.to_vec()));
        }
        let hidden = name.strip_prefix(b".wh.").filter(|hidden| !hidden.is_empty() && !hidden.starts_with(b".wh."))?;
        let mut path = parent.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(hidden);
        Some(Whiteout::Path(path))
    }
}

/// A path's parent directory (empty for the root) and its last component.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whiteout(path: &[u8]) -> Option<Whiteout> {
        let kind = EntryKind::File;
        Entry { path: path.to_vec(), kind, size: 0, mode: 0o644, uid: 0, gid: 0, mtime: 0, link: Vec::new() }.whiteout()
    }

    #[test]
    fn whiteouts_are_known_by_name() {
        assert_eq!(whiteout(b"app/.wh.build.log"), Some(Whiteout::Path(b"app/build.log".to_vec())));
        assert_eq!(whiteout(b".wh.tmp"), Some(Whiteout::Path(b"tmp".to_vec())));
        assert_eq!(whiteout(b"app/.wh..wh..opq"), Some(Whiteout::Opaque(b"app".to_vec())));
        assert_eq!(whiteout(b"app/.wh."), None);
        assert_eq!(whiteout(b"app/.wh..wh.plnk"), None);
        assert_eq!(whiteout(b"app/file"), None);
    }
}
