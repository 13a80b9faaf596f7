//! The run report, `honeycrate/run/v1`: every fact of one run. Every other format is rendered from it; it holds no secret.

use serde::{Deserialize, Serialize};

use crate::bait::placement::Placement;
use crate::bait::surfaces::Surface;
use crate::ledger::first_seen::FirstSeen;
use crate::ledger::record::Context;
use crate::oci::digest::Digest;
use crate::report::advice::{Change, Prevention};
use crate::report::error::ReportError;
use crate::report::schema::{MAX_BYTES, SCHEMA};
use crate::scan::finding::Finding;
use crate::scan::nested_scan::Inside;
use crate::secret::fingerprint::{Fingerprint, FingerprintKind};

/// One run. Members stand in the document in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Always [`SCHEMA`].
    pub schema: String,
    pub tool: Tool,
    /// RFC 3339, UTC.
    pub started: String,
    /// What the image is, and where this copy of it goes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub environment: Option<String>,
    /// What sets the note on a change, and whatever else a forge keeps one of, apart from those of other runs for this image and environment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment_id: Option<String>,
    pub verdict: Verdict,
    /// `None` where the run ended before the source was found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Source>,
    /// The Dockerfile in the repository that the image is built from, where somebody named one that is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dockerfile: Option<String>,
    /// What the CI job said of the build.
    #[serde(default)]
    pub context: Context,
    pub coverage: Coverage,
    /// Of all findings below. Reports that do not say it are from before there were keyed ones.
    #[serde(default)]
    pub fingerprints: FingerprintKind,
    /// Worst first.
    pub findings: Vec<ReportedFinding>,
    /// The owner's, and of those that other scanners' files hold the ones that accept something.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exceptions: Vec<ReportedException>,
    /// Cut short or empty in what is published, see [`crate::report::disclosure`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub placements: Vec<ReportedPlacement>,
    /// What names the image as it was, and does not come along when its digest changes. Not published.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left_behind: Vec<LeftBehind>,
    /// In the order in which they were pushed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pushed: Vec<PushedImage>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notices: Vec<Notice>,
    pub timings: Timings,
    /// What ended the run, if it did not come to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<RunError>,
}

/// Who wrote the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub version: String,
    /// The hash of all rules that took part.
    pub ruleset: String,
}

/// What the run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Passed,
    /// The policy speaks against it and is not enforced: it went on.
    Warned,
    /// Denied by policy; nothing was uploaded.
    Denied,
    /// The run ended by an error: there is no verdict, and nothing may be concluded.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub outcome: Outcome,
    /// The mildest severity that blocks, or `none`.
    pub fail_on: String,
    /// Why, as phrases without a full stop; empty when nothing speaks against the image.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reasons: Vec<String>,
}

/// What was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// As the user wrote it, transport included.
    pub reference: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Empty for what is no image.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub platforms: Vec<SourcePlatform>,
}

/// One image of an index, or the only one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlatform {
    /// `os/architecture[/variant]`.
    pub platform: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layers: Option<usize>,
    /// The build's steps, oldest first. Not published.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<BuildStep>,
}

/// A step of a build, as the image tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStep {
    /// As the builder wrote it, secrets in it redacted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instruction: Option<String>,
    /// `None` for a step that made none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layer: Option<StepLayer>,
}

/// The layer that a step made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLayer {
    /// 0 is the oldest.
    pub index: usize,
    pub digest: Digest,
    /// Stored bytes.
    pub size: u64,
}

/// How much was looked at, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Distinct layers over all platforms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub layers: Option<u64>,
    /// Of these, those that were read and judged by an earlier run and not read by this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached_layers: Option<u64>,
    /// Files in those layers, deleted and overwritten ones included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub files: Option<u64>,
    /// Their uncompressed size.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes: Option<u64>,
    /// What was looked at inside archives, compressed files and databases among them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inside: Option<Inside>,
    /// What held the processes that read the layers; empty when this one read them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub readers_held_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_scanned: Vec<NotScanned>,
    /// What is odd about the image's bytes, as phrases.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub anomalies: Vec<String>,
}

/// A blind spot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotScanned {
    pub what: String,
    pub why: String,
}

/// A finding, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFinding {
    #[serde(flatten)]
    pub finding: Finding,
    /// The rule's name for people.
    pub title: String,
    /// What a thief gains, as a phrase.
    pub gains: String,
    /// How it is revoked.
    pub advice: String,
    /// Why it has its confidence, as a phrase.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub why: String,
    /// How it is kept out of the next image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prevention: Option<Prevention>,
    /// For what lies in the history: that step, redacted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// The line of the Dockerfile at which the instruction begins that brought it in; 1 is the first. `None` where that is not sure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dockerfile_line: Option<u64>,
    /// Addresses at which the vendor tells more.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub references: Vec<String>,
    /// Whether it speaks against the image.
    pub blocking: bool,
    /// The exception that lets it pass.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exception: Option<AppliedException>,
    /// What lets it pass, whatever that is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub silenced: Option<Silenced>,
    /// The first image with this secret, where the ledger knows one. Not published.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_seen: Option<FirstSeen>,
}

/// Why a finding does not speak against the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    pub by: SilencedBy,
    /// The owner's reason, or what stands for one.
    pub why: String,
    /// Where that is written, `.honeycrateignore:3`; for a comment, the comment.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub source: String,
}

/// The kinds of what lets a finding pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SilencedBy {
    Exception,
    /// An entry of another scanner's ignore file.
    IgnoreFile,
    Baseline,
    /// A comment beside the secret.
    Marker,
}

/// An exception that this run knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedException {
    /// Which findings it speaks of, as a phrase.
    pub scope: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<String>,
    /// The last day on which it holds: year-month-day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub source: String,
    /// Whether it counts: it has not expired, and nothing is wrong with it.
    pub in_force: bool,
    /// How many findings it accepts.
    pub findings: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedException {
    pub reason: String,
    pub owner: String,
    /// The last day on which it holds: year-month-day.
    pub expires: String,
}

/// A placement without its location. The last three are the owner's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedPlacement {
    /// The ledger's record of it.
    pub id: String,
    pub service: String,
    pub environment: String,
    pub surface: Surface,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<Fingerprint>,
}

/// An image that arrived and was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedImage {
    pub reference: String,
    pub digest: Digest,
    /// All platforms of an index; empty for an image of one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub platforms: Vec<String>,
    /// The source is signed or attested and this digest is not.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub sign_anew: bool,
}

/// A signature, SBOM or attestation in the source's registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// `signature`, `SBOM`, `attestation` or `referrer`.
    pub kind: String,
    pub digest: Digest,
    /// The digest that it is of.
    pub names: Digest,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
    /// Cosign's tag, where it lies under one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tag: Option<String>,
}

/// Something worth knowing that changes no verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub text: String,
    /// It says something of bait, and is not published.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub confidential: bool,
}

/// Milliseconds by stage; `None` where the run did not come to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub read_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scan_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plant_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub push_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub total_ms: Option<u64>,
}

/// Why a run did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// `source`, `scan`, `plant`, `push` …
    pub stage: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    pub exit_code: u8,
    /// Message or hint say something of bait, and are not published.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub confidential: bool,
}

impl ReportedFinding {
    /// What lets it pass, if something does.
    #[must_use]
    pub fn silencer(&self) -> Option<SilencedBy> {
        let named = self.silenced.as_ref().map(|silenced| silenced.by);
        // Older reports knew exceptions alone.
        named.or(self.exception.as_ref().map(|_| SilencedBy::Exception))
    }

    /// The line that keeps it out of the next image, where there is one.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        self.prevention.as_ref()?.change.as_ref()
    }
}

impl NotScanned {
    /// Reads `what: why`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (what, why) = text.rsplit_once(": ").unwrap_or((text, ""));
        Self { what: what.to_owned(), why: why.to_owned() }
    }
}

impl RunReport {
    /// A report that has nothing to tell yet. Its outcome is `Error` until somebody knows better.
    #[must_use]
    pub fn begin(tool: Tool, started: String, fail_on: String) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            tool,
            started,
            service: None,
            environment: None,
            comment_id: None,
            verdict: Verdict { outcome: Outcome::Error, fail_on, reasons: Vec::new() },
            source: None,
            dockerfile: None,
            context: Context::default(),
            coverage: Coverage::default(),
            fingerprints: FingerprintKind::default(),
            findings: Vec::new(),
            exceptions: Vec::new(),
            placements: Vec::new(),
            left_behind: Vec::new(),
            pushed: Vec::new(),
            notices: Vec::new(),
            timings: Timings::default(),
            error: None,
        }
    }

    /// Reads a report that was written before, perhaps by somebody else.
    ///
    /// # Errors
    /// When it is too large, malformed, or of another schema.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReportError> {
        if bytes.len() > MAX_BYTES {
            return Err(ReportError::TooLarge);
        }
        #[derive(Deserialize)]
        struct Named {
            schema: String,
        }
        let named: Named = serde_json::from_slice(bytes).map_err(ReportError::Malformed)?;
        if named.schema != SCHEMA {
            return Err(ReportError::Schema(named.schema.chars().filter(|c| !c.is_control()).take(60).collect()));
        }
        serde_json::from_slice(bytes).map_err(ReportError::Malformed)
    }

    /// The findings that nothing but a baseline lets pass.
    pub fn standing(&self) -> impl Iterator<Item = &ReportedFinding> {
        self.findings.iter().filter(|found| matches!(found.silencer(), None | Some(SilencedBy::Baseline)))
    }

    /// How many layers the image has that a finding lies in, where that is told.
    #[must_use]
    pub fn layers_of(&self, finding: &Finding) -> Option<usize> {
        let platforms = &self.source.as_ref()?.platforms;
        let platform = match finding.platforms.first() {
            Some(name) => platforms.iter().find(|platform| platform.platform == *name),
            None => platforms.first().filter(|_| platforms.len() == 1),
        };
        platform?.layers
    }
}

impl From<&Placement> for ReportedPlacement {
    fn from(placement: &Placement) -> Self {
        let claims = placement.claims.clone();
        Self {
            id: placement.id.clone(),
            service: claims.service,
            environment: claims.environment,
            surface: claims.surface,
            kind: Some(claims.kind),
            platform: Some(placement.platform.clone()),
            fingerprint: Some(placement.fingerprint.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn a_report_survives_being_written_and_read() {
        let report = sample();
        let bytes = serde_json::to_vec(&report).expect("serialises");
        assert_eq!(RunReport::from_json(&bytes).expect("a report"), report);
    }

    #[test]
    fn another_schema_is_refused_by_name() {
        let error = RunReport::from_json(br#"{"schema":"honeycrate/run/v2"}"#).expect_err("newer");
        assert_eq!(error.to_string(), "the report is a `honeycrate/run/v2` document; only honeycrate/run/v1 is understood");
        assert!(matches!(RunReport::from_json(b"[]"), Err(ReportError::Malformed(_))));
    }
}
