//! How fast the scan engine is: `cargo bench --bench engine [FILE|FOLDER|OCI layout]…`.
//!
//! Prints megabytes for each second of CPU time, for several kinds of generated content or for the named files, and for rule sets of
//! growing size: of the prefilter alone, of the whole content scanner, and of two floors, a copy and a search for one byte.
//! Of an OCI layout: the seconds of CPU time to unpack and hash its layers, and how many times that it takes to scan them. All that stands in
//! one row was measured in turns, so that a busy machine is busy for each. The made-up rules have prefixes and words like those of real ones.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::hint::black_box;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use honeycrate::image::blobs::Blobs;
use honeycrate::image::compression::Decoder;
use honeycrate::image::layout::Layout;
use honeycrate::image::limits::Limits;
use honeycrate::image::stored::StoredImage;
use honeycrate::oci::descriptor::Descriptor;
use honeycrate::oci::digest::{Hasher, HashingReader};
use honeycrate::scan::blob_scan::{BlobScanner as _, DirectScanner};
use honeycrate::scan::content::ContentScanner;
use honeycrate::scan::matcher::Source;
use honeycrate::scan::rule_set::RuleSet;

/// Bytes of each kind of generated content.
const SIZE: usize = 16 << 20;
/// Bytes of named files that are read.
const MAX_FILES: usize = 1 << 30;
/// Bytes that a reader lends at a time.
const PIECE: usize = 256 << 10;
/// Numbers of rules that are compared.
const RULES: [usize; 4] = [50, 250, BUILTIN, 1000];
/// As many rules as the program comes with.
const BUILTIN: usize = 0;
/// Times that each figure is taken; the median is printed.
const ROUNDS: usize = 5;

/// Files of one kind, with their paths.
struct Content {
    name: String,
    files: Vec<(String, Vec<u8>)>,
}

fn main() {
    let named: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).filter(|path| !path.to_string_lossy().starts_with("--")).collect();
    let sets: Vec<RuleSet> = RULES.iter().map(|count| rules(*count)).collect();
    let (images, named): (Vec<_>, Vec<_>) = named.into_iter().partition(|path| path.join("oci-layout").exists());
    images.iter().for_each(|path| compare_with_floor(path, &sets));
    let contents = if named.is_empty() && images.is_empty() { generated() } else { named.iter().map(|path| read(path)).collect() };
    if contents.is_empty() {
        return;
    }
    print!("{:<22}{:>8}{:>9}{:>9}", "MB/s", "MB", "copy", "memchr");
    for part in ["literals", "scan"] {
        sets.iter().for_each(|set| print!("{:>15}", format!("{part}/{}", set.iter().count())));
    }
    println!();
    for content in &contents {
        let total: usize = content.files.iter().map(|(_, bytes)| bytes.len()).sum();
        let (copy, search) = (|| content.copy(), || content.search());
        let mut works: Vec<Box<dyn Fn() + '_>> = vec![Box::new(copy), Box::new(search)];
        works.extend(sets.iter().map(|set| Box::new(|| content.find_literals(set)) as Box<dyn Fn()>));
        works.extend(sets.iter().map(|set| Box::new(|| content.scan(set)) as Box<dyn Fn()>));
        print!("{:<22}{:>8.0}", content.name, megabytes(total));
        for (number, seconds) in median_seconds(&works, 0.1).into_iter().enumerate() {
            print!("{:>1$.0}", megabytes(total) / seconds, if number < 2 { 9 } else { 15 });
        }
        println!();
    }
}

/// Prints what it takes to scan an image, in units of what it takes to unpack and hash its layers.
fn compare_with_floor(path: &Path, sets: &[RuleSet]) {
    let layout = Layout::open(path).unwrap_or_else(|error| panic!("{error}"));
    let root = layout.find(None).unwrap_or_else(|error| panic!("{error}"));
    let stored = StoredImage::open(Arc::new(layout), &root, false).unwrap_or_else(|error| panic!("{error}"));
    let limits = Limits::default();
    let floor = || stored.images().for_each(|image| image.manifest.layers.iter().for_each(|layer| unpack_and_hash(&*stored.blobs, layer, &limits)));
    let scan = |rules| {
        let scanner = DirectScanner { rules, recognise: &|_| None, now: 0, limits: &limits };
        let (mut bytes, mut inside) = (0, 0);
        for image in stored.images() {
            for (layer, diff_id) in image.manifest.layers.iter().zip(&image.config.diff_ids) {
                let scan = scanner.scan_layer(&*stored.blobs, layer, diff_id, &|_| ()).unwrap_or_else(|error| panic!("{error}"));
                (bytes, inside) = (bytes + scan.bytes, inside + scan.seen.inside.bytes);
            }
        }
        (bytes, inside)
    };
    let (bytes, inside) = scan(&sets[0]);
    let mut works: Vec<Box<dyn Fn() + '_>> = vec![Box::new(floor)];
    works.extend(sets.iter().map(|set| Box::new(move || _ = scan(set)) as Box<dyn Fn()>));
    let seconds = median_seconds(&works, 0.0);
    println!("{}: {bytes} bytes in layers, {inside} inside files; unpacked and hashed in {:.3} s", path.display(), seconds[0]);
    let looked_at = (bytes + inside) as f64 / bytes as f64;
    for (set, seconds_of_set) in sets.iter().zip(&seconds[1..]) {
        let ratio = seconds_of_set / seconds[0];
        println!(
            "{:>6} rules: {seconds_of_set:.3} s, {ratio:.3} times that; for each byte looked at {:.3} times",
            set.iter().count(),
            ratio / looked_at
        );
    }
}

fn unpack_and_hash(blobs: &dyn Blobs, layer: &Descriptor, limits: &Limits) {
    let packed = blobs.open(layer).unwrap_or_else(|error| panic!("{error}"));
    let mut decoder = Decoder::new(HashingReader::new(packed, Hasher::sha256()), "a layer", limits).unwrap_or_else(|error| panic!("{error}"));
    let mut hasher = Hasher::sha256();
    loop {
        let plain = decoder.fill_buf().unwrap_or_else(|error| panic!("{error}"));
        if plain.is_empty() {
            break;
        }
        hasher.update(plain);
        let count = plain.len();
        decoder.consume(count);
    }
    black_box((hasher.finish(), decoder.into_inner().finish()));
}

impl Content {
    fn pieces(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().flat_map(|(path, bytes)| bytes.chunks(PIECE).map(move |piece| (path.as_str(), piece)))
    }

    fn copy(&self) {
        let mut target = vec![0; PIECE];
        for (_, piece) in self.pieces() {
            target[..piece.len()].copy_from_slice(piece);
            black_box(&mut target);
        }
    }

    fn search(&self) {
        // The byte hardly ever occurs in files.
        self.pieces().for_each(|(_, piece)| _ = black_box(memchr::memchr_iter(0xf7, piece).count()));
    }

    fn find_literals(&self, rules: &RuleSet) {
        let mut hits = Vec::new();
        for (path, piece) in self.pieces() {
            let source = Source::new(path.as_bytes(), 0);
            rules.prefilter(rules.scope(source.path, source.quiet)).find(piece, 0, &mut hits);
            black_box(&hits);
            hits.clear();
        }
    }

    fn scan(&self, rules: &RuleSet) {
        let mut scanner = ContentScanner::new(rules, 0);
        for (path, bytes) in &self.files {
            let read = scanner.scan(path.as_bytes(), &mut bytes.as_slice(), &mut |hit| _ = black_box(hit));
            black_box(read.is_ok());
        }
    }
}

/// The built-in rules, fewer or more of them.
fn rules(count: usize) -> RuleSet {
    let builtin = RuleSet::builtin();
    if count == BUILTIN {
        return builtin.subset(usize::MAX);
    }
    if count <= builtin.iter().count() {
        return builtin.subset(count);
    }
    let mut random = Random(7);
    let mut yaml = "vendor: Made up\nrules:\n".to_owned();
    for number in builtin.iter().count()..count {
        let vendor = VENDORS[number % VENDORS.len()];
        let letters: String = (0..2).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        let start = &vendor[..vendor.len().min(2 + random.below(5))];
        // As with real rules: most have a prefix that ends in a separator, some one without, some the vendor's name in an assignment.
        let (literals, case, pattern) = match number % 10 {
            0..=5 => {
                let kind = ["_pat_", "_live_", "-", "_", "_sk_", ".", "_key_", "-api-"][random.below(8)];
                let prefix = format!("{start}{letters}{kind}");
                (format!("['{prefix}']"), "sensitive", format!("\\b(?P<secret>{}[A-Za-z0-9]{{32}})\\b", prefix.replace('.', "\\.")))
            }
            6 | 7 => {
                let prefix = format!("{}{}", letters.to_uppercase(), &start[..2]);
                (format!("['{prefix}']"), "sensitive", format!("\\b(?P<secret>{prefix}[A-Za-z0-9]{{32}})\\b"))
            }
            _ => {
                let pattern = format!("(?i:{vendor})[\\w.-]{{0,20}}[ \\t]{{0,3}}[:=]{{1,2}}[ \\t]{{0,3}}[\\x22\\x27]?(?P<secret>[0-9a-f]{{32}})\\b");
                (format!("['{vendor}']"), "insensitive", pattern)
            }
        };
        yaml += &format!(
            "  - {{id: made-up-{number}, name: A, severity: low, confidence: low, literals: {literals}, case: {case}, pattern: '{pattern}', gain: A, revoke: A}}\n"
        );
    }
    match builtin.with_rules("made-up.yaml", &yaml) {
        Ok(set) => set,
        Err(problems) => panic!("{problems:?}"),
    }
}

const VENDORS: [&str; 60] = [
    "adafruit",
    "adobe",
    "airtable",
    "algolia",
    "alibaba",
    "asana",
    "beamer",
    "bitbucket",
    "bittrex",
    "clojars",
    "codecov",
    "coinbase",
    "contentful",
    "databricks",
    "datadog",
    "discord",
    "docusign",
    "doppler",
    "dropbox",
    "dynatrace",
    "easypost",
    "etsy",
    "facebook",
    "fastly",
    "finicity",
    "finnhub",
    "flickr",
    "freshbooks",
    "gocardless",
    "grafana",
    "harness",
    "hubspot",
    "intercom",
    "kraken",
    "kucoin",
    "launchdarkly",
    "linear",
    "linkedin",
    "lob",
    "mailchimp",
    "mailgun",
    "mapbox",
    "mattermost",
    "messagebird",
    "netlify",
    "okta",
    "plaid",
    "planetscale",
    "prefect",
    "rapidapi",
    "scalingo",
    "sendbird",
    "shippo",
    "squarespace",
    "sumologic",
    "travisci",
    "twitch",
    "typeform",
    "yandex",
    "zendesk",
];

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        // Zipf-like, as words are in texts.
        let (a, b) = (self.below(words.len()), self.below(words.len()));
        words[a.min(b)]
    }
}

const WORDS: [&str; 56] = [
    "the",
    "self",
    "return",
    "value",
    "name",
    "data",
    "if",
    "for",
    "function",
    "const",
    "this",
    "string",
    "type",
    "key",
    "result",
    "error",
    "index",
    "module",
    "exports",
    "require",
    "length",
    "options",
    "token",
    "config",
    "default",
    "path",
    "request",
    "response",
    "null",
    "undefined",
    "import",
    "from",
    "class",
    "static",
    "public",
    "get_value",
    "set_value",
    "is_valid",
    "http",
    "password",
    "secret",
    "client",
    "server",
    "parse",
    "buffer",
    "offset",
    "node",
    "context",
    "callback",
    "arguments",
    "object",
    "array",
    "prototype",
    "test_case",
    "api_key",
    "https://example.com/a",
];

fn generated() -> Vec<Content> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let source = |random: &mut Random, out: &mut Vec<u8>| {
        let indent = " ".repeat(4 * random.below(4));
        let (a, b, c) = (random.pick(&WORDS), random.pick(&WORDS), random.pick(&WORDS));
        let line = match random.below(4) {
            0 => format!("{indent}# {a} {b} {c} of the {a} and {b}\n"),
            1 => format!("{indent}{a}_{b} = {c}({a}, \"{b}\")\n"),
            2 => format!("{indent}if {a}.{b} != {c}[{}]:\n", random.below(100)),
            _ => format!("{indent}def {a}_{b}(self, {c}):\n"),
        };
        out.extend_from_slice(line.as_bytes());
    };
    let json = |random: &mut Random, out: &mut Vec<u8>| {
        let line = format!(
            "    \"{}\": {{\"{}\": \"{}\", \"n\": {}}},\n",
            random.pick(&WORDS),
            random.pick(&WORDS),
            random.pick(&WORDS),
            random.below(1 << 20)
        );
        out.extend_from_slice(line.as_bytes());
    };
    let minified = |random: &mut Random, out: &mut Vec<u8>| {
        let letter = char::from(b'a' + random.below(26) as u8);
        let text = match random.below(3) {
            0 => format!("function {letter}(t,e){{return t.{}?e:{}}}", random.pick(&WORDS), random.below(10)),
            1 => format!("var {letter}={}.{}||\"{}\";", random.pick(&WORDS), random.pick(&WORDS), random.pick(&WORDS)),
            _ => format!("{letter}.{}=function(){{}},", random.pick(&WORDS)),
        };
        out.extend_from_slice(text.as_bytes());
    };
    let binary = |random: &mut Random, out: &mut Vec<u8>| match random.below(8) {
        0 => out.extend_from_slice(&[0; 48]),
        1 => out.extend_from_slice(format!("{}_{}\0", random.pick(&WORDS), random.pick(&WORDS)).as_bytes()),
        2..=4 => (0..6).for_each(|_| out.extend_from_slice(&[0x48, 0x8b, random.below(256) as u8, 0x24, random.below(64) as u8 * 4, 0])),
        _ => (0..32).for_each(|_| out.push(random.below(256) as u8)),
    };
    let base64 = |random: &mut Random, out: &mut Vec<u8>| {
        (0..76).for_each(|_| out.push(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random.below(64)]));
        out.push(b'\n');
    };
    let zeros = |_: &mut Random, out: &mut Vec<u8>| out.extend_from_slice(&[0; 4096]);
    type Line<'a> = &'a dyn Fn(&mut Random, &mut Vec<u8>);
    let kinds: [(&str, &str, Line<'_>); 6] = [
        ("source code", "app/a.py", &source),
        ("JSON", "app/a.json", &json),
        ("minified script", "app/bundle.js", &minified),
        ("binary", "app/a.bin", &binary),
        ("base64", "app/a.txt", &base64),
        ("zeros", "app/a.img", &zeros),
    ];
    let make = |(name, path, line): (&str, &str, Line<'_>)| {
        let mut bytes = Vec::with_capacity(SIZE + 4096);
        while bytes.len() < SIZE {
            line(&mut random, &mut bytes);
        }
        Content { name: name.to_owned(), files: vec![(path.to_owned(), bytes)] }
    };
    kinds.map(make).into()
}

/// A file, or all files of a folder up to a limit.
fn read(top: &Path) -> Content {
    let mut files = Vec::new();
    let mut total = 0;
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            let mut below: Vec<PathBuf> = fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            below.sort();
            waiting.extend(below);
        } else if metadata.is_file() && total < MAX_FILES {
            let bytes = fs::read(&path).unwrap_or_default();
            total += bytes.len();
            files.push((path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned(), bytes));
        }
    }
    Content { name: top.file_name().unwrap_or_default().to_string_lossy().into_owned(), files }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files fit a double's 53 bits")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// What each work takes, in the median of rounds that take each once. The kernel counts in steps of some milliseconds: what takes less than
/// `least` seconds is done several times.
fn median_seconds(works: &[Box<dyn Fn() + '_>], least: f64) -> Vec<f64> {
    let mut times = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for (work, times) in works.iter().zip(&mut times) {
            let (start, mut done) = (cpu_seconds(), 0);
            let spent = loop {
                work();
                done += 1;
                let spent = cpu_seconds() - start;
                if spent > least {
                    break spent;
                }
            };
            times.push(spent / f64::from(done));
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times.iter().map(|times| times[ROUNDS / 2].max(1e-9)).collect()
}

/// CPU time of this thread: other jobs of the machine do not count.
fn cpu_seconds() -> f64 {
    let line = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    line.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e9
}
