//! One chain out of records that many wrote side by side: what each writer had seen is named by what it wrote, and everybody who has the same
//! sheets makes the same chain of them.
//!
//! The order is the one in which the writers saw each other: a sheet comes after all that its writer had seen, in the writer's order; what
//! nobody has seen together yet stands behind the longest. What a [`Weave`] has shown keeps its place as long as it lives.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ledger::agreement::{Ballot, Vote};
use crate::ledger::chain::{self, ChainBreak, Head};
use crate::ledger::mention::Mention;
use crate::ledger::record::{Event, Record};

/// The version of a sheet. A reader refuses a higher one.
pub const SHEET: u32 = 1;

/// What is written at once, all or none. Its name is its digest, so that whoever names it holds it to its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    pub version: u32,
    /// By chance: two sheets of the same words are two.
    pub id: String,
    /// One more than the highest that it comes after.
    pub height: u64,
    /// The names of the sheets that its writer had seen and nobody had followed yet, the writer's first one first.
    pub after: Vec<String>,
    /// Records as they are in the chain that the writer saw.
    pub lines: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub votes: Vec<Vote>,
    /// Copies of other sheets by their names, for readers to fetch them at once.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub copies: BTreeMap<String, Self>,
}

/// The sheets of a ledger, and their chain.
#[derive(Debug)]
pub struct Weave {
    sheets: BTreeMap<String, Sheet>,
    woven: BTreeSet<String>,
    /// Claims of which it is not known yet whether they hold.
    waiting: Vec<Claim>,
    ballots: BTreeMap<String, Ballot>,
    lines: Vec<String>,
    head: Head,
    index: BTreeMap<String, Vec<u64>>,
    unique: BTreeMap<String, u64>,
    /// The claims that are in the chain, by their keys.
    shown: BTreeMap<String, String>,
    /// Where the lines of a sheet are in the chain.
    places: BTreeMap<(String, usize), u64>,
}

#[derive(Debug)]
struct Claim {
    key: String,
    sheet: String,
    at: usize,
}

impl Sheet {
    /// The name of the claim that a line of this sheet makes.
    #[must_use]
    pub fn claim(&self, at: usize) -> String {
        format!("{}.{at}", self.id)
    }
}

/// What rivals have to agree on: other events with the same key say the same thing.
#[must_use]
pub fn contested(event: &Event) -> bool {
    matches!(event, Event::Minted { values, .. } if !values.is_empty())
}

impl Weave {
    #[must_use]
    pub fn new() -> Self {
        Self {
            sheets: BTreeMap::new(),
            woven: BTreeSet::new(),
            waiting: Vec::new(),
            ballots: BTreeMap::new(),
            lines: Vec::new(),
            head: Head::genesis(),
            index: BTreeMap::new(),
            unique: BTreeMap::new(),
            shown: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    /// Takes further sheets, by their names. Their votes count at once; their records are in the chain after [`Self::weave`].
    pub fn add(&mut self, sheets: impl IntoIterator<Item = (String, Sheet)>) {
        for (name, sheet) in sheets {
            if self.sheets.contains_key(&name) {
                continue;
            }
            for (at, line) in sheet.lines.iter().enumerate() {
                if let Some(key) = claimed(line) {
                    self.ballots.entry(key).or_default().claim(&sheet.claim(at));
                }
            }
            for vote in &sheet.votes {
                self.ballots.entry(vote.key.clone()).or_default().cast(vote);
            }
            self.sheets.insert(name, sheet);
        }
    }

    /// Brings the chain up to date.
    pub fn weave(&mut self) {
        let decided = |key: &String| self.ballots.get(key).and_then(Ballot::decided);
        if self.shown.iter().any(|(key, shown)| decided(key).is_some_and(|decided| decided != shown)) {
            self.drop_all(&BTreeSet::new());
        }
        let begins = self.lines.is_empty();
        for name in self.order() {
            let lines = self.sheets.get(&name).map(|sheet| sheet.lines.clone()).unwrap_or_default();
            for (at, line) in lines.into_iter().enumerate() {
                match claimed(&line) {
                    Some(key) => self.judge(Claim { key, sheet: name.clone(), at }, begins),
                    None => self.show(&name, at, &line),
                }
            }
            self.woven.insert(name);
        }
        for claim in std::mem::take(&mut self.waiting) {
            self.judge(claim, false);
        }
    }

    /// Leaves sheets out. The others are woven anew.
    pub fn drop_all(&mut self, names: &BTreeSet<String>) {
        let sheets = std::mem::take(&mut self.sheets);
        *self = Self::new();
        self.add(sheets.into_iter().filter(|(name, _)| !names.contains(name)));
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.sheets.contains_key(name)
    }

    /// All sheets by name.
    pub fn sheets(&self) -> impl Iterator<Item = (&String, &Sheet)> {
        self.sheets.iter()
    }

    /// What the next sheet comes after.
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        let followed: BTreeSet<&String> = self.sheets.values().flat_map(|sheet| &sheet.after).collect();
        let mut heads: Vec<_> = self.sheets.iter().filter(|(name, _)| !followed.contains(name)).collect();
        heads.sort_by(|(a, one), (b, other)| other.height.cmp(&one.height).then(a.cmp(b)));
        heads.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// A sheet that comes after all that is here, with the records of `events` and with `votes`.
    #[must_use]
    pub fn sheet(&self, id: String, records: &[Record], votes: Vec<Vote>) -> Sheet {
        let after = self.heads();
        let height = after.iter().filter_map(|name| self.sheets.get(name)).map(|sheet| sheet.height).max().unwrap_or_default() + 1;
        Sheet { version: SHEET, id, height, after, lines: records.iter().map(chain::line).collect(), votes, copies: BTreeMap::new() }
    }

    /// The end of the chain.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The lines of the chain, first to last.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Where records speak of something, in order.
    #[must_use]
    pub fn mentioning(&self, mention: &Mention) -> &[u64] {
        self.index.get(&mention.to_string()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The keys of the index that begin with `prefix`, in order.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.index.range(prefix.to_owned()..).map(|(key, _)| key).take_while(move |key| key.starts_with(prefix))
    }

    /// The record of what there can be only one of.
    #[must_use]
    pub fn unique(&self, key: &str) -> Option<u64> {
        self.unique.get(key).copied()
    }

    /// What was claimed and voted.
    #[must_use]
    pub fn ballot(&self, key: &str) -> Option<&Ballot> {
        self.ballots.get(key)
    }

    /// Where a line of a sheet is in the chain. `None` where it is not shown.
    #[must_use]
    pub fn place(&self, sheet: &str, at: usize) -> Option<u64> {
        self.places.get(&(sheet.to_owned(), at)).copied()
    }

    /// # Errors
    /// When a sheet is named that is not there.
    pub fn check(&self) -> Result<(), ChainBreak> {
        for (name, sheet) in &self.sheets {
            if let Some(gone) = sheet.after.iter().find(|after| !self.sheets.contains_key(*after)) {
                let sequence = (0..sheet.lines.len()).find_map(|at| self.place(name, at)).unwrap_or(self.head.sequence);
                return Err(ChainBreak { sequence, why: format!("what its writer had seen before it is gone: {gone}") });
            }
        }
        Ok(())
    }

    /// The sheets that are not woven yet, in the order of the chain: behind everything that their writers had seen.
    fn order(&self) -> Vec<String> {
        let mut seen: BTreeSet<&str> = self.woven.iter().map(String::as_str).collect();
        let mut order = Vec::new();
        for head in self.heads() {
            let Some((name, sheet)) = self.sheets.get_key_value(&head) else { continue };
            if !seen.insert(name) {
                continue;
            }
            let mut path = vec![(name, sheet.after.iter())];
            while let Some((name, after)) = path.last_mut() {
                let next = after.find_map(|name| self.sheets.get_key_value(name).filter(|(name, _)| !seen.contains(name.as_str())));
                if let Some((name, sheet)) = next {
                    seen.insert(name);
                    path.push((name, sheet.after.iter()));
                } else {
                    order.push((*name).clone());
                    path.pop();
                }
            }
        }
        order
    }

    /// Shows a claim that holds, forgets one that does not, and keeps the others waiting. In the beginning the likeliest is as good as decided:
    /// its writer may have died before it could ask.
    fn judge(&mut self, claim: Claim, begins: bool) {
        let Some(sheet) = self.sheets.get(&claim.sheet) else { return };
        let (name, line) = (sheet.claim(claim.at), sheet.lines.get(claim.at).cloned().unwrap_or_default());
        let ballot = self.ballots.get(&claim.key);
        let (decided, likeliest) = (ballot.and_then(Ballot::decided), ballot.and_then(Ballot::likeliest));
        if decided == Some(&name) || (begins && decided.is_none() && likeliest == Some(&name)) {
            self.show(&claim.sheet, claim.at, &line);
            self.shown.insert(claim.key, name);
        } else if decided.is_none() {
            self.waiting.push(claim);
        }
    }

    /// Adds a line to the end of the chain, unless it says again what there can be only one of.
    fn show(&mut self, sheet: &str, at: usize, line: &str) {
        let event = event(line);
        let unique = event.as_ref().and_then(Mention::unique).map(|key| key.to_string());
        if unique.as_ref().is_some_and(|key| self.unique.contains_key(key)) {
            return;
        }
        let sequence = self.head.sequence + 1;
        let (line, head) = relinked(&self.head, line);
        self.lines.push(line);
        self.head = head;
        self.places.insert((sheet.to_owned(), at), sequence);
        self.unique.extend(unique.map(|key| (key, sequence)));
        for mention in event.iter().flat_map(Mention::of) {
            let places = self.index.entry(mention.to_string()).or_default();
            if places.is_empty() || !mention.is_name() {
                places.push(sequence);
            }
        }
    }
}

impl Default for Weave {
    fn default() -> Self {
        Self::new()
    }
}

/// A record's text at the end of a chain. One that does not have its hash stays as it is, for readers to see.
fn relinked(head: &Head, line: &str) -> (String, Head) {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let sequence = value.get("sequence").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let Ok(record) = chain::read(sequence, line) else {
        let hash = value.get("hash").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        return (line.to_owned(), Head { sequence: head.sequence + 1, hash });
    };
    if record.sequence == head.sequence + 1 && record.previous == head.hash {
        return (line.to_owned(), Head::from(&record));
    }
    let record = head.link(&record.run, &record.time, record.event);
    (chain::line(&record), Head::from(&record))
}

/// The key that a line claims for itself, where rivals have to agree.
fn claimed(line: &str) -> Option<String> {
    // Most lines are told apart without being read.
    if !line.contains("\"event\":\"minted\"") {
        return None;
    }
    event(line).filter(contested).as_ref().and_then(Mention::unique).map(|key| key.to_string())
}

/// What a line tells, whether it has its hash or not.
fn event(line: &str) -> Option<Event> {
    serde_json::from_str::<Record>(line).ok().map(|record| record.event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples;

    const TIME: &str = "2026-11-22T04:00:00Z";

    fn sheet(weave: &Weave, id: &str, events: Vec<Event>) -> Sheet {
        let mut head = weave.head().clone();
        let link = |event| {
            let record = head.link(id, TIME, event);
            head = Head::from(&record);
            record
        };
        weave.sheet(id.to_owned(), &events.into_iter().map(link).collect::<Vec<_>>(), Vec::new())
    }

    fn failed(stage: &str) -> Event {
        Event::Failed { stage: stage.to_owned(), reason: "for a test".to_owned() }
    }

    fn stages(weave: &Weave) -> Vec<String> {
        chain::verify(weave.lines().iter().map(String::as_str)).expect("one chain");
        let stage = |line: &String| match event(line) {
            Some(Event::Failed { stage, .. }) => stage,
            other => panic!("{other:?}"),
        };
        weave.lines().iter().map(stage).collect()
    }

    fn woven(sheets: &[(String, Sheet)]) -> Weave {
        let mut weave = Weave::new();
        weave.add(sheets.iter().cloned());
        weave.weave();
        weave
    }

    /// Three writers that see each other's sheets late, by numbers.
    fn history(seed: u64) -> Vec<(String, Sheet)> {
        let mut state = seed;
        let mut roll = move |sides: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        let mut all: Vec<(String, Sheet)> = Vec::new();
        let mut views = [Weave::new(), Weave::new(), Weave::new()];
        for step in 0..24 {
            let writer = usize::try_from(roll(3)).expect("small");
            // Sees what came before, without a break: lists are read as a whole.
            let known = usize::try_from(roll(4)).expect("small");
            let news: Vec<_> = all[..all.len().saturating_sub(known)].iter().filter(|(name, _)| !views[writer].has(name)).cloned().collect();
            views[writer].add(news);
            views[writer].weave();
            let name = format!("{}{step:02}", ["c", "a", "b"][usize::try_from(roll(3)).expect("small")]);
            let sheet = sheet(&views[writer], &name, vec![failed(&name), failed(&format!("{name}+"))]);
            views[writer].add([(name.clone(), sheet.clone())]);
            all.push((name, sheet));
        }
        all
    }

    #[test]
    fn everybody_makes_the_same_chain_of_the_same_sheets_and_nobody_comes_before_what_it_saw() {
        for seed in 0..60 {
            let all = history(seed);
            let weave = woven(&all);
            let order = stages(&weave);
            let mut reversed = all.clone();
            reversed.reverse();
            assert_eq!(woven(&reversed).lines(), weave.lines());
            assert_eq!(order.len(), 48);
            let at = |name: &str| order.iter().position(|stage| stage == name).expect("there");
            for (name, sheet) in &all {
                assert!(sheet.after.iter().all(|after| at(after) < at(name)), "seed {seed}");
            }
            weave.check().expect("nothing is missing");
        }
    }

    #[test]
    fn what_was_shown_keeps_its_place() {
        for seed in 0..30 {
            let all = history(seed);
            let mut weave = Weave::new();
            for piece in all.chunks(3) {
                let before = weave.lines().to_vec();
                weave.add(piece.iter().cloned());
                weave.weave();
                assert_eq!(weave.lines()[..before.len()], before, "seed {seed}");
            }
            assert_eq!(stages(&weave).len(), 48);
        }
    }

    #[test]
    fn the_chain_of_a_single_writer_is_as_it_was_written() {
        let mut weave = Weave::new();
        let mut written = Vec::new();
        for step in 0..5 {
            let name = format!("{}", 9 - step);
            let sheet = sheet(&weave, &name, vec![failed(&name)]);
            written.extend(sheet.lines.clone());
            weave.add([(name, sheet)]);
            weave.weave();
        }
        assert_eq!(weave.lines(), written);
    }

    #[test]
    fn a_sheet_that_is_gone_is_missed_by_those_who_saw_it() {
        let mut all = history(7);
        all.remove(3);
        let broken = woven(&all).check().expect_err("one is gone");
        assert!(broken.why.contains("is gone"), "{broken}");
    }

    #[test]
    fn of_two_triggers_with_one_id_the_chain_has_one() {
        let trigger = || Event::Triggered { trigger: Box::new(samples::trigger("shop", "production")) };
        let weave = Weave::new();
        let sheets = ["a", "b"].map(|name| (name.to_owned(), sheet(&weave, name, vec![trigger(), failed(name)])));
        let weave = woven(&sheets);
        assert_eq!(weave.lines().len(), 3);
        assert_eq!(weave.mentioning(&Mention::Trigger(samples::trigger("shop", "production").id)), [1]);
    }

    #[test]
    fn a_claim_that_lost_is_not_in_the_chain_and_one_that_nobody_settled_is() {
        let vendors = || samples::later_life("shop", "production").into_iter().find(contested).expect("one");
        let key = Mention::unique(&vendors()).expect("one").to_string();
        let weave = Weave::new();
        let mut sheets = ["a", "b"].map(|name| (name.to_owned(), sheet(&weave, name, vec![vendors()])));
        let run = |sheets: &[(String, Sheet)]| {
            let weave = woven(sheets);
            assert_eq!(weave.lines().len(), 1);
            chain::read(1, &weave.lines()[0]).expect("whole").run
        };
        assert_eq!(run(&sheets), "a");
        let choice = sheets[1].1.claim(0);
        sheets[1].1.votes = vec![Vote { key, round: 1, choice, firm: Some(true) }];
        assert_eq!(run(&sheets), "b");
        // Whoever took the other for the likeliest sees its mistake.
        let mut weave = woven(&sheets[..1]);
        weave.add(sheets[1..].iter().cloned());
        weave.weave();
        assert_eq!((weave.lines().len(), weave.place("a", 0), weave.place("b", 0)), (1, None, Some(1)));
    }
}
