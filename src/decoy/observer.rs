//! Turns what is presented into triggers: one for each visit with a honeytoken.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::sync::mpsc::UnboundedSender;

use crate::bait::claims::Claims;
use crate::bait::trigger::Trigger;
use crate::decoy::credentials::Presented;
use crate::decoy::gate::network;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::Fingerprint;

/// One login is several requests: uses of the same token from the same address (IPv6: the same /64) within this time are one trigger.
const VISIT: Duration = Duration::seconds(60);
/// Visits remembered at once.
const MOST_VISITS: usize = 16 * 1024;
/// Longest text of a visitor that a trigger repeats, characters.
const LONGEST: usize = 300;

/// What the owner's keys say of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    pub claims: Claims,
    pub fingerprint: Fingerprint,
}

/// Opens a value that may be a honeytoken. The decoy itself knows no key.
pub type Recogniser = Arc<dyn Fn(&str) -> Option<Recognised> + Send + Sync>;

/// Asks for the drill that announced the use of a token by a visitor who says this of itself.
pub type Announced = Arc<dyn Fn(&Fingerprint, &str) -> Option<String> + Send + Sync>;

/// The time, UTC.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// What one request presents.
pub struct Observation {
    /// The face that answers it.
    pub face: &'static str,
    pub address: IpAddr,
    pub user_agent: Option<String>,
    /// What is asked for.
    pub request: String,
    pub presented: Vec<Presented>,
}

/// How much a decoy has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub requests: u64,
    /// Requests with a honeytoken.
    pub uses: u64,
    /// Of these, the ones that began a visit and so were told.
    pub triggers: u64,
    /// Requests with credentials that are not ours. What they were is kept nowhere.
    pub strangers: u64,
    /// Connections turned away because there were too many.
    pub refused: u64,
}

/// Whose visit it is. A drill is one of its own: it neither hides another of the same token and address nor goes on with it.
type Visit = (Fingerprint, IpAddr, Option<String>);

/// Recognises, counts and tells.
pub struct Observer {
    recognise: Recogniser,
    announced: Announced,
    clock: Clock,
    /// Unbounded, because a trigger must not be dropped; visits bound it.
    triggers: UnboundedSender<Trigger>,
    visits: Mutex<HashMap<Visit, OffsetDateTime>>,
    requests: AtomicU64,
    uses: AtomicU64,
    told: AtomicU64,
    strangers: AtomicU64,
    refused: AtomicU64,
}

impl Observer {
    #[must_use]
    pub fn new(recognise: Recogniser, announced: Announced, clock: Clock, triggers: UnboundedSender<Trigger>) -> Self {
        let count = || AtomicU64::new(0);
        let visits = Mutex::default();
        Self { recognise, announced, clock, triggers, visits, requests: count(), uses: count(), told: count(), strangers: count(), refused: count() }
    }

    /// Whether a honeytoken is among what is presented. Counts and tells nothing.
    #[must_use]
    pub fn knows(&self, observation: &Observation) -> bool {
        observation.presented.iter().any(|presented| (self.recognise)(presented.value.expose()).is_some())
    }

    /// Looks at one request, and tells of the honeytokens in it. The first of them comes back.
    pub fn observe(&self, observation: &Observation) -> Option<Fingerprint> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut recognised: Vec<Recognised> = Vec::new();
        for presented in &observation.presented {
            if let Some(token) = (self.recognise)(presented.value.expose())
                && !recognised.contains(&token)
            {
                recognised.push(token);
            }
        }
        let Some(first) = recognised.first().map(|token| token.fingerprint.clone()) else {
            if observation.presented.iter().any(|presented| !presented.incidental) {
                self.strangers.fetch_add(1, Ordering::Relaxed);
            }
            return None;
        };
        self.uses.fetch_add(1, Ordering::Relaxed);
        let now = (self.clock)();
        for token in recognised {
            let drill = observation.user_agent.as_ref().and_then(|agent| (self.announced)(&token.fingerprint, agent));
            if self.begins_visit(&token.fingerprint, observation.address, drill.clone(), now) {
                self.told.fetch_add(1, Ordering::Relaxed);
                // Nobody listens any more only while the process ends.
                let _ = self.triggers.send(self.trigger(token, observation, drill, now));
            }
        }
        Some(first)
    }

    /// Counts a connection that was turned away.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            requests: read(&self.requests),
            uses: read(&self.uses),
            triggers: read(&self.told),
            strangers: read(&self.strangers),
            refused: read(&self.refused),
        }
    }

    fn begins_visit(&self, token: &Fingerprint, address: IpAddr, drill: Option<String>, now: OffsetDateTime) -> bool {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        // A customer of IPv6 has addresses without end, and is one visitor.
        let key = (token.clone(), network(address), drill);
        if visits.get(&key).is_some_and(|began| (now - *began).abs() < VISIT) {
            return false;
        }
        if visits.len() >= MOST_VISITS {
            visits.retain(|_, began| (now - *began).abs() < VISIT);
        }
        if visits.len() >= MOST_VISITS {
            visits.clear();
        }
        visits.insert(key, now);
        true
    }

    fn trigger(&self, token: Recognised, observation: &Observation, drill: Option<String>, now: OffsetDateTime) -> Trigger {
        let time = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
        let address = observation.address.to_canonical().to_string();
        let request = self.printable(&observation.request, &observation.presented);
        let user_agent = observation.user_agent.as_ref().map(|agent| self.printable(agent, &observation.presented));
        let mut identity = vec!["honeycrate/trigger/v1", token.fingerprint.as_str(), &time, &address, observation.face, &request];
        // A drill in the same second as a thief is another use.
        identity.extend(drill.as_deref());
        let id = Digest::of(identity.join("\0").as_bytes()).hex()[..32].to_owned();
        Trigger {
            id,
            time,
            fingerprint: token.fingerprint,
            claims: token.claims,
            face: observation.face.to_owned(),
            address,
            user_agent,
            request,
            drill,
        }
    }

    /// A visitor's text without credentials and control characters, cut to a length that fits an alert.
    fn printable(&self, text: &str, presented: &[Presented]) -> String {
        let mut text = text.to_owned();
        for presented in presented {
            let value = presented.value.expose();
            if (!presented.incidental && value.len() >= 8) || (self.recognise)(value).is_some() {
                text = text.replace(value, "***");
            }
        }
        text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).take(LONGEST).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::surfaces::Surface;
    use crate::secret::value::Secret;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    fn recogniser() -> Recogniser {
        Arc::new(|value| {
            let claims = Claims {
                service: "shop".to_owned(),
                environment: "production".to_owned(),
                surface: Surface::History,
                kind: "registry-login".to_owned(),
                epoch: 1,
                edition: String::new(),
            };
            let fingerprint = Digest::of(value.as_bytes()).hex()[..16].parse().expect("16 digits");
            value.starts_with("bait").then_some(Recognised { claims, fingerprint })
        })
    }

    fn observer(seconds: &'static AtomicU64) -> (Observer, UnboundedReceiver<Trigger>) {
        let (sender, receiver) = unbounded_channel();
        let clock = Arc::new(|| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds.load(Ordering::Relaxed).cast_signed()));
        (Observer::new(recogniser(), Arc::new(|_, _| None), clock, sender), receiver)
    }

    fn observation(address: &str, request: &str, values: &[&str]) -> Observation {
        let presented = values.iter().map(|value| Presented { value: Secret::new((*value).to_owned()), incidental: false }).collect();
        let address = address.parse().expect("an address");
        Observation { face: "site", address, user_agent: Some("curl/8\u{7}".to_owned()), request: request.to_owned(), presented }
    }

    #[test]
    fn the_requests_of_one_visit_are_one_trigger() {
        static NOW: AtomicU64 = AtomicU64::new(1000);
        let (observer, mut triggers) = observer(&NOW);
        let mut visit = |address: &str, after: u64| {
            NOW.store(1000 + after, Ordering::Relaxed);
            assert!(observer.observe(&observation(address, "GET /", &["bait-one"])).is_some());
            triggers.try_recv().is_ok()
        };
        assert!(visit("192.0.2.1", 0));
        assert!(!visit("192.0.2.1", 59));
        assert!(visit("192.0.2.2", 59));
        assert!(visit("192.0.2.1", 60));
        assert!(visit("2001:db8::1", 60));
        assert!(!visit("2001:db8::2", 60), "one customer of IPv6 is one visitor");
        assert_eq!(observer.counts(), Counts { requests: 6, uses: 6, triggers: 4, ..Counts::default() });
    }

    #[test]
    fn a_drill_neither_hides_a_thief_at_the_same_address_nor_is_hidden_by_one() {
        let (sender, mut triggers) = unbounded_channel();
        let announced: Announced = Arc::new(|_, agent| agent.contains("(mark)").then(|| "drill-1".to_owned()));
        let observer = Observer::new(recogniser(), announced, Arc::new(|| OffsetDateTime::UNIX_EPOCH), sender);
        let mut uses = |agent: &str| {
            let asked = Observation { user_agent: Some(agent.to_owned()), ..observation("192.0.2.1", "GET /", &["bait-one"]) };
            observer.observe(&asked);
            triggers.try_recv().ok().map(|trigger| (trigger.drill, trigger.id))
        };
        let drill = uses("curl/8.14.1 (mark)").expect("told");
        let thief = uses("curl/8.14.1").expect("told");
        assert_eq!((drill.0.as_deref(), thief.0.as_deref()), (Some("drill-1"), None));
        assert_ne!(drill.1, thief.1);
        assert_eq!((uses("curl/8.14.1 (mark)"), uses("curl/8.14.1")), (None, None));
    }

    #[test]
    fn strangers_are_counted_and_never_told() {
        static NOW: AtomicU64 = AtomicU64::new(1000);
        let (observer, mut triggers) = observer(&NOW);
        assert_eq!(observer.observe(&observation("192.0.2.1", "GET /", &["hunter2!"])), None);
        assert_eq!(observer.observe(&observation("192.0.2.1", "GET /", &[])), None);
        assert!(triggers.try_recv().is_err());
        assert_eq!(observer.counts(), Counts { requests: 2, strangers: 1, ..Counts::default() });
    }

    #[test]
    fn a_trigger_repeats_no_credential_and_no_control_character() {
        static NOW: AtomicU64 = AtomicU64::new(1000);
        let (observer, mut triggers) = observer(&NOW);
        let request = format!("GET /hook/bait-one/password1\n{}", "x".repeat(1000));
        observer.observe(&observation("::ffff:192.0.2.1", &request, &["bait-one", "password1"]));
        let trigger = triggers.try_recv().expect("told");
        assert!(trigger.request.starts_with("GET /hook/***/***\u{fffd}xxx"));
        assert_eq!(trigger.request.chars().count(), LONGEST);
        assert_eq!(trigger.user_agent.as_deref(), Some("curl/8\u{fffd}"));
        assert_eq!(trigger.address, "192.0.2.1");
        assert_eq!(trigger.time, "1970-01-01T00:16:40Z");
        assert_eq!(trigger.id.len(), 32);
    }

    #[test]
    fn two_tokens_in_one_request_are_two_triggers() {
        static NOW: AtomicU64 = AtomicU64::new(1000);
        let (observer, mut triggers) = observer(&NOW);
        observer.observe(&observation("192.0.2.1", "GET /", &["bait-one", "bait-two", "bait-one"]));
        let (one, two) = (triggers.try_recv().expect("first"), triggers.try_recv().expect("second"));
        assert_ne!(one.id, two.id);
        assert!(triggers.try_recv().is_err());
    }
}
