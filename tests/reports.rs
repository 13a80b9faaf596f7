//! The reports of one run: as many as are asked for, whole or not there at all, and none with a secret in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::command::{run, wait_for};
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
