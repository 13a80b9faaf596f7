//! Sound images with seeded damage: in the file as it lies there, in a document, or in a layer's tar with every digest made right again.

use serde_json::json;

use crate::common::images::{Packing, digest};
use crate::common::numbers::Numbers;
use crate::common::raw_tar::{BLOCK, Header, end, entry, file, pax, record, with_data};
use crate::hostile::case::Case;
use crate::hostile::case::Expected;
use crate::hostile::picture::{CONFIG, Form, MANIFEST, Parts, Picture, write_archive};

/// Mutation `seed`: any outcome will do, as long as it is one of those that are documented.
pub(crate) fn case(seed: u64) -> Case {
    Case::new(format!("mutation {seed}"), Expected::Passes, move |folder| {
        let mut numbers = Numbers(seed);
        let packing = *numbers.pick(&[Packing::Plain, Packing::Gzip, Packing::Zstd]);
        let form = *numbers.pick(&[Form::Layout, Form::OciArchive, Form::DockerArchive]);
        let tars = [tar(&mut numbers), [file("etc/.wh.passwd", ""), file("app/.wh..wh..opq", ""), end()].concat()];
        match numbers.below(10) {
            // The tar reader: damage inside, everything around it right.
            0..5 => {
                let tars = tars.map(|tar| if numbers.one_in(4) { tar } else { damaged_tar(tar, &mut numbers) });
                Parts::of(&tars, packing).picture().write(form, folder)
            }
            // The decoders: a damaged blob whose digest is right.
            5 | 6 => {
                let mut blobs = tars.each_ref().map(|tar| packing.pack(tar));
                damage(&mut blobs[0], &mut numbers);
                let diff_ids = tars.each_ref().map(|tar| digest(tar));
                Parts::packed(blobs.to_vec(), &diff_ids).picture().write(form, folder)
            }
            // The documents: a damaged text whose digest is right.
            7 => document(Parts::of(&tars, packing), &mut numbers).write(if form == Form::DockerArchive { Form::Layout } else { form }, folder),
            // The archive around it all.
            _ => {
                let picture = Parts::of(&tars, packing).picture();
                let (transport, bytes) =
                    if numbers.one_in(2) { ("oci-archive", picture.oci_archive()) } else { ("docker-archive", picture.docker_archive()) };
                let mut bytes = if numbers.one_in(2) { damaged_tar(bytes, &mut numbers) } else { bytes };
                if numbers.one_in(2) {
                    damage(&mut bytes, &mut numbers);
                }
                if numbers.one_in(8) {
                    bytes = packing.pack(&bytes);
                }
                write_archive(transport, folder, &bytes)
            }
        }
    })
}

/// One of some archives that use what the format has.
fn tar(numbers: &mut Numbers) -> Vec<u8> {
    let map = |text: &str| {
        let mut body = text.as_bytes().to_vec();
        body.resize(BLOCK, 0);
        [&body[..], b"abc"].concat()
    };
    let sparse = pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "var/s"), ("GNU.sparse.realsize", "5000")]);
    let old = Header::new("var/old", b'S').field(257, b"ustar  \0").field(386, b"00000000000\0").field(398, b"00000000003\0").size(3);
    let pool = [
        entry("app/", b'5', b""),
        file("app/run", vec![b'r'; 700]),
        file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        [pax(&[("path", "a/long/name/of/a/file"), ("mtime", "1700000000.5"), ("SCHILY.xattr.user.a", "b")]), file("x", "1")].concat(),
        [entry("././@LongLink", b'L', &[b'n'; 200]), file("x", "2")].concat(),
        [entry("././@LongLink", b'K', &[b't'; 200]), entry("link", b'2', b"")].concat(),
        entry("g", b'g', &record("comment", "a global header")),
        [sparse, file("GNUSparseFile.0/s", map("1\n4000\n3\n"))].concat(),
        with_data(old.seal(), b"abc"),
        Header::new("hard", b'1').link("app/run").seal(),
        Header::new("soft", b'2').link("../app/run").seal(),
        Header::new("dev/null", b'3').field(329, b"0000001\0").field(337, b"0000003\0").seal(),
        file("app/config.json", r#"{"user":"app","endpoint":"https://example.com"}"#),
    ];
    let count = 2 + numbers.below(6);
    [(0..count).flat_map(|_| numbers.pick(&pool).clone()).collect(), end()].concat()
}

/// Damage that a reader of tar has to think about: fields of headers, with the checksum made right again.
fn damaged_tar(mut tar: Vec<u8>, numbers: &mut Numbers) -> Vec<u8> {
    for _ in 0..=numbers.below(3) {
        let headers: Vec<usize> = (0..tar.len() / BLOCK).map(|block| block * BLOCK).filter(|&at| &tar[at + 257..at + 262] == b"ustar").collect();
        if headers.is_empty() || numbers.one_in(5) {
            damage(&mut tar, numbers);
            continue;
        }
        let at = *numbers.pick(&headers);
        let header = &mut tar[at..at + BLOCK];
        match numbers.below(8) {
            0 => {
                let sizes: [&[u8]; 8] = [
                    b"00000000000\0",
                    b"77777777777\0",
                    b"00000001000\0",
                    b"-0000000001\0",
                    &[0xff; 12],
                    &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                    &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0],
                    b"            ",
                ];
                header[124..136].copy_from_slice(sizes[numbers.below(sizes.len())]);
            }
            1 => header[156] = *numbers.pick(b"01234567SxgLKXVMDNAZ\0\xff"),
            2 => {
                let size = format!("{:011o}\0", numbers.below(3000));
                header[124..136].copy_from_slice(size.as_bytes());
            }
            3 => header[482] = numbers.byte(),
            4 => header[257..265].copy_from_slice(*numbers.pick(&[b"ustar  \0", b"ustar\x0000", b"\0\0\0\0\0\0\0\0"])),
            5 => {
                let field = *numbers.pick(&[0, 100, 108, 116, 124, 136, 157, 345, 386, 398, 483, 508]);
                header[field + numbers.below(4)] = numbers.byte();
            }
            6 => {
                let names: [&[u8]; 8] = [b"../../x", b"/", b"", b".wh..wh..opq", b"a\x1b[2J\n", b"\xff\xfe", b"manifest.json", b"index.json"];
                let name = names[numbers.below(names.len())];
                header[..100].fill(0);
                header[..name.len()].copy_from_slice(name);
            }
            _ => {
                // The first digits of what follows: lengths of records, pieces of sparse maps.
                let body = at + BLOCK;
                if body + 8 < tar.len() {
                    tar[body + numbers.below(8)] = *numbers.pick(b"0123456789 =\n\0-+x");
                }
                continue;
            }
        }
        seal(&mut tar[at..at + BLOCK]);
    }
    tar
}

fn seal(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Bytes flipped, cut, doubled, moved, overwritten.
pub(crate) fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        if bytes.is_empty() {
            return;
        }
        let start = numbers.below(bytes.len());
        let most = 1 << numbers.below(12);
        let end = (start + 1 + numbers.below(most)).min(bytes.len());
        match numbers.below(8) {
            0..3 => bytes[start] ^= 1 << numbers.below(8),
            3 => bytes[start] = *numbers.pick(&[0, 0xff, 0x7f, 0x80, b'0', b'9', b' ', b'"', b'{', b'[']),
            4 => bytes.truncate(start),
            5 => {
                let piece = bytes[start..end].to_vec();
                let to = numbers.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            6 => drop(bytes.drain(start..end)),
            _ => {
                let noise = numbers.bytes(end - start);
                bytes[start..end].copy_from_slice(&noise);
            }
        }
    }
}

/// An image whose index, manifest or config is damaged, and everything that names it right.
fn document(mut parts: Parts, numbers: &mut Numbers) -> Picture {
    let mut picture = Picture::default();
    let which = numbers.below(3);
    parts.config["rootfs"] = json!({ "type": "layers", "diff_ids": parts.diff_ids });
    parts.config["history"] = json!([{ "created_by": "ADD x" }, { "created_by": "RUN y", "empty_layer": true }, { "created_by": "RUN z" }]);
    let mut config = parts.config.to_string().into_bytes();
    if which == 0 {
        damage_text(&mut config, numbers);
    }
    parts.manifest["config"] = picture.put(CONFIG, &config);
    let mut line = parts.put(&mut picture);
    if which == 1 {
        let hex = line["digest"].as_str().expect("a digest")["sha256:".len()..].to_owned();
        let mut text = picture.files[&format!("blobs/sha256/{hex}")].clone();
        damage_text(&mut text, numbers);
        line = picture.put(MANIFEST, &text);
    }
    let mut index = json!({ "schemaVersion": 2, "manifests": [line] }).to_string().into_bytes();
    if which == 2 {
        damage_text(&mut index, numbers);
    }
    picture.with("index.json", index).with("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// Damage that often leaves valid JSON behind.
fn damage_text(text: &mut Vec<u8>, numbers: &mut Numbers) {
    if numbers.one_in(3) {
        return damage(text, numbers);
    }
    let pieces: [&[u8]; 14] = [
        b"null",
        b"[]",
        b"{}",
        b"-1",
        b"1e999",
        b"\"\"",
        b"true",
        b"18446744073709551616",
        b"\"\\u001b[2J\"",
        b"\"\\ud800\"",
        b"[[[[[[[[[[",
        b",",
        b":",
        b"0.1",
    ];
    // The value after a colon gives way to another.
    let colons: Vec<usize> = memchr::memchr_iter(b':', text).collect();
    if let Some(&colon) = colons.get(numbers.below(colons.len().max(1))) {
        let end = text[colon..].iter().position(|&byte| byte == b',' || byte == b'}').map_or(text.len(), |length| colon + length);
        let piece = pieces[numbers.below(pieces.len())];
        text.splice(colon + 1..end, piece.iter().copied());
    }
}
