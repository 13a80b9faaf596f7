//! `rules list`, `test` and `explain`, and rule files that a user brings: our own, and those of other scanners as they are.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::command::run;
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::Image;

const GITLEAKS: &str = "title = 'mine'\n[extend]\nuseDefault = true\n\n[[allowlists]]\nstopwords = ['sample']\n\n[[rules]]\nid = 'acme-key'\n\
    description = 'AcMe key'\nregex = '''(?i)acme[_-]?key[ =:]{1,3}([a-z0-9]{24})(?:[\\s\"]|$)'''\nentropy = 3\nkeywords = ['acme']\n\n\
    [[rules]]\nid = 'hex'\nregex = '''\\b[0-9a-f]{32}\\b'''\n";
const KINGFISHER: &str = "rules:\n  - name: Acme Deploy Key\n    id: kingfisher.acme.1\n    pattern: |\n      (?xi)\n      \\b ( acmd_  # its prefix\n      \
    [0-9a-f]{24} ) \\b\n    min_entropy: 2.5\n    confidence: high\n    pattern_requirements: {min_digits: 3, ignore_if_contains: [dead]}\n    \
    validation: {type: Http}\n    examples:\n      - 'at acmd_0a1b2c3d4e5f60718293a4b5'\n";

fn ids(report: &Value) -> Vec<String> {
    list(report, "findings").iter().map(|finding| finding["rule"].as_str().expect("text").to_owned()).collect()
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("the folder is writable");
    path.display().to_string()
}

/// Values of which the first is found and the second let pass.
fn values(prefix: &[&str], rest: [&str; 2]) -> [String; 2] {
    rest.map(|rest| prefix.concat() + rest)
}

#[test]
fn rule_files_of_other_scanners_find_and_let_pass_and_what_is_not_taken_over_is_told() {
    let folder = tempdir().expect("scratch");
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).expect("writable");
    file(&rules, "gitleaks.toml", GITLEAKS);
    file(&rules, "acme.yml", KINGFISHER);
    file(&rules, "README.md", "not a rule\n");
    let keys = values(&["AcMe", "_key = "], ["q7w8e9r0t1y2u3i4o5p6a7s8", "q7w8e9rsamplei4o5p6a7s80"]);
    let deploy = values(&["ac", "md_"], ["0a1b2c3d4e5f60718293a4b5", "0a1b2c3d4e5f60718293dead"]);
    let text = format!("{}\n{}\n{}\n{}\n", keys[0], keys[1], deploy[0], deploy[1]);
    let image = Image::shop().layer("COPY .env .", &[("app/settings.txt", &text)]).write(folder.path());
    let honeycrate = Honeycrate::stranger();
    let mut command = honeycrate.command(&["scan", &image, "--rules"]);
    let scanned = honeycrate.reported(command.arg(&rules));
    // Through the reader process, which has the rules and none of their files.
    let mut found = ids(&scanned.report);
    found.retain(|id| id.starts_with("gitleaks-") || id.starts_with("kingfisher-"));
    found.sort();
    assert_eq!(found, ["gitleaks-acme-key", "kingfisher-acme-1"], "{}", scanned.ran.all());
    let notices = scanned.report["notices"].to_string();
    for part in ["useDefault", "gitleaks-hex", "README.md", "kingfisher-acme-1"] {
        assert!(notices.contains(part) && scanned.ran.err().contains(part), "{part} is not told: {}", scanned.ran.all());
    }
    assert_eq!(honeycrate.run(&["rules", "explain", "kingfisher-acme-1", "--rules", &rules.display().to_string()]).code, 0);
}

#[test]
fn a_rule_file_is_tested_by_its_examples_and_on_a_text() {
    let folder = tempdir().expect("scratch");
    let honeycrate = Honeycrate::stranger();
    let good = file(folder.path(), "acme.yml", KINGFISHER);
    let ran = honeycrate.run(&["rules", "test", &good]);
    assert!(ran.code == 0 && ran.out().contains("1 of 1 example found") && ran.out().contains("not taken over"), "{}", ran.all());
    let bad = file(folder.path(), "bad.yml", &KINGFISHER.replace("60718293a4b5'", "short'"));
    let ran = honeycrate.run(&["rules", "test", &bad]);
    assert!(ran.code == 1 && ran.out().contains("example 1 is not found: a literal is on line 1"), "{}", ran.all());

    let text = format!("a\n{}0a1b2c3d4e5f60718293dead\n", ["ac", "md_"].concat());
    let text = file(folder.path(), "text", &text);
    let ran = honeycrate.run(&["rules", "test", &good, "--on", &text]);
    assert!(ran.code == 0 && ran.out().contains("line 2: no finding: it holds a word"), "{}", ran.all());
    let mut command = honeycrate.command(&["rules", "test", &good, "--on", "-"]);
    let ran = run(command.stdin(fs::File::open(&good).expect("readable")));
    assert!(ran.code == 0 && ran.out().contains("kingfisher-acme-1  found"), "{}", ran.all());
}

#[test]
fn what_is_wrong_in_a_rule_file_is_told_by_line() {
    let folder = tempdir().expect("scratch");
    let honeycrate = Honeycrate::stranger();
    let own = "vendor: Acme\nrules:\n  - id: acme-a\n    name: A\n    severity: high\n    confidence: high\n    literals: [acme_]\n    pattern: 'acme_.+'\n\
               \x20   gain: A.\n    revoke: B.\n";
    for (text, part) in [
        (own.to_owned(), "rules:3: rule `acme-a`: a match may reach more"),
        (
            own.replace(".+", "(?:[a-z0-9]{1,900}){1,900}") + "    window: {before: 0, after: 900}\n",
            "rules:3: rule `acme-a`: the pattern is too large",
        ),
        ("vendor: Acme\nrules: {\n".to_owned(), "line"),
        ("[[rules]]\nid = \n".to_owned(), "line 2"),
        (format!("rules:\n- {}", "[".repeat(100_000)), "cannot be read"),
        (format!("[[rules]]\na = {}", "[".repeat(100_000)), "cannot be read"),
        ("x".repeat(9 << 20), "at most 8 MiB"),
    ] {
        let path = file(folder.path(), "rules", &text);
        for arguments in [["rules", "test", &path].to_vec(), ["scan", ".", "--rules", &path].to_vec()] {
            let ran = honeycrate.run(&arguments);
            assert!(ran.code == 2 && ran.err().contains(part), "{part}: {}", ran.all());
        }
    }
}

#[test]
fn hostile_patterns_of_other_scanners_are_left_out_with_a_word() {
    let folder = tempdir().expect("scratch");
    let honeycrate = Honeycrate::stranger();
    let rules: String = ["acme(?:[a-z]{1,1000}){1,1000}", "acme((((a{99}){99}){99}){99}){99}", "acme(?=x)", "(a+)+$", r"acme\1"]
        .iter()
        .enumerate()
        .map(|(number, pattern)| format!("[[rules]]\nid = 'r{number}'\nregex = '''{pattern}'''\n"))
        .collect();
    let hostile = file(folder.path(), "hostile.toml", &rules);
    let ran = honeycrate.run(&["rules", "test", &hostile]);
    assert_eq!((ran.code, ran.out().matches("not taken over  ").count() >= 5), (0, true), "{}", ran.all());
    assert!(ran.out().contains("0 rules"), "{}", ran.all());
    let many: String = (0..5_001).map(|number| format!("[[rules]]\nid = 'r{number}'\nregex = '''acme{number}_[a-z]'''\n")).collect();
    let many = file(folder.path(), "many.toml", &many);
    let ran = honeycrate.run(&["rules", "test", &many]);
    assert!(ran.code == 2 && ran.err().contains("more than 5000"), "{}", ran.all());
}

#[test]
fn rules_are_listed_by_words_and_for_programs() {
    let honeycrate = Honeycrate::stranger();
    let all = honeycrate.run(&["rules", "list"]).out();
    let some = honeycrate.run(&["rules", "list", "GitHub", "critical"]).out();
    assert!(all.lines().count() > 250 && some.lines().count() < 20);
    assert!(some.lines().all(|line| line.to_lowercase().contains("github") && line.contains("critical")), "{some}");
    let rows = honeycrate.run(&["rules", "list", "--json", "npm-access-token"]).out();
    let row: Value = serde_json::from_str(rows.lines().next().expect("a row")).expect("JSON");
    assert_eq!((&row["id"], row["revoke"].is_string()), (&Value::from("npm-access-token"), true));
    let explained = honeycrate.run(&["rules", "explain", "npm-access-token"]);
    assert_eq!(explained.out(), honeycrate.run(&["explain", "npm-access-token"]).out());
    let near = honeycrate.run(&["rules", "explain", "npm-access-tokn"]);
    assert!(near.code == 2 && near.err().contains("did you mean `npm-access-token`"), "{}", near.all());
}

#[test]
fn the_rule_file_of_the_guide_is_as_it_should_be() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md")).expect("the guide");
    let block = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a rule file");
    let folder = tempdir().expect("scratch");
    let ran = Honeycrate::stranger().run(&["rules", "test", &file(folder.path(), "acme.yaml", block)]);
    assert!(ran.code == 0 && ran.out().contains("1 of 1 example found, 1 of 1 counter-example let pass"), "{}", ran.all());
}
