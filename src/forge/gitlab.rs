//! GitLab: the note on a merge request, and what the API tells of a project.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use gitlab::api::endpoint_prelude::{Endpoint, Pageable, QueryParams};
use gitlab::api::projects::Project;
use gitlab::api::projects::merge_requests::notes::{CreateMergeRequestNote, EditMergeRequestNote, MergeRequestNotes};
use gitlab::api::projects::repository::commits::MergeRequests;
use gitlab::api::projects::repository::files::FileRaw;
use gitlab::api::users::CurrentUser;
use gitlab::api::{ApiError, AsyncClient, AsyncQuery as _, Pagination, RestClient, ignore, paged, raw};
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use crate::forge::ci::Visibility;
use crate::forge::contract::{Absent, Forge, Noted, Told};
use crate::forge::error::ForgeError;
use crate::forge::exchange::{Answer, Broken, Errand, Exchange, Expects, Repeat, Transport, Trouble, is_commit, is_path, plain, web_address};
use crate::forge::patience::Patience;
use crate::forge::sticky::{Board, Note, keep};
use crate::secret::value::Secret;

const NAME: &str = "GitLab";

/// The newest notes among which ours is looked for.
const MAX_NOTES: usize = 5_000;
/// Merge requests that hold one commit.
const MAX_CHANGES: usize = 500;

const API: &str = "the token needs scope api and role Developer on the project";
const READ: &str = "the token needs scope read_api on the project; a job token may read files and merge requests of its own project";

/// What was handed to us to speak with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A project, group or personal access token.
    Access,
    /// `CI_JOB_TOKEN`, which may read files, notes and the merge requests of a commit, and may not write notes, ask who it is, or ask about the
    /// project. Source: GitLab docs, "CI/CD job token", section "Job token access".
    Job,
}

/// Merge requests and files of one project.
pub struct GitLab {
    exchange: Exchange<Wire>,
    project: String,
    token: TokenKind,
    /// The id under which we write, once it is known.
    author: OnceCell<u64>,
}

impl GitLab {
    /// `api` is `CI_API_V4_URL`, with its path; `project` is `group/project` or a number; `token` is an access token.
    ///
    /// # Errors
    /// When `api` is no address or the token cannot be sent.
    pub fn new(client: reqwest::Client, api: &str, token: &Secret, project: &str) -> Result<Self, ForgeError> {
        Self::with_token(client, api, token, TokenKind::Access, project)
    }

    /// The same with any token. A job token reads and no more: [`Forge::annotate`] fails without a question.
    ///
    /// # Errors
    /// When `api` is no address or the token cannot be sent.
    pub fn with_token(client: reqwest::Client, api: &str, token: &Secret, kind: TokenKind, project: &str) -> Result<Self, ForgeError> {
        let malformed = |why: &str| ForgeError::Malformed { forge: NAME, what: "begin", why: why.to_owned() };
        let api = Url::parse(&format!("{}/", api.trim_end_matches('/'))).ok().filter(|url| url.has_host());
        let api = api.ok_or_else(|| malformed("its API has no valid address"))?;
        if !is_path(project) {
            return Err(malformed("the project is not group/project"));
        }
        let mut value = HeaderValue::from_str(token.expose()).map_err(|_| malformed("the token has characters that cannot be sent"))?;
        value.set_sensitive(true);
        let name = match kind {
            TokenKind::Access => HeaderName::from_static("private-token"),
            TokenKind::Job => HeaderName::from_static("job-token"),
        };
        let transport = Wire { client, name, value, token: token.clone() };
        let exchange = Exchange { forge: NAME, api, transport, patience: Patience::default() };
        Ok(Self { exchange, project: project.to_owned(), token: kind, author: OnceCell::new() })
    }

    /// The same with waits of one's own.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.exchange.patience = patience;
        self
    }

    fn call(&self, errand: Errand) -> Call<'_> {
        Call { exchange: &self.exchange, errand }
    }

    /// What an error of the gitlab crate means; all that an answer can say is told by our own part of it.
    fn told(&self, errand: Errand) -> impl Fn(ApiError<Box<Trouble>>) -> Trouble {
        move |error| match error {
            ApiError::Client { source } => *source,
            error => Trouble::finally(self.exchange.malformed(errand.what, &error.to_string())),
        }
    }

    /// Where a note can be read: the API lies below the address at which people see the projects.
    fn address(&self, change: u64, note: u64) -> Option<String> {
        let server = self.exchange.api.as_str().strip_suffix("/api/v4/").filter(|_| self.project.contains('/'))?;
        web_address(&format!("{server}/{}/-/merge_requests/{change}#note_{note}", self.project))
    }

    async fn author(&self) -> Result<u64, ForgeError> {
        let errand = Errand { what: "say who we are", right: API, repeat: Repeat::Always, expects: Expects::Json };
        let ask = async || {
            let user: User = CurrentUser::builder().build().expect(BUILT).query_async(&self.call(errand)).await.map_err(self.told(errand))?;
            Ok(user.id)
        };
        self.author.get_or_try_init(ask).await.copied()
    }

    async fn file(&self, commit: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ForgeError> {
        let errand = Errand { what: "show a file of a commit", right: READ, repeat: Repeat::Always, expects: Expects::Bytes(limit) };
        if !is_commit(commit) || !is_path(path) {
            return Err(self.exchange.malformed(errand.what, "we have no commit and path to ask for"));
        }
        let file = FileRaw::builder().project(self.project.as_str()).file_path(path).ref_(commit).lfs(false).build().expect(BUILT);
        match raw(file).query_async(&self.call(errand)).await.map_err(self.told(errand)) {
            Ok(bytes) => Ok(Some(bytes)),
            // What a token may not see is not found either; then it is the project, or the commit, that is said to be missing.
            Err(Trouble { error: ForgeError::Denied { status: 404, why, .. }, .. }) if why.contains("File Not Found") => Ok(None),
            Err(trouble) => Err(trouble.error),
        }
    }

    async fn folder(&self, commit: &str, path: &str, most: usize) -> Result<Option<Vec<String>>, ForgeError> {
        let errand = Errand { what: "show a folder of a commit", right: READ, repeat: Repeat::Always, expects: Expects::Json };
        if !is_commit(commit) || !is_path(path) {
            return Err(self.exchange.malformed(errand.what, "we have no commit and path to ask for"));
        }
        let tree = Tree { project: &self.project, commit, path };
        let entries: Vec<Entry> = match paged(tree, Pagination::Limit(most + 1)).query_async(&self.call(errand)).await.map_err(self.told(errand)) {
            Ok(entries) => entries,
            Err(Trouble { error: ForgeError::Denied { status: 404, why, .. }, .. }) if why.contains("Tree Not Found") => return Ok(None),
            Err(trouble) => return Err(trouble.error),
        };
        if entries.len() > most {
            return Err(self.exchange.malformed(errand.what, &format!("it holds too much: at most {most} files and folders are read")));
        }
        let is_folder = |entry: &Entry| entry.kind == "tree";
        if let Some(link) = entries.iter().find(|entry| !is_folder(entry) && !entry.mode.starts_with("100")) {
            return Err(self.exchange.malformed(errand.what, &format!("{} is a link", plain(&link.path))));
        }
        let files: Vec<String> = entries.iter().filter(|entry| !is_folder(entry)).map(|entry| entry.path.clone()).collect();
        // Some versions say so of what is not there.
        Ok(Some(files).filter(|_| !entries.is_empty()))
    }

    async fn open_change(&self, commit: &str) -> Result<Option<u64>, ForgeError> {
        let errand = Errand { what: "say which change a commit belongs to", right: READ, repeat: Repeat::Always, expects: Expects::Json };
        if !is_commit(commit) {
            return Err(self.exchange.malformed(errand.what, "we have no commit to ask for"));
        }
        let changes = MergeRequests::builder().project(self.project.as_str()).sha(commit).build().expect(BUILT);
        let changes: Vec<Change> = paged(changes, Pagination::Limit(MAX_CHANGES)).query_async(&self.call(errand)).await.map_err(self.told(errand))?;
        let newest = |change: &&Change| change.state == "opened" && change.sha.as_deref().is_some_and(|sha| sha.eq_ignore_ascii_case(commit));
        let mut open = changes.iter().filter(newest).map(|change| change.iid);
        Ok(open.next().filter(|_| open.next().is_none()))
    }

    async fn project_visibility(&self) -> Result<Visibility, ForgeError> {
        let errand = Errand { what: "say who may read the project", right: READ, repeat: Repeat::Always, expects: Expects::Json };
        let project = Project::builder().project(self.project.as_str()).build().expect(BUILT);
        let project: Shown = project.query_async(&self.call(errand)).await.map_err(self.told(errand))?;
        Ok(Visibility::named(project.visibility.as_deref(), None))
    }
}

const BUILT: &str = "our own requests name everything that they need";

impl Forge for GitLab {
    fn name(&self) -> &'static str {
        NAME
    }

    fn annotate<'a>(&'a self, change: u64, marker: &'a str, body: &'a str, absent: Absent) -> Told<'a, Noted> {
        Box::pin(async move {
            match self.token {
                TokenKind::Access => keep(&Notes { gitlab: self, change }, marker, body, absent).await,
                TokenKind::Job => Err(ForgeError::NoToken { forge: NAME }),
            }
        })
    }

    fn change_of<'a>(&'a self, commit: &'a str) -> Told<'a, Option<u64>> {
        Box::pin(self.open_change(commit))
    }

    fn visibility(&self) -> Told<'_, Visibility> {
        Box::pin(self.project_visibility())
    }

    fn file_at<'a>(&'a self, commit: &'a str, path: &'a str, limit: usize) -> Told<'a, Option<Vec<u8>>> {
        Box::pin(self.file(commit, path, limit))
    }

    fn folder_at<'a>(&'a self, commit: &'a str, path: &'a str, most: usize) -> Told<'a, Option<Vec<String>>> {
        Box::pin(self.folder(commit, path, most))
    }
}

impl fmt::Debug for GitLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitLab").field("project", &self.project).field("token", &self.token).finish_non_exhaustive()
    }
}

/// The notes on one merge request.
struct Notes<'a> {
    gitlab: &'a GitLab,
    change: u64,
}

impl Notes<'_> {
    fn note(&self, told: Written) -> Note {
        Note { id: told.id, body: told.body, address: self.gitlab.address(self.change, told.id) }
    }

    async fn list(&self, marker: &str) -> Result<Vec<Note>, ForgeError> {
        let (gitlab, errand) = (self.gitlab, Errand { what: "list notes", right: API, repeat: Repeat::Always, expects: Expects::Json });
        let author = gitlab.author().await?;
        let notes = MergeRequestNotes::builder().project(gitlab.project.as_str()).merge_request(self.change).build().expect(BUILT);
        let notes: Vec<Written> = paged(notes, Pagination::Limit(MAX_NOTES)).query_async(&gitlab.call(errand)).await.map_err(gitlab.told(errand))?;
        let ours = |note: &Written| !note.system && note.author.as_ref().is_some_and(|user| user.id == author) && note.body.starts_with(marker);
        Ok(notes.into_iter().filter(ours).map(|note| self.note(note)).collect())
    }

    async fn create(&self, body: &str) -> Result<Note, Trouble> {
        let (gitlab, errand) = (self.gitlab, Errand { what: "write the note", right: API, repeat: Repeat::Never, expects: Expects::Json });
        let note = CreateMergeRequestNote::builder().project(gitlab.project.as_str()).merge_request(self.change).body(body).build().expect(BUILT);
        let written: Written = note.query_async(&gitlab.call(errand)).await.map_err(gitlab.told(errand))?;
        Ok(self.note(written))
    }

    async fn change(&self, id: u64, body: &str) -> Result<Note, ForgeError> {
        let (gitlab, errand) = (self.gitlab, Errand { what: "edit the note", right: API, repeat: Repeat::Always, expects: Expects::Json });
        let project = gitlab.project.as_str();
        let note = EditMergeRequestNote::builder().project(project).merge_request(self.change).note(id).body(body).build().expect(BUILT);
        let written: Written = note.query_async(&gitlab.call(errand)).await.map_err(gitlab.told(errand))?;
        Ok(self.note(written))
    }

    async fn delete(&self, id: u64) -> Result<(), ForgeError> {
        let (gitlab, errand) = (self.gitlab, Errand { what: "delete the note", right: API, repeat: Repeat::Always, expects: Expects::Nothing });
        let note = DeleteNote { project: &gitlab.project, change: self.change, note: id };
        ignore(note).query_async(&gitlab.call(errand)).await.map_err(gitlab.told(errand))?;
        Ok(())
    }
}

impl Board for Notes<'_> {
    fn ours<'a>(&'a self, marker: &'a str) -> Told<'a, Vec<Note>> {
        Box::pin(self.list(marker))
    }

    fn write<'a>(&'a self, body: &'a str) -> BoxFuture<'a, Result<Note, Trouble>> {
        Box::pin(self.create(body))
    }

    fn edit<'a>(&'a self, id: u64, body: &'a str) -> Told<'a, Note> {
        Box::pin(self.change(id, body))
    }

    fn remove(&self, id: u64) -> Told<'_, ()> {
        Box::pin(self.delete(id))
    }

    fn patience(&self) -> &Patience {
        &self.gitlab.exchange.patience
    }
}

/// What the gitlab crate lacks.
struct DeleteNote<'a> {
    project: &'a str,
    change: u64,
    note: u64,
}

impl Endpoint for DeleteNote<'_> {
    fn method(&self) -> Method {
        Method::DELETE
    }

    fn endpoint(&self) -> Cow<'static, str> {
        let project = gitlab::api::common::path_escaped(self.project);
        format!("projects/{project}/merge_requests/{}/notes/{}", self.change, self.note).into()
    }
}

/// All that lies below a folder. The crate's own form of it sends what it asks for in a body, which a GET has none of.
struct Tree<'a> {
    project: &'a str,
    commit: &'a str,
    path: &'a str,
}

impl Endpoint for Tree<'_> {
    fn method(&self) -> Method {
        Method::GET
    }

    fn endpoint(&self) -> Cow<'static, str> {
        format!("projects/{}/repository/tree", gitlab::api::common::path_escaped(self.project)).into()
    }

    fn parameters(&self) -> QueryParams<'_> {
        let mut parameters = QueryParams::default();
        parameters.push("path", self.path).push("ref", self.commit).push("recursive", true);
        parameters
    }
}

impl Pageable for Tree<'_> {}

/// The gitlab crate's requests over our own exchange.
struct Call<'a> {
    exchange: &'a Exchange<Wire>,
    errand: Errand,
}

impl Call<'_> {
    async fn make(&self, builder: http::request::Builder, body: Vec<u8>) -> Result<http::Response<Bytes>, Box<Trouble>> {
        let malformed = |error: http::Error| Box::new(Trouble::finally(self.exchange.malformed(self.errand.what, &error.to_string())));
        let request = builder.body(Bytes::from(body)).map_err(malformed)?;
        let answer = self.exchange.run(self.errand, &request).await.map_err(Box::new)?;
        let mut response = http::Response::builder().status(answer.status).body(answer.body).map_err(malformed)?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl RestClient for Call<'_> {
    type Error = Box<Trouble>;

    fn rest_endpoint(&self, endpoint: &str) -> Result<Url, ApiError<Box<Trouble>>> {
        Ok(self.exchange.api.join(endpoint)?)
    }
}

impl AsyncClient for Call<'_> {
    // What `async_trait` makes of an async function, written out.
    fn rest_async<'a, 'b>(
        &'a self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, ApiError<Box<Trouble>>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.make(request, body).await.map_err(ApiError::client) })
    }
}

/// Our client, with the token on every request.
struct Wire {
    client: reqwest::Client,
    name: HeaderName,
    value: HeaderValue,
    token: Secret,
}

impl Wire {
    async fn exchange(&self, mut request: http::Request<Bytes>, limit: usize) -> Result<Answer, Broken> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        request.headers_mut().insert(self.name.clone(), self.value.clone());
        let broken = |error: reqwest::Error| Broken::of(&error, &host);
        let mut answer = self.client.execute(request.try_into().map_err(broken)?).await.map_err(broken)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let (mut bytes, mut cut) = (BytesMut::new(), false);
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if bytes.len() + chunk.len() > limit {
                cut = true;
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: bytes.freeze(), cut })
    }
}

impl Transport for Wire {
    fn send(&self, request: http::Request<Bytes>, limit: usize) -> BoxFuture<'_, Result<Answer, Broken>> {
        Box::pin(self.exchange(request, limit))
    }

    fn conceal(&self, text: &str) -> String {
        match self.token.expose() {
            "" => text.to_owned(),
            token => text.replace(token, "***"),
        }
    }
}

#[derive(Deserialize)]
struct User {
    id: u64,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
    body: String,
    author: Option<User>,
    /// Written by GitLab itself: `assigned to @ann`.
    #[serde(default)]
    system: bool,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    /// As git writes it: `100644`.
    mode: String,
}

#[derive(Deserialize)]
struct Change {
    iid: u64,
    state: String,
    /// The newest commit of its source branch.
    sha: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    visibility: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::forge::contract::Annotated;
    use crate::forge::loopback::{Asked, Loopback};
    use crate::forge::patience::{POLICY, TestClock};

    const MARKER: &str = "<!-- honeycrate:shop:production -->";

    /// A forge with state that refuses every request that GitLab's documentation does not describe.
    fn gitlab(asked: &Asked, notes: &mut Vec<Value>) -> (u16, Value) {
        const NOTES: &str = "/git/api/v4/projects/acme%2Fshop/merge_requests/3/notes";
        if asked.header("private-token") != Some("t0ken") {
            return (401, json!({ "message": "401 Unauthorized" }));
        }
        let form = || url::form_urlencoded::parse(&asked.body).into_owned().collect::<Vec<_>>();
        let text = || match (asked.header("content-type"), form().as_slice()) {
            (Some("application/x-www-form-urlencoded"), [(key, text)]) if key == "body" => Some(text.clone()),
            _ => None,
        };
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        match (asked.method.as_str(), path) {
            ("GET", "/git/api/v4/user") => (200, json!({ "id": 7, "username": "project_1_bot" })),
            ("GET", NOTES) => {
                let number = |name: &str| {
                    let value = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
                    value.and_then(|value| value.parse::<usize>().ok()).expect("a number")
                };
                let (page, size) = (number("page"), number("per_page"));
                (200, Value::Array(notes.iter().skip((page - 1) * size).take(size).cloned().collect()))
            }
            ("POST", NOTES) => match text() {
                Some(text) => {
                    notes.push(json!({ "id": notes.len() + 1, "body": text, "author": { "id": 7 }, "system": false }));
                    (201, notes[notes.len() - 1].clone())
                }
                None => (400, json!({ "error": "body is missing" })),
            },
            ("PUT", path) if path.starts_with(NOTES) => {
                let id: usize = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
                match text() {
                    Some(text) => {
                        notes[id - 1]["body"] = text.into();
                        (200, notes[id - 1].clone())
                    }
                    None => (400, json!({ "error": "body is missing" })),
                }
            }
            _ => (404, json!({ "message": "404 Not found" })),
        }
    }

    async fn forge(notes: &Arc<Mutex<Vec<Value>>>, token: &str) -> (GitLab, Loopback) {
        let state = Arc::clone(notes);
        let server = Loopback::start(move |asked| gitlab(&asked, &mut state.lock().expect("no panic"))).await;
        let api = format!("{}/git/api/v4", server.address);
        let gitlab = GitLab::new(server.client(), &api, &Secret::new(token.to_owned()), "acme/shop").expect("a forge");
        (gitlab, server)
    }

    #[tokio::test]
    async fn one_note_is_written_and_then_edited_in_place() {
        let mallory = json!({ "id": 1, "body": MARKER, "author": { "id": 8 }, "system": false });
        let mut others = vec![mallory];
        others.extend((2..=130).map(|id| json!({ "id": id, "body": "hello", "author": { "id": 9 }, "system": true })));
        let notes = Arc::new(Mutex::new(others));
        let (forge, _server) = forge(&notes, "t0ken").await;
        let first = format!("{MARKER}\n| a | b & c = d |");
        assert_eq!(forge.annotate(3, MARKER, &first, Absent::Write).await.expect("written").what, Annotated::Created);
        assert_eq!(forge.annotate(3, MARKER, &first, Absent::Write).await.expect("found").what, Annotated::Unchanged);
        assert_eq!(forge.annotate(3, MARKER, &format!("{MARKER}\npassed"), Absent::Write).await.expect("edited").what, Annotated::Edited);
        let notes = notes.lock().expect("no panic");
        assert_eq!(notes.len(), 131);
        assert_eq!((notes[0]["body"].as_str(), notes[130]["body"].as_str()), (Some(MARKER), Some(format!("{MARKER}\npassed").as_str())));
    }

    #[tokio::test]
    async fn a_refusal_is_one_line_with_a_way_out() {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (other, _server) = forge(&notes, "wr0ng").await;
        let error = other.annotate(3, MARKER, MARKER, Absent::Write).await.expect_err("refused");
        assert_eq!(error.to_string(), "GitLab refused to say who we are (HTTP 401: 401 Unauthorized)");
        let (forge, _server) = forge(&notes, "t0ken").await;
        let error = forge.annotate(4, MARKER, MARKER, Absent::Write).await.expect_err("refused");
        assert_eq!(error.to_string(), "GitLab refused to list notes (HTTP 404: 404 Not found)");
        assert!(error.hint().is_some_and(|hint| hint.contains("scope api")));
    }

    #[tokio::test]
    async fn a_forge_that_is_not_there_is_told_without_the_token() {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (_, server) = forge(&notes, "t0ken").await;
        let gone = GitLab::new(server.client(), "http://127.0.0.1:1/api/v4", &Secret::new("t0ken".to_owned()), "acme/shop").expect("a forge");
        let clock = Arc::new(TestClock::default());
        let gone = gone.with_patience(Patience::new(POLICY, clock.clone()));
        let error = gone.annotate(3, MARKER, MARKER, Absent::Write).await.expect_err("nobody listens");
        assert!(matches!(error, ForgeError::Unreachable { .. }), "{error}");
        assert_eq!(clock.slept().len(), 2, "it may come another time");
        assert!(!format!("{error} {error:?} {gone:?}").contains("t0ken"));
    }
}
