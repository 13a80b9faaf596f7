//! GitLab: the note on a merge request.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use gitlab::api::projects::merge_requests::notes::{CreateMergeRequestNote, EditMergeRequestNote, MergeRequestNotes};
use gitlab::api::users::CurrentUser;
use gitlab::api::{ApiError, AsyncClient, AsyncQuery as _, Pagination, RestClient, ignore, paged};
use serde::Deserialize;
use url::Url;

use crate::forge::contract::{Absent, Annotated, Forge, Noted, Told};
use crate::forge::error::{ForgeError, innermost};
use crate::secret::value::Secret;

const NAME: &str = "GitLab";

/// The newest notes among which ours is looked for.
const MAX_NOTES: usize = 5_000;
const MAX_ANSWER: usize = 16 << 20;

/// Merge requests of one project.
#[derive(Debug)]
pub struct GitLab {
    wire: Wire,
    project: String,
}

impl GitLab {
    /// `api` is `CI_API_V4_URL`, with its path; `project` is `group/project` or a number.
    ///
    /// The token must be a project, group or personal access token: a job token may read notes and not write them
    /// (GitLab docs, "CI/CD job token").
    ///
    /// # Errors
    /// When `api` is no address or the token cannot be sent.
    pub fn new(client: reqwest::Client, api: &str, token: &Secret, project: &str) -> Result<Self, ForgeError> {
        let malformed = |why: &str| ForgeError::Malformed { forge: NAME, what: "begin", why: why.to_owned() };
        let api = Url::parse(&format!("{}/", api.trim_end_matches('/'))).map_err(|_| malformed("its API has no valid address"))?;
        let mut header = http::HeaderValue::from_str(token.expose()).map_err(|_| malformed("the token has characters that cannot be sent"))?;
        header.set_sensitive(true);
        Ok(Self { wire: Wire { client, api, token: header }, project: project.to_owned() })
    }

    async fn note(&self, change: u64, marker: &str, body: &str, absent: Absent) -> Result<Annotated, ForgeError> {
        let built = "our own requests name everything that they need";
        let user: User = CurrentUser::builder().build().expect(built).query_async(&self.wire).await.map_err(told("say who we are"))?;
        let notes = MergeRequestNotes::builder().project(self.project.as_str()).merge_request(change).build().expect(built);
        let notes: Vec<Note> = paged(notes, Pagination::Limit(MAX_NOTES)).query_async(&self.wire).await.map_err(told("list notes"))?;
        // Marker and author must both fit, for anybody can write a marker.
        let Some(ours) = notes.into_iter().find(|note| !note.system && note.author.id == user.id && note.body.contains(marker)) else {
            if absent == Absent::Leave {
                return Ok(Annotated::Left);
            }
            let note = CreateMergeRequestNote::builder().project(self.project.as_str()).merge_request(change).body(body).build().expect(built);
            ignore(note).query_async(&self.wire).await.map_err(told("write the note"))?;
            return Ok(Annotated::Created);
        };
        if ours.body == body {
            return Ok(Annotated::Unchanged);
        }
        let project = self.project.as_str();
        let note = EditMergeRequestNote::builder().project(project).merge_request(change).note(ours.id).body(body).build().expect(built);
        ignore(note).query_async(&self.wire).await.map_err(told("edit the note"))?;
        Ok(Annotated::Edited)
    }
}

impl Forge for GitLab {
    fn name(&self) -> &'static str {
        NAME
    }

    fn annotate<'a>(&'a self, change: u64, marker: &'a str, body: &'a str, absent: Absent) -> Told<'a, Noted> {
        Box::pin(async move { Ok(Noted { what: self.note(change, marker, body, absent).await?, address: None }) })
    }
}

#[derive(Deserialize)]
struct User {
    id: u64,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    author: User,
    /// Written by GitLab itself: `assigned to @ann`.
    #[serde(default)]
    system: bool,
}

/// The gitlab crate's requests over our own client.
#[derive(Debug)]
struct Wire {
    client: reqwest::Client,
    api: Url,
    token: http::HeaderValue,
}

#[derive(Debug, thiserror::Error)]
enum WireError {
    #[error("{0}")]
    Build(#[from] http::Error),
    #[error("{}", innermost(.0))]
    Send(#[from] reqwest::Error),
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge,
}

impl Wire {
    async fn send(&self, request: http::request::Builder, body: Vec<u8>) -> Result<http::Response<Bytes>, WireError> {
        let request = request.header("PRIVATE-TOKEN", self.token.clone()).body(body)?;
        let mut answer = self.client.execute(request.try_into()?).await?;
        let mut built = http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            built = built.header(name, value);
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(WireError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(built.body(bytes.freeze())?)
    }
}

impl RestClient for Wire {
    type Error = WireError;

    fn rest_endpoint(&self, endpoint: &str) -> Result<Url, ApiError<WireError>> {
        Ok(self.api.join(endpoint)?)
    }
}

impl AsyncClient for Wire {
    // What `async_trait` makes of an async function, written out.
    fn rest_async<'a, 'b>(
        &'a self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, ApiError<WireError>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.send(request, body).await.map_err(ApiError::client) })
    }
}

fn told(what: &'static str) -> impl Fn(ApiError<WireError>) -> ForgeError {
    move |error| match error {
        ApiError::Client { source } => ForgeError::Unreachable { forge: NAME, what, cause: source.to_string() },
        ApiError::GitlabService { status, .. }
        | ApiError::GitlabWithStatus { status, .. }
        | ApiError::GitlabObjectWithStatus { status, .. }
        | ApiError::GitlabUnrecognizedWithStatus { status, .. } => ForgeError::of_status(NAME, what, status.as_u16()),
        error => ForgeError::Malformed { forge: NAME, what, why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::forge::loopback::{Asked, Loopback};

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
        assert_eq!(error.to_string(), "GitLab refused to say who we are (HTTP 401)");
        let (forge, _server) = forge(&notes, "t0ken").await;
        let error = forge.annotate(4, MARKER, MARKER, Absent::Write).await.expect_err("refused");
        assert_eq!(error.to_string(), "GitLab refused to list notes (HTTP 404)");
        assert!(error.hint().is_some_and(|hint| hint.contains("scope api")));
    }

    #[tokio::test]
    async fn a_forge_that_is_not_there_is_told_without_the_token() {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (_, server) = forge(&notes, "t0ken").await;
        let gone = GitLab::new(server.client(), "http://127.0.0.1:1/api/v4", &Secret::new("t0ken".to_owned()), "acme/shop").expect("a forge");
        let error = gone.annotate(3, MARKER, MARKER, Absent::Write).await.expect_err("nobody listens");
        assert!(matches!(error, ForgeError::Unreachable { .. }), "{error}");
        assert!(!format!("{error} {error:?} {gone:?}").contains("t0ken"));
    }
}
