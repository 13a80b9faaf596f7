//! A few of the crashes that `.ci/crash` tries by the hundred.

use std::path::Path;

use tempfile::tempdir;

use crate::common::command::{must, program};

#[test]
fn jobs_that_are_killed_or_whose_disk_fails_lose_nothing_in_any_store() {
    let home = tempdir().expect("scratch");
    let mut crash = program(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/crash"), home.path());
    let said = must(crash.arg("--few").env("HONEYCRATE_PROGRAM", env!("CARGO_BIN_EXE_honeycrate")));
    for store in ["sqlite", "postgres", "registry"] {
        assert!(said.lines().any(|line| line.starts_with(store) && line.ends_with("ran through afterwards")), "{store}: {said}");
    }
    assert!(said.contains("no record lost or doubled, no image without its record"), "{said}");
}
