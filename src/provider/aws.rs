//! The owner's own AWS account: key pairs of IAM users that may do nothing, whose use shows in the account's trail.
//!
//! A user has no policy, no tags, no path and a name like others: whoever uses its key learns the name first. What it stands for is in the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::trigger::Trigger;
use crate::oci::digest::Digest;
use crate::provider::aws_api::{Endpoint, Fault, element, elements, exercise, fault, passes, query};
use crate::provider::contract::{Checked, Poll, Provider, Row, Wiring};
use crate::provider::error::ProviderError;
use crate::provider::sigv4::{Scope, Signer};
use crate::provider::wire::{Request, Wire, base, identity, plain};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

pub const ROW: Row = Row {
    id: "aws",
    describe: "keys of IAM users without any right, in an AWS account of yours; their use shows in CloudTrail",
    latency: "about five minutes; half an hour for calls that leave no event",
    quota: "5000 users in an account, one for each token, unless AWS gave you more",
    stealth: "an account of yours, which is on no published list",
    settings: &[
        ("regions", "where the trail is read, separated by commas; default us-east-1. The first is the one that the bait names"),
        ("endpoint", "another address for all services: {service} and {region} stand for themselves"),
    ],
    secrets: &[
        ("AWS_ACCESS_KEY_ID", "your key, which may make and delete users and keys, and read the trail"),
        ("AWS_SECRET_ACCESS_KEY", "its secret"),
        ("AWS_SESSION_TOKEN", "for keys that last for hours, as a job's role has them"),
    ],
    make: |wiring| Ok(Arc::new(Aws::new(wiring)?)),
};

const KIND: &str = "aws-keys";
const HOST: &str = "amazonaws.com";
/// Requests for events in one region: two a second are allowed.
///
/// Source: CloudTrail API Reference, LookupEvents.
const PACE: Duration = Duration::from_millis(520);
/// Events in a page.
const PAGE: u64 = 50;
/// Pages of the events of one token and region in one poll.
const MAX_PAGES: usize = 40;
/// Events arrive late: so far a poll goes back before the last.
const OVERLAP: time::Duration = time::Duration::hours(2);
/// How long an event is waited for before a use counts as one that left none.
const SILENT: time::Duration = time::Duration::minutes(30);
/// A key that is older than this and in no ledger is of a run that died; a younger one may be of a run that is under way.
const STALE: time::Duration = time::Duration::hours(1);
/// Tries to get one of a user's two keys while other jobs have both.
const TURNS: u32 = 5;
const TURN: Duration = Duration::from_secs(2);

pub(super) struct Aws {
    wire: Wire,
    endpoint: Endpoint,
    /// Never empty.
    regions: Vec<String>,
    signer: Option<Signer>,
    ring: KeyRing,
}

/// One event of the trail, as `CloudTrailEvent` holds it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    #[serde(rename = "eventID")]
    id: String,
    event_time: String,
    event_name: String,
    event_source: String,
    #[serde(rename = "sourceIPAddress", default)]
    address: Option<String>,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    aws_region: Option<String>,
    #[serde(default)]
    error_code: Option<String>,
}

/// When a key was used last, as IAM remembers it.
struct LastUse {
    at: OffsetDateTime,
    region: String,
    service: String,
}

impl Aws {
    fn new(wiring: &Wiring) -> Result<Self, ProviderError> {
        let set = |name: &str| wiring.settings.get(name).map(String::as_str);
        let regions: Vec<String> = set("regions").unwrap_or("us-east-1").split(',').map(|region| region.trim().to_owned()).collect();
        let is_region =
            |region: &String| !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !regions.iter().all(is_region) {
            let hint = "write for example `regions: us-east-1, eu-west-1`".to_owned();
            return Err(ProviderError::NotSet { provider: ROW.id, what: "what `providers.aws.regions` says".to_owned(), hint });
        }
        if let Some(pattern) = set("endpoint") {
            base(ROW.id, "endpoint", &pattern.replace("{service}", "iam").replace("{region}", &regions[0]))?;
        }
        let secret = |name: &str| wiring.secrets.get(name).cloned();
        let pair = secret(ROW.secrets[0].0).zip(secret(ROW.secrets[1].0));
        let signer =
            pair.map(|(access_key_id, secret_access_key)| Signer { access_key_id, secret_access_key, session_token: secret(ROW.secrets[2].0) });
        Ok(Self { wire: Wire::new(ROW.id, wiring), endpoint: Endpoint::new(set("endpoint")), regions, signer, ring: wiring.ring.clone() })
    }

    async fn call(&self, service: &'static str, parameters: &[(&str, &str)]) -> Result<Result<String, Fault>, ProviderError> {
        let signer = self.signer.as_ref().ok_or_else(not_set)?;
        query(&self.wire, signer, (&self.endpoint, service, &self.regions[0]), parameters, None).await
    }

    async fn iam(&self, parameters: &[(&str, &str)]) -> Result<Result<String, Fault>, ProviderError> {
        self.call("iam", parameters).await
    }

    /// What a refusal means.
    fn failure(&self, what: &str, fault: &Fault) -> ProviderError {
        match () {
            () if fault.is_denied() => {
                self.wire.refused(&format!("the key may not {what}: {fault}"), "the README lists the rights that the key needs, see Providers")
            }
            () if ["InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClient", "ExpiredToken", "IncompleteSignature"]
                .iter()
                .any(|code| fault.is(code)) =>
            {
                self.wire.refused(
                    &format!("AWS does not take the key: {fault}"),
                    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and the clock",
                )
            }
            () if fault.is("LimitExceeded") => self.wire.exhausted(
                &format!("the account has no room to {what}: {fault}"),
                "revoke tokens that lie in no image, or ask AWS for a higher quota of users",
            ),
            () if fault.code.starts_with("HTTP 5")
                || fault.is("ServiceFailure")
                || fault.is("ServiceUnavailable")
                || fault.code.starts_with("Throttl") =>
            {
                self.wire.unavailable(&format!("it could not {what}: {fault}"))
            }
            () => self.wire.refused(&format!("it did not {what}: {fault}"), ""),
        }
    }

    /// Like a service account that CloudFormation made for a stack. The same for the same claims, and telling nothing of them.
    fn user(&self, claims: &Claims) -> String {
        const STACKS: [&str; 8] = ["assets", "media", "reports", "archive", "exports", "billing", "search", "uploads"];
        const STAGES: [&str; 4] = ["sync", "backup", "worker", "batch"];
        const ROLES: [&str; 8] = ["Uploader", "Reader", "BackupUser", "ServiceUser", "Publisher", "SyncUser", "DeployUser", "ExportUser"];
        const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mac = self.ring.oldest().mac("user at AWS", &identity(claims));
        let of = |words: &[&'static str], at: usize| words[usize::from(mac[at]) % words.len()];
        let tail: String = mac[3..16].iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
        format!("{}-{}-{}-{tail}", of(&STACKS, 0), of(&STAGES, 1), of(&ROLES, 2))
    }

    async fn make(&self, claims: &Claims) -> Result<Honeytoken, ProviderError> {
        if claims.kind != KIND {
            return Err(ProviderError::Kind { provider: ROW.id, kind: claims.kind.clone() });
        }
        let user = self.user(claims);
        for turn in 1.. {
            match self.iam(&[("Action", "CreateUser"), ("UserName", &user)]).await? {
                Ok(_) => {}
                // Of a run that died, or of a job that is making the same token.
                Err(fault) if fault.is("EntityAlreadyExists") => {}
                Err(fault) => return Err(self.failure("create a user", &fault)),
            }
            match self.iam(&[("Action", "CreateAccessKey"), ("UserName", &user)]).await? {
                Ok(answer) => return self.token(claims, &user, &answer),
                // Another job found that its token is not needed, and took the user with it.
                Err(fault) if fault.is("NoSuchEntity") && turn < TURNS => {}
                // The user has its two keys. A secret is shown once: what nobody remembers is of no use to anybody.
                Err(fault) if fault.is("LimitExceeded") && turn < TURNS => {
                    if !self.sweep(&user).await? {
                        tokio::time::sleep(TURN).await;
                    }
                }
                Err(fault) if fault.is("LimitExceeded") => {
                    return Err(self.wire.unavailable("other jobs are making the same token at this moment, and a user has two keys at most"));
                }
                Err(fault) => return Err(self.failure("create a key", &fault)),
            }
        }
        Err(self.wire.unavailable("it has no turn for us"))
    }

    fn token(&self, claims: &Claims, user: &str, answer: &str) -> Result<Honeytoken, ProviderError> {
        let (Some(id), Some(secret)) = (element(answer, "AccessKeyId"), element(answer, "SecretAccessKey")) else {
            return Err(self.wire.refused("its answer holds no key pair", ""));
        };
        let key = self.ring.epoch(claims.epoch).ok_or(ProviderError::Epoch { provider: ROW.id, epoch: claims.epoch })?;
        let fingerprint = Fingerprint::of_token(key, &id);
        let field = |name: &str, value: String| (name.to_owned(), Secret::new(value));
        Ok(Honeytoken {
            claims: claims.clone(),
            handle: vec![field("user", user.to_owned())],
            fields: vec![field("access_key_id", id), field("secret_access_key", secret), field("region", self.regions[0].clone())],
            host: HOST.to_owned(),
            fingerprint,
        })
    }

    /// Deletes keys of a user that a run left behind which died. Whether there was one.
    async fn sweep(&self, user: &str) -> Result<bool, ProviderError> {
        let keys = self.keys(user).await?;
        let before = self.wire.now() - STALE;
        let mut swept = false;
        for (id, _) in keys.iter().filter(|(_, made)| made.is_some_and(|made| made < before)) {
            self.delete_key(user, id).await?;
            swept = true;
        }
        Ok(swept)
    }

    /// Ids of a user's keys, each with the time of its making.
    async fn keys(&self, user: &str) -> Result<Vec<(String, Option<OffsetDateTime>)>, ProviderError> {
        match self.iam(&[("Action", "ListAccessKeys"), ("UserName", user)]).await? {
            Ok(answer) => Ok(elements(&answer, "member")
                .filter_map(|member| Some((element(member, "AccessKeyId")?, element(member, "CreateDate").and_then(|text| moment(&text)))))
                .collect()),
            Err(fault) if fault.is("NoSuchEntity") => Ok(Vec::new()),
            Err(fault) => Err(self.failure("list the keys of a user", &fault)),
        }
    }

    async fn delete_key(&self, user: &str, id: &str) -> Result<(), ProviderError> {
        match self.iam(&[("Action", "DeleteAccessKey"), ("UserName", user), ("AccessKeyId", id)]).await? {
            Ok(_) => Ok(()),
            Err(fault) if fault.is("NoSuchEntity") => Ok(()),
            Err(fault) => Err(self.failure("delete a key", &fault)),
        }
    }

    fn known(&self, token: &Honeytoken) -> Result<(String, String), ProviderError> {
        let user = token.handle("user").map(|user| user.expose().to_owned());
        user.zip(key_id(token)).ok_or_else(|| self.wire.refused("the ledger has no user of this token, so that it cannot be found there", ""))
    }

    async fn silence(&self, token: &Honeytoken) -> Result<(), ProviderError> {
        let (user, id) = self.known(token)?;
        match self.iam(&[("Action", "UpdateAccessKey"), ("UserName", &user), ("AccessKeyId", &id), ("Status", "Inactive")]).await? {
            Ok(_) => Ok(()),
            Err(fault) if fault.is("NoSuchEntity") => Ok(()),
            Err(fault) => Err(self.failure("disable a key", &fault)),
        }
    }

    /// The key, and the user if it has no other: another job may have made one for the same place.
    async fn end(&self, token: &Honeytoken) -> Result<(), ProviderError> {
        let (user, id) = self.known(token)?;
        self.delete_key(&user, &id).await?;
        if !self.keys(&user).await?.is_empty() {
            return Ok(());
        }
        match self.iam(&[("Action", "DeleteUser"), ("UserName", &user)]).await? {
            Ok(_) => Ok(()),
            Err(fault) if fault.is("NoSuchEntity") || fault.is("DeleteConflict") => Ok(()),
            Err(fault) => Err(self.failure("delete a user", &fault)),
        }
    }

    async fn uses(&self, tokens: &[Honeytoken], since: Option<&str>) -> Result<Poll, ProviderError> {
        let began = self.wire.now();
        let since = since.and_then(moment).map(|since| since - OVERLAP);
        let mut poll = Poll::default();
        let mut last: BTreeMap<String, LastUse> = BTreeMap::new();
        for token in tokens {
            let (_, id) = self.known(token)?;
            match self.last_use(&id).await? {
                Seen::Used(used) => _ = last.insert(id, used),
                Seen::Never => {}
                Seen::Gone => {
                    poll.notes.push(format!(
                        "honeytoken {} is gone from the account: its bait triggers nothing; `honeycrate token revoke` notes it",
                        token.fingerprint
                    ));
                }
            }
        }
        // A use that is older than the last poll may have an event that was not there then.
        let from = |id: &str| Some(since?.min(last.get(id).map_or(since?, |used| used.at - OVERLAP)));
        let ids: Vec<(String, Option<OffsetDateTime>)> = tokens
            .iter()
            .filter_map(key_id)
            .map(|id| {
                let from = from(&id);
                (id, from)
            })
            .collect();
        let found = try_join_all(self.regions.iter().map(|region| self.events(region, &ids))).await?;
        let mut events: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
        for (region, cut) in found {
            for (id, event) in region {
                events.entry(id).or_default().push(event);
            }
            poll.notes.extend(cut);
        }
        for token in tokens {
            let Some(id) = key_id(token) else { continue };
            let told = events.remove(&id).unwrap_or_default();
            if let Some(used) = last.get(&id) {
                let close = |event: &Recorded| moment(&event.event_time).is_some_and(|at| (at - used.at).abs() <= SILENT);
                if !told.iter().any(close) && began - used.at > SILENT {
                    poll.triggers.push(silent(token, &id, used));
                }
                if used.region.contains('-') && !self.regions.contains(&used.region) {
                    poll.notes.push(format!(
                        "honeytoken {} was used in {}, whose trail is not read: add it to `providers.aws.regions`",
                        token.fingerprint,
                        plain(&used.region)
                    ));
                }
            }
            poll.triggers.extend(told.iter().map(|event| trigger(token, event)));
        }
        poll.next = began.format(&Rfc3339).ok();
        Ok(poll)
    }

    /// The events of these keys in one region's trail.
    async fn events(&self, region: &str, ids: &[(String, Option<OffsetDateTime>)]) -> Result<(Vec<(String, Recorded)>, Vec<String>), ProviderError> {
        let (mut events, mut notes) = (Vec::new(), Vec::new());
        for (id, from) in ids {
            let mut next: Option<String> = None;
            for page in 0.. {
                let mut body = json!({
                    "LookupAttributes": [{ "AttributeKey": "AccessKeyId", "AttributeValue": id }],
                    "MaxResults": PAGE,
                });
                if let Some(from) = from {
                    body["StartTime"] = from.unix_timestamp().into();
                }
                if let Some(next) = &next {
                    body["NextToken"] = next.as_str().into();
                }
                let answer = self.lookup(region, &body).await?;
                tokio::time::sleep(PACE).await;
                for event in answer["Events"].as_array().into_iter().flatten() {
                    match event["CloudTrailEvent"].as_str().and_then(|text| serde_json::from_str::<Recorded>(text).ok()) {
                        Some(event) => events.push((id.clone(), event)),
                        None => notes.push(format!("an event in the trail of {region} could not be read, and is not told")),
                    }
                }
                next = answer["NextToken"].as_str().map(str::to_owned);
                if next.is_none() {
                    break;
                }
                if page + 1 == MAX_PAGES {
                    notes.push(format!("a token has more events in {region} than are read at once: older ones were not looked at"));
                    break;
                }
            }
        }
        Ok((events, notes))
    }

    async fn lookup(&self, region: &str, body: &Value) -> Result<Value, ProviderError> {
        let signer = self.signer.as_ref().ok_or_else(not_set)?;
        let (url, signed_for) = self
            .endpoint
            .of("cloudtrail", region)
            .ok_or_else(|| self.wire.refused(&format!("there is no address for CloudTrail in {region}"), ""))?;
        let body = body.to_string();
        let headers =
            [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")];
        let make = |now| {
            let scope = Scope { region: &signed_for, service: "cloudtrail" };
            Request {
                method: Method::POST,
                url: url.clone(),
                headers: signer.headers(("POST", &url, &body), &headers, scope, now),
                body: Some(body.clone()),
            }
        };
        let answer = self.wire.send(&make, passes).await?;
        if answer.status != 200 {
            return Err(self.failure(&format!("read the trail of {region}"), &fault(&answer)));
        }
        serde_json::from_slice(&answer.body).map_err(|_| self.wire.refused(&format!("the trail of {region} is told in no JSON"), ""))
    }

    async fn last_use(&self, id: &str) -> Result<Seen, ProviderError> {
        match self.iam(&[("Action", "GetAccessKeyLastUsed"), ("AccessKeyId", id)]).await? {
            Ok(answer) => {
                let of = |name| element(&answer, name).unwrap_or_default();
                let used = moment(&of("LastUsedDate")).map(|at| LastUse { at, region: of("Region"), service: of("ServiceName") });
                Ok(used.map_or(Seen::Never, Seen::Used))
            }
            // Keys that are gone are answered so, or as none of this account.
            Err(fault) if fault.is("NoSuchEntity") => Ok(Seen::Gone),
            Err(fault) => Err(self.failure("read when a key was used", &fault)),
        }
    }

    async fn look(&self) -> Result<Vec<Checked>, ProviderError> {
        let checked = |what: &str, passed, detail: String| Checked { what: what.to_owned(), passed, detail };
        let mut all = Vec::new();
        match self.call("sts", &[("Action", "GetCallerIdentity")]).await? {
            Ok(answer) => {
                let of = |name| element(&answer, name).map(|text| plain(&text)).unwrap_or_default();
                all.push(checked("key", Some(true), format!("is {} of account {}", of("Arn"), of("Account"))));
            }
            Err(fault) => return Err(self.failure("tell whose key it is", &fault)),
        }
        match self.iam(&[("Action", "GetAccountSummary")]).await? {
            Ok(answer) => {
                let mut numbers =
                    elements(&answer, "entry").filter_map(|entry| Some((element(entry, "key")?, element(entry, "value")?.parse::<u64>().ok()?)));
                let numbers: BTreeMap<String, u64> = numbers.by_ref().collect();
                match (numbers.get("Users"), numbers.get("UsersQuota")) {
                    (Some(users), Some(quota)) => all.push(checked("quota", Some(users < quota), format!("{users} of {quota} users"))),
                    _ => all.push(checked("quota", None, "the account does not tell how many users it may have".to_owned())),
                }
            }
            Err(fault) if fault.is_denied() => {
                all.push(checked("quota", None, "the key may not read the account's numbers (iam:GetAccountSummary)".to_owned()))
            }
            Err(fault) => all.push(checked("quota", None, fault.to_string())),
        }
        // A user that does not exist: who may not even ask is told so before that is noticed.
        let nobody = "honeycrate-does-not-exist";
        for (right, parameters) in [
            ("iam:ListAccessKeys", vec![("Action", "ListAccessKeys"), ("UserName", nobody)]),
            ("iam:DeleteUser", vec![("Action", "DeleteUser"), ("UserName", nobody)]),
            ("iam:CreateAccessKey", vec![("Action", "CreateAccessKey"), ("UserName", nobody)]),
        ] {
            match self.iam(&parameters).await? {
                Err(fault) if fault.is("NoSuchEntity") => all.push(checked(right, Some(true), "allowed".to_owned())),
                Err(fault) if fault.is_denied() => all.push(checked(right, Some(false), fault.to_string())),
                Err(fault) => all.push(checked(right, None, fault.to_string())),
                Ok(_) => all.push(checked(right, None, "the account has a user with a name that none should have".to_owned())),
            }
        }
        all.push(checked("iam:CreateUser", None, "cannot be tried without making one".to_owned()));
        for region in &self.regions {
            let what = format!("cloudtrail:LookupEvents in {region}");
            match self.lookup(region, &json!({ "MaxResults": 1 })).await {
                Ok(_) => all.push(checked(&what, Some(true), "allowed".to_owned())),
                Err(error) => all.push(checked(&what, Some(false), error.to_string())),
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(all)
    }
}

/// What IAM says of a key.
enum Seen {
    Used(LastUse),
    Never,
    Gone,
}

impl Provider for Aws {
    fn id(&self) -> &'static str {
        ROW.id
    }

    fn kinds(&self) -> Vec<(&'static str, String)> {
        vec![(KIND, HOST.to_owned())]
    }

    fn ready(&self) -> Result<(), ProviderError> {
        self.signer.as_ref().map(|_| ()).ok_or_else(not_set)
    }

    /// A secret is shown once, so that nothing is found again: what the ledger does not have is made anew.
    fn mint<'a>(&'a self, claims: &'a Claims, _: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>> {
        self.make(claims).boxed()
    }

    fn poll<'a>(&'a self, tokens: &'a [Honeytoken], since: Option<&'a str>) -> BoxFuture<'a, Result<Poll, ProviderError>> {
        self.uses(tokens, since).boxed()
    }

    fn disable<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.silence(token).boxed()
    }

    fn revoke<'a>(&'a self, token: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.end(token).boxed()
    }

    fn exercise<'a>(&'a self, token: &'a Honeytoken, mark: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        exercise(&self.wire, (&self.endpoint, &self.regions[0]), token, mark).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<Checked>, ProviderError>> {
        self.look().boxed()
    }
}

fn not_set() -> ProviderError {
    let hint =
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN for a role, as aws-actions/configure-aws-credentials does".to_owned();
    ProviderError::NotSet { provider: ROW.id, what: "its key".to_owned(), hint }
}

fn key_id(token: &Honeytoken) -> Option<String> {
    token.fields.iter().find(|(name, _)| name == "access_key_id").map(|(_, value)| value.expose().to_owned())
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

fn stamp(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

fn use_of(token: &Honeytoken, id: &str, time: String, request: String) -> Trigger {
    Trigger {
        id: Digest::of(format!("{}\0{id}", ROW.id).as_bytes()).hex()[..32].to_owned(),
        time,
        fingerprint: token.fingerprint.clone(),
        claims: token.claims.clone(),
        face: ROW.id.to_owned(),
        address: String::new(),
        user_agent: None,
        request,
        drill: None,
    }
}

fn trigger(token: &Honeytoken, event: &Recorded) -> Trigger {
    let time = moment(&event.event_time).map_or_else(|| plain(&event.event_time), stamp);
    let region = event.aws_region.as_deref().map(|region| format!(" in {region}")).unwrap_or_default();
    let refused = event.error_code.as_deref().map(|code| format!(", which was refused ({code})")).unwrap_or_default();
    let request = plain(&format!("{} of {}{region}{refused}", event.event_name, event.event_source));
    Trigger {
        address: event.address.as_deref().map_or_else(|| "an unknown address".to_owned(), plain),
        user_agent: event.user_agent.as_deref().map(plain),
        ..use_of(token, &event.id, time, request)
    }
}

/// A use that IAM knows of and the trail does not: nobody knows from where.
fn silent(token: &Honeytoken, key_id: &str, used: &LastUse) -> Trigger {
    let request =
        format!("a call of {} in {} that left no event in the trail: seen by the key's last use alone", plain(&used.service), plain(&used.region));
    let id = format!("last use\0{key_id}\0{}\0{}", used.at.unix_timestamp(), used.service);
    Trigger { address: "an unknown address".to_owned(), ..use_of(token, &id, stamp(used.at), request) }
}
