//! GitHub, as far as we ask it: what it answers has all that its own OpenAPI description requires.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use super::{Answer, Asked, CHANGE, Fault, REPOSITORY, Rights, Server, head, page, percent_decoded};

/// What the token must be.
pub(crate) const TOKEN: &str = "token-of-the-job";

const WHEN: &str = "2026-11-22T04:00:00Z";
const WEB: &str = "https://github.com";

/// A forge with one pull request, number 7, of `acme/shop`.
pub(crate) struct Forge {
    address: String,
    server: Arc<Server<State>>,
}

struct State {
    /// The path of the API: empty, or `/api/v3` as on Enterprise Server.
    base: &'static str,
    address: String,
    visibility: &'static str,
    rights: Rights,
    /// Who the token is, and whether it may ask: a job's own may not.
    login: String,
    may_ask_who: bool,
    comments: Vec<Comment>,
    written: u64,
    /// By commit: number, state, newest commit.
    pulls: BTreeMap<String, Vec<(u64, &'static str, String)>>,
    files: BTreeMap<(String, String), Vec<u8>>,
    checks: Vec<Value>,
    sarifs: Vec<Value>,
    /// What becomes of SARIF documents.
    processing: Vec<Value>,
}

#[derive(Clone)]
struct Comment {
    id: u64,
    change: u64,
    login: String,
    body: String,
}

impl Forge {
    /// github.com: a public repository, and a token of a user's that may write.
    pub(crate) fn start() -> Self {
        Self::start_at("")
    }

    /// The same with its API at a path of the address.
    pub(crate) fn start_at(base: &'static str) -> Self {
        let state = State {
            base,
            address: String::new(),
            visibility: "public",
            rights: Rights::Write,
            login: "our-bot".to_owned(),
            may_ask_who: true,
            comments: Vec::new(),
            written: 0,
            pulls: BTreeMap::from([(head(), vec![(CHANGE, "open", head())])]),
            files: BTreeMap::new(),
            checks: Vec::new(),
            sarifs: Vec::new(),
            processing: vec![json!({ "processing_status": "complete" })],
        };
        let (server, address) = Server::start(state, answer);
        server.state().address.clone_from(&address);
        Self { address, server }
    }

    /// Without the path of the API.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The bodies of all comments.
    pub(crate) fn comments(&self) -> Vec<String> {
        self.server.state().comments.iter().map(|comment| comment.body.clone()).collect()
    }

    /// Who wrote what.
    pub(crate) fn authors(&self) -> Vec<String> {
        self.server.state().comments.iter().map(|comment| comment.login.clone()).collect()
    }

    /// Somebody comments on the change.
    pub(crate) fn put_comment(&self, login: &str, body: &str) {
        self.server.state().comment(CHANGE, login, body);
    }

    /// `public`, `internal` or `private`.
    pub(crate) fn set_visibility(&self, visibility: &'static str) {
        self.server.state().visibility = visibility;
    }

    pub(crate) fn set_rights(&self, rights: Rights) {
        self.server.state().rights = rights;
    }

    /// The token becomes that of an app: it writes under this login, and may not ask who it is.
    pub(crate) fn set_app(&self, login: &str) {
        let mut state = self.server.state();
        (state.login, state.may_ask_who) = (login.to_owned(), false);
    }

    pub(crate) fn put_file(&self, commit: &str, path: &str, bytes: &[u8]) {
        self.server.state().files.insert((commit.to_owned(), path.to_owned()), bytes.to_owned());
    }

    /// A commit is of this change too.
    pub(crate) fn put_change(&self, commit: &str, number: u64, state: &'static str, newest: &str) {
        self.server.state().pulls.entry(commit.to_owned()).or_default().push((number, state, newest.to_owned()));
    }

    /// What is told of SARIF documents, one answer after the other; the last one stays.
    pub(crate) fn set_processing(&self, answers: Vec<Value>) {
        self.server.state().processing = answers;
    }

    /// All check runs: what was sent, with the remarks of all requests together.
    pub(crate) fn checks(&self) -> Vec<Value> {
        self.server.state().checks.clone()
    }

    /// All uploads: `commit_sha`, `ref`, `tool_name`, and `sarif` unpacked and read.
    pub(crate) fn sarifs(&self) -> Vec<Value> {
        self.server.state().sarifs.clone()
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
    fn comment(&mut self, change: u64, login: &str, body: &str) -> Comment {
        self.written += 1;
        let comment = Comment { id: self.written, change, login: login.to_owned(), body: body.to_owned() };
        self.comments.push(comment.clone());
        comment
    }

    fn shown(&self, comment: &Comment) -> Value {
        let api = format!("{}{}/repos/{REPOSITORY}/issues", self.address, self.base);
        json!({
            "id": comment.id, "node_id": "C", "url": format!("{api}/comments/{}", comment.id), "body": comment.body,
            "html_url": format!("{WEB}/{REPOSITORY}/pull/{}#issuecomment-{}", comment.change, comment.id), "user": user(&comment.login),
            "created_at": WHEN, "updated_at": WHEN, "issue_url": format!("{api}/{}", comment.change), "author_association": "NONE",
            "performed_via_github_app": null,
        })
    }

    fn check(&self, id: usize) -> Value {
        let check = &self.checks[id - 1];
        json!({
            "id": id, "head_sha": check["head_sha"], "node_id": "R", "external_id": "", "url": format!("{WEB}/check-runs/{id}"),
            "html_url": format!("{WEB}/{REPOSITORY}/runs/{id}"), "details_url": WEB, "status": check["status"], "conclusion": check["conclusion"],
            "started_at": WHEN, "completed_at": WHEN, "name": check["name"], "check_suite": { "id": 1 }, "app": null, "pull_requests": [],
            "output": {
                "title": check["output"]["title"], "summary": check["output"]["summary"], "text": null, "annotations_url": WEB,
                "annotations_count": check["output"]["annotations"].as_array().map_or(0, Vec::len),
            },
        })
    }
}

fn answer(state: &mut State, asked: &Asked) -> Answer {
    if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Answer::says(401, "Bad credentials");
    }
    let Some(path) = asked.path().strip_prefix(state.base) else { return Answer::says(404, "Not Found") };
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let parts: Vec<String> = parts.into_iter().map(percent_decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["user"]) if state.may_ask_who => Answer::json(200, &account(&state.login)),
        ("GET", ["repos", "acme", "shop"]) => Answer::json(200, &repository(state.visibility)),
        (method, ["repos", "acme", "shop", rest @ ..]) => {
            let may = match (state.rights, method) {
                (Rights::Write, _) | (Rights::Read, "GET") => true,
                (Rights::Read | Rights::None, _) => false,
            };
            if may { of_repository(state, asked, rest) } else { Answer::says(403, "Resource not accessible by integration") }
        }
        ("GET", ["user"]) => Answer::says(403, "Resource not accessible by integration"),
        _ => Answer::says(404, "Not Found"),
    }
}

fn of_repository(state: &mut State, asked: &Asked, parts: &[&str]) -> Answer {
    let not_found = || Answer::says(404, "Not Found");
    match (asked.method.as_str(), parts) {
        ("GET", ["issues", "7", "comments"]) => {
            let (shown, next) = page(&state.comments, asked, &state.address);
            let answer = Answer::json(200, &shown.iter().map(|comment| state.shown(comment)).collect());
            next.into_iter().fold(answer, |answer, next| answer.with("link", next))
        }
        ("POST", ["issues", "7", "comments"]) => match text(asked) {
            Ok(text) => {
                let login = state.login.clone();
                let comment = state.comment(CHANGE, &login, &text);
                Answer::json(201, &state.shown(&comment))
            }
            Err(answer) => answer,
        },
        ("PATCH" | "DELETE", ["issues", "comments", id]) => {
            let Some(at) = state.comments.iter().position(|comment| id.parse() == Ok(comment.id)) else { return not_found() };
            if asked.method == "DELETE" {
                state.comments.remove(at);
                return Answer::nothing();
            }
            match text(asked) {
                Ok(text) => {
                    state.comments[at].body = text;
                    Answer::json(200, &state.shown(&state.comments[at]))
                }
                Err(answer) => answer,
            }
        }
        ("GET", ["commits", commit, "pulls"]) => {
            let pulls = state.pulls.get(*commit).cloned().unwrap_or_default();
            Answer::json(200, &pulls.iter().map(|(number, open, newest)| pull(*number, open, newest, state.visibility)).collect())
        }
        ("GET", ["git", "commits", commit]) if state.knows(commit) => {
            let who = json!({ "date": WHEN, "email": "ann@acme.example", "name": "Ann" });
            let not = json!({ "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null });
            Answer::json(
                200,
                &json!({
                    "sha": commit, "node_id": "C", "url": WEB, "author": who, "committer": who, "message": "cart", "html_url": WEB,
                    "tree": { "sha": commit, "url": WEB }, "parents": [], "verification": not,
                }),
            )
        }
        ("GET", ["contents", path @ ..]) => {
            let at = (asked.query("ref").unwrap_or_default(), path.join("/"));
            let raw = asked.header("accept") == Some("application/vnd.github.raw+json");
            match state.files.get(&at) {
                Some(bytes) if raw => Answer::of(200, "application/vnd.github.raw+json; charset=utf-8", bytes.clone()),
                None => match below(&state.files, &at) {
                    entries if entries.is_empty() => not_found(),
                    entries => Answer::json(200, &entries.iter().map(|(path, kind)| entry(path, kind)).collect()),
                },
                Some(_) => Answer::json(200, &entry(&at.1, "file")),
            }
        }
        ("POST", ["check-runs"]) => {
            let Some(check) = asked.json().filter(is_check) else { return Answer::says(422, "Validation Failed") };
            state.checks.push(check);
            Answer::json(201, &state.check(state.checks.len()))
        }
        ("PATCH", ["check-runs", id]) => {
            let Some(id) = id.parse::<usize>().ok().filter(|id| (1..=state.checks.len()).contains(id)) else { return not_found() };
            let Some(more) = asked.json().filter(has_portion) else { return Answer::says(422, "Validation Failed") };
            let check = &mut state.checks[id - 1];
            let remarks = more["output"]["annotations"].as_array().cloned().unwrap_or_default();
            check["output"]["annotations"].as_array_mut().expect("a list").extend(remarks);
            Answer::json(200, &state.check(id))
        }
        ("POST", ["code-scanning", "sarifs"]) => match asked.json().and_then(unpacked) {
            Some(upload) => {
                state.sarifs.push(upload);
                let id = format!("47177e22-5596-11eb-80a1-{:012}", state.sarifs.len());
                Answer::json(202, &json!({ "id": id, "url": format!("{WEB}/sarifs/{id}") }))
            }
            None => Answer::says(400, "The SARIF file is not valid"),
        },
        ("GET", ["code-scanning", "sarifs", _]) => {
            let told = if state.processing.len() > 1 { state.processing.remove(0) } else { state.processing[0].clone() };
            if told.is_null() { not_found() } else { Answer::json(200, &told) }
        }
        _ => not_found(),
    }
}

impl State {
    fn knows(&self, commit: &str) -> bool {
        self.pulls.contains_key(commit) || self.files.keys().any(|(known, _)| known == commit)
    }
}

/// The text of a comment, if it is one and not too long.
fn text(asked: &Asked) -> Result<String, Answer> {
    let body = asked.json().filter(|body| body.as_object().is_some_and(|map| map.len() == 1));
    let Some(text) = body.and_then(|body| body["body"].as_str().map(str::to_owned)) else { return Err(Answer::says(400, "Problems parsing JSON")) };
    if text.chars().count() > 65_536 {
        let error = json!({ "resource": "IssueComment", "code": "unprocessable", "field": "data", "message": "Body is too long (maximum is 65536 characters)" });
        return Err(Answer::json(422, &json!({ "message": "Validation Failed", "errors": [error], "documentation_url": WEB })));
    }
    Ok(text)
}

fn is_check(check: &Value) -> bool {
    let commit = check["head_sha"].as_str().is_some_and(|sha| sha.len() == 40);
    commit && check["status"] == "completed" && check["conclusion"].is_string() && check["name"].is_string() && has_portion(check)
}

fn has_portion(check: &Value) -> bool {
    let output = &check["output"];
    let annotations = output["annotations"].as_array();
    let levels = annotations.is_some_and(|all| all.iter().all(|one| one["message"].is_string() && one["start_line"].as_u64() >= Some(1)));
    levels && annotations.is_some_and(|all| all.len() <= 50) && output["title"].is_string() && output["summary"].is_string()
}

/// An upload with its document unpacked, if that is what GitHub takes.
fn unpacked(mut upload: Value) -> Option<Value> {
    let packed = STANDARD.decode(upload["sarif"].as_str()?).ok()?;
    let mut document = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut document).ok()?;
    upload["sarif"] = serde_json::from_slice(&document).ok()?;
    (upload["sarif"]["version"] == "2.1.0").then_some(upload)
}

/// Members that all have this value.
fn filled(document: &mut Value, names: &str, value: &Value) {
    let map: &mut Map<String, Value> = document.as_object_mut().expect("a map");
    map.extend(names.split_whitespace().map(|name| (name.to_owned(), value.clone())));
}

fn user(login: &str) -> Value {
    let mut user = json!({ "login": login, "id": 1, "gravatar_id": "", "type": "Bot", "site_admin": false, "node_id": "U" });
    let addresses = "avatar_url url html_url followers_url following_url gists_url starred_url subscriptions_url organizations_url repos_url \
                     events_url received_events_url";
    filled(&mut user, addresses, &WEB.into());
    user
}

fn account(login: &str) -> Value {
    let mut user = user(login);
    filled(&mut user, "name company blog location email hireable bio", &Value::Null);
    user["blog"] = "".into();
    filled(&mut user, "public_repos public_gists followers following", &0.into());
    filled(&mut user, "created_at updated_at", &WHEN.into());
    user
}

/// What lies right below a folder of a commit, each with its type.
fn below(files: &BTreeMap<(String, String), Vec<u8>>, (commit, folder): &(String, String)) -> BTreeSet<(String, &'static str)> {
    let within = files.keys().filter(|(known, _)| known == commit).filter_map(|(_, file)| file.strip_prefix(folder)?.strip_prefix('/'));
    within
        .map(|rest| match rest.split_once('/') {
            Some((name, _)) => (format!("{folder}/{name}"), "dir"),
            None => (format!("{folder}/{rest}"), "file"),
        })
        .collect()
}

fn entry(path: &str, kind: &str) -> Value {
    let links = json!({ "git": WEB, "html": WEB, "self": WEB });
    json!({
        "type": kind, "size": 1, "name": path.rsplit('/').next(), "path": path, "sha": "a".repeat(40), "url": WEB, "git_url": WEB, "html_url": WEB,
        "download_url": WEB, "_links": links,
    })
}

fn repository(visibility: &str) -> Value {
    let mut repository = json!({
        "id": 1, "node_id": "R", "name": "shop", "full_name": REPOSITORY, "owner": user("acme"), "private": visibility != "public",
        "visibility": visibility, "default_branch": "main", "pushed_at": WHEN, "created_at": WHEN, "updated_at": WHEN, "license": null,
        "git_url": "git://github.com/acme/shop.git", "ssh_url": "git@github.com:acme/shop.git",
    });
    let addresses = "html_url url archive_url assignees_url blobs_url branches_url collaborators_url comments_url commits_url compare_url \
        contents_url contributors_url deployments_url downloads_url events_url forks_url git_commits_url git_refs_url git_tags_url \
        issue_comment_url issue_events_url issues_url keys_url labels_url languages_url merges_url milestones_url notifications_url pulls_url \
        releases_url stargazers_url statuses_url subscribers_url subscription_url tags_url teams_url trees_url clone_url hooks_url svn_url";
    filled(&mut repository, addresses, &WEB.into());
    filled(&mut repository, "description mirror_url homepage language", &Value::Null);
    let flags = "fork has_issues has_projects has_wiki has_pages has_discussions has_downloads archived disabled";
    filled(&mut repository, flags, &false.into());
    let counts = "forks_count stargazers_count watchers_count size open_issues_count subscribers_count network_count forks open_issues watchers";
    filled(&mut repository, counts, &0.into());
    repository
}

fn pull(number: u64, open: &str, newest: &str, visibility: &str) -> Value {
    let end = |sha: &str| json!({ "label": "acme:cart", "ref": "cart", "repo": repository(visibility), "sha": sha, "user": user("ann") });
    let mut links = json!({});
    filled(&mut links, "comments commits statuses html issue review_comments review_comment self", &json!({ "href": WEB }));
    let mut pull = json!({
        "id": 1, "node_id": "P", "number": number, "state": open, "locked": false, "title": "Cart", "user": user("ann"), "body": "", "labels": [],
        "created_at": WHEN, "updated_at": WHEN, "head": end(newest), "base": end(newest), "_links": links, "author_association": "MEMBER",
    });
    let addresses = "url html_url diff_url patch_url issue_url commits_url review_comments_url review_comment_url comments_url statuses_url";
    filled(&mut pull, addresses, &WEB.into());
    filled(&mut pull, "milestone closed_at merged_at merge_commit_sha assignee auto_merge", &Value::Null);
    pull
}
