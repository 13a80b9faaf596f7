//! The thief: `thief.py`, which knows nothing of honeycrate, and what it found.

use std::path::Path;

use serde::Deserialize;

use crate::common::command::{Ran, must, program, run};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/thief.py");

/// A credential in an image, as somebody finds it who unpacks it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Loot {
    pub(crate) surface: String,
    pub(crate) place: String,
    pub(crate) kind: String,
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) secret: String,
}

/// Searches an OCI layout.
pub(crate) fn loot(layout: &Path) -> Vec<Loot> {
    let lines = must(program("/usr/bin/python3", layout).args([SCRIPT, "loot"]).arg(layout));
    lines.lines().map(|line| serde_json::from_str(line).expect("the thief writes JSON lines")).collect()
}

/// Takes a credential to where it leads. A trap refuses it, so that the end is a failure.
pub(crate) fn use_it(loot: &Loot) -> Ran {
    let home = tempfile::tempdir().expect("a scratch folder can be made");
    run(program("/usr/bin/python3", home.path()).args([SCRIPT, "use", &loot.kind, &loot.address, &loot.user, &loot.secret]))
}
