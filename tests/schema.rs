//! `schema/run-v1.json` against the reports that the program really writes: each is what the schema says, and says nothing else.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};
use tempfile::tempdir;

use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token, write_index};
use crate::common::registry::{Auth, Registry};

/// As much of JSON Schema as our document uses. Other words in it are an error, and so are members that it does not name.
pub(crate) struct Schema {
    root: Value,
    /// The members that some report had, by their way from the root.
    seen: BTreeSet<String>,
}

impl Schema {
    pub(crate) fn read() -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/run-v1.json");
        let root = serde_json::from_slice(&std::fs::read(path).expect("the schema")).expect("JSON");
        Self { root, seen: BTreeSet::new() }
    }

    /// What is wrong with a report, if something is.
    pub(crate) fn problem(&mut self, report: &Value) -> Option<String> {
        let root = self.root.clone();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.check(&root, report, "$"))).err()?;
        Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it does not fit".to_owned()))
    }

    fn resolve(&self, rule: &Value) -> Value {
        match rule["$ref"].as_str() {
            Some(name) => self.root["$defs"][name.strip_prefix("#/$defs/").expect("a definition of ours")].clone(),
            None => rule.clone(),
        }
    }

    fn check(&mut self, rule: &Value, value: &Value, way: &str) {
        let rule = self.resolve(rule);
        let rule = rule.as_object().unwrap_or_else(|| panic!("{way}: the schema has no rule"));
        for (word, wanted) in rule {
            match word.as_str() {
                "$schema" | "$defs" | "title" | "description" | "properties" => {}
                "type" => {
                    let fits = match wanted.as_str() {
                        Some("object") => value.is_object(),
                        Some("array") => value.is_array(),
                        Some("string") => value.is_string(),
                        Some("integer") => value.is_i64() || value.is_u64(),
                        Some("boolean") => value.is_boolean(),
                        _ => panic!("{way}: unknown type {wanted}"),
                    };
                    assert!(fits, "{way}: {value} is no {wanted}");
                }
                "const" => assert_eq!(value, wanted, "{way}"),
                "enum" => assert!(wanted.as_array().is_some_and(|values| values.contains(value)), "{way}: {value} is not in {wanted}"),
                "maxItems" => assert!(value.as_array().map(Vec::len) <= wanted.as_u64().map(|most| most as usize), "{way}: too many"),
                "minimum" => assert!(value.as_i64() >= wanted.as_i64(), "{way}: {value}"),
                "pattern" => {
                    let pattern = Regex::new(wanted.as_str().expect("a pattern")).expect("a regular expression");
                    assert!(value.as_str().is_some_and(|text| pattern.is_match(text)), "{way}: {value} does not fit {wanted}");
                }
                "required" => {
                    for name in wanted.as_array().expect("names") {
                        assert!(value.get(name.as_str().expect("a name")).is_some(), "{way}: {name} is missing");
                    }
                }
                "items" => {
                    for item in value.as_array().expect("an array") {
                        self.check(wanted, item, &format!("{way}[]"));
                    }
                }
                other => panic!("{way}: the test does not know `{other}`"),
            }
        }
        let named = rule.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, member) in value.as_object().unwrap_or(&Map::new()) {
            let below = format!("{way}.{name}");
            let rule = named.get(name).unwrap_or_else(|| panic!("{below} is not in the schema"));
            self.check(rule, member, &below);
            self.seen.insert(below);
        }
    }
}

#[test]
fn reports_are_as_the_schema_says() {
    let mut schema = Schema::read();
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let at = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("the folder is writable");
        path
    };
    let clean = write_index(&at("clean"), &[Image::shop(), Image::shop().architecture("arm64")]);
    let secret = github_token(60);
    let leak = Image::shop()
        .layer("COPY .env .", &[("app/.env", &github_token(62)), ("app/one", &secret), ("app/two", &secret)])
        .env("GITHUB", &github_token(61));
    let leaky = write_index(&at("leaky"), &[leak.clone(), leak.architecture("arm64")]);
    let today = time::OffsetDateTime::now_utc().date();
    let exception = format!("exceptions:\n  - {{ rule: github-personal-token, path: app/.env, reason: a fixture, owner: ann, expires: {today} }}\n");

    let mut reports = Vec::new();
    let mut ship = honeycrate.ship(&clean, &registry, "acme/shop:1");
    ship.env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_SHA", "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90")
        .env("GITHUB_REPOSITORY", "acme/shop");
    reports.push(("passed", honeycrate.reported(&mut ship).report));
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), exception).expect("the home is writable");
    reports.push(("denied", honeycrate.reported(&mut honeycrate.ship(&leaky, &registry, "acme/leaky:1")).report));
    reports.push(("error", honeycrate.reported(&mut honeycrate.ship("oci:/nowhere:1", &registry, "acme/shop:1")).report));
    let file = folder.path().join("clean/oci-layout").display().to_string();
    reports.push(("passed", honeycrate.reported(&mut honeycrate.command(&["scan", &file])).report));

    let root = schema.root.clone();
    for (outcome, report) in &reports {
        assert_eq!(report["verdict"]["outcome"], *outcome, "{report}");
        schema.check(&root, report, "$");
    }
    // What readers rely on was really there to be looked at.
    for member in [
        "$.source.digest",
        "$.source.platforms[].layers",
        "$.coverage.cached_layers",
        "$.context.commit",
        "$.findings[].layer.diff_id",
        "$.findings[].layer.instruction",
        "$.findings[].line",
        "$.findings[].exception.owner",
        "$.findings[].platforms",
        "$.placements[].fingerprint",
        "$.pushed[].digest",
        "$.timings.read_ms",
        "$.timings.scan_ms",
        "$.timings.plant_ms",
        "$.timings.push_ms",
        "$.timings.total_ms",
        "$.findings[].also_in",
        "$.error.exit_code",
    ] {
        assert!(schema.seen.contains(member), "{member} was in no report: {:?}", schema.seen);
    }
    assert!(!list(&reports[1].1, "findings").is_empty());
}
