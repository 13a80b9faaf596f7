//! A stand-in for GitGuardian's honeytokens, as strict as the service, with the accounts that its keys are of: whoever uses one makes an event.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::forge::{Answer, Asked, Fault, Server};

/// The scopes that honeytokens ask for.
pub(crate) const SCOPES: [&str; 2] = ["honeytokens:read", "honeytokens:write"];
/// At this many open events no more come in.
const STOP: usize = 100;
const DAY: &str = "2026-11-22T04:00:00.000000Z";

/// How lists are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// Pages, with the next in `Link`.
    Cursor,
    /// Everything at once, whatever is asked for: as it was seen.
    AllAtOnce,
    /// The next page is said to lie elsewhere.
    Elsewhere,
}

pub(crate) struct State {
    key: String,
    address: String,
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) paging: Paging,
    /// Tokens that are not revoked.
    pub(crate) quota: usize,
    pub(crate) tokens: Vec<Value>,
    pub(crate) events: Vec<Value>,
    /// What a list shows for the key pair when it is not asked for.
    pub(crate) hollow: Value,
}

/// A running one. It ends with this process.
pub(crate) struct GitGuardian {
    server: Arc<Server<State>>,
    address: String,
    key: String,
}

impl GitGuardian {
    pub(crate) fn start() -> Self {
        let key = letters("a key of the workspace", 64, b"0123456789abcdef");
        let state = State {
            key: key.clone(),
            address: String::new(),
            scopes: SCOPES.to_vec(),
            paging: Paging::Cursor,
            quota: 1000,
            tokens: Vec::new(),
            events: Vec::new(),
            hollow: json!({ "access_token_id": null }),
        };
        let (server, address) = Server::start(state, answer);
        server.state().address.clone_from(&address);
        Self { server, address, key }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// As a self-hosted instance has it.
    pub(crate) fn url(&self) -> String {
        format!("{}/exposed/v1", self.address)
    }

    /// Where the key pairs are used.
    pub(crate) fn sts(&self) -> &str {
        &self.address
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.server.state())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.server.asked.lock().expect("no panic").clone()
    }

    /// Something goes wrong with the next requests of this method to this target.
    pub(crate) fn fault(&self, fault: Fault) {
        self.server.faults.lock().expect("no panic").push(fault);
    }

    /// The tokens that are not revoked.
    pub(crate) fn live(&self) -> Vec<Value> {
        self.change(|state| state.tokens.iter().filter(|token| token["status"] != "revoked").cloned().collect())
    }

    /// Somebody uses the key pair of a token so many times.
    pub(crate) fn use_key(&self, key_id: &str, action: &str, user_agent: &str, times: usize) {
        self.change(|state| (0..times).for_each(|_| _ = state.happen(key_id, action, user_agent)));
    }
}

impl State {
    /// An event, unless the token has too many that nobody looked at. `None` for a key that nobody made.
    fn happen(&mut self, key_id: &str, action: &str, user_agent: &str) -> Option<()> {
        let number = self.events.len() + 1;
        let token = self.tokens.iter_mut().find(|token| token["token"]["access_token_id"] == key_id && token["status"] != "revoked")?;
        let open = usize::try_from(token["open_events_count"].as_u64().unwrap_or(0)).expect("small");
        if open >= STOP {
            return Some(());
        }
        token["status"] = "triggered".into();
        token["triggered_at"] = DAY.into();
        token["open_events_count"] = (open + 1).into();
        let id = token["id"].clone();
        self.events.push(json!({
            "id": uuid(&format!("event {number}")),
            "honeytoken_id": id,
            "triggered_at": format!("2026-11-22T04:{:02}:{:02}.120000Z", number / 60 % 60, number % 60),
            "status": "open",
            "ip_address": "203.0.113.9",
            "action": action,
            "data": { "event_id": uuid(&format!("trail {number}")), "user_agent": user_agent },
            "tags": [],
        }));
        Some(())
    }

    fn archive(&mut self, id: &str) {
        for event in self.events.iter_mut().filter(|event| event["honeytoken_id"] == id && event["status"] == "open") {
            event["status"] = "archived".into();
        }
    }

    fn page(&self, rows: Vec<Value>, asked: &Asked) -> Answer {
        let size: usize = asked.query("per_page").map_or(20, |text| text.parse().unwrap_or(0));
        if !(1..=100).contains(&size) {
            return refusal(400, json!({ "per_page": ["Ensure this value is between 1 and 100."] }));
        }
        let from: usize = asked.query("cursor").map_or(0, |cursor| cursor.trim_start_matches("row-").parse().expect("a cursor of ours"));
        let next = |host: &str| {
            let kept = url::form_urlencoded::parse(asked.target.split_once('?').map_or("", |(_, query)| query).as_bytes())
                .filter(|(name, _)| name != "cursor")
                .fold(String::new(), |query, (name, value)| format!("{query}&{name}={}", value.replace(' ', "+")));
            format!("<{host}{}?cursor=row-{}{kept}>; rel=\"next\"", asked.path(), from + size)
        };
        match self.paging {
            Paging::AllAtOnce => yes(200, &Value::Array(rows)),
            paging => {
                let more = rows.len() > from + size;
                let page = rows.into_iter().skip(from).take(size).collect();
                let host = if paging == Paging::Elsewhere { "http://127.0.0.2:9".to_owned() } else { self.address.clone() };
                let answer = yes(200, &Value::Array(page));
                if more { answer.with("link", next(&host)) } else { answer }
            }
        }
    }
}

/// Letters that nobody gave out.
fn letters(seed: &str, count: usize, alphabet: &[u8]) -> String {
    let blocks = (0_u32..).flat_map(|block| Sha256::digest(format!("{seed}{block}")));
    blocks.take(count).map(|byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect()
}

fn uuid(seed: &str) -> String {
    let hex = letters(seed, 32, b"0123456789abcdef");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A key id of the account 123456789012, as AWS makes them.
pub(crate) fn key_id(seed: &str) -> String {
    const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let tail = Sha256::digest(seed.as_bytes());
    let head = (1_u64 << 47 | 123_456_789_012 << 7 | u64::from(tail[9] & 0x7f)).to_be_bytes();
    let bytes: Vec<u8> = head[2..].iter().chain(&tail[..4]).copied().collect();
    let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let text: String = (0..16).rev().map(|at| char::from(BASE32[usize::try_from(bits >> (5 * at) & 31).expect("five bits")])).collect();
    ["AK", "IA", &text].concat()
}

/// The type of the service's answers is exactly this.
fn yes(status: u16, document: &Value) -> Answer {
    Answer::of(status, "application/json", document.to_string())
}

fn refusal(status: u16, document: Value) -> Answer {
    yes(status, &document)
}

fn answer(state: &mut State, asked: &Asked) -> Answer {
    if asked.path() == "/" && asked.method == "POST" {
        return sts(state, asked);
    }
    let Some(path) = asked.path().strip_prefix("/exposed/v1/") else { return Answer::of(404, "text/html", "<html>not here</html>") };
    if asked.header("authorization") != Some(&format!("Token {}", state.key)) {
        return refusal(401, json!({ "detail": "Invalid API key." }));
    }
    let needs = |scope: &'static str| (!state.scopes.contains(&scope)).then(|| refusal(403, json!({ "detail": format!("Missing scope: {scope}") })));
    let parts: Vec<&str> = path.split('/').collect();
    let refused = match (asked.method.as_str(), parts.as_slice()) {
        (_, ["health" | "metadata"] | ["api_tokens", _]) => None,
        ("GET", _) => needs(SCOPES[0]),
        _ => needs(SCOPES[1]),
    };
    if let Some(refused) = refused {
        return refused;
    }
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["health"]) => yes(200, &json!({ "detail": "Valid API key." })),
        ("GET", ["metadata"]) => yes(200, &json!({ "version": "v2.521.0", "preferences": {}, "secret_scan_preferences": {} })),
        ("GET", ["api_tokens", "self"]) => yes(
            200,
            &json!({ "id": uuid("key"), "name": "ci", "workspace_id": 1, "type": "service_account", "status": "active", "created_at": DAY,
                "last_used_at": null, "expire_at": null, "revoked_at": null, "member_id": null, "creator_id": 1, "scopes": state.scopes }),
        ),
        ("POST", ["honeytokens"]) => create(state, asked),
        ("GET", ["honeytokens"]) => tokens(state, asked),
        ("GET", ["honeytokens", id]) => match state.tokens.iter().find(|token| token["id"] == *id) {
            Some(token) => yes(200, &shown(state, token, asked)),
            None => refusal(404, json!({ "detail": "Not found." })),
        },
        ("POST", ["honeytokens", id, verb @ ("reset" | "revoke")]) => {
            let Some(at) = state.tokens.iter().position(|token| token["id"] == *id) else { return refusal(404, json!({ "detail": "Not found." })) };
            if state.tokens[at]["status"] == "revoked" {
                return refusal(400, json!({ "detail": "This honeytoken is already revoked." }));
            }
            state.tokens[at]["status"] = if *verb == "reset" { "active" } else { "revoked" }.into();
            state.tokens[at]["open_events_count"] = 0.into();
            state.archive(id);
            yes(200, &state.tokens[at].clone())
        }
        ("GET", ["honeytokens_events"]) => {
            // Without a status, open ones alone.
            let status = asked.query("status").unwrap_or_else(|| "open".to_owned());
            if !["open", "archived", "allowed"].contains(&status.as_str()) {
                return refusal(400, json!({ "status": ["Not a valid choice."] }));
            }
            let mut rows: Vec<Value> = state.events.iter().filter(|event| event["status"] == *status).cloned().collect();
            if asked.query("ordering").as_deref() == Some("-triggered_at") {
                rows.sort_by(|a, b| b["triggered_at"].as_str().cmp(&a["triggered_at"].as_str()));
            }
            state.page(rows, asked)
        }
        _ => refusal(404, json!({ "detail": "Not found." })),
    }
}

fn create(state: &mut State, asked: &Asked) -> Answer {
    let kind = asked.header("content-type").unwrap_or_default();
    let Some(body) = asked.json().filter(|_| kind.starts_with("application/json")) else {
        return refusal(415, json!({ "detail": "Unsupported media type." }));
    };
    let known = ["name", "type", "description", "custom_tags"];
    if body.as_object().is_none_or(|body| body.keys().any(|name| !known.contains(&name.as_str()))) {
        return refusal(400, json!({ "detail": "Unknown field." }));
    }
    let Some(name) = body["name"].as_str().filter(|name| !name.is_empty() && name.len() <= 128) else {
        return refusal(400, json!({ "name": ["This field may not be blank, and has at most 128 characters."] }));
    };
    if body["type"] != "AWS" {
        return refusal(400, json!({ "type": ["Not a valid choice."] }));
    }
    if body["description"].as_str().is_some_and(|text| text.chars().count() > 250) {
        return refusal(400, json!({ "description": ["Ensure this field has no more than 250 characters."] }));
    }
    let tags = body["custom_tags"].as_array().cloned().unwrap_or_default();
    let mut keys: Vec<&str> = tags.iter().filter_map(|tag| tag["key"].as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() != tags.len() {
        return refusal(400, json!({ "custom_tags": ["One value for each key."] }));
    }
    let live = state.tokens.iter().filter(|token| token["status"] != "revoked");
    if live.clone().any(|token| token["name"] == name) {
        return refusal(400, json!({ "detail": "A honeytoken with this name already exists.", "name": ["Not unique."] }));
    }
    if live.count() >= state.quota {
        return refusal(403, json!({ "detail": "You have reached the maximum number of honeytokens of your plan: quota exceeded." }));
    }
    let number = state.tokens.len();
    let id = uuid(&format!("token {number}"));
    let tags: Vec<Value> = tags.iter().enumerate().map(|(at, tag)| json!({ "id": at, "key": tag["key"], "value": tag["value"] })).collect();
    let token = json!({
        "id": id, "name": name, "description": body["description"], "created_at": DAY, "gitguardian_url": format!("http://localhost/honeytokens/{id}"),
        "status": "active", "triggered_at": null, "revoked_at": null, "type": "AWS", "open_events_count": 0, "creator_id": 1, "revoker_id": null,
        "creator_api_token_id": null, "revoker_api_token_id": null, "tags": [], "custom_tags": tags,
        "token": {
            "access_token_id": key_id(&format!("{}{number}", state.address)),
            "secret_key": letters(&format!("{}{number}", state.address), 40, b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789+/"),
        },
    });
    state.tokens.push(token.clone());
    yes(201, &token)
}

fn tokens(state: &State, asked: &Asked) -> Answer {
    let search = asked.query("search").unwrap_or_default();
    let fits = |token: &&Value| token["name"].as_str().is_some_and(|name| name.contains(&search));
    let rows = state.tokens.iter().filter(fits).map(|token| shown(state, token, asked)).collect();
    state.page(rows, asked)
}

/// The key pair, where it is asked for.
fn shown(state: &State, token: &Value, asked: &Asked) -> Value {
    let mut token = token.clone();
    if asked.query("show_token").as_deref() != Some("true") {
        token["token"] = state.hollow.clone();
    }
    token
}

/// What AWS says to a key of ours, and tells GitGuardian.
fn sts(state: &mut State, asked: &Asked) -> Answer {
    let body = String::from_utf8_lossy(&asked.body).into_owned();
    let credential = asked.header("authorization").and_then(|text| text.split_once("Credential=")?.1.split_once('/')).map(|(id, _)| id.to_owned());
    let agent = asked.header("user-agent").unwrap_or_default().to_owned();
    let known = credential.and_then(|id| state.happen(&id, "GetCallerIdentity", &agent));
    if known.is_none() || !body.contains("Action=GetCallerIdentity") || !body.contains("Version=2011-06-15") {
        return Answer::of(
            403,
            "text/xml",
            "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no such key</Message></Error></ErrorResponse>",
        );
    }
    let told = "<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/backup</Arn></GetCallerIdentityResult>";
    Answer::of(200, "text/xml", format!("<GetCallerIdentityResponse>{told}</GetCallerIdentityResponse>"))
}
