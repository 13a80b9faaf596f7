//! The surface of the program: its commands, their help, and how it ends.

use crate::common::command::{PATH, run};
use crate::common::honeycrate::Honeycrate;

/// Every command, with the options that people and scripts rely on.
const COMMANDS: [(&[&str], &[&str]); 27] = [
    (&["demo"], &[]),
    (&["init"], &[]),
    (
        &["ship"],
        &[
            "--to",
            "--env",
            "--service",
            "--decoy",
            "--fail-on",
            "--config",
            "--ledger",
            "--report",
            "--dry-run",
            "--plain-http",
            "--ca-file",
            "--username",
            "--password-stdin",
            "--password-file",
        ],
    ),
    (&["scan"], &["--fail-on", "--report", "--baseline", "--ignore-file", "--inline-allow"]),
    (&["baseline", "write"], &["--out", "--from", "--unkeyed"]),
    (&["baseline", "compare"], &["--baseline", "--from", "--fail-on"]),
    (&["ignore"], &["--reason", "--until", "--owner", "--rule", "--path"]),
    (&["plant"], &["--out", "--env", "--dry-run", "--dockerfile"]),
    (&["push"], &[]),
    (&["token", "list"], &["--json", "--only", "--days"]),
    (&["token", "show"], &[]),
    (&["token", "trace"], &[]),
    (&["ledger", "verify"], &[]),
    (&["ledger", "export"], &[]),
    (&["ledger", "init"], &["--ledger"]),
    (&["ledger", "import"], &[]),
    (&["ledger", "copy"], &["--from", "--into"]),
    (&["ledger", "reconcile"], &["--in", "--record"]),
    (&["key", "new"], &["--print", "--key-file"]),
    (&["key", "rotate"], &[]),
    (&["decoy"], &["--listen", "--postgres", "--decoy", "--cert", "--alerts"]),
    (&["watch"], &["--once", "--alerts", "--drill-days"]),
    (&["rules", "list"], &["--json", "--rules"]),
    (&["rules", "test"], &["--on"]),
    (&["rules", "explain"], &["--rules"]),
    (&["explain"], &[]),
    (&["report"], &["--format"]),
];

#[test]
fn every_command_has_help_that_names_its_options() {
    let honeycrate = Honeycrate::stranger();
    for (command, options) in COMMANDS {
        let ran = honeycrate.run(&[command, &["--help"]].concat());
        assert_eq!(ran.code, 0, "{command:?}: {}", ran.all());
        for option in options {
            assert!(ran.out().contains(option), "{command:?} does not tell of {option}");
        }
        assert!(ran.out().lines().all(|line| line.chars().count() <= 100), "{command:?}: a line is too long for a terminal");
        // What clap does not break has to fit as it is.
        let examples = ran.out().split("Examples:\n").nth(1).map(str::to_owned).unwrap_or_default();
        assert!(examples.lines().all(|line| line.chars().count() <= 80), "{command:?}: {examples}");
        assert!(!matches!(command[0], "ship" | "scan" | "plant" | "decoy") || !examples.is_empty(), "{command:?} shows no example");
    }
}

#[test]
fn the_help_lists_every_command() {
    let help = Honeycrate::stranger().run(&["--help"]);
    assert_eq!(help.code, 0);
    for (command, _) in COMMANDS {
        assert!(help.out().lines().any(|line| line.trim_start().starts_with(command[0])), "{} is not in:\n{}", command[0], help.out());
    }
}

#[test]
fn a_provider_is_explained_with_all_that_can_be_set() {
    let told = Honeycrate::stranger().run(&["explain", "gitguardian"]);
    for part in ["from use to alert", "how many", "providers.gitguardian.url", "HONEYCRATE_GITGUARDIAN_TOKEN"] {
        assert!(told.out().contains(part), "{}", told.all());
    }
}

#[test]
fn whatever_a_message_sends_people_to_explain_can_be_explained() {
    let honeycrate = Honeycrate::stranger();
    let ids = [
        "exit-codes",
        "formats",
        "rules",
        "checks",
        "ignore-files",
        "markers",
        "kinds",
        "surfaces",
        "variables",
        "private-key",
        "env",
        "registry-login",
        "oci",
        "exit-70",
        "gaps",
        "unscanned-too-large",
    ];
    for id in ids {
        let ran = honeycrate.run(&["explain", id]);
        assert!(ran.code == 0 && !ran.out().trim().is_empty(), "{id}: {}", ran.all());
    }
    let ran = honeycrate.run(&["explain", "privat-key"]);
    assert!(ran.code == 2 && ran.err().contains("did you mean `private-key`?"), "{}", ran.all());
}

#[test]
fn the_version_is_the_packages() {
    let ran = Honeycrate::stranger().run(&["--version"]);
    assert_eq!((ran.code, ran.out().trim()), (0, concat!("honeycrate ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_ends_with_2() {
    let honeycrate = Honeycrate::stranger();
    for arguments in
        [&["shp"][..], &["ship"], &["scan"], &["scan", "--no-such-option"], &["ship", "oci:x", "--to", "a", "--fail-on", "dreadful"], &[]]
    {
        assert_eq!(honeycrate.run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_right_one() {
    let ran = Honeycrate::stranger().run(&["shp"]);
    assert!(ran.err().contains("'ship'"), "{}", ran.err());
}

#[test]
fn help_needs_neither_home_nor_writable_folder() {
    let honeycrate = Honeycrate::stranger();
    let ran = run(honeycrate.command(&["ship", "--help"]).env_clear().env("PATH", PATH).current_dir("/proc"));
    assert!(ran.code == 0 && ran.out().contains("--to"), "{}", ran.all());
}

#[test]
fn a_full_disk_under_stdout_is_no_bug_and_a_closed_pipe_no_failure() {
    let honeycrate = Honeycrate::stranger();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let ran = honeycrate.command(&["explain"]).stdout(full).output().expect("runs");
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("cannot print to stdout"), "{}", String::from_utf8_lossy(&ran.stderr));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ran = honeycrate.command(&["explain"]).stdout(writer).output().expect("runs");
    assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stderr).as_ref()), (Some(0), ""));
}
