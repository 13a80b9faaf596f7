//! What a fake registry knows: blobs, manifests, tags, sessions, tokens, and everything that it heard.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use honeycrate::image::blobs::read_verified;
use honeycrate::image::stored::StoredImage;

use crate::common::images::digest;
use crate::common::wire::door::Door;
use crate::common::wire::fault::{Fault, Strike};
use crate::common::wire::message::{Head, Reply};
use crate::common::wire::personality::{Locations, Personality, Proof};

pub(crate) const USER: &str = "ci";
/// The repository that is pushed to, and its neighbour that blobs can be mounted from.
pub(crate) const REPOSITORY: &str = "acme/shop";
pub(crate) const NEIGHBOUR: &str = "acme/base";

/// Not to be found in any answer of ours.
pub(crate) fn password() -> String {
    ["correct", "horse", "battery"].join("-")
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Greeting,
    Token,
    Blob,
    Mount,
    Session,
    Piece,
    Upload,
    Manifest,
    Tag,
    ReadManifest,
    ReadTag,
    ReadBlob,
    Leave,
    Other,
}

/// One request, as it was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) door: Door,
    pub(crate) kind: Kind,
    /// The same for tries of the same thing.
    pub(crate) key: String,
    pub(crate) at: Instant,
    pub(crate) answered: Option<(Instant, u16)>,
    pub(crate) struck: bool,
    /// It came after the tag was set.
    pub(crate) afterwards: bool,
}

pub(crate) struct State {
    personality: Personality,
    struck: Option<(Fault, Strike)>,
    host: String,
    tokens_host: String,
    away: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    blobs: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// By digest: media type and bytes.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    tags: BTreeMap<String, String>,
    sessions: Vec<Session>,
    tokens: BTreeMap<String, Token>,
    heard: Vec<Heard>,
    violations: Vec<String>,
    /// What is struck again and again.
    ever: Option<String>,
    /// So many blobs from now, the line is cut for so many connections.
    cut: Option<(usize, usize)>,
}

struct Token {
    scopes: Vec<String>,
    uses: Option<u32>,
}

#[derive(Default)]
struct Session {
    bytes: Vec<u8>,
    state: usize,
    /// The client was told of it, and has used it.
    told: bool,
    used: bool,
    ended: bool,
    /// The client has asked for its end.
    left: bool,
}

impl State {
    pub(crate) fn new(personality: Personality, struck: Option<(Fault, Strike)>, [host, tokens_host, away]: [String; 3]) -> Self {
        Self { personality, struck, host, tokens_host, away, known: Mutex::default() }
    }

    /// Puts a blob into the neighbouring repository.
    pub(crate) fn hold(&self, bytes: &[u8]) {
        self.known().blobs.entry(NEIGHBOUR.to_owned()).or_default().insert(digest(bytes), bytes.to_vec());
    }

    /// Puts a whole image under a tag.
    pub(crate) fn keep(&self, tag: &str, image: &StoredImage) {
        let mut known = self.known();
        for blob in image.blobs_to_store() {
            let bytes = read_verified(&*image.blobs, &blob, u64::MAX).expect("it is readable");
            known.blobs.entry(REPOSITORY.to_owned()).or_default().insert(blob.digest.to_string(), bytes);
        }
        let root = (image.descriptor(), image.document().to_vec());
        for (line, bytes) in image.manifests().into_iter().map(|(line, bytes)| (line, bytes.to_vec())).chain([root]) {
            known.manifests.insert(line.digest.to_string(), (line.media_type.clone(), bytes));
        }
        known.tags.insert(tag.to_owned(), image.digest().to_string());
    }

    /// Lets the line hold from now on.
    pub(crate) fn mend(&self) {
        self.known().cut = None;
    }

    /// Cuts the line once so many blobs have arrived, for so many requests.
    pub(crate) fn cut_after(&self, blobs: usize, requests: usize) {
        self.known().cut = Some((blobs, requests));
    }

    /// Whether the line is cut at this moment; each question is one request that is lost.
    pub(crate) fn is_dark(&self) -> bool {
        let mut known = self.known();
        let arrived = known.blobs.get(REPOSITORY).map_or(0, BTreeMap::len);
        match &mut known.cut {
            Some((blobs, left)) if arrived >= *blobs && *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.known().heard.clone()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.known().violations.clone()
    }

    pub(crate) fn tag(&self, tag: &str) -> Option<String> {
        self.known().tags.get(tag).cloned()
    }

    /// Why the image at a digest cannot be read; `None` where all of it is here.
    pub(crate) fn lacks(&self, manifest: &str) -> Option<String> {
        self.known().lacks(manifest)
    }

    /// Sessions that a client was told of, has used if so wanted, has not ended, and has not asked to end.
    pub(crate) fn forgotten_sessions(&self, used: bool) -> usize {
        self.known().sessions.iter().filter(|session| session.told && (session.used || !used) && !session.ended && !session.left).count()
    }

    /// Notes a request, and says what strikes it.
    pub(crate) fn hear(&self, door: Door, head: &Head) -> (usize, Option<Fault>) {
        let mut known = self.known();
        let (kind, key) = classify(door, head, &known);
        let own = known.heard.iter().filter(|heard| heard.door != Door::Away).count();
        let (number, afterwards) = (known.heard.len(), known.tags.contains_key("1"));
        let fault = self.struck.filter(|_| door != Door::Away).and_then(|(fault, strike)| match strike {
            Strike::Once(at) => (at == own).then_some(fault),
            Strike::Ever(at) => {
                if at == own {
                    known.ever = Some(key.clone());
                }
                (known.ever.as_ref() == Some(&key)).then_some(fault)
            }
        });
        if door == Door::Away && head.header("authorization").is_some() {
            known.violations.push("a credential went away".to_owned());
        }
        if let (Kind::Leave, Some(session)) = (kind, session_of(&head.path).and_then(|number| known.sessions.get_mut(number))) {
            session.left = true;
        }
        known.heard.push(Heard { door, kind, key, at: Instant::now(), answered: None, struck: fault.is_some(), afterwards });
        (number, fault)
    }

    pub(crate) fn answer(&self, number: usize, door: Door, head: &Head, body: &[u8], fault: Option<Fault>) -> Reply {
        let mut known = self.known();
        let works = fault.is_none_or(Fault::works);
        let reply = match door {
            _ if !works => Reply::new(500),
            Door::Away => Reply::new(if head.method == "GET" { 200 } else { 201 }).saying("something else"),
            _ if head.path == "/token" => self.sell(&mut known, head, body),
            _ => self.serve(&mut known, head, body),
        };
        let reply = Reply { headless: head.method == "HEAD", ..reply };
        let challenge = self.challenge(None);
        let spoiled = match fault {
            Some(fault) => fault.spoil(head, reply, &self.away, challenge.as_deref()),
            None => reply,
        };
        if fault == Some(Fault::Expired) {
            known.tokens.clear();
        }
        let reaches = fault.is_none_or(|fault| fault.sending() == crate::common::wire::message::Sending::Whole);
        if let (true, Some(session)) = (reaches, spoiled.header("Location").and_then(session_of)) {
            known.sessions[session].told = true;
        }
        known.heard[number].answered = Some((Instant::now(), spoiled.status));
        spoiled
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no panic in the registry")
    }

    /// What somebody without the right proof is told.
    fn challenge(&self, wanted: Option<&str>) -> Option<String> {
        let realm = match self.personality.proof {
            Proof::Nothing => return None,
            Proof::Basic => return Some("Basic realm=\"fake\"".to_owned()),
            Proof::ForeignToken => &self.tokens_host,
            Proof::Token | Proof::Identity => &self.host,
        };
        let scope = wanted.map_or_else(String::new, |scope| format!(",scope=\"{scope}\",error=\"invalid_token\""));
        Some(format!("Bearer realm=\"http://{realm}/token\",service=\"fake\"{scope}"))
    }

    fn sell(&self, known: &mut Known, head: &Head, body: &[u8]) -> Reply {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{}", password())));
        let (proven, asked) = if self.personality.proof == Proof::Identity {
            let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default();
            let proven = head.method == "POST" && field("grant_type") == "refresh_token" && field("refresh_token") == password();
            (proven, field("scope").split(' ').map(str::to_owned).collect())
        } else {
            let scopes: Vec<String> = head.query.iter().filter(|(name, _)| name == "scope").map(|(_, value)| value.clone()).collect();
            (head.method == "GET" && head.header("authorization") == Some(&basic), scopes)
        };
        if !proven {
            return Reply::new(401).saying(r#"{"details":"incorrect username or password"}"#);
        }
        let name = format!("bought-{}-{}", known.tokens.len(), known.heard.len());
        known.tokens.insert(name.clone(), Token { scopes: asked, uses: self.personality.uses });
        let life = if self.personality.uses.is_some() { 5 } else { 300 };
        let word = if self.personality.proof == Proof::Identity { "access_token" } else { "token" };
        Reply::new(200).with("Content-Type", "application/json").saying(json!({ word: name, "expires_in": life }).to_string())
    }

    /// Whether a request may do what it wants.
    fn admit(&self, known: &mut Known, head: &Head) -> Result<(), Reply> {
        let shown = head.header("authorization");
        let wanted = format!("repository:{REPOSITORY}:{}", if matches!(head.method.as_str(), "GET" | "HEAD") { "pull" } else { "pull,push" });
        let admitted = match self.personality.proof {
            Proof::Nothing => true,
            Proof::Basic => shown == Some(&format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{}", password())))),
            _ => shown.and_then(|shown| shown.strip_prefix("Bearer ")).and_then(|token| known.tokens.get_mut(token)).is_some_and(|token| {
                let lasting = token.uses.as_mut().is_none_or(|uses| {
                    let lasting = *uses > 0;
                    *uses = uses.saturating_sub(1);
                    lasting
                });
                lasting && (head.path == "/v2/" || token.scopes.iter().any(|scope| scope.starts_with(&wanted)))
            }),
        };
        if admitted {
            return Ok(());
        }
        let challenge = self.challenge((head.path != "/v2/").then_some(wanted.as_str())).unwrap_or_default();
        Err(Reply::error(401, "UNAUTHORIZED").with("WWW-Authenticate", &challenge))
    }

    fn serve(&self, known: &mut Known, head: &Head, body: &[u8]) -> Reply {
        if let Err(refusal) = self.admit(known, head) {
            return refusal;
        }
        let Some(rest) = head.path.strip_prefix("/v2/") else { return Reply::new(404) };
        if rest.is_empty() {
            return Reply::new(200);
        }
        let Some(rest) = rest.strip_prefix(&format!("{REPOSITORY}/")) else { return Reply::error(404, "NAME_UNKNOWN") };
        match (head.method.as_str(), rest.split_once('/')) {
            ("GET" | "HEAD", Some(("blobs", name))) => match known.blobs.get(REPOSITORY).and_then(|blobs| blobs.get(name)) {
                Some(blob) => Reply::new(200).with("Docker-Content-Digest", name).saying(blob.clone()),
                None => Reply::error(404, "BLOB_UNKNOWN"),
            },
            ("POST", Some(("blobs", "uploads/"))) => self.open(known, head),
            ("PUT" | "PATCH" | "DELETE", Some(("blobs", _))) => self.upload(known, head, body),
            ("PUT", Some(("manifests", name))) => self.take(known, head, name, body),
            ("GET", Some(("manifests", name))) => {
                let name = known.tags.get(name).map_or(name, String::as_str);
                match known.manifests.get(name) {
                    Some((kind, bytes)) if head.header("accept").is_some_and(|types| types.contains(kind)) => {
                        Reply::new(200).with("Content-Type", kind).with("Docker-Content-Digest", name).saying(bytes.clone())
                    }
                    _ => Reply::error(404, "MANIFEST_UNKNOWN"),
                }
            }
            _ => Reply::error(405, "UNSUPPORTED"),
        }
    }

    fn open(&self, known: &mut Known, head: &Head) -> Reply {
        if let (Some(blob), Some(status)) = (head.parameter("mount"), self.personality.mount) {
            let found = known.blobs.get(NEIGHBOUR).and_then(|blobs| blobs.get(blob)).filter(|_| head.parameter("from") == Some(NEIGHBOUR)).cloned();
            match (status, found) {
                (201, Some(bytes)) => {
                    known.blobs.entry(REPOSITORY.to_owned()).or_default().insert(blob.to_owned(), bytes);
                    return Reply::new(201).with("Docker-Content-Digest", blob);
                }
                (201 | 202, _) => {}
                (401, _) => return Reply::error(401, "UNAUTHORIZED").with("WWW-Authenticate", &self.challenge(None).unwrap_or_default()),
                (status, _) => return Reply::error(status, "DENIED"),
            }
        }
        known.sessions.push(Session::default());
        Reply::new(202).with("Location", &self.location(known.sessions.len() - 1, 0))
    }

    fn location(&self, session: usize, state: usize) -> String {
        let (scheme_and_host, word) = match self.personality.locations {
            Locations::Relative => (String::new(), "uploads"),
            Locations::Absolute => (format!("http://{}", self.host), "uploads"),
            Locations::Upload => (String::new(), "upload"),
        };
        format!("{scheme_and_host}/v2/{REPOSITORY}/blobs/{word}/{session}?_state=s%2B{state}%3D")
    }

    fn upload(&self, known: &mut Known, head: &Head, body: &[u8]) -> Reply {
        let unknown = || Reply::error(404, "BLOB_UPLOAD_UNKNOWN");
        let Some(number) = session_of(&head.path) else { return unknown() };
        let Some(session) = known.sessions.get_mut(number).filter(|session| !session.ended) else { return unknown() };
        session.used = true;
        if head.method == "DELETE" {
            session.ended = true;
            return Reply::new(204);
        }
        if head.parameter("_state") != Some(&format!("s+{}=", session.state)) {
            return Reply::error(400, "BLOB_UPLOAD_INVALID");
        }
        if head.header("content-length").is_none() {
            return Reply::new(411);
        }
        if head.method == "PATCH" {
            let end = session.bytes.len() + body.len();
            let (limit, status) = self.personality.pieces.unwrap_or((4 << 20, 202));
            let range = format!("{}-{}", session.bytes.len(), end.saturating_sub(1));
            if body.len() > limit || head.header("content-range") != Some(&range) {
                return Reply::error(416, "BLOB_UPLOAD_INVALID");
            }
            session.bytes.extend_from_slice(body);
            session.state += 1;
            let state = session.state;
            // The range is ECR's lie: it never grows.
            return Reply::new(status).with("Location", &self.location(number, state)).with("Range", "0-0");
        }
        if !body.is_empty() && (head.header("content-range").is_some() || (self.personality.pieces.is_some() && session.bytes.is_empty())) {
            return Reply::error(413, "SIZE_INVALID");
        }
        let bytes = [session.bytes.as_slice(), body].concat();
        let Some(wanted) = head.parameter("digest") else { return Reply::error(400, "DIGEST_INVALID") };
        if digest(&bytes) != wanted {
            known.violations.push(format!("{wanted} was closed with other bytes"));
            return Reply::error(400, "DIGEST_INVALID");
        }
        session.ended = true;
        known.blobs.entry(REPOSITORY.to_owned()).or_default().insert(wanted.to_owned(), bytes);
        Reply::new(201).with("Location", &format!("/v2/{REPOSITORY}/blobs/{wanted}")).with("Docker-Content-Digest", wanted)
    }

    fn take(&self, known: &mut Known, head: &Head, name: &str, body: &[u8]) -> Reply {
        let (own, kind) = (digest(body), head.header("content-type").unwrap_or_default());
        let invalid = || Reply::error(400, "MANIFEST_INVALID");
        let Ok(document) = serde_json::from_slice::<Value>(body) else { return invalid() };
        if document["mediaType"] != kind || (name.starts_with("sha256:") && name != own) {
            return invalid();
        }
        let before = known.manifests.insert(own.clone(), (kind.to_owned(), body.to_vec()));
        if let Some(what) = known.lacks(&own) {
            if before.is_none() {
                known.manifests.remove(&own);
            }
            if !name.starts_with("sha256:") {
                known.violations.push(format!("a tag for an image without {what}"));
            }
            return Reply::error(400, "MANIFEST_BLOB_UNKNOWN");
        }
        if !name.starts_with("sha256:") {
            known.tags.insert(name.to_owned(), own.clone());
        }
        let reply = Reply::new(self.personality.taken).with("Docker-Content-Digest", &own);
        if self.personality.tells_location { reply.with("Location", &format!("/v2/{REPOSITORY}/manifests/{own}")) } else { reply }
    }
}

impl Known {
    fn lacks(&self, manifest: &str) -> Option<String> {
        let Some((_, bytes)) = self.manifests.get(manifest) else { return Some(manifest.to_owned()) };
        let document: Value = serde_json::from_slice(bytes).expect("it was read before");
        let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
        let digest_of = |line: &Value| line["digest"].as_str().expect("a digest").to_owned();
        if let Some(lacking) = list("manifests").iter().find_map(|child| self.lacks(&digest_of(child))) {
            return Some(lacking);
        }
        let config = document.get("config").cloned();
        let blobs = self.blobs.get(REPOSITORY);
        list("layers").iter().chain(&config).map(digest_of).find(|blob| !blobs.is_some_and(|blobs| blobs.contains_key(blob)))
    }
}

/// The number in the address of a session.
fn session_of(address: &str) -> Option<usize> {
    let path = address.split('?').next().unwrap_or_default();
    let (before, number) = path.rsplit_once('/')?;
    let uploads = format!("/v2/{REPOSITORY}/blobs/upload");
    (before.ends_with(&uploads) || before.ends_with(&format!("{uploads}s"))).then(|| number.parse().ok()).flatten()
}

fn classify(door: Door, head: &Head, known: &Known) -> (Kind, String) {
    let (method, path) = (head.method.as_str(), head.path.as_str());
    let last = path.rsplit('/').next().unwrap_or_default();
    let session = || session_of(path).map(|number| known.sessions.get(number).map_or(0, |session| session.bytes.len())).unwrap_or_default();
    let kind = match method {
        _ if door == Door::Away => Kind::Other,
        _ if path == "/v2/" => Kind::Greeting,
        _ if path == "/token" => Kind::Token,
        "HEAD" => Kind::Blob,
        "POST" if head.parameter("mount").is_some() => Kind::Mount,
        "POST" => Kind::Session,
        "PATCH" => Kind::Piece,
        "DELETE" => Kind::Leave,
        "PUT" if head.parameter("digest").is_some() => Kind::Upload,
        "PUT" if last.starts_with("sha256:") => Kind::Manifest,
        "PUT" => Kind::Tag,
        "GET" if path.contains("/blobs/") => Kind::ReadBlob,
        "GET" if last.starts_with("sha256:") => Kind::ReadManifest,
        "GET" => Kind::ReadTag,
        _ => Kind::Other,
    };
    let name = match kind {
        Kind::Upload => head.parameter("digest").unwrap_or_default().to_owned(),
        Kind::Mount => head.parameter("mount").unwrap_or_default().to_owned(),
        Kind::Piece => session().to_string(),
        _ => path.to_owned(),
    };
    (kind, format!("{kind:?} {name}"))
}
