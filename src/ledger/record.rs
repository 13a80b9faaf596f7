//! Records: what the ledger remembers, one line each, every one naming the hash of the one before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bait::claims::Claims;
use crate::bait::placement::Placement;
use crate::bait::trigger::Trigger;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::{Fingerprint, FingerprintSet};

/// The version of the record format. A reader refuses a higher one and understands every lower one.
pub const VERSION: u32 = 3;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The lowest that has this event, see [`Event::version`].
    pub version: u32,
    /// 1 is the first; no gaps.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// One `ship` or `plant`: the records of one run share it.
    pub run: String,
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 of the record before, all zeros for the first.
    pub previous: String,
    /// SHA-256 of this record's canonical JSON without this member.
    pub hash: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run is about to mint these tokens: durable before the first is minted.
    Intended { claims: Vec<Claims>, source: String, source_digest: Digest },
    /// A token exists. `sealed` is its value under the owner's key, base64; never in clear.
    Minted {
        claims: Claims,
        provider: String,
        fingerprint: Fingerprint,
        host: String,
        sealed: String,
        /// Of a token that does not tell itself: [`Fingerprint::of_token`] of its values under the oldest key, so that they are known again where
        /// they are found. Since format 3.
        #[serde(skip_serializing_if = "is_empty", default)]
        values: FingerprintSet,
    },
    /// A bait is in a manifest, which has not left yet: durable before that manifest is pushed.
    Planted { placement: Placement, manifest: Digest },
    /// An image arrived and was read back.
    Pushed { reference: String, digest: Digest, platforms: BTreeMap<String, Digest>, context: Context },
    /// A run ended before its image arrived; its tokens are in no registry, as far as is known.
    Failed { stage: String, reason: String },
    /// Somebody used a token.
    Triggered { trigger: Box<Trigger> },
    /// Leaked secrets that no image before had, as far as the ledger knew: in one that was pushed, or in one that was denied and never left.
    /// Since format 2.
    Found {
        /// Of what was pushed, or of the source that was denied.
        image: Digest,
        reference: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        environment: Option<String>,
        pushed: bool,
        /// Under the owner's key; of more than [`MAX_SECRETS`] the gravest.
        secrets: FingerprintSet,
        /// How many more there were.
        #[serde(skip_serializing_if = "is_zero", default)]
        untold: u64,
        context: Context,
    },
    /// The next image of this place gets a token of another edition. The old one stays armed: a trigger on it dates the theft. Since format 3.
    Rotated { claims: Claims, fingerprint: Fingerprint, edition: String, reason: String },
    /// No image shall carry it any more, as far as its owner knows. Its use is still a trigger. Since format 3.
    Retired { claims: Claims, fingerprint: Fingerprint, reason: String },
    /// Its provider no longer answers for it: it is disarmed. Since format 3.
    Revoked { claims: Claims, fingerprint: Fingerprint, provider: String, reason: String },
    /// Somebody is about to use a token on purpose. Since format 3.
    DrillBegun { drill: Box<Drill> },
    /// How that ended. Since format 3.
    DrillEnded {
        id: String,
        fingerprint: Fingerprint,
        passed: bool,
        /// From the use of the token to its alert with the last sink, in milliseconds; to where it got, where it did not.
        milliseconds: u64,
        detail: String,
    },
}

/// An announced use of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub id: String,
    pub claims: Claims,
    pub fingerprint: Fingerprint,
    /// From where the token is used, as its owner says.
    pub place: String,
    /// SHA-256 of the mark that its request bears, in hexadecimal digits: who reads this cannot make another.
    pub mark: String,
    /// RFC 3339, UTC. Later uses are real.
    pub until: String,
}

/// Secrets that one record names. It is 160 kB long then.
pub const MAX_SECRETS: usize = 10_000;

impl Event {
    /// The first version of the record format that has it. A ledger stays readable to older programs until something new happens in it.
    #[must_use]
    pub fn version(&self) -> u32 {
        let later = |claims: &Claims| !claims.edition.is_empty();
        match self {
            Self::Failed { .. } | Self::Pushed { .. } => 1,
            Self::Found { .. } => 2,
            Self::Intended { claims, .. } if !claims.iter().any(later) => 1,
            Self::Minted { claims, values, .. } if values.is_empty() && !later(claims) => 1,
            Self::Planted { placement, .. } if !later(&placement.claims) => 1,
            Self::Triggered { trigger } if trigger.drill.is_none() && !later(&trigger.claims) => 1,
            _ => 3,
        }
    }
}

fn is_empty(fingerprints: &FingerprintSet) -> bool {
    fingerprints.is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the CI job said of the build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Context {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repository: Option<String>,
    /// A link to the job that built and shipped the image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<String>,
}

/// Events for the tests of this room and the rooms above.
#[cfg(test)]
pub(crate) mod samples {
    use crate::bait::surfaces::Surface;
    use crate::bait::trigger::Trigger;
    use crate::ledger::record::{BTreeMap, Claims, Context, Digest, Drill, Event, Fingerprint, FingerprintSet, Placement};

    pub(crate) fn claims(service: &str, environment: &str) -> Claims {
        Claims {
            service: service.to_owned(),
            environment: environment.to_owned(),
            surface: Surface::Buried,
            kind: "registry-login".to_owned(),
            epoch: 1,
            edition: String::new(),
        }
    }

    pub(crate) fn fingerprint(service: &str, environment: &str) -> Fingerprint {
        Digest::of(format!("{service}/{environment}").as_bytes()).hex()[..16].parse().expect("16 digits")
    }

    pub(crate) fn trigger(service: &str, environment: &str) -> Trigger {
        Trigger {
            id: Digest::of(format!("trigger of {service}/{environment}").as_bytes()).hex()[..32].to_owned(),
            time: "2026-11-22T03:00:00Z".to_owned(),
            fingerprint: fingerprint(service, environment),
            claims: claims(service, environment),
            face: "registry".to_owned(),
            address: "192.0.2.7".to_owned(),
            user_agent: Some("curl/8.5 \"quoted\" \u{1f41d}".to_owned()),
            request: "GET /token".to_owned(),
            drill: None,
        }
    }

    /// Secrets, in an image that was pushed or denied.
    pub(crate) fn found(image: &str, pushed: bool, secrets: &[Fingerprint]) -> Event {
        Event::Found {
            image: Digest::of(image.as_bytes()),
            reference: format!("ghcr.io/acme/{image}"),
            environment: Some("production".to_owned()),
            pushed,
            secrets: secrets.iter().cloned().collect(),
            untold: 0,
            context: Context { commit: Some("4f2a91c07d".to_owned()), ..Context::default() },
        }
    }

    /// What comes after: a drill, a vendor's token in the place of the first, and the end of both.
    pub(crate) fn later_life(service: &str, environment: &str) -> Vec<Event> {
        let (claims, first) = (claims(service, environment), fingerprint(service, environment));
        let second = fingerprint(service, "second");
        let next = Claims { edition: "2".to_owned(), ..claims.clone() };
        let drill = Drill {
            id: "drill-1".to_owned(),
            claims: claims.clone(),
            fingerprint: first.clone(),
            place: "laptop".to_owned(),
            mark: Digest::of(b"mark").hex().to_owned(),
            until: "2026-11-22T05:00:00Z".to_owned(),
        };
        let used = Trigger { id: "d".repeat(32), drill: Some(drill.id.clone()), ..trigger(service, environment) };
        let ended =
            Event::DrillEnded { id: drill.id.clone(), fingerprint: first.clone(), passed: true, milliseconds: 41, detail: "2 sinks".to_owned() };
        vec![
            Event::DrillBegun { drill: Box::new(drill) },
            Event::Triggered { trigger: Box::new(used) },
            ended,
            Event::Rotated { claims: claims.clone(), fingerprint: first.clone(), edition: "2".to_owned(), reason: "quarterly".to_owned() },
            Event::Minted {
                claims: next.clone(),
                provider: "vendor".to_owned(),
                fingerprint: second.clone(),
                host: "sts.example.net".to_owned(),
                sealed: "c2VhbGVk".to_owned(),
                values: [fingerprint("value", "1"), fingerprint("value", "2")].into_iter().collect(),
            },
            Event::Retired { claims, fingerprint: first, reason: "image deleted".to_owned() },
            Event::Revoked { claims: next, fingerprint: second, provider: "vendor".to_owned(), reason: "no longer needed".to_owned() },
        ]
    }

    /// One token from intent to trigger, in an image for two platforms.
    pub(crate) fn life(service: &str, environment: &str) -> Vec<Event> {
        let claims = claims(service, environment);
        let fingerprint = fingerprint(service, environment);
        let manifest = |platform: &str| Digest::of(format!("{service}/{environment}/{platform}").as_bytes());
        let planted = |platform: &str| Event::Planted {
            placement: Placement {
                id: format!("placement-{platform}"),
                claims: claims.clone(),
                platform: platform.to_owned(),
                location: "/srv/app/.registry-auth.json".to_owned(),
                fingerprint: fingerprint.clone(),
            },
            manifest: manifest(platform),
        };
        let platforms = ["linux/amd64", "linux/arm64"];
        vec![
            Event::Intended { claims: vec![claims.clone()], source: format!("oci:{service}"), source_digest: Digest::of(b"source") },
            Event::Minted {
                claims: claims.clone(),
                provider: "embedded".to_owned(),
                fingerprint: fingerprint.clone(),
                host: "registry.example.net".to_owned(),
                sealed: "c2VhbGVk".to_owned(),
                values: FingerprintSet::default(),
            },
            planted(platforms[0]),
            planted(platforms[1]),
            Event::Pushed {
                reference: format!("ghcr.io/acme/{service}:{environment}"),
                digest: manifest("index"),
                platforms: BTreeMap::from(platforms.map(|platform| (platform.to_owned(), manifest(platform)))),
                context: Context {
                    commit: Some("0f4c1e7".to_owned()),
                    repository: Some("acme/shop".to_owned()),
                    job: Some("https://ci.example.net/jobs/7".to_owned()),
                },
            },
            Event::Triggered { trigger: Box::new(trigger(service, environment)) },
        ]
    }
}
