//! What may pass, and why: exceptions, baselines, comments in files and other scanners' ignore files. Nothing that passes goes unsaid.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;
use time::{Duration, OffsetDateTime};

use crate::common::command::Ran;
use crate::common::honeycrate::{Honeycrate, Reported, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};
use crate::schema::Schema;

fn day(days: i64) -> String {
    (OffsetDateTime::now_utc().date() + Duration::days(days)).to_string()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
    std::fs::write(path, text).expect("the folder is writable");
}

fn scan(honeycrate: &Honeycrate, arguments: &[&str]) -> Reported {
    let scanned = honeycrate.reported(&mut honeycrate.command(&[&["scan"], arguments].concat()));
    if !scanned.report.is_null() {
        assert_eq!(Schema::read().problem(&scanned.report), None);
    }
    scanned
}

/// Fingerprints, in the order of the findings.
fn fingerprints(report: &Value) -> Vec<String> {
    list(report, "findings").iter().map(|finding| finding["fingerprint"].as_str().expect("text").to_owned()).collect()
}

fn silenced_by(report: &Value) -> Vec<&str> {
    list(report, "findings").iter().map(|finding| finding["silenced"]["by"].as_str().unwrap_or("-")).collect()
}

fn says(ran: &Ran, words: &str) {
    assert!(ran.all().contains(words), "`{words}` is not in:\n{}", ran.all());
}

#[test]
fn a_fingerprint_is_the_owners_own_outlives_a_rotation_and_old_exceptions_still_count() {
    let folder = tempdir().expect("scratch");
    let image = Image::shop().layer("COPY .env .", &[("app/.env", &github_token(80))]).write(folder.path());
    let (stranger, owner, other) = (Honeycrate::stranger(), Honeycrate::new(), Honeycrate::new());
    let look = |honeycrate: &Honeycrate| {
        let scanned = scan(honeycrate, &[&image]);
        (scanned.report["fingerprints"].as_str().expect("said").to_owned(), fingerprints(&scanned.report))
    };
    let (unkeyed, keyed) = (look(&stranger), look(&owner));
    assert_eq!((unkeyed.0.as_str(), keyed.0.as_str()), ("unkeyed", "keyed"));
    assert!(keyed.1 != unkeyed.1 && look(&other).1 != keyed.1 && look(&Honeycrate::stranger()) == unkeyed);
    assert_eq!(owner.run(&["key", "rotate"]).code, 0);
    assert_eq!(look(&owner), keyed);
    // From the cache as from the layer, and whichever of the two somebody wrote down.
    for fingerprint in [&unkeyed.1[0], &keyed.1[0]] {
        let exception = format!("exceptions: [{{ fingerprint: \"{fingerprint}\", reason: a fixture, owner: ann, expires: {} }}]\n", day(9));
        write(&owner.home().join("honeycrate.yaml"), &exception);
        let scanned = scan(&owner, &[&image]);
        assert_eq!((scanned.ran.code, silenced_by(&scanned.report)), (0, vec!["exception"]), "{}", scanned.ran.all());
        assert_eq!(fingerprints(&scanned.report), keyed.1);
    }
    assert!(!serde_json::to_string(&scan(&owner, &[&image]).report).expect("JSON").contains(&unkeyed.1[0]));
}

#[test]
fn ignore_writes_an_exception_that_counts_is_listed_and_ends() {
    let honeycrate = Honeycrate::new();
    let home = honeycrate.home().to_owned();
    write(&home.join("tree/app/.env"), &format!("TOKEN={}\n", github_token(81)));
    let first = scan(&honeycrate, &["tree"]);
    assert_eq!(first.ran.code, 1);
    let fingerprint = fingerprints(&first.report).remove(0);
    let file = home.join(".honeycrateignore");

    let until = day(30);
    let ask = |more: &[&str]| honeycrate.run(&[&["ignore"], more].concat());
    for (arguments, words) in [
        (&[fingerprint.as_str(), "--reason", "x", "--until", until.as_str()][..], "add --owner"),
        (&[&fingerprint, "--reason", " ", "--until", &until, "--owner", "ann"], "no reason"),
        (&[&fingerprint, "--reason", "x", "--until", "soon", "--owner", "ann"], "not a date"),
        (&[&fingerprint, "--reason", "x", "--until", &day(-1), "--owner", "ann"], "is past"),
        (&[&fingerprint, "--reason", "x", "--until", &day(500), "--owner", "ann"], "366 days"),
        (&["xyz", "--reason", "x", "--until", &until, "--owner", "ann"], "16 hexadecimal"),
    ] {
        let ran = ask(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}");
        says(&ran, words);
    }
    assert!(!file.exists());
    assert_eq!(ask(&[&fingerprint, "--reason", "test key: trusted \"nowhere\"", "--until", &until, "--owner", "ann"]).code, 0);
    assert_eq!(ask(&["--rule", "npm-access-token", "--path", "test/**", "--reason", "x", "--until", &until, "--owner", "bob"]).code, 0);
    says(&ask(&[&fingerprint, "--reason", "again", "--until", &until, "--owner", "ann"]), ".honeycrateignore:2) already");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().expect("written").permissions());
    assert_eq!(mode & 0o777, 0o644);

    let scanned = scan(&honeycrate, &["tree"]);
    assert_eq!(scanned.ran.code, 0, "{}", scanned.ran.all());
    assert_eq!(list(&scanned.report, "findings")[0]["silenced"]["source"], ".honeycrateignore:2");
    let exceptions = list(&scanned.report, "exceptions");
    let told: Vec<_> = exceptions.iter().map(|one| (one["owner"].as_str(), one["in_force"].as_bool(), one["findings"].as_u64())).collect();
    assert_eq!(told, [(Some("ann"), Some(true), Some(1)), (Some("bob"), Some(true), Some(0))]);
    says(&scanned.ran, "let pass: 1 by exceptions");
    says(&scanned.ran, "1 exception matched nothing here: .honeycrateignore:6");

    let text = std::fs::read_to_string(&file).expect("written");
    write(&file, &text.replacen(&until, &day(-1), 1));
    let scanned = scan(&honeycrate, &["tree"]);
    assert_eq!(scanned.ran.code, 1);
    says(&scanned.ran, "has expired and no longer counts");
    assert_eq!(list(&scanned.report, "exceptions")[0]["in_force"], false);

    write(&file, &format!("- {{ fingerprint: \"{fingerprint}\" }}\n"));
    let ran = honeycrate.run(&["scan", "tree"]);
    assert_eq!(ran.code, 2);
    for words in [".honeycrateignore:1:3: an exception has no `reason`", "no `owner`", "no `expires`"] {
        says(&ran, words);
    }
}

#[test]
fn known_findings_do_not_deny_new_ones_do_and_the_file_is_stable() {
    let honeycrate = Honeycrate::new();
    let home = honeycrate.home().to_owned();
    let tree = home.join("tree");
    let tokens: Vec<String> = (82..86).map(github_token).collect();
    write(&tree.join("a.env"), &tokens[0]);
    write(&tree.join("b.env"), &format!("{}\n{}\n", tokens[1], tokens[2]));
    let known = home.join("known.yaml");
    let run = |arguments: &[&str]| honeycrate.run(arguments);
    says(&run(&["scan", "tree", "--baseline", "known.yaml"]), "honeycrate baseline write");
    assert_eq!(run(&["baseline", "write", "tree", "--out", "known.yaml"]).code, 0);
    let text = std::fs::read_to_string(&known).expect("written");
    assert!(text.contains("fingerprints: keyed") && tokens.iter().all(|token| !text.contains(token.as_str())), "{text}");
    write(&known, &text.replacen("reason: ''", "reason: a fixture", 1));
    let text = std::fs::read_to_string(&known).expect("written");

    // Lines that move change nothing; what is known is told, and is no reason to deny.
    write(&tree.join("b.env"), &format!("# moved\n\n{}\n{}\n", tokens[2], tokens[1]));
    assert_eq!(run(&["baseline", "write", "tree", "--out", "known.yaml"]).code, 0);
    assert_eq!(std::fs::read_to_string(&known).expect("written"), text);
    let scanned = scan(&honeycrate, &["tree", "--baseline", "known.yaml"]);
    assert_eq!((scanned.ran.code, silenced_by(&scanned.report)), (0, vec!["baseline"; 3]), "{}", scanned.ran.all());
    says(&scanned.ran, "let pass: 3 by the baseline");
    says(&scanned.ran, "a fixture (known.yaml)");
    let compared = run(&["baseline", "compare", "tree", "--baseline", "known.yaml"]);
    assert_eq!((compared.code, compared.out().lines().next()), (0, Some("0 new, 0 gone, 3 still there")));

    // A secret that takes the place of a known one is new.
    write(&tree.join("a.env"), &tokens[3]);
    write(&home.join("honeycrate.yaml"), "baseline: known.yaml\n");
    let scanned = scan(&honeycrate, &["tree"]);
    assert_eq!((scanned.ran.code, silenced_by(&scanned.report).iter().filter(|by| **by == "-").count()), (1, 1), "{}", scanned.ran.all());
    says(&scanned.ran, "1 of the 3 known findings in known.yaml are gone: write it again");
    let report = honeycrate.home().join("report.json").display().to_string();
    for (more, code) in [(&["tree"][..], 1), (&["--from", &report], 1), (&["tree", "--fail-on", "none"], 0)] {
        let compared = run(&[&["baseline", "compare", "--baseline", "known.yaml"], more].concat());
        assert_eq!((compared.code, compared.out().lines().next()), (code, Some("1 new, 1 gone, 2 still there")), "{}", compared.all());
    }
    let from_scan = run(&["baseline", "write", "tree"]);
    assert_eq!(run(&["baseline", "write", "--from", &report]).out(), from_scan.out());
}

#[test]
fn a_baseline_of_keyed_fingerprints_says_so_where_there_is_no_key() {
    let (owner, stranger) = (Honeycrate::new(), Honeycrate::stranger());
    let tree = tempdir().expect("scratch");
    write(&tree.path().join("a.env"), &github_token(87));
    let path = tree.path().to_str().expect("plain");
    for (flags, code, words) in [(&[][..], 1, "nothing in it can match"), (&["--unkeyed"], 0, "let pass: 1 by the baseline")] {
        let known = owner.run(&[&["baseline", "write", path], flags].concat());
        write(&stranger.home().join("known.yaml"), &known.out());
        let scanned = stranger.run(&["scan", path, "--baseline", "known.yaml"]);
        assert_eq!(scanned.code, code, "{}", scanned.all());
        says(&scanned, words);
        let compared = stranger.run(&["baseline", "compare", path, "--baseline", "known.yaml"]);
        assert_eq!(compared.code, code * 2, "{}", compared.all());
        // With the key both kinds are known.
        write(&owner.home().join("known.yaml"), &known.out());
        assert_eq!(owner.run(&["scan", path, "--baseline", "known.yaml"]).code, 0);
    }
}

#[test]
fn comments_count_in_files_and_in_images_only_where_that_is_wanted() {
    let honeycrate = Honeycrate::stranger();
    let folder = tempdir().expect("scratch");
    let marker = ["gitleaks", "allow"].join(":");
    let marked = format!("TOKEN={} # {marker}\n", github_token(88));
    write(&honeycrate.home().join("tree/a.env"), &marked);
    let image = Image::shop().layer("COPY a.env .", &[("app/a.env", &marked)]).write(folder.path());
    for (target, wish, code) in
        [("tree", None, 0), ("tree", Some("nowhere"), 1), (image.as_str(), None, 1), (&image, Some("files"), 1), (&image, Some("everywhere"), 0)]
    {
        let flags = wish.map(|wish| vec!["--inline-allow", wish]).unwrap_or_default();
        let scanned = scan(&honeycrate, &[&[target], &flags[..]].concat());
        assert_eq!(scanned.ran.code, code, "{target} {wish:?}: {}", scanned.ran.all());
        let finding = &list(&scanned.report, "findings")[0];
        assert_eq!((finding["marked_by"].as_str(), finding["blocking"].as_bool()), (Some(marker.as_str()), Some(code == 1)));
        assert_eq!(finding["silenced"]["by"].as_str(), (code == 0).then_some("marker"));
        says(&scanned.ran, if code == 0 { "let pass: 1 by comments" } else { "and judged all the same" });
    }
    let sarif = honeycrate.run(&["scan", "tree", "--format", "sarif"]).out();
    let sarif: Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["suppressions"][0]["kind"], "inSource");
    // The same secret without a comment elsewhere is judged.
    write(&honeycrate.home().join("tree/b.env"), &marked.replace('#', "").replace(&marker, ""));
    assert_eq!(scan(&honeycrate, &["tree"]).ran.code, 1);
    assert_eq!(honeycrate.run(&["scan", "tree", "--inline-allow", "here"]).code, 2);
}

#[test]
fn ignore_files_of_other_scanners_are_taken_over_on_request_and_the_rest_is_told() {
    let honeycrate = Honeycrate::stranger();
    let home = honeycrate.home().to_owned();
    write(&home.join("tree/a.env"), &format!("\nTOKEN={}\n", github_token(89)));
    let commit = "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90";
    write(&home.join(".gitleaksignore"), &format!("{commit}:a.env:github-pat:2\na.env:asana-client-id:2\n"));
    write(&home.join(".trivyignore"), "CVE-2022-3996\ngithub-pat\n");
    write(&home.join(".trivyignore.yaml"), "secrets: [{ id: github-pat, paths: ['*.env'], statement: a fixture }, { id: asana-client-id }]\n");
    write(&home.join("old.json"), r#"[{ "RuleID": "github-pat", "File": "a.env", "StartLine": 2 }, { "RuleID": "x", "File": "y", "StartLine": 1 }]"#);
    assert_eq!(scan(&honeycrate, &["tree"]).ran.code, 1, "nobody asked for them");
    for file in [".gitleaksignore", ".trivyignore", ".trivyignore.yaml", "old.json"] {
        let scanned = scan(&honeycrate, &["tree", "--ignore-file", file]);
        assert_eq!((scanned.ran.code, silenced_by(&scanned.report)), (0, vec!["ignore-file"]), "{file}: {}", scanned.ran.all());
        says(&scanned.ran, "let pass: 1 by other scanners' ignore files");
        says(&scanned.ran, "not taken over: ");
    }
    write(&home.join("tree/a.env"), &format!("\n\nTOKEN={}\n", github_token(89)));
    write(&home.join("honeycrate.yaml"), "ignore-files: [.gitleaksignore]\n");
    assert_eq!(scan(&honeycrate, &["tree"]).ran.code, 1, "the line has moved");
    write(&home.join("honeycrate.yaml"), "ignore-files: [.gitignore]\n");
    write(&home.join(".gitignore"), "target\n");
    let ran = honeycrate.run(&["scan", "tree"]);
    assert_eq!(ran.code, 2);
    says(&ran, ".gitleaksignore, *.json, .trivyignore, .trivyignore.yaml");
}

#[test]
fn a_fork_that_brings_an_exception_along_is_told_on() {
    let (honeycrate, registry) = (Honeycrate::stranger(), Registry::plain(Auth::None));
    let folder = tempdir().expect("scratch");
    let image = Image::shop().layer("COPY .env .", &[("app/.env", &github_token(90))]).write(folder.path());
    let exception = format!("- {{ rule: github-personal-token, reason: trust me, owner: mallory, expires: {} }}\n", day(9));
    write(&honeycrate.home().join(".honeycrateignore"), &exception);
    let event = honeycrate.home().join("event.json");
    write(&event, r#"{"pull_request":{"number":7,"head":{"repo":{"full_name":"mallory/shop"}}},"repository":{"private":false}}"#);
    let mut ship = honeycrate.ship(&image, &registry, "acme/shop:1");
    ship.env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("GITHUB_REPOSITORY", "acme/shop")
        .env("GITHUB_EVENT_PATH", &event);
    let shipped = honeycrate.reported(ship.args(["--comment", "never"]));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    assert!(registry.writes().is_empty());
    says(&shipped.ran, "1 finding let pass by files that this change brings along, and the pull request comes from a fork");
    assert_eq!(list(&shipped.report, "exceptions")[0]["owner"], "mallory");
}
