//! Scans what an image says about itself: environment, labels, commands, history, annotations.

use std::collections::{BTreeMap, HashSet};

use crate::image::stored::Image;
use crate::scan::content::{ContentHit, ContentScanner};
use crate::scan::finding::FoundIn;
use crate::scan::rule_set::RuleSet;

/// A secret in a config or manifest.
#[derive(Debug)]
pub struct ConfigHit<'r> {
    pub surface: FoundIn,
    /// The variable, label or annotation; for a step of the history, its number from 0.
    pub name: Option<String>,
    pub hit: ContentHit<'r>,
}

/// All secrets in an image's config and manifest. Each value is a text of its own; variables are read with their names before them.
#[must_use]
pub fn scan_config<'r>(image: &Image, rules: &'r RuleSet, now: i64) -> Vec<ConfigHit<'r>> {
    let config = &image.config;
    let mut scan = ConfigScan { scanner: ContentScanner::new(rules, now), hits: Vec::new() };
    for line in &config.env {
        // A line without a name is all value.
        scan.text(FoundIn::Env, line.split_once('=').map(|(name, _)| name), line);
    }
    scan.map(FoundIn::Label, &config.labels);
    scan.text(FoundIn::Entrypoint, None, &config.entrypoint.join(" "));
    scan.text(FoundIn::Command, None, &config.cmd.join(" "));
    scan.text(FoundIn::Healthcheck, None, &config.healthcheck.join(" "));
    for (number, step) in config.history.iter().enumerate() {
        for text in [&step.created_by, &step.comment, &step.author].into_iter().flatten() {
            scan.text(FoundIn::History, Some(&number.to_string()), text);
        }
    }
    scan.map(FoundIn::Annotation, &image.manifest.annotations);
    for layer in &image.manifest.layers {
        scan.map(FoundIn::Annotation, &layer.annotations);
    }
    scan.map(FoundIn::Annotation, &image.manifest.config.annotations);
    scan.rest(&config.bytes, "config");
    scan.rest(&image.manifest.bytes, "manifest");
    scan.hits
}

/// All secrets in some annotations.
#[must_use]
pub fn scan_annotations<'r>(annotations: &BTreeMap<String, String>, rules: &'r RuleSet, now: i64) -> Vec<ConfigHit<'r>> {
    let mut scan = ConfigScan { scanner: ContentScanner::new(rules, now), hits: Vec::new() };
    scan.map(FoundIn::Annotation, annotations);
    scan.hits
}

struct ConfigScan<'r> {
    scanner: ContentScanner<'r>,
    hits: Vec<ConfigHit<'r>>,
}

impl<'r> ConfigScan<'r> {
    fn map(&mut self, surface: FoundIn, values: &BTreeMap<String, String>) {
        for (name, value) in values {
            self.text(surface, Some(name), &format!("{name}={value}"));
        }
    }

    fn text(&mut self, surface: FoundIn, name: Option<&str>, text: &str) {
        for hit in self.scan(text.as_bytes()) {
            self.hits.push(ConfigHit { surface, name: name.map(str::to_owned), hit });
        }
    }

    /// Members that nobody has named, such as a builder's notes. Guesses from context would only see the JSON around known values.
    fn rest(&mut self, document: &[u8], name: &str) {
        let known: HashSet<_> = self.hits.iter().map(|found| found.hit.fingerprint.clone()).collect();
        for hit in self.scan(document) {
            if !hit.rule.generic && !known.contains(&hit.fingerprint) {
                self.hits.push(ConfigHit { surface: FoundIn::Annotation, name: Some(name.to_owned()), hit });
            }
        }
    }

    fn scan(&mut self, text: &[u8]) -> Vec<ContentHit<'r>> {
        let mut hits = Vec::new();
        self.scanner.scan(b"", &mut &text[..], &mut |hit| hits.push(hit)).expect("memory can be read");
        hits
    }
}
