//! What people read on a change and in a job's summary, as Markdown that forges render: the verdict, why, what to do; the rest folded away.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::oci::digest::Digest;
use crate::report::advice::Prevention;
use crate::report::escape::{line, markdown, markdown_code, web_address};
use crate::report::formats::contract::{Format, Style};
use crate::report::order::{Urgency, by_severity, by_urgency};
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words::{self, RepositoryPlace};
use crate::scan::validity::Validity;

/// How long a text may become. GitHub refuses comments beyond 65 536 characters and fails a step whose summary is larger than 1 MiB; GitLab's
/// notes end at 1 MB.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// UTF-16 code units, of which some letters are two.
    units: usize,
    bytes: usize,
}

const COMMENT: Limit = Limit { units: 60_000, bytes: 180_000 };
const SUMMARY: Limit = Limit { units: 900_000, bytes: 900_000 };

/// Room kept for what closes the text.
const TAIL: usize = 1_500;

/// Steps of one kind that are told one by one; what is more stands in the table.
const TOLD: usize = 8;

/// Places of one rule that are named at once.
const PLACES: usize = 5;

/// Notes that are seen at once; all of them stand in the fold.
const NOTES: usize = 3;

/// Days that an exception is proposed for.
const DAYS: i64 = 30;

#[derive(Debug)]
pub struct Markdown;

#[derive(Debug)]
pub struct Summary;

impl Format for Markdown {
    fn id(&self) -> &'static str {
        "markdown"
    }

    fn describe(&self) -> &'static str {
        "the body of a comment on a change, cut to what forges take, with the mark by which it is found again"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".md"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        out.write_all(body(report).as_bytes())
    }
}

impl Format for Summary {
    fn id(&self) -> &'static str {
        "summary"
    }

    fn describe(&self) -> &'static str {
        "Markdown for the summary of a job: longer than a comment, and without its mark"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["summary.md"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        out.write_all(summary(report).as_bytes())
    }
}

/// The hidden line by which we find our comment again: one for each image, environment and [`RunReport::comment_id`]. Names in it are for
/// readers; what tells two apart is the sum at its end, since different names may read alike when all that could break the line is taken out.
#[must_use]
pub fn marker(report: &RunReport) -> String {
    let (image, environment) = words::copy(report);
    let id = report.comment_id.as_deref().unwrap_or_default();
    let sum = Digest::of(serde_json::json!([image, environment, id]).to_string().as_bytes());
    let names: Vec<String> = [&image, environment, id].into_iter().map(marker_part).filter(|part| !part.is_empty()).collect();
    format!("<!-- honeycrate:{}:{} -->", names.join(":"), &sum.hex()[..16])
}

/// The comment. It begins with its [`marker`].
#[must_use]
pub fn body(report: &RunReport) -> String {
    page(report, &format!("{}\n", marker(report)), COMMENT)
}

/// The summary of a job.
#[must_use]
pub fn summary(report: &RunReport) -> String {
    page(report, "", SUMMARY)
}

fn page(report: &RunReport, start: &str, limit: Limit) -> String {
    let mut page = Page { text: start.to_owned(), units: start.len(), limit, left_out: 0 };
    verdict(&mut page, report);
    what_to_do(&mut page, report);
    exception(&mut page, report);
    findings(&mut page, report);
    placements(&mut page, report);
    left_behind(&mut page, report);
    looked_at(&mut page, report);
    end(&mut page, report);
    page.text
}

/// A text under way, which never becomes too long.
struct Page {
    text: String,
    units: usize,
    limit: Limit,
    left_out: usize,
}

impl Page {
    fn has_room_for(&self, units: usize, bytes: usize) -> bool {
        self.units + units + TAIL <= self.limit.units && self.text.len() + bytes + TAIL <= self.limit.bytes
    }

    /// Adds a piece, or counts it as left out where it would not fit.
    fn add(&mut self, piece: &str) -> bool {
        let units = piece.encode_utf16().count();
        let fits = self.has_room_for(units, piece.len());
        if fits {
            self.text.push_str(piece);
            self.units += units;
        } else {
            self.left_out += 1;
        }
        fits
    }

    /// Folds pieces away behind a line that is always seen. It is closed whatever is left out of it.
    fn fold(&mut self, title: &str, head: &str, pieces: impl IntoIterator<Item = String>) {
        const END: &str = "\n</details>\n";
        let start = format!("\n<details><summary>{title}</summary>\n\n{head}");
        let mut pieces = pieces.into_iter();
        let Some(first) = pieces.next() else { return };
        // Its end is part of what must fit from the beginning on.
        let opened = self.add(&format!("{start}{first}{END}"));
        if !opened {
            self.left_out += pieces.count();
            return;
        }
        self.text.truncate(self.text.len() - END.len());
        for piece in pieces {
            self.add(&piece);
        }
        self.text.push_str(END);
    }
}

/// Text in bold or in a line, as it is.
fn plain(text: &str) -> String {
    markdown(&line(text))
}

/// Lines to be copied. Within `pre` nothing is Markdown, and what would be HTML is escaped. `indent` is that of the list that it stands in.
fn copied(lines: &[String], indent: &str) -> String {
    let lines: Vec<String> = lines.iter().map(|line| markdown(line)).collect();
    format!("<pre>{}</pre>", lines.join(&format!("\n{indent}")))
}

fn sentence(text: &str) -> String {
    let text = markdown(text);
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{end}")
}

fn verdict(page: &mut Page, report: &RunReport) {
    let mark = match report.verdict.outcome {
        Outcome::Passed if words::is_unseen(report) => "➖",
        Outcome::Passed => "✅",
        Outcome::Warned => "🟡",
        Outcome::Denied => "❌",
        Outcome::Error => "⚠️",
    };
    let word = words::outcome(report);
    let environment = report.environment.as_deref().map(|name| format!(" for {}", markdown_code(name))).unwrap_or_default();
    let leg = words::leg(report).map(|leg| format!(" ({})", plain(leg))).unwrap_or_default();
    let name = format!("{}{environment}{leg}", markdown_code(words::heading(report)));
    // What is green takes one line.
    let is_green = report.verdict.outcome == Outcome::Passed && report.findings.is_empty();
    if is_green {
        page.add(&format!("{mark} **honeycrate: {word}** {name}: {}", sentence(&words::reasons(report))));
    } else {
        page.add(&format!("### {mark} honeycrate: {word} {name}\n\n{}", why(report)));
    }
    for image in &report.pushed {
        let platforms = image.platforms.join(", ");
        let platforms = if platforms.is_empty() { platforms } else { format!(" ({})", plain(&platforms)) };
        page.add(&format!(" Pushed {} as {}{platforms}.", markdown_code(&image.reference), markdown_code(image.digest.as_str())));
        if let Some(command) = words::sign_command(image) {
            page.add(&format!(" Sign it anew: {}.", markdown_code(&command)));
        }
    }
    page.add("\n");
    let blind = &report.coverage.not_scanned;
    if let (Some(first), Outcome::Passed | Outcome::Warned | Outcome::Denied) = (blind.first(), report.verdict.outcome) {
        let more = if blind.len() > 1 { format!(", and {} more below", blind.len() - 1) } else { String::new() };
        page.add(&format!("\n⚠️ **Not looked at:** {} ({}){more}.\n", markdown_code(&first.what), plain(&first.why)));
    }
    if !is_green {
        report.notices.iter().take(NOTES).for_each(|notice| _ = page.add(&format!("\nNote: {}\n", sentence(&notice.text))));
    }
}

fn why(report: &RunReport) -> String {
    let reasons = sentence(&words::reasons(report));
    match (report.verdict.outcome, &report.error) {
        (Outcome::Error, Some(error)) => {
            let hint = error.hint.as_deref().map(|hint| format!("\n\n**What to do:** {}", sentence(hint))).unwrap_or_default();
            format!(
                "**The {} failed:** {} Nothing follows from what this does not say (exit code {}).{hint}",
                plain(&error.stage),
                sentence(&error.message),
                error.exit_code
            )
        }
        (Outcome::Error, None) => format!("**{reasons}** Nothing follows from what this does not say."),
        (Outcome::Warned, _) => {
            let (lenient, against): (Vec<&str>, Vec<&str>) =
                report.verdict.reasons.iter().map(String::as_str).partition(|why| why.starts_with(LENIENT));
            let lenient = lenient.iter().map(|why| format!(" The {}", sentence(why.trim_start_matches(LENIENT)))).collect::<String>();
            format!("**It went on although the policy speaks against it:** {}{lenient}", sentence(&against.join("; ")))
        }
        // A scan alone has nothing to push.
        (Outcome::Denied, _) if report.service.is_some() => format!("**{reasons}** Nothing was pushed."),
        (Outcome::Denied, _) => format!("**{reasons}**"),
        (Outcome::Passed, _) => reasons,
    }
}

/// How the gate begins the reason why a policy was not enforced.
const LENIENT: &str = "told only, because the ";

/// What speaks against the image, the most urgent first.
fn blocking(report: &RunReport) -> Vec<&ReportedFinding> {
    let order = by_urgency(report).into_iter().flat_map(|(_, found)| found);
    order.map(|at| &report.findings[at]).filter(|reported| reported.blocking).collect()
}

fn what_to_do(page: &mut Page, report: &RunReport) {
    let blocking = blocking(report);
    if blocking.is_empty() {
        return;
    }
    page.add("\n#### What to do\n\n");
    let mut number = 0;
    let mut step = |page: &mut Page, text: &str| {
        number += usize::from(page.add(&format!("{}. {text}\n", number + 1)));
    };
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    for first in blocking.iter().filter(|reported| told.insert((&reported.finding.rule, &reported.advice))).take(TOLD) {
        let alike = blocking.iter().filter(|other| other.finding.rule == first.finding.rule && other.advice == first.advice);
        step(page, &remedy(report, &alike.copied().collect::<Vec<_>>()));
    }
    let ways: Vec<&Prevention> = blocking.iter().filter_map(|reported| reported.prevention.as_ref()).collect();
    if !ways.is_empty() {
        step(page, &format!("**Keep it out of the next image.**{}", prevention(&ways)));
    }
    let again = match report.verdict.outcome {
        Outcome::Warned => "what is in the registry has these secrets, and whoever can pull it has them",
        _ if report.service.is_some() => "nothing is pushed before it passes",
        _ => "the image that was scanned keeps these secrets, whatever is changed around it",
    };
    step(page, &format!("**Build it again:** {again}."));
}

/// What to do with findings of one rule.
fn remedy(report: &RunReport, alike: &[&ReportedFinding]) -> String {
    let Some(first) = alike.first() else { return String::new() };
    let urgency = match Urgency::of(first) {
        Urgency::Revoke => "Revoke now",
        Urgency::Check => "Check, then revoke",
        Urgency::Look | Urgency::Accepted => "Look at",
    };
    let place = |reported: &ReportedFinding| format!("{}{}", markdown_code(&words::place(&reported.finding)), made_by(report, reported));
    let (number, at, places) = match alike {
        [one] => (String::new(), format!(" at {}{}, {}.", place(one), words::also_in(&one.finding), words::state(&one.finding)), Vec::new()),
        _ => {
            let mut places: Vec<String> = alike.iter().take(PLACES).map(|reported| place(reported)).collect();
            places.extend(alike.len().checked_sub(PLACES).filter(|more| *more > 0).map(|more| format!("and {more} more, in the table below")));
            (format!(" ({} of them)", alike.len()), ".".to_owned(), places)
        }
    };
    let places: String = places.iter().map(|place| format!("\n   - {place}")).collect();
    let is_live = |reported: &&&ReportedFinding| reported.finding.validation.as_ref().is_some_and(Validity::is_live);
    let live = match (alike.iter().filter(is_live).count(), alike.len()) {
        (0, _) => "",
        (_, 1) => " **Its vendor accepts it.**",
        _ => " **Their vendor accepts some of them.**",
    };
    let gains = if first.gains.is_empty() { String::new() } else { format!(" A thief {}", sentence(&first.gains)) };
    let link = words::page_of_vendor(first).map(|address| format!(" ([how]({address}))")).unwrap_or_default();
    format!("**{urgency}: {}**{number}{at}{live}{gains} {}{link}{places}", plain(&first.title), sentence(&first.advice))
}

/// The ways to keep secrets out, each once, and then the lines to write, by file.
fn prevention(ways: &[&Prevention]) -> String {
    let mut told: Vec<&str> = Vec::new();
    for way in ways {
        // Of what begins with a warning, the rest is not said again.
        if !told.iter().any(|other| other.ends_with(&way.text)) {
            told.retain(|other| !way.text.ends_with(other));
            told.push(&way.text);
        }
    }
    told.truncate(TOLD);
    let mut text = match told[..] {
        [one] => format!(" {}\n", in_words(one)),
        _ => told.iter().fold("\n".to_owned(), |text, way| format!("{text}   - {}\n", in_words(way))),
    };
    let mut files: Vec<(&str, Vec<String>)> = Vec::new();
    for change in ways.iter().filter_map(|way| way.change.as_ref()) {
        match files.iter_mut().find(|(file, _)| *file == change.file) {
            Some((_, lines)) if lines.contains(&change.line) || lines.len() >= TOLD => {}
            Some((_, lines)) => lines.push(change.line.clone()),
            None => files.push((&change.file, vec![change.line.clone()])),
        }
    }
    for (file, lines) in files.into_iter().take(TOLD) {
        text += &format!("\n   In {}:\n\n   {}\n", markdown_code(file), copied(&lines, "   "));
    }
    text
}

/// A sentence of ours, with code between backticks.
fn in_words(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return sentence(text);
    }
    let of = |(at, part): (usize, &&str)| if at % 2 == 0 { markdown(part) } else { markdown_code(part) };
    parts.iter().enumerate().map(of).collect()
}

/// `, layer 3 of 5 by COPY . /app (Dockerfile:7)`; nothing of a file that lies in no image.
fn made_by(report: &RunReport, reported: &ReportedFinding) -> String {
    let layer = words::layer(report, &reported.finding).map(|layer| format!(", {layer}")).unwrap_or_default();
    let step = words::step(reported).map(|step| format!(" by {}", markdown_code(step))).unwrap_or_default();
    let line = match RepositoryPlace::of(report, reported) {
        RepositoryPlace::Dockerfile { path: Some(path), line: Some(line) } => format!(" ({})", markdown_code(&format!("{path}:{line}"))),
        _ => String::new(),
    };
    format!("{layer}{step}{line}")
}

/// How what speaks against the image may pass all the same: by name, and up to a day.
fn exception(page: &mut Page, report: &RunReport) {
    let mut told = BTreeSet::new();
    let is_fingerprint = |text: &&str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let blocking = blocking(report);
    let fingerprints: Vec<&str> =
        blocking.iter().map(|reported| reported.finding.fingerprint.as_str()).filter(is_fingerprint).filter(|text| told.insert(*text)).collect();
    let Some(first) = fingerprints.first() else { return };
    let day = words::day_after(&report.started, DAYS).unwrap_or_else(|| "YEAR-MONTH-DAY".to_owned());
    let commands: Vec<String> = fingerprints
        .iter()
        .take(TOLD)
        .map(|fingerprint| format!("honeycrate ignore {fingerprint} --until {day} --owner NAME --reason \"WHY IT IS HARMLESS\""))
        .collect();
    let entry =
        [format!("- fingerprint: \"{first}\""), "  reason: WHY IT IS HARMLESS".to_owned(), "  owner: NAME".to_owned(), format!("  expires: {day}")];
    let mut pieces = vec![
        format!(
            "This writes an exception into <code>.honeycrateignore</code>, to be committed. It ends by itself, a year from now at the latest:\n\n{}\n",
            copied(&commands, "")
        ),
        format!("\nBy hand, an entry is:\n\n{}\n", copied(&entry, "")),
    ];
    if fingerprints.len() > 1 {
        let command = "honeycrate baseline write --from report.json --out baseline.yaml".to_owned();
        pieces.push(format!(
            "\nAll that is there today at once, so that only what is new denies: the run's <code>baseline.yaml</code>, or\n\n{}\n",
            copied(&[command], "")
        ));
    }
    page.fold("No secret, or fine for a while? <b>Let it pass up to a day</b>", "", pieces);
}

fn findings(page: &mut Page, report: &RunReport) {
    let number = |count: usize, word: &str| if count > 0 { format!(", {count} {word}") } else { String::new() };
    let blocking = report.findings.iter().filter(|reported| reported.blocking).count();
    let accepted = report.findings.iter().filter(|reported| reported.silencer().is_some()).count();
    let title = format!("<b>{}</b>{}{}", words::count(report.findings.len(), "finding"), number(blocking, "blocking"), number(accepted, "let pass"));
    let head = "| | Severity | What | Where | Fingerprint |\n|---|---|---|---|---|\n";
    page.fold(&title, head, by_severity(report).into_iter().map(|at| row(report, &report.findings[at])));
}

fn row(report: &RunReport, reported: &ReportedFinding) -> String {
    let finding = &reported.finding;
    let mark = match (reported.blocking, &reported.exception) {
        (true, _) => "❌".to_owned(),
        (false, Some(exception)) => format!("excepted until {}", plain(&exception.expires)),
        (false, None) => reported.silencer().and(words::silenced(reported)).map(|(word, _)| word.to_owned()).unwrap_or_default(),
    };
    let place = format!("{}{}{}", markdown_code(&words::place(finding)), words::also_in(finding), made_by(report, reported));
    let first = words::first_seen(reported).map(|first| format!("<br>first in {}", markdown_code(&first))).unwrap_or_default();
    let validation = words::validation(finding);
    let validation = if validation.is_empty() { validation } else { format!("<br>{}", plain(&validation)) };
    format!(
        "| {mark} | {}<br>{} confidence | {}<br>{}{validation} | {place}<br>{}{first} | {} |\n",
        finding.severity,
        finding.confidence,
        plain(&reported.title),
        markdown_code(&finding.rule),
        words::state(finding),
        markdown_code(finding.fingerprint.as_str()),
    )
}

fn placements(page: &mut Page, report: &RunReport) {
    let Some(first) = report.placements.first() else { return };
    let title = format!("<b>{}</b> planted in this copy", words::count(report.placements.len(), "honeytoken"));
    let head = format!(
        "{} for {}. Where they lie is told to nobody but the ledger.\n\n| Surface | Record |\n|---|---|\n",
        markdown_code(&first.service),
        markdown_code(&first.environment)
    );
    let rows = report.placements.iter().map(|placement| format!("| {} | {} |\n", placement.surface, markdown_code(&placement.id)));
    page.fold(&title, &head, rows);
}

fn left_behind(page: &mut Page, report: &RunReport) {
    let title = format!("<b>{} left behind</b>, as the digest changes", report.left_behind.len());
    page.fold(&title, "", report.left_behind.iter().map(|one| format!("- {}\n", plain(&words::left_behind(one)))));
}

/// What was looked at and what was not, and whatever else there is to say.
fn looked_at(page: &mut Page, report: &RunReport) {
    let mut items: Vec<String> = Vec::new();
    items.extend(words::coverage(report).map(|coverage| format!("Scanned: {coverage}.")));
    items.extend(words::silenced_counts(report).map(|counts| format!("Let pass: {counts}.")));
    items.extend(report.coverage.not_scanned.iter().map(|blind| format!("Not looked at: {} ({}).", markdown_code(&blind.what), plain(&blind.why))));
    items.extend(report.coverage.anomalies.iter().map(|anomaly| format!("Odd: {}", sentence(anomaly))));
    items.extend(report.notices.iter().map(|notice| format!("Note: {}", sentence(&notice.text))));
    page.fold("What was looked at, and notes", "", items.into_iter().map(|item| format!("- {item}\n")));
}

/// This fits in the room that was kept for it.
fn end(page: &mut Page, report: &RunReport) {
    let job = report.context.job.as_deref().and_then(web_address).filter(|job| job.len() < 500);
    if page.left_out > 0 {
        let place = job.map_or_else(|| "the report of the run".to_owned(), |job| format!("[the run]({job})"));
        let entries = if page.left_out == 1 { "1 entry".to_owned() } else { format!("{} entries", page.left_out) };
        page.text.push_str(&format!("\n**{entries} left out** for length; {place} has everything.\n"));
    } else if let Some(job) = job {
        page.text.push_str(&format!("\n[The run]({job})\n"));
    }
}

/// Nothing that could end an HTML comment or be taken for another part of the marker.
fn marker_part(text: &str) -> String {
    let safe = text.chars().take(100).map(|letter| if letter.is_ascii_alphanumeric() || "._/@".contains(letter) { letter } else { '-' });
    let safe: String = safe.collect();
    safe.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::disclosure::Disclosure;
    use crate::report::run_report::{PushedImage, RunError};
    use crate::report::sample::sample;

    #[test]
    fn the_comment_says_verdict_why_what_to_do_and_how_to_let_it_pass() {
        let mut report = sample();
        report.context.job = Some("https://github.com/acme/shop/actions/runs/7".to_owned());
        (report.dockerfile, report.findings[0].dockerfile_line) = (Some("Dockerfile".to_owned()), Some(7));
        let text = body(&report.disclosed(Disclosure::Findings));
        assert_eq!(text, include_str!("markdown_sample.md"));
    }

    #[test]
    fn a_change_that_turned_green_has_one_line() {
        let mut report = sample();
        (report.findings, report.placements, report.notices, report.coverage.not_scanned) = Default::default();
        (report.verdict.outcome, report.verdict.reasons) = (Outcome::Passed, Vec::new());
        let digest = report.source.as_ref().and_then(|source| source.digest.clone()).expect("digest");
        report.pushed = vec![PushedImage { reference: "ghcr.io/acme/shop:1.4".to_owned(), digest, platforms: Vec::new(), sign_anew: false }];
        let text = body(&report.disclosed(Disclosure::Findings));
        let c = "c".repeat(64);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [format!(
                "✅ **honeycrate: passed** <code>ghcr.io/acme/shop</code> for <code>production</code>: no secrets found. \
                 Pushed <code>ghcr.io/acme/shop&#58;1.4</code> as <code>sha256&#58;{c}</code>."
            )]
        );
    }

    #[test]
    fn what_is_only_told_says_that_it_went_on_and_until_when() {
        let mut report = sample();
        report.verdict.outcome = Outcome::Warned;
        report.verdict.reasons.push("told only, because the policy is enforced after 2026-12-01".to_owned());
        let text = body(&report);
        assert!(text.contains("### 🟡 honeycrate: warned <code>ghcr.io/acme/shop</code>"), "{text}");
        assert!(
            text.contains(
                "**It went on although the policy speaks against it:** 1 finding is high or worse. The policy is enforced after 2026-12-01."
            ),
            "{text}"
        );
        assert!(!text.contains("Nothing was pushed") && text.contains("whoever can pull it has them"), "{text}");
    }

    #[test]
    fn a_run_without_a_verdict_says_what_failed_and_that_nothing_follows() {
        let mut report = sample();
        report.verdict.outcome = Outcome::Error;
        let (message, hint) = ("the registry is gone".to_owned(), Some("try again".to_owned()));
        report.error = Some(RunError { stage: "push".to_owned(), message, hint, exit_code: 5, confidential: false });
        let text = body(&report);
        assert!(text.contains("**The push failed:** the registry is gone. Nothing follows") && text.contains("(exit code 5)"), "{text}");
        assert!(text.contains("**What to do:** try again."), "{text}");
    }

    #[test]
    fn private_readers_are_told_surfaces_and_records_and_nothing_else_of_bait() {
        let text = body(&sample().disclosed(Disclosure::Placements));
        assert!(text.contains("<b>1 honeytoken</b> planted in this copy") && text.contains("| buried | <code>plc-1</code> |"), "{text}");
        for trace in ["registry.json.bak", "registry-login", "fedcba9876543210", "linux/amd64"] {
            assert!(!text.contains(trace), "{trace}: {text}");
        }
    }

    #[test]
    fn the_mark_stays_from_commit_to_commit_and_is_shared_by_no_two_legs() {
        let with = |change: &dyn Fn(&mut RunReport)| {
            let mut report = sample();
            change(&mut report);
            marker(&report)
        };
        let scanned = |reference: &str| {
            with(&|report| {
                report.service = None;
                report.source.as_mut().expect("a source").reference = reference.to_owned();
            })
        };
        assert_eq!(scanned("docker://ghcr.io/acme/shop:4f2a91c"), scanned("docker://ghcr.io/acme/shop:9c01b7e"));
        assert_eq!(scanned("docker://ghcr.io/acme/shop:1"), scanned("docker://ghcr.io/acme/shop@sha256:00"));
        let marks = [
            with(&|_| {}),
            with(&|report| report.environment = Some("staging".to_owned())),
            with(&|report| report.environment = None),
            with(&|report| report.comment_id = Some("arm".to_owned())),
            with(&|report| report.service = Some("a:b".to_owned())),
            with(&|report| (report.service, report.environment) = (Some("a".to_owned()), Some("b:production".to_owned()))),
            with(&|report| report.service = Some("a b".to_owned())),
            with(&|report| report.service = Some("a--b".to_owned())),
            scanned("docker-daemon:shop"),
            scanned("docker-daemon:shop-alpine"),
        ];
        assert_eq!(marks.iter().collect::<BTreeSet<_>>().len(), marks.len(), "{marks:#?}");
        assert!(marks[0].starts_with("<!-- honeycrate:ghcr.io/acme/shop:production:"), "{}", marks[0]);
    }

    #[test]
    fn a_file_name_cannot_break_the_table_or_plant_a_marker() {
        let mut report = sample();
        report.findings[0].finding.path = Some("a|b`\n</code></details><!-- honeycrate:other:x --> ![i](http://x) @team \u{1b}[1m".to_owned());
        report.service = Some("a--> <b>".to_owned());
        let text = body(&report);
        assert!(text.starts_with("<!-- honeycrate:a-b:production:"), "{text}");
        assert_eq!((text.matches("<!--").count(), text.matches("-->").count()), (1, 1), "{text}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ❌")).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].matches('|').count(), 6, "{}", rows[0]);
        assert!(!rows[0].contains(['`', '@', '[', '\u{1b}']), "{}", rows[0]);
    }

    #[test]
    fn a_long_report_is_cut_between_entries_and_says_so() {
        let mut report = sample();
        report.context.job = Some("https://github.com/acme/shop/actions/runs/7".to_owned());
        report.findings = vec![report.findings[0].clone(); 20_000];
        report.placements.clear();
        for (at, reported) in report.findings.iter_mut().enumerate() {
            reported.finding.path = Some("🐈".repeat(at % 90));
            reported.finding.rule = format!("rule-{}", at % 40);
            reported.title = "x".repeat(at % 300);
        }
        let mut blind = report.clone();
        blind.findings.clear();
        blind.coverage.not_scanned = vec![sample().coverage.not_scanned[0].clone(); 20_000];
        for report in [&report, &blind] {
            for (text, limit) in [(body(report), COMMENT), (summary(report), SUMMARY)] {
                assert!(text.encode_utf16().count() <= limit.units && text.len() <= limit.bytes, "{}", text.len());
                assert!(text.len() > limit.units / 2, "{}", text.len());
                assert!(text.contains("entries left out** for length; [the run](https://github.com/acme/shop/actions/runs/7) has everything"));
                assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
                assert_eq!(text.matches("<pre>").count(), text.matches("</pre>").count());
                assert!(text.lines().filter(|line| line.starts_with("| ")).all(|line| line.ends_with('|') && line.matches('|').count() == 6));
            }
            assert!(body(report).starts_with(&marker(report)) && !summary(report).contains("<!--"));
        }
    }

    #[test]
    fn no_command_is_proposed_with_a_fingerprint_that_is_none() {
        let mut report = sample();
        report.findings[0].finding.fingerprint = serde_json::from_value(serde_json::json!("; rm -rf ~ #")).expect("any text");
        assert!(!body(&report).contains("honeycrate ignore"));
    }
}
