//! What could not be looked at inside a file. Each kind is told as a finding under an id of its own: it is listed, can be excepted, and the
//! policy decides over it.

use std::io;

use crate::image::error::ImageError;
use crate::scan::finding::{Confidence, Severity};
use crate::scan::path_class::{is_dependency, is_in_dependency_tree};
use crate::scan::places::Sighting;
use crate::secret::fingerprint::Fingerprint;

/// Why something inside a file was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapKind {
    /// It wants a password.
    Encrypted,
    /// It ends too early or makes no sense.
    Damaged,
    /// A format or method that we do not read, and others do.
    Unknown,
    /// It goes beyond a bound: of bytes, members, depth or memory.
    TooLarge,
    /// Its parts contradict one another: programs that believe another part than we do read something else.
    Misleading,
}

/// A gap, in words. It travels through a [`std::io::Read`] as the error of whatever could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Gap {
    pub kind: GapKind,
    /// A phrase that begins with the format.
    pub words: String,
}

/// The longest phrase.
const MAX_WORDS: usize = 120;

impl GapKind {
    pub const ALL: [Self; 5] = [Self::Encrypted, Self::Damaged, Self::Unknown, Self::TooLarge, Self::Misleading];

    /// The id under which it is found; as stable as a rule's.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Encrypted => "unscanned-encrypted-archive",
            Self::Damaged => "unscanned-damaged-archive",
            Self::Unknown => "unscanned-unknown-archive",
            Self::TooLarge => "unscanned-too-large",
            Self::Misleading => "unscanned-misleading-archive",
        }
    }

    /// The kind of an id.
    #[must_use]
    pub fn with_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Encrypted => "Encrypted archive, not looked into",
            Self::Damaged => "Damaged archive, not looked into to its end",
            Self::Unknown => "Archive of an unknown format, not looked into",
            Self::TooLarge => "Archive beyond the bounds, not looked into to its end",
            Self::Misleading => "Archive whose parts contradict one another, not looked into whole",
        }
    }

    /// What a thief may gain that was not seen.
    #[must_use]
    pub fn gain(self) -> &'static str {
        match self {
            Self::Encrypted => "Whatever lies in it, where the password is known or weak",
            Self::Damaged => "Nothing that was not scanned, unless it can be repaired",
            Self::Unknown | Self::TooLarge => "Whatever lies in it and was not scanned",
            Self::Misleading => "Whatever other programs read in it and was not scanned",
        }
    }

    /// What to do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Encrypted => "Keep it out of the image, or scan its content before it is locked and write an exception for it.",
            Self::Damaged => "Keep it out of the image, or write an exception for it where it is damaged on purpose, as test files are.",
            Self::Unknown => "Keep it out of the image, or unpack it, scan the folder and write an exception for it.",
            Self::Misleading => "Find out what made it: no usual program does. Unpack it with the program that is to read it and scan the folder.",
            Self::TooLarge => "Find out what it is: an archive that unpacks to so much may be a bomb. Unpack it apart and scan the folder.",
        }
    }

    /// Low where whoever pulls the image sees no more than we did; high where they might, so that it is no pass unless somebody says so. In other
    /// people's code nothing is above low; but what no usual program makes is theirs only where package managers put it, whatever its name.
    fn severity(self, path: &[u8]) -> Severity {
        match self {
            Self::Unknown | Self::TooLarge if !is_dependency(path) => Severity::High,
            Self::Misleading if !is_in_dependency_tree(path) => Severity::High,
            _ => Severity::Low,
        }
    }
}

impl Gap {
    pub fn new(kind: GapKind, words: impl Into<String>) -> Self {
        let mut words: String = words.into();
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        Self { kind, words }
    }

    /// The gap that an error is when `format` was being unpacked.
    #[must_use]
    pub fn of_error(format: &str, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::OutOfMemory => GapKind::TooLarge,
            io::ErrorKind::Unsupported => GapKind::Unknown,
            _ => GapKind::Damaged,
        };
        match error.downcast::<Self>() {
            Ok(gap) => gap,
            Err(error) => match error.downcast::<ImageError>() {
                Ok(ImageError::Limit { limit, .. }) => Self::new(GapKind::TooLarge, format!("{format}: it exceeds the limit of {limit}")),
                Ok(ImageError::Malformed { why, .. }) => Self::new(GapKind::Damaged, format!("{format}: {why}")),
                Ok(other) => Self::new(GapKind::Damaged, format!("{format}: {other}")),
                Err(error) => Self::new(kind, format!("{format}: {error}")),
            },
        }
    }

    /// This gap, to travel as an error.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// What is told of it. The same place has the same fingerprint in every image.
    #[must_use]
    pub fn sighting(&self, path: &[u8]) -> Sighting {
        Sighting {
            rule: self.kind.id().to_owned(),
            severity: self.kind.severity(path),
            confidence: Confidence::High,
            fingerprint: Fingerprint::of_finding(self.kind.id(), path),
            redacted: self.words.clone(),
            line: 0,
            column: 0,
            proven_by: None,
            marked_by: None,
            until: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_id() {
        for kind in GapKind::ALL {
            assert_eq!(GapKind::with_id(kind.id()), Some(kind));
        }
        assert_eq!(GapKind::with_id("private-key"), None);
    }

    #[test]
    fn what_a_thief_cannot_read_either_is_low() {
        let severity = |kind, path: &str| Gap::new(kind, "zip: x").sighting(path.as_bytes()).severity;
        assert_eq!(severity(GapKind::Encrypted, "app/a.zip"), Severity::Low);
        assert_eq!(severity(GapKind::Damaged, "app/a.zip"), Severity::Low);
        assert_eq!(severity(GapKind::TooLarge, "app/a.zip"), Severity::High);
        assert_eq!(severity(GapKind::Unknown, "app/a.7z"), Severity::High);
        assert_eq!(severity(GapKind::Misleading, "app/a.zip"), Severity::High);
        assert_eq!(severity(GapKind::Misleading, "app/shop.jar"), Severity::High);
        assert_eq!(severity(GapKind::Misleading, "opt/venv/lib/python3.12/site-packages/a/a.jar"), Severity::Low);
        assert_eq!(severity(GapKind::Unknown, "app/node_modules/a/test/a.7z"), Severity::Low);
    }

    #[test]
    fn an_error_keeps_its_kind_and_no_more_than_a_phrase() {
        let kind = |error: io::Error| Gap::of_error("xz", error).kind;
        assert_eq!(kind(io::ErrorKind::OutOfMemory.into()), GapKind::TooLarge);
        assert_eq!(kind(io::ErrorKind::Unsupported.into()), GapKind::Unknown);
        assert_eq!(kind(ImageError::Limit { what: "a".to_owned(), limit: "b".to_owned() }.into_io()), GapKind::TooLarge);
        assert_eq!(kind(Gap::new(GapKind::Encrypted, "zip").into_io()), GapKind::Encrypted);
        let long = Gap::of_error("xz", io::Error::other("ä".repeat(500)));
        assert!(long.kind == GapKind::Damaged && long.words.len() <= MAX_WORDS);
    }
}
