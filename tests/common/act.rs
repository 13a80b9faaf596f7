//! act runs a workflow as GitHub would, on this machine and without a container, and tells every event as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::common::command::{Ran, must, program, run};

/// The Action as a workflow outside its repository names it.
pub(crate) const ACTION: &str = "honey/honeycrate@4f2a91c04f2a91c04f2a91c04f2a91c04f2a91c0";
/// The repository that uses it.
pub(crate) const REPOSITORY: &str = "acme/shop";

/// What begins a run: the name of an event and its payload.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) payload: Value,
}

/// Whose pull request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Repository,
    Fork,
    Dependabot,
}

impl Event {
    /// An event without a change. `visibility` is the repository's.
    pub(crate) fn new(name: &'static str, visibility: &str, more: &Value) -> Self {
        let mut payload = json!({
            "ref": "refs/heads/main",
            "repository": { "full_name": REPOSITORY, "visibility": visibility, "private": visibility != "public", "default_branch": "main" },
            "sender": { "login": "ann" },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            payload[key] = value.clone();
        }
        Self { name, payload }
    }

    /// Pull request 7, on `pull_request` or `pull_request_target`.
    pub(crate) fn pull_request(name: &'static str, visibility: &str, from: From) -> Self {
        let head = if from == From::Fork { "mallory/shop" } else { REPOSITORY };
        let author = if from == From::Dependabot { "dependabot[bot]" } else { "ann" };
        let repository = |name: &str| json!({ "full_name": name, "fork": name != REPOSITORY, "visibility": visibility });
        let pull_request = json!({
            "number": 7,
            "title": "A change",
            "user": { "login": author },
            "head": { "sha": "4f2a91c0".repeat(5), "ref": "change", "repo": repository(head) },
            "base": { "sha": BASE.repeat(5), "ref": "main", "repo": repository(REPOSITORY) },
        });
        Self::new(name, visibility, &json!({ "number": 7, "action": "synchronize", "pull_request": pull_request, "sender": { "login": author } }))
    }
}

/// A fifth of the commit that stands for the base in events.
pub(crate) const BASE: &str = "0b5e0b5e";

/// A repository with a workflow in it, and the Action beside it.
pub(crate) struct Checkout {
    home: TempDir,
}

impl Checkout {
    /// One with a Dockerfile and this workflow, which says `uses: actions/checkout@v7` before it uses the Action.
    pub(crate) fn new(workflow: &str) -> Self {
        let own = Self { home: TempDir::new().expect("a scratch folder can be made") };
        own.write_action(&own.home.path().join("action"));
        own.write(".github/workflows/image.yml", workflow);
        own.write("Dockerfile", "FROM debian:12\nCOPY config ./config\nCOPY src ./src\nRUN npm run build\n");
        own
    }

    /// Puts the Action into the checkout too, for `uses: ./`.
    pub(crate) fn with_the_action_in_it(self) -> Self {
        self.write_action(&self.path());
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("shop")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
        fs::write(path, text).expect("the folder is writable");
    }

    /// The Action as it is, but for its program: that of the tests is a hundred megabytes with its debug information, so what starts it is checked.
    fn write_action(&self, folder: &Path) {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(folder.join("dist")).expect("the folder is writable");
        for file in ["action.yml", "dist/honeycrate"] {
            fs::copy(own.join(file), folder.join(file)).expect("the Action is there");
        }
        let text = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_honeycrate"));
        let name = format!("honeycrate-{}-linux", std::env::consts::ARCH);
        fs::write(folder.join("dist").join(&name), &text).expect("the folder is writable");
        fs::set_permissions(folder.join("dist").join(&name), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let sum: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(folder.join("dist/SHA256SUMS"), format!("{sum}  {name}\n")).expect("the folder is writable");
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = program("git", self.home.path());
        must(git.current_dir(self.path()).args(["-c", "user.name=ann", "-c", "user.email=ann@acme.example"]).args(arguments))
    }

    /// Runs the workflow for an event. `set` names variables and secrets (`secret:NAME`) of the job.
    pub(crate) fn run(&self, event: &Event, set: &[(&str, &str)]) -> Workflow {
        if !self.path().join(".git").exists() {
            self.git(&["init", "-q", "-b", "main"]);
            self.git(&["remote", "add", "origin", &format!("https://github.com/{REPOSITORY}")]);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a change"]);
        let payload = self.home.path().join("event.json");
        // A base that the clone has, as with a whole history: the policy of a stranger's change is that of the base.
        let base = self.git(&["rev-parse", "HEAD"]);
        fs::write(&payload, event.payload.to_string().replace(&BASE.repeat(5), base.trim())).expect("the folder is writable");
        let act = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/act");
        let mut command: Command = program(act, self.home.path());
        command.current_dir(self.path()).env("XDG_CACHE_HOME", self.home.path().join("cache"));
        command.args([event.name, "--json", "--action-offline-mode", "-P", "ubuntu-24.04=-self-hosted", "-W", ".github/workflows/image.yml", "-e"]);
        command.arg(&payload).arg("--local-repository").arg(format!("{ACTION}={}", self.home.path().join("action").display()));
        for (name, value) in set {
            match name.strip_prefix("secret:") {
                Some(name) => command.args(["-s", &format!("{name}={value}")]),
                None => command.args(["--env", &format!("{name}={value}")]),
            };
        }
        Workflow::read(run(&mut command))
    }
}

/// What a run of a workflow came to.
pub(crate) struct Workflow {
    ran: Ran,
    events: Vec<Value>,
}

impl Workflow {
    fn read(ran: Ran) -> Self {
        let events = ran.all().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self { ran, events }
    }

    /// Everything that anybody could read of it.
    pub(crate) fn all(&self) -> String {
        self.ran.all()
    }

    /// The lines that steps printed.
    pub(crate) fn log(&self) -> String {
        self.events.iter().filter(|event| event["raw_output"] == true).filter_map(|event| event["msg"].as_str()).collect()
    }

    /// The outputs of the step `id`.
    pub(crate) fn outputs(&self, id: &str) -> BTreeMap<String, String> {
        let set = self.events.iter().filter(|event| event["command"] == "set-output" && event["stepID"] == json!([id]));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        set.map(|event| (text(&event["name"]), text(&event["arg"]))).collect()
    }

    /// Whether the step `id` succeeded, before anything that its workflow makes of it.
    pub(crate) fn succeeded(&self, id: &str) -> bool {
        let results: Vec<&Value> =
            self.events.iter().filter(|event| event["stage"] == "Main" && event["stepID"] == json!([id])).map(|event| &event["stepResult"]).collect();
        let ended = results.into_iter().rfind(|result| result.is_string()).unwrap_or_else(|| panic!("no step {id} ended: {}", self.all()));
        ended == "success"
    }

    /// The commands of one kind that the runner took: `error`, `warning`, `notice`, `set-env`, `summary` …
    pub(crate) fn commands(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["command"] == kind).collect()
    }

    /// Every kind of command that the runner took.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.events.iter().filter_map(|event| event["command"].as_str()).collect()
    }

    /// What the job's summary says.
    pub(crate) fn summary(&self) -> String {
        // Of a step, and once more of the one in it that the Action is.
        let outer = self.commands("summary").into_iter().filter(|event| event["stepID"].as_array().is_some_and(|ids| ids.len() == 1));
        outer.filter_map(|event| event["content"].as_str()).collect()
    }
}
