//! What a git repository holds, read through the `git` program: the blobs that are staged, and those that the commits of a range brought in.
//!
//! A repository may be a stranger's, and its settings may name programs. Only plumbing commands run, which start none of them: no hook, no
//! monitor of files, no filter, no text conversion, no pager, no signature check, no fetch.
//!
//! Source: gitcli(7), git-rev-list(1), git-diff-tree(1), git-diff-index(1), git-cat-file(1); "Raw output format" in git-diff(1).

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::registry::credential_helper::WITHHELD;

/// Bytes of what `git` complains that are kept.
const MAX_COMPLAINT: u64 = 4 << 10;

/// Settings of the repository that would start a program or reach into the network. They rank above all files.
const SETTINGS: [&str; 6] =
    ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "protocol.allow=never", "safe.directory=*", "log.showSignature=false"];

/// Variables by which a caller's surroundings would do the same.
const REMOVED: [&str; 10] = [
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_PAGER",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TRACE",
    "GIT_TRACE_SETUP",
    "GIT_LITERAL_PATHSPECS",
];

/// Words of a range that are options and not revisions.
const OPTIONS: [&str; 5] = ["--all", "--branches", "--tags", "--remotes", "--not"];

/// Why a repository could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the git program is not installed: staged files and ranges of commits are read through it")]
    Missing,
    #[error("git could not be run: {0}")]
    Run(io::Error),
    #[error("git cannot read it: {0}")]
    Refused(String),
    #[error("`{0}` is an option, and no revision")]
    Option(String),
    #[error("git said something that was not expected of {0}")]
    Answer(&'static str),
}

impl GitError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("install git, or scan the folder"),
            Self::Refused(why) if why.contains("not a git repository") => Some("run it within a work tree, or name one: git:FOLDER"),
            Self::Refused(why) if why.contains("unknown revision") || why.contains("bad revision") || why.contains("Invalid revision range") => {
                Some("check the range; a shallow clone lacks older commits: fetch them (git fetch --unshallow, or fetch-depth: 0)")
            }
            Self::Option(_) => Some("a range is written as A..B, A...B, ^A B, HEAD, or --all"),
            Self::Run(_) | Self::Refused(_) | Self::Answer(_) => None,
        }
    }
}

/// A repository, by a folder in it.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
}

/// A text that the repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// In hexadecimal digits.
    pub id: String,
    /// Bytes that are no UTF-8 are replaced; of a commit's own message, words.
    pub path: String,
    /// The commit that brought it in; `None` of what is staged.
    pub commit: Option<Arc<str>>,
    pub is_message: bool,
}

/// What there is to read.
#[derive(Debug, Default)]
pub struct Contents {
    pub objects: Vec<Object>,
    /// What is there and holds no text of its own, or none yet.
    pub without: Vec<String>,
}

impl Repository {
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()) }
    }

    /// What the index holds and the commit that is checked out does not: each blob as it would be committed.
    ///
    /// # Errors
    /// When there is no repository, or git is missing.
    pub fn staged(&self) -> Result<Contents, GitError> {
        // Says what is wrong where there is no repository; what follows cannot tell that from a first commit that is not made yet.
        self.answer(&["rev-parse", "--git-dir"])?;
        let base = match self.answer(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) {
            Ok(commit) => commit,
            Err(GitError::Refused(_)) => self.answer(&["hash-object", "-t", "tree", "/dev/null"])?,
            Err(error) => return Err(error),
        };
        let base = String::from_utf8_lossy(&base).trim().to_owned();
        let mut child = self.command(&["diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", &base, "--"]);
        read_raw(&mut Running::start(child.stdin(Stdio::null()))?)
    }

    /// Every blob that a commit of the range added or changed, at each of its paths, with the first commit that did; and every commit's
    /// message. What a later commit deletes is among them.
    ///
    /// # Errors
    /// When git cannot read the range, or is missing.
    pub fn range(&self, range: &str) -> Result<Contents, GitError> {
        let words: Vec<&str> = range.split_whitespace().collect();
        if let Some(option) = words.iter().find(|word| word.starts_with('-') && !OPTIONS.contains(*word)) {
            return Err(GitError::Option((*option).to_owned()));
        }
        let words = if words.is_empty() { vec!["--all", "HEAD"] } else { words };
        let mut list = vec!["rev-list", "--reverse", "--topo-order"];
        list.extend(words);
        list.push("--");
        let commits = self.answer(&list)?;
        // Against all parents of a merge at once: what it takes from one of them came in with another commit.
        let mut child = self.command(&["diff-tree", "--stdin", "-r", "-c", "--root", "-z", "--raw", "--no-abbrev", "--no-renames"]);
        let mut running = Running::start(child.stdin(Stdio::piped()))?;
        let feeding = running.child.stdin.take().map(|mut stdin| std::thread::spawn(move || stdin.write_all(&commits)));
        let contents = read_raw(&mut running);
        if let Some(feeding) = feeding {
            // If git ended early, that is what is told.
            let _ = feeding.join();
        }
        contents
    }

    /// A file of a commit, or each file below a folder, by its path in the tree: none where there is no such path.
    ///
    /// # Errors
    /// When the commit is not in the clone, or there are more files than `most`, or larger ones than `limit` bytes.
    pub fn files_at(&self, commit: &str, path: &str, most: usize, limit: usize) -> Result<Vec<(String, Vec<u8>)>, GitError> {
        if commit.starts_with('-') || commit.contains(':') {
            return Err(GitError::Option(commit.to_owned()));
        }
        let mut arguments = vec!["--literal-pathspecs", "ls-tree", "-r", "-z", "-l", "--full-tree", commit];
        if !path.is_empty() {
            arguments.extend(["--", path]);
        }
        let list = self.answer(&arguments)?;
        let mut files = Vec::new();
        // MODE TYPE ID SIZE, a tab, the path.
        for entry in list.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            let (head, path) = entry.split_once('\t').ok_or(GitError::Answer("ls-tree"))?;
            let words: Vec<&str> = head.split_whitespace().collect();
            let [mode, "blob", id, size] = words[..] else { continue };
            if !mode.starts_with("100") {
                return Err(GitError::Refused(format!("{path} is a link")));
            }
            if files.len() == most || size.parse::<usize>().is_ok_and(|size| size > limit) {
                return Err(GitError::Refused(format!("{path} is too much: at most {most} files of {limit} bytes are read")));
            }
            files.push((path.to_owned(), self.answer(&["cat-file", "blob", id])?));
        }
        Ok(files)
    }

    /// A reader of objects.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn objects(&self) -> Result<Objects, GitError> {
        let mut running = Running::start(self.command(&["cat-file", "--batch"]).stdin(Stdio::piped()))?;
        let stdin = running.child.stdin.take().ok_or(GitError::Answer("cat-file"))?;
        Ok(Objects { running, stdin })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        // Begun where nobody else writes: a relative folder in PATH would run a `git` that lies in the repository.
        command.current_dir("/").arg("-C").arg(&self.folder).arg("--no-pager").arg("--no-optional-locks");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        for name in REMOVED.into_iter().chain(WITHHELD) {
            command.env_remove(name);
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// All that a short command prints.
    fn answer(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let mut running = Running::start(self.command(arguments).stdin(Stdio::null()))?;
        let mut text = Vec::new();
        running.stdout.read_to_end(&mut text).map_err(GitError::Run)?;
        running.end()?;
        Ok(text)
    }
}

/// A process of `git cat-file`.
pub struct Objects {
    running: Running,
    stdin: ChildStdin,
}

impl Objects {
    /// Lends the bytes of an object, headers of a commit left out. Returns whether it is there: a partial clone lacks some.
    ///
    /// # Errors
    /// When git or `read` fails.
    pub fn read(&mut self, object: &Object, read: &mut dyn FnMut(&mut dyn BufRead) -> io::Result<()>) -> io::Result<bool> {
        let strange = || io::Error::other(GitError::Answer("cat-file").to_string());
        writeln!(self.stdin, "{}", object.id)?;
        self.stdin.flush()?;
        let mut head = String::new();
        (&mut self.running.stdout).take(1 << 10).read_line(&mut head)?;
        let mut words = head.split_ascii_whitespace().skip(1);
        let size = match (words.next(), words.next()) {
            (Some("missing"), _) => return Ok(false),
            (Some(_), Some(size)) => size.parse::<u64>().map_err(|_| strange())?,
            _ => return Err(strange()),
        };
        let mut data = (&mut self.running.stdout).take(size);
        let mut line = Vec::new();
        while object.is_message && data.read_until(b'\n', &mut line)? > 1 {
            line.clear();
        }
        let result = read(&mut data);
        io::copy(&mut data, &mut io::sink())?;
        let mut end = [0];
        self.running.stdout.read_exact(&mut end)?;
        result.map(|()| true)
    }
}

/// A process that is ended with its reader.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Read as it comes: a full pipe would stop the process.
    complaint: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self, GitError> {
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => GitError::Missing,
            _ => GitError::Run(error),
        })?;
        let stdout = child.stdout.take().ok_or(GitError::Answer("its start"))?;
        let complaint = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut first = Vec::new();
                let _ = (&mut stderr).take(MAX_COMPLAINT).read_to_end(&mut first).and_then(|_| io::copy(&mut stderr, &mut io::sink()));
                first
            })
        });
        Ok(Self { child, stdout: BufReader::with_capacity(64 << 10, stdout), complaint })
    }

    /// Waits for the end of what has no more to print.
    fn end(&mut self) -> Result<(), GitError> {
        let complaint = self.complaint.take().and_then(|reading| reading.join().ok()).unwrap_or_default();
        if self.child.wait().map_err(GitError::Run)?.success() {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&complaint);
        let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed and did not say why");
        Err(GitError::Refused(first.trim_start_matches("fatal: ").to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads raw differences, which `-z` parts by NUL: a commit's id, or colons, modes, ids and a status, after which comes the path.
fn read_raw(running: &mut Running) -> Result<Contents, GitError> {
    let mut contents = Contents::default();
    let mut seen = HashSet::new();
    let mut commit: Option<Arc<str>> = None;
    let mut next = || -> Result<Option<String>, GitError> {
        let mut record = Vec::new();
        running.stdout.read_until(0, &mut record).map_err(GitError::Run)?;
        let is_whole = record.pop() == Some(0);
        Ok(is_whole.then(|| String::from_utf8_lossy(&record).into_owned()))
    };
    while let Some(record) = next()? {
        let Some(head) = record.strip_prefix(':') else {
            commit = Some(record.trim().into());
            contents.objects.push(Object {
                id: record.trim().to_owned(),
                path: "(commit message)".to_owned(),
                commit: commit.clone(),
                is_message: true,
            });
            continue;
        };
        let path = next()?.ok_or(GitError::Answer("a difference"))?;
        // One parent: two modes and two ids; each more of them one of both.
        let parents = 1 + head.bytes().take_while(|byte| *byte == b':').count();
        let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
        let (Some(mode), Some(id), Some(status)) = (words.get(parents), words.get(2 * parents + 1), words.last()) else {
            return Err(GitError::Answer("a difference"));
        };
        if *mode == "160000" {
            contents.without.push(format!("{path}: a submodule, of which the repository holds the commit's name alone"));
        } else if status.starts_with('U') {
            contents.without.push(format!("{path}: it is not merged yet, and cannot be committed so"));
        } else if *mode != "000000" && seen.insert((path.clone(), (*id).to_owned())) {
            contents.objects.push(Object { id: (*id).to_owned(), path, commit: commit.clone(), is_message: false });
        }
    }
    running.end()?;
    contents.without.sort();
    contents.without.dedup();
    Ok(contents)
}
