//! The least that a scan can do: unpacks every layer of an OCI layout and hashes it packed and unpacked, and nothing else.
//!
//! `floor LAYOUT` does it with the code that the scan does it with, one thread for each layer, as many at once as there are cores,
//! biggest first. A benchmark runs it as a whole process beside `honeycrate scan` (bench/scan.py).

#![expect(clippy::print_stdout, reason = "a tool that a benchmark runs says what it did")]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::{env, process, thread};

use honeycrate::image::blobs::Blobs;
use honeycrate::image::compression::Decoder;
use honeycrate::image::layout::Layout;
use honeycrate::image::limits::Limits;
use honeycrate::image::stored::StoredImage;
use honeycrate::oci::descriptor::Descriptor;
use honeycrate::oci::digest::{Digest, Hasher, HashingReader};

fn main() -> process::ExitCode {
    let Some(layout) = env::args_os().nth(1) else {
        println!("usage: floor LAYOUT");
        return process::ExitCode::from(2);
    };
    match unpack_all(Path::new(&layout)) {
        Ok((layers, bytes)) => println!("{layers} layers, {bytes} bytes unpacked"),
        Err(problem) => {
            println!("floor: {problem}");
            return process::ExitCode::FAILURE;
        }
    }
    process::ExitCode::SUCCESS
}

/// How many layers there are, and what they unpack to.
fn unpack_all(path: &Path) -> Result<(usize, u64), String> {
    let layout = Layout::open(path).map_err(|error| error.to_string())?;
    let root = layout.find(None).map_err(|error| error.to_string())?;
    let stored = StoredImage::open(Arc::new(layout), &root, false).map_err(|error| error.to_string())?;
    let of_image = stored.images().flat_map(|image| image.manifest.layers.iter().zip(&image.config.diff_ids));
    let layers: BTreeMap<&Digest, (&Descriptor, &Digest)> = of_image.map(|(layer, diff_id)| (&layer.digest, (layer, diff_id))).collect();
    let mut layers: Vec<_> = layers.into_values().collect();
    layers.sort_by_key(|(layer, _)| std::cmp::Reverse(layer.size));
    let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let work = || -> Result<(), String> {
        while let Some((layer, diff_id)) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes.fetch_add(unpack(&*stored.blobs, layer, diff_id)?, Ordering::Relaxed);
        }
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
    })?;
    Ok((layers.len(), bytes.into_inner()))
}

/// The bytes that a layer unpacks to, if both of its digests are right.
fn unpack(blobs: &dyn Blobs, layer: &Descriptor, diff_id: &Digest) -> Result<u64, String> {
    let packed = HashingReader::new(blobs.open(layer).map_err(|error| error.to_string())?, Hasher::sha256());
    let mut decoder = Decoder::new(packed, "a layer", &Limits::default()).map_err(|error| error.to_string())?;
    let (mut hasher, mut bytes) = (Hasher::sha256(), 0);
    loop {
        let plain = decoder.fill_buf().map_err(|error| error.to_string())?;
        if plain.is_empty() {
            break;
        }
        hasher.update(plain);
        let count = plain.len();
        bytes += count as u64;
        decoder.consume(count);
    }
    let (packed, _) = decoder.into_inner().finish();
    if hasher.finish() == *diff_id && packed == layer.digest { Ok(bytes) } else { Err(format!("{} is not what it should be", layer.digest)) }
}
