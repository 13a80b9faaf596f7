//! A Canary Console that answers as the Console's documentation of August 2026 shows: 200 whatever it says, and the outcome in the body.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::plain_http::{Call, serve};

/// The Console, in threads of this process.
pub(crate) struct Console {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    port: u16,
    pub(crate) key: String,
    pub(crate) factory: String,
    pub(crate) tokens: Vec<Value>,
    pub(crate) incidents: Vec<Value>,
    /// Never goes back.
    updated: u64,
    /// Answers everything with this status.
    pub(crate) down: Option<u16>,
    pub(crate) asked: Vec<String>,
}

impl Console {
    pub(crate) fn start(key: &str, factory: &str) -> Self {
        let state = Arc::new(Mutex::new(State { key: key.to_owned(), factory: factory.to_owned(), ..State::default() }));
        let shared = Arc::clone(&state);
        let port = serve(move |call| shared.lock().expect("no thread panicked with it").answer(call));
        state.lock().expect("nobody else has it").port = port;
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked with it")
    }
}

impl State {
    /// Somebody uses a token: events that come close together are one incident.
    pub(crate) fn hit(&mut self, token: &str, at: u64, source: &str) {
        self.updated += 1;
        let event = json!({
            "canarytoken": token, "dst_port": 80, "event_name": "", "headers": { "User-Agent": "aws-cli/2" }, "src_host": "",
            "timestamp": at, "timestamp_std": "", "type": "aws-id",
        });
        let known =
            |incident: &&mut Value| incident["description"]["events"][0]["canarytoken"] == token && incident["description"]["src_host"] == source;
        if let Some(incident) = self.incidents.iter_mut().find(known) {
            let events = incident["description"]["events"].as_array_mut().expect("a list");
            events.push(event);
            let count = events.len().to_string();
            incident["description"]["events_count"] = json!(count);
            incident["updated_id"] = json!(self.updated);
            return;
        }
        let id = format!("incident:canarytoken:{}", self.updated);
        self.incidents.push(json!({
            "id": id, "hash_id": "0", "summary": "Canarytoken triggered", "updated_id": self.updated, "updated_time": at.to_string(),
            "description": {
                "acknowledged": "False", "created": at.to_string(), "description": "Canarytoken triggered", "events": [event],
                "events_count": "1", "logtype": "17012", "memo": "", "name": "N/A", "src_host": source, "src_port": "0",
            },
        }));
    }

    fn answer(&mut self, call: &Call) -> (u16, Value) {
        self.asked.push(format!("{} {}", call.method, call.path));
        if let Some(status) = self.down {
            return (status, json!({ "detail": "down" }));
        }
        if call.path.starts_with("/hook/") {
            return (200, json!({}));
        }
        let failure = |message: &str| (200, json!({ "result": "error", "message": message }));
        let Some(path) = call.path.strip_prefix("/api/v1/") else { return (404, json!({ "detail": "no" })) };
        let fields: BTreeMap<String, String> = url::form_urlencoded::parse(call.body.as_bytes()).into_owned().chain(call.query.clone()).collect();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        assert!(!call.query.contains_key("auth_token") && !call.query.contains_key("factory_auth"), "no key in an address");
        if (call.method.as_str(), path) == ("POST", "canarytoken/factory/create") {
            return if field("factory_auth") == self.factory { self.create(&fields) } else { failure("Invalid factory_auth") };
        }
        if call.headers.get("x-canary-auth-token") != Some(&self.key) {
            return failure("Unauthorized");
        }
        let success = || (200, json!({ "result": "success" }));
        let token = field("canarytoken");
        let at = self.tokens.iter().position(|known| known["canarytoken"] == token.as_str());
        match (call.method.as_str(), path) {
            ("GET", "ping") => success(),
            ("POST", "canarytoken/create") => self.create(&fields),
            ("GET", "canarytoken/fetch") => {
                at.map_or_else(|| failure("Canarytoken not found"), |at| (200, json!({ "result": "success", "token": self.tokens[at] })))
            }
            ("POST", "canarytoken/disable") => at.map_or_else(
                || failure("Canarytoken not found"),
                |at| {
                    self.tokens[at]["enabled"] = json!(false);
                    success()
                },
            ),
            ("POST", "canarytoken/delete") => {
                let Some(at) = at else { return failure("Canarytoken not found") };
                let of_it = |incident: &Value| incident["description"]["events"][0]["canarytoken"] == token.as_str();
                if self.incidents.iter().any(of_it) && field("clear_incidents") != "true" {
                    return failure("There are incidents on this Canarytoken");
                }
                self.incidents.retain(|incident| !of_it(incident));
                self.tokens.remove(at);
                success()
            }
            ("GET", "canarytokens/search") => {
                let words = |text: &str| text.split([' ', ',']).any(|word| word.starts_with(&field("search_string")));
                let is_it = |token: &&Value| words(token["memo"].as_str().unwrap_or_default()) && token["kind"] == field("kind").as_str();
                let found: Vec<Value> = self.tokens.iter().filter(is_it).cloned().collect();
                // One on each page, so that the pages are gone through.
                let (page, cursor) = self.page(&found, &field("cursor"), 1, "canarytokens/search");
                (200, json!({ "result": "success", "canarytokens": page, "cursor": cursor }))
            }
            ("GET", "incidents/all") => {
                let since: u64 = field("incidents_since").parse().unwrap_or(0);
                let newer = |incident: &&Value| incident["updated_id"].as_u64() > Some(since);
                let found: Vec<Value> = self.incidents.iter().filter(newer).cloned().collect();
                let newest = found.iter().filter_map(|incident| incident["updated_id"].as_u64()).max();
                let (page, cursor) = self.page(&found, &field("cursor"), 2, "incidents/all");
                let mut feed = json!({ "result": "success", "feed": "All Incidents", "incidents": page, "cursor": cursor });
                if let Some(newest) = newest {
                    feed["max_updated_id"] = json!(newest);
                }
                (200, feed)
            }
            _ => (404, json!({ "detail": "no" })),
        }
    }

    fn page(&self, all: &[Value], cursor: &str, size: usize, path: &str) -> (Vec<Value>, Value) {
        let from: usize = cursor.parse().unwrap_or(0);
        let next = (from + size < all.len()).then(|| (from + size).to_string());
        // What it offers as a link names the key, and here another host.
        let link = next.as_ref().map(|next| format!("http://elsewhere.example/api/v1/{path}?cursor={next}&auth_token={}", self.key));
        (all.iter().skip(from).take(size).cloned().collect(), json!({ "next": next, "next_link": link, "prev": null, "prev_link": null }))
    }

    fn create(&mut self, fields: &BTreeMap<String, String>) -> (u16, Value) {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let failure = |message: &str| (200, json!({ "result": "error", "message": message }));
        let (kind, memo) = (field("kind"), field("memo"));
        if memo.is_empty() || memo.chars().count() > 10_000 {
            return failure("Invalid memo");
        }
        let digest = Sha256::digest(format!("{}{memo}{kind}", self.updated));
        let id = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..25].to_owned();
        self.updated += 1;
        let mut token = json!({
            "canarytoken": id, "kind": kind, "memo": memo, "created": "1586161315.087693", "created_printable": "2020-04-06 08:21:55 (UTC)",
            "enabled": true, "flock_id": "flock:default", "hostname": format!("{id}.console.example"), "key": format!("canarydrop:{id}"),
            "triggered_count": 0, "updated_id": self.updated, "url": format!("http://127.0.0.1:{}/hook/{id}", self.port),
        });
        match kind.as_str() {
            "http" | "dns" => {}
            "aws-id" => {
                token["access_key_id"] = json!(["AK", "IA", &id[..16].to_uppercase()].concat());
                token["secret_access_key"] = json!(format!("{id}{}", &id[..15]));
            }
            _ => return failure("Invalid kind"),
        }
        self.tokens.push(token.clone());
        (200, json!({ "result": "success", "canarytoken": token }))
    }
}
