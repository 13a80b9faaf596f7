//! What extended headers say about the entry that follows them: PAX records, GNU long names, sparse maps.
//!
//! Source: POSIX.1-2017 `pax`, "pax Extended Header"; GNU tar manual, "Storing Sparse Files".

use crate::image::error::ImageError;
use crate::image::limits::Limits;
use crate::image::tar_header::text;

/// Values that replace those of the next header.
#[derive(Debug, Default)]
pub struct Extension {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<i64>,
    pub uid: Option<i64>,
    pub gid: Option<i64>,
    pub mtime: Option<i64>,
    /// The data begins with a sparse map (GNU sparse format 1.0).
    pub map_in_data: bool,
    /// The data is what is stored of a file with holes (GNU sparse formats 0.0, 0.1 and 1.0).
    pub is_sparse: bool,
    seen_pax: bool,
    seen_any: bool,
}

impl Extension {
    /// Whether an entry has to follow.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.seen_any
    }

    /// Takes in a GNU long name (`L`).
    ///
    /// # Errors
    /// When another header has named the entry otherwise.
    pub fn long_name(&mut self, what: &str, body: &[u8]) -> Result<(), ImageError> {
        self.seen_any = true;
        set_once(&mut self.path, text(body), what)
    }

    /// Takes in a GNU long link target (`K`).
    ///
    /// # Errors
    /// When another header has given the entry another target.
    pub fn long_link(&mut self, what: &str, body: &[u8]) -> Result<(), ImageError> {
        self.seen_any = true;
        set_once(&mut self.link, text(body), what)
    }

    /// Takes in a PAX header (`x`). Records that are not understood come back.
    ///
    /// # Errors
    /// When a record is malformed, or readers would disagree on what it means.
    pub fn pax(&mut self, what: &str, body: &[u8], limits: &Limits) -> Result<Vec<u8>, ImageError> {
        let malformed = |why: &str| ImageError::malformed(what, why);
        if std::mem::replace(&mut self.seen_pax, true) {
            return Err(malformed("an entry has two extended headers"));
        }
        self.seen_any = true;
        let (mut other, mut pieces) = (Vec::new(), 0_u64);
        let (mut name, mut path, mut link) = (None, None, None);
        for record in Records(body) {
            let (key, value) = record.ok_or_else(|| malformed("a record of an extended header is broken"))?;
            let number = || whole_number(value).ok_or_else(|| malformed("a number in an extended header is broken"));
            self.is_sparse |= key.starts_with(b"GNU.sparse.");
            match key {
                b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => {
                    return Err(malformed("a name in an extended header holds a zero byte"));
                }
                // To some it takes back what was said before, to others it is a name, or 0.
                b"path" | b"linkpath" | b"GNU.sparse.name" | b"size" if value.is_empty() => {
                    return Err(malformed("a value in an extended header is empty, on which readers disagree"));
                }
                b"path" => path = Some(value.to_vec()),
                b"linkpath" => link = Some(value.to_vec()),
                b"GNU.sparse.name" => name = Some(value.to_vec()),
                b"size" if value.contains(&b'.') => return Err(malformed("a number in an extended header is broken")),
                b"size" => self.size = Some(number()?),
                b"uid" => self.uid = if value.is_empty() { None } else { Some(number()?) },
                b"gid" => self.gid = if value.is_empty() { None } else { Some(number()?) },
                b"mtime" => self.mtime = if value.is_empty() { None } else { Some(number()?) },
                b"GNU.sparse.major" => self.map_in_data = value == b"1",
                b"GNU.sparse.offset" => pieces += 1,
                b"GNU.sparse.map" => pieces += value.split(|&byte| byte == b',').count() as u64 / 2,
                b"atime"
                | b"ctime"
                | b"uname"
                | b"gname"
                | b"hdrcharset"
                | b"GNU.sparse.minor"
                | b"GNU.sparse.realsize"
                | b"GNU.sparse.size"
                | b"GNU.sparse.numblocks"
                | b"GNU.sparse.numbytes" => {}
                _ => other.extend([key, b"=", value, b"\n"].into_iter().flatten()),
            }
        }
        if pieces > limits.max_sparse_pieces {
            return Err(ImageError::Limit { what: what.to_owned(), limit: format!("{} pieces of a sparse file", limits.max_sparse_pieces) });
        }
        // A sparse file's own `path` is a made-up one for readers that do not know sparse files.
        if let Some(path) = name.or(path) {
            set_once(&mut self.path, &path, what)?;
        }
        if let Some(link) = link {
            set_once(&mut self.link, &link, what)?;
        }
        Ok(other)
    }
}

/// Checks a global PAX header (`g`). Go's reader, which all runtimes use, ignores it; others do not, so it must not change where bytes belong.
///
/// # Errors
/// When it is broken, or sets a name, a link or a size.
pub fn check_global(what: &str, body: &[u8]) -> Result<(), ImageError> {
    for record in Records(body) {
        let (key, _) = record.ok_or_else(|| ImageError::malformed(what, "a record of a global header is broken"))?;
        if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.") {
            return Err(ImageError::malformed(what, "a global header sets names or sizes, on which readers disagree"));
        }
    }
    Ok(())
}

/// `length key=value\n`, again and again.
struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    fn split(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let space = self.0.iter().take(20).position(|&byte| byte == b' ')?;
        let length = &self.0[..space];
        // A sign is a number's to Rust, and none of this one's.
        let length: usize = std::str::from_utf8(length).ok().filter(|_| length.iter().all(u8::is_ascii_digit))?.parse().ok()?;
        let record = self.0.get(space + 1..length)?.strip_suffix(b"\n")?;
        self.0 = &self.0[length..];
        let equals = memchr::memchr(b'=', record)?;
        (equals > 0).then(|| (&record[..equals], &record[equals + 1..]))
    }
}

impl<'a> Iterator for Records<'a> {
    /// `None` inside: broken.
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = self.split();
        if record.is_none() {
            self.0 = b"";
        }
        Some(record)
    }
}

fn set_once(place: &mut Option<Vec<u8>>, value: &[u8], what: &str) -> Result<(), ImageError> {
    match place {
        Some(old) if old != value => Err(ImageError::malformed(what, "two extended headers name one entry differently")),
        _ => {
            *place = Some(value.to_vec());
            Ok(())
        }
    }
}

/// A decimal number, rounded down where it has a fraction.
fn whole_number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || whole.starts_with('+') {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
    if below { number.checked_sub(1) } else { Some(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::pax as record;

    fn pax(body: &[u8]) -> Result<(Extension, Vec<u8>), ImageError> {
        let mut extension = Extension::default();
        let other = extension.pax("a test", body, &Limits::default())?;
        Ok((extension, other))
    }

    #[test]
    fn records_are_read_and_unknown_ones_come_back() {
        let pairs = [("path", "a\nb="), ("mtime", "1700000000.99"), ("mtime", "-1.500"), ("uid", "70"), ("comment", ""), ("SCHILY.xattr.a", "b")];
        let body: Vec<u8> = pairs.iter().flat_map(|(key, value)| record(key, value)).collect();
        let (extension, other) = pax(&body).unwrap();
        assert_eq!(extension.path.as_deref(), Some(&b"a\nb="[..]));
        assert_eq!((extension.mtime, extension.uid, extension.size), (Some(-2), Some(70), None));
        assert_eq!(other, b"comment=\nSCHILY.xattr.a=b\n");
    }

    #[test]
    fn broken_records_are_errors() {
        let texts = ["9 path=a", "11 path=a\n", "path=a\n", "99999999999999999999 a=b\n", "0 a=b\n", "4 a\n", "7 =abc\n", "+9 path=a\n", "\0\0\0"];
        let records = [
            record("size", "x"),
            record("size", ""),
            record("size", "1.5"),
            record("path", ""),
            record("uid", "+1"),
            record("path", "a\0b"),
            record("size", "1.x"),
        ];
        for body in texts.iter().map(|text| text.as_bytes()).chain(records.iter().map(Vec::as_slice)) {
            assert!(pax(body).is_err(), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn what_readers_disagree_on_is_refused() {
        let mut extension = Extension::default();
        extension.long_name("a test", b"one\0").unwrap();
        assert!(extension.pax("a test", &record("path", "two"), &Limits::default()).is_err());
        assert!(check_global("a test", &record("size", "99")).is_err());
        assert!(check_global("a test", &record("comment", "ab")).is_ok());
    }
}
