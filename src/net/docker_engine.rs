//! The Docker Engine: what it says of an image, an image out of it, an image into it.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use reqwest::{Body, Client, Response};
use serde::Deserialize;
use url::Url;

use crate::net::client::socket_client;
use crate::net::error::NetError;

/// Where the Engine listens when nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// Answers other than images are read up to this many bytes.
const MAX_ANSWER: usize = 1 << 20;

/// One Docker Engine, over its Unix socket or plain TCP.
///
/// Source: Docker Engine API reference, paths without a version prefix, which every Engine answers with its newest.
#[derive(Clone)]
pub struct DockerEngine {
    client: Client,
    base: Url,
    /// For messages.
    address: String,
}

/// What the Engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EngineVersion {
    pub version: String,
    pub api_version: String,
}

/// What the Engine says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineImage {
    /// Digest of its config, or of its manifest or index in Engines that keep images in containerd.
    pub id: String,
    /// Digests of its uncompressed layers, oldest first.
    pub diff_ids: Vec<String>,
    /// Bytes, as the Engine counts them.
    pub size: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("`{0}` is not an address of a Docker Engine: unix:///path or tcp://host:port is")]
    Address(String),
    #[error("there is no Docker Engine at {address}: {cause}")]
    Unreachable { address: String, cause: NetError },
    #[error("the Docker Engine at {address} broke off in the middle of an image: {cause}")]
    BrokeOff { address: String, cause: NetError },
    #[error("the Docker Engine has no image `{0}`")]
    NoSuchImage(String),
    #[error("the Docker Engine refused {what} (status {status}): {message}")]
    Refused { what: String, status: u16, message: String },
    #[error("the Docker Engine's answer to {what} cannot be read: {why}")]
    Answer { what: String, why: String },
}

impl EngineError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Address(_) => Some("set DOCKER_HOST to the Engine's socket; for TLS or SSH, save the image and give it as docker-archive:FILE"),
            Self::Unreachable { .. } => {
                Some("is Docker running, and may this user open its socket? else give the image as docker-archive:FILE or oci:DIRECTORY")
            }
            Self::BrokeOff { .. } => Some("nothing was pushed; the Engine's own log says why, a full disk among other things"),
            Self::NoSuchImage(_) => Some("build or pull it first; `docker image ls` lists what the Engine has"),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    size: u64,
    #[serde(default, rename = "RootFS")]
    root: Option<RootFs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Message {
    message: Option<String>,
    error: Option<String>,
}

impl DockerEngine {
    /// The Engine at `host`, which is written like `DOCKER_HOST`; the default socket where nothing is given.
    ///
    /// # Errors
    /// When the address has another form.
    pub fn new(host: Option<&str>) -> Result<Self, EngineError> {
        let address = host.filter(|host| !host.is_empty()).unwrap_or(DEFAULT_SOCKET).to_owned();
        let bad = || EngineError::Address(address.chars().take(200).collect());
        let (socket, base) = match address.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => (Some(PathBuf::from(path)), "http://docker".to_owned()),
            Some(("tcp" | "http", host)) if !host.is_empty() => (None, format!("http://{host}")),
            _ => return Err(bad()),
        };
        let base = Url::parse(&base).map_err(|_| bad())?;
        let client = socket_client(socket.as_deref()).map_err(|cause| EngineError::Unreachable { address: address.clone(), cause })?;
        Ok(Self { client, base, address })
    }

    /// # Errors
    /// When there is no Engine, or it answers something else.
    pub async fn version(&self) -> Result<EngineVersion, EngineError> {
        let answer = self.get(self.url(&["version"])).await?;
        parse("version", &text_of(answer, "version").await?)
    }

    /// # Errors
    /// When there is no Engine or no such image.
    pub async fn inspect(&self, name: &str) -> Result<EngineImage, EngineError> {
        let answer = self.get(self.image(name, "json")?).await?;
        let answer = accepted(answer, name, "inspect").await?;
        let found: Inspected = parse("inspect", &text_of(answer, "inspect").await?)?;
        Ok(EngineImage { id: found.id, diff_ids: found.root.and_then(|root| root.layers).unwrap_or_default(), size: found.size })
    }

    /// The image as a tar archive, the same that `docker save` writes.
    ///
    /// # Errors
    /// When there is no Engine or no such image; in the stream, when the Engine breaks off.
    pub async fn save(&self, name: &str) -> Result<impl Stream<Item = Result<Bytes, EngineError>> + Send + Unpin + use<>, EngineError> {
        let answer = self.get(self.image(name, "get")?).await?;
        let answer = accepted(answer, name, "save").await?;
        let address = self.address.clone();
        let broke_off = move |cause| EngineError::BrokeOff { address: address.clone(), cause: NetError::of(&cause, "the Docker Engine") };
        Ok(answer.bytes_stream().map_err(broke_off).boxed())
    }

    /// Loads a tar archive, as `docker load` does.
    ///
    /// # Errors
    /// When there is no Engine, or it does not take the archive.
    pub async fn load<S>(&self, archive: S) -> Result<(), EngineError>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let mut url = self.url(&["images", "load"]);
        url.set_query(Some("quiet=1"));
        let request = self.client.post(url).header("content-type", "application/x-tar").body(Body::wrap_stream(archive));
        let answer = request.send().await.map_err(|cause| broken(&self.address, &cause))?;
        let answer = accepted(answer, "archive", "load").await?;
        // The Engine answers 200 before it has read the archive; what goes wrong later stands in the answer's lines.
        let text = text_of(answer, "load").await?;
        let failed = text.lines().find_map(|line| serde_json::from_str::<Message>(line).ok()?.error);
        failed.map_or(Ok(()), |message| Err(EngineError::Refused { what: "load".to_owned(), status: 200, message: plain(&message) }))
    }

    async fn get(&self, url: Url) -> Result<Response, EngineError> {
        self.client.get(url).send().await.map_err(|cause| broken(&self.address, &cause))
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    fn image(&self, name: &str, verb: &str) -> Result<Url, EngineError> {
        let segments: Vec<&str> = name.split('/').collect();
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(EngineError::NoSuchImage(plain(name)));
        }
        Ok(self.url(&[&["images"], segments.as_slice(), &[verb]].concat()))
    }
}

fn broken(address: &str, cause: &reqwest::Error) -> EngineError {
    EngineError::Unreachable { address: address.to_owned(), cause: NetError::of(cause, "the Docker Engine") }
}

async fn accepted(answer: Response, name: &str, what: &str) -> Result<Response, EngineError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    if status.as_u16() == 404 && what != "load" {
        return Err(EngineError::NoSuchImage(plain(name)));
    }
    let text = text_of(answer, what).await.unwrap_or_default();
    let message = serde_json::from_str::<Message>(&text).ok().and_then(|said| said.message).unwrap_or(text);
    Err(EngineError::Refused { what: what.to_owned(), status: status.as_u16(), message: plain(&message) })
}

async fn text_of(answer: Response, what: &str) -> Result<String, EngineError> {
    let bad = |why: String| EngineError::Answer { what: what.to_owned(), why };
    let mut stream = answer.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|cause| bad(cause.to_string()))?);
        if bytes.len() > MAX_ANSWER {
            return Err(bad(format!("it is longer than {MAX_ANSWER} bytes")));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, EngineError> {
    serde_json::from_str(text).map_err(|cause| EngineError::Answer { what: what.to_owned(), why: cause.to_string() })
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    /// An Engine that answers one request with `body` and hands back the request's head.
    async fn engine(status: &str, body: &str) -> (DockerEngine, tokio::task::JoinHandle<String>, tempfile::TempDir) {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a request"));
            }
            stream.write_all(answer.as_bytes()).await.expect("a client that reads");
            String::from_utf8(head).expect("a request in ASCII")
        });
        (DockerEngine::new(Some(&format!("unix://{}", path.display()))).expect("an address"), served, directory)
    }

    #[tokio::test]
    async fn an_image_is_asked_for_by_its_name() {
        let (engine, served, _directory) = engine("200 OK", r#"{"Id":"sha256:1","Size":7,"RootFS":{"Layers":["sha256:2"]}}"#).await;
        let image = engine.inspect("localhost:5000/a/b:1").await.expect("an answer");
        assert_eq!(image, EngineImage { id: "sha256:1".to_owned(), diff_ids: vec!["sha256:2".to_owned()], size: 7 });
        assert!(served.await.expect("served").starts_with("GET /images/localhost:5000/a/b:1/json HTTP/1.1"));
    }

    #[tokio::test]
    async fn an_unknown_image_and_a_missing_socket_are_told_apart() {
        let (engine, _served, _directory) = engine("404 Not Found", "{}").await;
        assert!(matches!(engine.save("gone").await.err(), Some(EngineError::NoSuchImage(name)) if name == "gone"));
        let nowhere = DockerEngine::new(Some("unix:///nonexistent/docker.sock")).expect("an address");
        assert!(matches!(nowhere.version().await, Err(EngineError::Unreachable { .. })));
        assert!(matches!(DockerEngine::new(Some("ssh://host")), Err(EngineError::Address(_))));
    }

    #[tokio::test]
    async fn a_load_that_fails_after_its_200_is_an_error() {
        let (engine, _served, _directory) = engine("200 OK", r#"{"error":"invalid tar"}"#).await;
        let archive = futures_util::stream::iter([Ok(Bytes::from_static(b"x"))]);
        let error = engine.load(archive).await.expect_err("refused");
        assert!(error.to_string().contains("invalid tar"), "{error}");
    }
}
