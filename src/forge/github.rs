//! GitHub: the comment on a pull request.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::forge::contract::{Absent, Annotated, Forge, Noted, Told};
use crate::forge::error::{ForgeError, innermost};
use crate::secret::value::Secret;

const NAME: &str = "GitHub";

/// The author of what a job's own token writes; that token may not ask who it is.
const ACTIONS_BOT: &str = "github-actions[bot]";

/// One hundred pages of comments are read before we give up finding ours.
const MAX_PAGES: u32 = 100;
const PAGE: usize = 100;
const MAX_ANSWER: usize = 16 << 20;

/// Pull requests of one repository.
///
/// octocrab's typed call for editing a comment sends POST where GitHub documents PATCH, and its models refuse values that
/// they do not know; so its generic calls are used, with models of our own.
#[derive(Debug)]
pub struct GitHub {
    client: Octocrab,
    repository: String,
}

impl GitHub {
    /// `api` is `GITHUB_API_URL`, with its path; `repository` is `owner/name`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When `api` is no address or `repository` no name.
    pub fn new(client: reqwest::Client, api: &str, token: &Secret, repository: &str) -> Result<Self, ForgeError> {
        let malformed = |why: String| ForgeError::Malformed { forge: NAME, what: "begin", why };
        if repository.split('/').count() != 2 || !repository.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b)) {
            return Err(malformed("the repository is not owner/name".to_owned()));
        }
        let builder = Octocrab::builder().base_uri(api.trim_end_matches('/')).map_err(|_| malformed("its API has no valid address".to_owned()))?;
        // Repeating a POST could leave two comments; what fails is told and left.
        let builder = builder.add_retry_config(RetryConfig::None).personal_token(token.expose().to_owned());
        let client = builder.build_with_reqwest(client).map_err(|error| malformed(error.to_string()))?;
        Ok(Self { client, repository: repository.to_owned() })
    }

    async fn comment(&self, change: u64, marker: &str, body: &str, absent: Absent) -> Result<Annotated, ForgeError> {
        let comments = format!("/repos/{}/issues/{change}/comments", self.repository);
        let author = self.author().await?;
        let Some(ours) = self.find(&comments, marker, &author).await? else {
            if absent == Absent::Leave {
                return Ok(Annotated::Left);
            }
            let _: Comment = self.ask("write the comment", self.client._post(comments, Some(&NewBody { body }))).await?;
            return Ok(Annotated::Created);
        };
        if ours.body.as_deref() == Some(body) {
            return Ok(Annotated::Unchanged);
        }
        let comment = format!("/repos/{}/issues/comments/{}", self.repository, ours.id);
        let _: Comment = self.ask("edit the comment", self.client._patch(comment, Some(&NewBody { body }))).await?;
        Ok(Annotated::Edited)
    }

    /// Our comment: marker and author must both fit, for anybody can write a marker.
    async fn find(&self, comments: &str, marker: &str, author: &str) -> Result<Option<Comment>, ForgeError> {
        for page in 1..=MAX_PAGES {
            let uri = format!("{comments}?per_page={PAGE}&page={page}");
            let found: Vec<Comment> = self.ask("list comments", self.client._get(uri)).await?;
            let full = found.len() >= PAGE;
            let ours = |comment: &Comment| {
                comment.user.as_ref().is_some_and(|user| user.login == author) && comment.body.as_deref().is_some_and(|body| body.contains(marker))
            };
            if let Some(comment) = found.into_iter().find(ours) {
                return Ok(Some(comment));
            }
            if !full {
                break;
            }
        }
        Ok(None)
    }

    async fn author(&self) -> Result<String, ForgeError> {
        match self.ask::<User>("say who we are", self.client._get("/user")).await {
            Ok(user) => Ok(user.login),
            Err(ForgeError::Denied { status: 403 | 404, .. }) => Ok(ACTIONS_BOT.to_owned()),
            Err(error) => Err(error),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, what: &'static str, call: impl Future<Output = octocrab::Result<Answer>>) -> Result<T, ForgeError> {
        let unreachable = |cause: String| ForgeError::Unreachable { forge: NAME, what, cause };
        let answer = call.await.map_err(|error| unreachable(innermost(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(ForgeError::of_status(NAME, what, status.as_u16()));
        }
        let bytes = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| unreachable(innermost(error.as_ref())))?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| ForgeError::Malformed { forge: NAME, what, why: error.to_string() })
    }
}

impl Forge for GitHub {
    fn name(&self) -> &'static str {
        NAME
    }

    fn annotate<'a>(&'a self, change: u64, marker: &'a str, body: &'a str, absent: Absent) -> Told<'a, Noted> {
        Box::pin(async move { Ok(Noted { what: self.comment(change, marker, body, absent).await?, address: None }) })
    }
}

type Answer = http::Response<http_body_util::combinators::BoxBody<Bytes, octocrab::Error>>;

#[derive(Serialize)]
struct NewBody<'a> {
    body: &'a str,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    /// `None` once the account is deleted.
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::forge::loopback::{Asked, Loopback};

    const MARKER: &str = "<!-- honeycrate:shop:production -->";

    /// A forge with state that refuses every request that GitHub's documentation does not describe.
    fn github(asked: &Asked, comments: &mut Vec<Value>) -> (u16, Value) {
        if asked.header("authorization") != Some("Bearer t0ken") {
            return (401, json!({ "message": "Bad credentials" }));
        }
        let body = || serde_json::from_slice::<Value>(&asked.body).ok().filter(|body| body.as_object().is_some_and(|map| map.len() == 1));
        let text = || body().and_then(|body| body["body"].as_str().map(str::to_owned)).filter(|text| text.chars().count() <= 65_536);
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/api/v3/user") => (403, json!({ "message": "Resource not accessible by integration" })),
            ("GET", path) if path.starts_with("/api/v3/repos/acme/shop/issues/12/comments?per_page=100&page=") => {
                let page: usize = path.rsplit('=').next().and_then(|page| page.parse().ok()).expect("a page");
                (200, Value::Array(comments.iter().skip((page - 1) * 100).take(100).cloned().collect()))
            }
            ("POST", "/api/v3/repos/acme/shop/issues/12/comments") => match text() {
                Some(text) => {
                    comments.push(json!({ "id": comments.len() + 1, "body": text, "user": { "login": ACTIONS_BOT } }));
                    (201, comments[comments.len() - 1].clone())
                }
                None => (422, json!({ "message": "Validation Failed" })),
            },
            ("PATCH", path) if path.starts_with("/api/v3/repos/acme/shop/issues/comments/") => {
                let id: usize = path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id");
                match text() {
                    Some(text) => {
                        comments[id - 1]["body"] = text.into();
                        (200, comments[id - 1].clone())
                    }
                    None => (422, json!({ "message": "Validation Failed" })),
                }
            }
            _ => (404, json!({ "message": "Not Found" })),
        }
    }

    async fn forge(comments: &Arc<Mutex<Vec<Value>>>, token: &str) -> (GitHub, Loopback) {
        let state = Arc::clone(comments);
        let server = Loopback::start(move |asked| github(&asked, &mut state.lock().expect("no panic"))).await;
        let api = format!("{}/api/v3", server.address);
        let github = GitHub::new(server.client(), &api, &Secret::new(token.to_owned()), "acme/shop").expect("a forge");
        (github, server)
    }

    #[tokio::test]
    async fn one_comment_is_written_and_then_edited_in_place() {
        let comments = Arc::new(Mutex::new(Vec::new()));
        let (forge, _server) = forge(&comments, "t0ken").await;
        let first = format!("{MARKER}\ndenied");
        assert_eq!(forge.annotate(12, MARKER, &first, Absent::Write).await.expect("written").what, Annotated::Created);
        assert_eq!(forge.annotate(12, MARKER, &first, Absent::Write).await.expect("found").what, Annotated::Unchanged);
        assert_eq!(forge.annotate(12, MARKER, &format!("{MARKER}\npassed"), Absent::Write).await.expect("edited").what, Annotated::Edited);
        let comments = comments.lock().expect("no panic");
        assert_eq!(comments.len(), 1);
        assert_eq!(comments[0]["body"], format!("{MARKER}\npassed"));
    }

    #[tokio::test]
    async fn a_marker_in_somebody_elses_comment_is_not_ours() {
        let mut others = vec![json!({ "id": 1, "body": MARKER, "user": { "login": "mallory" } }), json!({ "id": 2, "body": MARKER, "user": null })];
        others.extend((3..=150).map(|id| json!({ "id": id, "body": "hello", "user": { "login": "ann" } })));
        let ours = json!({ "id": 151, "body": format!("{MARKER}\nold"), "user": { "login": ACTIONS_BOT } });
        let comments = Arc::new(Mutex::new([others, vec![ours]].concat()));
        let (forge, _server) = forge(&comments, "t0ken").await;
        assert_eq!(forge.annotate(12, MARKER, &format!("{MARKER}\nnew"), Absent::Write).await.expect("edited").what, Annotated::Edited);
        let comments = comments.lock().expect("no panic");
        assert_eq!((comments[0]["body"].as_str(), comments[150]["body"].as_str()), (Some(MARKER), Some(format!("{MARKER}\nnew").as_str())));
    }

    #[tokio::test]
    async fn a_refusal_is_one_line_with_a_way_out() {
        let comments = Arc::new(Mutex::new(Vec::new()));
        let (other, _server) = forge(&comments, "wr0ng").await;
        let error = other.annotate(12, MARKER, MARKER, Absent::Write).await.expect_err("refused");
        assert_eq!(error.to_string(), "GitHub refused to say who we are (HTTP 401)");
        let (forge, _server) = forge(&comments, "t0ken").await;
        let error = forge.annotate(13, MARKER, MARKER, Absent::Write).await.expect_err("refused");
        assert_eq!(error.to_string(), "GitHub refused to list comments (HTTP 404)");
        assert!(error.hint().is_some_and(|hint| hint.contains("pull-requests: write")));
    }

    #[tokio::test]
    async fn a_forge_that_is_not_there_is_told_without_the_token() {
        let comments = Arc::new(Mutex::new(Vec::new()));
        let (_, server) = forge(&comments, "t0ken").await;
        let gone = GitHub::new(server.client(), "http://127.0.0.1:1", &Secret::new("t0ken".to_owned()), "acme/shop").expect("a forge");
        let error = gone.annotate(12, MARKER, MARKER, Absent::Write).await.expect_err("nobody listens");
        assert!(matches!(error, ForgeError::Unreachable { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("t0ken"));
    }
}
