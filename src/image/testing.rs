//! What the tests of this room share: blobs in memory, a visitor that remembers, raw tar headers, a small generator.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Cursor, Read};
use std::sync::Arc;

use crate::image::blobs::Blobs;
use crate::image::entry::{Entry, EntryKind};
use crate::image::error::ImageError;
use crate::image::layer::{LayerSummary, LayerVisitor, read_layer};
use crate::image::layer_writer::{NewEntry, pax_record, write_layer, write_tar};
use crate::image::limits::Limits;
use crate::image::stored::StoredImage;
use crate::image::tar_header::BLOCK;
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::manifest::{Index, Manifest};
use crate::oci::media_type;

/// Blobs in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<Digest, Arc<[u8]>>);

impl Memory {
    pub(crate) fn put(&mut self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let digest = Digest::of(bytes);
        self.0.insert(digest.clone(), bytes.into());
        Descriptor::new(media_type, digest, bytes.len() as u64)
    }
}

impl Blobs for Memory {
    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let bytes = self.0.get(&descriptor.digest).ok_or_else(|| ImageError::Missing { what: descriptor.digest.to_string() })?;
        Ok(Box::new(Cursor::new(Arc::clone(bytes))))
    }
}

/// An image of one gzip layer and one empty step.
pub(crate) fn an_image(manifest_type: &str) -> StoredImage {
    let mut blobs = Memory::default();
    let manifest = put_image(&mut blobs, manifest_type, "amd64", 6);
    StoredImage::open(Arc::new(blobs), &manifest, false).unwrap()
}

/// An index of two images and an attestation.
pub(crate) fn an_index() -> StoredImage {
    let mut blobs = Memory::default();
    let mut children: Vec<Descriptor> = ["amd64", "arm64"].iter().map(|name| put_image(&mut blobs, media_type::OCI_MANIFEST, name, 6)).collect();
    let config = blobs.put("application/vnd.oci.empty.v1+json", b"{}");
    let statement = blobs.put("application/vnd.in-toto+json", b"{\"provenance\":1}");
    let manifest = Manifest::new(media_type::OCI_MANIFEST, config, vec![statement]);
    let attestation = blobs.put(media_type::OCI_MANIFEST, &manifest.bytes);
    children.push(attestation.annotated("vnd.docker.reference.type", "attestation-manifest"));
    let index = Index::new(children);
    let root = blobs.put(media_type::OCI_INDEX, &index.bytes);
    StoredImage::open(Arc::new(blobs), &root, false).unwrap()
}

/// Level 0 stands for a layer that is not compressed.
pub(crate) fn put_image(blobs: &mut Memory, manifest_type: &str, architecture: &str, level: u32) -> Descriptor {
    let entry = |path: &str, content: &[u8]| NewEntry {
        path: path.into(),
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 0,
        content: content.to_vec(),
    };
    let entries = [entry("etc/os-release", b"ID=test\n"), entry("bin/run", architecture.repeat(20_000).as_bytes())];
    let new = write_layer(&entries, level.max(1));
    let layer = match level {
        0 => blobs.put(media_type::DOCKER_LAYER, &write_tar(&entries)),
        _ => blobs.put(media_type::gzip_layer_for(manifest_type), &new.bytes),
    };
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","config":{{"Env":["A=1"]}},"history":[{{"created_by":"ADD"}},{{"created_by":"CMD","empty_layer":true}}],"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        new.diff_id
    );
    let config_type = if manifest_type == media_type::DOCKER_MANIFEST { media_type::DOCKER_CONFIG } else { media_type::OCI_CONFIG };
    let config = blobs.put(config_type, config.as_bytes());
    let manifest = Manifest::new(manifest_type, config, vec![layer]);
    blobs.put(manifest_type, &manifest.bytes)
}

/// Remembers all that a layer showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) files: Vec<(Entry, Vec<u8>)>,
    pub(crate) stray: Vec<u8>,
    pub(crate) compressed: u64,
}

impl LayerVisitor for Seen {
    fn file(&mut self, entry: &Entry, data: &mut dyn BufRead) -> io::Result<()> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        self.files.push((entry.clone(), bytes));
        Ok(())
    }

    fn stray(&mut self, _: &'static str, data: &mut dyn BufRead) -> io::Result<()> {
        data.read_to_end(&mut self.stray).map(|_| ())
    }

    fn progress(&mut self, compressed: u64) {
        self.compressed += compressed;
    }
}

/// Reads `packed` as a layer whose tar is `tar`.
pub(crate) fn read(packed: &[u8], tar: &[u8], limits: &Limits) -> Result<(LayerSummary, Seen), ImageError> {
    let mut blobs = Memory::default();
    let descriptor = blobs.put(media_type::OCI_LAYER_GZIP, packed);
    let mut seen = Seen::default();
    let summary = read_layer(&blobs, &descriptor, &Digest::of(tar), limits, &mut seen)?;
    Ok((summary, seen))
}

/// A tar header with these fields.
pub(crate) fn header(name: &str, kind: u8, size: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(block)
}

/// The same block with a right checksum.
pub(crate) fn seal(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A header and its data, padded.
pub(crate) fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, format!("{:011o}", data.len()).as_bytes()).to_vec();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// A PAX record.
pub(crate) fn pax(key: &str, value: &str) -> Vec<u8> {
    pax_record(key, value.as_bytes())
}

/// Numbers that look random and are the same on each run (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    pub(crate) fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| (self.below(256) & 0xff) as u8).collect()
    }
}
