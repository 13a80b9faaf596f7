//! Images with files that are archives, databases or programs, and lie, are bombs, or never end.

use std::io::Write as _;

use crate::common::images::{Packing, github_token};
use crate::common::numbers::Numbers;
use crate::common::raw_tar::{Header, end, entry, file, with_data};
use crate::hostile::case::Case;
use crate::hostile::case::Expected::{self, Denied, Passes, Told};
use crate::hostile::parts_of;
use crate::hostile::picture::Form;

/// Packs bytes.
type Pack = fn(&[u8]) -> Vec<u8>;

const TOKEN: Expected = Denied("github-personal-token");
const LARGE: Expected = Denied("unscanned-too-large");
const UNKNOWN: Expected = Denied("unscanned-unknown-archive");
const DAMAGED: Expected = Told("unscanned-damaged-archive");
const MISLEADING: Expected = Denied("unscanned-misleading-archive");
const LOCKED: Expected = Told("unscanned-encrypted-archive");

pub(crate) fn cases() -> Vec<Case> {
    let rows = [compressed(), zips(), archives(), databases(), packs(), programs()].concat();
    let picture = |make: fn() -> Vec<u8>, name: &'static str| parts_of(&[file(path_of(name), make()), end()].concat()).picture();
    rows.into_iter().map(|(name, expected, make)| Case::picture(name, Form::Layout, expected, move || picture(make, name))).collect()
}

/// A small sound file of every kind that is looked into.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let tar = [file("etc/a", "text"), end()].concat();
    let record = page(512, &[300], (300, &cell(600, &[&[b'x'; 95][..], &[0, 0, 0, 3]].concat())));
    vec![
        gzip(&tar),
        zstd(&tar),
        bzip2(b"text"),
        lz4(b"text"),
        zlib(b"blob 4\0text"),
        xz(&[(4, b"text")]),
        [stored("a.tar", &tar), deflated("b", b"text"), member("c", 8, 8, (0, 0), &deflate(b"text")), directory()].concat(),
        deb(&[ar_member("data.tar.gz", &gzip(&tar).len().to_string(), &gzip(&tar))]),
        rpm(0, 0, &gzip(&cpio_member(b"a\0", 4, 2, b"text"))),
        [cpio_member(b"a\0", 4, 2, b"text"), cpio_member(b"TRAILER!!!\0", 0, 11, b"")].concat(),
        database(512, 1, &[record.clone(), overflow(0, &[b'y'; 508])]),
        database(512, 2, &[record, overflow(0, &[b'y'; 508])]),
        pack(2, &[object(3, 4, b"", b"text"), object(6, 4, &back(object(3, 4, b"", b"text").len()), &[4, 4, 0x90, 4])].concat()),
        bytecode(b"z\x0da text so long"),
        class(4, &[constant(b"Code"), vec![5; 9]].concat()),
        tar,
    ]
}

/// The name matters to none of them; an ordinary folder, so that nothing counts as other people's code.
fn path_of(name: &str) -> String {
    format!("srv/{}", name.split(' ').next_back().unwrap_or("file"))
}

type Row = (&'static str, Expected, fn() -> Vec<u8>);

fn token() -> Vec<u8> {
    github_token(92).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    Packing::Gzip.pack(bytes)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    Packing::Zstd.pack(bytes)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zeros(mib: usize) -> Vec<u8> {
    vec![0; mib << 20]
}

/// So many times the same compression, one around the other.
fn wrapped(times: usize, mut bytes: Vec<u8>, pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    for _ in 0..times {
        bytes = pack(&bytes);
    }
    bytes
}

/// A number as xz writes it.
fn xz_number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn summed(bytes: &[u8]) -> Vec<u8> {
    [bytes, &crc32fast::hash(bytes).to_le_bytes()].concat()
}

/// A stream of blocks without a checksum, each of a dictionary's size (0 to 40, as in the file) and data that is stored as it is.
fn xz(blocks: &[(u8, &[u8])]) -> Vec<u8> {
    let mut stream = [&b"\xfd7zXZ\0"[..], &summed(&[0, 0])].concat();
    let mut records = Vec::new();
    for (dictionary, data) in blocks {
        let header = summed(&[2, 0, 0x21, 1, *dictionary, 0, 0, 0]);
        let mut body = Vec::new();
        for (number, piece) in data.chunks(1 << 16).enumerate() {
            let length = u16::try_from(piece.len() - 1).expect("a chunk").to_be_bytes();
            body.extend([&[if number == 0 { 1 } else { 2 }][..], &length, piece].concat());
        }
        body.push(0);
        records.extend([xz_number((header.len() + body.len()) as u64), xz_number(data.len() as u64)].concat());
        body.resize(body.len().next_multiple_of(4), 0);
        stream.extend([header, body].concat());
    }
    let mut index = [&[0][..], &xz_number(blocks.len() as u64), &records].concat();
    index.resize(index.len().next_multiple_of(4), 0);
    let index = summed(&index);
    let footer = [&u32::try_from(index.len() / 4 - 1).expect("small").to_le_bytes()[..], &[0, 0]].concat();
    [&stream[..], &index, &crc32fast::hash(&footer).to_le_bytes(), &footer, b"YZ"].concat()
}

fn compressed() -> Vec<Row> {
    vec![
        ("a bomb of gzip members x.gz", LARGE, || gzip(&zeros(8)).repeat(60)),
        ("a bomb in a bomb x.gz.gz", LARGE, || gzip(&gzip(&zeros(8)).repeat(100))),
        ("a bomb that is large only once the layer is unpacked x.gz", LARGE, || gzip(&zeros(8)).repeat(2000)),
        ("gzip fifty deep x", LARGE, || wrapped(50, token(), gzip)),
        ("gzip six deep around a secret x", TOKEN, || wrapped(6, token(), gzip)),
        ("every compression one in another x", LARGE, || {
            let packs: [Pack; 6] = [gzip, zstd, bzip2, lz4, zlib, |bytes| xz(&[(0, bytes)])];
            packs.into_iter().cycle().take(12).fold(token(), |bytes, pack| pack(&bytes))
        }),
        ("a million empty gzip members x.gz", Passes, || gzip(b"").repeat(1_000_000)),
        ("a gzip header without end x.gz", DAMAGED, || [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], &vec![b'n'; 1 << 20][..]].concat()),
        ("gzip that ends at once x.gz", DAMAGED, || vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
        ("a million empty deflate blocks x.gz", DAMAGED, || {
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &[0, 0, 0, 0xff, 0xff].repeat(1_000_000)[..]].concat()
        }),
        ("a bzip2 bomb x.bz2", LARGE, || bzip2(&zeros(45)).repeat(10)),
        ("a thousand empty bzip2 streams x.bz2", Passes, || bzip2(b"").repeat(1000)),
        ("a hundred thousand empty bzip2 streams x.bz2", LARGE, || bzip2(b"").repeat(100_000)),
        ("bzip2 with a damaged block x.bz2", DAMAGED, || {
            let mut bytes = bzip2(&Numbers(11).bytes(20_000));
            bytes[5000] ^= 0xff;
            bytes
        }),
        ("a zstd bomb x.zst", LARGE, || zstd(&zeros(8)).repeat(60)),
        ("a zstd window of 2 GiB x.zst", LARGE, || vec![0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0]),
        ("a zstd window of all bits x.zst", LARGE, || vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0]),
        ("a hundred thousand empty zstd frames x.zst", Passes, || zstd(b"").repeat(100_000)),
        ("a skippable frame of 30 MiB x.zst", LARGE, || {
            let length = u32::to_le_bytes(30 << 20);
            [&zstd(b"text")[..], &[0x5a, 0x2a, 0x4d, 0x18], &length, &vec![b'x'; 30 << 20]].concat()
        }),
        ("a zstd frame with a dictionary x.zst", DAMAGED, || vec![0x28, 0xb5, 0x2f, 0xfd, 0x23, 7, 0, 0, 0, 3, 0x19, 0, 0, b'a', b'b', b'c']),
        ("an lz4 bomb x.lz4", LARGE, || lz4(&zeros(8)).repeat(60)),
        ("a hundred thousand empty lz4 frames x.lz4", Told("\"outcome\":\"passed\""), || lz4(b"").repeat(100_000)),
        ("an lz4 frame of reserved flags x.lz4", Told("unscanned-"), || [&[0x04, 0x22, 0x4d, 0x18, 0xff, 0xff, 0xff], &[0xff; 100][..]].concat()),
        ("an xz dictionary of 4 GiB x.xz", Passes, || xz(&[(40, b"text")])),
        ("an xz dictionary of 4 GiB and a secret x.xz", TOKEN, || xz(&[(40, &token())])),
        ("an xz dictionary of 4 GiB with 40 MiB behind it x.xz", LARGE, || xz(&[(40, &zeros(40))])),
        ("an xz dictionary of 4 GiB in the second block x.xz", LARGE, || xz(&[(0, b"text"), (40, &zeros(40))])),
        ("an xz dictionary of 4 GiB in the second stream x.xz", LARGE, || [xz(&[(0, b"text")]), xz(&[(40, &zeros(40))])].concat()),
        ("a thousand xz dictionaries of 16 MiB x.xz", Passes, || xz(&[(24, b"text")]).repeat(1000)),
        ("twenty thousand xz blocks x.xz", Passes, || xz(&vec![(0, &b"text"[..]); 20_000])),
        ("a hundred thousand empty xz streams x.xz", Passes, || xz(&[]).repeat(100_000)),
        ("xz cut in its block x.xz", DAMAGED, || xz(&[(20, &token())])[..30].to_vec()),
        ("xz whose index lies x.xz", DAMAGED, || {
            let mut bytes = xz(&[(0, &[b'x'; 1000])]);
            let at = bytes.len() - 20;
            bytes[at] ^= 0xff;
            bytes
        }),
        ("a zlib bomb x", LARGE, || zlib(&zeros(300))),
    ]
}

/// A member's local header and data; `packed` and `whole` are what it claims.
fn member(name: &str, flags: u16, method: u16, (packed, whole): (u32, u32), data: &[u8]) -> Vec<u8> {
    let numbers = [&flags.to_le_bytes()[..], &method.to_le_bytes(), &[0; 8], &packed.to_le_bytes(), &whole.to_le_bytes()].concat();
    let lengths = [u16::try_from(name.len()).expect("a name").to_le_bytes(), [0, 0]].concat();
    [&b"PK\x03\x04\x14\0"[..], &numbers, &lengths, name.as_bytes(), data].concat()
}

fn sizes(packed: usize, whole: usize) -> (u32, u32) {
    (u32::try_from(packed).expect("small"), u32::try_from(whole).expect("small"))
}

fn stored(name: &str, data: &[u8]) -> Vec<u8> {
    member(name, 0, 0, sizes(data.len(), data.len()), data)
}

fn deflated(name: &str, data: &[u8]) -> Vec<u8> {
    let packed = deflate(data);
    member(name, 0, 8, sizes(packed.len(), data.len()), &packed)
}

/// Where a directory of no members ends.
fn directory() -> Vec<u8> {
    [&b"PK\x05\x06"[..], &[0; 18]].concat()
}

fn many(count: usize, make: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(make).collect()
}

fn zips() -> Vec<Row> {
    vec![
        ("zips in zips in zips, four GB in all 42.zip", LARGE, || {
            let leaf = deflated("zeros", &zeros(16));
            let layer = |inner: &[u8]| many(16, |number| deflated(&format!("{number}.zip"), inner));
            layer(&layer(&leaf))
        }),
        ("members that quote one another overlap.zip", Passes, || {
            // The data of each is a stored block of the next one's header, and then the next one's data.
            let kernel = deflate(&zeros(16));
            let mut whole = member("last", 0, 8, sizes(kernel.len(), 16 << 20), &kernel);
            let (mut head, mut data) = (whole.len() - kernel.len(), kernel);
            for number in 0..250 {
                let length = u16::try_from(head).expect("a header").to_le_bytes();
                let quote = [&[0][..], &length, &length.map(|byte| !byte), &whole[..head]].concat();
                data = [quote, data].concat();
                let name = format!("{number:05}");
                whole = member(&name, 0, 8, sizes(data.len(), 16 << 20), &data);
                head = whole.len() - data.len();
            }
            whole
        }),
        ("two hundred thousand members many.zip", Passes, || member("a", 0, 0, (0, 0), b"").repeat(200_000)),
        ("a hundred thousand members with names of 600 bytes names.zip", Passes, || {
            let name = "n".repeat(600);
            member(&name, 0, 0, (0, 0), b"").repeat(100_000)
        }),
        ("members in a file with a long name paths.zip", LARGE, || {
            let inner = member("a", 0, 0, (0, 0), b"").repeat(500_000);
            stored(&"n".repeat(60_000), &inner)
        }),
        ("members with a byte of junk between them junk.zip", Passes, || [member("a", 0, 0, (0, 0), b""), vec![b'j']].concat().repeat(50_000)),
        ("marks of members and nothing else marks.zip", Told("\"outcome\":\"passed\""), || {
            [stored("a", b"text"), b"PK\x03\x04\xff".repeat(1_000_000)].concat()
        }),
        ("a packed size of 4 GiB size.zip", DAMAGED, || member("a", 0, 0, (u32::MAX - 1, 10), b"text")),
        ("a packed size of 4 GiB before a secret size.zip", TOKEN, || {
            [member("a", 0, 0, (u32::MAX - 1, 10), b"text"), stored("b", &[b"\n".to_vec(), token()].concat())].concat()
        }),
        ("a packed size of nothing size.zip", TOKEN, || {
            let packed = deflate(&token());
            member("a", 0, 8, (0, 0), &packed)
        }),
        ("a size of 64 bits that is all ones size64.zip", DAMAGED, || {
            let extra = [&[1, 0, 16, 0][..], &[0xff; 16]].concat();
            let mut bytes = member("a", 0, 0, (u32::MAX, u32::MAX), &extra);
            bytes[28..30].copy_from_slice(&20_u16.to_le_bytes());
            bytes
        }),
        ("an extra field that is longer than it is extra.zip", DAMAGED, || {
            let mut bytes = stored("a", b"text");
            bytes[28..30].copy_from_slice(&60_000_u16.to_le_bytes());
            bytes
        }),
        ("a secret behind a directory in the middle middle.zip", TOKEN, || {
            [stored("a", b"text"), directory(), deflated("b", &[&vec![b'x'; 3000][..], b" ", &token()].concat()), directory()].concat()
        }),
        ("a size that hides a member from those who read from the front hidden.zip", MISLEADING, || {
            let hidden = deflated("b", &[&vec![b'x'; 3000][..], b" ", &token()].concat());
            let before = [member("a", 0, 0, (hidden.len() as u32 + 4, 4), b"text"), hidden].concat();
            let entry = |method: u8, packed: u32, offset: u32| {
                let sizes = [packed.to_le_bytes(), 3000_u32.to_le_bytes()].concat();
                [&b"PK\x01\x02\x14\0\x14\0\0\0"[..], &[method, 0], &[0; 8], &sizes, &[1, 0], &[0; 12], &offset.to_le_bytes(), b"b"].concat()
            };
            let entries = [entry(0, 4, 0), entry(8, before.len() as u32 - 66, 35)].concat();
            let place = [(entries.len() as u32).to_le_bytes(), (before.len() as u32).to_le_bytes()].concat();
            [&before, &entries, &b"PK\x05\x06"[..], &[0; 8], &place, &[0; 2]].concat()
        }),
        ("encrypted members locked.zip", LOCKED, || many(1000, |number| member(&number.to_string(), 1, 8, (20, 20), &[7; 20]))),
        ("an encrypted member without a size before a secret locked.zip", TOKEN, || {
            [member("a", 9, 8, (0, 0), &[7; 50]), deflated("b", &[&vec![b'x'; 3000][..], b" ", &token()].concat())].concat()
        }),
        ("members of every method methods.zip", UNKNOWN, || many(100, |number| member("a", 0, number as u16 + 20, (4, 4), b"data"))),
        ("a thousand damaged members damaged.zip", LARGE, || many(1000, |_| member("a", 0, 8, (4, 4), &[0xff; 4]))),
        ("zips thirty deep deep.zip", LARGE, || wrapped(30, token(), |bytes| stored("a.zip", bytes))),
    ]
}

fn cpio_member(name: &[u8], size: u32, name_size: u32, data: &[u8]) -> Vec<u8> {
    let field = |value: u32| format!("{value:08x}");
    let mut fields = vec![field(0); 13];
    (fields[6], fields[11]) = (field(size), field(name_size));
    let mut bytes = [b"070701", fields.concat().as_bytes(), name].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn ar_member(name: &str, size: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, "100644").into_bytes();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    bytes
}

fn deb(members: &[Vec<u8>]) -> Vec<u8> {
    [b"!<arch>\n".to_vec(), ar_member("debian-binary", "4", b"2.0\n"), members.concat()].concat()
}

fn rpm(entries: u32, length: u32, rest: &[u8]) -> Vec<u8> {
    let header = |entries: u32, length: u32| [&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0][..], &entries.to_be_bytes(), &length.to_be_bytes()].concat();
    [&[0xed, 0xab, 0xee, 0xdb, 3, 0][..], &[0; 90], &header(0, 0), &header(entries, length), rest].concat()
}

fn archives() -> Vec<Row> {
    vec![
        ("tars twenty deep deep.tar", LARGE, || wrapped(20, token(), |bytes| [file("a.tar", bytes), end()].concat())),
        ("a tar whose member is longer than it is lie.tar", DAMAGED, || {
            [file("a", "text"), with_data(Header::new("b", b'0').size(8 << 30).seal(), b"more"), end()].concat()
        }),
        ("sixty MiB of extended headers before an entry headers.tar", LARGE, || {
            let global = entry("g", b'g', &[b"1000000 comment=".to_vec(), vec![b'c'; 1_000_000 - 17], b"\n".to_vec()].concat());
            [global.repeat(60), file("a", "text"), end()].concat()
        }),
        ("a hundred thousand members of a tar many.tar", Passes, || [file("a", "").repeat(100_000), end()].concat()),
        ("a gzip bomb in a tar in a zip x.zip", LARGE, || stored("a.tar", &[file("a.gz", gzip(&zeros(8)).repeat(60)), end()].concat())),
        ("cpio with a size of 4 GiB lie.cpio", DAMAGED, || cpio_member(b"a\0", u32::MAX, 2, b"text")),
        ("cpio with a name of 4 GiB name.cpio", DAMAGED, || cpio_member(b"a\0", 0, u32::MAX, b"")),
        ("cpio with names of nothing name.cpio", Passes, || cpio_member(b"", 4, 0, b"text").repeat(1000)),
        ("eight MiB of zeros in a cpio zeros.cpio", TOKEN, || {
            [cpio_member(b"a\0", 4, 2, b"text"), zeros(8), cpio_member(b"b\0", 40, 2, &token())].concat()
        }),
        ("cpios one after another, each the rest of the one before rest.cpio", LARGE, || {
            let pack = |bytes: &[u8]| [cpio_member(b"a\0", 4, 2, b"text"), gzip(bytes)].concat();
            wrapped(20, token(), pack)
        }),
        ("a deb whose member is longer than it is lie.deb", DAMAGED, || deb(&[ar_member("data.tar", "9999999999", b"text")])),
        ("a deb whose size is a word word.deb", DAMAGED, || deb(&[ar_member("data.tar", "many", b"text")])),
        ("a deb whose size is negative minus.deb", DAMAGED, || deb(&[ar_member("data.tar", "-4", b"text")])),
        ("a hundred thousand members of a deb many.deb", Passes, || deb(&[ar_member("a", "0", b"").repeat(100_000)])),
        ("an rpm with headers of 70 GB lie.rpm", DAMAGED, || rpm(u32::MAX, u32::MAX, b"text")),
        ("an rpm with the wrong mark mark.rpm", DAMAGED, || [&[0xed, 0xab, 0xee, 0xdb, 3, 0][..], &[0; 400]].concat()),
        ("an rpm in an rpm in an rpm deep.rpm", LARGE, || wrapped(10, token(), |bytes| rpm(0, 0, bytes))),
        ("an archive of seven 7-Zip x.7z", UNKNOWN, || [&b"7z\xbc\xaf\x27\x1c\0\x04"[..], &[0; 1000]].concat()),
    ]
}

/// A number as SQLite writes it.
fn varint(value: u64) -> Vec<u8> {
    let mut bytes = vec![(value & 0x7f) as u8];
    let mut rest = value >> 7;
    while rest > 0 {
        bytes.insert(0, (rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes
}

/// A file of pages of so many bytes; the first has the file's header and no cells.
fn database(size: usize, encoding: u8, pages: &[Vec<u8>]) -> Vec<u8> {
    let mut first = [&b"SQLite format 3\0"[..], &u16::try_from(size).unwrap_or(1).to_be_bytes(), &[1, 1, 0, 64, 32, 32]].concat();
    first.resize(100, 0);
    first[59] = encoding;
    first.push(0x0d);
    [vec![first], pages.to_vec()]
        .concat()
        .into_iter()
        .flat_map(|mut page| {
            page.resize(size, 0);
            page
        })
        .collect()
}

/// A page of a table whose cells are found at these places, and what stands from a place on.
fn page(size: usize, cells: &[u16], (at, bytes): (usize, &[u8])) -> Vec<u8> {
    let mut page = [&[0x0d, 0, 0][..], &u16::try_from(cells.len()).expect("few").to_be_bytes(), &[0, 0, 0]].concat();
    page.extend(cells.iter().flat_map(|cell| cell.to_be_bytes()));
    page.resize(size, 0);
    page[at..at + bytes.len()].copy_from_slice(bytes);
    page
}

/// A cell of one text, as far as it goes on here: the row's whole length may be more.
fn cell(whole: u64, text: &[u8]) -> Vec<u8> {
    let kind = varint(whole * 2 + 13);
    let header = kind.len() as u64 + 1;
    [varint(header + whole), varint(1), vec![header as u8], kind, text.to_vec()].concat()
}

/// A page on which a row goes on.
fn overflow(next: u32, content: &[u8]) -> Vec<u8> {
    [&next.to_be_bytes()[..], content].concat()
}

fn databases() -> Vec<Row> {
    vec![
        ("a page whose cells are all the same overlap.db", Told("\"outcome\":\"passed\""), || {
            let text = cell(32_000, &[b'x'; 32_000]);
            let page = page(65_536, &[33_000; 16_000], (33_000, &text));
            database(65_536, 1, &vec![page; 16])
        }),
        ("pages whose cells hold nothing, all the same empty.db", Told("\"outcome\":\"passed\""), || {
            let record = [varint(32_000), varint(1), varint(31_990), vec![0; 32_000]].concat();
            let page = page(65_536, &[33_000; 16_000], (33_000, &record));
            database(65_536, 1, &vec![page; 16])
        }),
        ("a row that goes round in a circle circle.db", Passes, || {
            let start = page(512, &[300], (300, &[cell(1 << 30, &[b'x'; 150]), vec![0; 40]].concat()));
            database(512, 1, &[start, overflow(4, &[b'y'; 508]), overflow(3, &[b'z'; 508])])
        }),
        ("a row that goes on in itself itself.db", Passes, || {
            let text = cell(1 << 30, &[b'x'; 100]);
            database(512, 1, &vec![page(512, &[200], (200, &[&text[..], &[0, 0, 0, 2].repeat(40)].concat())); 1000])
        }),
        ("rows that all wait for a page wait.db", Passes, || {
            let make = |number: u32| {
                let next = (1_000_000 + number).to_be_bytes().repeat(70);
                page(512, &[150], (150, &[&cell(4000, &[b'x'; 40])[..], &next].concat()))
            };
            database(512, 1, &(0..40_000).map(make).collect::<Vec<_>>())
        }),
        ("pages that all wait for a row wait.db", Passes, || database(512, 1, &vec![overflow(9, &[b'y'; 508]); 100_000])),
        ("a row of a GB that is there a.db", Passes, || {
            let rows = page(4096, &[2000], (2000, &[cell(1 << 30, &[b'x'; 1000]), [0, 0, 0, 3].repeat(200)].concat()));
            let pages = (0..5000).map(|number| overflow(number + 4, &[b'y'; 4092]));
            database(4096, 1, &std::iter::once(rows).chain(pages).collect::<Vec<_>>())
        }),
        ("cells outside of their page outside.db", Passes, || database(512, 1, &[page(512, &[600, 65_535, 511, 510, 0, 1], (300, b"text"))])),
        ("more cells than a page has room for count.db", Passes, || {
            let mut page = page(512, &[300], (300, b"text"));
            page[3..5].fill(0xff);
            database(512, 1, &vec![page; 1000])
        }),
        ("a text of more bytes than there are text.db", Passes, || {
            let record = [varint(200), varint(1), vec![10], vec![0xff; 9], b"text".repeat(50)].concat();
            database(512, 2, &[page(512, &[280], (280, &record))])
        }),
        ("pages of no size size.db", DAMAGED, || {
            database(512, 1, &[]).iter().enumerate().map(|(at, byte)| if at == 16 || at == 17 { 0 } else { *byte }).collect()
        }),
        ("pages that are all reserved reserved.db", DAMAGED, || {
            database(512, 1, &[]).iter().enumerate().map(|(at, byte)| if at == 20 { 255 } else { *byte }).collect()
        }),
        ("a database that is cut cut.db", DAMAGED, || database(512, 1, &[page(512, &[300], (300, b"text"))])[..900].to_vec()),
    ]
}

/// An object of a pack: its kind, the size that it claims, what stands before the data, the data.
fn object(kind: u8, size: usize, before: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | (size & 15) as u8 | if size > 15 { 0x80 } else { 0 }];
    let mut left = size >> 4;
    while left > 0 {
        bytes.push((left & 0x7f) as u8 | if left > 0x7f { 0x80 } else { 0 });
        left >>= 7;
    }
    [bytes, before.to_vec(), zlib(data)].concat()
}

/// A base so many bytes back.
fn back(mut distance: usize) -> Vec<u8> {
    let mut bytes = vec![(distance & 0x7f) as u8];
    while distance > 0x7f {
        distance = (distance >> 7) - 1;
        bytes.insert(0, (distance & 0x7f) as u8 | 0x80);
    }
    bytes
}

fn pack(count: u32, objects: &[u8]) -> Vec<u8> {
    [&b"PACK\0\0\0\x02"[..], &count.to_be_bytes(), objects, &[1; 20]].concat()
}

/// A blob of a MiB and many differences, each of these steps, to it or in a chain.
fn differences(count: usize, is_chain: bool, steps: &[u8]) -> Vec<u8> {
    let mut bytes = object(3, 1 << 20, b"", &zeros(1));
    let mut last = bytes.len();
    let delta = [&[0x80, 0x80, 0x40, 0x80, 0x80, 0x40][..], steps].concat();
    for _ in 0..count {
        let next = object(6, delta.len(), &back(if is_chain { last } else { bytes.len() }), &delta);
        last = next.len();
        bytes.extend(next);
    }
    pack(u32::try_from(count + 1).expect("few"), &bytes)
}

fn packs() -> Vec<Row> {
    vec![
        ("differences to an object that is long gone gone.pack", Passes, || differences(5000, false, &[0xf0, 0, 0, 0x10])),
        ("differences that each make a MiB of a few bytes mib.pack", LARGE, || differences(5000, true, &[0xf0, 0, 0, 0x10])),
        ("differences that each would make more than a MiB more.pack", Passes, || differences(20_000, false, &[0xf0, 0, 0, 0x10, 0x90, 1])),
        ("a difference to itself itself.pack", Passes, || pack(1, &object(6, 4, &[0], &[4, 4, 0x90, 4]))),
        ("a difference to what comes before the pack before.pack", Passes, || pack(1, &object(6, 4, &back(1 << 40), &[4, 4, 0x90, 4]))),
        ("differences in a circle of names circle.pack", Passes, || pack(2, &object(7, 4, &[7; 20], &[4, 4, 0x90, 4]).repeat(2))),
        ("a chain of ten thousand differences chain.pack", Passes, || {
            let mut bytes = object(3, 4, b"", b"text");
            let mut last = bytes.len();
            for _ in 0..10_000 {
                let next = object(6, 4, &back(last), &[4, 4, 0x90, 4]);
                last = next.len();
                bytes.extend(next);
            }
            pack(10_001, &bytes)
        }),
        ("four thousand million objects count.pack", DAMAGED, || pack(u32::MAX, &object(3, 4, b"", b"text"))),
        ("a hundred thousand empty objects empty.pack", Passes, || pack(100_000, &object(3, 0, b"", b"").repeat(100_000))),
        ("an object that is longer than it says long.pack", DAMAGED, || pack(1, &object(3, 4, b"", &zeros(16)))),
        ("an object that is shorter than it says short.pack", DAMAGED, || pack(1, &object(3, 400_000, b"", b"text"))),
        ("an object that says a hundred bits size.pack", DAMAGED, || pack(1, &[&[0xbf][..], &[0xff; 14], &zlib(b"text")].concat())),
        ("an object that is a bomb bomb.pack", LARGE, || pack(1, &object(3, 300 << 20, b"", &zeros(300)))),
        ("a difference of steps that lead nowhere steps.pack", Passes, || pack(1, &object(6, 12, &[0], &[4, 4, 0xff, 1, 2, 3, 4, 5, 6, 7, 0, 9]))),
        ("an object of an unknown kind kind.pack", DAMAGED, || pack(1, &object(5, 4, b"", b"text"))),
    ]
}

fn bytecode(body: &[u8]) -> Vec<u8> {
    [&[0xcb, 0x0d, b'\r', b'\n', 0, 0, 0, 0][..], &[1; 8], &[0xe3], body].concat()
}

fn class(count: u16, constants: &[u8]) -> Vec<u8> {
    [&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52][..], &count.to_be_bytes(), constants].concat()
}

fn constant(text: &[u8]) -> Vec<u8> {
    [&[1][..], &u16::try_from(text.len()).expect("short").to_be_bytes(), text].concat()
}

/// A class whose texts, with a line break after each, are these bytes, which have one in every 65,536.
fn class_of(mut bytes: &[u8]) -> Vec<u8> {
    let mut constants = Vec::new();
    let mut count = 1;
    while !bytes.is_empty() {
        let reach = bytes.len().min(1 << 16);
        let end = memchr::memrchr(b'\n', &bytes[..reach]).expect("a line break");
        constants.extend(constant(&bytes[..end]));
        bytes = &bytes[end + 1..];
        count += 1;
    }
    class(count, &constants)
}

fn programs() -> Vec<Row> {
    vec![
        ("a million tuples one in another a.pyc", Passes, || bytecode(&[b'(', 1, 0, 0, 0].repeat(1_000_000))),
        ("small tuples one in another a.pyc", Passes, || bytecode(&[b')', 1].repeat(4_000_000))),
        ("letters that all claim a text that is none a.pyc", Passes, || bytecode(&[&[b'z'; 121][..], &[0]].concat().repeat(100_000))),
        ("texts of 4 GiB a.pyc", Passes, || bytecode(&[b's', 0xff, 0xff, 0xff, 0xff].repeat(500_000))),
        ("a class that claims 65,535 constants A.class", DAMAGED, || class(u16::MAX, &constant(b"text"))),
        ("a class with 60,000 texts of 200 bytes A.class", Told("unscanned-too-large"), || class(60_001, &constant(&[b'x'; 200]).repeat(60_000))),
        ("a constant that is longer than the class A.class", DAMAGED, || class(2, &[1, 0xff, 0xff, b'x'])),
        ("a constant of an unknown kind A.class", DAMAGED, || class(2, &[99])),
        ("a class that ends in a number of two places A.class", Passes, || class(2, &[5; 9])),
        ("classes of six MB one in another A.class", LARGE, || {
            let fill = vec![b'\n'; 60_000];
            let inner = class(101, &constant(&fill).repeat(100));
            wrapped(6, [inner, b"\n".to_vec()].concat(), |bytes| [class_of(bytes), b"\n".to_vec()].concat())
        }),
    ]
}
