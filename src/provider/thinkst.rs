//! Thinkst: tokens of a Canary Console, the paid server of the makers of Canarytokens.
//!
//! Source: the Console's API documentation of August 2026: "Canarytokens", "Incidents", "Factory". It answers 200 whatever it says, and says in the
//! body whether it did what was asked. Of kinds whose answer the documentation does not show, none is made here.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds;
use crate::bait::trigger::Trigger;
use crate::oci::digest::Digest;
use crate::provider::aws_api::Endpoint;
use crate::provider::contract::{Checked, Poll, Provider, Row, Wiring};
use crate::provider::error::ProviderError;
use crate::provider::memo::{Memo, word};
use crate::provider::visit;
use crate::provider::wire::{Answer, Request, Wire, base, plain};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::{EpochKey, KeyRing};
use crate::secret::value::Secret;

const KEY: &str = "HONEYCRATE_THINKST_KEY";
const FACTORY: &str = "HONEYCRATE_THINKST_FACTORY";

pub const ROW: Row = Row {
    id: "thinkst",
    describe: "tokens of your Canary Console; jobs need no more than a factory's key, which makes tokens and does nothing else",
    latency: "seconds after the Console hears of it; AWS tells it after 2 to 30 minutes",
    quota: "your contract's",
    stealth: "the AWS accounts are on published lists; a domain of yours (`domain`) is not",
    settings: &[
        ("url", "your Console: https://HASH.canary.tools"),
        ("flock", "the flock that tokens are made in; default the key's own"),
        ("domain", "a domain of yours that the Console has, for web-url and dns-name"),
        ("memo", "what the Console shows: plain (default), service, environment and surface, or opaque, a word that the ledger is needed for"),
        ("sts", "where `token drill` uses a key of AWS; default the address of AWS"),
    ],
    secrets: &[
        (FACTORY, "a factory's auth string, for jobs: it makes tokens"),
        (KEY, "an API key: it makes, finds and deletes tokens and reads incidents"),
    ],
    make: |wiring| Ok(Arc::new(Thinkst::new(wiring)?)),
};

/// Rows of a page, and pages that are read.
const PER_PAGE: &str = "100";
const MAX_PAGES: usize = 200;

/// Our kinds and the Console's, the favourite first, with the hosts of those that do not lead to it.
const TYPES: [(&str, &str, Option<&str>); 3] = [("aws-keys", "aws-id", Some("amazonaws.com")), ("web-url", "http", None), ("dns-name", "dns", None)];

pub(super) struct Thinkst {
    wire: Wire,
    /// Where a drill uses keys of AWS.
    aws: Endpoint,
    /// With `/api/v1`, without a slash at its end. `None` until it is set.
    api: Option<Url>,
    key: Option<Secret>,
    factory: Option<Secret>,
    flock: Option<String>,
    domain: Option<String>,
    memo: Memo,
    ring: KeyRing,
}

/// What all answers begin with.
#[derive(Deserialize)]
struct Outcome {
    result: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Made {
    canarytoken: Token,
}

#[derive(Deserialize)]
struct Token {
    canarytoken: String,
    kind: String,
    #[serde(default)]
    memo: String,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    secret_access_key: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    canarytokens: Vec<Token>,
    #[serde(default)]
    cursor: Cursor,
}

/// Where a list goes on. `next_link` is not followed: it names a host, and holds the key.
#[derive(Deserialize, Default)]
struct Cursor {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Feed {
    #[serde(default)]
    incidents: Vec<Incident>,
    #[serde(default)]
    cursor: Cursor,
    #[serde(default)]
    max_updated_id: Option<u64>,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    #[serde(default)]
    updated_id: u64,
    #[serde(default)]
    summary: String,
    description: Description,
}

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    src_host: String,
    #[serde(default)]
    events_count: Value,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    canarytoken: String,
    /// Seconds since 1970.
    #[serde(default)]
    timestamp: f64,
    #[serde(default)]
    src_host: String,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Thinkst {
    fn new(wiring: &Wiring) -> Result<Self, ProviderError> {
        let mut api = wiring.settings.get("url").map(|url| base(ROW.id, "url", url)).transpose()?;
        if let Some(api) = &mut api {
            let path = api.path().trim_end_matches('/').trim_end_matches("/api/v1").to_owned();
            api.set_path(&format!("{path}/api/v1"));
        }
        let setting = |name: &str| wiring.settings.get(name).cloned();
        Ok(Self {
            wire: Wire::new(ROW.id, wiring),
            aws: Endpoint::new(wiring.settings.get("sts").map(String::as_str)),
            api,
            key: wiring.secrets.get(KEY).cloned(),
            factory: wiring.secrets.get(FACTORY).cloned(),
            flock: setting("flock"),
            domain: setting("domain"),
            memo: Memo::of(ROW.id, &wiring.settings, Memo::Plain)?,
            ring: wiring.ring.clone(),
        })
    }

    fn epoch(&self, epoch: u16) -> Result<&EpochKey, ProviderError> {
        self.ring.epoch(epoch).ok_or(ProviderError::Epoch { provider: ROW.id, epoch })
    }

    fn api(&self) -> Result<&Url, ProviderError> {
        self.api.as_ref().ok_or_else(|| ProviderError::NotSet {
            provider: ROW.id,
            what: "the address of your Console".to_owned(),
            hint: "set `url` under `providers.thinkst` to https://HASH.canary.tools".to_owned(),
        })
    }

    /// The key that may do everything.
    fn key(&self) -> Result<&Secret, ProviderError> {
        self.key.as_ref().ok_or_else(|| ProviderError::NotSet {
            provider: ROW.id,
            what: format!("an API key ({KEY})"),
            hint: "a factory's key makes tokens; reading incidents and deleting needs a key of its own".to_owned(),
        })
    }

    /// Asks the Console for something. Secrets go into a header or a body, never into an address.
    async fn ask<T: DeserializeOwned>(&self, what: &str, method: Method, call: &str, fields: &[(&str, &str)]) -> Result<T, ProviderError> {
        let key = self.key()?.clone();
        self.send(what, method, call, fields, Some(key)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        what: &str,
        method: Method,
        call: &str,
        fields: &[(&str, &str)],
        key: Option<Secret>,
    ) -> Result<T, ProviderError> {
        let mut url = self.api()?.clone();
        url.set_path(&format!("{}/{call}", url.path()));
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let is_get = method == Method::GET;
        if is_get {
            url.set_query(Some(form.as_str()).filter(|form| !form.is_empty()));
        }
        let make = |_: OffsetDateTime| {
            let mut headers: Vec<(&'static str, Secret)> = key.iter().map(|key| ("x-canary-auth-token", key.clone())).collect();
            if !is_get {
                headers.push(("content-type", Secret::new("application/x-www-form-urlencoded".to_owned())));
            }
            Request { method: method.clone(), url: url.clone(), headers, body: (!is_get).then(|| form.clone()) }
        };
        let passes: fn(&Answer) -> bool = if is_get { Answer::passes } else { |_| false };
        let answer = self.wire.send(&make, passes).await?;
        // A failure is told in the body, and also with other statuses on some Consoles.
        let outcome: Outcome = match serde_json::from_slice(&answer.body) {
            Ok(outcome) => outcome,
            Err(_) if answer.status == 200 => return Err(self.wire.refused(&format!("its answer when it was to {what} is none of a Console"), "")),
            Err(_) => return Err(self.wire.unforeseen(what, &answer, "")),
        };
        let told = plain(&outcome.message);
        if outcome.result != "success" {
            return Err(match answer.status {
                429 | 500.. => self.wire.unforeseen(what, &answer, &format!(" (\"{told}\")")),
                _ => self.wire.refused(&format!("it did not {what}: \"{told}\""), &format!("check `providers.thinkst`, {KEY} and {FACTORY}")),
            });
        }
        serde_json::from_slice(&answer.body).map_err(|_| self.wire.refused(&format!("its answer when it was to {what} lacks a part"), ""))
    }

    async fn create(&self, claims: &Claims) -> Result<Honeytoken, ProviderError> {
        self.ready()?;
        let kind = TYPES.iter().find(|(kind, ..)| *kind == claims.kind);
        let (id, kind, _) = kind.ok_or_else(|| ProviderError::Kind { provider: ROW.id, kind: claims.kind.clone() })?;
        let memo = self.memo.text(self.epoch(claims.epoch)?, claims);
        let mut fields = vec![("kind", *kind), ("memo", memo.as_str())];
        fields.extend(self.flock.as_deref().map(|flock| ("flock_id", flock)));
        if *id != "aws-keys" {
            fields.extend(self.domain.as_deref().map(|domain| ("custom_domain", domain)));
        }
        let what = "make a token";
        let made: Made = match (&self.key, &self.factory) {
            (None, Some(factory)) => {
                fields.push(("factory_auth", factory.expose()));
                self.send(what, Method::POST, "canarytoken/factory/create", &fields, None).await?
            }
            _ => self.ask(what, Method::POST, "canarytoken/create", &fields).await?,
        };
        match self.token(claims, &made.canarytoken)? {
            Some(token) => Ok(token),
            None => {
                let mut why = format!("its answer lacks a part of a token of the kind {kind}");
                if self.key.is_none() || self.delete(&made.canarytoken.canarytoken).await.is_err() {
                    why += ", and the token is still there";
                }
                Err(self.wire.refused(&why, ""))
            }
        }
    }

    /// A token as the Console tells it. `None` when a part is missing.
    fn token(&self, claims: &Claims, told: &Token) -> Result<Option<Honeytoken>, ProviderError> {
        let key = self.epoch(claims.epoch)?;
        let line = |text: &str| (!text.is_empty() && text.len() <= 4_096 && !text.chars().any(char::is_control)).then(|| text.to_owned());
        let given = || -> Option<(Vec<(&str, String)>, String)> {
            Some(match claims.kind.as_str() {
                "aws-keys" => {
                    let pair = vec![("access_key_id", line(&told.access_key_id)?), ("secret_access_key", line(&told.secret_access_key)?)];
                    (pair, "amazonaws.com".to_owned())
                }
                "web-url" => {
                    let url = Url::parse(&told.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
                    (vec![("url", line(&told.url)?)], url.host_str()?.to_owned())
                }
                "dns-name" => {
                    let name = line(&told.hostname).filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)))?;
                    let domain = name.split_once('.')?.1.to_owned();
                    (vec![("hostname", name)], domain)
                }
                _ => return None,
            })
        };
        let Some((fields, host)) = given() else { return Ok(None) };
        let identifying = kinds::find(&claims.kind).map(|kind| kind.identifying());
        let Some((_, value)) = fields.iter().find(|(name, _)| Some(*name) == identifying) else { return Ok(None) };
        let fingerprint = Fingerprint::of_token(key, value);
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect();
        let handle = vec![("canarytoken".to_owned(), Secret::new(told.canarytoken.clone()))];
        Ok(Some(Honeytoken { claims: claims.clone(), fields, handle, host, fingerprint }))
    }

    async fn search(&self, claims: &Claims) -> Result<Option<Honeytoken>, ProviderError> {
        if self.key.is_none() {
            // A factory's key finds nothing; the ledger says what there is.
            return Ok(None);
        }
        let word = word(self.epoch(claims.epoch)?, claims);
        let Some((_, kind, _)) = TYPES.iter().find(|(kind, ..)| *kind == claims.kind) else { return Ok(None) };
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut fields = vec![("search_string", word.as_str()), ("kind", *kind), ("limit", PER_PAGE)];
            fields.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Found = self.ask("find a token", Method::GET, "canarytokens/search", &fields).await?;
            // The search takes beginnings of words, and one that is disabled tells of no use.
            let is_it = |token: &&Token| token.memo.ends_with(&word) && token.kind == *kind && token.enabled != Some(false);
            if let Some(token) = page.canarytokens.iter().find(is_it) {
                return self.token(claims, token);
            }
            cursor = page.cursor.next;
            if cursor.is_none() {
                return Ok(None);
            }
        }
        Err(self.wire.refused("its list of tokens does not end", ""))
    }

    fn id<'t>(&self, token: &'t Honeytoken) -> Result<&'t str, ProviderError> {
        let id = token.handle("canarytoken").map(Secret::expose);
        id.ok_or_else(|| self.wire.refused("the ledger has no id of this token, so that it cannot be asked for", ""))
    }

    async fn delete(&self, id: &str) -> Result<(), ProviderError> {
        let fields = [("canarytoken", id), ("clear_incidents", "true")];
        self.unless_gone(id, self.ask::<Outcome>("delete a token", Method::POST, "canarytoken/delete", &fields).await).await
    }

    /// The Console says in words alone why it did not do something, so it is asked whether the token is there at all.
    async fn unless_gone(&self, id: &str, done: Result<Outcome, ProviderError>) -> Result<(), ProviderError> {
        let Err(error @ ProviderError::Refused { .. }) = done else { return done.map(|_| ()) };
        self.ask::<Outcome>("know the key", Method::GET, "ping", &[]).await?;
        match self.ask::<Outcome>("show a token", Method::GET, "canarytoken/fetch", &[("canarytoken", id)]).await {
            Err(ProviderError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(error),
        }
    }

    async fn incidents(&self, tokens: &[Honeytoken], since: Option<&str>) -> Result<Poll, ProviderError> {
        let since = since.and_then(|since| since.parse::<u64>().ok()).unwrap_or(0);
        let from = since.to_string();
        let by_id: BTreeMap<&str, &Honeytoken> = tokens.iter().filter_map(|token| Some((token.handle("canarytoken")?.expose(), token))).collect();
        let (mut poll, mut newest, mut cursor) = (Poll::default(), since, None::<String>);
        for _ in 0..MAX_PAGES {
            let mut fields = vec![("incidents_since", from.as_str()), ("limit", PER_PAGE)];
            fields.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Feed = self.ask("tell incidents", Method::GET, "incidents/all", &fields).await?;
            newest = page.incidents.iter().map(|incident| incident.updated_id).chain(page.max_updated_id).fold(newest, u64::max);
            for incident in &page.incidents {
                incident.tell(&by_id, &mut poll);
            }
            cursor = page.cursor.next;
            if cursor.is_none() {
                poll.next = Some(newest.to_string());
                return Ok(poll);
            }
        }
        Err(self.wire.refused("its list of incidents does not end", ""))
    }

    async fn look(&self) -> Result<Vec<Checked>, ProviderError> {
        self.ready()?;
        let mut checked = Vec::new();
        if self.key.is_some() {
            let ping = self.ask::<Outcome>("know the key", Method::GET, "ping", &[]).await;
            let reads = self.ask::<Feed>("tell incidents", Method::GET, "incidents/all", &[("limit", "1")]).await;
            checked.push(told(KEY, ping.map(|_| "the Console knows it".to_owned()))?);
            checked.push(told("incidents", reads.map(|_| "can be read".to_owned()))?);
        }
        if self.factory.is_some() {
            let detail = "shows what it can when a token is made".to_owned();
            checked.push(Checked { what: FACTORY.to_owned(), passed: None, detail });
        }
        Ok(checked)
    }
}

/// What was refused is an outcome; where nobody answers there is none.
fn told(what: &str, outcome: Result<String, ProviderError>) -> Result<Checked, ProviderError> {
    match outcome {
        Ok(detail) => Ok(Checked { what: what.to_owned(), passed: Some(true), detail }),
        Err(error @ ProviderError::Refused { .. }) => Ok(Checked { what: what.to_owned(), passed: Some(false), detail: error.to_string() }),
        Err(error) => Err(error),
    }
}

impl Incident {
    fn tell(&self, by_id: &BTreeMap<&str, &Honeytoken>, poll: &mut Poll) {
        // Events of one second look the same: the how-manieth it is tells them apart, and stays when others are added.
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        let mut place = None;
        for event in &self.description.events {
            let Some(token) = by_id.get(event.canarytoken.as_str()) else { continue };
            let Claims { service, environment, surface, .. } = &token.claims;
            place = Some(format!("{service}, {environment}, {surface}"));
            let address = [&event.src_host, &self.description.src_host].into_iter().find(|address| !address.is_empty());
            let address = address.map_or_else(|| "unknown".to_owned(), |address| plain(address));
            let instant = format!("{:.0}", event.timestamp);
            let same = alike.entry([instant.as_str(), &address].join("\0")).or_default();
            *same += 1;
            let identity = ["honeycrate/trigger/v1", token.fingerprint.as_str(), &instant, &address, ROW.id, &self.id, &same.to_string()].join("\0");
            #[expect(clippy::cast_possible_truncation, reason = "what is no time becomes the nearest one")]
            let time = OffsetDateTime::from_unix_timestamp(event.timestamp as i64).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let agent = event.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent")).and_then(|(_, agent)| agent.as_str());
            poll.triggers.push(Trigger {
                id: Digest::of(identity.as_bytes()).hex()[..32].to_owned(),
                time: time.format(&Rfc3339).unwrap_or_default(),
                fingerprint: token.fingerprint.clone(),
                claims: token.claims.clone(),
                face: ROW.id.to_owned(),
                address,
                user_agent: agent.map(plain).filter(|agent| !agent.is_empty()),
                request: plain(&[self.summary.as_str(), event.kind.as_str()].join(" ")),
                drill: None,
            });
        }
        let count = match &self.description.events_count {
            Value::String(count) => count.parse().ok(),
            count => count.as_u64(),
        };
        let told = u64::try_from(self.description.events.len()).unwrap_or(u64::MAX);
        if let (Some(place), Some(count)) = (place, count.filter(|count| *count > told)) {
            poll.notes.push(format!("{place}: the Console counts {count} uses in an incident and tells {told} of them"));
        }
    }
}

impl Provider for Thinkst {
    fn id(&self) -> &'static str {
        ROW.id
    }

    fn kinds(&self) -> Vec<(&'static str, String)> {
        let console = self.api.as_ref().and_then(Url::host_str).unwrap_or_default();
        let own = self.domain.as_deref().unwrap_or(console);
        TYPES.iter().map(|(kind, _, host)| (*kind, host.unwrap_or(own).to_owned())).collect()
    }

    fn ready(&self) -> Result<(), ProviderError> {
        self.api()?;
        if self.factory.is_some() { Ok(()) } else { self.key().map(|_| ()) }
    }

    fn mint<'a>(&'a self, claims: &'a Claims, _: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>> {
        self.create(claims).boxed()
    }

    fn find<'a>(&'a self, claims: &'a Claims) -> BoxFuture<'a, Result<Option<Honeytoken>, ProviderError>> {
        self.search(claims).boxed()
    }

    fn poll<'a>(&'a self, tokens: &'a [Honeytoken], since: Option<&'a str>) -> BoxFuture<'a, Result<Poll, ProviderError>> {
        self.incidents(tokens, since).boxed()
    }

    fn disable<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        async {
            let id = self.id(token)?;
            let done = self.ask("disable a token", Method::POST, "canarytoken/disable", &[("canarytoken", id)]).await;
            self.unless_gone(id, done).await
        }
        .boxed()
    }

    /// Its incidents go with it: the Console deletes no token that has any. What the ledger was told of them stays.
    fn revoke<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        async { self.delete(self.id(token)?).await }.boxed()
    }

    fn exercise<'a>(&'a self, token: &'a Honeytoken, mark: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        visit::exercise(&self.wire, &self.aws, token, mark).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<Checked>, ProviderError>> {
        self.look().boxed()
    }
}
