//! Canarytokens: tokens of canarytokens.org, or of a server of one's own.
//!
//! Source: thinkst/canarytokens of August 2026: `frontend/app.py`, `canarytokens/models/`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::seed::Seed;
use crate::bait::trigger::Trigger;
use crate::oci::digest::Digest;
use crate::oci::hex;
use crate::provider::aws_api::Endpoint;
use crate::provider::contract::{Checked, Poll, Provider, Row, Wiring};
use crate::provider::error::ProviderError;
use crate::provider::memo::{Memo, word};
use crate::provider::visit;
use crate::provider::wire::{Answer, Request, Wire, base, plain};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::{EpochKey, KeyRing};
use crate::secret::value::Secret;

pub const ROW: Row = Row {
    id: "canarytokens",
    describe: "tokens of canarytokens.org or of a Canarytokens server of yours, which lists none: the ledger alone knows them",
    latency: "seconds after the server hears of it; AWS and Azure tell it after 2 to 30 minutes",
    quota: "none that is told; of each token the last 50 uses are kept",
    stealth: "AWS accounts and the Azure application are on published lists, and so are the domains and addresses of canarytokens.org",
    settings: &[
        ("url", "the server; default https://canarytokens.org"),
        ("email", "who gets the server's own mails; it makes no token without this or a webhook"),
        ("webhook", "where the server posts its own alerts, unsigned; `{receiver}` in it becomes a word of each token that nobody can guess"),
        ("memo", "what those say: opaque (default), a word that the ledger is needed for, or plain, service, environment and surface"),
        ("sts", "where `token drill` uses a key of AWS; default the address of AWS"),
    ],
    secrets: &[("HONEYCRATE_CANARYTOKENS_WEBHOOK", "the webhook, where its address is secret")],
    make: |wiring| Ok(Arc::new(Canarytokens::new(wiring)?)),
};

const DEFAULT: &str = "https://canarytokens.org";
/// Fixed, and the same on all servers: `API_APP_PREFIX`.
const PREFIX: &str = "d3aece8093b71007b5ccfedad91ebb11";
/// Uses that the server keeps of a token: `MAX_HISTORY`.
const MAX_HISTORY: usize = 50;
/// Tokens that are asked about at a time.
const AT_ONCE: usize = 4;
/// Characters of a field that is one line, and of one that is a file.
const MAX_LINE: usize = 8 << 10;
const MAX_FILE: usize = 64 << 10;
/// Where the stand-in for an unguessable word is in the webhook's address.
const RECEIVER: &str = "{receiver}";

/// One type of token, as the server and as we call it.
struct Type {
    kind: &'static str,
    name: &'static str,
    /// Where it leads to, if not to the server.
    host: Option<&'static str>,
    /// What the server wants to know beside memo and addresses.
    extras: &'static [(&'static str, &'static str)],
    /// The credential. `None` when the answer lacks a part.
    given: fn(&Made, &Seed) -> Option<Given>,
}

/// The types that fit an image, the favourite first.
const TYPES: [Type; 8] = [
    Type { kind: "aws-keys", name: "aws_keys", host: Some("amazonaws.com"), extras: &[], given: aws_keys },
    Type { kind: "web-url", name: "web", host: None, extras: &[], given: web },
    Type { kind: "kubeconfig-file", name: "kubeconfig", host: None, extras: &[], given: kubeconfig },
    Type { kind: "mysql-dump", name: "my_sql", host: None, extras: &[], given: my_sql },
    Type { kind: "wireguard", name: "wireguard", host: None, extras: &[], given: wireguard },
    Type { kind: "dns-name", name: "dns", host: None, extras: &[], given: dns },
    Type {
        kind: "azure-id",
        name: "azure_id",
        host: Some("login.microsoftonline.com"),
        extras: &[("azure_id_cert_file_name", "azure-deploy.pem")],
        given: azure_id,
    },
    Type { kind: "mcp-config", name: "mcp", host: None, extras: &[("mcp_alert_on", "connect")], given: mcp },
];

pub(super) struct Canarytokens {
    wire: Wire,
    /// Where a drill uses keys of AWS.
    aws: Endpoint,
    /// With the prefix, without a slash at its end.
    api: Url,
    email: Option<String>,
    webhook: Option<Secret>,
    memo: Memo,
    ring: KeyRing,
}

/// What the server answers when it has made a token.
#[derive(Deserialize)]
struct Made {
    token: String,
    auth_token: String,
    hostname: String,
    #[serde(default)]
    token_url: String,
    /// What only this type has.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A credential, and the host that it leads to where the answer tells.
struct Given {
    fields: Vec<(&'static str, String)>,
    host: Option<String>,
}

/// What the server answers when it makes none.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_message: String,
    message: String,
}

#[derive(Deserialize)]
struct Told {
    history: History,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    hits: Vec<Hit>,
}

/// One use.
#[derive(Deserialize)]
struct Hit {
    /// Seconds since 1970.
    time_of_hit: f64,
    #[serde(default)]
    src_ip: Option<String>,
    #[serde(default)]
    input_channel: String,
    #[serde(default)]
    alert_status: Option<String>,
    #[serde(default)]
    useragent: Option<String>,
    /// The same of AWS keys.
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    additional_info: Option<Value>,
}

impl Canarytokens {
    fn new(wiring: &Wiring) -> Result<Self, ProviderError> {
        let mut api = base(ROW.id, "url", wiring.settings.get("url").map_or(DEFAULT, String::as_str))?;
        let path = format!("{}/{PREFIX}", api.path().trim_end_matches('/'));
        api.set_path(&path);
        let secret = wiring.secrets.get("HONEYCRATE_CANARYTOKENS_WEBHOOK").cloned();
        Ok(Self {
            wire: Wire::new(ROW.id, wiring),
            aws: Endpoint::new(wiring.settings.get("sts").map(String::as_str)),
            api,
            email: wiring.settings.get("email").cloned(),
            webhook: secret.or_else(|| wiring.settings.get("webhook").cloned().map(Secret::new)),
            memo: Memo::of(ROW.id, &wiring.settings, Memo::Opaque)?,
            ring: wiring.ring.clone(),
        })
    }

    fn server(&self) -> String {
        self.api.host_str().unwrap_or_default().to_owned()
    }

    fn key(&self, epoch: u16) -> Result<&EpochKey, ProviderError> {
        self.ring.epoch(epoch).ok_or(ProviderError::Epoch { provider: ROW.id, epoch })
    }

    /// Asks once more only where nobody answered: what was answered is final, and a token whose making was not answered is in nobody's hands.
    async fn post(&self, call: &str, body: &Value) -> Result<Answer, ProviderError> {
        let make = |_| Request {
            method: Method::POST,
            url: self.at(call, &[]),
            headers: vec![("content-type", Secret::new("application/json".to_owned()))],
            body: Some(body.to_string()),
        };
        self.wire.send(&make, |_| false).await
    }

    async fn get(&self, call: &str, query: &[(&str, &str)]) -> Result<Answer, ProviderError> {
        let make = |_| Request { method: Method::GET, url: self.at(call, query), headers: Vec::new(), body: None };
        self.wire.send(&make, Answer::passes).await
    }

    fn at(&self, call: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.api.clone();
        url.set_path(&format!("{}/{call}", self.api.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn generate(&self, claims: &Claims) -> Result<Honeytoken, ProviderError> {
        self.ready()?;
        let kind = TYPES.iter().find(|kind| kind.kind == claims.kind);
        let kind = kind.ok_or_else(|| ProviderError::Kind { provider: ROW.id, kind: claims.kind.clone() })?;
        let key = self.key(claims.epoch)?;
        let mut body = json!({ "token_type": kind.name, "memo": self.memo.text(key, claims) });
        for (name, value) in kind.extras {
            body[*name] = json!(value);
        }
        if let Some(email) = &self.email {
            body["email"] = json!(email);
        }
        if let Some(webhook) = &self.webhook {
            let receiver = key.mac("canarytokens receiver", word(key, claims).as_bytes());
            let receiver = hex::encode(&receiver[..16]);
            body["webhook_url"] = json!(webhook.expose().replace(RECEIVER, &receiver));
        }
        let answer = self.post("generate", &body).await?;
        if answer.status != 200 {
            return Err(self.not_made(kind, &answer));
        }
        let unreadable = || self.wire.refused("its answer holds no token", "is `providers.canarytokens.url` a Canarytokens server?");
        let made: Made = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let is_id = |id: &str| !id.is_empty() && id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_id(&made.token) || !is_id(&made.auth_token) {
            return Err(unreadable());
        }
        match (kind.given)(&made, &Seed::of(key, claims)) {
            Some(given) => self.token(claims, key, kind, &made, given),
            None => {
                // Nobody could plant it, so it may not stay.
                let _ = self.delete(&made.token, &made.auth_token).await;
                Err(self.wire.refused(&format!("its answer lacks a part of a token of the type {}", kind.name), "the server may be older or newer"))
            }
        }
    }

    fn token(&self, claims: &Claims, key: &EpochKey, kind: &Type, made: &Made, given: Given) -> Result<Honeytoken, ProviderError> {
        let identifying = crate::bait::kinds::find(kind.kind).map(|kind| kind.identifying());
        let value = given.fields.iter().find(|(name, _)| Some(*name) == identifying).map(|(_, value)| value.as_str());
        let value = value.ok_or_else(|| ProviderError::Kind { provider: ROW.id, kind: kind.kind.to_owned() })?;
        let fingerprint = Fingerprint::of_token(key, value);
        let host = given.host.or_else(|| kind.host.map(str::to_owned)).unwrap_or_else(|| self.server());
        let secret = |(name, value): (&str, String)| (name.to_owned(), Secret::new(value));
        Ok(Honeytoken {
            claims: claims.clone(),
            fields: given.fields.into_iter().map(secret).collect(),
            handle: [("token", made.token.clone()), ("auth", made.auth_token.clone())].into_iter().map(secret).collect(),
            host,
            fingerprint,
        })
    }

    /// What the server's error means: its numbers are the same in all versions.
    fn not_made(&self, kind: &Type, answer: &Answer) -> ProviderError {
        let said: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        let told = plain(if said.error_message.is_empty() { &said.message } else { &said.error_message });
        let told = if told.is_empty() { told } else { format!(" (\"{told}\")") };
        let refused = |why: &str, hint: &str| self.wire.refused(&format!("{why}{told}"), hint);
        match (said.error.as_str(), answer.status) {
            ("1", _) => refused(
                &format!("it finds the request malformed: it may not know the type {}, or not take the mail or webhook address", kind.name),
                "check `email` and `webhook` under `providers.canarytokens`, and the server's version",
            ),
            ("2", _) => refused("it wants a memo", ""),
            ("3", _) => refused(
                "it cannot post to the webhook",
                "it tries the webhook before it makes a token, waits two seconds, and goes to no private address unless it is set up to",
            ),
            ("5", _) => refused("it takes the mail address for none", "check `email` under `providers.canarytokens`"),
            ("6", _) => refused("it makes no tokens for this mail address", "use another `email` under `providers.canarytokens`"),
            // What the server says when a type has no backend there, or that does not answer.
            ("4", _) | ("", 400 | 500) => self.wire.unavailable(&format!("it makes no token of the type {} now{told}", kind.name)),
            ("", 404 | 405) => refused("there is no Canarytokens API", "check `url` under `providers.canarytokens`"),
            _ => self.wire.unforeseen("make a token", answer, &told),
        }
    }

    /// The two halves of what the server knows a token by.
    fn pair<'t>(&self, token: &'t Honeytoken) -> Result<(&'t str, &'t str), ProviderError> {
        let part = |name| token.handle(name).map(Secret::expose);
        let pair = part("token").zip(part("auth"));
        pair.ok_or_else(|| self.wire.refused("the ledger has no id of this token, so that it cannot be asked for", ""))
    }

    async fn delete(&self, token: &str, auth: &str) -> Result<(), ProviderError> {
        let answer = self.post("delete", &json!({ "token": token, "auth": auth })).await?;
        match answer.status {
            // A token that is gone is not told from one of another secret.
            200 | 403 => Ok(()),
            _ => Err(self.wire.unforeseen("delete a token", &answer, "")),
        }
    }

    async fn switch_off(&self, token: &Honeytoken) -> Result<(), ProviderError> {
        let (id, auth) = self.pair(token)?;
        let settings = [("email_enable", self.email.is_some()), ("webhook_enable", self.webhook.is_some())];
        for (setting, _) in settings.into_iter().filter(|(_, is_set)| *is_set) {
            let body = json!({ "token": id, "auth": auth, "setting": setting, "value": "off" });
            let answer = self.post("settings", &body).await?;
            if !matches!(answer.status, 200 | 403) {
                return Err(self.wire.unforeseen("switch a token's alerts off", &answer, ""));
            }
        }
        Ok(())
    }

    /// The uses of one token. `None` when the server does not know it.
    async fn history(&self, token: &Honeytoken) -> Result<Option<Vec<Hit>>, ProviderError> {
        let (id, auth) = self.pair(token)?;
        let answer = self.get("history", &[("token", id), ("auth", auth)]).await?;
        match answer.status {
            200 => {
                let told: Result<Told, _> = serde_json::from_slice(&answer.body);
                told.map(|told| Some(told.history.hits)).map_err(|_| self.wire.refused("its answer holds no history of a token", ""))
            }
            403 => Ok(None),
            _ => Err(self.wire.unforeseen("tell the uses of a token", &answer, "")),
        }
    }

    async fn poll_all(&self, tokens: &[Honeytoken]) -> Result<Poll, ProviderError> {
        let mut poll = Poll::default();
        let asked: Vec<BoxFuture<'_, _>> = tokens.iter().map(|token| self.history(token).boxed()).collect();
        let mut histories = stream::iter(asked).buffered(AT_ONCE);
        for token in tokens {
            let Some(history) = histories.next().await else { break };
            let Claims { service, environment, surface, .. } = &token.claims;
            let place = format!("{service}, {environment}, {surface}");
            let Some(hits) = history? else {
                poll.notes.push(format!("{place}: the server knows this token no more, and tells of no use"));
                continue;
            };
            if hits.len() >= MAX_HISTORY {
                poll.notes.push(format!("{place}: {MAX_HISTORY} uses are all that the server keeps of a token, so that earlier ones may be lost"));
            }
            let (ignored, hits): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(|hit| hit.alert_status.as_deref() == Some("ignored_ip"));
            if !ignored.is_empty() {
                poll.notes.push(format!("{place}: {} uses came from addresses that the server was told to ignore", ignored.len()));
            }
            poll.triggers.extend(hits.iter().map(|hit| hit.trigger(token)));
        }
        Ok(poll)
    }

    async fn look(&self) -> Result<Vec<Checked>, ProviderError> {
        // No server knows this token, and all refuse it in the same way.
        let answer = self.get("history", &[("token", "0"), ("auth", "0")]).await?;
        let detail = match answer.status {
            403 => "answers as a Canarytokens server; it has no keys, so that there are no rights to look at".to_owned(),
            status => format!("answered {status}, where a Canarytokens server refuses an unknown token with 403"),
        };
        let mut checked = vec![Checked { what: self.server(), passed: Some(answer.status == 403), detail }];
        let tried = "is tried by the server when a token is made".to_owned();
        let addresses = [("email", self.email.is_some()), ("webhook", self.webhook.is_some())];
        checked.extend(addresses.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| Checked {
            what: name.to_owned(),
            passed: None,
            detail: tried.clone(),
        }));
        Ok(checked)
    }
}

impl Provider for Canarytokens {
    fn id(&self) -> &'static str {
        ROW.id
    }

    fn kinds(&self) -> Vec<(&'static str, String)> {
        TYPES.iter().map(|kind| (kind.kind, kind.host.map_or_else(|| self.server(), str::to_owned))).collect()
    }

    fn ready(&self) -> Result<(), ProviderError> {
        if self.email.is_some() || self.webhook.is_some() {
            return Ok(());
        }
        Err(ProviderError::NotSet {
            provider: ROW.id,
            what: "an address for its alerts".to_owned(),
            hint: "the server makes no token without one: set `email` or `webhook` under `providers.canarytokens`".to_owned(),
        })
    }

    fn mint<'a>(&'a self, claims: &'a Claims, _: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>> {
        self.generate(claims).boxed()
    }

    /// The server tells all it keeps each time, so that there is nowhere to go on from.
    fn poll<'a>(&'a self, tokens: &'a [Honeytoken], _: Option<&'a str>) -> BoxFuture<'a, Result<Poll, ProviderError>> {
        self.poll_all(tokens).boxed()
    }

    /// The server's own alerts stop; what it is told of the token's uses it keeps.
    fn disable<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.switch_off(token).boxed()
    }

    fn revoke<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        async {
            let (id, auth) = self.pair(token)?;
            self.delete(id, auth).await
        }
        .boxed()
    }

    fn exercise<'a>(&'a self, token: &'a Honeytoken, mark: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        visit::exercise(&self.wire, &self.aws, token, mark).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<Checked>, ProviderError>> {
        self.look().boxed()
    }
}

impl Hit {
    fn trigger(&self, token: &Honeytoken) -> Trigger {
        let address = self.src_ip.clone().filter(|address| !address.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        let instant = format!("{:.6}", self.time_of_hit);
        let identity = ["honeycrate/trigger/v1", token.fingerprint.as_str(), &instant, &address, ROW.id, &self.input_channel].join("\0");
        let time =
            Duration::try_from_secs_f64(self.time_of_hit).ok().and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since.try_into().ok()?));
        let time = time.and_then(|time| time.replace_nanosecond(0).ok()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Trigger {
            id: Digest::of(identity.as_bytes()).hex()[..32].to_owned(),
            time: time.format(&Rfc3339).unwrap_or_default(),
            fingerprint: token.fingerprint.clone(),
            claims: token.claims.clone(),
            face: ROW.id.to_owned(),
            address: plain(&address),
            user_agent: self.user_agent.as_deref().or(self.useragent.as_deref()).map(plain).filter(|agent| !agent.is_empty()),
            request: plain(&self.request()),
            drill: None,
        }
    }

    /// What was done, as far as the server tells: the channel, and of AWS the call.
    fn request(&self) -> String {
        let log = self.additional_info.as_ref().map(|info| &info["aws_key_log_data"]);
        let call = log.and_then(|log| log["eventName"][0].as_str());
        call.map_or_else(|| self.input_channel.clone(), |call| format!("{} {call}", self.input_channel))
    }
}

impl Made {
    fn text(&self, name: &str) -> Option<String> {
        self.more.get(name)?.as_str().map(str::to_owned)
    }

    /// A part that is one line.
    fn line(&self, name: &str) -> Option<String> {
        line(&self.text(name)?)
    }
}

/// A text that goes into bait as one line.
fn line(text: &str) -> Option<String> {
    let is_line = !text.is_empty() && text.len() <= MAX_LINE && !text.chars().any(char::is_control);
    is_line.then(|| text.to_owned())
}

/// A text that goes into bait as it is.
fn file(text: &str) -> Option<String> {
    let is_file = !text.trim().is_empty() && text.len() <= MAX_FILE && !text.chars().any(|c| c.is_control() && c != '\n');
    is_file.then(|| text.trim().to_owned())
}

fn aws_keys(made: &Made, _: &Seed) -> Option<Given> {
    let fields = vec![
        ("access_key_id", made.line("aws_access_key_id")?),
        ("secret_access_key", made.line("aws_secret_access_key")?),
        ("region", made.line("region")?),
    ];
    Some(Given { fields, host: None })
}

fn web(made: &Made, _: &Seed) -> Option<Given> {
    let url = Url::parse(&made.token_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(Given { fields: vec![("url", line(&made.token_url)?)], host: url.host_str().map(str::to_owned) })
}

fn dns(made: &Made, _: &Seed) -> Option<Given> {
    let name = line(&made.hostname).filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)))?;
    // The token itself is the name's first part.
    let host = name.split_once('.').map(|(_, domain)| domain.to_owned());
    Some(Given { fields: vec![("hostname", name)], host })
}

/// Of the vendor's file the credential is kept, and neither its names nor its order: those are the same in all files of that server.
fn kubeconfig(made: &Made, seed: &Seed) -> Option<Given> {
    let document = STANDARD.decode(made.text("kubeconfig")?.trim()).ok()?;
    let document: serde_yaml::Value = serde_yaml::from_slice(&document).ok()?;
    let text = |value: &serde_yaml::Value| value.as_str().and_then(line);
    let cluster = &document["clusters"][0]["cluster"];
    let user = &document["users"][0]["user"];
    let (server, client_key) = (text(&cluster["server"])?, text(&user["client-key-data"])?);
    let host = Url::parse(&server).ok()?.host_str().map(str::to_owned);
    let fields = vec![
        ("cluster", seed.pick("cluster", &["production", "prod-main", "platform", "prod-1"])?.to_owned()),
        ("server", server),
        ("authority", text(&cluster["certificate-authority-data"])?),
        ("user", seed.pick("user", &["deploy", "deployer", "release", "ops"])?.to_owned()),
        ("client_certificate", text(&user["client-certificate-data"])?),
        // Scanners find the key within its base64.
        ("private_key", file(&String::from_utf8(STANDARD.decode(&client_key).ok()?).ok()?)?),
        ("client_key", client_key),
    ];
    Some(Given { fields, host })
}

fn my_sql(made: &Made, _: &Seed) -> Option<Given> {
    Some(Given { fields: vec![("source_user", line(&made.token)?), ("statements", file(&made.text("usage")?)?)], host: None })
}

fn wireguard(made: &Made, _: &Seed) -> Option<Given> {
    let conf = made.text("wg_conf")?;
    let value = |name: &str| {
        let pairs = conf.lines().filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| line(value.trim()))
    };
    let endpoint = value("Endpoint")?;
    let host = endpoint.rsplit_once(':').map(|(host, _)| host.to_owned());
    let fields = vec![
        ("private_key", value("PrivateKey")?),
        ("address", value("Address")?),
        ("public_key", value("PublicKey")?),
        ("allowed", value("AllowedIPs")?),
        ("endpoint", endpoint),
        ("keepalive", value("PersistentKeepalive")?),
    ];
    Some(Given { fields, host })
}

/// Key and certificate are in one file, in any order. They are kept apart, since whoever finds one finds it alone.
fn azure_id(made: &Made, _: &Seed) -> Option<Given> {
    let pem = file(&made.text("cert")?.replace("\r\n", "\n"))?;
    let block = |is_it: fn(&str) -> bool| {
        let begins = pem.match_indices("-----BEGIN ").map(|(at, _)| &pem[at..]);
        let blocks = begins.filter_map(|rest| {
            let end = rest.find("-----END ")?;
            let length = end + rest[end..].find('\n').unwrap_or(rest.len() - end);
            Some(&rest[..length])
        });
        blocks.into_iter().find(|block| is_it(block.lines().next().unwrap_or_default())).map(str::to_owned)
    };
    let fields = vec![
        ("app_id", made.line("app_id")?),
        ("tenant_id", made.line("tenant_id")?),
        ("private_key", block(|head| head.contains("PRIVATE KEY"))?),
        ("certificate", block(|head| head.contains("CERTIFICATE"))?),
    ];
    Some(Given { fields, host: None })
}

/// As for [`kubeconfig`].
fn mcp(made: &Made, _: &Seed) -> Option<Given> {
    let document: Value = serde_json::from_str(&made.text("mcpjson")?).ok()?;
    let server = document["mcpServers"].as_object()?.values().next()?;
    let url = line(server["url"].as_str()?)?;
    let host = Url::parse(&url).ok()?.host_str().map(str::to_owned);
    let token = server["headers"]["Authorization"].as_str()?.strip_prefix("Bearer ").and_then(line)?;
    Some(Given { fields: vec![("token", token), ("url", url)], host })
}
