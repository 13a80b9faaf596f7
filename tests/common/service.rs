//! A server that lives as long as its owner and no longer, however its owner ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::command::{PATH, wait_for};

/// Ends the server when standard input closes, which it does when this process dies, whatever it died of.
const GUARD: &str = r#"
"$@" </dev/null &
child=$!
read -r _
kill "$child" 2>/dev/null
wait "$child"
"#;

/// What a guard does after that with the folder of a server that lets mounts lie around.
const SWEEP: &str = r#"
awk -v root="$SCRATCH" 'index($5, root) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf "$SCRATCH"
"#;

/// A running server, its output in `FOLDER/out.log` and `FOLDER/err.log`.
pub(crate) struct Service {
    guard: Child,
    logs: PathBuf,
}

impl Service {
    /// Starts a program in `folder`, with an empty environment but for `PATH` and `HOME`.
    pub(crate) fn start(name: &str, arguments: &[&str], folder: &Path) -> Self {
        Self::guarded(GUARD.to_owned(), name, arguments, folder)
    }

    /// The same, and the folder is removed after the program has ended.
    pub(crate) fn start_and_sweep(name: &str, arguments: &[&str], folder: &Path) -> Self {
        Self::guarded(format!("{GUARD}{SWEEP}"), name, arguments, folder)
    }

    fn guarded(script: String, name: &str, arguments: &[&str], folder: &Path) -> Self {
        let log = |name: &str| File::create(folder.join(name)).expect("the folder is writable");
        let guard = Command::new("sh")
            .args(["-c", &script, "sh", name])
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", folder)
            .env("SCRATCH", folder)
            .stdin(Stdio::piped())
            .stdout(log("out.log"))
            .stderr(log("err.log"))
            .spawn()
            .expect("a shell starts");
        Self { guard, logs: folder.to_owned() }
    }

    /// What it wrote to standard output so far.
    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(self.logs.join("out.log")).unwrap_or_default()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn err(&self) -> String {
        std::fs::read_to_string(self.logs.join("err.log")).unwrap_or_default()
    }

    /// Waits until the server is up.
    pub(crate) fn ready<T>(&self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let what = format!("{what}, see {}", self.logs.display());
        wait_for(&what, 30, || ask(self))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
