//! One 512-byte tar header, in the dialects ustar, GNU, star and version 7.
//!
//! Source: POSIX.1-2017 `pax`, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".

/// Headers and data come in blocks of this many bytes.
pub const BLOCK: usize = 512;

/// A header whose checksum is right.
pub struct TarHeader<'a>(&'a [u8; BLOCK]);

impl<'a> TarHeader<'a> {
    /// `None` when the checksum is wrong, both with signed and with unsigned bytes.
    #[must_use]
    pub fn new(block: &'a [u8; BLOCK]) -> Option<Self> {
        let claimed = number(&block[148..156])?;
        let unsigned = |bytes: &[u8]| i64::from(bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>());
        let spaces = 8 * i64::from(b' ');
        if claimed == unsigned(block) - unsigned(&block[148..156]) + spaces {
            return Some(Self(block));
        }
        let signed = |bytes: &[u8]| bytes.iter().map(|&byte| i64::from(byte.cast_signed())).sum::<i64>();
        (claimed == signed(block) - signed(&block[148..156]) + spaces).then_some(Self(block))
    }

    #[must_use]
    pub fn kind(&self) -> u8 {
        self.0[156]
    }

    /// `None` when the field is no number.
    #[must_use]
    pub fn size(&self) -> Option<i64> {
        number(&self.0[124..136])
    }

    #[must_use]
    pub fn mode(&self) -> Option<i64> {
        number(&self.0[100..108])
    }

    #[must_use]
    pub fn uid(&self) -> Option<i64> {
        number(&self.0[108..116])
    }

    #[must_use]
    pub fn gid(&self) -> Option<i64> {
        number(&self.0[116..124])
    }

    #[must_use]
    pub fn mtime(&self) -> Option<i64> {
        number(&self.0[136..148])
    }

    /// The name as the header has it, the prefix in front where the dialect knows one. `None` where some readers take for a prefix
    /// what is none to others.
    #[must_use]
    pub fn name(&self) -> Option<Vec<u8>> {
        let name = text(&self.0[..100]);
        let is_ustar = &self.0[257..263] == b"ustar\0";
        let is_star = is_ustar && &self.0[508..512] == b"tar\0";
        let prefix = text(&self.0[345..500]);
        // In old GNU headers of sparse files this is the place of times and the map, and no reader looks for a name there.
        let clear = if is_star { prefix.len() <= 131 } else { is_ustar || prefix.is_empty() || self.kind() == b'S' };
        let prefix = if is_ustar { prefix } else { b"" };
        clear.then(|| if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() })
    }

    #[must_use]
    pub fn link(&self) -> &'a [u8] {
        text(&self.0[157..257])
    }

    /// Pieces of an old GNU sparse header, and whether a block with more of them follows.
    #[must_use]
    pub fn sparse_pieces(&self) -> (usize, bool) {
        sparse_pieces(&self.0[386..482], self.0[482])
    }
}

/// Pieces in a run of 24-byte records (offset and length), which ends at the first empty one; and whether the flag asks for more.
#[must_use]
pub fn sparse_pieces(records: &[u8], more: u8) -> (usize, bool) {
    (records.chunks_exact(24).take_while(|record| record[0] != 0).count(), more != 0)
}

/// A numeric field: octal digits after spaces, up to a space or zero byte, or base 256 when the top bit is set. An empty field is 0.
/// What may follow the digits is spaces, up to a zero byte: there readers stop, and on anything else they disagree.
#[must_use]
pub fn number(field: &[u8]) -> Option<i64> {
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        // Two's complement; bit 6 of the first byte is the sign.
        let negative = first & 0x40 != 0;
        let mut value = if negative { i128::from(first) - 0x100 } else { i128::from(first & 0x3f) };
        for &byte in rest {
            value = value.checked_mul(256)?.checked_add(i128::from(byte))?;
        }
        return i64::try_from(value).ok();
    }
    if field.iter().all(|&byte| matches!(byte, b' ' | 0)) {
        return Some(0);
    }
    let digits = text(field).trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &digit| {
        if !(b'0'..=b'7').contains(&digit) {
            return None;
        }
        value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))
    })
}

/// A field's bytes up to the first zero.
#[must_use]
pub fn text(field: &[u8]) -> &[u8] {
    &field[..memchr::memchr(0, field).unwrap_or(field.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777777 "), Some(0o77_777_777_777));
        assert_eq!(number(&[0; 12]), Some(0));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Some(-2));
        assert_eq!(number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 5]), None, "2^63 + 5");
        assert_eq!(number(b"12x4\0"), None);
        assert_eq!(number(b"-1\0"), None);
        assert_eq!(number(b"12 \x0034"), Some(0o12));
        assert_eq!(number(b"12 34\0"), None);
        assert_eq!(number(b"\0\x0012\0"), None);
    }
}
