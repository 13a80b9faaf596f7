//! Running programs: never longer than a limit, and with everything they said in the complaint.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What every program is started with: nothing of the developer's own settings.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a program ended. Killed by a signal or by the limit is a code over 100.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both streams, for a look at everything that was said.
    pub(crate) fn all(&self) -> String {
        self.out() + &self.err()
    }
}

/// A program with an empty environment but for `PATH` and a home, and two minutes to live.
pub(crate) fn program(name: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120"]).arg(name).env_clear().env("PATH", PATH).env("HOME", home).stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    Ran { code: output.status.code().unwrap_or(128), stdout: output.stdout, stderr: output.stderr }
}

/// Runs with text on standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    // A program may answer before it has read everything: both directions at once, and a closed pipe is its right.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("a started program ends");
    writer.join().expect("writing does not panic");
    Ran { code: output.status.code().unwrap_or(128), stdout: output.stdout, stderr: output.stderr }
}

/// Runs what has to succeed, and gives what it printed.
pub(crate) fn must(command: &mut Command) -> String {
    let ran = run(command);
    assert!(ran.code == 0, "{command:?}\nended with {}\n{}", ran.code, ran.all());
    ran.out()
}

/// Asks again and again until there is an answer, for at most `seconds`.
pub(crate) fn wait_for<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {seconds} s for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
