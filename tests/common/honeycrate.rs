//! The program under test, in a home of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::command::{Ran, program, run};
use crate::common::registry::{PASSWORD, Registry, USER};

/// The environment that tests ship for.
pub(crate) const ENVIRONMENT: &str = "production";
/// The service that tests ship.
pub(crate) const SERVICE: &str = "acme/shop";

/// Somebody with a key, a ledger and nothing else.
pub(crate) struct Honeycrate {
    home: TempDir,
    ledger: PathBuf,
}

/// A run that wrote a report.
pub(crate) struct Reported {
    pub(crate) ran: Ran,
    /// `null` where none was written.
    pub(crate) report: Value,
}

impl Honeycrate {
    /// A home with a fresh key.
    pub(crate) fn new() -> Self {
        let own = Self::stranger();
        let ran = own.run(&["key", "new"]);
        assert_eq!(ran.code, 0, "`key new` failed: {}", ran.all());
        own
    }

    /// The same with a ledger somewhere else.
    pub(crate) fn remembering(ledger: &str) -> Self {
        Self { ledger: ledger.into(), ..Self::new() }
    }

    /// A home without anything in it.
    pub(crate) fn stranger() -> Self {
        let home = TempDir::new().expect("a scratch folder can be made");
        Self { ledger: home.path().join("ledger.sqlite"), home }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn ledger_path(&self) -> PathBuf {
        self.ledger.clone()
    }

    /// The program with an empty environment but for its home and its ledger.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_honeycrate"), self.home());
        command.current_dir(self.home()).env("HONEYCRATE_LEDGER", self.ledger_path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// Runs a command that can write a report, and reads it.
    pub(crate) fn reported(&self, command: &mut Command) -> Reported {
        let file = self.home().join("report.json");
        let _ = std::fs::remove_file(&file);
        let ran = run(command.arg("--report").arg(&file));
        let report = std::fs::read(&file).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("a report is JSON"));
        Reported { ran, report }
    }

    /// `ship SOURCE --to REGISTRY/NAME` with what the registry asks for, ready for more arguments.
    pub(crate) fn ship(&self, source: &str, registry: &Registry, name: &str) -> Command {
        let mut command = self.command(&["ship", source, "--to", &registry.reference(name)]);
        command.args(["--env", ENVIRONMENT, "--service", SERVICE, "--decoy", "http://127.0.0.1:9"]);
        self.access(&mut command, registry);
        command
    }

    /// Tells a command how to reach a registry.
    pub(crate) fn access(&self, command: &mut Command, registry: &Registry) {
        match registry.ca() {
            Some(ca) => command.arg("--ca-file").arg(ca),
            None => command.args(["--plain-http", &registry.host()]),
        };
        if registry.has_auth() {
            let password = self.home().join("password");
            std::fs::write(&password, PASSWORD).expect("the home is writable");
            command.args(["--username", USER, "--password-file"]).arg(password);
        }
    }

    /// Every record of the ledger, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let ran = self.run(&["ledger", "export"]);
        assert_eq!(ran.code, 0, "`ledger export` failed: {}", ran.all());
        ran.out().lines().map(|line| serde_json::from_str(line).expect("a record is one line of JSON")).collect()
    }
}

/// Whether `all` has everything of `part`, in its order: new things may lie between.
pub(crate) fn holds<T: PartialEq>(all: &[T], part: &[T]) -> bool {
    let mut all = all.iter();
    part.iter().all(|one| all.any(|other| other == one))
}

/// A list in a document, empty where it is missing.
pub(crate) fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
