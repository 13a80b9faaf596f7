//! `scan` and the gate: a secret of its own in every place of an image, told with surface, state, layer, line and instruction.

use serde_json::{Value, json};
use tempfile::tempdir;
use time::{Duration, OffsetDateTime};

use honeycrate::scan::rule_set::RuleSet;

use crate::common::command::run;
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};

#[test]
fn a_secret_in_each_place_is_told_with_surface_state_layer_line_and_step() {
    let secret: Vec<String> = (40..50).map(github_token).collect();
    let hidden = github_token(50);
    let layout = tempdir().expect("scratch");
    let kept = format!("# settings\nport=1\ntoken={}\n", secret[0]);
    let image = Image::shop()
        .layer(
            &format!("RUN |1 TOKEN={hidden} /bin/sh -c make # buildkit"),
            &[("app/kept.cfg", &kept), ("app/gone.cfg", &secret[1]), ("app/old.cfg", &secret[2])],
        )
        .layer("RUN /bin/sh -c rm gone.cfg # buildkit", &[("app/.wh.gone.cfg", ""), ("app/old.cfg", "empty\n")])
        .env("GITHUB", &secret[3])
        .step(&format!("RUN |1 T={} /bin/sh -c true # buildkit", secret[4]))
        .setting("Labels", json!({ "org.acme.build": secret[5] }))
        .setting("Entrypoint", json!(["/app/run", "--token", secret[6]]))
        .setting("Cmd", json!(["serve", format!("--auth={}", secret[7])]))
        .setting("Healthcheck", json!({ "Test": ["CMD", "curl", "-H", format!("Authorization: token {}", secret[8]), "http://localhost"] }))
        .annotation("org.acme.source", &secret[9]);
    let source = image.write(layout.path());
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(layout.path().join(name)).expect("a layout")).expect("JSON") };
    let at = |digest: &Value| format!("blobs/{}", digest.as_str().expect("a digest").replace(':', "/"));
    let manifest = read(&at(&read("index.json")["manifests"][0]["digest"]));
    let config = read(&at(&manifest["config"]["digest"]));

    let honeycrate = Honeycrate::stranger();
    let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", &source]));
    assert_eq!(scanned.ran.code, 1, "{}", scanned.ran.all());
    let findings = list(&scanned.report, "findings");
    let expected = [
        ("file", "live", Some("app/kept.cfg"), Some(3)),
        ("file", "deleted", Some("app/gone.cfg"), Some(1)),
        ("file", "overwritten", Some("app/old.cfg"), Some(1)),
        ("env", "live", Some("GITHUB"), None),
        ("history", "live", Some("9"), None),
        ("label", "live", Some("org.acme.build"), None),
        ("entrypoint", "live", None, None),
        ("command", "live", None, None),
        ("healthcheck", "live", None, None),
        ("annotation", "live", Some("org.acme.source"), None),
    ];
    for (surface, state, path, line) in expected {
        let fits = |finding: &&Value| {
            finding["surface"] == surface
                && finding["state"] == state
                && finding["path"].as_str().is_none_or(|found| path.is_none_or(|path| found == path))
        };
        let finding = findings.iter().find(fits).unwrap_or_else(|| panic!("{surface} {state} {path:?} is not in {findings:#?}"));
        assert_eq!(finding["rule"], "github-personal-token", "{finding}");
        assert_eq!((&finding["severity"], &finding["confidence"]), (&json!("critical"), &json!("high")));
        assert!(finding["fingerprint"].as_str().is_some_and(|text| !text.is_empty()));
        if let Some(line) = line {
            assert_eq!(finding["line"], line, "{finding}");
            // The sixth layer, counted from 0.
            assert_eq!(finding["layer"]["index"], 5, "{finding}");
            assert_eq!(finding["layer"]["digest"], manifest["layers"][5]["digest"]);
            assert_eq!(finding["layer"]["diff_id"], config["rootfs"]["diff_ids"][5]);
            let instruction = finding["layer"]["instruction"].as_str().expect("the step that made it");
            assert!(instruction.starts_with("RUN |1 TOKEN=") && instruction.ends_with("/bin/sh -c make # buildkit"), "{instruction}");
        }
    }
    // The step's own secret is the eleventh, and the variable's history entry holds the variable's once more.
    let mut fingerprints: Vec<&str> = findings.iter().filter_map(|finding| finding["fingerprint"].as_str()).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), secret.len() + 1, "{findings:#?}");
    let told = scanned.ran.all() + &scanned.report.to_string();
    for secret in secret.iter().chain([&hidden]) {
        assert!(!told.contains(secret.as_str()) && !told.contains(&secret[8..24]), "a secret is told");
    }
}

/// A sample of a rule with this severity.
fn sample(rule: &str, severity: &str) -> String {
    let rule = RuleSet::builtin().get(rule).expect("a rule");
    assert_eq!(rule.severity.name(), severity);
    rule.examples[0].clone()
}

#[test]
fn each_severity_denies_from_its_own_threshold_on() {
    let severities = ["low", "medium", "high", "critical"];
    let samples = [
        sample("stripe-test-key", "low"),
        sample("groq-xai-key", "medium"),
        sample("packagist-token", "high"),
        sample("github-personal-token", "critical"),
    ];
    let honeycrate = Honeycrate::stranger();
    for (severity, text) in samples.iter().enumerate() {
        let file = honeycrate.home().join("sample.txt");
        std::fs::write(&file, format!("{text}\n")).expect("the home is writable");
        let scan = |more: &[&str]| honeycrate.run(&[&["scan", file.to_str().expect("a plain path")], more].concat()).code;
        for (threshold, name) in severities.iter().enumerate() {
            assert_eq!(scan(&["--fail-on", name]), i32::from(severity >= threshold), "{} under --fail-on {name}", severities[severity]);
        }
        assert_eq!(scan(&["--fail-on", "none"]), 0);
        assert_eq!(scan(&[]), i32::from(severity >= 2), "the default is high");
    }
}

#[test]
fn an_exception_counts_with_reason_owner_and_a_near_end() {
    let layout = tempdir().expect("scratch");
    let source = Image::shop().layer("COPY test .", &[("app/test/key", &github_token(51))]).write(layout.path());
    let day = |days: i64| (OffsetDateTime::now_utc().date() + Duration::days(days)).to_string();
    let who = "reason: a fixture, owner: ann";
    let rows = [
        (format!("rule: github-personal-token, path: \"app/test/**\", {who}, expires: {}", day(30)), 0, "a fixture"),
        (format!("rule: github-personal-token, path: \"app/test/**\", {who}, expires: {}", day(0)), 0, "a fixture"),
        (format!("rule: github-personal-token, path: \"app/test/**\", {who}, expires: {}", day(-1)), 1, "expired"),
        (format!("rule: github-personal-token, path: \"app/test/**\", {who}, expires: {}", day(500)), 1, "366 days"),
        (format!("rule: github-personal-token, path: \"app/src/**\", {who}, expires: {}", day(30)), 1, "github-personal-token"),
        (format!("rule: npm-access-token, {who}, expires: {}", day(30)), 1, "github-personal-token"),
        (format!("rule: github-personal-token, reason: a fixture, expires: {}", day(30)), 2, "no `owner`"),
        (format!("rule: github-personal-token, reason: a fixture, owner: \" \", expires: {}", day(30)), 2, "owner"),
        ("rule: github-personal-token, reason: a fixture, owner: ann".to_owned(), 2, "no `expires`"),
        (format!("{who}, expires: {}", day(30)), 2, "matches everything"),
    ];
    for (exception, code, word) in rows {
        let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), format!("exceptions:\n  - {{ {exception} }}\n")).expect("the home is writable");
        let ran = run(&mut honeycrate.ship(&source, &registry, "acme/shop:1"));
        assert_eq!(ran.code, code, "{exception}: {}", ran.all());
        assert!(ran.all().contains(word), "{exception}: {}", ran.all());
        assert_eq!(registry.writes().is_empty(), code != 0, "{exception}");
    }
}

#[test]
fn there_are_rules_enough_and_each_is_tried_both_ways() {
    let rules: Vec<_> = RuleSet::builtin().iter().collect();
    assert!(rules.len() >= 40, "{}", rules.len());
    for rule in rules {
        assert!(!rule.examples.is_empty() && !rule.counter_examples.is_empty(), "{} lacks a sample", rule.id);
    }
}
