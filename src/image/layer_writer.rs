//! New layers, made in memory: the same entries always give the same bytes, and they look as a Go builder writes them, or any other.

use std::io::{self, Write as _};
use std::sync::Arc;

use flate2::FlushCompress;

use crate::image::entry::EntryKind;
use crate::image::gzip::gzip_as_packed;
use crate::image::layer_style::{Ending, GzipStyle, LayerStyle, Packing, TarStyle};
use crate::image::tar_header::BLOCK;
use crate::oci::digest::Digest;

/// One entry to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// As [`crate::image::entry::Entry::path`]; a whiteout is a file under its whiteout name.
    pub path: Vec<u8>,
    /// A file, directory, symlink or hard link; a device is written as an empty file.
    pub kind: EntryKind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// A file's bytes, or a link's target.
    pub content: Vec<u8>,
}

/// A layer that no registry holds yet: gzip, unless it was to be like one of zstd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    pub bytes: Arc<[u8]>,
    /// Of `bytes`.
    pub digest: Digest,
    /// Of the tar within.
    pub diff_id: Digest,
}

/// Writes a layer: ustar, PAX headers only where ustar cannot say it, one gzip member without name or time. `level` is 0 to 9.
///
/// # Panics
/// Never: memory takes all that is written to it.
#[must_use]
pub fn write_layer(entries: &[NewEntry], level: u32) -> NewLayer {
    let tar = write_tar(entries);
    let mut encoder = flate2::GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), flate2::Compression::new(level.min(9)));
    encoder.write_all(&tar).expect("memory takes all that is written to it");
    let bytes: Arc<[u8]> = encoder.finish().expect("memory takes all that is written to it").into();
    NewLayer { digest: Digest::of(&bytes), diff_id: Digest::of(&tar), bytes }
}

/// Writes a layer as whoever wrote another of this style would.
///
/// # Errors
/// Never in practice: memory takes all that is written to it.
pub fn write_layer_like(entries: &[NewEntry], style: &LayerStyle) -> io::Result<NewLayer> {
    let tar = write_tar_like(entries, &style.tar);
    let bytes: Arc<[u8]> = match style.packing {
        Packing::Plain => gzip_as_packed(&tar)?,
        Packing::Gzip(style) => gzip_like(&tar, style)?,
        Packing::Zstd { checksum } => {
            // As a stream, which does not know its length before its end.
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
            encoder.include_checksum(checksum)?;
            encoder.write_all(&tar)?;
            encoder.finish()?
        }
    }
    .into();
    Ok(NewLayer { digest: Digest::of(&bytes), diff_id: Digest::of(&tar), bytes })
}

fn gzip_like(tar: &[u8], style: GzipStyle) -> io::Result<Vec<u8>> {
    let GzipStyle { time, effort, system, ending } = style;
    let level = match effort {
        2 => 9,
        4 => 1,
        _ => 6,
    };
    let mut packer = flate2::Compress::new(flate2::Compression::new(level), false);
    let mut data = Vec::with_capacity(tar.len() / 2 + 4096);
    let flush = if ending == Ending::Data { FlushCompress::Finish } else { FlushCompress::Sync };
    loop {
        let before = (packer.total_in(), packer.total_out());
        let rest = &tar[usize::try_from(packer.total_in()).unwrap_or(tar.len())..];
        data.reserve(4096);
        let status = packer.compress_vec(rest, &mut data, flush).map_err(io::Error::other)?;
        // A flush is done where there is room left and nothing more comes.
        let is_done = status == flate2::Status::StreamEnd || flush == FlushCompress::Sync && data.len() < data.capacity() && rest.is_empty();
        if is_done || before == (packer.total_in(), packer.total_out()) {
            break;
        }
    }
    match ending {
        Ending::Data => {}
        Ending::StoredAndFixed => data.extend([3, 0]),
        Ending::Stored => end_stored(&mut data, tar),
    }
    let sum = crc32fast::hash(tar);
    let length = u32::try_from(tar.len() & 0xffff_ffff).unwrap_or_default();
    Ok([&[0x1f, 0x8b, 8, 0], &time[..], &[effort, system], &data, &sum.to_le_bytes(), &length.to_le_bytes()].concat())
}

/// Makes the empty stored block at the end of a flushed stream its last. The bit that says so stands before two more and what fills the
/// byte up (RFC 1951 §3.2.4); where that is, only reading the stream tells.
fn end_stored(data: &mut [u8], tar: &[u8]) {
    let filled = data.len().saturating_sub(4);
    for bit in (filled.saturating_sub(2) * 8..filled * 8).rev() {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        data[at] ^= mask;
        let mut plain = Vec::with_capacity(tar.len() + 1);
        let mut unpacker = flate2::Decompress::new(false);
        let ended = unpacker.decompress_vec(data, &mut plain, flate2::FlushDecompress::Finish);
        if matches!(ended, Ok(flate2::Status::StreamEnd)) && plain == tar && unpacker.total_in() == data.len() as u64 {
            return;
        }
        data[at] ^= mask;
    }
}

/// The entries as a tar archive, not compressed.
#[must_use]
pub fn write_tar(entries: &[NewEntry]) -> Vec<u8> {
    write_tar_like(entries, &TarStyle::default())
}

/// The same in the style of another.
#[must_use]
pub fn write_tar_like(entries: &[NewEntry], style: &TarStyle) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        let data = if entry.kind == EntryKind::File { &entry.content[..] } else { b"" };
        write_head_like(&mut tar, entry, data.len() as u64, style);
        write_data(&mut tar, data);
    }
    tar.extend([0; 2 * BLOCK]);
    if style.record {
        tar.resize(tar.len().next_multiple_of(20 * BLOCK), 0);
    }
    tar
}

/// Everything of an entry that stands before its data, of which there will be `size` bytes.
pub(crate) fn write_head(tar: &mut Vec<u8>, entry: &NewEntry, size: u64) {
    write_head_like(tar, entry, size, &TarStyle::default());
}

fn write_head_like(tar: &mut Vec<u8>, entry: &NewEntry, size: u64, style: &TarStyle) {
    let mut name = if style.dot { [b"./", &entry.path[..]].concat() } else { entry.path.clone() };
    if entry.kind == EntryKind::Directory {
        name.push(b'/');
    }
    let is_link = matches!(entry.kind, EntryKind::Symlink | EntryKind::Hardlink);
    let link = if is_link { &entry.content[..] } else { b"" };

    let mut records = Vec::new();
    let split = split_name(&name);
    if is_link && (link.len() > 100 || !link.is_ascii()) {
        records.push(("linkpath", pax_record("linkpath", link)));
    }
    if split.is_none() {
        records.push(("path", pax_record("path", &name)));
    }
    let mut number = |key: &'static str, value: i128, digits: u32| {
        let fits = (0..1_i128 << (3 * digits)).contains(&value);
        if !fits {
            records.push((key, pax_record(key, value.to_string().as_bytes())));
        }
        // What does not fit is said in the extended header, and the field is left at 0.
        if fits { u64::try_from(value).unwrap_or_default() } else { 0 }
    };
    let gid = number("gid", entry.gid.into(), 7);
    let mtime = number("mtime", entry.mtime.into(), 11);
    let size = number("size", size.into(), 11);
    let uid = number("uid", entry.uid.into(), 7);
    if !records.is_empty() {
        let sorted = sorted(records);
        let (parent, last) = crate::image::entry::split(&entry.path);
        let made_up = [parent, if parent.is_empty() { b"" } else { b"/" }, b"PaxHeaders.0/", last].concat();
        let ascii: Vec<u8> = made_up.into_iter().filter(u8::is_ascii).take(100).collect();
        let fields = Fields { kind: b'x', mode: 0, uid: 0, gid: 0, size: sorted.len() as u64, mtime: 0 };
        write_header(tar, (b"", &ascii), b"", &fields, &TarStyle::default());
        write_data(tar, &sorted);
    }

    let kind = match entry.kind {
        EntryKind::File | EntryKind::Special => b'0',
        EntryKind::Hardlink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::Directory => b'5',
    };
    // A mode that no file system gave, as of a whiteout, says nothing of a kind either.
    let bits = match kind {
        b'0' if style.type_bits && entry.mode != 0 => 0o100_000,
        b'5' if style.type_bits => 0o40_000,
        _ => 0,
    };
    let fields = Fields { kind, mode: entry.mode & 0o7777 | bits, uid, gid, size, mtime };
    write_header(tar, split.unwrap_or((b"", &name)), link, &fields, style);
}

struct Fields {
    kind: u8,
    mode: u32,
    uid: u64,
    gid: u64,
    size: u64,
    mtime: u64,
}

/// Source: POSIX.1-2017 `pax`, "ustar Interchange Format".
fn write_header(tar: &mut Vec<u8>, (prefix, name): (&[u8], &[u8]), link: &[u8], fields: &Fields, style: &TarStyle) {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, width: usize, bytes: &[u8]| {
        let count = bytes.len().min(width);
        block[at..at + count].copy_from_slice(&bytes[..count]);
    };
    put(0, 100, name);
    put(100, 7, format!("{:07o}", fields.mode).as_bytes());
    put(108, 7, format!("{:07o}", fields.uid).as_bytes());
    put(116, 7, format!("{:07o}", fields.gid).as_bytes());
    put(124, 11, format!("{:011o}", fields.size).as_bytes());
    put(136, 11, format!("{:011o}", fields.mtime).as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[fields.kind]);
    put(157, 100, link);
    // GNU's dialect has no prefix.
    put(257, 8, if style.gnu && prefix.is_empty() { b"ustar  \0" } else { b"ustar\x0000" });
    // Names of other owners are in a file that nobody reads here; root's is root.
    put(265, 31, if fields.uid == 0 { style.owner.0.as_bytes() } else { b"" });
    put(297, 31, if fields.gid == 0 { style.owner.1.as_bytes() } else { b"" });
    if !style.no_devices {
        put(329, 7, b"0000000");
        put(337, 7, b"0000000");
    }
    put(345, 155, prefix);
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend(block);
}

fn write_data(tar: &mut Vec<u8>, data: &[u8]) {
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Prefix and name as ustar splits a long path, `None` where it cannot.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some((b"", name));
    }
    // The last slash that leaves a prefix of 155 bytes at most; one at the very end belongs to the name.
    let slash = memchr::memrchr(b'/', &name[..(name.len() - 1).min(156)])?;
    let (prefix, last) = (&name[..slash], &name[slash + 1..]);
    (!prefix.is_empty() && !last.is_empty() && last.len() <= 100).then_some((prefix, last))
}

/// `length key=value\n`; the length counts itself.
pub(crate) fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let guess = rest + rest.to_string().len();
    let length = rest + guess.to_string().len();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// Go writes records in the order of their keys.
fn sorted(mut records: Vec<(&str, Vec<u8>)>) -> Vec<u8> {
    records.sort();
    records.into_iter().flat_map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::compression::Compression;
    use crate::image::limits::Limits;
    use crate::image::testing::{Numbers, read};

    fn entry(path: &str, kind: EntryKind, content: &[u8]) -> NewEntry {
        NewEntry { path: path.as_bytes().to_vec(), kind, mode: 0o640, uid: 0, gid: 33, mtime: 1_700_000_000, content: content.to_vec() }
    }

    #[test]
    fn the_same_entries_give_the_same_bytes() {
        let entries = [
            entry("srv", EntryKind::Directory, b""),
            entry("srv/.env.bak", EntryKind::File, b"A=1\n"),
            entry("srv/current", EntryKind::Symlink, b"../opt"),
            entry(&format!("srv/{}/\u{e9}", "long".repeat(40)), EntryKind::File, b""),
        ];
        let layer = write_layer(&entries, 6);
        assert_eq!(layer.bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        assert_eq!(layer, write_layer(&entries, 6));
        assert_eq!(layer.diff_id.short(), "sha256:fbe0e62c13ff");
        assert_eq!(layer.digest.short(), "sha256:b7de1de6475f");
    }

    #[test]
    fn any_entries_come_back_as_they_were_written() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for round in 0..200 {
            let entries: Vec<NewEntry> = (0..numbers.below(12)).map(|index| any_entry(&mut numbers, index)).collect();
            let layer = write_layer(&entries, (round % 10) as u32);
            let (summary, seen) = read(&layer.bytes, &write_tar(&entries), &Limits::default()).unwrap();
            assert_eq!(summary.compression, Compression::Gzip);
            assert_eq!(summary.anomalies, Vec::<String>::new());
            assert_eq!(seen.compressed, layer.bytes.len() as u64);
            assert_eq!(summary.listing.len(), entries.len());
            for new in &entries {
                let node = summary.listing.get(&new.path).unwrap();
                assert_eq!((node.kind, u32::from(node.mode), node.uid, node.gid, node.mtime), (new.kind, new.mode, new.uid, new.gid, new.mtime));
                if matches!(new.kind, EntryKind::Symlink | EntryKind::Hardlink) {
                    assert_eq!(summary.listing.link(&new.path).as_deref(), Some(&new.content[..]));
                }
            }
            let files: Vec<_> = entries.iter().filter(|new| new.kind == EntryKind::File).collect();
            assert_eq!(seen.files.len(), files.len());
            for (new, (entry, data)) in files.iter().zip(&seen.files) {
                assert_eq!((&new.path, &new.content, new.content.len() as u64), (&entry.path, data, entry.size));
            }
        }
    }

    #[test]
    fn a_new_layer_has_the_form_of_its_neighbour() {
        let go = |time, effort, ending| GzipStyle { time, effort, system: 255, ending };
        let tar = TarStyle { gnu: true, type_bits: true, no_devices: true, dot: true, owner: ("root".to_owned(), "wheel".to_owned()), record: true };
        let packings = [
            Packing::Gzip(go([0; 4], 0, Ending::Stored)),
            Packing::Gzip(go([0; 4], 4, Ending::Stored)),
            Packing::Gzip(go([0, 9, 0x6e, 0x88], 0, Ending::StoredAndFixed)),
            Packing::Gzip(GzipStyle { time: [0; 4], effort: 2, system: 3, ending: Ending::Data }),
            Packing::Zstd { checksum: true },
            Packing::Zstd { checksum: false },
        ];
        let mut numbers = Numbers(7);
        for packing in packings {
            for tar in [tar.clone(), TarStyle::default()] {
                for size in [0, 3, 700, 99_000] {
                    let style = LayerStyle { packing, tar: tar.clone() };
                    let data = numbers.bytes(size);
                    let mut entries = vec![entry("srv", EntryKind::Directory, b""), entry("srv/x", EntryKind::File, &data)];
                    entries.iter_mut().for_each(|entry| entry.gid = 0);
                    let layer = write_layer_like(&entries, &style).unwrap();
                    assert_eq!(layer, write_layer_like(&entries, &style).unwrap());
                    let (summary, seen) = read(&layer.bytes, &write_tar_like(&entries, &style.tar), &Limits::default()).unwrap();
                    assert_eq!((summary.style, summary.anomalies.len()), (style, 0));
                    assert!(seen.files[0].1 == data);
                    assert_eq!(summary.listing.get(b"srv/x").map(|node| node.mode), Some(0o640));
                }
            }
        }
    }

    #[test]
    fn what_comes_unpacked_is_packed_as_its_neighbours_are() {
        let layer = write_layer_like(&[entry("srv", EntryKind::Directory, b"")], &LayerStyle::default()).unwrap();
        let tar = write_tar(&[entry("srv", EntryKind::Directory, b"")]);
        assert_eq!(layer.bytes[..], gzip_as_packed(&tar).unwrap()[..]);
    }

    fn any_entry(numbers: &mut Numbers, index: u64) -> NewEntry {
        let kind = [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Hardlink][numbers.below(4) as usize];
        // Bytes but `/`, `.` and zero, in components of any length, so that no cleaning is needed.
        let mut component = |longest| -> Vec<u8> {
            let length = 1 + numbers.below(longest);
            numbers
                .bytes(length)
                .into_iter()
                .map(|byte| if matches!(byte, 0 | b'/' | b'.') || numbers.below(3) > 0 { b'a' + byte % 26 } else { byte })
                .collect()
        };
        let mut path = vec![b'0' + index as u8 % 10, b'a' + index as u8];
        for longest in [1, 90, 150] {
            path.push(b'/');
            path.extend(component(longest));
        }
        let target = [component(120), b"/".to_vec(), component(60)].concat();
        let length = [0, 1, 511, 512, 513, 300_000][numbers.below(6) as usize];
        let content = match kind {
            EntryKind::File => numbers.bytes(length),
            EntryKind::Directory | EntryKind::Special => Vec::new(),
            EntryKind::Symlink | EntryKind::Hardlink => target,
        };
        let mtime = [0, 1, -5, 1_700_000_000, 1 << 40][numbers.below(5) as usize];
        let uid = [0, 1000, 2_097_151, 2_097_152, u64::from(u32::MAX)][numbers.below(5) as usize];
        NewEntry { path, kind, mode: (numbers.below(0o10000)) as u32, uid, gid: uid / 2, mtime, content }
    }
}
