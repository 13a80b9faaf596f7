//! A Canarytokens server that makes what the real one makes and refuses what it refuses: the models and the calls of thinkst/canarytokens of
//! August 2026.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::plain_http::{Call, serve};

const PREFIX: &str = "/d3aece8093b71007b5ccfedad91ebb11/";
const MAX_HISTORY: usize = 50;

/// The server, in threads of this process.
pub(crate) struct Canarytokens {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    port: u16,
    /// Whether types with a backend of their own have one here.
    pub(crate) backends: bool,
    /// Answers everything with this status.
    pub(crate) down: Option<u16>,
    made: u32,
    pub(crate) drops: BTreeMap<String, Drop>,
    /// Bodies that went to webhooks: `None` where the token was not made yet.
    pub(crate) posted: Vec<(Option<String>, Value)>,
    /// Method and path of each request, without its query.
    pub(crate) asked: Vec<String>,
}

/// One token.
#[derive(Clone)]
pub(crate) struct Drop {
    pub(crate) kind: String,
    auth: String,
    pub(crate) memo: String,
    pub(crate) webhook: Option<String>,
    pub(crate) alerts: BTreeMap<String, bool>,
    hits: Vec<Value>,
    last_alert: Option<f64>,
}

impl Canarytokens {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { backends: true, ..State::default() }));
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

    /// A token of a type.
    pub(crate) fn of_type(&self, kind: &str) -> (String, Drop) {
        let state = self.state();
        let found = state.drops.iter().rfind(|(_, token)| token.kind == kind);
        found.map(|(id, token)| (id.clone(), token.clone())).expect("there is one")
    }

    /// Somebody uses a token.
    pub(crate) fn hit(&self, token: &str, at: f64, more: Value) {
        self.state().hit(token, at, more);
    }
}

impl State {
    fn hit(&mut self, token: &str, at: f64, more: Value) {
        let port = self.port;
        let Some(found) = self.drops.get_mut(token) else { return };
        let mut hit = json!({
            "time_of_hit": at, "src_ip": "198.51.100.7", "geo_info": null, "is_tor_relay": false, "input_channel": "HTTP", "src_data": null,
            "useragent": null, "alert_status": "alertable", "token_type": found.kind,
        });
        for (name, value) in more.as_object().expect("an object") {
            hit[name] = value.clone();
        }
        found.hits.push(hit.clone());
        let surplus = found.hits.len().saturating_sub(MAX_HISTORY);
        found.hits.drain(..surplus);
        // One alert a minute, and the history keeps the rest.
        let is_on = found.alerts.get("webhook_enable") == Some(&true) && found.last_alert.is_none_or(|last| at - last >= 60.0);
        if is_on && hit["alert_status"] == "alertable" {
            found.last_alert = Some(at);
            let auth = &found.auth;
            let manage = format!("http://127.0.0.1:{port}/nest/manage/{auth}/{token}");
            let body = json!({
                "channel": "HTTP", "token_type": found.kind, "src_ip": hit["src_ip"], "src_data": null, "token": token,
                "time": "2026-11-22 10:00:00 (UTC)", "memo": found.memo, "manage_url": manage, "additional_data": {},
            });
            self.posted.push((Some(token.to_owned()), body));
        }
    }

    fn answer(&mut self, call: &Call) -> (u16, Value) {
        let Call { method, path, .. } = call;
        self.asked.push(format!("{method} {path}"));
        if let Some(status) = self.down {
            return (status, json!({ "detail": "down" }));
        }
        if let Some(call_of) = path.strip_prefix(PREFIX) {
            return self.call(method, call_of, &call.query, &call.body);
        }
        if !path.starts_with("/static/") {
            return (404, json!({ "detail": "Not Found" }));
        }
        let token = path.split('/').nth(2).unwrap_or_default();
        self.hit(token, 1_795_000_000.25, json!({ "src_ip": "127.0.0.1", "useragent": call.headers.get("user-agent") }));
        (200, json!({}))
    }

    fn call(&mut self, method: &str, path: &str, query: &BTreeMap<String, String>, body: &str) -> (u16, Value) {
        let json: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let of_body = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let of_query = |name: &str| query.get(name).cloned();
        match (method, path) {
            ("POST", "generate") => self.generate(&json),
            ("GET", "history" | "manage") => {
                let (Some(token), Some(auth)) = (of_query("token"), of_query("auth")) else { return (422, json!({ "detail": "field required" })) };
                let Some(found) = self.authenticated(&token, &auth) else { return forbidden() };
                let history = json!({ "token_type": found.kind, "hits": found.hits });
                (200, json!({ "canarydrop": { "memo": found.memo, "type": found.kind }, "history": history, "google_api_key": null }))
            }
            ("POST", "delete") => {
                let (token, auth) = (of_body("token"), of_body("auth"));
                if self.authenticated(&token, &auth).is_none() {
                    return forbidden();
                }
                self.drops.remove(&token);
                (200, json!({ "message": "success" }))
            }
            ("POST", "settings") => {
                let settings = ["email_enable", "webhook_enable", "browser_scanner_enable", "web_image_enable", "ip_ignore_enable"];
                let (setting, value) = (of_body("setting"), of_body("value"));
                if !settings.contains(&setting.as_str()) || !matches!(value.as_str(), "on" | "off") {
                    return (422, json!({ "detail": "no such setting" }));
                }
                let (token, auth) = (of_body("token"), of_body("auth"));
                let Some(found) = self.authenticated(&token, &auth) else { return forbidden() };
                found.alerts.insert(setting, value == "on");
                (200, json!({ "message": "success" }))
            }
            _ => (404, json!({ "detail": "Not Found" })),
        }
    }

    fn authenticated(&mut self, token: &str, auth: &str) -> Option<&mut Drop> {
        self.drops.get_mut(token).filter(|found| found.auth == auth)
    }

    fn generate(&mut self, asked: &Value) -> (u16, Value) {
        let text = |name: &str| asked[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let malformed = || refusal("1", "Malformed request, invalid data supplied.");
        let (Some(kind), Some(memo)) = (text("token_type"), asked["memo"].as_str()) else { return malformed() };
        let extra = match kind.as_str() {
            "aws_keys" | "kubeconfig" | "my_sql" | "wireguard" | "web" | "dns" => true,
            "azure_id" => text("azure_id_cert_file_name").is_some(),
            "mcp" => text("mcp_alert_on").is_some_and(|on| on == "connect" || on == "tool_call"),
            _ => false,
        };
        let (email, webhook) = (text("email"), text("webhook_url"));
        let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        if !extra
            || memo.chars().count() > 1_000
            || email.is_none() && webhook.is_none()
            || !webhook.iter().all(is_address)
            || !email.iter().all(|mail| mail.contains('@'))
        {
            return malformed();
        }
        if memo.is_empty() {
            return refusal("2", "No memo supplied");
        }
        if let Some(webhook) = &webhook {
            // The test comes before the token: whatever the receiver makes of it, there is no token that it could be of.
            self.posted.push((None, json!({ "token_type": kind, "token": "a+test+token", "memo": "Congrats! The newly saved webhook works" })));
            if webhook.contains("nobody") {
                return refusal("3", "Failed to connect to webhook. Confirm you can POST to this URL.");
            }
        }
        if let Some(email) = &email {
            // What its model takes for an address and its sender does not.
            if email.ends_with("@invalid.example") {
                return refusal("5", "Invalid email supplied");
            }
            if email.ends_with("@blocked.example") {
                return refusal("6", "Blocked email supplied.");
            }
        }
        self.made += 1;
        let id = |what: &str, length: usize| -> String {
            let digest = Sha256::digest(format!("{what}{}", self.made));
            digest.iter().cycle().take(length).enumerate().map(|(at, byte)| letter(byte.wrapping_add(u8::try_from(at).unwrap_or(0)))).collect()
        };
        let (token, auth) = (id("token", 25), id("auth", 32));
        let secret = STANDARD.encode(Sha256::digest(&auth))[..40].to_owned();
        if kind == "aws_keys" && !self.backends {
            return (500, json!({ "message": "This Canarytokens instance does not have AWS ID tokens enabled." }));
        }
        if kind == "azure_id" && !self.backends {
            return (400, json!({ "message": "This Canarytokens instance does not have Azure ID tokens enabled." }));
        }
        let alerts = BTreeMap::from([("email_enable".to_owned(), email.is_some()), ("webhook_enable".to_owned(), webhook.is_some())]);
        let hits = Vec::new();
        self.drops
            .insert(token.clone(), Drop { kind: kind.clone(), auth: auth.clone(), memo: memo.to_owned(), webhook, alerts, hits, last_alert: None });
        let port = self.port;
        let mut made = json!({
            "token_type": kind, "token": token, "hostname": format!("{token}.canary.example"), "auth_token": auth, "email": email.unwrap_or_default(),
            "token_url": format!("http://127.0.0.1:{port}/static/{token}/post.jsp"), "webhook_url": "", "url_components": null,
            "error": null, "error_message": null, "Url": null,
        });
        let pair = ["AK", "IA", &id("key", 16).to_uppercase()].concat();
        let more = match kind.as_str() {
            "aws_keys" => json!({
                "aws_access_key_id": pair, "aws_secret_access_key": secret, "region": "us-east-2",
                "output": "json",
            }),
            "kubeconfig" => json!({ "kubeconfig": kubeconfig(&secret) }),
            "my_sql" => json!({ "usage": usage(&token) }),
            "wireguard" => json!({ "wg_conf": wireguard(&secret), "qr_code": "data:image/png;base64," }),
            "azure_id" => json!({
                "app_id": "11111111-2222-3333-4444-555555555555", "tenant_id": "66666666-7777-8888-9999-000000000000",
                "cert": key(&secret) + &pem("CERTIFICATE", &secret), "cert_name": token, "cert_file_name": asked["azure_id_cert_file_name"],
            }),
            "mcp" => {
                let token = format!("eyJhbGciOiJkaXIifQ..{secret}");
                let server =
                    json!({ "type": "http", "url": "https://mcp.canary.example/mcp", "headers": { "Authorization": format!("Bearer {token}") } });
                json!({ "mcpjson": json!({ "mcpServers": { "cloud-auth-broker": server } }).to_string() })
            }
            _ => json!({}),
        };
        for (name, value) in more.as_object().expect("an object") {
            made[name] = value.clone();
        }
        (200, made)
    }
}

fn letter(byte: u8) -> char {
    char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte % 32)])
}

fn forbidden() -> (u16, Value) {
    (403, json!({ "detail": "Token not found. Invalid `auth` and `token` pair." }))
}

fn refusal(error: &str, message: &str) -> (u16, Value) {
    let empty =
        json!({ "error": error, "error_message": message, "url": "", "url_components": null, "token": "", "email": "", "hostname": "", "auth": "" });
    (400, empty)
}

fn pem(kind: &str, secret: &str) -> String {
    let blocks = (0..20).flat_map(|block| Sha256::digest(format!("{secret}{block}"))).collect::<Vec<u8>>();
    // A sequence of that length, as DER writes it.
    let text = STANDARD.encode([&[0x30, 0x82, 0x02, 0x80], blocks.as_slice()].concat());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let dashes = "-----";
    format!("{dashes}BEGIN {kind}{dashes}\n{}\n{dashes}END {kind}{dashes}\n", lines.join("\n"))
}

fn key(secret: &str) -> String {
    pem(&["PRIVATE", "KEY"].join(" "), secret)
}

fn kubeconfig(secret: &str) -> String {
    let (authority, key) = (STANDARD.encode(pem("CERTIFICATE", secret)), STANDARD.encode(key(secret)));
    STANDARD.encode(format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: {authority}\n    server: https://192.0.2.1:6443\n  \
         name: k8s-prod-cluster\nusers:\n- name: kube-sre-root\n  user:\n    client-certificate-data: {authority}\n    client-key-data: {key}\n\
         contexts:\n- context:\n    cluster: k8s-prod-cluster\n    user: kube-sre-root\n  name: kube-sre-root-k8s-prod-cluster\n\
         current-context: kube-sre-root-k8s-prod-cluster\n"
    ))
}

fn wireguard(secret: &str) -> String {
    let key = STANDARD.encode(Sha256::digest(format!("device of {secret}")));
    format!(
        "[Interface]\n  PrivateKey = {key}\n  Address = 192.168.123.107/32\n\n[Peer]\n  PublicKey = {key}\n  AllowedIPs = 192.168.1.0/24\n  \
         Endpoint = 192.0.2.1:51820\n  PersistentKeepalive = 60"
    )
}

fn usage(token: &str) -> String {
    let sauce = STANDARD.encode(format!("SET @bb = CONCAT(\"CHANGE REPLICATION SOURCE TO SOURCE_USER='{token}\", @@hostname, \"';\");"));
    format!(
        "SET @b = '{sauce}';\nSET @s2 = FROM_BASE64(@b);\nPREPARE stmt1 FROM @s2;\nEXECUTE stmt1;\nPREPARE stmt2 FROM @bb;\nEXECUTE stmt2;\nSTART REPLICA;"
    )
}
