//! GitLab's annotations report: links that stand on the page of a job.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::report::escape::{self, web_address};
use crate::report::formats::contract::{Format, Style};
use crate::report::order::by_urgency;
use crate::report::run_report::RunReport;
use crate::report::words;

/// Pages of vendors that are linked; the report has them all.
const MOST: usize = 10;

#[derive(Debug)]
pub struct Links;

impl Format for Links {
    fn id(&self) -> &'static str {
        "gitlab-links"
    }

    fn describe(&self) -> &'static str {
        "GitLab's annotations report (artifacts:reports:annotations): links to the reports, and to where secrets are revoked"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["gl-annotations.json"]
    }

    fn write(&self, report: &RunReport, out: &mut dyn Write, _: Style) -> io::Result<()> {
        escape::write_json(&document(report), out)
    }
}

/// Source: GitLab docs, "artifacts:reports:annotations"; gitlab-org/gitlab, `ci_job_annotation_data.json`.
fn document(report: &RunReport) -> Value {
    let job = report.context.job.as_deref().and_then(web_address).filter(|job| job.contains("/-/jobs/"));
    let files = job
        .map(|job| link(&format!("honeycrate {}: its reports", words::outcome(report)), &format!("{}/artifacts/browse", job.trim_end_matches('/'))));
    let mut told = BTreeSet::new();
    let blocking = by_urgency(report).into_iter().flat_map(|(_, found)| found).map(|at| &report.findings[at]).filter(|reported| reported.blocking);
    let pages = blocking
        .filter_map(|reported| Some((reported, words::page_of_vendor(reported)?)))
        .filter(|(_, address)| told.insert(address.to_owned()))
        .take(MOST)
        .map(|(reported, address)| link(&format!("How to revoke: {}", escape::line(&reported.title)), address));
    json!({ "honeycrate": files.into_iter().chain(pages).collect::<Vec<_>>() })
}

fn link(label: &str, url: &str) -> Value {
    json!({ "external_link": { "label": label.chars().take(255).collect::<String>(), "url": url } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{odd, sample};

    #[test]
    fn a_job_links_to_its_reports_and_to_where_secrets_are_revoked() {
        let mut report = sample();
        report.findings[0].finding.rule = "github-personal-token".to_owned();
        let page = words::page_of_vendor(&report.findings[0]).expect("a page of the vendor");
        report.context.job = Some("https://gitlab.example/acme/shop/-/jobs/7".to_owned());
        assert_eq!(
            document(&report),
            json!({ "honeycrate": [
                { "external_link": { "label": "honeycrate denied: its reports", "url": "https://gitlab.example/acme/shop/-/jobs/7/artifacts/browse" } },
                { "external_link": { "label": "How to revoke: GitHub personal access token", "url": page } },
            ] })
        );
    }

    #[test]
    fn only_plain_web_addresses_are_linked() {
        for (what, report) in odd() {
            for link in document(&report)["honeycrate"].as_array().expect("a list") {
                let (label, url) = (link["external_link"]["label"].as_str().expect("text"), link["external_link"]["url"].as_str().expect("text"));
                assert!(label.chars().count() <= 255 && url.starts_with("http") && !url.contains(char::is_whitespace), "{what}: {link}");
            }
        }
    }
}
