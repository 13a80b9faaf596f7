//! Which of the scanners that thieves use would see a placement: computed, without running them.
//!
//! Two things decide. A scanner reads some surfaces of an image and not others (tried on a hand-made image with TruffleHog of
//! August 2026, ggshield 1.56, Kingfisher 2.14 and Trivy 0.59; gitleaks reads no images, but is run on unpacked ones). And it knows
//! some kinds and not others (each kind's [`Seen`], tried with gitleaks 8.30.1, Kingfisher 2.14.0 and TruffleHog of August 2026;
//! Trivy's rules by what it documents).

use serde::Serialize;

use crate::bait::kinds::contract::{BaitKind, Seen};
use crate::bait::kinds::find;
use crate::bait::plan::{ImagePlan, Place, PlannedBait};
use crate::bait::surfaces::Surface;

/// A scanner that is used on images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scanner {
    TruffleHog,
    Ggshield,
    Kingfisher,
    Trivy,
    Gitleaks,
}

/// What one scanner makes of one placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sight {
    pub scanner: Scanner,
    /// `None` where it cannot be told without the vendor's server.
    pub sees: Option<bool>,
    /// The rule that fires, or why none does.
    pub why: &'static str,
}

impl Scanner {
    pub const ALL: [Self; 5] = [Self::TruffleHog, Self::Ggshield, Self::Kingfisher, Self::Trivy, Self::Gitleaks];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TruffleHog => "TruffleHog",
            Self::Ggshield => "ggshield",
            Self::Kingfisher => "Kingfisher",
            Self::Trivy => "Trivy",
            Self::Gitleaks => "gitleaks",
        }
    }
}

/// The scanners that would see a planned bait.
#[must_use]
pub fn seen_by(plan: &ImagePlan, bait: &PlannedBait) -> Vec<Scanner> {
    let path = match &bait.place {
        Place::File { .. } | Place::Buried { .. } => Some(bait.place.location()),
        Place::Variables { .. } | Place::Argument { .. } => None,
    };
    let sights = find(&bait.claims.kind).map(|kind| sights(kind, bait.claims.surface, path.as_deref(), plan.writes_variables));
    sights.into_iter().flatten().filter(|sight| sight.sees == Some(true)).map(|sight| sight.scanner).collect()
}

/// What every scanner makes of this kind on this surface. `path` is that of a file, with its leading `/`. `history` says whether
/// the builder writes variables into the history.
#[must_use]
pub fn sights(kind: &dyn BaitKind, surface: Surface, path: Option<&str>, history: bool) -> [Sight; 5] {
    Scanner::ALL.map(|scanner| {
        let (sees, why) = match blind(scanner, surface, path, history) {
            Some(why) => (Some(false), why),
            None => known(scanner, kind),
        };
        Sight { scanner, sees, why }
    })
}

/// Why a scanner does not read this place at all.
fn blind(scanner: Scanner, surface: Surface, path: Option<&str>, history: bool) -> Option<&'static str> {
    match (scanner, surface) {
        (Scanner::TruffleHog, Surface::Env) if !history => Some("reads history, but no variables, and this builder writes none there"),
        (Scanner::Ggshield, Surface::File | Surface::Buried) if path.is_some_and(passed_over) => Some("passes over this directory"),
        _ => None,
    }
}

/// Directories whose files ggshield takes for those of packages.
fn passed_over(path: &str) -> bool {
    let within = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let kept = within(&["/usr/src/app/", "/usr/app/", "/usr/share/nginx/", "/var/www/", "/var/src/"]);
    let anywhere = ["/node_modules/", "/vendor/", "/include/", "/site-packages/"].iter().any(|part| path.contains(part));
    anywhere || !kept && within(&["/usr/", "/lib/", "/bin/", "/sbin/", "/var/"])
}

/// Whether a scanner that reads the place knows the kind.
fn known(scanner: Scanner, kind: &dyn BaitKind) -> (Option<bool>, &'static str) {
    let Seen { gitleaks, trufflehog, kingfisher } = kind.seen_by();
    let told = |seen: Result<&'static str, &'static str>| match seen {
        Ok(rule) => (Some(true), rule),
        Err(why) => (Some(false), why),
    };
    match scanner {
        Scanner::TruffleHog => told(trufflehog),
        Scanner::Kingfisher => told(kingfisher),
        Scanner::Gitleaks => told(gitleaks),
        Scanner::Ggshield => (None, "the vendor's server decides"),
        // Trivy's built-in rules, of those that the kinds here have the form of.
        Scanner::Trivy => match gitleaks {
            Ok("gitlab-pat") => (Some(true), "gitlab-pat"),
            Ok("aws-access-token") => (Some(true), "aws-access-key-id"),
            Ok("npm-access-token") => (Some(true), "npm-access-token"),
            Ok("jwt") => (Some(true), "jwt-token"),
            _ => (Some(false), "has no rule for it"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::kinds::KINDS;

    fn sees(kind: &str, surface: Surface, path: Option<&str>, history: bool, scanner: Scanner) -> Option<bool> {
        let sights = sights(find(kind).expect("kind"), surface, path, history);
        sights.into_iter().find(|sight| sight.scanner == scanner).expect("all are listed").sees
    }

    #[test]
    fn every_kind_is_seen_by_two_of_the_three_that_were_tried() {
        for kind in KINDS {
            let Seen { gitleaks, trufflehog, kingfisher } = kind.seen_by();
            let count = [gitleaks, trufflehog, kingfisher].iter().filter(|seen| seen.is_ok()).count();
            assert!(count >= 2, "{}", kind.id());
        }
    }

    #[test]
    fn trufflehog_sees_a_variable_only_in_the_history() {
        assert_eq!(sees("database-url", Surface::Env, None, true, Scanner::TruffleHog), Some(true));
        assert_eq!(sees("database-url", Surface::Env, None, false, Scanner::TruffleHog), Some(false));
        assert_eq!(sees("database-url", Surface::Env, None, false, Scanner::Kingfisher), Some(true));
    }

    #[test]
    fn ggshield_passes_over_what_packages_own() {
        assert_eq!(sees("npm-index", Surface::File, Some("/usr/lib/x"), true, Scanner::Ggshield), Some(false));
        assert_eq!(sees("npm-index", Surface::File, Some("/app/ci/npmrc"), true, Scanner::Ggshield), None);
        assert_eq!(sees("npm-index", Surface::Buried, Some("/usr/src/app/.npmrc"), true, Scanner::Ggshield), None);
    }
}
