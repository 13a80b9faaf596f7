//! The report that a person reads: verdict first, then what to do, in the order in which to do it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Paint};

use crate::report::advice::{Change, Prevention};
use crate::report::escape;
use crate::report::formats::contract::{Format, Style};
use crate::report::order::{Urgency, by_urgency};
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words;
use crate::scan::finding::{Finding, Severity};

/// Places of one rule that are named, and lines of one kind; nobody reads more on a screen.
const TOLD: usize = 8;

/// Where a finding's texts begin.
const INDENT: usize = 14;

/// Lines are not broken narrower than this.
const NARROWEST: usize = 40;

#[derive(Debug)]
pub struct Terminal;

impl Format for Terminal {
    fn id(&self) -> &'static str {
        "terminal"
    }

    fn describe(&self) -> &'static str {
        "text for people, with colour where the terminal has it"
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, style: Style) -> io::Result<()> {
        parts(report, style)?.iter().try_for_each(|part| out.write_all(&part.text))
    }
}

/// A piece of the report, with the empty line before it.
pub(super) struct Part {
    pub(super) what: What,
    pub(super) text: Vec<u8>,
}

/// What a piece tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Findings(Urgency),
    Coverage,
    /// The verdict, and what was done.
    Plain,
}

/// The report in pieces, from top to bottom.
///
/// # Errors
/// Never: memory can be written.
pub(super) fn parts(report: &RunReport, style: Style) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut part = |what, tell: &dyn Fn(&mut Page<'_>) -> io::Result<()>| {
        let mut text = Vec::new();
        tell(&mut Page { out: &mut text, style })?;
        parts.push(Part { what, text });
        Ok::<(), io::Error>(())
    };
    part(What::Plain, &|page| verdict(page, report))?;
    for (urgency, found) in by_urgency(report) {
        part(What::Findings(urgency), &|page| {
            writeln!(page.out)?;
            page.line(urgency_paint(urgency).bold(), &format!("{} ({})", urgency.name().to_uppercase(), found.len()))?;
            for group in groups(report, &found) {
                match (urgency, &group[..]) {
                    (Urgency::Accepted, group) => accepted(page, group)?,
                    (_, [single]) => finding(page, report, single)?,
                    (_, group) => same_rule(page, report, group)?,
                }
            }
            Ok(())
        })?;
    }
    part(What::Coverage, &|page| coverage(page, report))?;
    part(What::Plain, &|page| {
        placements(page, report)?;
        left_behind(page, report)?;
        pushed(page, report)?;
        if !report.notices.is_empty() {
            writeln!(page.out)?;
        }
        for notice in &report.notices {
            page.wrapped("note: ", "note: ", &escape::prose(&notice.text))?;
        }
        next(page, report)
    })?;
    Ok(parts)
}

struct Page<'a> {
    out: &'a mut dyn Write,
    style: Style,
}

impl Page<'_> {
    fn painted(&self, paint: Paint, text: &str) -> String {
        if self.style.colour { format!("{paint}{text}{paint:#}") } else { text.to_owned() }
    }

    fn line(&mut self, paint: Paint, text: &str) -> io::Result<()> {
        let text = self.painted(paint, text);
        writeln!(self.out, "{text}")
    }

    /// A named line of a finding; nothing where there is nothing to say.
    fn field(&mut self, name: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let plain = format!("{name:<width$}", width = INDENT - 6);
        let shown = self.painted(Paint::new().dimmed(), &plain);
        self.wrapped(&format!("      {plain}"), &format!("      {shown}"), text)
    }

    /// A line to be written, in one piece so that it can be copied.
    fn change(&mut self, change: &Change) -> io::Result<()> {
        let line = self.painted(Paint::new().bold(), &escape::prose(&change.line));
        writeln!(self.out, "{:INDENT$}{}: {line}", "", escape::line(&change.file))
    }

    /// `text` after a heading, broken at blanks to the width of the terminal, with its further lines under the first. `plain` is the heading
    /// without paint.
    fn wrapped(&mut self, plain: &str, heading: &str, text: &str) -> io::Result<()> {
        let indent = plain.chars().count();
        let room = self.style.width.map_or(usize::MAX, |width| width.max(NARROWEST).saturating_sub(indent));
        let mut line = String::new();
        let mut length = 0;
        write!(self.out, "{heading}")?;
        for word in text.split(' ') {
            let more = word.chars().count();
            if length > 0 && length + 1 + more > room {
                write!(self.out, "{line}\n{:indent$}", "")?;
                (line, length) = (String::new(), 0);
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += more;
        }
        writeln!(self.out, "{line}")
    }
}

fn verdict(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    let (mark, colour) = match report.verdict.outcome {
        Outcome::Passed if words::is_unseen(report) => ("–", AnsiColor::Yellow),
        Outcome::Passed => ("✔", AnsiColor::Green),
        Outcome::Warned => ("!", AnsiColor::Yellow),
        Outcome::Denied => ("✘", AnsiColor::Red),
        Outcome::Error => ("!", AnsiColor::Yellow),
    };
    let plain = format!("{mark} {}", words::outcome(report));
    let word = page.painted(Paint::new().fg_color(Some(colour.into())).bold(), &plain);
    let subject = escape::line(words::subject(report));
    page.wrapped(&format!("{plain}  "), &format!("{word}  "), &format!("{subject}: {}", escape::prose(&words::reasons(report))))?;
    if let Some(error) = &report.error {
        page.wrapped("  error: ", "  error: ", &escape::prose(&error.message))?;
        if let Some(hint) = &error.hint {
            page.wrapped("  help:  ", "  help:  ", &escape::prose(hint))?;
        }
    }
    // A scan alone names no service and has nothing to push.
    if report.verdict.outcome == Outcome::Denied && report.service.is_some() {
        writeln!(page.out, "  nothing was planted or pushed")?;
    }
    Ok(())
}

fn finding(page: &mut Page<'_>, report: &RunReport, reported: &ReportedFinding) -> io::Result<()> {
    let finding = &reported.finding;
    heading(page, reported, "")?;
    page.field("where", &format!("{}{}", escape::line(&words::place(finding)), words::also_in(finding)))?;
    page.field(if finding.layer.is_some() { "layer" } else { "step" }, &layer(report, reported))?;
    page.field("state", words::state(finding))?;
    page.field("first", &first_seen(reported))?;
    if !finding.platforms.is_empty() {
        page.field("images", &escape::line(&finding.platforms.join(", ")))?;
    }
    page.field("secret", &secret(finding))?;
    page.field("sure", &escape::prose(&words::certainty(reported)))?;
    page.field("vendor", &escape::prose(&words::validation(finding)))?;
    remedy(page, reported)?;
    prevention(page, reported)?;
    match words::silenced(reported) {
        Some((word, why)) => page.field(word, &escape::prose(&why)),
        None => Ok(()),
    }
}

/// Findings of one rule that are judged alike, together.
fn groups<'a>(report: &'a RunReport, found: &[usize]) -> Vec<Vec<&'a ReportedFinding>> {
    let mut groups: Vec<Vec<&ReportedFinding>> = Vec::new();
    for reported in found.iter().map(|at| &report.findings[*at]) {
        let alike = |other: &ReportedFinding| {
            other.finding.rule == reported.finding.rule
                && other.finding.severity == reported.finding.severity
                && other.blocking == reported.blocking
                && other.exception == reported.exception
                && other.silenced == reported.silenced
                && other.finding.marked_by == reported.finding.marked_by
                && words::validation(&other.finding) == words::validation(&reported.finding)
        };
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| alike(first))) {
            Some(group) => group.push(reported),
            None => groups.push(vec![reported]),
        }
    }
    groups
}

/// Several findings of one rule: what they have in common once, then a place each. How one is prevented goes for all of one step.
fn same_rule(page: &mut Page<'_>, report: &RunReport, group: &[&ReportedFinding]) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    heading(page, first, &format!(", {} secrets", group.len()))?;
    page.field("rule", &escape::line(&first.finding.rule))?;
    let same_sample = group.iter().all(|reported| reported.finding.redacted == first.finding.redacted);
    if same_sample {
        page.field("secret", &escape::line(&first.finding.redacted))?;
    }
    if group.iter().all(|reported| reported.why == first.why) {
        page.field("sure", &escape::prose(&words::certainty(first)))?;
    }
    page.field("vendor", &escape::prose(&words::validation(&first.finding)))?;
    remedy(page, first)?;
    let (mut told, mut told_first) = (String::new(), String::new());
    let shown = &group[..group.len().min(TOLD)];
    for reported in shown {
        let finding = &reported.finding;
        let place = format!("{}{}", escape::line(&words::place(finding)), words::also_in(finding));
        let sample = if same_sample || finding.redacted.is_empty() { String::new() } else { format!("{}, ", escape::line(&finding.redacted)) };
        page.field("where", &format!("{place}; {sample}{}", escape::line(finding.fingerprint.as_str())))?;
        // Most of them have come in together.
        let layer = layer(report, reported);
        let what = if finding.layer.is_some() { "layer" } else { "step" };
        let place = if layer.is_empty() { layer } else { format!("{what} {layer}; ") };
        let place = format!("{place}{}", words::state(finding));
        if place != told {
            page.field("", &place)?;
            told = place;
        }
        let first = first_seen(reported);
        if first != told_first {
            page.field("first", &first)?;
            told_first = first;
        }
    }
    if let Some(more) = more(group.len()) {
        page.field("", &format!("and {more}"))?;
    }
    let preventions: Vec<&Prevention> = shown.iter().filter_map(|reported| reported.prevention.as_ref()).collect();
    for (at, prevention) in preventions.iter().enumerate() {
        if preventions[..at].iter().any(|before| before.text == prevention.text) {
            continue;
        }
        page.field("prevent", &escape::prose(&prevention.text))?;
        let mut lines: Vec<&Change> =
            preventions.iter().filter(|other| other.text == prevention.text).filter_map(|other| other.change.as_ref()).collect();
        lines.dedup();
        lines.into_iter().try_for_each(|change| page.change(change))?;
    }
    Ok(())
}

/// What somebody has decided to live with, in a line each.
fn accepted(page: &mut Page<'_>, group: &[&ReportedFinding]) -> io::Result<()> {
    for reported in group.iter().take(TOLD) {
        let place = format!("{}{}", escape::line(&words::place(&reported.finding)), words::also_in(&reported.finding));
        let first = words::first_seen(reported).map(|first| format!("; first in {}", escape::line(&first))).unwrap_or_default();
        let text = format!("{} at {place}: {}{first}", escape::line(&reported.title), escape::prose(&words::accepted(reported).unwrap_or_default()));
        page.wrapped("  · ", "  · ", &text)?;
    }
    if let Some(more) = more(group.len()) {
        writeln!(page.out, "    and {more}")?;
    }
    Ok(())
}

fn heading(page: &mut Page<'_>, reported: &ReportedFinding, times: &str) -> io::Result<()> {
    let severity = reported.finding.severity;
    let title = page.painted(Paint::new().bold(), &escape::line(&reported.title));
    let mark = if reported.blocking { page.painted(severity_paint(severity), "✘") } else { "·".to_owned() };
    let word = page.painted(severity_paint(severity), severity.name());
    writeln!(page.out, "  {mark} {title}  {word}{times}")
}

fn remedy(page: &mut Page<'_>, reported: &ReportedFinding) -> io::Result<()> {
    page.field("a thief", &escape::prose(&reported.gains))?;
    page.field("revoke", &escape::prose(&reported.advice))
}

fn prevention(page: &mut Page<'_>, reported: &ReportedFinding) -> io::Result<()> {
    let Some(prevention) = &reported.prevention else { return Ok(()) };
    page.field("prevent", &escape::prose(&prevention.text))?;
    prevention.change.iter().try_for_each(|change| page.change(change))
}

/// `3 of 5 (sha256:…), by COPY . /app`; for a step of the history, that.
fn layer(report: &RunReport, reported: &ReportedFinding) -> String {
    let finding = &reported.finding;
    let number = words::layer(report, finding).unwrap_or_default();
    let digest = finding.layer.as_ref().map(|layer| format!(" ({}), by ", layer.digest.short())).unwrap_or_default();
    let step = words::step(reported).map(escape::line).unwrap_or_default();
    format!("{}{digest}{step}", number.trim_start_matches("layer ")).trim_end_matches(", by ").to_owned()
}

/// Which image had it first, where that is told.
fn first_seen(reported: &ReportedFinding) -> String {
    words::first_seen(reported).map(|first| format!("in {}", escape::line(&first))).unwrap_or_default()
}

fn secret(finding: &Finding) -> String {
    let sample = if finding.redacted.is_empty() { String::new() } else { format!("{}, ", escape::line(&finding.redacted)) };
    format!("{sample}{} {}", escape::line(&finding.rule), escape::line(finding.fingerprint.as_str()))
}

fn coverage(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    writeln!(page.out)?;
    // What was scanned is not told to everybody.
    let heading = if words::coverage(report).is_some() { "scanned " } else { "scanned: " };
    page.wrapped(heading, heading, &words::scanned(report))?;
    let yellow = Paint::new().fg_color(Some(AnsiColor::Yellow.into()));
    for blind in report.coverage.not_scanned.iter().take(TOLD) {
        let text = format!("{} ({})", escape::line(&blind.what), escape::line(&blind.why));
        let heading = page.painted(yellow, "not scanned: ");
        page.wrapped("not scanned: ", &heading, &text)?;
    }
    if let Some(counts) = words::silenced_counts(report) {
        writeln!(page.out, "let pass: {counts}")?;
    }
    for anomaly in report.coverage.anomalies.iter().take(TOLD) {
        page.wrapped("odd: ", "odd: ", &escape::line(anomaly))?;
    }
    for (what, number) in [("not scanned", report.coverage.not_scanned.len()), ("odd", report.coverage.anomalies.len())] {
        if let Some(more) = more(number) {
            writeln!(page.out, "{what}: {more}")?;
        }
    }
    Ok(())
}

fn placements(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    if report.placements.is_empty() {
        return Ok(());
    }
    writeln!(page.out)?;
    // Bait in a copy that never arrived is no bait: it is said in the same breath.
    let lost = if report.error.is_some() && report.pushed.is_empty() { " in a copy that did not arrive" } else { "" };
    let heading = format!("{} planted{lost}", words::count(report.placements.len(), "honeytoken"));
    let heading = page.painted(Paint::new().bold(), &heading);
    let rows = report.placements.iter().map(|placement| {
        let told = |text: Option<&str>| text.map(escape::line).unwrap_or_default();
        // Others than the owner are told the record; he finds it by the fingerprint.
        let last = placement.fingerprint.as_ref().map_or(placement.id.as_str(), |fingerprint| fingerprint.as_str());
        let [kind, platform] = [placement.kind.as_deref(), placement.platform.as_deref()].map(told);
        [placement.surface.id().to_owned(), kind, escape::line(&placement.environment), platform, escape::line(last)]
    });
    writeln!(page.out, "{heading}{}", words::table(rows))
}

fn pushed(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    if !report.pushed.is_empty() {
        writeln!(page.out)?;
    }
    for image in &report.pushed {
        writeln!(page.out, "pushed {}\n       {}", escape::line(&image.reference), image.digest)?;
        if !image.platforms.is_empty() {
            writeln!(page.out, "       all platforms: {}", escape::line(&image.platforms.join(", ")))?;
        }
        if let Some(command) = words::sign_command(image) {
            writeln!(page.out, "       sign it anew: {}", escape::line(&command))?;
        }
    }
    Ok(())
}

/// What names the image as it was.
fn left_behind(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    if report.left_behind.is_empty() {
        return Ok(());
    }
    writeln!(page.out, "\nleft behind, as the digest changes:")?;
    for one in report.left_behind.iter().take(TOLD) {
        writeln!(page.out, "  {}", escape::line(&words::left_behind(one)))?;
    }
    if let Some(more) = more(report.left_behind.len()) {
        writeln!(page.out, "  and {more}")?;
    }
    Ok(())
}

/// What is said of those of a number of lines that are not shown.
fn more(all: usize) -> Option<String> {
    (all > TOLD).then(|| format!("{} more; --report FILE writes them all", all - TOLD))
}

/// The command that most people want now.
fn next(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    let is_id = |rule: &str| rule.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let blocking = report.findings.iter().find(|reported| reported.blocking && is_id(&reported.finding.rule));
    let text = match (report.verdict.outcome, blocking) {
        (Outcome::Denied, Some(worst)) => format!("honeycrate explain {}", escape::line(&worst.finding.rule)),
        (Outcome::Passed, _) if !report.placements.is_empty() => "honeycrate token list".to_owned(),
        _ => return Ok(()),
    };
    let text = page.painted(Paint::new().bold(), &text);
    writeln!(page.out, "\nnext: {text}")
}

fn urgency_paint(urgency: Urgency) -> Paint {
    let colour = match urgency {
        Urgency::Revoke => AnsiColor::Red,
        Urgency::Check => AnsiColor::Yellow,
        Urgency::Look | Urgency::Accepted => AnsiColor::Blue,
    };
    Paint::new().fg_color(Some(colour.into()))
}

fn severity_paint(severity: Severity) -> Paint {
    let colour = match severity {
        Severity::Critical | Severity::High => AnsiColor::Red,
        Severity::Medium => AnsiColor::Yellow,
        Severity::Low => AnsiColor::Blue,
    };
    Paint::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::{LeftBehind, PushedImage};
    use crate::report::sample::sample;

    fn rendered(report: &RunReport, colour: bool) -> String {
        let mut out = Vec::new();
        Terminal.write(report, &mut out, Style { colour, width: Some(80) }).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_report_reads_from_verdict_to_next_step() {
        assert_eq!(
            rendered(&sample(), false),
            "\
✘ denied  docker-daemon:shop:1.4: 1 finding is high or worse
  nothing was planted or pushed

REVOKE NOW (1)
  ✘ GitHub personal access token  critical
      where   /app/.env:3:7
      layer   3 of 5 (sha256:aaaaaaaaaaaa), by COPY . /app
      state   deleted by a later layer, still in the image
      first   in ghcr.io/acme/secret-lab:1.3, 2026-10-02, commit 4f2a91c
      secret  ghp_… (40 characters), github-token 0123456789abcdef
      sure    high: an offline check proves it (crc32-base62): the last 6
              characters are the CRC-32 of those after the prefix
      a thief reads and writes every repository of its owner
      revoke  Revoke it at github.com/settings/tokens.
      prevent Deleting it later does not remove it: whoever pulls the image has
              this layer. It came in with the build context: leave it out of
              that, and hand it to the container when it starts if it is needed
              there.
              .dockerignore: .env

ACCEPTED (1)
  · Assigned secret at variable API_TOKEN: a fixture (ann, until 2027-01-31);
    first in ghcr.io/acme/secret-lab:1.3, 2026-10-02, commit 4f2a91c

scanned 5 layers (2 from the cache), 1234 files, 56.7 MB, 12 files inside them
        (345.6 kB) in 310 ms, 400 ms in all; 1 part left out, named below
not scanned: layer 5f70bf18a086 (it is not in the image, only a pointer to it)
let pass: 1 by exceptions

1 honeytoken planted
  buried  registry-login  production  linux/amd64  fedcba9876543210

note: only the owner reads this

next: honeycrate explain github-token
"
        );
    }

    #[test]
    fn lines_are_broken_for_a_terminal_and_for_nothing_else() {
        let mut report = sample();
        report.findings[0].advice = "word ".repeat(200).trim_end().to_owned();
        let mut out = Vec::new();
        Terminal.write(&report, &mut out, Style::default()).expect("renders");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.lines().any(|line| line.chars().count() > 1000), "{text}");
        for width in [80, 120, 0] {
            let mut out = Vec::new();
            Terminal.write(&report, &mut out, Style { colour: false, width: Some(width) }).expect("renders");
            let text = String::from_utf8(out).expect("UTF-8");
            assert!(text.lines().filter(|line| line.contains("word")).all(|line| line.chars().count() <= width.max(NARROWEST)), "{text}");
        }
    }

    #[test]
    fn one_secret_in_a_hundred_places_is_one_finding() {
        let mut report = sample();
        report.findings[0].finding.also_in = 99;
        let text = rendered(&report, false);
        assert!(text.contains("REVOKE NOW (1)") && text.contains("/app/.env:3:7, and 99 more places\n"), "{text}");
    }

    #[test]
    fn hostile_names_reach_no_terminal() {
        let mut report = sample();
        report.findings[0].finding.path = Some("a\u{1b}]0;owned\u{7}\nverdict: passed\u{202e}".to_owned());
        report.findings[0].finding.redacted = "\u{9b}2J".to_owned();
        report.coverage.anomalies.push("\r✔ passed".to_owned());
        let text = rendered(&report, false);
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
        assert!(text.contains("/a\\u{1b}]0;owned\\u{7}\\nverdict:"), "{text}");
    }

    #[test]
    fn colour_is_only_used_when_asked_for() {
        assert!(rendered(&sample(), true).starts_with("\u{1b}["));
        assert!(!rendered(&sample(), false).contains('\u{1b}'));
    }

    #[test]
    fn many_findings_of_one_rule_share_what_they_have_in_common() {
        let mut report = sample();
        let one = report.findings[0].clone();
        for number in 0..11 {
            let mut more = one.clone();
            more.finding.line = Some(10 + number);
            more.finding.also_in = u64::from(number == 0);
            report.findings.push(more);
        }
        let text = rendered(&report, false);
        assert!(text.contains("REVOKE NOW (12)\n  ✘ GitHub personal access token  critical, 12 secrets\n      rule    github-token\n"), "{text}");
        for once in ["Revoke it at github.com", "ghp_…", "deleted by a", ".dockerignore: .env"] {
            assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
        }
        assert_eq!(text.matches("/app/.env:").count(), TOLD, "{text}");
        assert!(text.contains("where   /app/.env:10:7, and 1 more place; 0123456789abcdef\n"), "{text}");
        assert!(text.contains("and 4 more; --report FILE writes them all"), "{text}");
    }

    #[test]
    fn bait_that_did_not_arrive_is_not_told_as_planted() {
        let mut report = sample();
        report.error = Some(crate::report::run_report::RunError {
            stage: "push".to_owned(),
            message: "no".to_owned(),
            hint: None,
            exit_code: 5,
            confidential: false,
        });
        assert!(rendered(&report, false).contains("1 honeytoken planted in a copy that did not arrive\n"));
    }

    #[test]
    fn a_passed_run_shows_what_was_pushed() {
        let mut report = sample();
        (report.findings, report.coverage.not_scanned, report.notices) = Default::default();
        (report.verdict.outcome, report.verdict.reasons) = (Outcome::Passed, Vec::new());
        let digest = report.source.as_ref().and_then(|source| source.digest.clone()).expect("digest");
        report.pushed = vec![PushedImage { reference: "ghcr.io/acme/shop:1.4".to_owned(), digest, platforms: Vec::new(), sign_anew: false }];
        assert_eq!(
            rendered(&report, false),
            format!(
                "\
✔ passed  docker-daemon:shop:1.4: no secrets found

scanned 5 layers (2 from the cache), 1234 files, 56.7 MB, 12 files inside them
        (345.6 kB) in 310 ms, 400 ms in all; nothing was left out

1 honeytoken planted
  buried  registry-login  production  linux/amd64  fedcba9876543210

pushed ghcr.io/acme/shop:1.4
       sha256:{}

next: honeycrate token list
",
                "c".repeat(64)
            )
        );
    }

    #[test]
    fn what_was_signed_before_planting_is_told_with_the_command_that_signs_anew() {
        let mut report = sample();
        (report.findings, report.coverage.not_scanned, report.notices) = Default::default();
        report.verdict.outcome = Outcome::Passed;
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64)).parse::<crate::oci::digest::Digest>().expect("digest");
        let platforms = vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        report.pushed = vec![PushedImage { reference: "ghcr.io/acme/shop:1.4".to_owned(), digest: digest("d"), platforms, sign_anew: true }];
        let tag = Some(format!("sha256-{}.sig", "c".repeat(64)));
        let one = LeftBehind { kind: "signature".to_owned(), digest: digest("e"), names: digest("c"), platform: Some("linux/amd64".to_owned()), tag };
        report.left_behind = vec![LeftBehind { kind: "SBOM".to_owned(), platform: None, tag: None, ..one.clone() }, one];
        let text = rendered(&report, false);
        let d = "d".repeat(64);
        assert!(text.contains(&format!(
            "\nleft behind, as the digest changes:\n  SBOM sha256:{} of sha256:cccccccccccc\n  signature sha256-{}.sig of sha256:cccccccccccc (linux/amd64)\n",
            "e".repeat(64),
            "c".repeat(64)
        )), "{text}");
        let pushed = format!("all platforms: linux/amd64, linux/arm64\n       sign it anew: cosign sign ghcr.io/acme/shop@sha256:{d}\n");
        assert!(text.contains(&pushed), "{text}");
        let page = crate::report::formats::markdown::body(&report);
        assert!(page.contains(&format!("Sign it anew: <code>cosign sign ghcr.io/acme/shop&#64;sha256&#58;{d}</code>")), "{page}");
        assert!(page.contains("<b>2 left behind</b>"), "{page}");
        // An image without bait would keep its digest and its signatures: others read neither the command nor anything of the image as it was.
        let published = rendered(&report.disclosed(crate::report::disclosure::Disclosure::Findings), false);
        assert!(!published.contains("cosign sign") && !published.contains("cccc"), "{published}");
    }
}
