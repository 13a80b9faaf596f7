//! What a reader process and the one that started it say to each other over one socket.
//!
//! Each message is a length in four bytes and JSON; a scan follows its message as it is. The blob comes as an open file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::oci::digest::Digest;
use crate::reader::confine::Confinement;
use crate::reader::probe::Attempt;
use crate::scan::rule_text::RuleText;
use crate::secret::fingerprint::Fingerprint;

/// The longest message that a reader may send.
pub const MAX_REPLY: usize = 1 << 20;
/// The longest message that a reader takes: it holds the user's rules.
pub const MAX_REQUEST: usize = 64 << 20;
/// The longest scan that a reader may send.
pub const MAX_SCAN: u64 = 256 << 20;
/// The longest text of an error that is believed.
const MAX_TEXT: usize = 4 << 10;

/// To the reader.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Once, before anything else.
    Start(Box<Start>),
    /// Scan a layer.
    Layer { digest: Digest, size: u64, diff_id: Digest },
    /// Scan a blob as plain bytes.
    Blob { digest: Digest, size: u64 },
    /// Answers [`Reply::Open`]: the blob lies in the file that comes with this.
    File { start: u64, end: u64 },
    /// Answers [`Reply::Open`]: there is no such blob.
    Absent,
    /// Answers [`Reply::Found`]: whether it is the owner's bait.
    Own(Option<Fingerprint>),
    /// Try to get out.
    Probe(Attempt),
}

/// Everything that a reader knows of the world.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// The user's rules, which have been checked.
    pub rules: Vec<RuleText>,
    pub limits: Limits,
    /// Seconds since 1970.
    pub now: i64,
    /// Whether there are keys that could know a secret as the owner's.
    pub has_keys: bool,
    /// Whether secrets are to be told whose vendors can be asked about them.
    pub asks: bool,
}

/// From the reader. Nothing in it is trusted, from the first byte of a blob on.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Answers [`Request::Start`], before any blob.
    Ready { ruleset: String, confinement: Confinement },
    /// It wants the blob, from its beginning; a second time when it was damaged.
    Open,
    /// A secret, with its holder's name: is it, or does it hold, the owner's bait?
    Found { rule: String, secret: String, id: Option<String> },
    /// So many more stored bytes were read. Zero is a sign of life.
    Progress(u64),
    /// The scan follows, so many bytes of it.
    Scan { length: u64 },
    /// The blob cannot be read.
    Failed(Fault),
    /// It panicked, at this place of the source.
    Panicked(String),
    /// What came of a [`Request::Probe`].
    Probed(String),
}

/// An [`ImageError`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub enum Fault {
    Read { what: String, why: String },
    Missing { what: String },
    Mismatch { what: String, expected: String, actual: String },
    Malformed { what: String, why: String },
    Limit { what: String, limit: String },
    Codec { what: String, codec: String },
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Read { what, cause } => Self::Read { what, why: cause.to_string() },
            ImageError::Missing { what } => Self::Missing { what },
            ImageError::Mismatch { what, expected, actual } => Self::Mismatch { what, expected, actual },
            ImageError::Malformed { what, why } => Self::Malformed { what, why },
            ImageError::Limit { what, limit } => Self::Limit { what, limit },
            ImageError::Codec { what, codec } => Self::Codec { what, codec },
            // A reader meets no documents, writes nothing and starts no reader.
            other @ (ImageError::Document(_) | ImageError::Write { .. } | ImageError::ReaderDied { .. }) => {
                Self::Malformed { what: "the blob".to_owned(), why: other.to_string() }
            }
        }
    }
}

impl From<Fault> for ImageError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Read { what, why } => Self::Read { what: cut(what), cause: io::Error::other(cut(why)) },
            Fault::Missing { what } => Self::Missing { what: cut(what) },
            Fault::Mismatch { what, expected, actual } => Self::Mismatch { what: cut(what), expected: cut(expected), actual: cut(actual) },
            Fault::Malformed { what, why } => Self::Malformed { what: cut(what), why: cut(why) },
            Fault::Limit { what, limit } => Self::Limit { what: cut(what), limit: cut(limit) },
            Fault::Codec { what, codec } => Self::Codec { what: cut(what), codec: cut(codec) },
        }
    }
}

/// The beginning of a text, as long as an error may be.
#[must_use]
pub fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

/// Sends one message, and a file with it.
///
/// # Errors
/// When the other end is gone, or takes nothing for too long.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut frame = Zeroizing::new(vec![0; 4]);
    serde_json::to_writer(&mut *frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| io::Error::other("a message is too long"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    let Some(file) = file else { return send_bytes(socket, &frame) };
    let files = [file];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    let sent = sendmsg(socket.as_fd(), &[IoSlice::new(&frame)], &mut control, SendFlags::NOSIGNAL)?;
    send_bytes(socket, &frame[sent..])
}

/// Sends bytes as they are.
///
/// # Errors
/// As for [`send`].
pub fn send_bytes(socket: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(socket.as_fd(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Takes one message of at most `limit` bytes, and the file that came with it. `None` at the end.
///
/// # Errors
/// When the other end is gone in mid-message, is silent for too long, or sends what is no such message.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd, limit: usize) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut file = None;
    let mut length = [0; 4];
    if fill(socket.as_fd(), &mut length, &mut file)? == 0 {
        return Ok(None);
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    let mut frame = Zeroizing::new(vec![0; length]);
    if fill(socket, &mut frame, &mut file)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((serde_json::from_slice(&frame)?, file)))
}

/// Takes `length` bytes as they are.
///
/// # Errors
/// As for [`receive`].
pub fn receive_bytes(socket: impl AsFd, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let count = fill(socket, &mut bytes, &mut None)?;
    if count == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Fills `out`; gives 0 where the other end was gone before the first byte. Files are kept, the last one, and otherwise closed.
fn fill(socket: impl AsFd, out: &mut [u8], file: &mut Option<OwnedFd>) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = match recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut out[filled..])], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => continue,
            received => received?,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                files.for_each(|received| *file = Some(received));
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message comes with more than one file"));
        }
        match received.bytes {
            0 if filled == 0 => return Ok(0),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_message_and_its_file_arrive_together() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"content").and_then(|()| file.rewind()).expect("writable");
        send(&here, &Request::File { start: 0, end: 7 }, Some(file.as_fd())).expect("sent");
        send(&here, &Request::Absent, None).expect("sent");
        let (message, came) = receive::<Request>(&there, MAX_REQUEST).expect("sound").expect("there");
        assert!(matches!(message, Request::File { start: 0, end: 7 }));
        let mut text = String::new();
        File::from(came.expect("a file")).read_to_string(&mut text).expect("readable");
        assert_eq!(text, "content");
        assert!(matches!(receive::<Request>(&there, MAX_REQUEST), Ok(Some((Request::Absent, None)))));
        drop(here);
        assert!(matches!(receive::<Request>(&there, MAX_REQUEST), Ok(None)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let long = u32::try_from(MAX_REPLY + 1).expect("fits").to_le_bytes().to_vec();
        let frame = |text: &str| [&u32::try_from(text.len()).expect("fits").to_le_bytes(), text.as_bytes()].concat();
        for bytes in [vec![1], long, vec![9, 0, 0, 0, b'{'], frame("{\"Rule\":1}"), frame("\"Open\" "), frame("\"Open"), frame("[[[[")] {
            let (here, there) = UnixStream::pair().expect("a pair");
            send_bytes(&here, &bytes).expect("sent");
            drop(here);
            let received = receive::<Reply>(&there, MAX_REPLY);
            assert!(received.is_err() || bytes == frame("\"Open\" "), "{bytes:?}: {received:?}");
        }
    }

    #[test]
    fn every_error_of_a_layer_says_the_same_on_the_other_side() {
        let text = |word: &str| word.to_owned();
        for error in [
            ImageError::Read { what: text("a"), cause: io::Error::other("b") },
            ImageError::Missing { what: text("a") },
            ImageError::Mismatch { what: text("a"), expected: text("b"), actual: text("c") },
            ImageError::Malformed { what: text("a"), why: text("b") },
            ImageError::Limit { what: text("a"), limit: text("b") },
            ImageError::Codec { what: text("a"), codec: text("b") },
        ] {
            let (said, hint) = (error.to_string(), error.hint());
            let (here, there) = UnixStream::pair().expect("a pair");
            send(&here, &Reply::Failed(error.into()), None).expect("sent");
            let Ok(Some((Reply::Failed(fault), None))) = receive(&there, MAX_REPLY) else { panic!("{said}") };
            let back = ImageError::from(fault);
            assert_eq!((back.to_string(), back.hint()), (said, hint));
        }
        assert_eq!(cut("ä".repeat(MAX_TEXT)).len(), MAX_TEXT);
    }
}
