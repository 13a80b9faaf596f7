//! The report for a job summary or a change's comment, as Markdown that forges render.

use std::io::{self, Write};

use crate::report::escape::{markdown, markdown_code, web_address};
use crate::report::formats::contract::{Format, Style};
use crate::report::order::by_severity;
use crate::report::run_report::{Outcome, ReportedFinding, RunReport};
use crate::report::words;

/// The longest text, in characters. GitHub refuses comments beyond 65 536.
pub const MAX_CHARACTERS: usize = 60_000;

/// Room kept for what comes after the tables.
const TAIL: usize = 1_000;

#[derive(Debug)]
pub struct Markdown;

impl Format for Markdown {
    fn id(&self) -> &'static str {
        "markdown"
    }

    fn describe(&self) -> &'static str {
        "a job summary, or the body of a comment on a change"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".md"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        out.write_all(body(report).as_bytes())
    }
}

/// The hidden line by which we find our comment again: one for each image and environment.
#[must_use]
pub fn marker(report: &RunReport) -> String {
    let (image, environment) = words::copy(report);
    format!("<!-- honeycrate:{}:{} -->", marker_part(image), marker_part(environment))
}

/// The whole text: at most [`MAX_CHARACTERS`] long.
#[must_use]
pub fn body(report: &RunReport) -> String {
    let mark = match report.verdict.outcome {
        Outcome::Passed if words::is_unseen(report) => "➖",
        Outcome::Passed => "✅",
        Outcome::Warned => "🟡",
        Outcome::Denied => "❌",
        Outcome::Error => "⚠️",
    };
    let mut page = Page { text: format!("{}\n", marker(report)), length: 0, left_out: 0 };
    page.length = page.text.chars().count();
    let environment = report.environment.as_deref().map(|name| format!(" for {}", markdown_code(name))).unwrap_or_default();
    page.add(&format!("### {mark} honeycrate: {} {}{environment}\n\n", words::outcome(report), markdown_code(words::subject(report))));
    page.add(&format!("{}\n", markdown(&words::reasons(report))));
    if let Some(error) = &report.error {
        let hint = error.hint.as_deref().map(|hint| format!(" ({})", markdown(hint))).unwrap_or_default();
        page.add(&format!("\n**Error:** {}{hint}\n", markdown(&error.message)));
    }
    findings(&mut page, report);
    placements(&mut page, report);
    tail(&mut page, report);
    page.text
}

struct Page {
    text: String,
    length: usize,
    left_out: usize,
}

impl Page {
    /// Adds a piece, or counts it as left out where it would not fit.
    fn add(&mut self, piece: &str) {
        let length = piece.chars().count();
        if self.length + length > MAX_CHARACTERS - TAIL {
            self.left_out += 1;
            return;
        }
        self.text.push_str(piece);
        self.length += length;
    }
}

fn findings(page: &mut Page, report: &RunReport) {
    if report.findings.is_empty() {
        return;
    }
    page.add("\n| | Severity | What | Where | State | Fingerprint |\n|---|---|---|---|---|---|\n");
    let order: Vec<usize> = by_severity(report);
    for at in &order {
        page.add(&row(report, &report.findings[*at]));
    }
    let blocking: Vec<&ReportedFinding> = order.iter().map(|at| &report.findings[*at]).filter(|reported| reported.blocking).collect();
    let mut told = std::collections::BTreeSet::new();
    for (at, reported) in blocking.iter().filter(|reported| told.insert(reported.finding.rule.as_str())).enumerate() {
        if at == 0 {
            page.add("\n**What to do**\n\n");
        }
        page.add(&format!("- {}: a thief {}. {}\n", markdown(&reported.title), markdown(&reported.gains), markdown(&reported.advice)));
    }
    let mut told = std::collections::BTreeSet::new();
    let changes = blocking.iter().filter_map(|reported| reported.change());
    for (at, change) in changes.filter(|change| told.insert((&change.file, &change.line))).enumerate() {
        if at == 0 {
            page.add("\n**What keeps it out of the next image**\n\n");
        }
        page.add(&format!("- {}: {}\n", markdown(&change.file), markdown_code(&change.line)));
    }
}

fn row(report: &RunReport, reported: &ReportedFinding) -> String {
    let finding = &reported.finding;
    let mark = match (reported.blocking, &reported.exception) {
        (true, _) => "❌".to_owned(),
        (false, Some(exception)) => format!("excepted until {}", markdown(&exception.expires)),
        (false, None) => reported.silencer().and(words::silenced(reported)).map(|(word, _)| word.to_owned()).unwrap_or_default(),
    };
    let layer = words::layer(report, finding).map(|layer| format!("<br>{layer}")).unwrap_or_default();
    let step = words::step(reported).map(|step| format!(": {}", markdown_code(step))).unwrap_or_default();
    let place = format!("{}{}", markdown_code(&words::place(finding)), words::also_in(finding));
    let first = words::first_seen(reported).map(|first| format!("<br>first in {}", markdown_code(&first))).unwrap_or_default();
    let validation = words::validation(finding);
    let validation = if validation.is_empty() { validation } else { format!("<br>{}", markdown(&validation)) };
    format!(
        "| {mark} | {}<br>{} confidence | {}<br>{}{validation} | {place}{layer}{step}{first} | {} | {} |\n",
        finding.severity,
        finding.confidence,
        markdown(&reported.title),
        markdown_code(&finding.rule),
        words::state(finding),
        markdown_code(finding.fingerprint.as_str()),
    )
}

fn placements(page: &mut Page, report: &RunReport) {
    if report.placements.is_empty() {
        return;
    }
    page.add("\n**Honeytokens**\n\n| Surface | Record |\n|---|---|\n");
    for placement in &report.placements {
        page.add(&format!("| {} | {} |\n", placement.surface, markdown_code(&placement.id),));
    }
}

fn tail(page: &mut Page, report: &RunReport) {
    if !report.left_behind.is_empty() {
        page.add("\n**Left behind**, as the digest changes\n\n");
    }
    for one in &report.left_behind {
        page.add(&format!("- {}\n", markdown(&words::left_behind(one))));
    }
    for image in &report.pushed {
        page.add(&format!("\nPushed {}<br>{}\n", markdown_code(&image.reference), markdown_code(image.digest.as_str())));
        if !image.platforms.is_empty() {
            page.add(&format!("\nAll platforms: {}\n", markdown_code(&image.platforms.join(", "))));
        }
        if let Some(command) = words::sign_command(image) {
            page.add(&format!("\nSign it anew: {}\n", markdown_code(&command)));
        }
    }
    for blind in &report.coverage.not_scanned {
        page.add(&format!("\nNot scanned: {} ({})\n", markdown_code(&blind.what), markdown(&blind.why)));
    }
    for anomaly in &report.coverage.anomalies {
        page.add(&format!("\nOdd: {}\n", markdown(anomaly)));
    }
    for notice in &report.notices {
        page.add(&format!("\nNote: {}\n", markdown(&notice.text)));
    }
    if let Some(counts) = words::silenced_counts(report) {
        page.add(&format!("\nLet pass: {counts}.\n"));
    }
    if let Some(coverage) = words::coverage(report) {
        page.add(&format!("\nScanned {coverage}.\n"));
    }
    // These fit in the room that was kept for them.
    if page.left_out > 0 {
        let text = format!(
            "\n**{} left out** for length; the report of the run has everything.\n",
            words::count(page.left_out, "entry").replace("entrys", "entries")
        );
        page.text.push_str(&text);
    }
    if let Some(job) = report.context.job.as_deref().and_then(web_address).filter(|job| job.len() < 500) {
        page.text.push_str(&format!("\n[The run]({job})\n"));
    }
}

/// Nothing that could end an HTML comment or be taken for another marker.
fn marker_part(text: &str) -> String {
    let safe = text.chars().take(200).map(|letter| if letter.is_ascii_alphanumeric() || "._/@:".contains(letter) { letter } else { '-' });
    let safe: String = safe.collect();
    safe.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::disclosure::Disclosure;
    use crate::report::sample::sample;

    #[test]
    fn the_comment_says_verdict_findings_and_what_to_do() {
        let mut report = sample();
        report.context.job = Some("https://github.com/acme/shop/actions/runs/7".to_owned());
        assert_eq!(
            body(&report.disclosed(Disclosure::Findings)),
            "\
<!-- honeycrate:ghcr.io/acme/shop:production -->
### ❌ honeycrate: denied <code>docker-daemon&#58;shop&#58;1.4</code> for <code>production</code>

1 finding is high or worse

| | Severity | What | Where | State | Fingerprint |
|---|---|---|---|---|---|
| ❌ | critical<br>high confidence | GitHub personal access token<br><code>github-token</code> | <code>/app/.env&#58;3&#58;7</code><br>layer 3: <code>COPY . /app</code> | deleted by a later layer, still in the image | <code>0123456789abcdef</code> |
| excepted until 2027-01-31 | medium<br>high confidence | Assigned secret<br><code>generic-assignment</code> | <code>variable API&#95;TOKEN</code> | in the config and in every container | <code>0123456789abcdef</code> |

**What to do**

- GitHub personal access token: a thief reads and writes every repository of its owner. Revoke it at github.com/settings/tokens.

**What keeps it out of the next image**

- .dockerignore: <code>.env</code>

Not scanned: <code>layer 5f70bf18a086</code> (it is not in the image, only a pointer to it)

Let pass: 1 by exceptions.

[The run](https://github.com/acme/shop/actions/runs/7)
"
        );
    }

    #[test]
    fn placements_are_told_to_private_readers_without_values() {
        let text = body(&sample());
        assert!(text.contains("| buried | <code>plc-1</code> |"), "{text}");
        assert!(!text.contains("registry.json.bak"));
    }

    #[test]
    fn a_file_name_cannot_break_the_table_or_plant_a_marker() {
        let mut report = sample();
        report.findings[0].finding.path = Some("a|b`\n</code><!-- honeycrate:other:x --> ![i](http://x) @team \u{1b}[1m".to_owned());
        report.service = Some("a--> <b>".to_owned());
        let text = body(&report);
        assert!(text.starts_with("<!-- honeycrate:a-b:production -->\n"), "{text}");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ❌")).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].matches('|').count(), 7, "{}", rows[0]);
        assert_eq!(rows[0].matches("<!--").count(), 0);
        assert!(!rows[0].contains(['`', '@', '[', '\u{1b}']), "{}", rows[0]);
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut report = sample();
        report.findings = vec![report.findings[0].clone(); 2000];
        let text = body(&report);
        assert!(text.chars().count() <= MAX_CHARACTERS);
        assert!(text.contains("entries left out** for length"));
        assert!(text.starts_with(&marker(&report)));
    }
}
