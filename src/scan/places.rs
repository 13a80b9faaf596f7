//! Places where secrets were seen, and the findings that they come to: one for each secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scan::content::ContentHit;
use crate::scan::finding::{Confidence, Finding, FoundIn, LayerPlace, MAX_PLACES, OtherPlace, Severity, State};
use crate::secret::fingerprint::{Fingerprint, FingerprintKey};

/// A secret without its value: what is kept of a [`ContentHit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub rule: String,
    pub severity: Severity,
    pub confidence: Confidence,
    pub fingerprint: Fingerprint,
    pub redacted: String,
    /// 1 is the first; 0 where there is none, as of gaps. The same holds for the column.
    pub line: u64,
    pub column: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_by: Option<String>,
    /// Seconds since 1970: seen later, the same secret is mild. `None` where time changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// Where a secret was seen.
#[derive(Debug, Clone)]
pub struct Place {
    pub surface: FoundIn,
    pub path: Option<String>,
    /// The commit of a repository's history.
    pub commit: Option<String>,
    pub layer: Option<LayerPlace>,
    pub state: State,
    /// The platform, when the image is one of several.
    pub platform: Option<String>,
}

/// Collects places.
#[derive(Debug, Default)]
pub struct Places(BTreeMap<Secret, Spots>);

/// Findings of one secret, boxed: most have one place, and a map has room for eleven.
type Spots = BTreeMap<Spot, Box<Finding>>;

/// Rule and fingerprint.
type Secret = (String, Fingerprint);
/// A place as it is compared over platforms, the one that is shown best first: live, then the oldest layer.
type Spot = (bool, Option<usize>, FoundIn, Option<String>, u64, Option<String>, Option<String>, State);

impl Sighting {
    #[must_use]
    pub fn of(hit: &ContentHit<'_>) -> Self {
        Self {
            rule: hit.rule.id.clone(),
            severity: hit.severity,
            confidence: hit.confidence,
            fingerprint: hit.fingerprint.clone(),
            redacted: hit.redacted.clone(),
            line: hit.line,
            column: hit.column,
            proven_by: hit.proven_by.map(str::to_owned),
            marked_by: hit.marked.map(str::to_owned),
            until: hit.until,
        }
    }
}

impl Places {
    /// Notes that a secret was seen at a place. The same place on another platform is the same place.
    pub fn add(&mut self, sighting: &Sighting, place: Place) {
        let secret = (sighting.rule.clone(), sighting.fingerprint.clone());
        let Place { surface, path, commit, layer, state, platform } = place;
        let blob = layer.as_ref().map(|layer| layer.digest.to_string());
        let index = layer.as_ref().map(|layer| layer.index);
        let spot = (state != State::Live, index, surface, path.clone(), sighting.line, blob, commit.clone(), state);
        let finding = self.0.entry(secret).or_default().entry(spot).or_insert_with(|| {
            Box::new(Finding {
                rule: sighting.rule.clone(),
                severity: sighting.severity,
                confidence: sighting.confidence,
                fingerprint: sighting.fingerprint.clone(),
                unkeyed: None,
                layer,
                platforms: Vec::new(),
                surface,
                path,
                commit,
                line: Some(sighting.line).filter(|line| *line > 0),
                column: Some(sighting.column).filter(|column| *column > 0),
                proven_by: sighting.proven_by.clone(),
                validation: None,
                state,
                redacted: sighting.redacted.clone(),
                marked_by: sighting.marked_by.clone(),
                also_in: 0,
                places: Vec::new(),
            })
        });
        finding.platforms.extend(platform.filter(|platform| !finding.platforms.contains(platform)));
    }

    /// One finding for each secret, the gravest first. With a key, fingerprints become the owner's own here.
    #[must_use]
    pub fn into_findings(self, key: Option<&FingerprintKey>) -> Vec<Finding> {
        let keyed = |finding: Finding| match key {
            Some(key) => Finding { fingerprint: key.seal(&finding.fingerprint), unkeyed: Some(finding.fingerprint), ..finding },
            None => finding,
        };
        let one = |spots: Spots| {
            let is_marked = spots.values().all(|finding| finding.marked_by.is_some());
            let severity = spots.values().map(|finding| finding.severity).max()?;
            let confidence = spots.values().map(|finding| finding.confidence).max()?;
            let also_in = spots.len() as u64 - 1;
            let mut spots = spots.into_values();
            let first = *spots.next()?;
            let marked_by = first.marked_by.clone().filter(|_| is_marked);
            let places = spots.take(MAX_PLACES).map(|finding| OtherPlace::from(*finding)).collect();
            Some(keyed(Finding { severity, confidence, also_in, places, marked_by, ..first }))
        };
        let mut findings: Vec<Finding> = self.0.into_values().filter_map(one).collect();
        sort(&mut findings);
        findings
    }
}

/// The gravest first.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let gravity = (b.severity, b.confidence).cmp(&(a.severity, a.confidence));
        let place = |finding: &Finding| (finding.layer.as_ref().map(|layer| layer.index), finding.surface, finding.path.clone(), finding.line);
        gravity.then_with(|| a.rule.cmp(&b.rule)).then_with(|| place(a).cmp(&place(b))).then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
}
