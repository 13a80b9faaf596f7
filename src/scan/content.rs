//! Scans one stream of bytes, of any length, in constant memory.

use std::collections::{HashSet, VecDeque};
use std::io::{self, BufRead};
use std::mem;

use crate::scan::cover::Cover;
use crate::scan::decode::{Encoding, Lift, MAX_BREAK, MAX_RUN, MIN_RUN, lift_run, next_run};
use crate::scan::escape::{self, MAX_STRETCH};
use crate::scan::finding::{Confidence, Severity};
use crate::scan::known;
use crate::scan::marker::marker_at;
use crate::scan::matcher::{Hit, Matcher, Placed, Source, settle};
use crate::scan::prefilter::{LiteralHit, MARK};
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
    /// Escapes are taken off up to here.
    unescaped: u64,
    /// Marks of escapes, of which the stretch is not yet known.
    marks: VecDeque<u64>,
    /// Literals whose window is not yet complete.
    literals: VecDeque<Placed>,
    /// Hits, with their lines, that may yet give way to a stronger one.
    waiting: Vec<Hit<'r>>,
    lines: LineCounter,
    told: HashSet<(Fingerprint, u64)>,
    /// Literals in the bytes that are looked at.
    found: Vec<LiteralHit>,
}

/// A stream under way, which goes on with [`ContentScanner::feed`].
pub struct Stream<'p> {
    source: Source<'p>,
    encoding: Encoding,
    /// Of UTF-16: half a character, and the last piece as ASCII.
    rest: Option<u8>,
    text: Vec<u8>,
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
            unescaped: 0,
            marks: VecDeque::new(),
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
        let mut stream = None;
        let mut length = 0;
        loop {
            let bytes = match data.fill_buf() {
                Ok(bytes) => &bytes[..bytes.len().min(CHUNK)],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let stream = stream.get_or_insert_with(|| self.begin(path, Encoding::of(bytes)));
            if bytes.is_empty() {
                self.end(stream, hits);
                return Ok(length);
            }
            self.feed(stream, bytes, hits);
            let read = bytes.len();
            data.consume(read);
            length += read as u64;
        }
    }

    /// Begins a stream that is fed piece by piece, for readers who do more with the bytes than scan them.
    pub fn begin<'p>(&mut self, path: &'p [u8], encoding: Encoding) -> Stream<'p> {
        self.restart();
        Stream { source: Source::new(path, self.now), encoding, rest: None, text: Vec::new() }
    }

    /// Scans the next bytes of the stream that was begun last.
    pub fn feed(&mut self, stream: &mut Stream<'_>, bytes: &[u8], hits: &mut dyn FnMut(ContentHit<'r>)) {
        for bytes in bytes.chunks(CHUNK) {
            if stream.encoding == Encoding::Bytes {
                self.take(bytes, &stream.source, hits);
            } else {
                stream.text.clear();
                stream.encoding.append(bytes, &mut stream.rest, &mut stream.text);
                self.take(&stream.text, &stream.source, hits);
            }
        }
    }

    /// Nothing more comes of the stream.
    pub fn end(&mut self, stream: &Stream<'_>, hits: &mut dyn FnMut(ContentHit<'r>)) {
        self.finish(&stream.source, hits);
    }

    fn restart(&mut self) {
        self.matcher.reset();
        self.kept.clear();
        self.position = 0;
        self.prefiltered = 0;
        self.runs = 0;
        self.unescaped = 0;
        self.marks.clear();
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
        let edge = before + after + MAX_RUN.max(MAX_STRETCH) + MAX_BREAK;
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
        let ready = self.literals.partition_point(|(at, _)| *at < complete);
        if ready > 0 {
            let literals = self.literals.make_contiguous();
            for index in 0..ready {
                let known = self.waiting.len();
                self.matcher.try_at(view.bytes, view.base, literals[index], &literals[index + 1..], source, &mut self.waiting);
                for hit in &mut self.waiting[known..] {
                    self.lines.place(view, hit.secret_range.start, hit);
                }
            }
            self.literals.drain(..ready);
        }
        self.lift_runs(view, source);
        self.lift_escapes(view, source);
        self.tell(complete, before, view.is_last, hits);

        let next = self.prefiltered.saturating_sub(self.rules.longest_literal() as u64);
        let next = self.literals.front().map_or(next, |(at, _)| next.min(*at));
        let next = self.marks.front().map_or(next, |at| next.min(at.saturating_sub(escape::GAP as u64)));
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
            if hit.literal == MARK {
                if at + 4 > self.prefiltered && at >= self.unescaped {
                    self.marks.push_back(at);
                }
            } else if at + self.rules.literal(hit.literal).len() as u64 > self.prefiltered {
                self.literals.push_back((at, hit.literal));
            }
        }
        // A long literal may start before a short one that was complete earlier.
        if known > 0 && self.literals.len() > known {
            self.literals.make_contiguous().sort_unstable();
        }
        self.prefiltered = view.end();
    }

    fn lift_runs(&mut self, view: View<'_>, source: &Source<'_>) {
        while let Some(run) = next_run(view.bytes, view.index(self.runs)) {
            let next = match lift_run(view.bytes, &run, view.is_last) {
                Lift::Unfinished => {
                    self.runs = view.base + run.start as u64;
                    return;
                }
                Lift::Nothing(next) => next,
                Lift::Texts(texts, next) => {
                    texts.into_iter().for_each(|text| self.look_under(&Cover::from(text), view, source));
                    next
                }
            };
            self.runs = view.base + next as u64;
        }
        // What is left is shorter than a run; all of it may be the beginning of one.
        self.runs = self.runs.max(view.end().saturating_sub(MIN_RUN as u64 - 1));
    }

    fn lift_escapes(&mut self, view: View<'_>, source: &Source<'_>) {
        while let Some(mark) = self.marks.front().copied() {
            if mark < self.unescaped {
                self.marks.pop_front();
                continue;
            }
            let range = escape::stretch(view.bytes, view.index(mark), view.index(self.unescaped));
            if range.end == view.bytes.len() && range.len() < MAX_STRETCH && !view.is_last {
                return;
            }
            if let Some(cover) = Cover::of_escapes(view.bytes, range.clone()) {
                self.look_under(&cover, view, source);
            }
            self.unescaped = view.base + escape::after(&range) as u64;
        }
    }

    fn look_under(&mut self, cover: &Cover, view: View<'_>, source: &Source<'_>) {
        let under = cover.look_under(self.rules, source, 1);
        self.matcher.work += under.work;
        for mut hit in under.hits {
            for range in [&mut hit.range, &mut hit.covers, &mut hit.secret_range] {
                *range = view.base + range.start..view.base + range.end;
            }
            let start = if cover.places.is_some() { hit.secret_range.start } else { view.base + cover.range.start as u64 };
            self.lines.place(view, start, &mut hit);
            self.waiting.push(hit);
        }
    }

    /// Gives the hits that nothing unseen can overrule.
    fn tell(&mut self, complete: u64, before: usize, is_last: bool, hits: &mut dyn FnMut(ContentHit<'r>)) {
        if self.waiting.is_empty() {
            return;
        }
        let settled_to = if is_last {
            u64::MAX
        } else {
            complete.saturating_sub(before as u64).min(self.runs).min(self.marks.front().map_or(u64::MAX, |at| at.saturating_sub(escape::GAP as u64)))
        };
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
                (hit.severity, hit.confidence) = (Severity::Low, Confidence::Low);
            }
            let Hit { rule, severity, confidence, until, fingerprint, line, column, proven_by, marked, secret, id, .. } = hit;
            hits(ContentHit { rule, severity, confidence, until, fingerprint, redacted, line, column, proven_by, marked, secret, id });
        }
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
        let deep = (0..4).fold(format!("token: {token}\n"), |text, _| STANDARD.encode(text));
        let too_deep = STANDARD.encode(&deep);
        assert_eq!(ids("secret.yaml", format!("  token: {once}\n").as_bytes()), ["github-personal-token"]);
        assert_eq!(found("secret.yaml", format!("a\nb: {twice}\n").as_bytes())[0].1, 2);
        assert_eq!(ids("secret.yaml", format!("x {deep}\n").as_bytes()), ["github-personal-token"]);
        assert!(!ids("secret.yaml", format!("x {too_deep}\n").as_bytes()).contains(&"github-personal-token".to_owned()));
        let wide: Vec<u8> =
            format!("# a file that some editor saved as UTF-16\r\nTOKEN={token}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found("a.ini", &wide), [("github-personal-token".to_owned(), 2, token)]);
    }

    fn escaped(text: &str, write: fn(u8) -> String) -> String {
        text.bytes().map(write).collect()
    }

    #[test]
    fn a_secret_is_found_under_every_cover_at_the_place_where_the_cover_starts() {
        let token = token();
        let line = format!("the one token of this service: {token}\n");
        let letters = |text: &str, write: fn(u8) -> String| -> String {
            text.bytes().enumerate().map(|(index, byte)| if index % 5 == 4 { char::from(byte).to_string() } else { write(byte) }).collect()
        };
        let wrapped = |text: &str, line_break: &str| {
            let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
            lines.join(line_break)
        };
        let long = STANDARD.encode(line.repeat(4));
        let wide = |text: &str| String::from_utf8(text.encode_utf16().flat_map(u16::to_le_bytes).collect()).expect("ASCII");
        let (head, tail) = token.split_at(20);
        for (name, cover) in [
            ("hexadecimal", escaped(&line, |byte| format!("{byte:02x}"))),
            ("wrapped hexadecimal", wrapped(&escaped(&line, |byte| format!("{byte:02X}")), "\r\n")),
            ("wrapped base64", wrapped(&long, "\n")),
            ("indented base64", wrapped(&long, "\n        ")),
            ("base64 in a JSON string", wrapped(&long, "\\n")),
            ("base64 in strings that are added up", wrapped(&long, "\" +\n    \"")),
            ("UTF-16 in base64", STANDARD.encode(wide(&line))),
            ("percent", escaped(&token, |byte| format!("%{byte:02X}"))),
            ("percent, mixed with plain", letters(&token, |byte| format!("%{byte:02x}"))),
            ("\\x", escaped(&token, |byte| format!("\\x{byte:02x}"))),
            ("\\u", escaped(&token, |byte| format!("\\u{byte:04X}"))),
            ("octal", escaped(&token, |byte| format!("\\{byte:03o}"))),
            ("HTML", escaped(&token, |byte| format!("&#{byte};"))),
            ("HTML, hexadecimal", letters(&token, |byte| format!("&#x{byte:x};"))),
            (
                "base64 of JSON of base64 in percent",
                escaped(&STANDARD.encode(format!("{{\"a\": \"{}\"}}", STANDARD.encode(&line))), |byte| format!("%{byte:02X}")),
            ),
            ("UTF-16", wide(&token)),
            ("quoted-printable", format!("{head}=\r\n{tail}")),
            ("strings that are added up", format!("{head}\" +\n  \"{tail}")),
        ] {
            for before in ["", "x", "a line\n", "many\nlines, "] {
                let binary = "\x01\0\x02\x03".repeat(before.len() * 3 + 300);
                let text = format!("{binary}\n{before}\"{cover}\" and\nmore\n");
                let mut places = Vec::new();
                let mut scanner = ContentScanner::new(RuleSet::builtin(), 0);
                let mut tell = |hit: ContentHit<'_>| places.push((hit.rule.id.clone(), hit.line, hit.secret.expose() == token));
                scanner.scan(b"a", &mut text.as_bytes(), &mut tell).expect("memory can be read");
                let line = 2 + before.matches('\n').count() as u64;
                assert_eq!(places, [("github-personal-token".to_owned(), line, true)], "{name}: {text}");
            }
        }
    }

    #[test]
    fn what_is_written_with_escapes_is_read_without_them() {
        let key = RuleSet::builtin().get("private-key").expect("a rule").examples[0].clone();
        let login = RuleSet::builtin().get("docker-config-auth").expect("a rule").examples[0].clone();
        let url = "url = 'https:\\/\\/build:Vt7qLw92xQ@git.corp.net\\/shop.git'";
        for (text, rule) in [
            (key.replace('\n', "\\n"), "private-key"),
            (key.replace('\n', "\\r\\n"), "private-key"),
            (key.replace('\n', "\\\\n"), "private-key"),
            (key.replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B").replace('/', "%2F"), "private-key"),
            (key.replace('\n', "&#10;"), "private-key"),
            (format!("mail: {}", STANDARD.encode(format!("{{\"key\": \"{}\"}}", key.replace('\n', "\\n")))), "private-key"),
            (login.replace('"', "\\\""), "docker-config-auth"),
            (login.replace('"', "\\\\\\\""), "docker-config-auth"),
            (login.replace('"', "&quot;"), "docker-config-auth"),
            (login.replace('"', "\\u0022"), "docker-config-auth"),
            (STANDARD.encode(login.replace(',', ",\n")), "docker-config-auth"),
            (url.to_owned(), "url-credentials"),
            ("{\\\"password\\\": \\\"Vt7qLw92xQ\\\"}".to_owned(), "generic-password"),
        ] {
            let mut found = Vec::new();
            let mut scanner = ContentScanner::new(RuleSet::builtin(), 0);
            let mut tell = |hit: ContentHit<'_>| found.push((hit.rule.id.clone(), hit.proven_by));
            scanner.scan(b"app/a", &mut text.as_bytes(), &mut tell).expect("memory can be read");
            let proof = (rule == "private-key").then_some("pem");
            assert_eq!(found, [(rule.to_owned(), proof)], "{text}");
        }
        for text in [
            "msg = 'no \\\"password\\\": it is\\n required, says &quot;secret&quot;'",
            "a \\w{3}\\x80\\u2028 100%25",
            "\"pass\" + \"word\" = \"abc\"",
            "archives/passwd_1%3a4.13+dfsg1-1_amd64.deb",
        ] {
            assert_eq!(ids("app/a.js", text.as_bytes()), Vec::<String>::new(), "{text}");
        }
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
            escaped(&format!("in another cover: {token}\n"), |byte| format!("{byte:02x}")),
            escaped(token, |byte| format!("\\x{byte:02x}")),
            format!("acmeword\\u003dVt7qLw92xQ {}\" + \"{}", &token[..12], &token[12..]),
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
        assert_eq!((ENGINE, &Digest::of(found.as_bytes()).hex()[..16]), ("3", "a620e8ecf16fc605"), "{found}");
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

    /// Bytes that patterns were given.
    fn work(text: &[u8]) -> u64 {
        let mut scanner = ContentScanner::new(RuleSet::builtin(), 0);
        scanner.scan(b"a", &mut &text[..], &mut |_| ()).expect("memory can be read");
        scanner.matcher.work
    }

    #[test]
    fn work_is_in_proportion_to_the_text() {
        let begin = &["-----BEGIN ", "PRIVATE KEY-----\n"].concat();
        let dense = &format!("password=token: eyJhbGciOi{}", begin.trim_end());
        let covered = (0..4).fold(dense.repeat(40), |text, _| STANDARD.encode(text)) + "\n";
        let escaped = escaped(dense, |byte| format!("%{byte:02x}"));
        let in_json = "{\\\"password\\\": \\\"".to_owned();
        for (text, most) in [(dense, 66), (begin, 20), (&covered, 64), (&escaped, 64), (&in_json, 60)] {
            let times = |length: usize| text.repeat(length / text.len() + 1);
            let (short, long) = (work(times(1 << 15).as_bytes()), work(times(1 << 18).as_bytes()));
            assert!(short > 0 && long <= 9 * short, "{short} bytes for 32 KiB, {long} for 256 KiB of {}", &text[..20]);
            assert!(long <= most << 18, "{long} bytes for 256 KiB of {}", &text[..20]);
        }
    }

    #[test]
    fn a_key_after_many_that_only_begin_is_found() {
        let key = &RuleSet::builtin().get("private-key").expect("a rule").examples[0];
        let text = ["-----BEGIN ", "PRIVATE KEY-----\n"].concat().repeat(500) + key;
        assert_eq!(ids("a", text.as_bytes()), ["private-key"]);
    }
}
