//! Tar archives byte by byte, right and wrong ones alike, independent of the reader under test.

pub(crate) const BLOCK: usize = 512;

/// A header whose every field can be anything.
#[derive(Clone)]
pub(crate) struct Header([u8; BLOCK]);

impl Header {
    /// A ustar header of an entry without data.
    pub(crate) fn new(name: impl AsRef<[u8]>, kind: u8) -> Self {
        let mut header = Self([0; BLOCK]);
        header.put(100, b"0000644\0");
        header.put(108, b"0000000\0");
        header.put(116, b"0000000\0");
        header.put(136, b"15076312400\0");
        header.put(257, b"ustar\x0000");
        header.0[156] = kind;
        header.field(0, &name.as_ref()[..name.as_ref().len().min(100)]).size(0)
    }

    /// The size in octal digits.
    pub(crate) fn size(self, size: u64) -> Self {
        self.field(124, format!("{size:011o}\0").as_bytes())
    }

    /// Any bytes at any place.
    pub(crate) fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.put(at, bytes);
        self
    }

    pub(crate) fn link(self, target: impl AsRef<[u8]>) -> Self {
        self.field(157, &target.as_ref()[..target.as_ref().len().min(100)])
    }

    /// The block with a right checksum.
    pub(crate) fn seal(mut self) -> Vec<u8> {
        self.put(148, b"        ");
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }

    /// The block with the checksum that readers of signed characters made.
    pub(crate) fn seal_signed(mut self) -> Vec<u8> {
        self.put(148, b"        ");
        let sum: i32 = self.0.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }

    /// The block as it is.
    pub(crate) fn raw(self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// A header and its data, padded with zeros.
pub(crate) fn entry(name: impl AsRef<[u8]>, kind: u8, data: &[u8]) -> Vec<u8> {
    with_data(Header::new(name, kind).size(data.len() as u64).seal(), data)
}

pub(crate) fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Vec<u8> {
    entry(name, b'0', data.as_ref())
}

/// Data after a header that is sealed already.
pub(crate) fn with_data(header: Vec<u8>, data: &[u8]) -> Vec<u8> {
    let mut bytes = header;
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// One record of an extended header.
pub(crate) fn record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = key.len() + value.as_ref().len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    [format!("{length} {key}=").as_bytes(), value.as_ref(), b"\n"].concat()
}

/// An extended header with these records.
pub(crate) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    entry("PaxHeaders/x", b'x', &records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<u8>>())
}

/// The two zero blocks.
pub(crate) fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}
