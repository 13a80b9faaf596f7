//! GitLab, as far as we ask it, with the rights that its documentation gives a job token.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Asked, CHANGE, Fault, REPOSITORY, Server, head, page, percent_decoded};

/// A project access token with scope `api`.
pub(crate) const ACCESS_TOKEN: &str = "access-token-of-the-project";
/// `CI_JOB_TOKEN`.
pub(crate) const JOB_TOKEN: &str = "token-of-the-gitlab-job";

const LONGEST_NOTE: usize = 1_000_000;

/// A server under `/git` with one merge request, number 7, of `acme/shop`.
pub(crate) struct GitLabForge {
    address: String,
    server: Arc<Server<State>>,
}

struct State {
    address: String,
    visibility: &'static str,
    /// Whether the role of the token lets it edit and delete notes.
    may_edit: bool,
    notes: Vec<Value>,
    written: u64,
    changes: BTreeMap<String, Vec<(u64, &'static str, String)>>,
    files: BTreeMap<(String, String), Vec<u8>>,
}

impl GitLabForge {
    pub(crate) fn start() -> Self {
        let state = State {
            address: String::new(),
            visibility: "private",
            may_edit: true,
            notes: Vec::new(),
            written: 0,
            changes: BTreeMap::from([(head(), vec![(CHANGE, "opened", head())])]),
            files: BTreeMap::new(),
        };
        let (server, address) = Server::start(state, answer);
        server.state().address.clone_from(&address);
        Self { address, server }
    }

    /// `CI_SERVER_URL`.
    pub(crate) fn server_url(&self) -> String {
        format!("{}/git", self.address)
    }

    /// `CI_API_V4_URL`.
    pub(crate) fn api(&self) -> String {
        format!("{}/git/api/v4", self.address)
    }

    /// The bodies of all notes, oldest first.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.server.state().notes.iter().map(|note| note["body"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Somebody with this id writes a note; the token's own is 7.
    pub(crate) fn put_note(&self, author: u64, body: &str) {
        self.server.state().note(author, body);
    }

    pub(crate) fn set_visibility(&self, visibility: &'static str) {
        self.server.state().visibility = visibility;
    }

    /// Notes can be written, and then neither edited nor deleted.
    pub(crate) fn refuse_edits(&self) {
        self.server.state().may_edit = false;
    }

    pub(crate) fn put_file(&self, commit: &str, path: &str, bytes: &[u8]) {
        self.server.state().files.insert((commit.to_owned(), path.to_owned()), bytes.to_owned());
    }

    pub(crate) fn put_change(&self, commit: &str, number: u64, state: &'static str, newest: &str) {
        self.server.state().changes.entry(commit.to_owned()).or_default().push((number, state, newest.to_owned()));
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.server.asked.lock().expect("no panic").clone()
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.server.faults.lock().expect("no panic").push(fault);
    }
}

impl State {
    fn note(&mut self, author: u64, body: &str) -> Value {
        self.written += 1;
        let note = json!({
            "id": self.written, "type": null, "body": body, "author": { "id": author, "username": format!("user-{author}") }, "system": false,
            "noteable_type": "MergeRequest", "noteable_iid": CHANGE, "resolvable": false, "confidential": false, "internal": false,
            "created_at": "2026-11-22T04:00:00.000Z", "updated_at": "2026-11-22T04:00:00.000Z",
        });
        self.notes.push(note.clone());
        note
    }

    fn knows(&self, commit: &str) -> bool {
        self.changes.contains_key(commit) || self.files.keys().any(|(known, _)| known == commit)
    }
}

fn answer(state: &mut State, asked: &Asked) -> Answer {
    let (access, job) = (asked.header("private-token") == Some(ACCESS_TOKEN), asked.header("job-token") == Some(JOB_TOKEN));
    let Some(path) = asked.path().strip_prefix("/git/api/v4/") else { return Answer::of(404, "text/html", "<!DOCTYPE html><p>404</p>") };
    let parts: Vec<String> = path.split('/').map(percent_decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    // Source: GitLab docs, "CI/CD job token", the table of "Job token access".
    let of_jobs = matches!(
        (asked.method.as_str(), parts.as_slice()),
        ("GET", ["projects", _, "merge_requests", _, "notes"] | ["projects", _, "repository", "files", _, "raw"])
            | ("GET", ["projects", _, "repository", "commits", _, "merge_requests"])
    );
    if !(access || job && of_jobs) {
        return Answer::says(401, "401 Unauthorized");
    }
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["user"]) => Answer::json(200, &json!({ "id": 7, "username": "project_1_bot", "state": "active" })),
        (_, ["projects", project, rest @ ..]) if *project == REPOSITORY => of_project(state, asked, rest),
        (_, ["projects", ..]) => Answer::says(404, "404 Project Not Found"),
        _ => Answer::json(404, &json!({ "error": "404 Not Found" })),
    }
}

fn of_project(state: &mut State, asked: &Asked, parts: &[&str]) -> Answer {
    match (asked.method.as_str(), parts) {
        ("GET", []) => Answer::json(200, &json!({ "id": 1, "path_with_namespace": REPOSITORY, "visibility": state.visibility })),
        ("GET", ["merge_requests", "7", "notes"]) => {
            let newest_first: Vec<Value> = state.notes.iter().rev().cloned().collect();
            Answer::json(200, &Value::Array(page(&newest_first, asked, &state.address).0))
        }
        ("POST", ["merge_requests", "7", "notes"]) => match text(asked) {
            Ok(text) => Answer::json(201, &state.note(7, &text)),
            Err(answer) => answer,
        },
        ("PUT" | "DELETE", ["merge_requests", "7", "notes", id]) => {
            let Some(at) = state.notes.iter().position(|note| note["id"].as_u64() == id.parse().ok()) else {
                return Answer::says(404, "404 Not found");
            };
            if !state.may_edit || state.notes[at]["author"]["id"] != 7 {
                return Answer::says(403, "403 Forbidden");
            }
            if asked.method == "DELETE" {
                state.notes.remove(at);
                return Answer::nothing();
            }
            match text(asked) {
                Ok(text) => {
                    state.notes[at]["body"] = text.into();
                    Answer::json(200, &state.notes[at])
                }
                Err(answer) => answer,
            }
        }
        ("GET", ["repository", "commits", commit, "merge_requests"]) if state.knows(commit) => {
            let changes = state.changes.get(*commit).cloned().unwrap_or_default();
            let shown = |(iid, open, sha): &(u64, &str, String)| json!({ "id": 100 + iid, "iid": iid, "state": open, "sha": sha, "title": "Cart" });
            Answer::json(200, &changes.iter().map(shown).collect())
        }
        ("GET", ["repository", "commits", ..]) => Answer::says(404, "404 Commit Not Found"),
        ("GET", ["repository", "files", path, "raw"]) => {
            let commit = asked.query("ref").unwrap_or_default();
            let missing = if state.knows(&commit) { "404 File Not Found" } else { "404 Commit Not Found" };
            match state.files.get(&(commit, (*path).to_owned())) {
                Some(bytes) if asked.query("lfs").as_deref() == Some("false") => Answer::of(200, "text/plain", bytes.clone()),
                _ => Answer::says(404, missing),
            }
        }
        ("GET", ["repository", "tree"]) => {
            let (commit, folder) = (asked.query("ref").unwrap_or_default(), format!("{}/", asked.query("path").unwrap_or_default()));
            let files = state.files.keys().filter(|(known, file)| *known == commit && file.starts_with(&folder));
            let shown = |(_, path): &(String, String)| json!({ "id": "a".repeat(40), "name": path.rsplit('/').next(), "type": "blob", "path": path, "mode": "100644" });
            let entries: Vec<Value> = files.map(shown).collect();
            if entries.is_empty() { Answer::says(404, "404 Tree Not Found") } else { Answer::json(200, &entries.into()) }
        }
        _ => Answer::says(404, "404 Not Found"),
    }
}

/// The text of a note, if it is one and not too long.
fn text(asked: &Asked) -> Result<String, Answer> {
    let form: Vec<(String, String)> = match asked.header("content-type") {
        Some("application/x-www-form-urlencoded") => url::form_urlencoded::parse(&asked.body).into_owned().collect(),
        _ => Vec::new(),
    };
    match form.as_slice() {
        [(key, text)] if key == "body" && text.chars().count() <= LONGEST_NOTE => Ok(text.clone()),
        [(key, _)] if key == "body" => Err(Answer::json(400, &json!({ "message": { "note": ["is too long (maximum is 1000000 characters)"] } }))),
        _ => Err(Answer::json(400, &json!({ "error": "body is missing" }))),
    }
}
