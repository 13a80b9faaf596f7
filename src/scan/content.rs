//! Scans one stream of bytes, of any length, in constant memory.

use std::collections::{HashSet, VecDeque};
use std::io::{self, BufRead};
use std::mem;
use std::ops::Range;

use crate::scan::decode::{DEPTH, Encoding, MAX_RUN, MIN_RUN, STEP, decode_run, next_run};
use crate::scan::finding::{Confidence, Severity};
use crate::scan::known;
use crate::scan::marker::marker_at;
use crate::scan::matcher::{Hit, Matcher, Source, match_text, settle};
use crate::scan::prefilter::LiteralHit;
use crate::scan::redact::sample;
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// Most bytes that are looked at together.
const CHUNK: usize = 256 << 10;
/// Bytes that are gathered before they are looked at, when the reader lends little at a time.
const GATHERED: usize = 64 << 10;
/// Hits that wait for what follows; more than that are settled as they are.
const MAX_WAITING: usize = 10_000;
/// Distinct hits of one stream that are remembered so that none is told twice.
const MAX_TOLD: usize = 10_000;

/// A secret in a stream.
#[derive(Debug, Clone)]
pub struct ContentHit<'r> {
    pub rule: &'r Rule,
    pub severity: Severity,
    pub confidence: Confidence,
    /// Seconds since 1970: judged later, the hit is mild. `None` where time changes nothing.
    pub until: Option<i64>,
    pub fingerprint: Fingerprint,
    pub redacted: String,
    /// 1 is the first.
    pub line: u64,
    /// In bytes from the start of the line; 1 is the first.
    pub column: u64,
    /// The offline check that the secret has passed and nothing but a real one would.
    pub proven_by: Option<&'static str>,
    /// The comment in its line that says to let it pass.
    pub marked: Option<&'static str>,
    pub secret: Secret,
    /// The holder's name, such as a key id: with some credentials it, and not the secret, tells whose they are.
    pub id: Option<Secret>,
}

/// Scans streams, one after another. It looks at the bytes where the reader has them, and copies only what is still needed after that.
///
/// All places are offsets in the stream.
pub struct ContentScanner<'r> {
    rules: &'r RuleSet,
    matcher: Matcher<'r>,
    now: i64,
    /// The end of what has been read, as far as it is still needed.
    kept: Vec<u8>,
    /// Where the bytes start that are read next.
    position: u64,
    /// The prefilter has seen all before this place.
    prefiltered: u64,
    /// Base64 runs are known up to here.
    runs: u64,
    /// Literals whose window is not yet complete.
    literals: VecDeque<(u64, u16)>,
    /// Hits, with their lines, that may yet give way to a stronger one.
    waiting: Vec<Hit<'r>>,
    lines: LineCounter,
    told: HashSet<(Fingerprint, u64)>,
    /// Literals in the bytes that are looked at.
    found: Vec<LiteralHit>,
}

/// A part of the stream that is looked at.
#[derive(Clone, Copy)]
struct View<'a> {
    bytes: &'a [u8],
    /// Where it starts.
    base: u64,
    /// Whether nothing follows.
    is_last: bool,
}

impl<'r> ContentScanner<'r> {
    /// A scanner at a time, in seconds since 1970.
    #[must_use]
    pub fn new(rules: &'r RuleSet, now: i64) -> Self {
        Self {
            rules,
            matcher: Matcher::new(rules),
            now,
            kept: Vec::new(),
            position: 0,
            prefiltered: 0,
            runs: 0,
            literals: VecDeque::new(),
            waiting: Vec::new(),
            lines: LineCounter::default(),
            told: HashSet::new(),
            found: Vec::new(),
        }
    }

    /// Scans a stream to its end and gives each secret in it, in order of place. Returns its length in bytes.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub fn scan(&mut self, path: &[u8], data: &mut dyn BufRead, hits: &mut dyn FnMut(ContentHit<'r>)) -> io::Result<u64> {
        self.restart();
        let source = Source::new(path, self.now);
        let mut encoding = None;
        let mut rest = None;
        let mut text = Vec::new();
        let mut length = 0;
        loop {
            let bytes = match data.fill_buf() {
                Ok(bytes) => &bytes[..bytes.len().min(CHUNK)],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                self.finish(&source, hits);
                return Ok(length);
            }
            match *encoding.get_or_insert_with(|| Encoding::of(bytes)) {
                Encoding::Bytes => self.take(bytes, &source, hits),
                wide => {
                    text.clear();
                    wide.append(bytes, &mut rest, &mut text);
                    self.take(&text, &source, hits);
                }
            }
            let read = bytes.len();
            data.consume(read);
            length += read as u64;
        }
    }

    fn restart(&mut self) {
        self.matcher.reset();
        self.kept.clear();
        self.position = 0;
        self.prefiltered = 0;
        self.runs = 0;
        self.literals.clear();
        self.waiting.clear();
        self.lines = LineCounter::default();
        self.told.clear();
    }

    /// Looks at what was read next: in place, but for the edge between it and what was kept.
    fn take(&mut self, bytes: &[u8], source: &Source<'_>, hits: &mut dyn FnMut(ContentHit<'r>)) {
        let (before, after) = self.rules.reach();
        let base = self.position - self.kept.len() as u64;
        self.position += bytes.len() as u64;
        let mut kept = mem::take(&mut self.kept);
        // So much of the new bytes that nothing in the old ones is needed after.
        let edge = before + after + MAX_RUN + 4;
        let mut needed = base;
        if !kept.is_empty() {
            let is_gathering = bytes.len() < edge;
            kept.extend_from_slice(&bytes[..bytes.len().min(edge)]);
            if !is_gathering || kept.len() >= GATHERED {
                needed = self.look(View { bytes: &kept, base, is_last: false }, source, hits);
            }
            if is_gathering {
                kept.drain(..usize::try_from(needed - base).unwrap_or(0));
                self.kept = kept;
                return;
            }
        }
        let view = View { bytes, base: self.position - bytes.len() as u64, is_last: false };
        needed = self.look(view, source, hits);
        kept.clear();
        kept.extend_from_slice(&bytes[view.index(needed)..]);
        self.kept = kept;
    }

    /// Looks at what was kept, now that nothing follows.
    fn finish(&mut self, source: &Source<'_>, hits: &mut dyn FnMut(ContentHit<'r>)) {
        let kept = mem::take(&mut self.kept);
        self.look(View { bytes: &kept, base: self.position - kept.len() as u64, is_last: true }, source, hits);
        self.kept = kept;
    }

    /// Looks at what is new in a view. Returns the place from which bytes are still needed.
    fn look(&mut self, view: View<'_>, source: &Source<'_>, hits: &mut dyn FnMut(ContentHit<'r>)) -> u64 {
        let (before, after) = self.rules.reach();
        // One byte more on either side: patterns look at their neighbours.
        let complete = if view.is_last { view.end() } else { view.end().saturating_sub(after as u64 + 1) };

        self.find_literals(view, source);
        while let Some((at, literal)) = self.literals.front().copied().filter(|(at, _)| *at < complete) {
            self.literals.pop_front();
            let known = self.waiting.len();
            let hit = LiteralHit { at: view.index(at), literal };
            self.matcher.try_at(view.bytes, view.base, hit, source, &mut self.waiting);
            for hit in &mut self.waiting[known..] {
                self.lines.place(view, hit.secret_range.start, hit);
            }
        }
        self.lift_covers(view, source);
        self.tell(complete, before, view.is_last, hits);

        let next = self.prefiltered.saturating_sub(self.rules.longest_literal() as u64);
        let next = self.literals.front().map_or(next, |(at, _)| next.min(*at));
        let needed = next.saturating_sub(before as u64 + 1).min(self.runs).max(view.base);
        self.lines.pass(view, needed);
        needed
    }

    fn find_literals(&mut self, view: View<'_>, source: &Source<'_>) {
        let overlap = self.rules.longest_literal().saturating_sub(1) as u64;
        let from = view.index(self.prefiltered.saturating_sub(overlap));
        self.rules.prefilter(self.rules.scope(source.path, source.quiet)).find(view.bytes, from, &mut self.found);
        let known = self.literals.len();
        for hit in self.found.drain(..) {
            let at = view.base + hit.at as u64;
            if at + self.rules.literal(hit.literal).len() as u64 > self.prefiltered {
                self.literals.push_back((at, hit.literal));
            }
        }
        // A long literal may start before a short one that was complete earlier.
        if known > 0 && self.literals.len() > known {
            self.literals.make_contiguous().sort_unstable();
        }
        self.prefiltered = view.end();
    }

    fn lift_covers(&mut self, view: View<'_>, source: &Source<'_>) {
        while let Some(run) = next_run(view.bytes, view.index(self.runs)) {
            let mut start = run.start;
            loop {
                if run.end == view.bytes.len() && run.end - start < MAX_RUN && !view.is_last {
                    self.runs = view.base + start as u64;
                    return;
                }
                let piece = start..run.end.min(start + MAX_RUN);
                if let Some(text) = decode_run(&view.bytes[piece.clone()]) {
                    let place = view.base + piece.start as u64..view.base + piece.end as u64;
                    let known = self.waiting.len();
                    look_under(self.rules, &text, &place, source, 1, &mut self.waiting);
                    for hit in &mut self.waiting[known..] {
                        self.lines.place(view, place.start, hit);
                    }
                }
                if piece.end == run.end {
                    break;
                }
                start += STEP;
            }
            self.runs = view.base + run.end as u64;
        }
        // What is left is shorter than a run; all of it may be the beginning of one.
        self.runs = self.runs.max(view.end().saturating_sub(MIN_RUN as u64 - 1));
    }

    /// Gives the hits that nothing unseen can overrule.
    fn tell(&mut self, complete: u64, before: usize, is_last: bool, hits: &mut dyn FnMut(ContentHit<'r>)) {
        if self.waiting.is_empty() {
            return;
        }
        let settled_to = if is_last { u64::MAX } else { complete.saturating_sub(before as u64).min(self.runs) };
        self.waiting.sort_by_key(|hit| hit.covers.start);
        let mut ready = 0;
        let mut reach = 0;
        for (index, hit) in self.waiting.iter().enumerate() {
            // A gap: nothing before it overlaps anything after it.
            if hit.covers.start >= reach {
                ready = index;
            }
            reach = reach.max(hit.covers.end);
            if reach > settled_to {
                break;
            }
            if index + 1 == self.waiting.len() {
                ready = index + 1;
            }
        }
        if self.waiting.len() > MAX_WAITING {
            ready = self.waiting.len();
        }
        for mut hit in settle(self.waiting.drain(..ready).collect()) {
            if self.told.len() < MAX_TOLD && !self.told.insert((hit.fingerprint.clone(), hit.line)) {
                continue;
            }
            let redacted = sample(&hit);
            if known::origin(&hit.fingerprint).is_some() {
                hit.severity = Severity::Low;
            }
            let Hit { rule, severity, confidence, until, fingerprint, line, column, proven_by, marked, secret, id, .. } = hit;
            hits(ContentHit { rule, severity, confidence, until, fingerprint, redacted, line, column, proven_by, marked, secret, id });
        }
    }
}

/// Looks at a text that was covered, and under covers in it. Hits get places within `place`, in proportion.
fn look_under<'r>(rules: &'r RuleSet, text: &[u8], place: &Range<u64>, source: &Source<'_>, depth: usize, waiting: &mut Vec<Hit<'r>>) {
    let span = place.end - place.start;
    let scale = |at: u64| place.start + (at.saturating_mul(span) / (text.len() as u64).max(1)).min(span.saturating_sub(1));
    let outside = |range: &Range<u64>| scale(range.start)..scale(range.end).max(scale(range.start) + 1);
    for mut hit in match_text(rules, text, source) {
        hit.range = outside(&hit.range);
        hit.covers = outside(&hit.covers);
        hit.secret_range = outside(&hit.secret_range);
        waiting.push(hit);
    }
    if depth == DEPTH {
        return;
    }
    let mut from = 0;
    while let Some(run) = next_run(text, from) {
        if let Some(inner) = decode_run(&text[run.clone()]) {
            look_under(rules, &inner, &outside(&(run.start as u64..run.end as u64)), source, depth + 1, waiting);
        }
        from = run.end;
    }
}

impl View<'_> {
    fn end(self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The index of a place; of one outside, the nearest.
    fn index(self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.base)).map_or(self.bytes.len(), |index| index.min(self.bytes.len()))
    }
}

/// Counts line ends, each once, as places are asked for in rising order or nearly so.
#[derive(Default)]
struct LineCounter {
    /// Line ends before `counted`.
    ends: u64,
    counted: u64,
    /// Where the line starts that the view begins in.
    first_line: u64,
}

impl LineCounter {
    /// Tells a hit where it stands.
    fn place(&mut self, view: View<'_>, at: u64, hit: &mut Hit<'_>) {
        hit.line = self.line_at(view, at);
        hit.column = at.saturating_sub(self.line_start(view, at)) + 1;
        hit.marked = marker_at(view.bytes, view.index(hit.secret_range.start)..view.index(hit.secret_range.end), &hit.rule.id);
    }

    fn line_start(&self, view: View<'_>, at: u64) -> u64 {
        memchr::memrchr(b'\n', &view.bytes[..view.index(at)]).map_or(self.first_line, |end| view.base + end as u64 + 1)
    }

    fn line_at(&mut self, view: View<'_>, at: u64) -> u64 {
        let between = |from, to| memchr::memchr_iter(b'\n', &view.bytes[view.index(from)..view.index(to)]).count() as u64;
        if at >= self.counted {
            self.ends += between(self.counted, at);
        } else {
            self.ends -= between(at, self.counted);
        }
        self.counted = at;
        self.ends + 1
    }

    /// Prepares for the bytes before a place being dropped.
    fn pass(&mut self, view: View<'_>, at: u64) {
        self.line_at(view, at);
        self.first_line = self.line_start(view, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::Digest;
    use crate::scan::rule_set::ENGINE;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use std::io::BufReader;

    fn found(path: &str, text: &[u8]) -> Vec<(String, u64, String)> {
        let mut hits = Vec::new();
        let mut scanner = ContentScanner::new(RuleSet::builtin(), 1_800_000_000);
        let mut tell = |hit: ContentHit<'_>| hits.push((hit.rule.id.clone(), hit.line, hit.secret.expose().to_owned()));
        scanner.scan(path.as_bytes(), &mut &text[..], &mut tell).expect("memory can be read");
        hits
    }

    fn ids(path: &str, text: &[u8]) -> Vec<String> {
        found(path, text).into_iter().map(|(id, _, _)| id).collect()
    }

    fn token() -> String {
        RuleSet::builtin().get("github-personal-token").expect("a rule").examples[0].trim_start_matches("GITHUB_TOKEN=").to_owned()
    }

    #[test]
    fn every_example_is_found_and_no_counter_example_is() {
        let mut wrong = Vec::new();
        for rule in RuleSet::builtin().iter() {
            let path = rule.paths.first().map_or("app/config", String::as_str);
            for (number, example) in rule.examples.iter().enumerate() {
                if !ids(path, example.as_bytes()).contains(&rule.id) {
                    wrong.push(format!("{}: example {number} is not found, but {:?}", rule.id, ids(path, example.as_bytes())));
                }
            }
            for (number, example) in rule.counter_examples.iter().enumerate() {
                if ids(path, example.as_bytes()).contains(&rule.id) {
                    wrong.push(format!("{}: counter-example {number} is found", rule.id));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_secret_is_found_across_every_offset_of_a_chunks_edge() {
        let token = token();
        for shift in 0..=token.len() + 4 {
            let mut text = vec![b'.'; CHUNK - shift];
            text.push(b'\n');
            text.extend_from_slice(token.as_bytes());
            text.extend_from_slice(b"\nmore\n");
            let hits = found("a", &text);
            assert_eq!(hits, [("github-personal-token".to_owned(), 2, token.clone())], "shift {shift}");
        }
    }

    #[test]
    fn small_reads_find_what_one_large_read_finds() {
        let mut text = Vec::new();
        for (number, rule) in RuleSet::builtin().iter().enumerate() {
            for example in &rule.examples {
                text.extend_from_slice(example.as_bytes());
                text.resize(text.len() + number * 37, b' ');
                text.push(b'\n');
                text.extend_from_slice(STANDARD.encode(example).as_bytes());
                text.resize(text.len() + 13_000, b'.');
                text.extend_from_slice(b"\n\n");
            }
        }
        let whole = found("a", &text);
        let mut pieces = Vec::new();
        let mut scanner = ContentScanner::new(RuleSet::builtin(), 1_800_000_000);
        let mut tell = |hit: ContentHit<'_>| pieces.push((hit.rule.id.clone(), hit.line, hit.secret.expose().to_owned()));
        scanner.scan(b"a", &mut BufReader::with_capacity(97, &text[..]), &mut tell).expect("memory can be read");
        assert!(whole.len() > 100 && text.len() > 4 * CHUNK);
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_place_is_a_line_and_a_column_also_where_a_line_is_longer_than_a_chunk() {
        let token = token();
        let place = |text: &str, capacity| {
            let mut places = Vec::new();
            let mut scanner = ContentScanner::new(RuleSet::builtin(), 1_800_000_000);
            let mut tell = |hit: ContentHit<'_>| places.push((hit.line, hit.column, hit.proven_by));
            scanner.scan(b"a", &mut BufReader::with_capacity(capacity, text.as_bytes()), &mut tell).expect("memory can be read");
            places
        };
        let long = "a, ".repeat(CHUNK);
        for capacity in [997, 64 << 10, 8 << 20] {
            assert_eq!(place(&token, capacity), [(1, 1, Some("crc32-base62"))]);
            assert_eq!(place(&format!("one\n\n  {token}\n"), capacity), [(3, 3, Some("crc32-base62"))]);
            assert_eq!(place(&format!("one\n{long}{token} x\n"), capacity), [(2, long.len() as u64 + 1, Some("crc32-base62"))]);
        }
    }

    #[test]
    fn a_credentials_own_rule_wins_over_a_guess() {
        let token = token();
        assert_eq!(ids("app/.env", format!("API_TOKEN={token}\n").as_bytes()), ["github-personal-token"]);
        assert_eq!(ids("app/.env", format!("url=https://x:{token}@github.com/a/b\n").as_bytes()), ["github-personal-token"]);
    }

    #[test]
    fn guesses_are_quiet_in_dependency_trees_and_tokens_are_not() {
        let guess = b"DB_PASSWORD=Vt7qLw92xQ\n";
        assert_eq!(ids("app/settings.py", guess), ["generic-password"]);
        assert!(ids("app/node_modules/x/settings.js", guess).is_empty());
        assert_eq!(ids("app/node_modules/x/settings.js", token().as_bytes()), ["github-personal-token"]);
    }

    #[test]
    fn thin_covers_are_lifted() {
        let token = token();
        let once = STANDARD.encode(format!("token: {token}\n"));
        let twice = STANDARD.encode(format!("data: {once}\n"));
        let thrice = STANDARD.encode(format!("data: {twice}\n"));
        assert_eq!(ids("secret.yaml", format!("  token: {once}\n").as_bytes()), ["github-personal-token"]);
        assert_eq!(found("secret.yaml", format!("a\nb: {twice}\n").as_bytes())[0].1, 2);
        assert!(!ids("secret.yaml", format!("x {thrice}\n").as_bytes()).contains(&"github-personal-token".to_owned()));
        let wide: Vec<u8> =
            format!("# a file that some editor saved as UTF-16\r\nTOKEN={token}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found("a.ini", &wide), [("github-personal-token".to_owned(), 2, token)]);
    }

    /// When this fails, the engine finds something else than before: count up `ENGINE` of the rule set, which cached results are kept under,
    /// and put the new digest here. The rules are the test's own, so that new built-in ones change nothing.
    #[test]
    fn what_the_engine_finds_is_tied_to_its_version() {
        let yaml = "vendor: Acme\nrules:\n\
            \x20 - {id: acme-token, name: A, severity: high, confidence: high, literals: [acme_], pattern: '\\bacme_[0-9a-f]{16}\\b', gain: A., revoke: B.}\n\
            \x20 - {id: acme-word, name: A, severity: low, confidence: low, literals: [acmeword], case: insensitive, generic: true, checks: [placeholder, word], \
            entropy: 2.5, pattern: '(?i:acmeword)[=:] ?(?P<secret>[^\\s]{8,64})', gain: A., revoke: B.}\n";
        let rules = RuleSet::builtin().with_rules("acme.yaml", yaml).expect("good rules");
        let token = &["acme_", "0123456789abcde0"].concat();
        let lines = [
            format!("a {token} b{token} {token}0"),
            format!("acmeword=Vt7qLw92xQ ACMEWORD: {token} acmeword=changeme acmeword=getValue()"),
            STANDARD.encode(format!("in a cover: {token}\n")),
            STANDARD.encode(STANDARD.encode(format!("in two covers, one below the other: {token}\n"))),
            format!("{}{token}", "long ".repeat(80_000)),
            STANDARD.encode(format!("{} {token}", "long ".repeat(5_000))),
        ];
        let text = lines.join("\n");
        let wide: Vec<u8> = lines[..3].join("\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut found = String::new();
        for (path, text) in [("app/a", text.as_bytes()), ("usr/lib/a", text.as_bytes()), ("app/wide", &wide)] {
            let mut tell = |hit: ContentHit<'_>| {
                let (id, line) = (&hit.rule.id, hit.line);
                found += &format!("{path} {id} {line} {} {} {} {}\n", hit.severity, hit.confidence, hit.fingerprint, hit.redacted);
            };
            ContentScanner::new(&rules, 0).scan(path.as_bytes(), &mut &text[..], &mut tell).expect("memory can be read");
        }
        assert!(found.lines().count() >= 12, "{found}");
        assert_eq!((ENGINE, &Digest::of(found.as_bytes()).hex()[..16]), ("1", "8685293e4360e6ad"), "{found}");
    }

    #[test]
    fn time_decides_over_a_web_token() {
        let rule = RuleSet::builtin().get("json-web-token").expect("a rule");
        let severity = |now| {
            let mut severities = Vec::new();
            let mut scanner = ContentScanner::new(RuleSet::builtin(), now);
            let mut note = |hit: ContentHit<'_>| severities.push((hit.severity, hit.until));
            scanner.scan(b"a", &mut rule.examples[0].as_bytes(), &mut note).expect("memory can be read");
            severities
        };
        let last = 4_102_444_800;
        assert_eq!(severity(1_800_000_000), [(Severity::Medium, Some(last))]);
        assert_eq!(severity(last), [(Severity::Medium, Some(last))]);
        assert_eq!(severity(last + 1), [(Severity::Low, None)]);
    }

    #[test]
    fn a_long_line_takes_time_in_proportion() {
        let time = |length: usize| {
            let text = b"password=token: eyJhbGciOi-----BEGIN PRIVATE KEY-----"[..].repeat(length / 52);
            let start = std::time::Instant::now();
            found("a", &text);
            start.elapsed()
        };
        let (short, long) = (time(1 << 18), time(20 << 18));
        assert!(long < short * 80 + std::time::Duration::from_secs(2), "{short:?} for 256 KiB, {long:?} for 5 MiB");
    }
}
