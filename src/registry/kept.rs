//! For tests: a registry in memory that keeps what it is sent, pages its lists in several ways, and can be made narrow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::net::client::{HttpClient, NetSettings};
use crate::oci::digest::Digest;
use crate::registry::client::Registry;
use crate::registry::credentials::Credentials;
use crate::registry::registries::Registries;
use crate::registry::scripted::hear;

#[derive(Clone)]
pub(crate) struct Kept {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    /// By repository and tag.
    manifests: BTreeMap<(String, String), Vec<u8>>,
    largest_page: usize,
    links: bool,
    sorted: bool,
    largest_blob: usize,
    requests: usize,
    sessions: usize,
}

impl Kept {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("a bound listener");
        let state = State {
            blobs: BTreeMap::new(),
            manifests: BTreeMap::new(),
            largest_page: 100,
            links: true,
            sorted: true,
            largest_blob: usize::MAX,
            requests: 0,
            sessions: 0,
        };
        let kept = Self { address, state: Arc::new(Mutex::new(state)) };
        let serving = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        kept
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub(crate) fn registries(&self) -> Registries {
        let settings = NetSettings { plain_http_hosts: vec![self.host()], ..NetSettings::default() };
        Registries::new(HttpClient::new(settings).expect("settings without files"), Credentials::default(), Vec::new())
    }

    pub(crate) fn registry(&self) -> Registry {
        self.registries().of(&self.host())
    }

    /// How many tags a page has at most, whether it names the next, and whether tags are told in order.
    pub(crate) fn pages(&self, largest: usize, links: bool, sorted: bool) {
        let mut state = self.locked();
        (state.largest_page, state.links, state.sorted) = (largest, links, sorted);
    }

    /// Refuses larger blobs.
    pub(crate) fn narrow(&self, largest: usize) {
        self.locked().largest_blob = largest;
    }

    pub(crate) fn tag(&self, repository: &str, tag: &str) {
        self.locked().manifests.insert((repository.to_owned(), tag.to_owned()), b"{}".to_vec());
    }

    pub(crate) fn untag(&self, repository: &str, tag: &str) {
        self.locked().manifests.remove(&(repository.to_owned(), tag.to_owned()));
    }

    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        self.locked().manifests.keys().filter(|(at, tag)| at == repository && !tag.contains(':')).map(|(_, tag)| tag.clone()).collect()
    }

    pub(crate) fn blob(&self, digest: &str) -> Option<Vec<u8>> {
        self.locked().blobs.get(digest).cloned()
    }

    /// Everything that was stored, manifests and blobs.
    pub(crate) fn everything(&self) -> Vec<Vec<u8>> {
        let state = self.locked();
        state.blobs.values().chain(state.manifests.values()).cloned().collect()
    }

    pub(crate) fn requests(&self) -> usize {
        self.locked().requests
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic in the registry")
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let Some(heard) = hear(&mut stream).await else { return };
            let (method, target) = heard.line.split_once(' ').unwrap_or_default();
            let (status, headers, answer) = self.answer(method, target, heard.body);
            let mut text = format!("HTTP/1.1 {status} Kept\r\n{headers}content-length: {}\r\n\r\n", answer.len()).into_bytes();
            if method != "HEAD" {
                text.extend(answer);
            }
            if stream.write_all(&text).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, method: &str, target: &str, body: Vec<u8>) -> (u16, String, Vec<u8>) {
        let none = (404, String::new(), Vec::new());
        let mut state = self.locked();
        state.requests += 1;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else { return (200, String::new(), Vec::new()) };
        if let Some((repository, _)) = rest.split_once("/blobs/uploads/") {
            return match method {
                "POST" => {
                    state.sessions += 1;
                    (202, format!("location: /v2/{repository}/blobs/uploads/{}\r\n", state.sessions), Vec::new())
                }
                _ if body.len() > state.largest_blob => (413, String::new(), Vec::new()),
                "PUT" => {
                    let digest = Digest::of(&body);
                    let told = query.get("digest").map(|digest| digest.replace("%3A", ":"));
                    if told.as_deref() != Some(digest.as_str()) {
                        return (400, String::new(), Vec::new());
                    }
                    state.blobs.insert(digest.to_string(), body);
                    (201, format!("docker-content-digest: {digest}\r\n"), Vec::new())
                }
                _ => (405, String::new(), Vec::new()),
            };
        }
        if let Some((_, digest)) = rest.split_once("/blobs/") {
            return state.blobs.get(digest).map_or(none, |blob| (200, String::new(), blob.clone()));
        }
        if let Some((repository, name)) = rest.split_once("/manifests/") {
            let key = (repository.to_owned(), name.to_owned());
            if method == "PUT" {
                let digest = Digest::of(&body);
                state.manifests.insert(key, body);
                return (201, format!("docker-content-digest: {digest}\r\n"), Vec::new());
            }
            let kind = "content-type: application/vnd.oci.image.manifest.v1+json\r\n";
            return state
                .manifests
                .get(&key)
                .map_or(none, |bytes| (200, format!("{kind}docker-content-digest: {}\r\n", Digest::of(bytes)), bytes.clone()));
        }
        let Some(repository) = rest.strip_suffix("/tags/list") else { return none };
        let all: BTreeSet<&String> = state.manifests.keys().filter(|(at, _)| at == repository).map(|(_, tag)| tag).collect();
        if all.is_empty() {
            return none;
        }
        let mut all: Vec<&String> = all.into_iter().collect();
        if !state.sorted {
            all.reverse();
        }
        // What pages at all goes on behind the last one that it is told; what does not ignores it.
        let from = query.get("last").filter(|_| state.largest_page < usize::MAX);
        let start = from.map_or(0, |last| match state.sorted {
            true => all.partition_point(|tag| tag.as_str() <= *last),
            false => all.iter().position(|tag| tag.as_str() == *last).map_or(0, |at| at + 1),
        });
        let asked = query.get("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let length = if state.largest_page == usize::MAX { usize::MAX } else { state.largest_page.min(asked) };
        let page: Vec<&String> = all[start..].iter().copied().take(length).collect();
        let more = start + page.len() < all.len();
        let link = match page.last().filter(|_| more && state.links) {
            Some(last) => format!("link: </v2/{repository}/tags/list?n={asked}&last={last}>; rel=\"next\"\r\n"),
            None => String::new(),
        };
        (200, link, serde_json::json!({ "name": repository, "tags": page }).to_string().into_bytes())
    }
}
