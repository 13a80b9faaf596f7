//! What a kind of file that holds other files, or text that its raw bytes do not show, has to say for itself.

use std::io::{self, BufRead, Read as _};

use crate::image::inflate::Inflate;
use crate::image::limits::Limits;
use crate::scan::gap::Gap;
use crate::scan::lookahead::{Lookahead, truncated};

/// One format.
pub trait Container: Sync {
    /// For people, in gaps.
    fn name(&self) -> &'static str;

    /// Whether a file that begins with these bytes is one: [`START`] of them, [`SCRIPT`] of a script, or all that it has.
    fn is_start(&self, start: &[u8]) -> bool;

    /// Shows each member, in order. What is left unread is read by the caller, who scans the raw bytes as they pass.
    ///
    /// # Errors
    /// When the file cannot be understood to its end: it is told as a gap, and whatever was shown before is scanned. An error of a member
    /// is handed on.
    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()>;
}

/// Bytes of a file's beginning that are enough to know it: a tar header.
pub const START: usize = 512;
/// A script may have an archive behind it: a line before a zip of Python, 10 KiB before a jar that starts itself. It is known by so many bytes.
pub const SHEBANG: &[u8] = b"#!";
pub const SCRIPT: usize = 64 << 10;

/// A file that was recognised.
pub struct Opened<'a, 'b> {
    pub bytes: &'a mut Lookahead<'b>,
    /// The last part of its path.
    pub name: &'a [u8],
    /// Kept from file to file: its tables and its window are large.
    pub inflate: &'a mut Inflate,
    pub limits: &'a Limits,
    /// Counts work that brings no bytes as if it unpacked so many. Fails where that is more than the file is worth.
    pub work: &'a dyn Fn(u64) -> io::Result<()>,
}

/// Where members go.
pub trait Members {
    /// A member that was unpacked. It is read to its end.
    ///
    /// # Errors
    /// When `data` fails, or a bound is reached for good.
    fn unpacked(&mut self, name: &[u8], data: &mut dyn BufRead) -> io::Result<()>;

    /// A member whose bytes stand in the file as they are, and are now read from it. They are scanned once, as the member's.
    ///
    /// # Errors
    /// As for [`Members::unpacked`].
    fn stored(&mut self, name: &[u8], data: &mut dyn BufRead) -> io::Result<()>;

    /// A member that cannot be looked at; with an empty name, something of the file itself.
    fn gap(&mut self, name: &[u8], gap: Gap);

    /// Bytes of memory that may still be held for this file.
    fn memory(&self) -> u64;

    /// Holds so much of it until the walk ends.
    ///
    /// # Errors
    /// When there is not so much.
    fn hold(&mut self, bytes: u64) -> io::Result<()>;
}

/// The name of the one member of a file that is merely compressed: the file's, without the ending, of which there may be another form.
#[must_use]
pub fn stem(name: &[u8], endings: &[(&str, &str)]) -> Vec<u8> {
    for (ending, instead) in endings {
        if let Some(stem) = name.strip_suffix(ending.as_bytes()).filter(|stem| !stem.is_empty()) {
            return [stem, instead.as_bytes()].concat();
        }
    }
    b"content".to_vec()
}

/// Shows a member that is the next `size` bytes of the file.
///
/// # Errors
/// As for [`Members::stored`], and when there are fewer.
pub fn stored_part(name: &[u8], size: u64, bytes: &mut Lookahead<'_>, members: &mut dyn Members) -> io::Result<()> {
    let mut data = bytes.by_ref().take(size);
    members.stored(name, &mut data)?;
    if data.limit() > 0 { Err(truncated()) } else { Ok(()) }
}
