//! The reports of one run: as many as are asked for, whole or not there at all, and none with a secret in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::command::{program, run, wait_for};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn one_run_writes_every_report_that_is_asked_for() {
    let (honeycrate, layout) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let (copied, given, variable) = (github_token(81), github_token(82), github_token(83));
    let image = Image::shop()
        .layer("COPY . /app # buildkit", &[("app/.env", &format!("A=1\nGITHUB_TOKEN={copied}\n"))])
        .layer("RUN /bin/sh -c rm /app/.env # buildkit", &[("app/.wh..env", "")])
        .step(&format!("RUN |1 GIT_TOKEN={given} /bin/sh -c make # buildkit"))
        .env("API_TOKEN", &variable);
    let source = image.write(layout.path());
    let files = [
        "whole.json",
        "page.html",
        "scan.sarif",
        "tests.xml",
        "summary.md",
        "gl-secret-detection-report.json",
        "gl-code-quality-report.json",
        "terminal=plain.txt",
    ];
    let mut command = honeycrate.command(&["scan", &source, "--quiet"]);
    files.iter().for_each(|file| _ = command.args(["--report", file]));
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{}", ran.all());
    let texts = files.map(|file| read(honeycrate.home(), file.trim_start_matches("terminal=")));
    for (file, text) in files.iter().zip(&texts) {
        for secret in [&copied, &given, &variable] {
            assert!(!text.contains(&secret[8..24]), "{file} holds a secret");
        }
        assert!(text.contains("github-personal-token"), "{file}: {text}");
    }
    let parse = |at: usize| serde_json::from_str::<Value>(&texts[at]).unwrap_or_else(|error| panic!("{}: {error}", files[at]));
    let findings = parse(0);
    let by_surface = |surface: &str| {
        let found = list(&findings, "findings").iter().find(|finding| finding["surface"] == surface);
        found.unwrap_or_else(|| panic!("no finding in {surface}: {findings:#}")).clone()
    };
    let file = by_surface("file");
    assert_eq!((&file["state"], &file["line"], &file["column"]), (&json!("deleted"), &json!(2), &json!(14)), "{file}");
    assert_eq!(file["prevention"]["change"], json!({ "file": ".dockerignore", "line": ".env" }));
    assert!(file["prevention"]["text"].as_str().is_some_and(|text| text.starts_with("Deleting it later does not remove it")), "{file}");
    assert!(file["why"].as_str().is_some_and(|why| why.contains("crc32-base62")), "{file}");
    let mount = |name: &str, command: &str| {
        let line = format!("RUN --mount=type=secret,id={},env={name} {command}", name.to_lowercase());
        json!({ "file": "Dockerfile", "line": line })
    };
    let history = by_surface("history");
    assert_eq!(history["prevention"]["change"], mount("GIT_TOKEN", "make"), "{history}");
    assert!(history["step"].as_str().is_some_and(|step| step.starts_with("RUN |1 GIT_TOKEN=ghp_…")), "{history}");
    assert_eq!(by_surface("env")["prevention"]["change"], mount("API_TOKEN", "…"));
    let steps = findings["source"]["platforms"][0]["steps"].as_array().expect("steps");
    assert_eq!(steps.iter().filter(|step| step["layer"].is_object()).count(), 7, "{steps:#?}");
    assert_eq!(list(&parse(2)["runs"][0], "results").len(), list(&findings, "findings").len());
    assert_eq!(list(&parse(5), "vulnerabilities").len(), list(&findings, "findings").len());
    assert_eq!(parse(6).as_array().map(Vec::len), Some(list(&findings, "findings").len()));
    assert!(texts[3].contains("<failure ") && texts[1].contains("<ol class=\"stack\">"));
    assert!(texts[7].contains("REVOKE NOW") && !texts[7].contains('\u{1b}'), "{}", texts[7]);
    // What is left beside the reports would be half of one.
    let left: Vec<String> = std::fs::read_dir(honeycrate.home())
        .expect("the home")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".tmp"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_scan() {
    let honeycrate = Honeycrate::stranger();
    for (report, word) in [("pdf=x.pdf", "no report format `pdf`"), ("nowhere/x.html", "no folder nowhere")] {
        let ran = honeycrate.run(&["scan", "/nonexistent", "--report", report]);
        assert!(ran.code == 2 && ran.err().contains(word), "{report}: {}", ran.all());
    }
}

#[test]
fn an_interrupted_run_leaves_no_report_and_spoils_none() {
    let (honeycrate, folder) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    std::fs::write(folder.path().join("old.json"), "kept").expect("the folder is writable");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let reports = ["--report", &path("old.json"), "--report", &path("new.html")];
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).expect("the folder is writable");
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    // It waits for an end of stdin that does not come. When it has its scratch folder, it listens to signals.
    let mut child = honeycrate.command(&["scan", "-"]).args(reports).env("TMPDIR", &scratch).stdin(Stdio::piped()).spawn().expect("starts");
    wait_for("the run to begin", 60, || (!names(&scratch).is_empty()).then_some(()));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::INT).expect("it runs");
    let ended = child.wait().expect("a child");
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    assert_eq!(read(folder.path(), "old.json"), "kept");
    assert_eq!(names(folder.path()), BTreeSet::from(["old.json".to_owned(), "scratch".to_owned()]));
    assert_eq!(names(&scratch), BTreeSet::new());
}

/// What GitHub's and SARIF's own checkers say against a document.
fn complaints(sarif: &Path) -> String {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
    let tools = cache.join("node/node_modules/@microsoft/sarif-multitool-linux");
    let home = tempdir().expect("scratch");
    let mut checker = program(tools.join("Sarif.Multitool"), home.path());
    checker.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").arg("validate").arg(sarif);
    // Its exit code is 0 whatever it finds.
    let said = run(checker.args(["--rule-kind", "Sarif;Ghas", "--level", "Error;Warning"])).all();
    assert!(said.contains("1 file"), "the checker has not read it: {said}");
    let by_rules = said.lines().filter(|line| line.contains(": error ") || line.contains(": warning "));
    let by_rules: Vec<&str> = by_rules.filter(|line| !ADVICE.iter().any(|rule| line.contains(rule))).collect();
    let schema = tools.join("sarif-2.1.0.json");
    let mut checker = program(cache.join("venv/bin/check-jsonschema"), home.path());
    let by_schema = run(checker.arg("--schemafile").arg(schema).arg(sarif));
    let by_schema = if by_schema.code == 0 { String::new() } else { by_schema.all() };
    by_rules.join("\n") + &by_schema
}

/// What the checker advises and GitHub does not ask for: an address of the tool, which is told once its package has one.
const ADVICE: [&str; 1] = ["SARIF2005"];

#[test]
fn code_scanning_takes_the_sarif_of_every_run() {
    let (honeycrate, layout) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let leaky = Image::shop()
        .layer("COPY . /app # buildkit", &[("app/.env", &format!("GITHUB_TOKEN={}\n", github_token(84)))])
        .env("API_TOKEN", &github_token(85))
        .write(&layout.path().join("leaky"));
    let folder = honeycrate.home().join("files");
    std::fs::create_dir(&folder).expect("the home is writable");
    std::fs::write(folder.join("a b.env"), format!("TOKEN={}\n", github_token(86))).expect("the folder is writable");
    let clean = Image::shop().write(&layout.path().join("clean"));
    for (source, code) in [(leaky.as_str(), 1), (&folder.display().to_string(), 1), (&clean, 0), ("oci:/nowhere:1", 3)] {
        let ran = honeycrate.run(&["scan", source, "--report", "run.sarif"]);
        assert_eq!(ran.code, code, "{}", ran.all());
        let file = honeycrate.home().join("run.sarif");
        assert_eq!(complaints(&file), "", "{source}: {}", read(honeycrate.home(), "run.sarif"));
        let document: Value = serde_json::from_str(&read(honeycrate.home(), "run.sarif")).expect("JSON");
        let category = document["runs"][0]["automationDetails"]["id"].as_str().expect("a category");
        assert!(category.starts_with("honeycrate/") && category.ends_with("/default/"), "{category}");
    }
    // And it does find what is missing.
    let file = honeycrate.home().join("run.sarif");
    let mut document: Value = serde_json::from_str(&read(honeycrate.home(), "run.sarif")).expect("JSON");
    document["runs"][0]["results"] = json!([{ "ruleId": "x", "message": { "text": "X." } }]);
    std::fs::write(&file, document.to_string()).expect("writable");
    assert!(complaints(&file).contains("GH1"), "{}", complaints(&file));
}
