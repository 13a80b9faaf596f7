//! Scans streams that come one by one, each with a name: files of a folder, blobs of a repository, what an editor has open.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::scan::blob_scan::Seen;
use crate::scan::dockerfile_scan::{MAX_DOCKERFILE, Step, is_dockerfile, scan_instructions};
use crate::scan::finding::{Finding, FoundIn, State};
use crate::scan::found::Recognise;
use crate::scan::image_scan::{Coverage, ScanOptions};
use crate::scan::nested_scan::NestedScanner;
use crate::scan::places::{Place, Places};
use crate::scan::redact::redact_text;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;

/// Items that a thread takes at a time.
const BATCH: usize = 64;

/// What files or streams come to.
#[derive(Debug, Default)]
pub struct FileScan {
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// Tokens of the owner's; they are no findings.
    pub own_bait: BTreeSet<Fingerprint>,
    pub coverage: Coverage,
    /// The instructions of each Dockerfile in which something was found, by its path and commit, secrets in them redacted.
    pub recipes: BTreeMap<(String, Option<String>), Vec<Step>>,
}

impl FileScan {
    /// The instruction of a Dockerfile that holds a finding.
    #[must_use]
    pub fn instruction(&self, finding: &Finding) -> Option<&str> {
        let (path, line) = (finding.path.as_ref()?, finding.line?);
        let steps = self.recipes.get(&(path.clone(), finding.commit.clone()))?;
        steps.iter().find(|step| step.lines.contains(&line)).map(|step| step.text.as_str())
    }
}

/// Scans on the thread that asks.
pub struct StreamScanner<'a> {
    rules: &'a RuleSet,
    recognise: &'a Recognise<'a>,
    now: i64,
    scanner: NestedScanner<'a>,
    streams: Streams,
}

/// What one scanner has seen.
#[derive(Default)]
pub struct Streams {
    seen: Seen,
    /// The commit of each sighting.
    commits: Vec<Option<Arc<str>>>,
    recipes: BTreeMap<(String, Option<String>), Vec<Step>>,
    files: u64,
    bytes: u64,
    not_scanned: Vec<String>,
}

impl<'a> StreamScanner<'a> {
    #[must_use]
    pub fn new(rules: &'a RuleSet, recognise: &'a Recognise<'a>, options: &'a ScanOptions) -> Self {
        let scanner = NestedScanner::new(rules, options.now, &options.limits);
        Self { rules, recognise, now: options.now, scanner, streams: Streams::default() }
    }

    /// Scans a stream to its end; findings have its name and, of a repository, its commit.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn scan(&mut self, name: &str, commit: Option<&Arc<str>>, data: &mut dyn BufRead) -> io::Result<()> {
        self.streams.bytes += if is_dockerfile(name) { self.dockerfile(name, commit, data)? } else { self.stream(name, data)? };
        self.streams.files += 1;
        self.streams.commits.resize(self.streams.seen.sightings.len(), commit.cloned());
        Ok(())
    }

    /// Notes what was not scanned, and why.
    pub fn not_scanned(&mut self, why: String) {
        self.streams.not_scanned.push(why);
    }

    /// All that was seen.
    #[must_use]
    pub fn finish(mut self) -> Streams {
        self.streams.seen.close(&self.scanner);
        if let Some(why) = self.streams.seen.not_all() {
            self.streams.not_scanned.push(format!("some files: {why}"));
        }
        self.streams
    }

    fn stream(&mut self, name: &str, data: &mut dyn BufRead) -> io::Result<u64> {
        self.streams.seen.look(&mut self.scanner, (name.as_bytes(), false), data, &|| {}, self.recognise)
    }

    /// The text as it is, like any other, and then each instruction as a builder reads it.
    fn dockerfile(&mut self, name: &str, commit: Option<&Arc<str>>, data: &mut dyn BufRead) -> io::Result<u64> {
        let first = self.streams.seen.sightings.len();
        let mut text = Vec::new();
        (&mut *data).take(MAX_DOCKERFILE).read_to_end(&mut text)?;
        let length = self.stream(name, &mut (&text[..]).chain(data))?;
        if length > MAX_DOCKERFILE {
            // No builder's recipe is that long.
            return Ok(length);
        }
        let steps = scan_instructions(&mut self.streams.seen, first, (name, &text), (self.rules, self.now), self.recognise);
        if self.streams.seen.sightings.len() > first {
            self.streams.recipes.insert((name.to_owned(), commit.map(|commit| commit.to_string())), steps);
        }
        Ok(length)
    }
}

/// Deals items out to so many threads, or fewer where that is enough. `work` is what a thread does with those that come to it.
pub fn share_out<'i, T: Sync, R: Send>(items: &'i [T], threads: usize, work: &(dyn Fn(&mut dyn Iterator<Item = &'i T>) -> R + Sync)) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let batch = || {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        items.get(first..items.len().min(first + BATCH))
    };
    let threads = threads.clamp(1, items.len().div_ceil(BATCH).max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&mut std::iter::from_fn(batch).flatten()))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Makes one result of what all scanners have seen.
#[must_use]
pub fn gather(parts: Vec<Streams>, not_scanned: Vec<String>, rules: &RuleSet, options: &ScanOptions) -> FileScan {
    let mut coverage = Coverage { not_scanned, ..Coverage::default() };
    let mut places = Places::default();
    let mut own = BTreeSet::new();
    let mut recipes = BTreeMap::new();
    for part in parts {
        coverage.files += part.files;
        coverage.bytes += part.bytes;
        coverage.not_scanned.extend(part.not_scanned);
        coverage.inside += part.seen.inside;
        own.extend(part.seen.own_bait);
        recipes.extend(part.recipes);
        for (placed, commit) in part.seen.sightings.into_iter().zip(part.commits) {
            let path = Some(redact_text(&placed.shown_path(), rules, options.now));
            let commit = commit.map(|commit| commit.to_string());
            places.add(&placed.sighting, Place { surface: FoundIn::File, path, commit, layer: None, state: State::Live, platform: None });
        }
    }
    coverage.not_scanned.sort();
    FileScan { findings: places.into_findings(options.fingerprint_key.as_ref()), own_bait: own, coverage, recipes }
}
