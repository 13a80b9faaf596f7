//! What an ignore list is: the bait of an owner, in the form by which one scanner passes over it.

use time::Date;

/// Characters of a token that a list shows. Of the smallest alphabet, base32, they are 40 bits.
pub const SHOWN: usize = 8;

/// The form of one scanner.
pub trait IgnoreList: Sync {
    /// The scanner, as it is asked for.
    fn id(&self) -> &'static str;

    /// How the list is given to it, with `FILE` for the list.
    fn usage(&self) -> &'static str;

    /// What it silences and what it cannot, and what somebody who reads it learns.
    fn describe(&self) -> &'static str;

    /// The entries, without the heading. It may be read as any text of this form: `#` begins a comment in all of them.
    fn write(&self, silenced: &[Silenced], until: Date) -> String;
}

/// One token that is to be passed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silenced {
    /// The token's own, which is sealed; by it the owner finds the entry again.
    pub fingerprint: String,
    /// Texts of eight characters that are in this token and, but for one chance in a million million, in no other secret, see
    /// [`super::heads`].
    pub heads: Vec<String>,
    /// Files that hold this token and nothing else, without the leading `/`.
    pub files: Vec<String>,
}

impl Silenced {
    /// The heads as regular expressions, which Go and Rust understand alike and neither TOML nor YAML has to escape.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        self.heads.iter().map(|head| head.replace('+', "[+]"))
    }
}

/// An entry's comment: whose it is, and until when.
#[must_use]
pub fn note(silenced: &Silenced, until: Date) -> String {
    format!("# {}, until {until}", silenced.fingerprint)
}
