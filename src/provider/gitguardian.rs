//! GitGuardian: AWS key pairs of accounts that GitGuardian watches.
//!
//! Source: the API's own clients, pygitguardian and ggshield, and recorded exchanges. What they disagree on is accepted both ways.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use http::header::{CONTENT_TYPE, LINK};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::trigger::Trigger;
use crate::net::redirect::{next_hop, same_origin};
use crate::oci::digest::Digest;
use crate::oci::hex;
use crate::provider::aws_api::{Endpoint, exercise};
use crate::provider::contract::{Checked, Poll, Provider, Row, Wiring};
use crate::provider::error::ProviderError;
use crate::provider::wire::{Answer, Request, Wire, base, identity, plain};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

pub const ROW: Row = Row {
    id: "gitguardian",
    describe: "AWS keys of accounts that GitGuardian watches; needs an account there with the honeytoken module",
    latency: "minutes",
    quota: "the number in your contract; revoked tokens do not count",
    stealth: "the accounts may be on published lists: the stealth report reads each key",
    settings: &[
        (
            "url",
            "the API's address; default https://api.gitguardian.com/v1, in the EU https://api.eu1.gitguardian.com/v1, your own https://HOST/exposed/v1",
        ),
        ("reset", "true: open events are archived before there are 100, at which GitGuardian takes no more"),
        ("sts", "where `token drill` uses a key; default the address of AWS"),
    ],
    secrets: &[
        ("HONEYCRATE_GITGUARDIAN_TOKEN", "a key with the scopes honeytokens:read and honeytokens:write"),
        ("GITGUARDIAN_API_KEY", "the same, as ggshield reads it"),
    ],
    make: |wiring| Ok(Arc::new(GitGuardian::new(wiring)?)),
};

const KIND: &str = "aws-keys";
const HOST: &str = "amazonaws.com";
const DEFAULT: &str = "https://api.gitguardian.com/v1";
/// Scopes that we need, and what for.
const SCOPES: [(&str, &str); 2] =
    [("honeytokens:read", "tokens are found again and their events read"), ("honeytokens:write", "tokens are made, revoked and reset")];
/// At this many open events GitGuardian takes no more for a token, until it is reset.
const STOP: u64 = 100;
/// From here on it is said, or the token is reset.
const NEAR: u64 = 80;
/// Pages of a list that are read: 100 rows each where the server keeps to that.
const MAX_PAGES: usize = 200;
const PER_PAGE: &str = "100";
/// Events are told late now and then: so far a poll goes back before the last.
const OVERLAP: time::Duration = time::Duration::days(1);
/// Characters of a description that are taken.
const MAX_DESCRIPTION: usize = 250;

pub(super) struct GitGuardian {
    wire: Wire,
    /// Without a slash at its end.
    api: Url,
    key: Option<Secret>,
    ring: KeyRing,
    resets: bool,
    sts: Endpoint,
}

/// A honeytoken as the API writes it. What it holds of the key pair may be missing, null or hollow.
#[derive(Deserialize)]
struct Listed {
    id: String,
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    open_events_count: Option<u64>,
    #[serde(default)]
    token: Value,
}

#[derive(Deserialize)]
struct Happened {
    id: String,
    honeytoken_id: String,
    triggered_at: String,
    #[serde(default)]
    ip_address: Option<String>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    tags: Vec<Value>,
}

type Page = Vec<Value>;

impl GitGuardian {
    fn new(wiring: &Wiring) -> Result<Self, ProviderError> {
        let set = |name: &str| wiring.settings.get(name).map(String::as_str);
        let api = api(base(ROW.id, "url", set("url").unwrap_or(DEFAULT))?);
        let key = ROW.secrets.iter().find_map(|(name, _)| wiring.secrets.get(*name)).cloned();
        let resets = match set("reset") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                let hint = "write `reset: \"true\"` or `reset: \"false\"`".to_owned();
                return Err(ProviderError::NotSet { provider: ROW.id, what: "what `providers.gitguardian.reset` says".to_owned(), hint });
            }
        };
        let sts = set("sts").map(|text| base(ROW.id, "sts", text)).transpose()?;
        let sts = Endpoint::new(sts.as_ref().map(Url::as_str));
        Ok(Self { wire: Wire::new(ROW.id, wiring), api, key, ring: wiring.ring.clone(), resets, sts })
    }

    /// Stable for its claims, so that a run after one that died finds its token; nobody without the owner's key can tell the claims of another.
    fn name(&self, claims: &Claims) -> String {
        let tail = hex::encode(&self.ring.oldest().mac("name at a provider", &identity(claims))[..6]);
        let slug = |text: &str| -> String {
            let text: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
            let start = text.len().saturating_sub(30);
            text[start..].trim_matches('-').to_owned()
        };
        format!("{}-{}-{}-{tail}", claims.surface, slug(&claims.service), slug(&claims.environment))
    }

    async fn ask(&self, method: Method, path: &str, pairs: &[(&str, &str)], body: Option<&Value>) -> Result<Answer, ProviderError> {
        let mut url = self.api.clone();
        url.set_path(&format!("{}/{path}", self.api.path().trim_end_matches('/')));
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        self.fetch(method, &url, body).await
    }

    async fn fetch(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Answer, ProviderError> {
        let key = self.key.as_ref().ok_or_else(not_set)?;
        let make = |_| {
            let authorization = ("authorization", Secret::new(format!("Token {}", key.expose())));
            let kind = body.map(|_| ("content-type", Secret::new("application/json".to_owned())));
            let headers = [authorization].into_iter().chain(kind).collect();
            Request { method: method.clone(), url: url.clone(), headers, body: body.map(Value::to_string) }
        };
        self.wire.send(&make, Answer::passes).await
    }

    /// The document of an answer that says yes, with one of these statuses.
    fn document(&self, what: &str, answer: &Answer, status: u16) -> Result<Value, ProviderError> {
        if answer.status != status {
            return Err(self.failure(what, answer));
        }
        // Whoever else answers with a success, a proxy or a sign-in page, is not GitGuardian.
        let foreign = |why: &str| {
            self.wire.refused(
                &format!("the answer when it was to {what} {why}"),
                "does `providers.gitguardian.url` name the API, and nothing stand before it?",
            )
        };
        if answer.header(CONTENT_TYPE.as_str()) != Some("application/json") {
            return Err(foreign("is not of the type application/json"));
        }
        serde_json::from_slice(&answer.body).map_err(|_| foreign("is no JSON document"))
    }

    fn failure(&self, what: &str, answer: &Answer) -> ProviderError {
        let said = self.conceal(&said(answer));
        let lower = said.to_ascii_lowercase();
        let told = if said.is_empty() { String::new() } else { format!(": {said}") };
        let limited = ["quota", "limit reached", "maximum number", "exceed"].iter().any(|word| lower.contains(word));
        match answer.status {
            401 => self.wire.refused(
                &format!("it does not know the key{told}"),
                "set HONEYCRATE_GITGUARDIAN_TOKEN to a key of this instance that is not revoked",
            ),
            400 | 402 | 403 if limited && !lower.contains("scope") => self
                .wire
                .exhausted(&format!("there may be no more honeytokens{told}"), "revoke tokens that lie in no image, see `honeycrate token list`"),
            403 if lower.contains("allowlist") || lower.contains("allow list") => {
                self.wire.refused(&format!("the key may not be used from this address{told}"), "add the address to the key's allowlist")
            }
            403 => {
                let scope = SCOPES.iter().map(|(scope, _)| *scope).find(|scope| lower.contains(scope));
                let scope = scope.unwrap_or(if what.starts_with("list") || what.starts_with("read") { SCOPES[0].0 } else { SCOPES[1].0 });
                let hint = format!(
                    "give the key the scope {scope}; it must belong to a manager or a service account, and the workspace must have honeytokens"
                );
                self.wire.refused(&format!("the key may not {what}{told}"), &hint)
            }
            _ => self.wire.unforeseen(what, answer, &told),
        }
    }

    /// The text without our key, which an answer has no reason to repeat.
    fn conceal(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| text.replace(key.expose(), "***"))
    }

    /// All rows of a list. Some servers give pages and name the next in `Link`, some give everything at once, whatever is asked for.
    /// `enough` ends it after a page.
    async fn list(
        &self,
        what: &str,
        path: &str,
        pairs: &[(&str, &str)],
        enough: &(dyn Fn(&Page) -> bool + Send + Sync),
    ) -> Result<(Vec<Value>, bool), ProviderError> {
        let mut all = Vec::new();
        let mut answer = self.ask(Method::GET, path, pairs, None).await?;
        for _ in 0..MAX_PAGES {
            let Value::Array(page) = self.document(what, &answer, 200)? else {
                return Err(self.wire.refused(&format!("the answer when it was to {what} is no list"), ""));
            };
            let (done, empty) = (enough(&page), page.is_empty());
            all.extend(page);
            let Some(next) = answer.header(LINK.as_str()).and_then(next_page) else { return Ok((all, true)) };
            if done || empty {
                return Ok((all, true));
            }
            let next = next_hop(&self.api, &next).map_err(|error| self.wire.refused(&error.to_string(), ""))?;
            // The key goes with it: who can write an answer must not choose who gets it.
            if !same_origin(&self.api, &next) {
                return Err(self.wire.refused("the next page of a list is said to lie with another server, which is not asked", ""));
            }
            answer = self.fetch(Method::GET, &next, None).await?;
        }
        Ok((all, false))
    }

    async fn rows(&self, pairs: &[(&str, &str)]) -> Result<Vec<Listed>, ProviderError> {
        let what = "list honeytokens";
        let pairs: Vec<(&str, &str)> = [("per_page", PER_PAGE), ("show_token", "false")].into_iter().chain(pairs.iter().copied()).collect();
        let (rows, whole) = self.list(what, "honeytokens", &pairs, &|_| false).await?;
        if !whole {
            return Err(self.wire.refused("its list of honeytokens does not end", ""));
        }
        rows.into_iter().map(|row| self.row(what, row)).collect()
    }

    fn row(&self, what: &str, row: Value) -> Result<Listed, ProviderError> {
        let row: Listed =
            serde_json::from_value(row).map_err(|_| self.wire.refused(&format!("the answer when it was to {what} holds no honeytoken"), ""))?;
        if row.id.is_empty() || !row.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(self.wire.refused("a honeytoken of its has an id that is none", ""));
        }
        Ok(row)
    }

    /// The one live token of a name, with its key pair.
    async fn named(&self, claims: &Claims) -> Result<Option<Honeytoken>, ProviderError> {
        let name = self.name(claims);
        let rows = self.rows(&[("search", &name)]).await?;
        let Some(row) = rows.into_iter().find(|row| row.name == name && row.status != "revoked" && row.kind == "AWS") else { return Ok(None) };
        let what = "read a honeytoken";
        let answer = self.ask(Method::GET, &format!("honeytokens/{}", row.id), &[("show_token", "true")], None).await?;
        let row = self.row(what, self.document(what, &answer, 200)?)?;
        self.token(claims, &row).map(Some)
    }

    fn token(&self, claims: &Claims, row: &Listed) -> Result<Honeytoken, ProviderError> {
        let pair = (row.token["access_token_id"].as_str(), row.token["secret_key"].as_str());
        let (Some(id), Some(secret)) = pair else {
            return Err(self
                .wire
                .refused("it does not show the key pair of a honeytoken", "the key needs the scope honeytokens:write, and a manager's rights"));
        };
        let key = self.ring.epoch(claims.epoch).ok_or(ProviderError::Epoch { provider: ROW.id, epoch: claims.epoch })?;
        let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value.to_owned()));
        Ok(Honeytoken {
            claims: claims.clone(),
            fields: vec![field("access_key_id", id), field("secret_access_key", secret)],
            handle: vec![field("id", &row.id)],
            host: HOST.to_owned(),
            fingerprint: Fingerprint::of_token(key, id),
        })
    }

    async fn make(&self, claims: &Claims) -> Result<Honeytoken, ProviderError> {
        if claims.kind != KIND {
            return Err(ProviderError::Kind { provider: ROW.id, kind: claims.kind.clone() });
        }
        let description = format!("{} of {} ({}), epoch {}", claims.surface, claims.service, claims.environment, claims.epoch);
        let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
        let body = json!({
            "name": self.name(claims),
            "type": "AWS",
            "description": description.chars().take(MAX_DESCRIPTION).collect::<String>(),
            "custom_tags": [tag("place", "container image"), tag("service", &claims.service), tag("env", &claims.environment)],
        });
        let what = "create a honeytoken";
        let answer = self.ask(Method::POST, "honeytokens", &[], Some(&body)).await?;
        match answer.status {
            // The name is there: another job made it this moment, or the answer to our own request got lost.
            400 | 409 => match self.named(claims).await? {
                Some(token) => Ok(token),
                None => Err(self.failure(what, &answer)),
            },
            _ => self.token(claims, &self.row(what, self.document(what, &answer, 201)?)?),
        }
    }

    fn id(&self, token: &Honeytoken) -> Result<String, ProviderError> {
        let id = token.handle("id").map(|id| id.expose().to_owned());
        id.ok_or_else(|| self.wire.refused("the ledger has no id of this token, so that it cannot be found there", ""))
    }

    /// Revoking cannot be taken back; the key pair is destroyed.
    async fn end(&self, token: &Honeytoken) -> Result<(), ProviderError> {
        let answer = self.ask(Method::POST, &format!("honeytokens/{}/revoke", self.id(token)?), &[], None).await?;
        match answer.status {
            200..=204 | 404 => Ok(()),
            400 | 409 if said(&answer).to_ascii_lowercase().contains("revoked") => Ok(()),
            _ => Err(self.failure("revoke a honeytoken", &answer)),
        }
    }

    async fn uses(&self, tokens: &[Honeytoken], since: Option<&str>) -> Result<Poll, ProviderError> {
        let began = self.wire.now();
        let from = since.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()).map(|since| since - OVERLAP);
        let mut by_id = BTreeMap::new();
        for token in tokens {
            by_id.insert(self.id(token)?, token);
        }
        let mut poll = Poll::default();
        let what = "read the events of honeytokens";
        // Without a status, open ones alone are told: one that was archived or allowed meanwhile would be missed.
        for status in ["open", "archived", "allowed"] {
            let pairs = [("per_page", PER_PAGE), ("status", status), ("ordering", "-triggered_at")];
            let (events, whole) = self.list(what, "honeytokens_events", &pairs, &|page| is_before(page, from)).await?;
            if !whole {
                poll.notes.push(format!("there are more {status} events at GitGuardian than are read at once: older ones were not looked at"));
            }
            for event in events {
                let Ok(event) = serde_json::from_value::<Happened>(event) else {
                    poll.notes.push("an event of GitGuardian could not be read, and is not told".to_owned());
                    continue;
                };
                if let Some(token) = by_id.get(&event.honeytoken_id) {
                    poll.triggers.push(trigger(token, &event, status));
                }
            }
        }
        self.watch_the_stop(&by_id, &mut poll).await?;
        poll.next = began.format(&Rfc3339).ok();
        Ok(poll)
    }

    /// Tells of tokens that are about to go blind, and of those that are gone.
    async fn watch_the_stop(&self, ours: &BTreeMap<String, &Honeytoken>, poll: &mut Poll) -> Result<(), ProviderError> {
        let rows: BTreeMap<String, Listed> = self.rows(&[]).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
        for (id, token) in ours {
            let fingerprint = &token.fingerprint;
            let Some(row) = rows.get(id).filter(|row| row.status != "revoked") else {
                poll.notes.push(format!(
                    "honeytoken {fingerprint} is revoked or gone at GitGuardian: its bait triggers nothing; `honeycrate token revoke` notes it"
                ));
                continue;
            };
            let open = row.open_events_count.unwrap_or_default();
            if open < NEAR {
                continue;
            }
            if self.resets {
                let answer = self.ask(Method::POST, &format!("honeytokens/{id}/reset"), &[], None).await?;
                self.document("reset a honeytoken", &answer, 200)?;
                poll.notes.push(format!("honeytoken {fingerprint} had {open} open events and was reset: at {STOP} GitGuardian takes no more"));
            } else {
                let state = if open >= STOP { "GitGuardian takes no more for it" } else { "at 100 GitGuardian takes no more" };
                poll.notes.push(format!(
                    "honeytoken {fingerprint} has {open} open events, {state}: reset it there, or set `providers.gitguardian.reset: \"true\"`"
                ));
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<Vec<Checked>, ProviderError> {
        let what = "read what the key may do";
        let answer = self.ask(Method::GET, "api_tokens/self", &[], None).await?;
        let own = self.document(what, &answer, 200)?;
        let scopes: Vec<&str> = own["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let checked = |what: String, passed, detail: String| Checked { what, passed, detail };
        let kind = own["type"].as_str().map(plain).unwrap_or_default();
        let mut all =
            vec![checked("key".to_owned(), Some(true), format!("{} takes it {kind}", self.api.host_str().unwrap_or_default()).trim_end().to_owned())];
        if let Some(until) = own["expire_at"].as_str() {
            all.push(checked("lasts".to_owned(), None, format!("until {}", plain(until))));
        }
        for (scope, need) in SCOPES {
            let has = scopes.contains(&scope);
            all.push(checked(format!("scope {scope}"), Some(has), if has { need.to_owned() } else { format!("missing: {need}") }));
        }
        if scopes.contains(&SCOPES[0].0) {
            let rows = self.rows(&[]).await?;
            let live = rows.iter().filter(|row| row.status != "revoked").count();
            all.push(checked("quota".to_owned(), None, format!("{live} honeytokens count; GitGuardian does not tell how many the contract allows")));
            let blind = rows.iter().filter(|row| row.status != "revoked" && row.open_events_count.unwrap_or_default() >= STOP).count();
            let detail = if blind == 0 {
                "no token is at 100 open events".to_owned()
            } else {
                format!("{blind} tokens are at 100 open events and take no more")
            };
            all.push(checked("events".to_owned(), Some(blind == 0), detail));
        }
        Ok(all)
    }
}

impl Provider for GitGuardian {
    fn id(&self) -> &'static str {
        ROW.id
    }

    fn kinds(&self) -> Vec<(&'static str, String)> {
        vec![(KIND, HOST.to_owned())]
    }

    fn ready(&self) -> Result<(), ProviderError> {
        self.key.as_ref().map(|_| ()).ok_or_else(not_set)
    }

    fn mint<'a>(&'a self, claims: &'a Claims, _: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>> {
        self.make(claims).boxed()
    }

    fn find<'a>(&'a self, claims: &'a Claims) -> BoxFuture<'a, Result<Option<Honeytoken>, ProviderError>> {
        self.named(claims).boxed()
    }

    fn poll<'a>(&'a self, tokens: &'a [Honeytoken], since: Option<&'a str>) -> BoxFuture<'a, Result<Poll, ProviderError>> {
        self.uses(tokens, since).boxed()
    }

    fn revoke<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.end(token).boxed()
    }

    fn exercise<'a>(&'a self, token: &'a Honeytoken, mark: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        exercise(&self.wire, (&self.sts, "us-east-1"), token, mark).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<Checked>, ProviderError>> {
        self.look().boxed()
    }
}

fn not_set() -> ProviderError {
    let hint = "set HONEYCRATE_GITGUARDIAN_TOKEN to a key with the scopes honeytokens:read and honeytokens:write".to_owned();
    ProviderError::NotSet { provider: ROW.id, what: "its key".to_owned(), hint }
}

/// The API of an instance: people know the address of the dashboard, as ggshield does.
fn api(mut url: Url) -> Url {
    let host = url.host_str().unwrap_or_default().to_owned();
    let cloud = host == "gitguardian.com" || host.ends_with(".gitguardian.com");
    if let Some(rest) = host.strip_prefix("dashboard.").filter(|_| cloud) {
        let _ = url.set_host(Some(&format!("api.{rest}")));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(if cloud { "/v1" } else { "/exposed/v1" });
    }
    url
}

/// The address that a `Link` header calls the next page. Source: RFC 8288.
fn next_page(link: &str) -> Option<String> {
    let is_next = |parameters: &str| parameters.split(';').any(|parameter| matches!(parameter.trim(), r#"rel="next""# | "rel=next"));
    link.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        is_next(parameters).then(|| target.to_owned())
    })
}

/// Whether all after this page is older: only a page that is in order says so.
fn is_before(page: &Page, from: Option<OffsetDateTime>) -> bool {
    let Some(from) = from else { return false };
    let times: Option<Vec<OffsetDateTime>> = page.iter().map(|event| OffsetDateTime::parse(event["triggered_at"].as_str()?, &Rfc3339).ok()).collect();
    times.is_some_and(|times| times.is_sorted_by(|a, b| a >= b) && times.last().is_some_and(|last| *last < from))
}

fn trigger(token: &Honeytoken, event: &Happened, status: &str) -> Trigger {
    let tags: Vec<String> = event.tags.iter().filter_map(Value::as_str).map(plain).collect();
    let mut request = event.action.as_deref().map_or_else(|| "an AWS call".to_owned(), plain);
    if status == "allowed" {
        request += ", from an address that is allowed at GitGuardian";
    }
    if !tags.is_empty() {
        request += &format!(" ({})", tags.join(", "));
    }
    let time = OffsetDateTime::parse(&event.triggered_at, &Rfc3339).ok();
    let time = time.and_then(|time| time.to_offset(time::UtcOffset::UTC).format(&Rfc3339).ok());
    Trigger {
        id: Digest::of(format!("{}\0{}", ROW.id, event.id).as_bytes()).hex()[..32].to_owned(),
        time: time.unwrap_or_else(|| plain(&event.triggered_at)),
        fingerprint: token.fingerprint.clone(),
        claims: token.claims.clone(),
        face: ROW.id.to_owned(),
        address: event.ip_address.as_deref().map_or_else(|| "an unknown address".to_owned(), plain),
        user_agent: event.data["user_agent"].as_str().map(plain),
        request,
        drill: None,
    }
}

/// What an error says: `{"detail": "…"}`, or an object of fields with lists of messages.
fn said(answer: &Answer) -> String {
    let Ok(document) = serde_json::from_slice::<Value>(&answer.body) else { return String::new() };
    match document["detail"].as_str() {
        Some(detail) => plain(detail),
        None => {
            let fields = document.as_object().into_iter().flatten();
            let told = fields.map(|(field, messages)| match messages {
                Value::Array(messages) => format!("{field}: {}", messages.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
                Value::String(message) => format!("{field}: {message}"),
                _ => field.clone(),
            });
            plain(&told.collect::<Vec<_>>().join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_instance_leads_to_its_api() {
        let of = |text: &str| api(base(ROW.id, "url", text).expect("an address")).to_string();
        assert_eq!(of(DEFAULT), "https://api.gitguardian.com/v1");
        assert_eq!(of("https://api.eu1.gitguardian.com/v1/"), "https://api.eu1.gitguardian.com/v1");
        assert_eq!(of("https://dashboard.eu1.gitguardian.com"), "https://api.eu1.gitguardian.com/v1");
        assert_eq!(of("https://secrets.acme.example"), "https://secrets.acme.example/exposed/v1");
        assert_eq!(of("http://127.0.0.1:8080/exposed/v1"), "http://127.0.0.1:8080/exposed/v1");
        for wrong in ["http://secrets.acme.example", "ftp://x", "acme", "https://u:p@acme.example"] {
            assert!(base(ROW.id, "url", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_ends_the_list_only_when_it_is_in_order_and_old() {
        let page = |times: &[&str]| times.iter().map(|time| json!({ "triggered_at": time })).collect::<Page>();
        let from = Some(time::macros::datetime!(2026-11-20 00:00 UTC));
        assert!(is_before(&page(&["2026-11-21T00:00:00Z", "2026-11-19T00:00:00.123Z"]), from));
        assert!(!is_before(&page(&["2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-19T00:00:00Z"]), from));
        assert!(!is_before(&page(&["2026-11-21T00:00:00Z"]), from) && !is_before(&page(&[]), from) && !is_before(&page(&["soon"]), from));
        assert!(!is_before(&page(&["2026-11-01T00:00:00Z"]), None));
    }

    #[test]
    fn the_next_page_is_the_one_that_is_called_so() {
        let link = r#"<https://a/1>; rel="prev", <https://a/3?cursor=b>; rel="next""#;
        assert_eq!(next_page(link).as_deref(), Some("https://a/3?cursor=b"));
        assert_eq!(next_page(r#"<https://a/1>; rel="prev""#), None);
    }
}
