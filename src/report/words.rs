//! Phrases that several formats share.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::oci::digest::Digest;
use crate::oci::location::TRANSPORTS;
use crate::oci::reference::Reference;
use crate::report::escape::web_address;
use crate::report::run_report::{LeftBehind, Outcome, PushedImage, ReportedFinding, RunReport, SilencedBy, Timings};
use crate::scan::finding::{Finding, FoundIn, State};
use crate::scan::rule_set::RuleSet;
use crate::scan::validity::Validity;

/// Where the program comes from, if its package says so.
#[must_use]
pub fn home() -> Option<&'static str> {
    Some(env!("CARGO_PKG_REPOSITORY")).filter(|address| !address.is_empty())
}

/// `3 findings`, `1 finding`.
#[must_use]
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// What the run came to, in a word or two.
#[must_use]
pub fn outcome(report: &RunReport) -> &'static str {
    match report.verdict.outcome {
        Outcome::Passed if is_unseen(report) => "not scanned",
        Outcome::Passed => "passed",
        Outcome::Warned => "warned",
        Outcome::Denied => "denied",
        Outcome::Error => "no verdict",
    }
}

/// Whether nobody looked into the image, as with `push` alone: then nothing speaks against it, and nothing for it.
#[must_use]
pub fn is_unseen(report: &RunReport) -> bool {
    report.verdict.outcome == Outcome::Passed && report.coverage.layers.is_none() && !report.coverage.not_scanned.is_empty()
}

/// The image and the environment that this is a copy for: what sets its reports apart from others', and stays from commit to commit.
#[must_use]
pub fn copy(report: &RunReport) -> (String, &str) {
    let image = report.service.clone().unwrap_or_else(|| without_version(subject(report), report.context.commit.as_deref()));
    (image, report.environment.as_deref().unwrap_or("default"))
}

/// What sets the run apart from others for the same copy, in the words of whoever set it up.
#[must_use]
pub fn leg(report: &RunReport) -> Option<&str> {
    report.comment_id.as_deref().map(str::trim).filter(|id| !id.is_empty())
}

/// What stays of a reference's tag from commit to commit: its words without numbers and commits. `None` where nothing is left.
#[must_use]
pub fn lasting_tag(reference: &str) -> Option<String> {
    let name = TRANSPORTS.iter().find_map(|transport| reference.strip_prefix(transport)).unwrap_or(reference);
    let (_, tag) = name.split('@').next()?.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let is_number =
        |word: &&str| word.bytes().all(|byte| byte.is_ascii_hexdigit()) && word.len() >= 7 && word.bytes().any(|byte| byte.is_ascii_digit());
    let words = tag.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !is_number(word));
    let words = words.map(|word| word.replace(|letter: char| letter.is_ascii_digit(), "")).filter(|word| word.len() > 1 && word != "latest");
    Some(words.collect::<Vec<_>>().join("-")).filter(|words| !words.is_empty())
}

/// A name without transport, tag and digest, and without commits in it.
fn without_version(name: &str, commit: Option<&str>) -> String {
    let name = TRANSPORTS.iter().find_map(|transport| name.strip_prefix(transport)).unwrap_or(name);
    let name = name.split('@').next().unwrap_or(name);
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !name.is_empty() => name,
        _ => name,
    };
    let word = |text: &str| {
        let hex = text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_commit = hex && (matches!(text.len(), 40 | 64) || commit.is_some_and(|commit| commit.starts_with(&text.to_ascii_lowercase())));
        if is_commit { String::new() } else { text.to_owned() }
    };
    name.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
        .map(|part| {
            let (text, end) =
                part.char_indices().next_back().filter(|(_, last)| !last.is_ascii_alphanumeric()).map_or((part, ""), |(at, _)| part.split_at(at));
            word(text) + end
        })
        .collect()
}

/// What is judged, in a few words for a heading: what the image is, or else where it came from.
#[must_use]
pub fn heading(report: &RunReport) -> &str {
    report.service.as_deref().unwrap_or_else(|| subject(report))
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

/// Rows under one another, each in a line of its own and each column as wide as its widest cell.
#[must_use]
pub fn table<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let rows: Vec<[String; COLUMNS]> = rows.collect();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("\n  {}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// `, and 99 more places`.
#[must_use]
pub fn also_in(finding: &Finding) -> String {
    match finding.also_in {
        0 => String::new(),
        1 => ", and 1 more place".to_owned(),
        more => format!(", and {more} more places"),
    }
}

/// The step that holds a finding: the layer's, or the history's own.
#[must_use]
pub fn step(reported: &ReportedFinding) -> Option<&str> {
    let step = reported.step.as_deref().or_else(|| reported.finding.layer.as_ref()?.instruction.as_deref())?;
    Some(bare_step(step))
}

/// A step without BuildKit's mark, which says nothing to a reader.
#[must_use]
pub fn bare_step(step: &str) -> &str {
    step.trim_end().trim_end_matches("# buildkit").trim_end()
}

/// `dead: the vendor refused it: … (2026-11-22T04:00:00Z)`; empty where nobody wanted to know.
#[must_use]
pub fn validation(finding: &Finding) -> String {
    let Some(Validity { state, why, at }) = &finding.validation else { return String::new() };
    let at = at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
    format!("{}: {why}{at}", state.name())
}

/// `high: an offline check proves it …`.
#[must_use]
pub fn certainty(reported: &ReportedFinding) -> String {
    let confidence = reported.finding.confidence;
    if reported.why.is_empty() { confidence.to_string() } else { format!("{confidence}: {}", reported.why) }
}

/// Where the vendor tells how a credential is revoked, by the built-in rule of that name: what a report says itself may be a stranger's, and is
/// no address to send people to.
#[must_use]
pub fn page_of_vendor(reported: &ReportedFinding) -> Option<&'static str> {
    RuleSet::builtin().get(&reported.finding.rule)?.references.iter().find_map(|address| web_address(address))
}

/// `ghcr.io/acme/shop:1.3, 2026-10-02, commit 4f2a91c`: the first image with a secret, where that is told.
#[must_use]
pub fn first_seen(reported: &ReportedFinding) -> Option<String> {
    let first = reported.first_seen.as_ref()?;
    let short = |text: &str, length| text.chars().take(length).collect::<String>();
    let commit = first.commit.as_deref().map(|commit| format!(", commit {}", short(commit, 7))).unwrap_or_default();
    let denied = if first.pushed { "" } else { " (denied, and no image with it was pushed since)" };
    Some(format!("{}, {}{commit}{denied}", first.reference, short(&first.at, 10)))
}

/// Why a finding passes: who accepted it and until when, or where it was known from.
#[must_use]
pub fn accepted(reported: &ReportedFinding) -> Option<String> {
    reported.silencer()?;
    silenced(reported).map(|(word, why)| if word == "excepted" { why } else { format!("{word}: {why}") })
}

/// What was looked at, and whether that is all.
#[must_use]
pub fn scanned(report: &RunReport) -> String {
    coverage(report).map_or_else(|| completeness(report), |coverage| format!("{coverage}; {}", completeness(report)))
}

/// Whether all of it was looked at.
#[must_use]
pub fn completeness(report: &RunReport) -> String {
    match (report.verdict.outcome, report.coverage.not_scanned.len()) {
        (Outcome::Error, _) => "the run did not come to its end: nothing follows from what it does not say".to_owned(),
        (_, 0) => "nothing was left out".to_owned(),
        (_, number) => format!("{} left out, named below", count(number, "part")),
    }
}

/// Where in the repository a finding is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryPlace<'a> {
    /// The file that it lies in. Line and column begin with 1.
    File { path: &'a str, line: u64, column: u64 },
    /// What lies in an image is mended at the Dockerfile; its path and the instruction's line, where they are known.
    Dockerfile { path: Option<&'a str>, line: Option<u64> },
}

impl<'a> RepositoryPlace<'a> {
    #[must_use]
    pub fn of(report: &'a RunReport, reported: &'a ReportedFinding) -> Self {
        let finding = &reported.finding;
        let is_image = report.source.as_ref().is_none_or(|source| !source.platforms.is_empty());
        match (&finding.path, finding.surface) {
            (Some(path), FoundIn::File) if !is_image && finding.layer.is_none() => Self::File {
                path: path.trim_start_matches("./").trim_start_matches('/'),
                line: finding.line.unwrap_or(1).max(1),
                column: finding.column.unwrap_or(1).max(1),
            },
            _ => Self::Dockerfile { path: report.dockerfile.as_deref(), line: reported.dockerfile_line.filter(|line| *line > 0) },
        }
    }

    /// For formats that ask for a file whether there is one or not.
    #[must_use]
    pub fn path(self) -> &'a str {
        match self {
            Self::File { path, .. } => path,
            Self::Dockerfile { path, .. } => path.unwrap_or("Dockerfile"),
        }
    }

    /// For formats that ask for a line whether it is known or not.
    #[must_use]
    pub fn line(self) -> u64 {
        match self {
            Self::File { line, .. } => line,
            Self::Dockerfile { line, .. } => line.unwrap_or(1),
        }
    }
}

/// A name for one finding in one place that stays from run to run: 64 hexadecimal digits.
#[must_use]
pub fn identity(finding: &Finding) -> String {
    let Finding { rule, fingerprint, surface, state, .. } = finding;
    let path = finding.path.as_deref().unwrap_or_default();
    Digest::of(format!("{rule}\0{fingerprint}\0{surface}\0{state}\0{path}\0{}", finding.platforms.join(",")).as_bytes()).hex().to_owned()
}

/// All that is to say of a finding for people, by name, in the order to read it in.
#[must_use]
pub fn facts(report: &RunReport, reported: &ReportedFinding) -> Vec<(&'static str, String)> {
    let finding = &reported.finding;
    let layer = finding.layer.as_ref().map(|place| format!("{} ({})", layer(report, finding).unwrap_or_default(), place.digest));
    let (prevention, change) = (reported.prevention.as_ref(), reported.change());
    let known = |file: &str| if file == ".dockerignore" { ".dockerignore" } else { "Dockerfile" };
    let facts = [
        ("Rule", Some(format!("{} ({})", finding.rule, reported.title))),
        ("Where", Some(format!("{}{}", place(finding), also_in(finding)))),
        ("Layer", layer),
        ("Made by", step(reported).map(str::to_owned)),
        ("Platforms", Some(finding.platforms.join(", "))),
        ("State", Some(state(finding).to_owned())),
        ("First in", first_seen(reported)),
        ("Sample", Some(finding.redacted.clone())),
        ("Severity", Some(finding.severity.to_string())),
        ("Confidence", Some(certainty(reported))),
        ("Vendor says", Some(validation(finding))),
        ("A thief", Some(reported.gains.clone())),
        ("Revoke it", Some(reported.advice.clone())),
        ("Keep it out", prevention.map(|prevention| prevention.text.clone())),
        (change.map_or("Dockerfile", |change| known(&change.file)), change.map(|change| change.line.clone())),
        ("Accepted", accepted(reported)),
        ("Fingerprint", Some(finding.fingerprint.to_string())),
    ];
    facts.into_iter().filter_map(|(name, text)| Some((name, text.filter(|text| !text.is_empty())?))).collect()
}

/// `2026-11-22T04:00:00` for a time of RFC 3339 and milliseconds after it, as formats without zones write UTC.
#[must_use]
pub fn utc(time: &str, later: u64) -> Option<String> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    let time = time.checked_add(Duration::milliseconds(i64::try_from(later).ok()?))?.checked_to_offset(UtcOffset::UTC)?;
    let (date, hour, minute, second) = (time.date(), time.hour(), time.minute(), time.second());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
}

/// `2026-12-22` for a time of RFC 3339 and days after it.
#[must_use]
pub fn day_after(time: &str, days: i64) -> Option<String> {
    let date = OffsetDateTime::parse(time, &Rfc3339).ok()?.checked_add(Duration::days(days))?.date();
    Some(format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()))
}

/// Seconds since 1970 for a time of RFC 3339 and milliseconds after it; 0 for what is no time.
#[must_use]
pub fn unix(time: &str, later: u64) -> i64 {
    let parsed = OffsetDateTime::parse(time, &Rfc3339).ok().and_then(|time| time.checked_add(Duration::milliseconds(i64::try_from(later).ok()?)));
    parsed.map_or(0, OffsetDateTime::unix_timestamp)
}

/// `app/.env`, or what stands for it where the place is no file.
#[must_use]
pub fn place_in_image(finding: &Finding) -> String {
    whole(finding).trim_start_matches('/').to_owned()
}

/// `/app/.env:3:7`, or `variable API_TOKEN`.
#[must_use]
pub fn place(finding: &Finding) -> String {
    let whole = whole(finding);
    if !matches!(finding.surface, FoundIn::File | FoundIn::Artifact) {
        return whole;
    }
    let column = finding.column.map(|column| format!(":{column}")).unwrap_or_default();
    let line = finding.line.map(|line| format!(":{line}{column}")).unwrap_or_default();
    let commit = finding.commit.as_deref().map(|commit| format!(" (commit {})", commit.get(..12).unwrap_or(commit))).unwrap_or_default();
    format!("{whole}{line}{commit}")
}

/// The file or what stands for one, and no place in it.
fn whole(finding: &Finding) -> String {
    let name = finding.path.as_deref().unwrap_or_default();
    let kind = match finding.surface {
        // In a layer, paths are absolute and stored without their first slash.
        FoundIn::File if finding.layer.is_some() && !name.starts_with('/') => return format!("/{name}"),
        FoundIn::File | FoundIn::Artifact => return name.to_owned(),
        FoundIn::Env => "variable",
        FoundIn::Label => "label",
        FoundIn::Annotation => "annotation",
        // Counted from one, as layers are.
        FoundIn::History => return name.parse::<usize>().map_or("history".to_owned(), |number| format!("step {} of the history", number + 1)),
        FoundIn::Entrypoint => "entrypoint",
        FoundIn::Command => "command",
        FoundIn::Healthcheck => "health check",
    };
    format!("{kind} {name}").trim_end().to_owned()
}

/// `layer 3 of 5`, counted from one as people do.
#[must_use]
pub fn layer(report: &RunReport, finding: &Finding) -> Option<String> {
    let number = finding.layer.as_ref()?.index + 1;
    Some(report.layers_of(finding).map_or_else(|| format!("layer {number}"), |all| format!("layer {number} of {all}")))
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
    let scan = scan_ms.map(|scan| scan.saturating_add(read_ms.unwrap_or_default()));
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
    fn of_a_tag_stays_what_no_commit_changes() {
        for (reference, words) in [
            ("ghcr.io/acme/shop:alpine", Some("alpine")),
            ("ghcr.io/acme/shop:1.4.2-alpine3.19", Some("alpine")),
            ("docker-daemon:shop:4f2a91c0-debian@sha256:00", Some("debian")),
            ("127.0.0.1:5000/shop:pr-7-arm64", Some("pr-arm")),
            ("ghcr.io/acme/shop:v1.4.2", None),
            ("ghcr.io/acme/shop:latest", None),
            ("ghcr.io/acme/shop:4f2a91c04f2a91c04f2a91c04f2a91c04f2a91c0", None),
            ("127.0.0.1:5000/shop", None),
            ("oci-archive:image.tar", None),
        ] {
            assert_eq!(lasting_tag(reference).as_deref(), words, "{reference}");
        }
    }

    #[test]
    fn what_is_built_anew_keeps_its_name() {
        let commit = "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90";
        for (reference, name) in [
            ("docker://ghcr.io:5000/acme/shop:sha-4f2a91c@sha256:00", "//ghcr.io:5000/acme/shop"),
            ("docker-daemon:shop:1.4", "shop"),
            ("oci:build/shop", "build/shop"),
            ("oci-archive:image-4f2a91c6d0b7.tar:latest", "image-.tar"),
            ("docker-archive:out/ffffffffffffffffffffffffffffffffffffffff.tar", "out/.tar"),
            ("docker-archive:out/facade1.tar", "out/facade1.tar"),
            ("src", "src"),
            ("", ""),
        ] {
            assert_eq!(without_version(reference, Some(commit)), name.trim_start_matches('/'), "{reference}");
        }
    }

    #[test]
    fn one_place_has_one_identity() {
        let report = crate::report::sample::sample();
        let finding = &report.findings[0].finding;
        let mut moved = finding.clone();
        moved.line = Some(99);
        assert_eq!(identity(finding), identity(&moved));
        moved.path = Some("elsewhere".to_owned());
        assert_ne!(identity(finding), identity(&moved));
    }

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
