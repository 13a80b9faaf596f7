//! Layers whose compression is wrong, odd or a bomb.

use std::io::Write as _;

use serde_json::json;

use crate::common::images::{Packing, digest, github_token};
use crate::common::raw_tar::{end, file};
use crate::hostile::case::Case;
use crate::hostile::case::Expected::{self, Denied, Noted, Passes, Unreadable};
use crate::hostile::picture::{Form, Parts};

const TOKEN: Expected = Denied("github-personal-token");
const TRUNCATED: Expected = Unreadable("truncated");
const EXPANDS: Expected = Unreadable("times its stored size");

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, expected, make) in rows() {
        for form in [Form::Layout, Form::OciArchive, Form::DockerArchive] {
            cases.push(Case::picture(name, form, expected, move || {
                let blob = make();
                Parts::packed(vec![blob], &[digest(&tar())]).picture()
            }));
        }
    }
    for media_type in [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/octet-stream",
        "text/plain; charset=\u{1b}[31m",
        "",
    ] {
        let name = format!("a gzip layer that calls itself {}", media_type.escape_debug());
        cases.push(Case::picture(&name, Form::Layout, Passes, move || {
            let mut parts = Parts::of(&[tar()], Packing::Gzip);
            parts.layers[0].1["mediaType"] = json!(media_type);
            parts.picture()
        }));
    }
    cases
}

/// What every layer here unpacks to, if it does.
fn tar() -> Vec<u8> {
    [file("etc/os-release", "ID=test\n"), file("app/run", vec![b'r'; 3000]), end()].concat()
}

fn token() -> Vec<u8> {
    github_token(91).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    Packing::Gzip.pack(bytes)
}

/// A gzip header with these flags and fields, and the rest of a member.
fn headed(flags: u8, fields: &[u8]) -> Vec<u8> {
    let member = gzip(&tar());
    [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], fields, &member[10..]].concat()
}

/// These fields, and the checksum of the header that they are in, off by so much.
fn summed(flags: u8, fields: &[u8], off: u16) -> Vec<u8> {
    let sum = crc32fast::hash(&[&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], fields].concat());
    [fields, &u16::try_from(sum & 0xffff).expect("16 bits").wrapping_add(off).to_le_bytes()].concat()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    Packing::Zstd.pack(bytes)
}

fn skippable(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a small frame").to_le_bytes();
    [&[0x5a, 0x2a, 0x4d, 0x18], &length[..], bytes].concat()
}

/// A frame of zeros in runs of 128 KiB, four bytes each.
fn zeros_in_zstd(count: u64) -> Vec<u8> {
    let runs = usize::try_from(count.div_ceil(128 << 10)).expect("few runs");
    // No size, a window of 128 KiB; then run-length blocks, the last of them marked so.
    let run = |last: u32| {
        let head = (last | 1 << 1 | (128 << 10) << 3).to_le_bytes();
        [head[0], head[1], head[2], 0]
    };
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3], &run(0).repeat(runs - 1)[..], &run(1)].concat()
}

fn changed(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let at = bytes.len() - from_end;
    bytes[at] ^= 0x55;
    bytes
}

type Row = (&'static str, Expected, fn() -> Vec<u8>);

fn rows() -> Vec<Row> {
    vec![
        ("two gzip members", Passes, || [gzip(&tar()[..700]), gzip(&tar()[700..])].concat()),
        ("a gzip member for each byte", Passes, || tar().iter().flat_map(|&byte| gzip(&[byte])).collect()),
        ("empty gzip members all about", Passes, || [gzip(b"").repeat(50_000), gzip(&tar()), gzip(b"").repeat(50_000)].concat()),
        ("junk after the gzip data", Noted("after the end of the compressed data"), || [gzip(&tar()), b"junk".to_vec()].concat()),
        ("zeros after the gzip data", Noted("after the end of the compressed data"), || [gzip(&tar()), vec![0; 5000]].concat()),
        ("a secret after the gzip data", TOKEN, || [gzip(&tar()), token()].concat()),
        ("a name in the gzip header", Passes, || headed(8, b"layer.tar\0")),
        ("a secret as the name in the gzip header", TOKEN, || headed(8, &[token(), vec![0]].concat())),
        ("a secret as the comment in the gzip header", TOKEN, || headed(16, &[token(), vec![0]].concat())),
        ("a secret in the extra field of the gzip header", TOKEN, || headed(4, &[vec![40, 0], token()].concat())),
        ("a name of a MiB in the gzip header", Passes, || headed(8, &[vec![b'n'; 1 << 20], vec![0]].concat())),
        ("a name without end in the gzip header", TRUNCATED, || [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3], &[b'n'; 10_000][..]].concat()),
        ("every field in the gzip header", Passes, || headed(4 | 8 | 16 | 2, &summed(4 | 8 | 16 | 2, b"\x02\0xxname\0comment\0", 0))),
        ("a wrong checksum of the gzip header", Unreadable("gzip header is wrong"), || headed(2, &summed(2, b"", 1))),
        ("reserved flags in the gzip header", Unreadable("unknown method or flag"), || headed(0x80, b"")),
        ("another method in the gzip header", Unreadable("unknown method or flag"), || {
            [&[0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 3], &gzip(&tar())[10..]].concat()
        }),
        ("a wrong gzip checksum", Unreadable("gzip checksum is wrong"), || changed(gzip(&tar()), 8)),
        ("a wrong gzip size", Unreadable("gzip checksum is wrong"), || changed(gzip(&tar()), 1)),
        ("damaged gzip data", Unreadable("is malformed"), || changed(gzip(&crate::common::numbers::Numbers(3).bytes(5000)), 2000)),
        ("a deflate block of the reserved type", Unreadable("gzip data is damaged"), || {
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 7], &[0; 100][..]].concat()
        }),
        ("gzip data that ends in its header", TRUNCATED, || gzip(&tar())[..7].to_vec()),
        ("gzip data that ends in the middle", TRUNCATED, || gzip(&tar())[..60].to_vec()),
        ("gzip data that ends in its trailer", TRUNCATED, || {
            let whole = gzip(&tar());
            whole[..whole.len() - 3].to_vec()
        }),
        ("a million empty deflate blocks", Unreadable("malformed"), || {
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &[0, 0, 0, 0xff, 0xff].repeat(1_000_000)[..]].concat()
        }),
        ("a gzip bomb", EXPANDS, || gzip(&vec![0; 8 << 20]).repeat(40)),
        ("a gzip bomb of one file", EXPANDS, || {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&file("z", "")).expect("memory");
            encoder.write_all(&crate::common::raw_tar::Header::new("zeros", b'0').size(8 << 30).seal()).expect("memory");
            [encoder.finish().expect("memory"), gzip(&vec![0; 8 << 20]).repeat(60)].concat()
        }),
        ("a zstd bomb of ten GB in 300 kB", EXPANDS, || zeros_in_zstd(10 << 30)),
        ("gzip in gzip in gzip", Passes, || {
            let inner = [file("a.gz", gzip(&gzip(&gzip(&vec![0; 8 << 20])))), end()].concat();
            assert!(inner.len() < 100_000);
            gzip(&tar())
        }),
        ("two zstd frames", Passes, || [zstd(&tar()[..700]), zstd(&tar()[700..])].concat()),
        ("a hundred thousand empty zstd frames", Passes, || [zstd(b"").repeat(100_000), zstd(&tar())].concat()),
        ("skippable frames all about", Passes, || [skippable(b"a"), zstd(&tar()), skippable(b"b").repeat(1000)].concat()),
        ("a skippable frame of 30 MiB", Passes, || [zstd(&tar()), skippable(&vec![b'x'; 30 << 20])].concat()),
        ("skippable frames of 70 MiB", Unreadable("bytes beside the compressed data"), || {
            [zstd(&tar()), skippable(&vec![b'x'; 35 << 20]).repeat(2)].concat()
        }),
        ("a secret in a skippable frame", TOKEN, || [zstd(&tar()), skippable(&token())].concat()),
        ("a skippable frame that claims four GiB", TRUNCATED, || {
            [zstd(&tar()), vec![0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]].concat()
        }),
        ("a zstd window of 2 GiB", Unreadable("zstd window"), || vec![0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0]),
        ("a zstd window of all bits", Unreadable("zstd"), || vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0]),
        ("a zstd frame with a dictionary", Unreadable("zstd data cannot be read"), || {
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x23, 7, 0, 0, 0, 3, 0x19, 0, 0, b'a', b'b', b'c']
        }),
        ("a zstd frame of the reserved block type", Unreadable("zstd data cannot be read"), || vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3, 7, 0, 0, 0]),
        ("a zstd frame that lies about its size", Unreadable("zstd data cannot be read"), || {
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 0x19, 0, 0, b'a', b'b', b'c']
        }),
        ("damaged zstd data", Unreadable("malformed"), || changed(zstd(&crate::common::numbers::Numbers(4).bytes(5000)), 2000)),
        ("zstd data that ends in the middle", TRUNCATED, || zstd(&tar())[..30].to_vec()),
        ("junk after the zstd data", Noted("after the end of the compressed data"), || [zstd(&tar()), b"junk".to_vec()].concat()),
        ("a secret after the zstd data", TOKEN, || [zstd(&tar()), token()].concat()),
        ("gzip after zstd", Noted("after the end of the compressed data"), || [zstd(&tar()), gzip(b"more")].concat()),
        ("zstd of an old format", Unreadable("sha256:"), || [&[0x27, 0xb5, 0x2f, 0xfd][..], &zstd(&tar())[4..]].concat()),
        ("xz", Unreadable("xz, which is not supported"), || b"\xfd7zXZ\0\0\x04".to_vec()),
        ("bzip2", Unreadable("bzip2, which is not supported"), || b"BZh91AY&SY".to_vec()),
        ("lz4", Unreadable("lz4, which is not supported"), || b"\x04\x22\x4d\x18\x40\x40\xc0".to_vec()),
        ("lzip", Unreadable("sha256:"), || b"LZIP\x01\x0c".repeat(100)),
        ("compress", Unreadable("sha256:"), || b"\x1f\x9d\x90xyz".repeat(100)),
        ("a zip file", Unreadable("sha256:"), || b"PK\x03\x04\x14\0".repeat(100)),
        ("an encrypted layer", Unreadable("sha256:"), || crate::common::numbers::Numbers(5).bytes(5000)),
        ("another tar than the config says", Unreadable("should have diffID"), || gzip(&[file("other", "1"), end()].concat())),
        ("a byte more than the config says", Unreadable("should have diffID"), || gzip(&[tar(), vec![0]].concat())),
        ("estargz: a member for each part, and a footer in an extra field", Passes, || {
            let footer =
                [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0][..], b"0000000000000400STARGZ", &[1, 0, 0, 0xff, 0xff], &[0; 8]]
                    .concat();
            [gzip(&tar()[..512]), gzip(&tar()[512..1024]), gzip(&tar()[1024..]), footer].concat()
        }),
    ]
}
