//! Packs of git: objects one after another, some of them as the difference to an earlier one.
//!
//! Source: gitformat-pack(5).

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead as _, Read as _};

use crate::scan::containers::contract::{Container, Members, Opened};
use crate::scan::gap::{Gap, GapKind};
use crate::scan::inflated::Inflated;
use crate::scan::lookahead::Lookahead;

pub struct GitPack;

/// Bytes of objects that are kept for differences to them.
const KEPT: usize = 8 << 20;
/// Larger objects are scanned as they pass and are no base.
const LARGEST: usize = 1 << 20;
/// What it takes to keep an object, beside its bytes.
const OVERHEAD: usize = 128;

impl Container for GitPack {
    fn name(&self) -> &'static str {
        "git pack"
    }

    fn is_start(&self, start: &[u8]) -> bool {
        matches!(start, [b'P', b'A', b'C', b'K', 0, 0, 0, 2 | 3, ..])
    }

    fn walk(&self, file: &mut Opened<'_, '_>, members: &mut dyn Members) -> io::Result<()> {
        members.hold((KEPT + 4 * LARGEST) as u64)?;
        file.bytes.pass(8)?;
        let count = u32::from_be_bytes(file.bytes.array()?);
        let mut bases = Bases::default();
        for _ in 0..count {
            object(file, &mut bases, members)?;
        }
        Ok(())
    }
}

/// The kinds of objects that are whole.
fn kind_name(kind: u8) -> Option<&'static str> {
    match kind {
        1 => Some("commit"),
        2 => Some("tree"),
        3 => Some("blob"),
        4 => Some("tag"),
        _ => None,
    }
}

fn object(file: &mut Opened<'_, '_>, bases: &mut Bases, members: &mut dyn Members) -> io::Result<()> {
    let offset = file.bytes.position();
    let (kind, size) = object_header(file.bytes)?;
    let base = match kind {
        6 => Some(offset.checked_sub(base_distance(file.bytes)?)),
        7 => {
            // A base by its name: to know it, every object would have to be hashed.
            file.bytes.pass(20)?;
            Some(None)
        }
        _ => None,
    };
    if kind_name(kind).is_none() && base.is_none() {
        return Err(Gap::new(GapKind::Damaged, "git pack: an object is of an unknown kind").into_io());
    }
    // The header of the zlib stream.
    file.bytes.pass(2)?;
    let mut data = Inflated::new(file.bytes, file.inflate);
    if size > LARGEST as u64 {
        let name = format!("{}-at-{offset}", kind_name(kind).unwrap_or("delta"));
        members.unpacked(name.as_bytes(), &mut data)?;
    } else {
        let mut bytes = Vec::new();
        data.by_ref().take(size + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != size {
            return Err(Gap::new(GapKind::Damaged, "git pack: an object is not as long as it says").into_io());
        }
        let whole = match base {
            None => Some((kind, bytes.clone())),
            Some(base) => base.and_then(|base| bases.get(base)).and_then(|(kind, base)| Some((*kind, apply(base, &bytes)?))),
        };
        match whole {
            Some((kind, object)) => {
                let name = format!("{}-at-{offset}", kind_name(kind).unwrap_or("object"));
                members.unpacked(name.as_bytes(), &mut &object[..])?;
                bases.keep(offset, kind, object);
            }
            // What is copied from the base was scanned with it.
            None => members.unpacked(format!("delta-at-{offset}").as_bytes(), &mut &literals(&bytes)[..])?,
        }
    }
    // Up to the end of the zlib stream, and its checksum.
    while !data.fill_buf()?.is_empty() {
        let rest = data.fill_buf()?.len();
        data.consume(rest);
    }
    file.bytes.pass(4)
}

/// Kind and unpacked size.
fn object_header(bytes: &mut Lookahead<'_>) -> io::Result<(u8, u64)> {
    let [mut byte] = bytes.array::<1>()?;
    let kind = byte >> 4 & 7;
    let mut size = u64::from(byte & 15);
    let mut shift = 4;
    while byte & 0x80 != 0 && shift < 60 {
        [byte] = bytes.array::<1>()?;
        size |= u64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    Ok((kind, size))
}

fn base_distance(bytes: &mut Lookahead<'_>) -> io::Result<u64> {
    let [mut byte] = bytes.array::<1>()?;
    let mut distance = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 && distance < 1 << 50 {
        [byte] = bytes.array::<1>()?;
        distance = (distance + 1) << 7 | u64::from(byte & 0x7f);
    }
    Ok(distance)
}

/// Objects by their place in the pack, the oldest dropped first.
#[derive(Default)]
struct Bases {
    objects: HashMap<u64, (u8, Vec<u8>)>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl Bases {
    fn get(&self, offset: u64) -> Option<&(u8, Vec<u8>)> {
        self.objects.get(&offset)
    }

    fn keep(&mut self, offset: u64, kind: u8, object: Vec<u8>) {
        self.bytes += object.len() + OVERHEAD;
        self.order.push_back(offset);
        self.objects.insert(offset, (kind, object));
        while self.bytes > KEPT {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= self.objects.remove(&oldest).map_or(0, |(_, object)| object.len() + OVERHEAD);
        }
    }
}

/// One step of a difference.
enum Step<'d> {
    Copy { offset: usize, length: usize },
    Insert(&'d [u8]),
}

/// The steps of a difference, after the two sizes that it begins with. Ends at whatever makes no sense.
fn steps(mut delta: &[u8]) -> impl Iterator<Item = Step<'_>> {
    for _ in 0..2 {
        let end = delta.iter().position(|byte| byte & 0x80 == 0).map_or(delta.len(), |end| end + 1);
        delta = &delta[end..];
    }
    std::iter::from_fn(move || {
        let (&code, rest) = delta.split_first()?;
        delta = rest;
        if code & 0x80 == 0 {
            let (bytes, rest) = delta.split_at_checked(usize::from(code)).filter(|_| code > 0)?;
            delta = rest;
            return Some(Step::Insert(bytes));
        }
        let mut field = |bits: std::ops::Range<u8>| {
            let mut value = 0_usize;
            for (place, bit) in bits.enumerate() {
                if code >> bit & 1 == 1 {
                    let (&byte, rest) = delta.split_first()?;
                    delta = rest;
                    value |= usize::from(byte) << (8 * place);
                }
            }
            Some(value)
        };
        let offset = field(0..4)?;
        let length = field(4..7)?;
        Some(Step::Copy { offset, length: if length == 0 { 0x10000 } else { length } })
    })
}

/// The object that a difference makes of its base; `None` where that makes no sense or is too large.
fn apply<'d>(base: &'d [u8], delta: &'d [u8]) -> Option<Vec<u8>> {
    let piece = |step: Step<'d>| match step {
        Step::Insert(bytes) => Some(bytes),
        Step::Copy { offset, length } => base.get(offset..offset.checked_add(length)?),
    };
    // A few bytes of difference can ask for many of the base: nothing is copied for what will be too large.
    let mut length = 0;
    for step in steps(delta) {
        length += piece(step)?.len();
        if length > LARGEST {
            return None;
        }
    }
    let mut object = Vec::with_capacity(length);
    for step in steps(delta) {
        object.extend_from_slice(piece(step)?);
    }
    Some(object)
}

/// What a difference adds.
fn literals(delta: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    for step in steps(delta) {
        if let Step::Insert(bytes) = step {
            found.extend_from_slice(bytes);
            found.push(b'\n');
        }
    }
    found
}
