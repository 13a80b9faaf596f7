//! Phrases that several formats share.

use crate::oci::reference::Reference;
use crate::report::run_report::{LeftBehind, Outcome, PushedImage, ReportedFinding, RunReport, SilencedBy, Timings};
use crate::scan::finding::{Finding, FoundIn, Severity, State};

/// `3 findings`, `1 finding`.
#[must_use]
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// What the run came to, in a word or two.
#[must_use]
pub fn outcome(report: &RunReport) -> &'static str {
    match report.verdict.outcome {
        Outcome::Passed => "passed",
        Outcome::Denied => "denied",
        Outcome::Error => "no verdict",
    }
}

/// What is judged, as the verdict names it.
#[must_use]
pub fn subject(report: &RunReport) -> &str {
    let source = report.source.as_ref().map(|source| source.reference.as_str());
    source.or(report.service.as_deref()).unwrap_or("the image")
}

/// One phrase for the verdict: its reasons, or that there are none.
#[must_use]
pub fn reasons(report: &RunReport) -> String {
    if !report.verdict.reasons.is_empty() {
        return report.verdict.reasons.join("; ");
    }
    match (&report.verdict.outcome, &report.error) {
        (Outcome::Error, Some(error)) => format!("{} failed", error.stage),
        (Outcome::Error, None) => "the run did not come to its end".to_owned(),
        _ if report.findings.is_empty() => "no secrets found".to_owned(),
        _ => format!("{}, none of them blocking", count(report.findings.len(), "finding")),
    }
}

/// Who gets to see it, and that deleting it in a later layer does not help.
#[must_use]
pub fn state(finding: &Finding) -> &'static str {
    match (finding.state, finding.surface) {
        (State::Deleted, _) => "deleted by a later layer, still in the image",
        (State::Overwritten, _) => "overwritten by a later layer, still in the image",
        (State::Live, FoundIn::Env | FoundIn::Entrypoint | FoundIn::Command | FoundIn::Healthcheck) => "in the config and in every container",
        (State::Live, FoundIn::History | FoundIn::Label | FoundIn::Annotation | FoundIn::Artifact) => "in the metadata, for everybody who can pull",
        (State::Live, FoundIn::File) if finding.layer.is_some() => "in every container",
        (State::Live, FoundIn::File) => "in the file as it is",
    }
}

/// What lets a finding pass, as one word and a phrase; for a comment that counts for nothing, that.
#[must_use]
pub fn silenced(reported: &ReportedFinding) -> Option<(&'static str, String)> {
    if let Some(exception) = &reported.exception {
        return Some(("excepted", format!("{} ({}, until {})", exception.reason, exception.owner, exception.expires)));
    }
    if let Some(silenced) = &reported.silenced {
        let word = match silenced.by {
            SilencedBy::Exception => "excepted",
            SilencedBy::IgnoreFile => "ignored",
            SilencedBy::Baseline => "known",
            SilencedBy::Marker => "marked",
        };
        let source = if silenced.source.is_empty() { String::new() } else { format!(" ({})", silenced.source) };
        return Some((word, format!("{}{source}", silenced.why)));
    }
    let marker = reported.finding.marked_by.as_ref()?;
    Some(("marked", format!("as allowed in the file ({marker}), and judged all the same")))
}

/// `2 by exceptions, 1 by the baseline`: how many findings pass, by what lets them; `None` where none does.
#[must_use]
pub fn silenced_counts(report: &RunReport) -> Option<String> {
    let number = |by| report.findings.iter().filter(|found| found.silencer() == Some(by)).count();
    let kinds = [
        (SilencedBy::Exception, "by exceptions"),
        (SilencedBy::IgnoreFile, "by other scanners' ignore files"),
        (SilencedBy::Baseline, "by the baseline"),
        (SilencedBy::Marker, "by comments beside them"),
    ];
    let parts: Vec<String> =
        kinds.map(|(by, words)| (number(by), words)).into_iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `/app/.env:3`, or `variable API_TOKEN`.
#[must_use]
pub fn place(finding: &Finding) -> String {
    let name = finding.path.as_deref().unwrap_or_default();
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = match finding.surface {
        // In a layer, paths are absolute and stored without their first slash.
        FoundIn::File if finding.layer.is_some() && !name.starts_with('/') => return format!("/{name}{line}"),
        FoundIn::File | FoundIn::Artifact => return format!("{name}{line}"),
        FoundIn::Env => "variable",
        FoundIn::Label => "label",
        FoundIn::Annotation => "annotation",
        FoundIn::History => "history",
        FoundIn::Entrypoint => "entrypoint",
        FoundIn::Command => "command",
        FoundIn::Healthcheck => "health check",
    };
    format!("{place} {name}").trim_end().to_owned()
}

/// `layer 3 of 5`, counted from one as people do.
#[must_use]
pub fn layer(report: &RunReport, finding: &Finding) -> Option<String> {
    let number = finding.layer.as_ref()?.index + 1;
    Some(report.layers_of(finding).map_or_else(|| format!("layer {number}"), |all| format!("layer {number} of {all}")))
}

/// Severities that have findings, worst first, with the indexes of those.
#[must_use]
pub fn by_severity(report: &RunReport) -> Vec<(Severity, Vec<usize>)> {
    let of = |severity| report.findings.iter().enumerate().filter(move |(_, found)| found.finding.severity == severity).map(|(at, _)| at).collect();
    let all = Severity::ALL.iter().rev().map(|(_, severity)| (*severity, of(*severity)));
    all.filter(|(_, found): &(_, Vec<usize>)| !found.is_empty()).collect()
}

/// A rule's sentence as it goes on after "a thief", without its full stop.
#[must_use]
pub fn lower_first(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// `12.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut unit = 0;
    let mut whole = bytes;
    let mut tenths = 0;
    while whole >= 1000 && unit < 4 {
        tenths = whole % 1000 / 100;
        whole /= 1000;
        unit += 1;
    }
    let name = ["B", "kB", "MB", "GB", "TB"][unit];
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

/// `310 ms`, `4.2 s`.
#[must_use]
pub fn duration(milliseconds: u64) -> String {
    if milliseconds < 1000 { format!("{milliseconds} ms") } else { format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100) }
}

/// What was looked at, as one phrase; `None` where nothing may be said of it.
#[must_use]
pub fn coverage(report: &RunReport) -> Option<String> {
    let coverage = &report.coverage;
    let number = |number: u64, one: &str| count(usize::try_from(number).unwrap_or(usize::MAX), one);
    // A folder has none.
    let layers = coverage.layers.filter(|layers| *layers > 0);
    let known = coverage.cached_layers.filter(|known| *known > 0).map(|known| format!(" ({known} from the cache)")).unwrap_or_default();
    let inside = coverage.inside.map(|inside| format!("{} inside them ({})", number(inside.files, "file"), size(inside.bytes)));
    let parts =
        [layers.map(|layers| number(layers, "layer") + &known), coverage.files.map(|files| number(files, "file")), coverage.bytes.map(size), inside];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let Timings { read_ms, scan_ms, plant_ms, push_ms, total_ms } = &report.timings;
    let scan = scan_ms.map(|scan| scan + read_ms.unwrap_or_default());
    let more = plant_ms.or(*push_ms).and(*total_ms).filter(|_| scan.is_some());
    let time = scan.or(*total_ms).map(|time| format!(" in {}", duration(time))).unwrap_or_default();
    let all = more.map(|total| format!(", {} in all", duration(total))).unwrap_or_default();
    (!parts.is_empty()).then(|| format!("{}{time}{all}", parts.join(", ")))
}

/// The command that signs what was pushed, where the source was signed and this is not.
#[must_use]
pub fn sign_command(image: &PushedImage) -> Option<String> {
    let reference = image.reference.parse::<Reference>().ok().filter(|_| image.sign_anew)?;
    Some(format!("cosign sign {}", reference.at(&image.digest)))
}

/// `signature sha256:1f… of sha256:9c… (linux/amd64)`.
#[must_use]
pub fn left_behind(one: &LeftBehind) -> String {
    let platform = one.platform.as_deref().map(|platform| format!(" ({platform})")).unwrap_or_default();
    let place = one.tag.clone().unwrap_or_else(|| one.digest.to_string());
    format!("{} {place} of {}{platform}", one.kind, one.names.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_goes_on_in_another() {
        assert_eq!(lower_first("Acts as its owner."), "acts as its owner");
        assert_eq!(lower_first(""), "");
    }

    #[test]
    fn sizes_and_durations_are_short() {
        assert_eq!([size(999), size(56_789_012), size(1_000_000_000_000)], ["999 B", "56.7 MB", "1.0 TB"]);
        assert_eq!([duration(310), duration(61_250)], ["310 ms", "61.2 s"]);
    }
}
