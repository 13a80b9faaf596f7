//! The trap, on a loopback address of its own, so that it has the ports that its services have everywhere.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

use crate::common::command::wait_for;
use crate::common::honeycrate::Honeycrate;
use crate::common::service::Service;

const PORT: u16 = 8080;
const DATABASE_PORT: u16 = 5432;

/// An address that honeytokens can lead to before anything listens there.
pub(crate) struct Address(String);

/// A running decoy.
pub(crate) struct Decoy {
    alerts: PathBuf,
    _service: Service,
}

impl Address {
    /// One that no other test of this process has.
    pub(crate) fn new() -> Self {
        static LAST: AtomicU8 = AtomicU8::new(1);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        Self(format!("127.{}.{}.{}", high.max(1), low, LAST.fetch_add(1, Ordering::Relaxed)))
    }

    /// The bare address.
    pub(crate) fn ip(&self) -> &str {
        &self.0
    }

    /// The value for `--decoy`.
    pub(crate) fn host(&self) -> String {
        format!("http://{}:{PORT}", self.0)
    }
}

impl Decoy {
    /// Starts the decoy of somebody who planted bait that leads to `address`.
    pub(crate) fn start(owner: &Honeycrate, address: &Address) -> Self {
        Self::start_as(owner, address, &address.host(), &[])
    }

    /// The same for bait that leads to a name, with more arguments.
    pub(crate) fn start_as(owner: &Honeycrate, address: &Address, host: &str, more: &[&str]) -> Self {
        let (alerts, ledger) = (owner.home().join("alerts.jsonl"), owner.ledger_path().display().to_string());
        let [web, database] = [PORT, DATABASE_PORT].map(|port| format!("{}:{port}", address.0));
        let file = alerts.display().to_string();
        let arguments = ["decoy", "--decoy", host, "--listen", &web, "--postgres", &database, "--alerts", &file, "--ledger", &ledger];
        let service = Service::start(env!("CARGO_BIN_EXE_honeycrate"), &[&arguments, more].concat(), owner.home());
        for place in [&web, &database] {
            service.ready("the decoy", |_| std::net::TcpStream::connect(place).ok());
        }
        Self { alerts, _service: service }
    }

    /// Waits until so many alerts were written, and a moment longer for one too many.
    pub(crate) fn alerts(&self, at_least: usize) -> Vec<Value> {
        wait_for("an alert", 20, || (self.read().len() >= at_least).then_some(()));
        std::thread::sleep(std::time::Duration::from_millis(300));
        self.read()
    }

    fn read(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.alerts).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("an alert is one line of JSON")).collect()
    }
}
