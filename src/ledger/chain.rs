//! The chain: every record names the hash of the one before, so that no edit in the middle goes unseen.

use std::fmt::Write as _;

use serde_json::Value;

use crate::ledger::record::{Event, Record, VERSION};
use crate::oci::digest::Digest;

/// Where a chain ends: the next record continues from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The sequence of the last record, 0 for none.
    pub sequence: u64,
    /// Its hash; all zeros for none.
    pub hash: String,
}

/// What a whole chain amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSummary {
    pub records: u64,
    /// The hash of the last record. Kept elsewhere, it also shows when records were cut off the end.
    pub head: String,
    /// The times of the first and last record.
    pub span: Option<(String, String)>,
}

/// The first place where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's chain breaks at record {sequence}: {why}")]
pub struct ChainBreak {
    /// The record that should have been there.
    pub sequence: u64,
    pub why: String,
}

impl Head {
    /// The head of an empty ledger.
    #[must_use]
    pub fn genesis() -> Self {
        Self { sequence: 0, hash: "0".repeat(64) }
    }

    /// The next record of the chain.
    #[must_use]
    pub fn link(&self, run: &str, time: &str, event: Event) -> Record {
        let mut record = Record {
            version: event.version(),
            sequence: self.sequence + 1,
            time: time.to_owned(),
            run: run.to_owned(),
            event,
            previous: self.hash.clone(),
            hash: String::new(),
        };
        record.hash = hash(&value(&record));
        record
    }
}

impl From<&Record> for Head {
    fn from(record: &Record) -> Self {
        Self { sequence: record.sequence, hash: record.hash.clone() }
    }
}

/// A record as its one and only text: JSON with sorted keys and no blanks.
#[must_use]
pub fn line(record: &Record) -> String {
    canonical(&value(record))
}

/// Reads the text of record `sequence` and checks it against itself.
///
/// # Errors
/// When the text is not exactly what [`line`] writes, has a version that is not known, or does not have its hash.
pub fn read(sequence: u64, text: &str) -> Result<Record, ChainBreak> {
    let broken = |why: String| ChainBreak { sequence, why };
    let value: Value = serde_json::from_str(text).map_err(|cause| broken(format!("it is not JSON: {cause}")))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(version) if version > u64::from(VERSION) => {
            return Err(broken(format!("it has format {version}, this program knows up to {VERSION}")));
        }
        Some(_) => {}
        None => return Err(broken("it has no version".to_owned())),
    }
    if canonical(&value) != text {
        return Err(broken("its text is not as it was written".to_owned()));
    }
    let claimed = value.get("hash").and_then(Value::as_str).unwrap_or_default().to_owned();
    if hash(&value) != claimed {
        return Err(broken("its hash does not fit its content".to_owned()));
    }
    let record: Record = serde_json::from_value(value).map_err(|cause| broken(format!("it is not a record: {cause}")))?;
    if record.sequence != sequence {
        return Err(broken(format!("it calls itself record {}", record.sequence)));
    }
    Ok(record)
}

/// Follows a chain line by line.
#[derive(Debug)]
pub struct Follower {
    head: Head,
    span: Option<(String, String)>,
}

impl Follower {
    #[must_use]
    pub fn new() -> Self {
        Self { head: Head::genesis(), span: None }
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// When it does not continue the chain.
    pub fn follow(&mut self, text: &str) -> Result<Record, ChainBreak> {
        let sequence = self.head.sequence + 1;
        let record = read(sequence, text)?;
        if record.previous != self.head.hash {
            return Err(ChainBreak { sequence, why: "it does not follow the record before it".to_owned() });
        }
        self.head = Head::from(&record);
        let first = self.span.take().map_or_else(|| record.time.clone(), |(first, _)| first);
        self.span = Some((first, record.time.clone()));
        Ok(record)
    }

    #[must_use]
    pub fn summary(self) -> ChainSummary {
        ChainSummary { records: self.head.sequence, head: self.head.hash, span: self.span }
    }
}

impl Default for Follower {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks the lines of a whole ledger or export, first to last.
///
/// # Errors
/// At the first line that does not continue the chain.
pub fn verify<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<ChainSummary, ChainBreak> {
    let mut follower = Follower::new();
    for line in lines {
        follower.follow(line)?;
    }
    Ok(follower.summary())
}

fn value(record: &Record) -> Value {
    serde_json::to_value(record).expect("a record is strings, numbers and maps with string keys")
}

/// SHA-256 of the canonical text without the member `hash`, 64 hexadecimal digits.
fn hash(value: &Value) -> String {
    let mut value = value.clone();
    if let Value::Object(members) = &mut value {
        members.shift_remove("hash");
    }
    Digest::of(canonical(&value).as_bytes()).hex().to_owned()
}

fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    let mut separator = "";
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, member) in members {
                // Writing to a string cannot fail.
                let _ = write!(text, "{separator}{}:", Value::from(key.as_str()));
                write_canonical(member, text);
                separator = ",";
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                text.push_str(separator);
                write_canonical(item, text);
                separator = ",";
            }
            text.push(']');
        }
        plain => {
            let _ = write!(text, "{plain}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples;

    fn lines() -> Vec<String> {
        let mut head = Head::genesis();
        let mut lines = Vec::new();
        let found = samples::found("shop:1", true, &[samples::fingerprint("a", "b"), samples::fingerprint("c", "d")]);
        for event in samples::life("shop", "production").into_iter().chain([found]).chain(samples::later_life("shop", "production")) {
            let record = head.link("run-1", "2026-11-22T04:00:00Z", event);
            head = Head::from(&record);
            lines.push(line(&record));
        }
        lines
    }

    fn check(lines: &[String]) -> Result<ChainSummary, ChainBreak> {
        verify(lines.iter().map(String::as_str))
    }

    #[test]
    fn a_chain_that_nobody_touched_holds() {
        let lines = lines();
        let summary = check(&lines).expect("whole");
        assert_eq!(summary.records, lines.len() as u64);
        assert!(lines.last().expect("some").contains(&summary.head));
        assert_eq!(verify([]).expect("empty").head, "0".repeat(64));
    }

    #[test]
    fn every_record_comes_back_as_it_was_written() {
        for (at, text) in lines().iter().enumerate() {
            assert_eq!(&line(&read(at as u64 + 1, text).expect("own text")), text);
        }
    }

    #[test]
    fn any_edit_of_one_byte_breaks_the_chain_at_that_record() {
        let whole = lines();
        for at in 0..whole.len() {
            for byte in 0..whole[at].len() {
                let mut edited = whole[at].clone().into_bytes();
                edited[byte] ^= 1;
                let Ok(edited) = String::from_utf8(edited) else { continue };
                let mut lines = whole.clone();
                lines[at] = edited;
                assert_eq!(check(&lines).expect_err("edited").sequence, at as u64 + 1, "byte {byte} of line {at}");
            }
        }
    }

    #[test]
    fn a_record_taken_out_put_in_or_moved_breaks_the_chain() {
        let whole = lines();
        let mut without = whole.clone();
        without.remove(1);
        assert_eq!(check(&without).expect_err("gap").sequence, 2);
        let mut twice = whole.clone();
        twice.insert(1, whole[1].clone());
        assert_eq!(check(&twice).expect_err("doubled").sequence, 3);
        let mut swapped = whole;
        swapped.swap(1, 2);
        assert_eq!(check(&swapped).expect_err("moved").sequence, 2);
    }

    #[test]
    fn a_forged_record_with_a_fitting_hash_does_not_fit_its_neighbours() {
        let mut lines = lines();
        let mut record = read(2, &lines[1]).expect("whole");
        record.run = "another".to_owned();
        record.hash = hash(&value(&record));
        lines[1] = line(&record);
        assert_eq!(check(&lines).expect_err("forged").sequence, 3);
    }

    #[test]
    fn a_record_of_a_later_format_is_refused_by_its_number() {
        let text = lines()[0].replace("\"version\":1", &format!("\"version\":{}", VERSION + 1));
        assert!(read(1, &text).expect_err("newer").why.contains(&format!("format {}", VERSION + 1)));
    }

    #[test]
    fn a_record_has_the_lowest_format_that_knows_its_event_and_stays_as_it_was_first_written() {
        let lines = lines();
        let versions: Vec<u32> = (1..).zip(&lines).map(|(at, text)| read(at, text).expect("own text").version).collect();
        assert_eq!(versions, [1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3]);
        // As format 1 had it, to the byte.
        assert_eq!(read(1, &lines[0]).expect("own text").hash, "ad7211f187093e772ee168288090808ad4f3102ecd543735f9a8f364854464f2");
    }
}
