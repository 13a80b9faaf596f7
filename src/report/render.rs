//! The one way from a report to text: disclosure first, then a format.

use std::io::Write;

use crate::report::disclosure::Disclosure;
use crate::report::error::ReportError;
use crate::report::formats;
use crate::report::formats::contract::{Format, Style};
use crate::report::run_report::RunReport;

/// Writes `report` in the format named `id`, no more of it than `disclosure` allows.
///
/// # Errors
/// When there is no such format, or `out` cannot be written to.
pub fn render(report: &RunReport, id: &str, disclosure: Disclosure, style: Style, out: &mut dyn Write) -> Result<(), ReportError> {
    let format = find(id)?;
    format.write(&report.disclosed(disclosure), out, style)?;
    Ok(())
}

/// The format named `id`.
///
/// # Errors
/// When there is none.
pub fn find(id: &str) -> Result<&'static dyn Format, ReportError> {
    let unknown =
        || ReportError::UnknownFormat { id: id.chars().take(60).collect(), known: formats::TABLE.iter().map(|format| format.id()).collect() };
    formats::TABLE.iter().find(|format| format.id() == id || format.other_ids().contains(&id)).copied().ok_or_else(unknown)
}

/// The format and the file that `--report` names: `FORMAT=FILE`, or a file whose name ends as a format's do; else JSON.
///
/// # Errors
/// When the word before the `=` is no format.
pub fn for_file(text: &str) -> Result<(&'static dyn Format, &str), ReportError> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if let Some((id, file)) = text.split_once('=').filter(|(id, _)| is_word(id)) {
        return find(id).map(|format| (format, file));
    }
    let asked = formats::TABLE.iter().find(|format| format.endings().iter().any(|ending| text.ends_with(ending)));
    asked.map_or_else(|| find("json"), |format| Ok(*format)).map(|format| (format, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::run_report::Outcome;
    use crate::report::sample::{odd, sample};

    #[test]
    fn no_format_tells_of_bait_where_others_read() {
        let traces =
            ["registry-login", "fedcba9876543210", "buried", "honeytoken", "of 5", "56.7 MB", "cccccccccccc", "only the owner", "secret-lab"];
        for format in formats::TABLE {
            let mut out = Vec::new();
            render(&sample(), format.id(), Disclosure::Findings, Style::default(), &mut out).expect("renders");
            let text = String::from_utf8(out).expect("UTF-8");
            for trace in traces {
                assert!(!text.contains(trace), "{trace} in {}: {text}", format.id());
            }
            assert!(text.contains("github-token") || format.id() == "gitlab-links", "{}", format.id());
        }
    }

    #[test]
    fn every_format_with_room_for_it_tells_the_first_image_to_the_owner() {
        let mut denied = sample();
        denied.findings[0].first_seen.iter_mut().for_each(|first| first.pushed = false);
        for id in ["terminal", "json", "markdown", "html", "sarif", "junit", "gitlab-secret-detection"] {
            let text = |report: &RunReport| {
                let mut out = Vec::new();
                render(report, id, Disclosure::Everything, Style::default(), &mut out).expect("renders");
                String::from_utf8(out).expect("UTF-8")
            };
            let pushed = text(&sample());
            assert!(pushed.contains("secret-lab") && pushed.contains("2026-10-02") && pushed.contains("4f2a91c"), "{id}: {pushed}");
            assert!(text(&denied).contains(if id == "json" { "\"pushed\": false" } else { "denied, and no image with it was pushed since" }), "{id}");
        }
    }

    #[test]
    fn no_format_says_that_an_image_passed_that_nobody_looked_into() {
        let mut unseen = sample();
        (unseen.verdict.outcome, unseen.findings, unseen.coverage.layers) = (Outcome::Passed, Vec::new(), None);
        let seen = RunReport { coverage: sample().coverage, ..unseen.clone() };
        for id in ["terminal", "markdown", "html"] {
            let text = |report: &RunReport| {
                let mut out = Vec::new();
                render(report, id, Disclosure::Everything, Style::default(), &mut out).expect("renders");
                String::from_utf8(out).expect("UTF-8")
            };
            let marks = |text: &str| ["✔", "✅"].iter().any(|mark| text.contains(mark));
            let (seen, unseen) = (text(&seen), text(&unseen));
            assert!(marks(&seen) && !seen.contains("not scanned  ") && !marks(&unseen) && unseen.contains("not scanned"), "{id}: {unseen}");
            assert!(!unseen.contains("No secrets were found"), "{id}: {unseen}");
        }
    }

    #[test]
    fn a_file_asks_for_its_format_by_name_or_ending() {
        for (text, id, file) in [
            ("report.json", "json", "report.json"),
            ("report", "json", "report"),
            ("out/report.html", "html", "out/report.html"),
            ("report.sarif", "sarif", "report.sarif"),
            ("report.sarif.json", "sarif", "report.sarif.json"),
            ("report.md", "markdown", "report.md"),
            ("report.xml", "junit", "report.xml"),
            ("out/gl-secret-detection-report.json", "gitlab-secret-detection", "out/gl-secret-detection-report.json"),
            ("gl-code-quality-report.json", "gitlab-code-quality", "gl-code-quality-report.json"),
            ("gl-annotations.json", "gitlab-links", "gl-annotations.json"),
            ("out/summary.md", "summary", "out/summary.md"),
            ("codequality=x", "gitlab-code-quality", "x"),
            ("secret-detection=x", "gitlab-secret-detection", "x"),
            ("terminal=report.html", "terminal", "report.html"),
            ("json=a=b", "json", "a=b"),
            ("./a=b.json", "json", "./a=b.json"),
        ] {
            let (format, path) = for_file(text).expect("a format");
            assert_eq!((format.id(), path), (id, file), "{text}");
        }
        let error = for_file("pdf=report.pdf").err().expect("unknown");
        assert!(error.to_string().contains("`pdf`"), "{error}");
    }

    /// What is wrong with a text in a format, if anything of somebody else's has got through.
    fn breach(id: &str, text: &str) -> Option<String> {
        // GitLab's sections are marked by control characters; the marks are ours, and there is a test that they are whole.
        let unmarked;
        let text = if id == "gitlab" {
            let mark = regex::Regex::new("\u{1b}\\[0Ksection_(start|end):-?[0-9]+:honeycrate_[a-z]+(\\[collapsed=true\\])?\r\u{1b}\\[0K")
                .expect("a pattern");
            unmarked = mark.replace_all(text, "").into_owned();
            &unmarked
        } else {
            text
        };
        // JSON says these as an escape, and Markdown and the terminal as text.
        if let Some(letter) =
            text.chars().find(|letter| *letter != '\n' && (letter.is_control() || "\u{202e}\u{200b}\u{2028}\u{fffe}\u{ffff}".contains(*letter)))
        {
            return Some(format!("{letter:?}"));
        }
        if text.contains("##[") {
            return Some("a runner's command".to_owned());
        }
        let is_ours = |line: &str| id == "github" && ["::error ", "::warning ", "::notice "].iter().any(|start| line.starts_with(start));
        if let Some(line) = text.lines().find(|line| line.trim_start().starts_with("::") && !is_ours(line)) {
            return Some(line.to_owned());
        }
        let is_markdown = matches!(id, "markdown" | "summary");
        if is_markdown || matches!(id, "html" | "junit") {
            let tags = ["<script", "<img", "]]>", "href=\"javascript", "<b onload"];
            if let Some(tag) = tags.iter().find(|tag| text.contains(**tag)) {
                return Some((*tag).to_owned());
            }
        }
        if is_markdown {
            let ours = ["](https://gitlab.example/acme/shop/-/jobs/7)", "](https://docs.github.com/"];
            if let Some((_, link)) = text.split_once("](").filter(|(_, link)| !ours.iter().any(|own| link.starts_with(&own[2..]))) {
                return Some(link.chars().take(60).collect());
            }
            let comments = usize::from(id == "markdown");
            if (text.matches("<!--").count(), text.matches("-->").count()) != (comments, comments) {
                return Some("a comment".to_owned());
            }
            for (open, close) in [("<details>", "</details>"), ("<pre>", "</pre>"), ("<code>", "</code>")] {
                if text.matches(open).count() != text.matches(close).count() {
                    return Some(open.to_owned());
                }
            }
            if let Some(letter) =
                ["@", "`", "![", "www."].iter().find(|letter| text.split_once("-->").map_or(text, |(_, text)| text).contains(**letter))
            {
                return Some((*letter).to_owned());
            }
            let bars = |line: &&str| line.starts_with('|') && ![3, 6].contains(&line.matches('|').count());
            if let Some(row) = text.lines().find(bars) {
                return Some(row.to_owned());
            }
        }
        if matches!(id, "json" | "sarif" | "gitlab-secret-detection" | "gitlab-code-quality" | "gitlab-links") {
            return serde_json::from_str::<serde_json::Value>(text).err().map(|error| error.to_string());
        }
        None
    }

    fn written(report: &RunReport, format: &dyn Format, width: Option<usize>) -> String {
        let mut out = Vec::new();
        format.write(report, &mut out, Style { colour: false, width }).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn no_name_from_an_image_gets_into_a_format_as_it_is() {
        for (what, report) in odd() {
            for format in formats::TABLE {
                let text = written(&report, *format, None);
                assert!(!text.is_empty() || format.id() == "github", "{what} in {}", format.id());
                assert_eq!(breach(format.id(), &text), None, "{what} in {}: {text}", format.id());
            }
        }
    }

    /// Every text in a document, by its way from the root.
    fn texts(value: &serde_json::Value, way: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(_) => found.push(way.to_owned()),
            serde_json::Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| texts(value, &format!("{way}/{at}"), found)),
            serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| texts(value, &format!("{way}/{name}"), found)),
            _ => {}
        }
    }

    #[test]
    fn a_report_from_a_stranger_gets_nothing_through_any_format() {
        let hostile = [
            "::set-output name=verdict::passed\n::error file=x::y",
            " ::add-mask::x ::stop-commands::y",
            "##[error]x ##[command]y",
            "\u{1b}[0Ksection_end:1:honeycrate_revoke\r\u{1b}[0Kx\u{1b}[31m\u{9b}2J\u{7}\u{8}",
            "</code></pre></details></summary>--><!-- honeycrate:acme/shop:production:0000000000000000 --><script>x</script><img src=x><h1>x",
            "a|b`c`\n\n| x | y |\n# x\n[l](javascript:x) ![i](http://x/y) @team www.x.y https://x.y #1",
            "]]></failure>\" onload='x' <b onload=x>\u{202e}\u{200b}\u{2028}\u{fffe}\u{ffff}",
        ];
        // All at once, for what is cut; and in pieces that are not.
        let pieces = [hostile[..3].concat(), hostile[3].to_owned(), hostile[4].to_owned(), hostile[5..].concat()];
        let hostile: Vec<String> = [hostile.concat().repeat(20)].into_iter().chain(pieces).collect();
        let mut whole = crate::report::sample::whole();
        whole.placements.extend(sample().disclosed(Disclosure::Placements).placements.clone());
        let document = serde_json::to_value(&whole).expect("serialises");
        let mut ways = Vec::new();
        texts(&document, "", &mut ways);
        let mut taken = 0;
        for way in &ways {
            for (at, text) in hostile.iter().enumerate() {
                let mut document = document.clone();
                *document.pointer_mut(way).expect("it is there") = text.as_str().into();
                // What is a word of ours, a digest or the schema takes no other text.
                let Ok(report) = RunReport::from_json(document.to_string().as_bytes()) else { continue };
                taken += 1;
                let disclosures: &[Disclosure] = if at == 0 { &[Disclosure::Findings, Disclosure::Everything] } else { &[Disclosure::Everything] };
                for (format, disclosure) in formats::TABLE.iter().flat_map(|format| disclosures.iter().map(move |disclosure| (format, disclosure))) {
                    let text = written(&report.disclosed(*disclosure), *format, Some(60));
                    assert_eq!(breach(format.id(), &text), None, "{way} in {}: {text}", format.id());
                }
            }
        }
        assert!(taken > 250, "{taken} of {}", ways.len());
    }

    #[test]
    fn an_unknown_format_is_told_with_the_known_ones() {
        let error = render(&sample(), "pdf", Disclosure::Findings, Style::default(), &mut Vec::new()).expect_err("unknown");
        assert_eq!(
            error.hint().as_deref(),
            Some(
                "one of terminal, json, summary, markdown, html, sarif, junit, gitlab-secret-detection, gitlab-code-quality, gitlab-links, gitlab, github"
            )
        );
    }
}
