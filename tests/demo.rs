//! `demo`: the whole loop, for somebody who has just got the program and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::command::{program, run, wait_for};
use crate::common::honeycrate::Honeycrate;

#[test]
fn the_demo_shows_the_whole_loop_without_a_network_and_leaves_nothing_behind() {
    let (honeycrate, scratch) = (Honeycrate::stranger(), tempfile::tempdir().expect("scratch"));
    // A network of its own, with nothing in it but the loopback that the trap stands on.
    let inside = format!("ip link set lo up 2>/dev/null; exec {} demo", env!("CARGO_BIN_EXE_honeycrate"));
    let ran = run(program("unshare", honeycrate.home()).args(["--net", "sh", "-c", &inside]).env("TMPDIR", scratch.path()));
    assert_eq!(ran.code, 0, "{}", ran.all());
    for word in ["file", "env", "buried", "history", "honeycrate scan docker-daemon:IMAGE"] {
        assert!(ran.out().contains(word), "`{word}` is not in:\n{}", ran.out());
    }
    for folder in [honeycrate.home(), scratch.path()] {
        let left: Vec<_> = std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
        assert!(left.is_empty(), "the demo left {left:?}");
    }
}

#[test]
fn the_demo_shows_what_the_thief_finds_on_every_surface_and_fits_a_narrow_terminal() {
    let ran = Honeycrate::stranger().run(&["demo"]);
    let told = ran.out();
    let thief = told.split("── 4 ──").nth(1).and_then(|rest| rest.split("── 5 ──").next()).expect("the thief's scene");
    for found in ["an environment variable", "a build step", " in layer ", "deleted by a later layer", "@127.0.0.1:", "\"auth\": \""] {
        assert!(thief.contains(found), "`{found}` is not in:\n{thief}");
    }
    assert!(thief.lines().all(|line| line.chars().count() <= 80), "{thief}");
    assert!(!told.contains("/tmp/") && !told.contains('\u{1b}'), "{told}");
    assert!(told.trim_end().lines().last().is_some_and(|last| last.contains("honeycrate init")), "{told}");
}

#[test]
fn the_demo_leaves_nothing_behind_when_it_is_interrupted_and_only_what_it_says_with_keep() {
    let folders =
        |within: &Path| -> Vec<PathBuf> { std::fs::read_dir(within).expect("readable").map(|entry| entry.expect("readable").path()).collect() };
    let (honeycrate, scratch) = (Honeycrate::stranger(), tempfile::tempdir().expect("scratch"));
    let start = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_honeycrate"));
        command.args(arguments).env_clear().env("HOME", honeycrate.home()).env("TMPDIR", scratch.path()).stdout(Stdio::null());
        command.spawn().expect("the program starts")
    };
    // The play is short: on a busy machine it may be over before the signal comes.
    let interrupted = (0..10).any(|_| {
        let mut child = start(&["demo"]);
        wait_for("the demo's folder", 20, || (!folders(scratch.path()).is_empty() || !matches!(child.try_wait(), Ok(None))).then_some(()));
        // What has ended and was waited for has lost its number, which may be another's by now.
        if matches!(child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT);
        }
        let ended = child.wait().expect("it ends");
        assert_eq!(folders(scratch.path()), [""; 0].map(PathBuf::from));
        ended.code() == Some(130)
    });
    assert!(interrupted, "the demo does not end with 130 when it is interrupted");

    assert!(start(&["demo", "--keep"]).wait().expect("it ends").success());
    let [kept] = &folders(scratch.path())[..] else { panic!("one folder is kept") };
    assert!(["built", "shipped", "ledger.sqlite"].iter().all(|name| kept.join(name).exists()));
}
