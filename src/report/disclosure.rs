//! How much of a run may be published, by who can read it.

use std::borrow::Cow;

use crate::forge::ci::Visibility;
use crate::report::run_report::{RunReport, Timings};

/// What a report may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// Findings, and nothing from which the place of a bait could be concluded.
    Findings,
    /// Placements too; never a value, never a location.
    Placements,
}

impl Disclosure {
    /// What the owner's wish comes to where `visibility` holds. `wanted` is `None` for no wish.
    ///
    /// On public and internal repositories placements are never told, whatever is wished.
    #[must_use]
    pub fn decide(wanted: Option<Self>, visibility: Visibility) -> Self {
        match (wanted, visibility) {
            (Some(Self::Findings), _) | (_, Visibility::Public | Visibility::Internal) | (None, Visibility::Unknown) => Self::Findings,
            (_, Visibility::Local | Visibility::Private) | (Some(Self::Placements), Visibility::Unknown) => Self::Placements,
        }
    }
}

impl RunReport {
    /// The report as it may be published.
    ///
    /// Under [`Disclosure::Findings`] more goes than the placements: digests, layer counts and sizes of the image before
    /// planting, compared with the published image, would point at the bait's layers.
    #[must_use]
    pub fn disclosed(&self, disclosure: Disclosure) -> Cow<'_, Self> {
        if disclosure == Disclosure::Placements {
            return Cow::Borrowed(self);
        }
        let mut report = self.clone();
        let planted = !report.placements.is_empty();
        report.placements.clear();
        report.left_behind.clear();
        report.notices.retain(|notice| !notice.confidential);
        // Other images and environments are nobody's business.
        report.findings.iter_mut().for_each(|reported| reported.first_seen = None);
        if let Some(source) = &mut report.source {
            source.digest = None;
            if planted {
                source.reference = without_address(&source.reference);
            }
            for platform in &mut source.platforms {
                (platform.digest, platform.layers) = (None, None);
                platform.steps.clear();
            }
        }
        (report.coverage.layers, report.coverage.files, report.coverage.bytes, report.coverage.inside) = (None, None, None, None);
        report.timings = Timings { total_ms: report.timings.total_ms, ..Timings::default() };
        if let Some(error) = report.error.as_mut().filter(|error| error.confidential) {
            error.message = "details are withheld, because this report may be read by others".to_owned();
            error.hint = Some("run it where only you can read the output".to_owned());
        }
        Cow::Owned(report)
    }
}

/// A source's reference without what would let others fetch the image as it was before planting.
fn without_address(reference: &str) -> String {
    let name = reference.split('@').next().unwrap_or_default();
    if name.starts_with("docker://") { "docker://…".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn nobody_can_wish_placements_onto_a_public_repository() {
        for visibility in [Visibility::Public, Visibility::Internal] {
            assert_eq!(Disclosure::decide(Some(Disclosure::Placements), visibility), Disclosure::Findings);
        }
        assert_eq!(Disclosure::decide(None, Visibility::Unknown), Disclosure::Findings);
        assert_eq!(Disclosure::decide(None, Visibility::Private), Disclosure::Placements);
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
        ] {
            assert!(!text.contains(trace), "{trace} in {text}");
        }
        assert!(text.contains("\"generic-assignment\""));
        assert!(!serde_json::to_string(&sample()).expect("serialises").contains("\"location\""));
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
            assert_eq!(*report.disclosed(Disclosure::Placements), report);
        }
    }
}
