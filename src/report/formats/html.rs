//! One HTML file without scripts or anything from elsewhere: what to do first, and the image as a stack of layers with where secrets lie.

use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::report::escape::{line, web_address, xml};
use crate::report::formats::contract::{Format, Style};
use crate::report::order::{Urgency, by_urgency};
use crate::report::run_report::{BuildStep, Outcome, ReportedFinding, RunReport, SourcePlatform};
use crate::report::words;
use crate::scan::finding::{FoundIn, State};

/// The page's only style, which its own policy names by hash: nothing that got into the page from an image could bring another.
const STYLE: &str = include_str!("html.css");

/// Findings beyond this are counted.
const MAX_FINDINGS: usize = 2_000;

/// More findings than this are folded up at first.
const OPEN: usize = 3;

#[derive(Debug)]
pub struct Html;

impl Format for Html {
    fn id(&self) -> &'static str {
        "html"
    }

    fn describe(&self) -> &'static str {
        "one page to read or to hand on, with the image layer by layer; no scripts, nothing from elsewhere"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".html", ".htm"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        let title = xml(&format!("{}: {}", words::outcome(report), words::subject(report)));
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta name=\"generator\" content=\"honeycrate\">\n<title>honeycrate {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        )?;
        let mut page = Page { text: String::new(), report, order: by_urgency(report) };
        page.head();
        page.text.push_str("<main>\n");
        page.findings();
        page.stacks();
        page.coverage();
        page.planted();
        page.text.push_str("</main>\n");
        page.foot();
        out.write_all(page.text.as_bytes())?;
        writeln!(out, "</body>\n</html>")
    }
}

struct Page<'a> {
    text: String,
    report: &'a RunReport,
    order: Vec<(Urgency, Vec<usize>)>,
}

impl Page<'_> {
    fn add(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.text.push('\n');
    }

    /// A term and what it is; nothing where there is nothing. `text` is escaped already.
    fn fact(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.add(&format!("<dt>{name}</dt><dd>{text}</dd>"));
        }
    }

    fn head(&mut self) {
        let report = self.report;
        let (class, mark) = match report.verdict.outcome {
            Outcome::Passed if words::is_unseen(report) => ("unseen", "–"),
            Outcome::Passed => ("passed", "✔"),
            Outcome::Warned => ("warned", "!"),
            Outcome::Denied => ("denied", "✘"),
            Outcome::Error => ("error", "!"),
        };
        self.add("<header>");
        self.add(&format!("<p class=\"verdict {class}\"><span aria-hidden=\"true\">{mark}</span> {}</p>", words::outcome(report)));
        self.add(&format!("<h1>{}</h1>", xml(words::subject(report))));
        self.add(&format!("<p class=\"reasons\">{}</p>", xml(&words::reasons(report))));
        if let Some(error) = &report.error {
            let hint = error.hint.as_deref().map(|hint| format!(" <span class=\"hint\">{}</span>", xml(hint))).unwrap_or_default();
            self.add(&format!("<p class=\"trouble\"><strong>Error:</strong> {}{hint}</p>", xml(&error.message)));
        }
        let counts: Vec<String> = self
            .order
            .iter()
            .map(|(urgency, found)| format!("<li class=\"{}\"><strong>{}</strong> {}</li>", class_of(*urgency), found.len(), urgency.name()))
            .collect();
        if !counts.is_empty() {
            self.add(&format!("<ul class=\"counts\">{}</ul>", counts.concat()));
        }
        self.add("<dl class=\"facts\">");
        if let Some(source) = &report.source {
            self.fact("Digest", &source.digest.as_ref().map(|digest| code(digest.as_str())).unwrap_or_default());
            let platforms: Vec<String> = source.platforms.iter().map(|platform| xml(&platform.platform)).collect();
            self.fact("Platforms", &platforms.join(", "));
        }
        self.fact("Service", &report.service.as_deref().map(xml).unwrap_or_default());
        self.fact("Environment", &report.environment.as_deref().map(xml).unwrap_or_default());
        self.fact("Commit", &report.context.commit.as_deref().map(code).unwrap_or_default());
        let job = report.context.job.as_deref().and_then(web_address).map(|job| format!("<a href=\"{0}\">{0}</a>", xml(job)));
        self.fact("Job", &job.unwrap_or_default());
        self.fact("Started", &xml(&report.started));
        self.fact("Denied from", &xml(&report.verdict.fail_on));
        self.fact("Scanned", &xml(&words::scanned(report)));
        self.add("</dl>\n</header>");
    }

    fn findings(&mut self) {
        let total = self.report.findings.len();
        self.add("<section aria-labelledby=\"todo\">\n<h2 id=\"todo\">What to do first</h2>");
        if total == 0 {
            let judged = self.report.verdict.outcome != Outcome::Error && !words::is_unseen(self.report);
            let text = if judged { "No secrets were found." } else { "Nothing was judged." };
            self.add(&format!("<p>{text}</p>"));
        }
        let mut room = MAX_FINDINGS;
        for (urgency, found) in self.order.clone() {
            self.add(&format!("<h3 class=\"{}\">{} <span class=\"count\">{}</span></h3>", class_of(urgency), urgency.name(), found.len()));
            for at in found.iter().take(room) {
                let open = matches!(urgency, Urgency::Revoke | Urgency::Check) && found.len() <= OPEN;
                if let Some(reported) = self.report.findings.get(*at) {
                    self.finding(*at, reported, open);
                }
            }
            room = room.saturating_sub(found.len());
        }
        if total > MAX_FINDINGS {
            let more = words::count(total - MAX_FINDINGS, "finding");
            self.add(&format!("<p class=\"trouble\">{more} left out for length; the JSON report has them all.</p>"));
        }
        self.add("</section>");
    }

    fn finding(&mut self, at: usize, reported: &ReportedFinding, open: bool) {
        let finding = &reported.finding;
        let open = if open { " open" } else { "" };
        let blocks = if reported.blocking { "<span class=\"pill blocks\">blocks</span>" } else { "" };
        self.add(&format!("<details class=\"finding\"{open}>"));
        self.add(&format!(
            "<summary><span class=\"pill {severity}\">{severity}</span> <strong>{title}</strong> {place}{also} {state}{blocks}</summary>",
            severity = finding.severity.name(),
            title = xml(&line(&reported.title)),
            place = code(&words::place(finding)),
            also = words::also_in(finding),
            state = pill(finding.state),
        ));
        // A link to what is folded up unfolds it.
        self.add(&format!("<dl id=\"f{at}\">"));
        self.fact("Revoke it", &prose(&reported.advice));
        if let Some(prevention) = &reported.prevention {
            let change = prevention.change.as_ref();
            let change = change.map(|change| format!("<pre><b>{}</b>\n<code>{}</code></pre>", xml(&line(&change.file)), xml(&change.line)));
            self.fact("Keep it out", &format!("{}{}", prose(&prevention.text), change.unwrap_or_default()));
        }
        self.fact("A thief", &xml(&reported.gains));
        let layer = finding.layer.as_ref().map(|place| {
            let number = words::layer(self.report, finding).unwrap_or_default();
            format!("{number}, {}", code(place.digest.as_str()))
        });
        self.fact("Layer", &layer.unwrap_or_default());
        self.fact("Made by", &words::step(reported).map(code).unwrap_or_default());
        self.fact("Platforms", &xml(&finding.platforms.join(", ")));
        self.fact("State", words::state(finding));
        self.fact("First in", &words::first_seen(reported).as_deref().map(xml).unwrap_or_default());
        if !finding.redacted.is_empty() {
            self.fact("Sample", &code(&finding.redacted));
        }
        self.fact("Confidence", &xml(&words::certainty(reported)));
        self.fact("Vendor says", &xml(&words::validation(finding)));
        self.fact("Accepted", &words::accepted(reported).as_deref().map(xml).unwrap_or_default());
        self.fact("Rule", &format!("{}, fingerprint {}", code(&finding.rule), code(finding.fingerprint.as_str())));
        let links = reported.references.iter().filter_map(|address| web_address(address));
        let links: Vec<String> = links.map(|address| format!("<a href=\"{0}\" rel=\"noreferrer\">{0}</a>", xml(address))).collect();
        self.fact("More", &links.join("<br>"));
        self.add("</dl>\n</details>");
    }

    fn stacks(&mut self) {
        let Some(source) = self.report.source.as_ref().filter(|source| !source.platforms.is_empty()) else { return };
        self.add("<section aria-labelledby=\"layers\">\n<h2 id=\"layers\">The image, layer by layer</h2>");
        self.add(
            "<p>The newest layer is on top. What a layer deletes or overwrites is gone from containers, and still in the layer below for \
             everybody who pulls the image.</p>",
        );
        for platform in &source.platforms {
            if source.platforms.len() > 1 {
                self.add(&format!("<h3>{}</h3>", xml(&platform.platform)));
            }
            self.stack(platform, source.platforms.len() == 1);
        }
        self.add("</section>");
    }

    /// One platform. Where steps are not told, layers are those that findings name.
    fn stack(&mut self, platform: &SourcePlatform, only: bool) {
        let here = |reported: &ReportedFinding| {
            let platforms = &reported.finding.platforms;
            if platforms.is_empty() { only || reported.finding.layer.is_none() } else { platforms.contains(&platform.platform) }
        };
        let mut by_layer: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut by_step: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut documents = Vec::new();
        for (at, reported) in self.report.findings.iter().enumerate().filter(|(_, reported)| here(reported)) {
            let finding = &reported.finding;
            let step = finding.path.as_deref().filter(|_| finding.surface == FoundIn::History).and_then(|number| number.parse().ok());
            match (&finding.layer, step) {
                (Some(layer), _) => by_layer.entry(layer.index).or_default().push(at),
                (None, Some(step)) if step < platform.steps.len() => by_step.entry(step).or_default().push(at),
                _ => documents.push(at),
            }
        }
        let largest = platform.steps.iter().filter_map(|step| step.layer.as_ref()).map(|layer| layer.size).max().unwrap_or(0).max(1);
        self.add("<ol class=\"stack\">");
        if !documents.is_empty() {
            self.add("<li class=\"layer hot\"><p class=\"name\"><strong>Config and metadata</strong></p>");
            self.secrets(&documents);
            self.add("</li>");
        }
        if platform.steps.is_empty() {
            for (index, found) in by_layer.iter().rev() {
                let step = found.first().and_then(|at| self.report.findings.get(*at)).and_then(words::step);
                self.add(&format!("<li class=\"layer hot\"><p class=\"name\"><strong>Layer {}</strong> {}</p>", index + 1, instruction(step)));
                self.secrets(found);
                self.add("</li>");
            }
            self.add("<li class=\"step\">Layers without findings are not told here.</li>");
        }
        for (number, step) in platform.steps.iter().enumerate().rev() {
            let noted = by_step.get(&number).map(Vec::as_slice).unwrap_or_default();
            self.step(step, noted, &by_layer, largest);
        }
        self.add("</ol>");
    }

    fn step(&mut self, step: &BuildStep, noted: &[usize], by_layer: &BTreeMap<usize, Vec<usize>>, largest: u64) {
        let text = instruction(step.instruction.as_deref());
        let Some(layer) = &step.layer else {
            let hot = if noted.is_empty() { "" } else { " hot" };
            self.add(&format!("<li class=\"step{hot}\">{text}"));
            self.secrets(noted);
            return self.add("</li>");
        };
        let found = by_layer.get(&layer.index).map(Vec::as_slice).unwrap_or_default();
        let hot = if noted.is_empty() && found.is_empty() { "" } else { " hot" };
        let share = layer.size.saturating_mul(100) / largest;
        self.add(&format!(
            "<li class=\"layer{hot}\"><p class=\"name\"><strong>Layer {}</strong> {text} <span class=\"size\">{}</span></p>\
             <svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{share}\" height=\"1\"/></svg>\
             <p class=\"digest\">{}</p>",
            layer.index.saturating_add(1),
            words::size(layer.size),
            code(layer.digest.as_str()),
        ));
        let all: Vec<usize> = noted.iter().chain(found).copied().collect();
        self.secrets(&all);
        self.add("</li>");
    }

    fn secrets(&mut self, found: &[usize]) {
        if found.is_empty() {
            return;
        }
        self.add("<ul class=\"secrets\">");
        for at in found {
            let Some(reported) = self.report.findings.get(*at) else { continue };
            let finding = &reported.finding;
            self.add(&format!(
                "<li><span class=\"pill {severity}\">{severity}</span> <a href=\"#f{at}\">{}</a> {} {}</li>",
                xml(&line(&reported.title)),
                code(&words::place(finding)),
                pill(finding.state),
                severity = finding.severity.name(),
            ));
        }
        self.add("</ul>");
    }

    fn coverage(&mut self) {
        let report = self.report;
        self.add("<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">What was looked at</h2>");
        self.add(&format!("<p>{}.</p>", xml(&words::scanned(report))));
        if !report.coverage.not_scanned.is_empty() {
            self.add("<table><caption>Not scanned</caption><thead><tr><th scope=\"col\">What</th><th scope=\"col\">Why</th></tr></thead><tbody>");
            for blind in &report.coverage.not_scanned {
                self.add(&format!("<tr><td>{}</td><td>{}</td></tr>", code(&blind.what), xml(&blind.why)));
            }
            self.add("</tbody></table>");
        }
        self.list("Odd", report.coverage.anomalies.iter().map(|odd| xml(odd)).collect());
        self.list("Notes", report.notices.iter().map(|notice| xml(&notice.text)).collect());
        self.add("</section>");
    }

    /// Rows that are escaped already, under a heading.
    fn list(&mut self, heading: &str, rows: Vec<String>) {
        if !rows.is_empty() {
            self.add(&format!("<h3>{heading}</h3>\n<ul>{}</ul>", rows.into_iter().map(|row| format!("<li>{row}</li>")).collect::<String>()));
        }
    }

    fn planted(&mut self) {
        let report = self.report;
        if report.placements.is_empty() && report.pushed.is_empty() && report.left_behind.is_empty() {
            return;
        }
        self.add("<section aria-labelledby=\"shipped\">\n<h2 id=\"shipped\">What was shipped</h2>");
        let pushed = report.pushed.iter().map(|image| {
            let sign = words::sign_command(image).map(|command| format!("<br>sign it anew: {}", code(&command))).unwrap_or_default();
            format!("{} {}{sign}", xml(&image.reference), code(image.digest.as_str()))
        });
        self.list("Pushed", pushed.collect());
        if !report.placements.is_empty() {
            let heads: String =
                ["Surface", "Record", "Kind", "Platform", "Fingerprint"].map(|head| format!("<th scope=\"col\">{head}</th>")).concat();
            self.add(&format!("<table><caption>Honeytokens</caption><thead><tr>{heads}</tr></thead><tbody>"));
            for placement in &report.placements {
                let told = |text: Option<&str>| text.map(xml).unwrap_or_default();
                let (kind, platform) = (told(placement.kind.as_deref()), told(placement.platform.as_deref()));
                let fingerprint = placement.fingerprint.as_ref().map(|fingerprint| code(fingerprint.as_str())).unwrap_or_default();
                let cells = [xml(placement.surface.id()), code(&placement.id), kind, platform, fingerprint];
                self.add(&format!("<tr>{}</tr>", cells.map(|cell| format!("<td>{cell}</td>")).concat()));
            }
            self.add("</tbody></table>");
        }
        self.list("Left behind, as the digest changes", report.left_behind.iter().map(|one| xml(&words::left_behind(one))).collect());
        self.add("</section>");
    }

    fn foot(&mut self) {
        let tool = &self.report.tool;
        let name = words::home().map_or_else(|| "honeycrate".to_owned(), |address| format!("<a href=\"{address}\">honeycrate</a>"));
        self.add(&format!(
            "<footer><p>Written by {name} {}, rules {}. Samples cannot be turned back into secrets.</p></footer>",
            xml(&tool.version),
            code(&tool.ruleset)
        ));
    }
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", xml(&line(text)))
}

/// A sentence in which backticks set words apart.
fn prose(text: &str) -> String {
    let parts = xml(text);
    let parts: Vec<&str> = parts.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return parts.join("`");
    }
    parts.iter().enumerate().map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { (*part).to_owned() }).collect()
}

fn instruction(step: Option<&str>) -> String {
    step.map_or_else(|| "<span class=\"unknown\">no step is told</span>".to_owned(), |step| code(words::bare_step(step)))
}

/// Whether containers still see it, in a word and not by colour alone.
fn pill(state: State) -> String {
    format!("<span class=\"pill {0}\">{0}</span>", state.name())
}

fn class_of(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Revoke => "revoke",
        Urgency::Check => "check",
        Urgency::Look => "look",
        Urgency::Accepted => "accepted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::disclosure::Disclosure;
    use crate::report::sample::sample;

    fn rendered(report: &RunReport) -> String {
        let mut out = Vec::new();
        Html.write(report, &mut out, Style::default()).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    /// Every element of the page as it opens and closes, to be sure that they nest.
    fn unclosed(page: &str) -> Vec<String> {
        let mut open: Vec<String> = Vec::new();
        for piece in page.split('<').skip(1) {
            let tag = piece.split('>').next().expect("a piece");
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            let is_void = ["meta", "br", "doctype", ""].contains(&name.as_str()) || tag.starts_with('!') || tag.ends_with('/');
            if tag.starts_with('/') {
                assert_eq!(open.pop().as_ref(), Some(&name), "in {piece}");
            } else if !is_void {
                open.push(name);
            }
        }
        open
    }

    #[test]
    fn the_page_shows_the_stack_with_each_secret_in_its_layer() {
        let page = rendered(&sample());
        assert_eq!(unclosed(&page), Vec::<String>::new());
        let stack = page.split("<ol class=\"stack\">").nth(1).and_then(|rest| rest.split("</ol>").next()).expect("a stack");
        let items: Vec<&str> = stack.split("<li class=\"").skip(1).collect();
        // The config, five layers and a step without one; the newest on top.
        assert_eq!(items.len(), 7, "{stack}");
        assert!(items[0].contains("Config and metadata") && items[0].contains("variable API_TOKEN"), "{}", items[0]);
        assert!(items[1].contains("Layer 5") && items[6].contains("Layer 1"), "{stack}");
        assert!(items[3].starts_with("layer hot") && items[3].contains("COPY . /app") && items[3].contains("href=\"#f0\""), "{}", items[3]);
        assert!(items[3].contains("/app/.env:3:7") && items[3].contains(">deleted<") && items[3].contains("250.0 kB"), "{}", items[3]);
        assert!(items[5].starts_with("step\">") && items[5].contains("ENV API_TOKEN=(24 characters)"), "{}", items[5]);
        assert!(page.contains("<details class=\"finding\" open>") && page.contains("<dl id=\"f1\">"), "{page}");
        assert!(page.contains("<b>.dockerignore</b>\n<code>.env</code>"), "{page}");
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_runs_nothing() {
        let page = rendered(&sample());
        for forbidden in ["<script", "src=", "@import", "url(", " style=", " onclick", "<link", "<iframe", "<img"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let hash = STANDARD.encode(Sha256::digest(page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style")));
        assert!(page.contains(&format!("default-src 'none'; style-src 'sha256-{hash}'")), "{page}");
    }

    #[test]
    fn what_is_published_tells_layers_with_findings_alone() {
        let page = rendered(&sample().disclosed(Disclosure::Findings));
        assert_eq!(unclosed(&page), Vec::<String>::new());
        assert!(page.contains("Layer 3") && !page.contains("Layer 5") && page.contains("Layers without findings are not told here."), "{page}");
    }

    #[test]
    fn findings_beyond_the_cap_are_counted() {
        let mut report = sample();
        report.findings = vec![report.findings[0].clone(); MAX_FINDINGS + 3];
        let page = rendered(&report);
        assert_eq!(page.matches("<details ").count(), MAX_FINDINGS);
        assert!(page.contains("3 findings left out for length"));
    }
}
