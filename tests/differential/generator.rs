//! Archives that a tool could have written, and some that only an enemy would: every dialect, field and contradiction, by seed.

use crate::common::numbers::Numbers;
use crate::common::raw_tar::{BLOCK, Header, end, entry, record, with_data};

/// Archive `seed`.
pub(crate) fn archive(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let count = 1 + numbers.below(6);
    let mut bytes = Vec::new();
    if numbers.one_in(12) {
        bytes.extend(entry("pax_global_header", b'g', &records(&mut numbers, &["comment", "mtime", "path", "size", "uname"])));
    }
    for _ in 0..count {
        bytes.extend(member(&mut numbers));
    }
    match numbers.below(40) {
        0 => {}
        1 => bytes.extend([0; BLOCK]),
        2 => bytes.extend([end(), b"more after the end".to_vec()].concat()),
        3 => bytes.extend([end(), end(), end()].concat()),
        4 => bytes.extend([vec![0; BLOCK], member(&mut numbers), end()].concat()),
        5 => {
            bytes.extend(end());
            let kept = numbers.below(bytes.len());
            bytes.truncate(kept);
        }
        _ => bytes.extend(end()),
    }
    bytes
}

/// Data without zeros, so that holes in sparse files can be told from it.
fn data(numbers: &mut Numbers) -> Vec<u8> {
    let length = match numbers.below(6) {
        0 => 0,
        1 => BLOCK,
        2 => 2 * BLOCK,
        _ => numbers.below(1500),
    };
    (0..length).map(|_| numbers.byte() | 1).collect()
}

fn name(numbers: &mut Numbers) -> Vec<u8> {
    let part = |numbers: &mut Numbers| -> Vec<u8> {
        match numbers.below(14) {
            0 => b"..".to_vec(),
            1 => b".".to_vec(),
            2 => Vec::new(),
            3 => "größe".as_bytes().to_vec(),
            4 => b"\xff\xferaw".to_vec(),
            5 => b"with space".to_vec(),
            6 => b"quo\"te\\back".to_vec(),
            7 => b"new\nline\ttab\x07".to_vec(),
            8 => b".wh.gone".to_vec(),
            9 => b".wh..wh..opq".to_vec(),
            10 => vec![b'n'; 1 + numbers.below(120)],
            _ => format!("f{}", numbers.below(5)).into_bytes(),
        }
    };
    let count = 1 + numbers.below(4);
    let mut name = (0..count).map(|_| part(numbers)).collect::<Vec<_>>().join(&b'/');
    match numbers.below(12) {
        0 => name.insert(0, b'/'),
        1 => name.splice(..0, *b"./").for_each(drop),
        2 if numbers.one_in(4) => name.push(b'/'),
        _ => {}
    }
    name
}

/// Records of an extended header.
fn records(numbers: &mut Numbers, keys: &[&str]) -> Vec<u8> {
    let count = 1 + numbers.below(3);
    (0..count)
        .flat_map(|_| {
            let key = *numbers.pick(keys);
            let value = match key {
                "path" | "linkpath" => name(numbers),
                "size" | "uid" | "gid" => match numbers.below(20) {
                    0 => Vec::new(),
                    1 => b"-1".to_vec(),
                    2 => b"007".to_vec(),
                    3 => b"12x".to_vec(),
                    4 => b"512".to_vec(),
                    5 => b"1.5".to_vec(),
                    _ => numbers.below(1200).to_string().into_bytes(),
                },
                "mtime" | "atime" => b"1700000000.123456789".to_vec(),
                _ => b"a value".to_vec(),
            };
            match numbers.below(60) {
                0 => [b"99 ", key.as_bytes(), b"=", &value, b"\n"].concat(),
                1 => [b"0", &record(key, &value)[..]].concat(),
                2 => record(key, [&value[..], b"\0"].concat()),
                _ => record(key, value),
            }
        })
        .collect()
}

/// One entry with the headers before it. Most have no more than one oddity, or no archive would get past its first entries.
fn member(numbers: &mut Numbers) -> Vec<u8> {
    let name = name(numbers);
    let oddity = numbers.below(12);
    let odd = |which: usize, numbers: &mut Numbers, choices: usize| if oddity == which { numbers.below(choices) } else { usize::MAX };
    let mut before = Vec::new();
    let kind = if oddity == 0 { *numbers.pick(b"gxZDMVNXA7") } else { *numbers.pick(b"0000000\0\x00555123467S") };
    let mut body = if matches!(kind, b'0' | 0 | b'7' | b'Z' | b'A') || oddity == 1 { data(numbers) } else { Vec::new() };
    let mut header = Header::new(&name, kind).size(body.len() as u64);
    match odd(2, numbers, 6) {
        0 => header = header.field(257, &[0; 8]),
        1 => header = header.field(257, b"ustar  \0"),
        2 => header = header.field(345, &name[..name.len().min(130)]),
        3 => header = header.field(257, b"ustar  \0").field(345, b"15076312400\0"),
        4 => header = header.field(508, b"tar\0").field(345, b"star/prefix"),
        5 => header = header.field(257, &[0; 8]).field(345, b"no/prefix"),
        _ => {}
    }
    if matches!(kind, b'1' | b'2') {
        header = header.link(if numbers.one_in(2) { b"../up/and/down".to_vec() } else { name.clone() });
    }
    match odd(3, numbers, 10) {
        0 => header = header.size(numbers.below(2000) as u64),
        1 => {
            let mut size = [0; 12];
            size[0] = 0x80;
            size[4..].copy_from_slice(&(body.len() as u64).to_be_bytes());
            header = header.field(124, &size);
        }
        2 => header = header.field(124, format!("{:o} ", body.len()).as_bytes()),
        3 => header = header.field(124, format!("{:>11o}\0", body.len()).as_bytes()),
        4 => header = header.field(124, format!("{:012o}", body.len()).as_bytes()),
        5 => header = header.field(124, b"\x0000000000000"),
        6 => header = header.field(124, b"            "),
        7 => header = header.field(124, b"12 345\0\0\0\0\0\0"),
        8 => header = header.field(124, &[0xff; 12]),
        9 => header = header.field(124, b"0o000000012\0"),
        _ => {}
    }
    match if matches!(oddity, 4 | 5) { numbers.below(16) } else { usize::MAX } {
        0 | 1 => before.extend(entry("././@LongLink", b'L', &[&crate::differential::generator::name(numbers)[..], b"\0"].concat())),
        2 => before.extend(entry("././@LongLink", b'K', &[&crate::differential::generator::name(numbers)[..], b"\0"].concat())),
        3..6 => before.extend(entry("x", b'x', &records(numbers, &["path", "linkpath", "size", "mtime", "uid", "comment", "SCHILY.xattr.user.a"]))),
        6 => {
            // A size that is right where the header's is not.
            before.extend(entry("x", b'x', &record("size", body.len().to_string())));
            header = header.size(*numbers.pick(&[0, 512, 1024]));
        }
        7 => {
            before.extend(entry("x", b'x', &records(numbers, &["path", "mtime"])));
            before.extend(entry("././@LongLink", b'L', &[&crate::differential::generator::name(numbers)[..], b"\0"].concat()));
        }
        8 if numbers.one_in(3) => {
            before.extend(entry("x", b'x', &records(numbers, &["path"])));
            before.extend(entry("x", b'x', &records(numbers, &["path"])));
        }
        9 if numbers.one_in(3) => {
            before.extend(entry("x", b'x', &records(numbers, &["path"])));
            before.extend(entry("g", b'g', &record("comment", "in between")));
        }
        10 if kind == b'0' => return sparse(&name, numbers),
        _ => {}
    }
    if kind == b'S' {
        return sparse(&name, numbers);
    }
    if matches!(kind, b'x' | b'g') {
        body = records(numbers, &["path", "mtime", "comment"]);
        header = header.size(body.len() as u64);
    }
    let sealed = match odd(6, numbers, 8) {
        0 => header.seal_signed(),
        1 => header.raw(),
        _ => header.seal(),
    };
    let mut bytes = [before, with_data(sealed, &body)].concat();
    if oddity == 7
        && numbers.one_in(3)
        && let Some(last) = bytes.last_mut()
    {
        *last |= 1;
    }
    bytes
}

/// A file with holes, in one of the four forms.
fn sparse(name: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let pieces: Vec<(usize, Vec<u8>)> =
        (0..1 + numbers.below(3)).map(|piece| (piece * 4096, (0..1 + numbers.below(600)).map(|_| numbers.byte() | 1).collect())).collect();
    let stored: Vec<u8> = pieces.iter().flat_map(|(_, data)| data.clone()).collect();
    let real = pieces.last().map_or(0, |(at, data)| at + data.len()) + if numbers.one_in(2) { 100 } else { 0 };
    let text = String::from_utf8_lossy(name).into_owned();
    let numbers_of = |separator: &str| pieces.iter().map(|(at, data)| format!("{at}{separator}{}", data.len())).collect::<Vec<_>>();
    match numbers.below(4) {
        0 => {
            let mut header = Header::new(name, b'S').field(257, b"ustar  \0").size(stored.len() as u64);
            for (number, (at, data)) in pieces.iter().enumerate() {
                header = header.field(386 + 24 * number, format!("{at:011o}\0{:011o}\0", data.len()).as_bytes());
            }
            with_data(header.field(483, format!("{real:011o}\0").as_bytes()).seal(), &stored)
        }
        1 => {
            let mut body = format!("{}\n{}\n", pieces.len(), numbers_of("\n").join("\n")).into_bytes();
            body.resize(body.len().next_multiple_of(BLOCK), 0);
            body.extend(stored);
            let mut head = [record("GNU.sparse.major", "1"), record("GNU.sparse.minor", "0"), record("GNU.sparse.name", &text)].concat();
            head.extend(record("GNU.sparse.realsize", real.to_string()));
            [entry("x", b'x', &head), entry("GNUSparseFile.0/x", b'0', &body)].concat()
        }
        2 => {
            let head = [record("GNU.sparse.size", real.to_string()), record("GNU.sparse.numblocks", pieces.len().to_string())].concat();
            let map = record("GNU.sparse.map", numbers_of(",").join(","));
            [entry("x", b'x', &[head, record("GNU.sparse.name", &text), map].concat()), entry("GNUSparseFile.0/x", b'0', &stored)].concat()
        }
        _ => {
            let mut head = [record("GNU.sparse.size", real.to_string()), record("GNU.sparse.numblocks", pieces.len().to_string())].concat();
            for (at, data) in &pieces {
                head.extend([record("GNU.sparse.offset", at.to_string()), record("GNU.sparse.numbytes", data.len().to_string())].concat());
            }
            [entry("x", b'x', &head), entry(name, b'0', &stored)].concat()
        }
    }
}
