//! Scans the instructions of a Dockerfile as a builder reads them: `ENV NAME value` names its value, and a text that goes on in the next line
//! is one.
//!
//! Source: Dockerfile reference, "Format", "Escape", "Environment replacement", "Here-documents".

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use crate::scan::blob_scan::{PlacedSighting, Seen};
use crate::scan::content::ContentScanner;
use crate::scan::found::{Found, Recognise};
use crate::scan::places::Sighting;
use crate::scan::redact::redact_text;
use crate::scan::rule_set::RuleSet;

/// Bytes of the longest Dockerfile whose instructions are read; what is longer is scanned as plain text alone.
pub const MAX_DOCKERFILE: u64 = 1 << 20;

/// What rules that are for Dockerfiles take for the path.
const PATH: &[u8] = b"Dockerfile";

/// An instruction, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// 1 is the first.
    pub lines: RangeInclusive<u64>,
    /// One line, secrets in it redacted.
    pub text: String,
}

/// An instruction, as it is written: secrets and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// In capital letters.
    pub keyword: String,
    /// What follows the keyword in one line, comments taken out; of `ENV` and `LABEL` as `NAME=value` without quotes, of a JSON list its words.
    pub words: String,
    /// 1 is the first.
    pub line: u64,
}

/// The instructions of a Dockerfile, in order. Those for later (`ONBUILD`) are left out: they make nothing.
#[must_use]
pub fn written(text: &[u8]) -> Vec<Written> {
    let found = instructions(text).into_iter().filter(|instruction| !instruction.keyword.starts_with("ONBUILD"));
    found
        .map(|instruction| {
            let texts: Vec<String> = instruction.texts.iter().map(|piece| String::from_utf8_lossy(&piece.bytes).trim().to_owned()).collect();
            let words = if instruction.keyword == "ARG" { instruction.whole } else { texts.join(" ") };
            let line = *instruction.lines.start();
            // What is copied begins with its keyword.
            let (keyword, words) = match words.split_once(' ').filter(|_| instruction.keyword.is_empty()) {
                Some((keyword, words)) => (keyword.to_owned(), words.to_owned()),
                None => (instruction.keyword, words),
            };
            Written { keyword, words, line }
        })
        .collect()
}

/// Whether a file is a Dockerfile by its name: `Dockerfile`, `Containerfile`, `Dockerfile.dev`, `api.Dockerfile`.
#[must_use]
pub fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    ["dockerfile", "containerfile"].iter().any(|kind| {
        let before = name.strip_suffix(kind).is_some_and(|before| before.is_empty() || before.ends_with(['.', '-', '_']));
        before || name.strip_prefix(kind).is_some_and(|after| after.starts_with(['.', '-', '_']) && after != ".dockerignore")
    })
}

/// Adds to `seen` what only the instructions of a text show; its sightings from `first` on are those of the text as it is. Returns the
/// instructions.
pub fn scan_instructions(
    seen: &mut Seen,
    first: usize,
    (path, text): (&str, &[u8]),
    (rules, now): (&RuleSet, i64),
    recognise: &Recognise<'_>,
) -> Vec<Step> {
    let mut scanner = ContentScanner::new(rules, now);
    let mut steps = Vec::new();
    for instruction in instructions(text) {
        let mut found = BTreeSet::new();
        for piece in &instruction.texts {
            let mut hits = Vec::new();
            // Memory can be read.
            let _ = scanner.scan(PATH, &mut &piece.bytes[..], &mut |hit| hits.push(hit));
            for hit in hits {
                if let Some(token) = recognise(&Found::of(&hit)) {
                    seen.own_bait.insert(token);
                    continue;
                }
                let mut sighting = Sighting::of(&hit);
                found.insert((sighting.rule.clone(), sighting.fingerprint.clone()));
                (sighting.line, sighting.column) = piece.place(usize::try_from(hit.column).unwrap_or(1).saturating_sub(1));
                if seen.sightings[first..].iter().any(|placed| is_same(&placed.sighting, &sighting)) {
                    continue;
                }
                seen.sightings.push(PlacedSighting { path: path.as_bytes().to_vec(), stray: false, inner: Vec::new(), sighting });
            }
        }
        // What the text as a whole shows and this piece of it does not could not be redacted in it.
        let is_shown = seen.sightings[first..].iter().all(|PlacedSighting { sighting, .. }| {
            !instruction.head.contains(&sighting.line) || found.contains(&(sighting.rule.clone(), sighting.fingerprint.clone()))
        });
        let words: Vec<String> = instruction.texts.iter().map(|piece| redact_text(&String::from_utf8_lossy(&piece.bytes), rules, now)).collect();
        let words = if is_shown { words.join(" ") } else { "…".to_owned() };
        steps.push(Step { lines: instruction.lines, text: format!("{} {words}", instruction.keyword).trim().to_owned() });
    }
    steps
}

/// The same secret, or another rule's word for what stands at the same place.
fn is_same(one: &Sighting, other: &Sighting) -> bool {
    one.rule == other.rule && one.fingerprint == other.fingerprint || (one.line, one.column) == (other.line, other.column)
}

/// One instruction.
struct Instruction {
    /// In capital letters; before it `ONBUILD `, where it is for later. Of what is copied, the text begins with it.
    keyword: String,
    /// Its lines without those of here-documents.
    head: RangeInclusive<u64>,
    lines: RangeInclusive<u64>,
    /// `NAME=value` for each variable, argument or label; else all words.
    texts: Vec<Text>,
    /// What follows the keyword.
    whole: String,
}

/// A text that was put together from pieces of a file.
#[derive(Default, Clone)]
struct Text {
    bytes: Vec<u8>,
    /// Where each piece starts: in the text, and its line and column in the file.
    pieces: Vec<(usize, u64, u64)>,
}

impl Text {
    fn push(&mut self, bytes: &[u8], (line, column): (u64, u64)) {
        self.pieces.push((self.bytes.len(), line, column));
        self.bytes.extend_from_slice(bytes);
    }

    /// Line and column of a byte.
    fn place(&self, at: usize) -> (u64, u64) {
        let next = self.pieces.partition_point(|(start, ..)| *start <= at);
        let (start, line, column) = next.checked_sub(1).and_then(|piece| self.pieces.get(piece)).copied().unwrap_or((0, 1, 1));
        (line, column + at.saturating_sub(start) as u64)
    }

    /// Appends a part of another text.
    fn append(&mut self, other: &Self, range: Range<usize>) {
        let range = range.start..range.end.min(other.bytes.len());
        let mut from = range.start;
        let inner = other.pieces.iter().map(|(start, ..)| *start).filter(|start| range.contains(start) && *start > range.start);
        for to in inner.chain([range.end]) {
            if let Some(bytes) = other.bytes.get(from..to).filter(|bytes| !bytes.is_empty()) {
                self.push(bytes, other.place(from));
            }
            from = to;
        }
    }

    fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        part.append(self, range);
        part
    }

    /// The text without its first word, and that word.
    fn split_word(&self) -> (String, Self) {
        let start = self.bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(self.bytes.len());
        let word = self.bytes[start..].iter().position(u8::is_ascii_whitespace).unwrap_or(self.bytes.len() - start);
        let end = start + word;
        let rest = self.bytes[end..].iter().position(|byte| !byte.is_ascii_whitespace()).map_or(self.bytes.len(), |blank| end + blank);
        (String::from_utf8_lossy(&self.bytes[start..end]).into_owned(), self.part(rest..self.bytes.len()))
    }
}

fn instructions(text: &[u8]) -> Vec<Instruction> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let escape = escape_of(text);
    let mut lines = (1..).zip(text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
    let mut found = Vec::new();
    while let Some((first, line)) = lines.next() {
        if is_blank(line) {
            continue;
        }
        let mut text = Text::default();
        let (mut number, mut line, mut start) = (first, line, line.len() - line.trim_ascii_start().len());
        loop {
            let body = line.trim_ascii_end();
            match body.strip_suffix(&[escape]) {
                Some(body) => text.push(body.get(start..).unwrap_or_default(), (number, start as u64 + 1)),
                None => {
                    text.push(&line[start..], (number, start as u64 + 1));
                    break;
                }
            }
            // Comments and empty lines in between do not end it.
            let Some(next) = lines.by_ref().find(|(_, line)| !is_blank(line)) else { break };
            (number, line, start) = (next.0, next.1, 0);
        }
        let head = first..=number;
        let (mut keyword, mut rest) = text.split_word();
        keyword.make_ascii_uppercase();
        let is_later = keyword == "ONBUILD";
        if is_later {
            (keyword, rest) = rest.split_word();
            keyword.make_ascii_uppercase();
        }
        if matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
            for (word, is_indented) in here_documents(&rest.bytes) {
                let is_end = |line: &[u8]| if is_indented { line.trim_ascii_start() == word } else { line == word };
                for (at, line) in lines.by_ref() {
                    number = at;
                    if is_end(line) {
                        break;
                    }
                }
            }
        }
        let whole = String::from_utf8_lossy(&rest.bytes).trim().to_owned();
        let texts = match keyword.as_str() {
            "ENV" | "LABEL" | "ARG" => pairs(&rest, escape, keyword != "ARG"),
            // What is copied is told by rules that know these words.
            "COPY" | "ADD" => {
                let mut whole = Text::default();
                whole.push(format!("{keyword} ").as_bytes(), text.place(0));
                whole.append(&arguments(rest), 0..usize::MAX);
                vec![whole]
            }
            _ => vec![arguments(rest)],
        };
        let keyword = match (is_later, keyword.as_str()) {
            (is_later, "COPY" | "ADD") => if is_later { "ONBUILD" } else { "" }.to_owned(),
            (true, keyword) => format!("ONBUILD {keyword}"),
            (false, _) => keyword,
        };
        found.push(Instruction { keyword, head, lines: first..=number, texts, whole });
    }
    found
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii_start().first().is_none_or(|first| *first == b'#')
}

/// The letter that takes a line's end away: `# escape=` in the first comment lines says another than the backslash.
fn escape_of(text: &[u8]) -> u8 {
    let directives = text.split(|byte| *byte == b'\n').map_while(|line| line.trim_ascii().strip_prefix(b"#"));
    let values = directives.map(|line| String::from_utf8_lossy(line).to_ascii_lowercase()).map_while(|line| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    });
    values.filter(|(name, value)| name == "escape" && value == "`").map(|_| b'`').next().unwrap_or(b'\\')
}

/// The words that end the here-documents of a command, and whether tabs may stand before them.
fn here_documents(command: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(mark) = command.get(at..).and_then(|rest| rest.windows(2).position(|two| two == b"<<")) {
        let mut rest = &command[at + mark + 2..];
        at += mark + 2;
        if rest.first() == Some(&b'<') {
            at += 1;
            continue;
        }
        let is_indented = rest.first() == Some(&b'-');
        rest = &rest[usize::from(is_indented)..];
        let quote = rest.first().copied().filter(|byte| matches!(byte, b'"' | b'\''));
        rest = &rest[usize::from(quote.is_some())..];
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let length = rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        if rest.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_') {
            found.push((rest[..length].to_vec(), is_indented));
        }
    }
    found
}

/// `NAME=value` for each pair, quotes and escapes taken off. `has_old_form`: one name, a blank, and all the rest as its value.
fn pairs(text: &Text, escape: u8, has_old_form: bool) -> Vec<Text> {
    let words = words(text, escape);
    if has_old_form && words.first().is_some_and(|word| !word.bytes.contains(&b'=')) {
        let (_, value) = text.split_word();
        let name = words.first().cloned().unwrap_or_default();
        let quoted = value.bytes.first().copied().filter(|quote| matches!(quote, b'"' | b'\'') && value.bytes.trim_ascii_end().ends_with(&[*quote]));
        let length = value.bytes.trim_ascii_end().len();
        let value = if quoted.is_some() && length >= 2 { value.part(1..length - 1) } else { value.part(0..length) };
        let mut pair = name;
        let place = value.place(0);
        pair.push(b"=", place);
        pair.append(&value, 0..value.bytes.len());
        return vec![pair];
    }
    words.into_iter().filter(|word| word.bytes.contains(&b'=')).collect()
}

/// The words of a text as a shell parts them.
fn words(text: &Text, escape: u8) -> Vec<Text> {
    let mut words = Vec::new();
    let mut word = Text::default();
    let mut quote = None;
    let mut is_open = false;
    let mut at = 0;
    while let Some(byte) = text.bytes.get(at).copied() {
        let next = text.bytes.get(at + 1).copied();
        match (quote, byte) {
            (None, blank) if blank.is_ascii_whitespace() => {
                if std::mem::take(&mut is_open) {
                    words.push(std::mem::take(&mut word));
                }
                at += 1;
                continue;
            }
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            (None | Some(b'"'), letter)
                if letter == escape && next.is_some_and(|next| quote.is_none() || matches!(next, b'"' | b'$') || next == escape) =>
            {
                word.append(text, at + 1..at + 2);
                at += 1;
            }
            _ => word.append(text, at..at + 1),
        }
        is_open = true;
        at += 1;
    }
    if is_open {
        words.push(word);
    }
    words
}

/// The words of a command; those of a JSON list with blanks between them.
fn arguments(text: Text) -> Text {
    let start = text.bytes.iter().position(|byte| *byte == b'[').unwrap_or(text.bytes.len());
    let is_list = text.bytes[..start].iter().all(|byte| byte.is_ascii_alphabetic() || byte.is_ascii_whitespace());
    let Some(list) = is_list.then(|| serde_json::from_slice::<Vec<String>>(&text.bytes[start..]).ok()).flatten() else { return text };
    let mut joined = Text::default();
    let mut from = start;
    for word in list {
        let word = word.as_bytes();
        let found = text.bytes[from..].windows(word.len().max(1)).position(|there| there == word).map_or(from, |at| from + at);
        joined.push(word, text.place(found));
        joined.push(b" ", text.place(found));
        from = (found + word.len()).min(text.bytes.len());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is scanned of a text, each with its place.
    fn read(text: &str) -> Vec<(String, String, (u64, u64))> {
        let shown = |text: &Text| String::from_utf8_lossy(&text.bytes).trim_end().to_owned();
        let one = |found: Instruction| {
            let keyword = found.keyword;
            found
                .texts
                .into_iter()
                .map(move |text| (keyword.clone(), shown(&text), text.place(text.bytes.iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1))))
        };
        instructions(text.as_bytes()).into_iter().flat_map(one).collect()
    }

    fn line(keyword: &str, text: &str, place: (u64, u64)) -> (String, String, (u64, u64)) {
        (keyword.to_owned(), text.to_owned(), place)
    }

    #[test]
    fn a_value_has_its_name_whatever_the_form() {
        assert_eq!(read("ENV TOKEN a b\n"), [line("ENV", "TOKEN=a b", (1, 11))]);
        assert_eq!(
            read("env A=1 B=\"x y\" \\\n  C=z\\ w\n"),
            [line("ENV", "A=1", (1, 7)), line("ENV", "B=x y", (1, 12)), line("ENV", "C=z w", (2, 5))]
        );
        assert_eq!(read("ONBUILD ARG KEY='q'\nARG NONE"), [line("ONBUILD ARG", "KEY=q", (1, 18))]);
        assert_eq!(read("LABEL key \"v w\""), [line("LABEL", "key=v w", (1, 12))]);
    }

    #[test]
    fn a_text_that_goes_on_in_the_next_line_is_one() {
        let text = "RUN a \\\n# a comment\n\n   b=c\\\nd   \nCMD [\"run\", \"--token\", \"x\"]\n";
        assert_eq!(read(text), [line("RUN", "a    b=cd", (4, 6)), line("CMD", "run --token x", (6, 7))]);
        assert_eq!(read("# escape=`\nENV A=b`\nc D=e\\"), [line("ENV", "A=bc", (2, 7)), line("ENV", "D=e\\", (3, 5))]);
        assert_eq!(read("ENV A=\\"), [line("ENV", "A=", (1, 7))]);
    }

    #[test]
    fn here_documents_belong_to_their_instruction_and_are_no_instructions() {
        let text = "RUN <<A cat <<-'B' <<<no\nENV X y\nA\nENV Z w\n\tB\nENV Q r\n";
        assert_eq!(read(text), [line("RUN", "<<A cat <<-'B' <<<no", (1, 5)), line("ENV", "Q=r", (6, 7))]);
        assert_eq!(instructions(text.as_bytes())[0].lines, 1..=5);
        assert_eq!(read("RUN <<NEVER\nENV X y"), [line("RUN", "<<NEVER", (1, 5))]);
    }

    #[test]
    fn dockerfiles_are_known_by_their_names() {
        for name in ["Dockerfile", "a/Containerfile", "Dockerfile.dev", "api.Dockerfile", "x.dockerfile", "Dockerfile-ci"] {
            assert!(is_dockerfile(name), "{name}");
        }
        for name in ["Dockerfile.dockerignore", "dockerfiles/a", "mydockerfile", "Dockerfiles"] {
            assert!(!is_dockerfile(name), "{name}");
        }
    }

    #[test]
    fn anything_can_be_read() {
        for text in
            ["", "\\", "ENV", "ENV =", "ENV \"", "ONBUILD", "RUN <<", "CMD [", "CMD [\"\"]", "ENV a\\\n", "LABEL 'x", "ENV k \"", "\u{feff}ENV A=b"]
        {
            for end in 0..=text.len() {
                let mut seen = Seen::default();
                scan_instructions(&mut seen, 0, ("Dockerfile", &text.as_bytes()[..end]), (RuleSet::builtin(), 0), &|_| None);
            }
        }
    }
}
