//! How much of a run may be published, by who can read it.

use std::borrow::Cow;

use crate::forge::ci::Visibility;
use crate::report::run_report::{ReportedFinding, RunReport, Timings};
use crate::scan::redact::without_samples;

/// What a report may say, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disclosure {
    /// Findings, and nothing from which one could conclude where bait lies, or that there is any.
    Findings,
    /// That there is bait too: its service, environment, surfaces, number and records, and nothing that leads to it.
    Placements,
    /// All of it: for the owner alone.
    Everything,
}

impl Disclosure {
    /// What the owner's wish comes to where `visibility` holds. `wanted` is `None` for no wish.
    ///
    /// On public and internal repositories placements are never told, whatever is wished, and everything to nobody but who runs it himself.
    #[must_use]
    pub fn decide(wanted: Option<Self>, visibility: Visibility) -> Self {
        match (wanted, visibility) {
            (Some(Self::Findings), _) | (_, Visibility::Public | Visibility::Internal) | (None, Visibility::Unknown) => Self::Findings,
            (_, Visibility::Private) | (Some(_), Visibility::Unknown) => Self::Placements,
            (_, Visibility::Local) => Self::Everything,
        }
    }
}

impl RunReport {
    /// The report as it may be published.
    ///
    /// More goes than where bait lies. Digests, layer counts and sizes of the image before planting, compared with the published image, would
    /// point at the bait's layers. A token's fingerprint is sealed, but beside the record's id, which is made of it and the place, it would
    /// let everybody test guesses of the place. And what is said of the image that was pushed must not depend on whether bait is in it.
    #[must_use]
    pub fn disclosed(&self, disclosure: Disclosure) -> Cow<'_, Self> {
        if disclosure == Disclosure::Everything {
            return Cow::Borrowed(self);
        }
        let mut report = self.clone();
        let goes_on = self.service.is_some() || !self.placements.is_empty() || !self.pushed.is_empty();
        report.left_behind.clear();
        report.notices.retain(|notice| !notice.confidential);
        // Without bait the digest stays, and so do the signatures.
        report.pushed.iter_mut().for_each(|image| image.sign_anew = false);
        if let Some(source) = &mut report.source {
            source.digest = None;
            if goes_on {
                source.reference = without_address(&source.reference);
            }
            for platform in &mut source.platforms {
                (platform.digest, platform.layers) = (None, None);
                platform.steps.clear();
            }
        }
        (report.coverage.layers, report.coverage.files, report.coverage.bytes, report.coverage.inside) = (None, None, None, None);
        report.coverage.cached_layers = None;
        report.timings = Timings { total_ms: report.timings.total_ms, ..Timings::default() };
        match &mut report.error {
            Some(error) if error.confidential => {
                error.message = "details are withheld, because this report may be read by others".to_owned();
                error.hint = Some("run it where only you can read the output".to_owned());
            }
            // Of all layers it may be the one that was planted.
            Some(error) => error.message = without_blobs(&error.message),
            None => {}
        }
        if disclosure == Disclosure::Placements {
            report.placements.iter_mut().for_each(|placement| (placement.kind, placement.platform, placement.fingerprint) = (None, None, None));
        } else {
            report.placements.clear();
            report.findings.iter_mut().for_each(publish);
        }
        Cow::Owned(report)
    }
}

/// Takes from a finding what is nobody's business: other images and environments, and whatever was left to be seen of the secret.
fn publish(reported: &mut ReportedFinding) {
    reported.first_seen = None;
    reported.finding.redacted.clear();
    let change = reported.prevention.as_mut().and_then(|prevention| prevention.change.as_mut());
    let layer = reported.finding.layer.as_mut().and_then(|layer| layer.instruction.as_mut());
    let texts = [layer, reported.step.as_mut(), reported.finding.path.as_mut(), change.map(|change| &mut change.line)];
    texts.into_iter().flatten().for_each(|text| *text = without_samples(text));
}

/// A text without digests and sizes.
fn without_blobs(text: &str) -> String {
    let is_size =
        |word: &str, next: Option<&&str>| word.bytes().all(|byte| byte.is_ascii_digit()) && next.is_some_and(|next| next.starts_with("byte"));
    let words: Vec<&str> = text.split(' ').collect();
    let told = words.iter().enumerate().map(|(at, word)| match word.split_once("sha256:") {
        Some((before, digest)) => {
            let after = digest.trim_start_matches(|letter: char| letter.is_ascii_hexdigit());
            format!("{before}sha256:…{}", without_blobs(after))
        }
        None if is_size(word, words.get(at + 1)) => "…".to_owned(),
        None => (*word).to_owned(),
    });
    told.collect::<Vec<_>>().join(" ")
}

/// A source's reference without what would let others fetch the image as it was before planting.
fn without_address(reference: &str) -> String {
    let name = reference.split('@').next().unwrap_or_default();
    if name.starts_with("docker://") { "docker://…".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::{PushedImage, RunError};
    use crate::report::sample::sample;

    #[test]
    fn nobody_can_wish_placements_onto_a_public_repository() {
        for visibility in [Visibility::Public, Visibility::Internal] {
            assert_eq!(Disclosure::decide(Some(Disclosure::Placements), visibility), Disclosure::Findings);
        }
        assert_eq!(Disclosure::decide(None, Visibility::Unknown), Disclosure::Findings);
        for wanted in [None, Some(Disclosure::Placements), Some(Disclosure::Everything)] {
            assert_eq!(Disclosure::decide(wanted, Visibility::Private), Disclosure::Placements);
            assert_eq!(Disclosure::decide(wanted, Visibility::Local), Disclosure::Everything);
        }
        assert_eq!(Disclosure::decide(Some(Disclosure::Placements), Visibility::Unknown), Disclosure::Placements);
        assert_eq!(Disclosure::decide(Some(Disclosure::Findings), Visibility::Local), Disclosure::Findings);
    }

    #[test]
    fn a_published_report_holds_nothing_that_points_at_a_bait() {
        let report = sample().disclosed(Disclosure::Findings).into_owned();
        let text = serde_json::to_string(&report).expect("serialises");
        for trace in [
            "registry-login",
            "fedcba9876543210",
            "buried",
            "\"layers\"",
            "\"bytes\"",
            "plant_ms",
            "only the owner reads this",
            "/app/config",
            "first_seen",
            "acme/secret-lab",
            "ghp_",
            " characters)",
        ] {
            assert!(!text.contains(trace), "{trace} in {text}");
        }
        assert!(text.contains("\"generic-assignment\""));
        assert!(!serde_json::to_string(&sample()).expect("serialises").contains("\"location\""));
    }

    #[test]
    fn an_error_does_not_say_which_layer_it_was_about() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let mut report = sample();
        let error = |message: String| RunError { stage: "destination".to_owned(), message, hint: None, exit_code: 5, confidential: false };
        report.error = Some(error(format!("r.io refuses blob {}: x=({},{}) after 7 of 1234 bytes, 401", digest("a"), digest("b"), digest("c"))));
        for disclosure in [Disclosure::Findings, Disclosure::Placements] {
            let told = report.disclosed(disclosure).into_owned().error.expect("an error").message;
            assert_eq!(told, "r.io refuses blob sha256:…: x=(sha256:…,sha256:…) after 7 of … bytes, 401");
        }
        assert_eq!(*report.disclosed(Disclosure::Everything), report);
    }

    #[test]
    fn nobody_is_told_where_the_unplanted_image_lies() {
        for (written, published) in [
            ("docker://ghcr.io/acme/staging:1", "docker://…"),
            ("docker-daemon:shop@sha256:abc", "docker-daemon:shop"),
            ("oci-archive:shop.tar", "oci-archive:shop.tar"),
        ] {
            let mut report = sample();
            report.source.as_mut().expect("source").reference = written.to_owned();
            let source = report.disclosed(Disclosure::Findings).into_owned().source.expect("source");
            assert_eq!(source.reference, published);
            assert_eq!(*report.disclosed(Disclosure::Everything), report);
        }
    }

    #[test]
    fn a_private_repository_reads_that_there_is_bait_and_nothing_that_leads_to_it() {
        let (findings, placements) = (sample().disclosed(Disclosure::Findings).into_owned(), sample().disclosed(Disclosure::Placements).into_owned());
        assert_eq!(
            serde_json::to_value(&placements.placements).expect("serialises"),
            serde_json::json!([{ "id": "plc-1", "service": "ghcr.io/acme/shop", "environment": "production", "surface": "buried" }])
        );
        // But for these and what is said of the secrets themselves, it is what everybody may read.
        let findings = RunReport { placements: placements.placements.clone(), findings: placements.findings.clone(), ..findings };
        assert_eq!(placements, findings);
    }

    #[test]
    fn nobody_can_tell_by_the_report_whether_there_is_bait() {
        let digest = sample().source.expect("a source").digest.expect("a digest");
        let pushed =
            |sign_anew| PushedImage { reference: "ghcr.io/acme/shop:1".to_owned(), digest: digest.clone(), platforms: Vec::new(), sign_anew };
        for reference in ["docker://ghcr.io/acme/staging:1", "oci:shop"] {
            let mut with = sample();
            with.pushed = vec![pushed(true)];
            with.source.as_mut().expect("a source").reference = reference.to_owned();
            let mut without = RunReport { placements: Vec::new(), left_behind: Vec::new(), notices: Vec::new(), ..with.clone() };
            without.pushed = vec![pushed(false)];
            without.source.as_mut().expect("a source").digest = None;
            assert_eq!(with.disclosed(Disclosure::Findings), without.disclosed(Disclosure::Findings));
        }
    }
}
