//! How fast gzip is unpacked, against flate2 in the same run: `cargo bench --bench inflate -- [FILE or OCI layout …]`.
//!
//! Prints one line for each gzip file: its sizes, the median seconds of processor time of both, and their ratio. Without arguments: generated data.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs;
use std::hint::black_box;
use std::io::{BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use honeycrate::image::compression::Decoder;
use honeycrate::image::limits::Limits;

/// Runs of each; they alternate, so that a busy machine is busy for both.
const RUNS: usize = 5;

fn main() {
    // Cargo passes a flag of its own.
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from).collect();
    for path in arguments.iter().flat_map(|path| files(path)) {
        let packed = fs::read(&path).unwrap();
        if packed.starts_with(&[0x1f, 0x8b]) {
            compare(&path.file_name().unwrap_or_default().to_string_lossy(), &packed);
        }
    }
    if arguments.is_empty() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..32 << 20).map(|_| random()).collect();
        let words: Vec<u8> = (0..8 << 20)
            .flat_map(|_| [b"the ", b"of a", b"and ", b"to b"][usize::from(random() & 3)].iter().copied().chain([random() & 15]))
            .collect();
        for (name, plain, level) in [
            ("noise", &noise, 6),
            ("words", &words, 6),
            ("stored", &noise, 0),
            ("zeros", &vec![0; 256 << 20], 6),
            ("tiny", &words[..4000].to_vec(), 6),
        ] {
            compare(name, &gzip(plain, level));
        }
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    let blobs = path.join("blobs/sha256");
    match fs::read_dir(blobs) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path.to_owned()],
    }
}

fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn compare(name: &str, packed: &[u8]) {
    // Small streams many times over, or the clock sees nothing.
    let times = (1 << 20) / packed.len().max(1) + 1;
    let mut seconds = [Vec::new(), Vec::new()];
    let mut counts = [0, 0];
    for _ in 0..RUNS {
        for (which, unpack) in [own, flate2s].into_iter().enumerate() {
            let start = processor_seconds();
            counts[which] = (0..times).map(|_| black_box(unpack(packed))).sum::<usize>() / times;
            seconds[which].push((processor_seconds() - start) / times as f64);
        }
    }
    assert_eq!(counts[0], counts[1]);
    seconds.iter_mut().for_each(|seconds| seconds.sort_by(f64::total_cmp));
    let [own, flate2s] = seconds.map(|seconds| seconds[RUNS / 2]);
    println!("{name:.12}: {} -> {} bytes, own {own:.6} s, flate2 {flate2s:.6} s, ratio {:.2}", packed.len(), counts[0], own / flate2s);
}

fn own(packed: &[u8]) -> usize {
    let mut decoder = Decoder::new(packed, "the file", &Limits::default()).unwrap();
    let mut total = 0;
    loop {
        let count = decoder.fill_buf().unwrap().len();
        if count == 0 {
            return total;
        }
        total += count;
        decoder.consume(count);
    }
}

fn flate2s(packed: &[u8]) -> usize {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(packed);
    let (mut buffer, mut total) = (vec![0; 256 << 10], 0);
    loop {
        let count = decoder.read(&mut buffer).unwrap();
        if count == 0 {
            return total;
        }
        total += count;
    }
}

/// What this thread has used. Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat", in nanoseconds.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}
