//! GitHub: the comment on a pull request, checks, code scanning, and what the API tells of a repository.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use http_body_util::BodyExt as _;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use crate::forge::ci::Visibility;
use crate::forge::contract::{Absent, Analysis, Check, Conclusion, Forge, Level, Noted, Remark, Told};
use crate::forge::error::ForgeError;
use crate::forge::exchange::{
    Answer, Broken, Errand, Exchange, Expects, Repeat, Transport, Trouble, goes_on, is_commit, is_path, plain, request, web_address,
};
use crate::forge::patience::Patience;
use crate::forge::sticky::{Board, Note, keep};
use crate::secret::value::Secret;

const NAME: &str = "GitHub";

/// The author of what a job's own token writes; that token may not ask who it is.
const ACTIONS_BOT: &str = "github-actions[bot]";

/// One hundred pages of comments are read before we give up finding ours.
const MAX_PAGES: u32 = 100;
const PAGE: usize = 100;

/// Source: GitHub's OpenAPI description and "SARIF support for code scanning": remarks in one request, bytes of a summary, of a title and of a
/// remark's text, and of a packed SARIF document.
const REMARKS: usize = 50;
const MAX_SUMMARY: usize = 65_535;
const MAX_TITLE: usize = 255;
const MAX_TEXT: usize = 64 << 10;
const MAX_SARIF: usize = 10 << 20;

/// A folder with this many entries may have more, which are not told. Source: GitHub docs, "Get repository content".
const MAX_ENTRIES: usize = 1_000;

/// More than people read, and twenty requests.
const MAX_REMARKS: usize = 20 * REMARKS;

/// Waits between questions whether a SARIF document was processed. What takes longer is GitHub's own to tell.
const PROCESSING: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(15)];

const COMMENTS: &str = "the job needs `permissions: { pull-requests: write }`; pull requests from forks never have it";
const CONTENTS: &str = "the job needs `permissions: { contents: read }`";
const PULLS: &str = "the job needs `permissions: { pull-requests: read }`, and `contents: read`";
const CHECKS: &str = "the job needs `permissions: { checks: write }`; pull requests from forks never have it";
const SCANNING: &str = "the job needs `permissions: { security-events: write }`, and a private repository needs GitHub Code Security";

/// Pull requests, checks and files of one repository.
///
/// octocrab's typed call for editing a comment sends POST where GitHub documents PATCH, its models refuse values that they do not know, and its
/// waits on rate limits have no end; so its generic door is used, with models of our own. The layers that it puts around a client say that we
/// are octocrab and do not hide the token from logs; so it gets a bare one.
pub struct GitHub {
    exchange: Exchange<Wire>,
    repository: String,
    /// Who we are there, once it is known.
    author: Mutex<Option<String>>,
}

impl GitHub {
    /// `api` is `GITHUB_API_URL`, with its path; `repository` is `owner/name`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When `api` is no address or `repository` no name.
    pub fn new(client: reqwest::Client, api: &str, token: &Secret, repository: &str) -> Result<Self, ForgeError> {
        let malformed = |why: String| ForgeError::Malformed { forge: NAME, what: "begin", why };
        if repository.split('/').count() != 2
            || !is_path(repository)
            || !repository.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
        {
            return Err(malformed("the repository is not owner/name".to_owned()));
        }
        let api = Url::parse(&format!("{}/", api.trim_end_matches('/'))).ok().filter(|url| url.has_host());
        let api = api.ok_or_else(|| malformed("its API has no valid address".to_owned()))?;
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| malformed("the token has characters that cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        let builder = OctocrabBuilder::new_empty().with_service(ReqwestConnector::new(client)).with_auth(AuthState::None);
        let Ok(client) = builder.build();
        let transport = Wire { client, value, token: token.clone() };
        let exchange = Exchange { forge: NAME, api, transport, patience: Patience::default() };
        Ok(Self { exchange, repository: repository.to_owned(), author: Mutex::default() })
    }

    /// The same with waits of one's own.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.exchange.patience = patience;
        self
    }

    /// Asks for `path` below the repository.
    async fn ask(&self, errand: Errand, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        self.ask_at(errand, method, &format!("repos/{}/{path}", self.repository), body, "application/vnd.github+json").await
    }

    async fn ask_at(&self, errand: Errand, method: Method, path: &str, body: Option<&Value>, accept: &str) -> Result<Answer, Trouble> {
        let exchange = &self.exchange;
        let request = request(method, &format!("{}{}", exchange.api, path.trim_end_matches('/')), accept, body);
        let malformed = |error: http::Error| Trouble::finally(exchange.malformed(errand.what, &error.to_string()));
        let mut request = request.map_err(malformed)?;
        request.headers_mut().insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        exchange.run(errand, &request).await
    }

    /// The login under which we write. A job's own token may not ask, and neither may an app's, whose first comment tells it.
    async fn author(&self) -> Result<String, ForgeError> {
        let mut author = self.author.lock().await;
        if let Some(known) = &*author {
            return Ok(known.clone());
        }
        let errand = Errand { what: "say who we are", right: COMMENTS, repeat: Repeat::Always, expects: Expects::Json };
        let login = match self.ask_at(errand, Method::GET, "user", None, "application/vnd.github+json").await {
            Ok(answer) => self.exchange.read::<User>(errand.what, &answer)?.login,
            Err(Trouble { error: ForgeError::Denied { status: 403 | 404, .. }, .. }) => ACTIONS_BOT.to_owned(),
            Err(trouble) => return Err(trouble.error),
        };
        Ok(author.insert(login).clone())
    }

    /// Whether the repository shows us a commit: it has no file that it does not show.
    async fn shows(&self, commit: &str, errand: Errand) -> Result<(), ForgeError> {
        let errand = Errand { expects: Expects::Json, ..errand };
        self.ask(errand, Method::GET, &format!("git/commits/{commit}"), None).await?;
        Ok(())
    }

    async fn file(&self, commit: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ForgeError> {
        let errand = Errand { what: "show a file of a commit", right: CONTENTS, repeat: Repeat::Always, expects: Expects::Bytes(limit) };
        if !is_commit(commit) || !is_path(path) {
            return Err(self.exchange.malformed(errand.what, "we have no commit and path to ask for"));
        }
        let at = format!("repos/{}/contents/{}?ref={commit}", self.repository, encoded(path));
        let answer = match self.ask_at(errand, Method::GET, &at, None, "application/vnd.github.raw+json").await {
            Ok(answer) => answer,
            // What a token may not see is not found either, and then nobody knows whether there is such a file.
            Err(Trouble { error: ForgeError::Denied { status: 404, .. }, .. }) => return self.shows(commit, errand).await.map(|()| None),
            Err(trouble) => return Err(trouble.error),
        };
        let kind = answer.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match kind.contains("raw") {
            true => Ok(Some(answer.body.to_vec())),
            false => Err(self.exchange.malformed(errand.what, "it is no file, but a folder or a submodule")),
        }
    }

    async fn folder(&self, commit: &str, path: &str, most: usize) -> Result<Option<Vec<String>>, ForgeError> {
        let errand = Errand { what: "show a folder of a commit", right: CONTENTS, repeat: Repeat::Always, expects: Expects::Json };
        if !is_commit(commit) || !is_path(path) {
            return Err(self.exchange.malformed(errand.what, "we have no commit and path to ask for"));
        }
        let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
        while let Some(folder) = folders.pop() {
            let answer = match self.ask(errand, Method::GET, &format!("contents/{}?ref={commit}", encoded(&folder)), None).await {
                Ok(answer) => answer,
                Err(Trouble { error: ForgeError::Denied { status: 404, .. }, .. }) => return self.shows(commit, errand).await.map(|()| None),
                Err(trouble) => return Err(trouble.error),
            };
            let Ok(Listing::Folder(entries)) = self.exchange.read(errand.what, &answer) else { return Ok(None) };
            if entries.len() >= MAX_ENTRIES || files.len() + folders.len() + entries.len() > most {
                return Err(self.exchange.malformed(errand.what, &format!("{} holds too much: at most {most} files are read", plain(&folder))));
            }
            for entry in entries {
                match entry.kind.as_str() {
                    "file" => files.push(entry.path),
                    "dir" => folders.push(entry.path),
                    _ => return Err(self.exchange.malformed(errand.what, &format!("{} is a link", plain(&entry.path)))),
                }
            }
        }
        Ok(Some(files))
    }

    async fn open_change(&self, commit: &str) -> Result<Option<u64>, ForgeError> {
        let errand = Errand { what: "say which change a commit belongs to", right: PULLS, repeat: Repeat::Always, expects: Expects::Json };
        if !is_commit(commit) {
            return Err(self.exchange.malformed(errand.what, "we have no commit to ask for"));
        }
        let mut numbers = Vec::new();
        for page in 1..=MAX_PAGES {
            let answer = self.ask(errand, Method::GET, &format!("commits/{commit}/pulls?per_page={PAGE}&page={page}"), None).await?;
            let pulls: Vec<Pull> = self.exchange.read(errand.what, &answer)?;
            numbers.extend(pulls.iter().filter(|pull| pull.state == "open" && pull.head.sha.eq_ignore_ascii_case(commit)).map(|pull| pull.number));
            if !goes_on(&answer, pulls.len(), PAGE) {
                break;
            }
        }
        Ok(numbers.first().copied().filter(|_| numbers.len() == 1))
    }

    async fn repository_visibility(&self) -> Result<Visibility, ForgeError> {
        let errand = Errand { what: "say who may read the repository", right: CONTENTS, repeat: Repeat::Always, expects: Expects::Json };
        let answer = self.ask(errand, Method::GET, "", None).await?;
        let repository: Repository = self.exchange.read(errand.what, &answer)?;
        Ok(Visibility::named(repository.visibility.as_deref(), repository.private))
    }

    async fn show_check(&self, check: &Check) -> Result<Option<String>, ForgeError> {
        // Remarks add up, so that a request that may have arrived is not made again.
        let errand = Errand { what: "show a check", right: CHECKS, repeat: Repeat::Refused, expects: Expects::Json };
        let shown = &check.remarks[..check.remarks.len().min(MAX_REMARKS)];
        let mut summary = check.summary.clone();
        if shown.len() < check.remarks.len() {
            let left_out = format!("\n\n{} more remarks are not shown here.", check.remarks.len() - shown.len());
            summary = cut(&summary, MAX_SUMMARY - left_out.len()) + &left_out;
        }
        let (title, summary) = (cut(&check.title, MAX_TITLE), cut(&summary, MAX_SUMMARY));
        let output = |remarks: &[Remark]| {
            let annotations: Vec<Value> = remarks.iter().map(annotation).collect();
            json!({ "title": title, "summary": summary, "annotations": annotations })
        };
        let mut portions = shown.chunks(REMARKS);
        let mut run = json!({
            "name": check.name,
            "head_sha": check.commit,
            "status": "completed",
            "conclusion": match check.conclusion {
                Conclusion::Success => "success",
                Conclusion::Neutral => "neutral",
                Conclusion::Failure => "failure",
            },
            "output": output(portions.next().unwrap_or_default()),
        });
        if let Some(details) = check.details.as_deref().and_then(web_address) {
            run["details_url"] = details.into();
        }
        let answer = self.ask(errand, Method::POST, "check-runs", Some(&run)).await?;
        let made: CheckRun = self.exchange.read(errand.what, &answer)?;
        for portion in portions {
            let more = json!({ "output": output(portion) });
            self.ask(errand, Method::PATCH, &format!("check-runs/{}", made.id), Some(&more)).await?;
        }
        Ok(made.html_url.as_deref().and_then(web_address))
    }

    async fn hand_in(&self, analysis: &Analysis) -> Result<(), ForgeError> {
        let errand = Errand { what: "take a SARIF document", right: SCANNING, repeat: Repeat::Always, expects: Expects::Json };
        let packed = packed(&analysis.sarif).map_err(|error| self.exchange.malformed(errand.what, &error.to_string()))?;
        if packed.len() > MAX_SARIF {
            let why = format!("{} bytes when packed, of which GitHub takes {MAX_SARIF}", packed.len());
            return Err(ForgeError::TooLong { forge: NAME, what: errand.what, why });
        }
        let upload = json!({
            "commit_sha": analysis.commit,
            "ref": analysis.reference,
            "sarif": STANDARD.encode(packed),
            "tool_name": env!("CARGO_PKG_NAME"),
        });
        let answer = self.ask(errand, Method::POST, "code-scanning/sarifs", Some(&upload)).await?;
        let receipt: Receipt = self.exchange.read(errand.what, &answer)?;
        if receipt.id.is_empty() || !receipt.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(self.exchange.malformed(errand.what, "the receipt has no id"));
        }
        self.processed(&receipt.id).await
    }

    /// Asks a few times what became of a document. One that is still waiting is as good as one that was taken.
    async fn processed(&self, id: &str) -> Result<(), ForgeError> {
        let errand = Errand { what: "process a SARIF document", right: SCANNING, repeat: Repeat::Always, expects: Expects::Json };
        for wait in PROCESSING {
            self.exchange.patience.pause(wait).await;
            let answer = match self.ask(errand, Method::GET, &format!("code-scanning/sarifs/{id}"), None).await {
                Ok(answer) => answer,
                // It is not known everywhere at once.
                Err(Trouble { error: ForgeError::Denied { status: 404, .. }, .. }) => continue,
                Err(trouble) => return Err(trouble.error),
            };
            let processing: Processing = self.exchange.read(errand.what, &answer)?;
            match processing.processing_status.as_deref() {
                Some("failed") => {
                    let why = plain(&processing.errors.unwrap_or_default().join("; "));
                    return Err(ForgeError::Unprocessed { forge: NAME, why });
                }
                Some("complete") => break,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Forge for GitHub {
    fn name(&self) -> &'static str {
        NAME
    }

    fn annotate<'a>(&'a self, change: u64, marker: &'a str, body: &'a str, absent: Absent) -> Told<'a, Noted> {
        Box::pin(async move { keep(&Comments { github: self, change }, marker, body, absent).await })
    }

    fn change_of<'a>(&'a self, commit: &'a str) -> Told<'a, Option<u64>> {
        Box::pin(self.open_change(commit))
    }

    fn visibility(&self) -> Told<'_, Visibility> {
        Box::pin(self.repository_visibility())
    }

    fn file_at<'a>(&'a self, commit: &'a str, path: &'a str, limit: usize) -> Told<'a, Option<Vec<u8>>> {
        Box::pin(self.file(commit, path, limit))
    }

    fn folder_at<'a>(&'a self, commit: &'a str, path: &'a str, most: usize) -> Told<'a, Option<Vec<String>>> {
        Box::pin(self.folder(commit, path, most))
    }

    fn check<'a>(&'a self, check: &'a Check) -> Told<'a, Option<String>> {
        Box::pin(self.show_check(check))
    }

    fn upload_sarif<'a>(&'a self, analysis: &'a Analysis) -> Told<'a, ()> {
        Box::pin(self.hand_in(analysis))
    }
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub").field("repository", &self.repository).finish_non_exhaustive()
    }
}

/// The comments on one pull request.
struct Comments<'a> {
    github: &'a GitHub,
    change: u64,
}

impl Comments<'_> {
    async fn list(&self, marker: &str) -> Result<Vec<Note>, ForgeError> {
        let errand = Errand { what: "list comments", right: COMMENTS, repeat: Repeat::Always, expects: Expects::Json };
        let author = self.github.author().await?;
        let mut ours = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("issues/{}/comments?per_page={PAGE}&page={page}", self.change);
            let answer = self.github.ask(errand, Method::GET, &path, None).await?;
            let comments: Vec<Comment> = self.github.exchange.read(errand.what, &answer)?;
            let len = comments.len();
            let of_us = |comment: &Comment| comment.user.as_ref().is_some_and(|user| user.login == author);
            ours.extend(comments.into_iter().filter(of_us).map(Note::from).filter(|note| note.body.starts_with(marker)));
            if !goes_on(&answer, len, PAGE) {
                break;
            }
        }
        Ok(ours)
    }

    async fn create(&self, body: &str) -> Result<Note, Trouble> {
        let errand = Errand { what: "write the comment", right: COMMENTS, repeat: Repeat::Never, expects: Expects::Json };
        let path = format!("issues/{}/comments", self.change);
        let answer = self.github.ask(errand, Method::POST, &path, Some(&json!({ "body": body }))).await?;
        let comment: Comment = self.github.exchange.read(errand.what, &answer).map_err(Trouble::finally)?;
        if let Some(user) = &comment.user {
            *self.github.author.lock().await = Some(user.login.clone());
        }
        Ok(comment.into())
    }

    async fn change(&self, id: u64, body: &str) -> Result<Note, ForgeError> {
        let errand = Errand { what: "edit the comment", right: COMMENTS, repeat: Repeat::Always, expects: Expects::Json };
        let answer = self.github.ask(errand, Method::PATCH, &format!("issues/comments/{id}"), Some(&json!({ "body": body }))).await?;
        Ok(self.github.exchange.read::<Comment>(errand.what, &answer)?.into())
    }

    async fn delete(&self, id: u64) -> Result<(), ForgeError> {
        let errand = Errand { what: "delete the comment", right: COMMENTS, repeat: Repeat::Always, expects: Expects::Nothing };
        self.github.ask(errand, Method::DELETE, &format!("issues/comments/{id}"), None).await?;
        Ok(())
    }
}

impl Board for Comments<'_> {
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
        &self.github.exchange.patience
    }
}

/// octocrab over our client, with the token on every request.
struct Wire {
    client: Octocrab,
    value: HeaderValue,
    token: Secret,
}

impl Wire {
    async fn exchange(&self, mut request: http::Request<Bytes>, limit: usize) -> Result<Answer, Broken> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        request.headers_mut().insert(AUTHORIZATION, self.value.clone());
        let answer = self.client.execute(request).await.map_err(|error| Broken::of(&error, &host))?;
        let (parts, mut body) = answer.into_parts();
        let (mut bytes, mut cut) = (BytesMut::new(), false);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Broken::of(&error, &host))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                cut = true;
                break;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes.freeze(), cut })
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

/// A path with all but plain characters of its segments encoded.
fn encoded(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(byte).collect()
}

fn annotation(remark: &Remark) -> Value {
    json!({
        "path": remark.path,
        "start_line": remark.line.max(1),
        "end_line": remark.line.max(1),
        "annotation_level": match remark.level {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Error => "failure",
        },
        "title": cut(&remark.title, MAX_TITLE),
        "message": cut(&remark.text, MAX_TEXT),
    })
}

/// A text of at most so many bytes.
fn cut(text: &str, limit: usize) -> String {
    const MORE: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub(MORE.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MORE}", &text[..end])
}

fn packed(sarif: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(sarif)?;
    packer.finish()
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    html_url: Option<String>,
    /// `None` once the account is deleted.
    user: Option<User>,
}

impl From<Comment> for Note {
    fn from(comment: Comment) -> Self {
        Self { id: comment.id, body: comment.body.unwrap_or_default(), address: comment.html_url.as_deref().and_then(web_address) }
    }
}

#[derive(Deserialize)]
struct User {
    login: String,
}

/// What the API shows of a path.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listing {
    Folder(Vec<Entry>),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    state: String,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct Repository {
    visibility: Option<String>,
    private: Option<bool>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Receipt {
    id: String,
}

#[derive(Deserialize)]
struct Processing {
    processing_status: Option<String>,
    errors: Option<Vec<String>>,
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
        assert_eq!(error.to_string(), "GitHub refused to say who we are (HTTP 401: Bad credentials)");
        let (forge, _server) = forge(&comments, "t0ken").await;
        let error = forge.annotate(13, MARKER, MARKER, Absent::Write).await.expect_err("refused");
        assert_eq!(error.to_string(), "GitHub refused to list comments (HTTP 404: Not Found)");
        assert!(error.hint().is_some_and(|hint| hint.contains("pull-requests: write")));
    }

    #[test]
    fn texts_are_cut_between_characters_and_paths_stay_paths() {
        assert_eq!((cut("äää", 6).as_str(), cut("äää", 5).as_str(), cut("ääää", 7).as_str()), ("äää", "ä…", "ää…"));
        assert_eq!(encoded("a b/ü?#%.yaml"), "a%20b/%C3%BC%3F%23%25.yaml");
    }

    #[tokio::test]
    async fn a_forge_that_is_not_there_is_told_without_the_token() {
        let comments = Arc::new(Mutex::new(Vec::new()));
        let (_, server) = forge(&comments, "t0ken").await;
        let gone = GitHub::new(server.client(), "http://127.0.0.1:1", &Secret::new("t0ken".to_owned()), "acme/shop").expect("a forge");
        let clock = Arc::new(TestClock::default());
        let gone = gone.with_patience(Patience::new(POLICY, clock.clone()));
        let error = gone.annotate(12, MARKER, MARKER, Absent::Write).await.expect_err("nobody listens");
        assert!(matches!(error, ForgeError::Unreachable { .. }), "{error}");
        assert_eq!(clock.slept().len(), 2, "it may come another time");
        assert!(!format!("{error} {error:?} {gone:?}").contains("t0ken"));
    }
}
