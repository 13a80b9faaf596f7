//! Scans images one by one, each in a process with little memory, little time and no network, and looks at how it ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hostile::case::{Case, Expected};
use crate::schema::Schema;

/// Writable memory of a scan, MiB.
const MEMORY: u64 = 256;
/// Pages that a scan may hold at its worst, MiB.
const RESIDENT: u64 = 96;
/// Seconds of processor time.
const TIME: u64 = 10;
/// Images on disk at once.
const BATCH: usize = 200;

/// How one scan ended.
#[derive(Debug, Deserialize)]
struct Ending {
    id: usize,
    code: Option<i32>,
    signal: Option<i32>,
    late: bool,
    rss_kib: u64,
    out: String,
    err: String,
    report: Option<String>,
}

/// How many ended in which way, and what was not as it should be.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) scanned: usize,
    passed: usize,
    noted: usize,
    denied: usize,
    unreadable: usize,
    pub(crate) largest_mib: u64,
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn line(&self, what: &str) -> String {
        let Self { scanned, passed, noted, denied, unreadable, largest_mib, wrong } = self;
        format!(
            "{what}: {scanned} scanned, {passed} passed ({noted} with an anomaly), {denied} denied, {unreadable} unreadable; \
             largest {largest_mib} MiB; {} wrong",
            wrong.len()
        )
    }
}

/// Scans all of them. `strict` asks for each case's own outcome, otherwise any documented one will do.
#[expect(clippy::print_stderr, reason = "a long run tells what is wrong as it goes")]
pub(crate) fn scan_all(cases: &mut dyn Iterator<Item = Case>, strict: bool) -> Tally {
    let mut schema = Schema::read();
    let mut tally = Tally::default();
    loop {
        let batch: Vec<Case> = cases.take(BATCH).collect();
        if batch.is_empty() {
            return tally;
        }
        let folders = TempDir::new().expect("scratch");
        let mut jail = Jail::new();
        for (id, case) in batch.iter().enumerate() {
            let folder = folders.path().join(id.to_string());
            std::fs::create_dir(&folder).expect("scratch");
            jail.send(id, &(case.write)(&folder));
        }
        for ending in jail.endings() {
            let case = &batch[ending.id];
            tally.scanned += 1;
            tally.largest_mib = tally.largest_mib.max(ending.rss_kib >> 10);
            for problem in look(case, &ending, strict, &mut schema, &mut tally) {
                let told = format!("{}: {problem}\n  {}{}", case.name, ending.out, ending.err);
                eprintln!("{told}");
                tally.wrong.push(told);
            }
        }
        if tally.scanned.is_multiple_of(10 * BATCH) {
            eprintln!("{} scanned, {} wrong", tally.scanned, tally.wrong.len());
        }
    }
}

/// The helper that starts the scans, alive.
struct Jail {
    helper: Child,
    program: String,
}

impl Jail {
    fn new() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jail.py");
        let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
        let limits = [MEMORY, TIME, workers].map(|limit| limit.to_string());
        let mut command = Command::new("unshare");
        command.args(["--net", "python3", script]).args(limits).stdin(Stdio::piped()).stdout(Stdio::piped());
        // What is shipped instead of what was built for the tests: it is faster, and thousands of scans are long.
        #[expect(clippy::disallowed_methods, reason = "it is the tests' own switch")]
        let program = std::env::var("HONEYCRATE_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_honeycrate").to_owned());
        Self { helper: command.spawn().expect("unshare and python3 are there"), program }
    }

    fn send(&mut self, id: usize, source: &str) {
        let job = json!({ "id": id, "argv": [self.program, "scan", "--cache", "off", source] });
        writeln!(self.helper.stdin.as_mut().expect("it was piped"), "{job}").expect("the jail listens");
    }

    fn endings(mut self) -> Vec<Ending> {
        drop(self.helper.stdin.take());
        let lines = BufReader::new(self.helper.stdout.take().expect("it was piped")).lines();
        let endings = lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("an ending")).collect();
        assert!(self.helper.wait().expect("it was started").success(), "the jail broke");
        endings
    }
}

/// Everything about an ending that is not as it should be.
fn look(case: &Case, ending: &Ending, strict: bool, schema: &mut Schema, tally: &mut Tally) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ask = |fits: bool, problem: String| {
        if !fits {
            problems.push(problem);
        }
    };
    ask(!ending.late && ending.signal.is_none(), format!("killed: signal {:?}, late: {}", ending.signal, ending.late));
    ask(ending.rss_kib >> 10 <= RESIDENT, format!("{} MiB of memory", ending.rss_kib >> 10));
    let code = ending.code.unwrap_or(-1);
    ask([0, 1, 3].contains(&code), format!("exit code {code}"));
    let (out, err) = (latin(&ending.out), latin(&ending.err));
    let shown = format!("{out}{err}");
    ask(!shown.contains("panicked"), "it panicked".to_owned());
    ask(!shown.chars().any(steers), "its output steers the terminal".to_owned());
    ask(!shown.lines().any(|line| line.trim_start().starts_with("::")), "its output gives workflow commands".to_owned());

    let report = ending.report.as_deref().map(|text| serde_json::from_slice(&bytes(text)));
    let report: Value = match report {
        Some(Ok(report)) => report,
        Some(Err(error)) => {
            ask(false, format!("its report is no JSON: {error}"));
            Value::Null
        }
        None => {
            ask(false, "it wrote no report".to_owned());
            Value::Null
        }
    };
    if report.is_object() {
        let told = schema.problem(&report);
        ask(told.is_none(), format!("its report is not as the schema says: {}", told.unwrap_or_default()));
        let outcome = match code {
            0 => "passed",
            1 => "denied",
            _ => "error",
        };
        ask(report["verdict"]["outcome"] == outcome, format!("exit code {code} and a report that says {}", report["verdict"]["outcome"]));
    }
    let anomalies = report["coverage"]["anomalies"].as_array().map_or(&[][..], Vec::as_slice);
    match code {
        0 => tally.passed += 1,
        1 => tally.denied += 1,
        _ => tally.unreadable += 1,
    }
    tally.noted += usize::from(code == 0 && !anomalies.is_empty());
    if strict {
        let fits = match case.expected {
            Expected::Passes => code == 0 && anomalies.is_empty(),
            Expected::Noted(words) => code == 0 && anomalies.iter().any(|odd| odd.to_string().contains(words)),
            Expected::Told(words) => code == 0 && report.to_string().contains(words),
            Expected::Denied(words) => code == 1 && report.to_string().contains(words),
            Expected::Unreadable(words) => code == 3 && err.contains(words),
        };
        ask(fits, format!("it should be {:?}, and ended with {code}, anomalies {anomalies:?}", case.expected));
    }
    problems
}

/// What a terminal or a reader's eye obeys: control characters but the line break, and marks that turn text around.
fn steers(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    turns || (character.is_control() && character != '\n')
}

/// Output came as one character a byte.
fn latin(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text)).into_owned()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}
