//! Baselines: findings that are known and do not deny. A file of them is reviewed and merged like code: it is in a stable order, says what
//! and not when, and no line number moves it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::scan::finding::{Finding, Severity};
use crate::secret::fingerprint::{Fingerprint, FingerprintKind};

/// The name of the document's form.
pub const SCHEMA: &str = "honeycrate/baseline/v1";

/// The largest document that is read, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;

const HEADING: &str = "# Findings that are known: they are told and do not deny. Written by `honeycrate baseline write`, which keeps the reasons.\n";

/// One known finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub rule: String,
    pub fingerprint: Fingerprint,
    /// For people, as is the path: neither is compared.
    pub severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Why it may stay; people write it.
    #[serde(default)]
    pub reason: String,
}

/// Known findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    kind: FingerprintKind,
    findings: Vec<Known>,
    /// Where each fingerprint stands.
    places: BTreeMap<Fingerprint, usize>,
    /// The file's name; empty for one that was not read.
    pub source: String,
}

/// What became of known findings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison<'a> {
    /// Places in the list of findings.
    pub new: Vec<usize>,
    pub still_there: Vec<usize>,
    pub gone: Vec<&'a Known>,
}

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("it is no baseline: {0}")]
    Malformed(#[from] serde_yaml::Error),
    #[error("it is a `{0}` document; only {SCHEMA} is understood")]
    Schema(String),
    #[error("entry {number}: {why}")]
    Fingerprint { number: usize, why: &'static str },
    #[error("entry {number} repeats the fingerprint of entry {first}")]
    Twice { number: usize, first: usize },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    fingerprints: FingerprintKind,
    findings: Vec<Known>,
}

impl Baseline {
    /// These findings, by path, rule and fingerprint. Reasons that `before` gives are kept.
    #[must_use]
    pub fn of<'f>(findings: impl Iterator<Item = &'f Finding>, kind: FingerprintKind, before: Option<&Self>) -> Self {
        let reason = |finding: &Finding| {
            let known = before.and_then(|before| before.findings.get(before.position(finding)?));
            known.map(|known| known.reason.clone()).unwrap_or_default()
        };
        let known = findings.map(|finding| Known {
            rule: finding.rule.clone(),
            fingerprint: finding.fingerprint.clone(),
            severity: finding.severity,
            path: finding.path.clone(),
            reason: reason(finding),
        });
        let mut seen = BTreeSet::new();
        let mut known: Vec<Known> = known.filter(|known| seen.insert(known.fingerprint.clone())).collect();
        known.sort_by(|a, b| (&a.path, &a.rule, &a.fingerprint).cmp(&(&b.path, &b.rule, &b.fingerprint)));
        Self::new(kind, known, String::new())
    }

    /// Reads a document; `source` is its name in reports.
    ///
    /// # Errors
    /// When it is malformed, of another schema, or names a fingerprint twice.
    pub fn parse(text: &str, source: &str) -> Result<Self, BaselineError> {
        #[derive(Deserialize)]
        struct Named {
            schema: String,
        }
        let named: Named = serde_yaml::from_str(text)?;
        if named.schema != SCHEMA {
            return Err(BaselineError::Schema(named.schema.chars().filter(|letter| !letter.is_control()).take(60).collect()));
        }
        let document: Document = serde_yaml::from_str(text)?;
        let mut first = BTreeMap::new();
        for (at, known) in document.findings.iter().enumerate() {
            let number = at + 1;
            known.fingerprint.as_str().parse::<Fingerprint>().map_err(|why| BaselineError::Fingerprint { number, why })?;
            if let Some(first) = first.insert(&known.fingerprint, number) {
                return Err(BaselineError::Twice { number, first });
            }
        }
        Ok(Self::new(document.fingerprints, document.findings, source.to_owned()))
    }

    /// The document, in YAML.
    ///
    /// # Errors
    /// When it cannot be written: never in practice.
    pub fn to_text(&self) -> Result<String, BaselineError> {
        let document = Document { schema: SCHEMA.to_owned(), fingerprints: self.kind, findings: self.findings.clone() };
        Ok(format!("{HEADING}{}", serde_yaml::to_string(&document)?))
    }

    #[must_use]
    pub fn kind(&self) -> FingerprintKind {
        self.kind
    }

    #[must_use]
    pub fn findings(&self) -> &[Known] {
        &self.findings
    }

    /// Where a finding stands in it, if it is known.
    #[must_use]
    pub fn position(&self, finding: &Finding) -> Option<usize> {
        let unkeyed = || self.places.get(finding.unkeyed.as_ref()?);
        self.places.get(&finding.fingerprint).or_else(unkeyed).copied()
    }

    /// What is new, still there, and gone.
    #[must_use]
    pub fn compare<'f>(&self, findings: impl Iterator<Item = &'f Finding>) -> Comparison<'_> {
        let mut comparison = Comparison::default();
        let mut met = BTreeSet::new();
        for (number, finding) in findings.enumerate() {
            match self.position(finding) {
                Some(at) => {
                    met.insert(at);
                    comparison.still_there.push(number);
                }
                None => comparison.new.push(number),
            }
        }
        comparison.gone = self.findings.iter().enumerate().filter(|(at, _)| !met.contains(at)).map(|(_, known)| known).collect();
        comparison
    }

    fn new(kind: FingerprintKind, findings: Vec<Known>, source: String) -> Self {
        let places = findings.iter().enumerate().map(|(at, known)| (known.fingerprint.clone(), at)).collect();
        Self { kind, findings, places, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::finding::{Confidence, FoundIn, State};

    fn finding(rule: &str, fingerprint: &str, path: &str, line: u64) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity: Severity::High,
            confidence: Confidence::High,
            fingerprint: fingerprint.parse().expect("a fingerprint"),
            unkeyed: None,
            layer: None,
            platforms: Vec::new(),
            surface: FoundIn::File,
            path: Some(path.to_owned()),
            commit: None,
            line: Some(line),
            column: Some(1),
            state: State::Live,
            redacted: String::new(),
            proven_by: None,
            validation: None,
            marked_by: None,
            also_in: 0,
            places: Vec::new(),
        }
    }

    #[test]
    fn the_document_depends_on_nothing_but_what_was_found() {
        let found = [finding("b", "1234567890123456", "x/2", 9), finding("a", "00000000000000e1", "x/1", 4)];
        let text = Baseline::of(found.iter(), FingerprintKind::Keyed, None).to_text().expect("written");
        let moved = [finding("a", "00000000000000e1", "x/1", 40), finding("b", "1234567890123456", "x/2", 90)];
        assert_eq!(Baseline::of(moved.iter(), FingerprintKind::Keyed, None).to_text().expect("written"), text);
        assert_eq!(
            text.strip_prefix(HEADING),
            Some(
                "\
schema: honeycrate/baseline/v1
fingerprints: keyed
findings:
- rule: a
  fingerprint: '00000000000000e1'
  severity: high
  path: x/1
  reason: ''
- rule: b
  fingerprint: '1234567890123456'
  severity: high
  path: x/2
  reason: ''
"
            )
        );
        let read = Baseline::parse(&text, "baseline.yaml").expect("own text");
        assert_eq!((read.kind(), read.findings().len(), read.source.as_str()), (FingerprintKind::Keyed, 2, "baseline.yaml"));
        assert_eq!(read.to_text().expect("written"), text);
    }

    #[test]
    fn reasons_outlive_a_new_writing() {
        let found = [finding("a", "00000000000000e1", "x", 1), finding("b", "00000000000000e2", "y", 1)];
        let text = Baseline::of(found.iter(), FingerprintKind::Unkeyed, None).to_text().expect("written").replacen("''", "a fixture", 1);
        let before = Baseline::parse(&text, "").expect("a baseline");
        let again = Baseline::of(found[..1].iter(), FingerprintKind::Unkeyed, Some(&before));
        assert_eq!(again.findings()[0].reason, "a fixture");
        let comparison = before.compare([finding("c", "00000000000000e3", "z", 1), found[1].clone()].iter());
        assert_eq!((&comparison.new[..], &comparison.still_there[..], comparison.gone.len()), (&[0][..], &[1][..], 1));
        assert_eq!(comparison.gone[0].rule, "a");
    }

    #[test]
    fn what_is_no_baseline_is_refused_with_its_place() {
        let good = Baseline::of([finding("a", "00000000000000e1", "x", 1)].iter(), FingerprintKind::Unkeyed, None).to_text().expect("written");
        for (from, to, why) in [
            ("baseline/v1", "baseline/v2", "`honeycrate/baseline/v2`"),
            ("00000000000000e1", "00000000000000E1", "entry 1: a fingerprint is 16"),
            ("severity: high", "severity: dire", "line 7"),
            ("reason:", "raeson:", "raeson"),
            ("schema:", "schema: [", "line"),
        ] {
            let error = Baseline::parse(&good.replacen(from, to, 1), "x").expect_err(to).to_string();
            assert!(error.contains(why), "{to}: {error}");
        }
        let entry = good.split_once("findings:\n").expect("entries").1;
        assert_eq!(Baseline::parse(&format!("{good}{entry}"), "x").expect_err("twice").to_string(), "entry 2 repeats the fingerprint of entry 1");
    }
}
