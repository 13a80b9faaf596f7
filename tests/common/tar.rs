//! A tar writer for test layers (POSIX ustar), independent of the one under test.

/// 2025-10-09, the time of every entry.
const TIME: u64 = 1_760_000_000;

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    pub(crate) fn folder(&mut self, path: &str) {
        self.entry(&format!("{path}/"), b'5', 0o755, &[]);
    }

    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) {
        let mode = if bytes.starts_with(b"\x7fELF") { 0o755 } else { 0o644 };
        self.entry(path, b'0', mode, bytes);
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.entry(path, b'2', 0o777, &[]);
        // The name of the target has a field of its own, which the checksum counts.
        let header = self.0.len() - 512;
        self.0[header + 157..header + 157 + target.len()].copy_from_slice(target.as_bytes());
        self.0[header + 148..header + 156].copy_from_slice(b"        ");
        self.seal(header);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }

    fn entry(&mut self, path: &str, kind: u8, mode: u32, bytes: &[u8]) {
        assert!(path.len() <= 100, "{path} does not fit the name field");
        let mut header = [0; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, path);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", bytes.len()));
        put(136, &format!("{TIME:011o}"));
        put(148, "        ");
        put(257, "ustar\x0000");
        header[156] = kind;
        let start = self.0.len();
        self.0.extend(header);
        self.seal(start);
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// Writes the checksum of the header that begins at `start`; its field holds blanks so far.
    fn seal(&mut self, start: usize) {
        let sum: u32 = self.0[start..start + 512].iter().map(|byte| u32::from(*byte)).sum();
        self.0[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
