//! Which of the scanners that thieves use would see a placement: computed, without running them.
//!
//! Two things decide. A scanner reads some places of an image and passes over others, by rules that it documents or that its source
//! shows (TruffleHog and Trivy of August 2026, ggshield 1.56, Kingfisher 2.14; gitleaks reads no images, but is run on unpacked ones,
//! beside their config). And it knows some kinds and not others: each kind's [`Seen`].

use serde::Serialize;

use crate::bait::history_style::Grammar;
use crate::bait::kinds::contract::{BaitKind, Seen};
use crate::bait::kinds::find;
use crate::bait::plan::{Burial, ImagePlan, Place, PlannedBait};
use crate::oci::config::History;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sight {
    pub scanner: Scanner,
    /// `None` where it cannot be told without the vendor's server.
    pub sees: Option<bool>,
    /// The rule that fires, or why none does.
    pub why: String,
}

/// Where in an image a scanner may come across a bait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground<'a> {
    /// A file, by its path with the leading `/`.
    File(&'a str, LayerNote<'a>),
    /// What a step of the history ran. It stands in the config, as all of the history does.
    Step,
    /// Anything else in the config: a variable, a label, the comment of a step.
    Config,
}

/// What scanners go by when they choose the layers and files that they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerNote<'a> {
    /// What the history says of the layer, counted from the oldest; `None` where it has no line for it.
    pub step: Option<&'a str>,
    /// Whether it lies in the base image, as Trivy guesses that.
    pub is_base: bool,
    /// Whether a later layer has another file under the same path.
    pub is_overwritten: bool,
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

impl<'a> LayerNote<'a> {
    /// Of layer `index` of an image, 0 the oldest.
    #[must_use]
    pub fn of(history: &'a [History], index: usize, is_overwritten: bool) -> Self {
        // ggshield and Trivy count the steps that made layers, whether or not there are as many as layers.
        let steps = || history.iter().enumerate().filter(|(_, step)| !step.empty_layer);
        let (number, step) = steps().nth(index).map_or((None, None), |(number, step)| (Some(number), Some(step)));
        let is_base = number.zip(last_of_base(history)).is_some_and(|(number, last)| number <= last);
        Self { step: step.map(|step| step.created_by.as_deref().unwrap_or_default()), is_base, is_overwritten }
    }
}

/// The step that Trivy takes for the base image's last: the youngest CMD below the youngest layer.
///
/// Source: Trivy, `pkg/fanal/image`, `GuessBaseImageIndex`. A line of buildah's is no CMD to it, for want of a blank.
fn last_of_base(history: &[History]) -> Option<usize> {
    let youngest = history.iter().rposition(|step| !step.empty_layer)?;
    let is_command = |step: &History| {
        let by = step.created_by.as_deref().unwrap_or_default();
        step.empty_layer && (by.starts_with("CMD") || by.starts_with("/bin/sh -c #(nop)  CMD"))
    };
    history[..youngest].iter().rposition(is_command)
}

/// The scanners that would see a planned bait.
#[must_use]
pub fn seen_by(plan: &ImagePlan, bait: &PlannedBait) -> Vec<Scanner> {
    let path = bait.place.location();
    // It goes into no base image.
    let step = (plan.grammar != Grammar::None).then_some("COPY");
    let is_overwritten = matches!(bait.place, Place::Buried { burial: Burial::Replaced { .. }, .. });
    let layer = LayerNote { step, is_base: false, is_overwritten };
    let grounds: &[Ground<'_>] = match &bait.place {
        Place::File { .. } | Place::Buried { .. } => &[Ground::File(&path, layer)],
        Place::Variables { .. } if plan.writes_variables => &[Ground::Config, Ground::Step],
        Place::Variables { .. } => &[Ground::Config],
        Place::Argument { .. } | Place::Command { .. } => &[Ground::Step],
    };
    let sights = find(&bait.claims.kind).map(|kind| sights(kind, grounds));
    sights.into_iter().flatten().filter(|sight| sight.sees == Some(true)).map(|sight| sight.scanner).collect()
}

/// What every scanner makes of a token of this kind that lies on these grounds: of several, the one that it sees best.
#[must_use]
pub fn sights(kind: &dyn BaitKind, grounds: &[Ground<'_>]) -> [Sight; 5] {
    Scanner::ALL.map(|scanner| {
        let known = known(scanner, kind);
        let on = |ground: &Ground<'_>| match (&known, blind(scanner, *ground)) {
            // What it does not know, it finds nowhere.
            ((Some(false), _), _) => known.clone(),
            (_, Some(why)) => (Some(false), why.to_owned()),
            // It reads the config only when it is told to.
            ((sees, rule), None) if scanner == Scanner::Trivy && !matches!(ground, Ground::File(..)) => {
                (*sees, format!("{rule}, with --image-config-scanners secret"))
            }
            (_, None) => known.clone(),
        };
        let mut all: Vec<(Option<bool>, String)> = grounds.iter().map(on).collect();
        // Seen before not known before unseen; of equals, the first.
        all.sort_by_key(|(sees, _)| [Some(true), None, Some(false)].iter().position(|one| one == sees));
        let (sees, why) = all.into_iter().next().unwrap_or((Some(false), "is nowhere in the image".to_owned()));
        Sight { scanner, sees, why }
    })
}

/// Why a scanner does not read this place at all.
fn blind(scanner: Scanner, ground: Ground<'_>) -> Option<&'static str> {
    match (scanner, ground) {
        (Scanner::TruffleHog, Ground::Config) => Some("reads the steps of the history, and nothing else of the config"),
        (Scanner::Ggshield, Ground::File(path, layer)) => match layer.step {
            None => Some("reads layers that the history has a line for"),
            Some(step) if !step.is_empty() && !is_copied(step) => Some("reads layers that COPY or ADD made"),
            Some(_) => is_passed_over(path).then_some("passes over this folder"),
        },
        (Scanner::Kingfisher, Ground::File(_, layer)) => {
            layer.is_overwritten.then_some("unpacks all layers into one folder, where a later file replaced it")
        }
        (Scanner::Trivy, Ground::File(path, layer)) => match layer {
            LayerNote { is_base: true, .. } => Some("takes the layer for the base image's, which it passes over"),
            LayerNote { is_overwritten: true, .. } => Some("tells of the newest file under a path only"),
            _ => is_skipped(path).then_some("passes over files with such a path"),
        },
        _ => None,
    }
}

/// ggshield looks for the words anywhere in the step. Source: `ggshield/verticals/secret/docker.py`, `LAYER_TO_SCAN_PATTERN`.
fn is_copied(step: &str) -> bool {
    step.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.eq_ignore_ascii_case("copy") || word.eq_ignore_ascii_case("add"))
}

/// Paths that ggshield takes for those of packages.
///
/// Source: `ggshield/verticals/secret/docker.py`, `FILEPATH_BANLIST`, and `secret_scan_common_options.py`, `IGNORED_DEFAULT_WILDCARDS`.
fn is_passed_over(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    let under = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let kept = under(&["usr/share/nginx", "usr/src/app", "usr/app", "var/www", "var/src"]);
    let anywhere = ["vendor", "vendors", "node_modules", ".venv", ".eggs", ".eggs-info", ".pytest_cache", ".mypy_cache"];
    let in_folder = path.split('/').rev().skip(1).any(|folder| anywhere.contains(&folder));
    let banned = ["usr/", "var/", "lib/", "share/", "bin/", "sbin/", "include/", "texlive/", "fonts/", "npm/", "site-packages/"];
    in_folder || !kept && under(&banned)
}

/// Paths that Trivy scans for no secrets.
///
/// Source: Trivy, `pkg/fanal/secret`: `builtinAllowRules` and `defaultSkipPatterns`.
fn is_skipped(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    let lower = path.to_ascii_lowercase();
    let is_test = lower.starts_with("test") || ["/test", "-test", "_test", ".test"].iter().any(|part| lower.contains(part));
    let part = ["example", "/vendor/", "/locale/", "/locales/", ".dist-info/"].iter().any(|part| path.contains(part));
    let folders =
        ["usr/share/", "usr/include/", "usr/lib/", "opt/yarn-v", "usr/local/go/", "usr/local/lib/python", "usr/src/wordpress/", "var/log/anaconda/"];
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let names = ["go.mod", "go.sum", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "Pipfile.lock", "Gemfile.lock"];
    let endings = ["md", "jpg", "png", "gif", "doc", "pdf", "bin", "svg", "socket", "deb", "rpm", "zip", "gz", "gzip", "tar"];
    is_test
        || part
        || folders.iter().any(|start| path.starts_with(start))
        || folder.split('/').any(|folder| matches!(folder, ".git" | "node_modules"))
        || names.contains(&name)
        || name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
}

/// Whether a scanner that reads the place knows the kind.
fn known(scanner: Scanner, kind: &dyn BaitKind) -> (Option<bool>, String) {
    let Seen { gitleaks, trufflehog, kingfisher, trivy } = kind.seen_by();
    let seen = match scanner {
        Scanner::TruffleHog => trufflehog,
        Scanner::Kingfisher => kingfisher,
        Scanner::Gitleaks => gitleaks,
        Scanner::Trivy => trivy,
        Scanner::Ggshield => return (None, "reads it, and the vendor's server decides".to_owned()),
    };
    match seen {
        Ok(rule) => (Some(true), rule.to_owned()),
        Err(why) => (Some(false), why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::kinds::KINDS;

    const TOP: LayerNote<'_> = LayerNote { step: Some("COPY . /app # buildkit"), is_base: false, is_overwritten: false };

    fn sees(kind: &str, grounds: &[Ground<'_>], scanner: Scanner) -> Option<bool> {
        let sights = sights(find(kind).expect("kind"), grounds);
        sights.into_iter().find(|sight| sight.scanner == scanner).expect("all are listed").sees
    }

    fn history(steps: &[(&str, bool)]) -> Vec<History> {
        let step = |(by, empty_layer): &(&str, bool)| History { created_by: Some((*by).to_owned()), empty_layer: *empty_layer, ..History::default() };
        steps.iter().map(step).collect()
    }

    /// These no scanner takes for a credential, or one alone: whoever uses them has read what lies there.
    const FOR_READERS: [&str; 5] = ["wireguard", "mysql-dump", "web-url", "dns-name", "mcp-config"];

    #[test]
    fn every_kind_but_those_for_readers_is_seen_by_two_of_the_three_that_were_tried() {
        for kind in KINDS {
            let Seen { gitleaks, trufflehog, kingfisher, .. } = kind.seen_by();
            let count = [gitleaks, trufflehog, kingfisher].iter().filter(|seen| seen.is_ok()).count();
            assert_eq!(count < 2, FOR_READERS.contains(&kind.id()), "{}", kind.id());
        }
    }

    #[test]
    fn trufflehog_sees_a_variable_only_in_the_history() {
        assert_eq!(sees("database-url", &[Ground::Config, Ground::Step], Scanner::TruffleHog), Some(true));
        assert_eq!(sees("database-url", &[Ground::Config], Scanner::TruffleHog), Some(false));
        assert_eq!(sees("database-url", &[Ground::Config], Scanner::Kingfisher), Some(true));
    }

    #[test]
    fn ggshield_passes_over_what_packages_own_and_what_commands_made() {
        let sees = |path, step| sees("npm-index", &[Ground::File(path, LayerNote { step, ..TOP })], Scanner::Ggshield);
        let copied = Some("/bin/sh -c #(nop) COPY file:00 in /x ");
        for path in ["/usr/lib/x", "/lib/x", "/app/node_modules/x/.npmrc", "/var/lib/x"] {
            assert_eq!(sees(path, copied), Some(false), "{path}");
        }
        for path in ["/app/ci/npmrc", "/usr/src/app/.npmrc", "/app/lib/x", "/node_modules"] {
            assert_eq!(sees(path, copied), None, "{path}");
        }
        let rows = [(Some("jib-maven-plugin:3.4.0"), Some(false)), (Some("RUN make additions"), Some(false)), (None, Some(false)), (Some(""), None)];
        for (step, expected) in rows {
            assert_eq!(sees("/app/ci/npmrc", step), expected, "{step:?}");
        }
    }

    #[test]
    fn trivy_passes_over_base_layers_and_paths_of_tests_and_packages() {
        let sees = |path, layer| sees("jwt", &[Ground::File(path, layer)], Scanner::Trivy);
        for path in ["/app/token", "/srv/latest/x", "/app/testing", "/app/x.md", "/app/.git/x", "/usr/lib/x", "/app/example.env", "/testbed/x"] {
            let expected = matches!(path, "/app/token" | "/srv/latest/x");
            assert_eq!(sees(path, TOP), Some(expected), "{path}");
        }
        assert_eq!(sees("/app/token", LayerNote { is_base: true, ..TOP }), Some(false));
        assert_eq!(sees("/app/token", LayerNote { is_overwritten: true, ..TOP }), Some(false));
    }

    #[test]
    fn a_layer_below_a_command_is_the_base_images() {
        let steps = [("ADD x", false), ("CMD [\"sh\"]", true), ("COPY a", false), ("ENV A=b", true), ("COPY b", false), ("CMD [\"b\"]", true)];
        let steps = history(&steps);
        let notes: Vec<bool> = (0..4).map(|index| LayerNote::of(&steps, index, false).is_base).collect();
        assert_eq!(notes, [true, false, false, false]);
        assert_eq!(LayerNote::of(&steps, 1, false).step, Some("COPY a"));
        assert_eq!(LayerNote::of(&steps, 3, false).step, None);
        let buildah = history(&[("ADD x", false), ("/bin/sh -c #(nop) CMD [\"sh\"]", true), ("COPY a", false)]);
        assert!(!LayerNote::of(&buildah, 0, false).is_base);
    }
}
