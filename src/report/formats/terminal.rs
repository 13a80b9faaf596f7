//! The report that a person reads: verdict first, then what to do about it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Paint};

use crate::report::escape;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words;
use crate::scan::finding::{Finding, Severity, State};

/// Places of one rule that are named; nobody reads more on a screen.
const TOLD: usize = 8;

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
        let mut page = Page { out, colour: style.colour };
        verdict(&mut page, report)?;
        for (severity, found) in words::by_severity(report) {
            writeln!(page.out)?;
            page.line(severity_paint(severity).bold(), &format!("{} ({})", severity.name().to_uppercase(), found.len()))?;
            for group in groups(report, &found) {
                match group[..] {
                    [single] => finding(&mut page, report, single)?,
                    _ => same_rule(&mut page, report, &group)?,
                }
            }
        }
        coverage(&mut page, report)?;
        placements(&mut page, report)?;
        left_behind(&mut page, report)?;
        pushed(&mut page, report)?;
        if !report.notices.is_empty() {
            writeln!(page.out)?;
        }
        for notice in &report.notices {
            writeln!(page.out, "note: {}", escape::prose(&notice.text))?;
        }
        next(&mut page, report)
    }
}

struct Page<'a> {
    out: &'a mut dyn Write,
    colour: bool,
}

impl Page<'_> {
    fn painted(&self, paint: Paint, text: &str) -> String {
        if self.colour { format!("{paint}{text}{paint:#}") } else { text.to_owned() }
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
        let name = self.painted(Paint::new().dimmed(), &format!("{name:<9}"));
        writeln!(self.out, "      {name} {text}")
    }
}

fn verdict(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    let (mark, colour) = match report.verdict.outcome {
        Outcome::Passed => ("✔", AnsiColor::Green),
        Outcome::Denied => ("✘", AnsiColor::Red),
        Outcome::Error => ("!", AnsiColor::Yellow),
    };
    let word = page.painted(Paint::new().fg_color(Some(colour.into())).bold(), &format!("{mark} {}", words::outcome(report)));
    writeln!(page.out, "{word}  {}: {}", escape::line(words::subject(report)), escape::prose(&words::reasons(report)))?;
    if let Some(error) = &report.error {
        writeln!(page.out, "  error: {}", escape::prose(&error.message))?;
        if let Some(hint) = &error.hint {
            writeln!(page.out, "  help:  {}", escape::prose(hint))?;
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
    page.field("where", &escape::line(&words::place(finding)))?;
    page.field("layer", &layer(report, finding).unwrap_or_default())?;
    page.field("state", words::state(finding))?;
    if !finding.platforms.is_empty() {
        page.field("platform", &escape::line(&finding.platforms.join(", ")))?;
    }
    page.field("sample", &sample(finding))?;
    page.field("a thief", &escape::prose(&reported.gains))?;
    let silenced = words::silenced(reported);
    if reported.silencer().is_none() {
        page.field("do", &escape::prose(&reported.advice))?;
    }
    if let Some((word, why)) = silenced {
        page.field(word, &escape::prose(&why))?;
    }
    page.field("id", &format!("{} ({} confidence)", finding.fingerprint, finding.confidence))
}

/// Findings of one rule that are judged alike, together. What is excepted stands alone: each has a reason of its own.
fn groups<'a>(report: &'a RunReport, found: &[usize]) -> Vec<Vec<&'a ReportedFinding>> {
    let mut groups: Vec<Vec<&ReportedFinding>> = Vec::new();
    for reported in found.iter().map(|at| &report.findings[*at]) {
        let alike = |other: &ReportedFinding| {
            other.finding.rule == reported.finding.rule
                && other.blocking == reported.blocking
                && other.exception.is_none()
                && reported.exception.is_none()
                && other.silenced == reported.silenced
                && other.finding.marked_by == reported.finding.marked_by
        };
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| alike(first))) {
            Some(group) => group.push(reported),
            None => groups.push(vec![reported]),
        }
    }
    groups
}

/// Several findings of one rule: what they have in common once, then a place each.
fn same_rule(page: &mut Page<'_>, report: &RunReport, group: &[&ReportedFinding]) -> io::Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    heading(page, first, &format!(", {} times", group.len()))?;
    page.field("a thief", &escape::prose(&first.gains))?;
    if first.silencer().is_none() {
        page.field("do", &escape::prose(&first.advice))?;
    }
    if let Some((word, why)) = words::silenced(first) {
        page.field(word, &escape::prose(&why))?;
    }
    for reported in group.iter().take(TOLD) {
        let finding = &reported.finding;
        let text = format!("{}  {}  {}", escape::line(&words::place(finding)), sample(finding), finding.fingerprint);
        page.field("where", &text)?;
        let layer = layer(report, finding).map(|layer| format!("{layer}; ")).unwrap_or_default();
        if !layer.is_empty() || finding.state != State::Live {
            writeln!(page.out, "      {:<9} {layer}{}", "", words::state(finding))?;
        }
    }
    if group.len() > TOLD {
        page.field("", &format!("and {} more places; --report FILE writes them all", group.len() - TOLD))?;
    }
    Ok(())
}

fn heading(page: &mut Page<'_>, reported: &ReportedFinding, times: &str) -> io::Result<()> {
    let title = page.painted(Paint::new().bold(), &escape::line(&reported.title));
    let mark = if reported.blocking { page.painted(severity_paint(reported.finding.severity), "✘") } else { "·".to_owned() };
    writeln!(page.out, "  {mark} {title}  {}{times}", escape::line(&reported.finding.rule))
}

/// `layer 3 of 5, sha256:…, by ...`.
fn layer(report: &RunReport, finding: &Finding) -> Option<String> {
    let layer = words::layer(report, finding)?;
    let place = finding.layer.as_ref();
    let digest = place.map(|place| format!(", {}", place.digest.short())).unwrap_or_default();
    let step = place.and_then(|place| place.instruction.as_deref()).map(|step| format!(", by `{}`", escape::line(step))).unwrap_or_default();
    Some(format!("{layer}{digest}{step}"))
}

fn sample(finding: &Finding) -> String {
    let also = match finding.also_in {
        0 => String::new(),
        1 => "; 1 more place holds it".to_owned(),
        more => format!("; {more} more places hold it"),
    };
    format!("{}{also}", escape::line(&finding.redacted))
}

fn coverage(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    writeln!(page.out)?;
    if let Some(coverage) = words::coverage(report) {
        writeln!(page.out, "scanned {coverage}")?;
    }
    if let Some(counts) = words::silenced_counts(report) {
        writeln!(page.out, "let pass: {counts}")?;
    }
    for blind in &report.coverage.not_scanned {
        let text = format!("not scanned: {} ({})", escape::line(&blind.what), escape::line(&blind.why));
        page.line(Paint::new().fg_color(Some(AnsiColor::Yellow.into())), &text)?;
    }
    for anomaly in &report.coverage.anomalies {
        writeln!(page.out, "odd: {}", escape::line(anomaly))?;
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
    page.line(Paint::new().bold(), &format!("{} planted{lost}", words::count(report.placements.len(), "honeytoken")))?;
    let rows: Vec<[String; 5]> = report
        .placements
        .iter()
        .map(|placement| {
            let text = [placement.surface.id(), &placement.kind, &placement.environment, &placement.platform, placement.fingerprint.as_str()];
            text.map(escape::line)
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(page.out, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
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
    if let Some(more) = report.left_behind.len().checked_sub(TOLD).filter(|more| *more > 0) {
        writeln!(page.out, "  and {more} more; --report FILE writes them all")?;
    }
    Ok(())
}

/// The command that most people want now.
fn next(page: &mut Page<'_>, report: &RunReport) -> io::Result<()> {
    let blocking = report.findings.iter().find(|reported| reported.blocking);
    let text = match (report.verdict.outcome, blocking) {
        (Outcome::Denied, Some(worst)) => format!("honeycrate explain {}", escape::line(&worst.finding.rule)),
        (Outcome::Passed, _) if !report.placements.is_empty() => "honeycrate token list".to_owned(),
        _ => return Ok(()),
    };
    let text = page.painted(Paint::new().bold(), &text);
    writeln!(page.out, "\nnext: {text}")
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
        Terminal.write(report, &mut out, Style { colour }).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_report_reads_from_verdict_to_next_step() {
        assert_eq!(
            rendered(&sample(), false),
            "\
✘ denied  docker-daemon:shop:1.4: 1 finding is high or worse
  nothing was planted or pushed

CRITICAL (1)
  ✘ GitHub personal access token  github-token
      where     /app/.env:3
      layer     layer 3 of 5, sha256:aaaaaaaaaaaa, by `COPY . /app`
      state     deleted by a later layer, still in the image
      sample    ghp_… (40 characters)
      a thief   reads and writes every repository of its owner
      do        Revoke it at github.com/settings/tokens; pass it to the build as a secret mount.
      id        0123456789abcdef (high confidence)

MEDIUM (1)
  · Assigned secret  generic-assignment
      where     variable API_TOKEN
      state     in the config and in every container
      sample    ghp_… (40 characters)
      a thief   reads and writes every repository of its owner
      excepted  a fixture (ann, until 2027-01-31)
      id        0123456789abcdef (high confidence)

scanned 5 layers (2 from the cache), 1234 files, 56.7 MB, 12 files inside them (345.6 kB) in 310 ms, 400 ms in all
let pass: 1 by exceptions
not scanned: layer 5f70bf18a086 (it is not in the image, only a pointer to it)

1 honeytoken planted
  buried  registry-login  production  linux/amd64  fedcba9876543210

note: only the owner reads this

next: honeycrate explain github-token
"
        );
    }

    #[test]
    fn hostile_names_reach_no_terminal() {
        let mut report = sample();
        report.findings[0].finding.path = Some("a\u{1b}]0;owned\u{7}\nverdict: passed\u{202e}".to_owned());
        report.findings[0].finding.redacted = "\u{9b}2J".to_owned();
        report.coverage.anomalies.push("\r✔ passed".to_owned());
        let text = rendered(&report, false);
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
        assert!(text.contains("/a\\u{1b}]0;owned\\u{7}\\nverdict: passed\\u{202e}:3"), "{text}");
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
        assert!(text.contains("CRITICAL (12)\n  ✘ GitHub personal access token  github-token, 12 times\n"), "{text}");
        assert_eq!(text.matches("Revoke it at github.com").count(), 1, "{text}");
        assert_eq!(text.matches("/app/.env:").count(), TOLD, "{text}");
        assert!(text.contains("/app/.env:10  ghp_… (40 characters); 1 more place holds it  0123456789abcdef\n"), "{text}");
        assert!(text.contains("and 4 more places; --report FILE writes them all"), "{text}");
        assert!(text.contains("deleted by a later layer"), "{text}");
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

scanned 5 layers (2 from the cache), 1234 files, 56.7 MB, 12 files inside them (345.6 kB) in 310 ms, 400 ms in all

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
        assert!(page.contains("**Left behind**"), "{page}");
        // Who may not read placements reads the command, and nothing of the image as it was.
        let published = rendered(&report.disclosed(crate::report::disclosure::Disclosure::Findings), false);
        assert!(published.contains("cosign sign") && !published.contains("cccc"), "{published}");
    }
}
