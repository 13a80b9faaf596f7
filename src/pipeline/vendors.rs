//! The way to vendors: what is kept to ask with, the one request about each credential, and what the answer says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::Response;
use url::Url;

use crate::net::client::{HttpClient, Purpose};
use crate::pipeline::clock;
use crate::scan::finding::{Confidence, Finding, Severity};
use crate::scan::found::Found;
use crate::scan::rule::Rule;
use crate::scan::rule_set::RuleSet;
use crate::scan::validation::{Method, Question, Validation};
use crate::scan::validity::{Validity, ValidityState};
use crate::scan::vendor_request::{Meaning, VendorRequest};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::value::Secret;

/// Values that are kept of one run: a hostile image has as many as it likes.
const MAX_KEPT: usize = 1_000;
/// From the first byte sent to the last byte read.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a run asks, all in all.
const BUDGET: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read, where it is read at all.
const MAX_ANSWER: usize = 64 << 10;

/// Whether vendors are asked.
#[derive(Clone, Default)]
pub enum Asking {
    #[default]
    Off,
    /// Somebody wants it, and this run may not, for this reason.
    Refused(String),
    On(Arc<Vendors>),
}

/// The way to vendors, and the values to ask with. They are wiped with it.
pub struct Vendors {
    http: HttpClient,
    kept: Mutex<BTreeMap<(String, Fingerprint), Kept>>,
}

/// The questions of one run: the hosts that get no more of them, and for how long there may be any.
pub struct Round {
    began: Instant,
    /// Why, as a phrase after the host's name.
    left_alone: Mutex<BTreeMap<String, &'static str>>,
}

struct Kept {
    secret: Secret,
    id: Option<Secret>,
}

impl Asking {
    /// Asks over this client.
    #[must_use]
    pub fn on(http: HttpClient) -> Self {
        Self::On(Arc::new(Vendors { http, kept: Mutex::default() }))
    }

    /// Whether values are wanted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }

    /// Keeps a credential that is nobody's bait that we know of, if its rule has a question for it.
    pub fn keep(&self, rules: &RuleSet, found: &Found<'_>) {
        let Self::On(vendors) = self else { return };
        if rules.get(found.rule).and_then(Rule::question).is_none() {
            return;
        }
        let name = (found.rule.to_owned(), found.fingerprint());
        let mut kept = vendors.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get_mut(&name) {
            known.id = known.id.take().or_else(|| found.id.cloned());
        } else if kept.len() < MAX_KEPT {
            kept.insert(name, Kept { secret: found.secret.clone(), id: found.id.cloned() });
        }
    }
}

/// The question for a secret of a rule, as far as what is known of it without its value allows one.
///
/// # Errors
/// Why nothing is asked, as a phrase.
pub fn question<'r>(
    rule: Option<&'r Rule>,
    severity: Severity,
    confidence: Confidence,
    proven_by: Option<&str>,
) -> Result<&'r Question, &'static str> {
    let rule = rule.ok_or("the rule that found it is not known here")?;
    if proven_by == Some("aws-canary") {
        return Err("it is of an account of published canaries, which tells its owner of every use");
    }
    let question = match &rule.validate {
        Some(Validation::Ask(question)) => question,
        Some(Validation::Honeytoken) => return Err("credentials of this kind are handed out as honeytokens, and asking would set one off"),
        None => return Err("its rule knows no question that changes nothing at the vendor"),
    };
    if confidence == Confidence::Low {
        return Err("its confidence is low: it may be no credential at all");
    }
    if severity < rule.severity {
        return Err("it counts as mild: a sample, an expired one, or none that its vendor gave out");
    }
    Ok(question)
}

impl Round {
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now(), left_alone: Mutex::default() }
    }

    fn leave_alone(&self, host: &str, why: &'static str) {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner).entry(host.to_owned()).or_insert(why);
    }

    /// How long an answer of this host is waited for when the round has gone on for so long; the error says why it is not asked, as a phrase.
    fn patience(&self, host: &str, gone: Duration) -> Result<Duration, String> {
        if let Some(why) = self.left_alone.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            return Err(format!("{host} {why}"));
        }
        match BUDGET.saturating_sub(gone) {
            Duration::ZERO => Err(format!("asking about others took {} seconds, and a run asks no longer", BUDGET.as_secs())),
            left => Ok(left.min(TIMEOUT)),
        }
    }
}

impl Vendors {
    /// The request about a finding.
    ///
    /// # Errors
    /// Why there is none, as a phrase.
    pub fn request<'r>(&self, rules: &'r RuleSet, finding: &Finding) -> Result<(VendorRequest, &'r Question), &'static str> {
        let Finding { severity, confidence, proven_by, fingerprint, unkeyed, .. } = finding;
        let question = question(rules.get(&finding.rule), *severity, *confidence, proven_by.as_deref())?;
        let name = (finding.rule.clone(), unkeyed.as_ref().unwrap_or(fingerprint).clone());
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { secret, id } = kept.get(&name).ok_or(if kept.len() < MAX_KEPT {
            "its value was not kept: it is no text"
        } else {
            "its value was not kept: a run keeps a thousand, and others came first"
        })?;
        Ok((question.about(secret.expose(), id.as_ref().map(Secret::expose))?, question))
    }

    /// Sends a request, once. A host that has had enough questions, or does not answer, gets no more of them in this round.
    pub async fn ask(&self, question: &Question, request: &VendorRequest, round: &Round) -> Validity {
        let unknown = |why: String| Validity { state: ValidityState::Unknown, why, at: Some(clock::timestamp()) };
        let Ok(url) = Url::parse(&request.url) else { return Validity::not_asked("it makes no address") };
        let host = url.host_str().unwrap_or_default();
        let patience = match round.patience(host, round.began.elapsed()) {
            Ok(patience) => patience,
            Err(why) => return Validity::not_asked(why),
        };
        // What the wire says of an error may hold the address, which may hold the credential.
        let answered = tokio::time::timeout(patience, self.send(question, request, &url)).await;
        let Heard { status, is_json, body } = match answered {
            Err(_) if patience < TIMEOUT => {
                return unknown(format!("{host} had not answered when the {} seconds were over that a run asks for", BUDGET.as_secs()));
            }
            Err(_) => {
                round.leave_alone(host, "did not answer another question");
                return unknown(format!("{host} did not answer within {} seconds", TIMEOUT.as_secs()));
            }
            Ok(Err(Trouble::Unreachable)) => {
                round.leave_alone(host, "could not be reached for another question");
                return unknown(format!("{host} cannot be reached"));
            }
            Ok(Err(Trouble::Broken)) => return unknown(format!("the answer of {host} broke off")),
            Ok(Err(Trouble::TooLong)) => return unknown(format!("the answer of {host} is longer than {} KiB", MAX_ANSWER >> 10)),
            Ok(Ok(answer)) => answer,
        };
        let said = format!("{host} answered {}", status.as_u16());
        let (state, why) = match question.meaning(status.as_u16(), is_json, &body) {
            Meaning::Live => (ValidityState::Live, format!("the vendor accepted it: {said}")),
            Meaning::Dead => (ValidityState::Dead, format!("the vendor refused it: {said}")),
            Meaning::Elsewhere => (ValidityState::Unknown, format!("{said}: it may be one for another server or region")),
            Meaning::Unforeseen if status == StatusCode::TOO_MANY_REQUESTS => {
                round.leave_alone(host, "has had enough questions (429)");
                (ValidityState::Unknown, format!("{said}: it has had enough questions"))
            }
            Meaning::Unforeseen if status.is_redirection() => (ValidityState::Unknown, format!("{said}, and nobody follows a redirect")),
            Meaning::Unforeseen if !is_json => (ValidityState::Unknown, format!("{said}, and not in JSON, as its interface would")),
            Meaning::Unforeseen => (ValidityState::Unknown, format!("{said}, which says neither")),
        };
        Validity { state, why, at: Some(clock::timestamp()) }
    }

    async fn send(&self, question: &Question, request: &VendorRequest, url: &Url) -> Result<Heard, Trouble> {
        let client = self.http.for_host(url, Purpose::Api).map_err(|_| Trouble::Unreachable)?;
        let mut builder = match request.method {
            Method::Get => client.get(url.clone()),
            Method::Post => client.post(url.clone()),
        };
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Trouble::Unreachable)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| Trouble::Unreachable)?;
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.header(http::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response: Response = builder.send().await.map_err(|_| Trouble::Unreachable)?;
        let mut body = Vec::new();
        if question.reads_body(response.status().as_u16()) {
            while let Some(chunk) = response.chunk().await.map_err(|_| Trouble::Broken)? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(Trouble::TooLong);
                }
                body.extend_from_slice(&chunk);
            }
        }
        let kind = response.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = kind.ends_with("/json") || kind.ends_with("+json");
        Ok(Heard { status: response.status(), is_json, body })
    }
}

/// An answer.
struct Heard {
    status: StatusCode,
    is_json: bool,
    /// Empty where it decides nothing.
    body: Vec<u8>,
}

/// Why there is no answer.
enum Trouble {
    Unreachable,
    Broken,
    TooLong,
}

impl fmt::Debug for Vendors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vendors(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::claims::Claims;
    use crate::bait::kinds::contract::Fields;
    use crate::bait::kinds::self_telling;
    use crate::bait::surfaces::Surface;
    use crate::net::client::NetSettings;
    use crate::provider::embedded::Embedded;
    use crate::scan::file_scan::scan_reader;
    use crate::scan::image_scan::ScanOptions;
    use crate::secret::key_ring::KeyRing;

    fn options() -> ScanOptions {
        ScanOptions { now: 0, threads: 1, limits: Default::default(), fingerprint_key: None }
    }

    #[test]
    fn what_may_be_bait_or_no_credential_at_all_has_no_question() {
        let rules = RuleSet::builtin();
        let ask = |rule: &str, severity, confidence, proven_by| question(rules.get(rule), severity, confidence, proven_by).map(|_| ());
        let (high, low) = (Severity::Critical, Severity::Low);
        assert_eq!(ask("stripe-live-key", high, Confidence::High, None), Ok(()));
        let refused = [
            (ask("stripe-live-key", high, Confidence::Low, None), "confidence"),
            (ask("stripe-live-key", low, Confidence::High, None), "mild"),
            (ask("aws-access-key-id", low, Confidence::High, Some("aws-canary")), "published canaries"),
            (ask("aws-key-pair", high, Confidence::High, None), "honeytokens"),
            (ask("npm-access-token", high, Confidence::High, Some("crc32-base62")), "honeytokens"),
            (ask("private-key", high, Confidence::High, None), "no question"),
            (ask("no-such-rule", high, Confidence::High, None), "not known"),
        ];
        for (answer, why) in refused {
            assert!(answer.is_err_and(|answer| answer.contains(why)), "{why}");
        }
    }

    #[test]
    fn no_kind_of_bait_that_we_mint_is_of_a_rule_that_asks() {
        let minter = Embedded::new(KeyRing::new([9; 32]), Some("decoy.example.org".parse().expect("a host")));
        let rules = RuleSet::builtin();
        for kind in self_telling() {
            let claims = Claims {
                service: "shop".to_owned(),
                environment: "prod".to_owned(),
                surface: Surface::File,
                kind: kind.id().to_owned(),
                epoch: 1,
                edition: String::new(),
            };
            let token = minter.mint_now(&claims, 1_780_000_000).expect("mints");
            let fields = Fields::of(&token);
            let variables = kind.variables(&fields).into_iter().map(|(name, value)| format!("\nAPP{name}={value}"));
            let text = kind.file_text(&fields) + &variables.collect::<String>();
            let scan = scan_reader("app/.env", &mut text.as_bytes(), rules, &|_| None, &options()).expect("readable");
            for finding in &scan.findings {
                assert!(rules.get(&finding.rule).is_some_and(|rule| rule.question().is_none()), "{}: {}", kind.id(), finding.rule);
            }
        }
    }

    #[test]
    fn a_host_that_keeps_silent_is_asked_no_more_and_a_round_ends() {
        let (round, start) = (Round::begin(), Duration::ZERO);
        assert_eq!(round.patience("a.example", start), Ok(TIMEOUT));
        round.leave_alone("a.example", "did not answer another question");
        round.leave_alone("a.example", "has had enough questions (429)");
        assert_eq!(round.patience("a.example", start), Err("a.example did not answer another question".to_owned()));
        assert_eq!(round.patience("b.example", start), Ok(TIMEOUT));
        assert_eq!(round.patience("b.example", BUDGET - Duration::from_secs(3)), Ok(Duration::from_secs(3)));
        for gone in [BUDGET, BUDGET * 2] {
            assert!(round.patience("b.example", gone).is_err_and(|why| why.contains("60 seconds")));
        }
    }

    #[test]
    fn only_values_with_a_question_are_kept_and_not_without_end() {
        let asking = Asking::on(HttpClient::new(NetSettings::default()).expect("a client"));
        let Asking::On(vendors) = &asking else { panic!("it is on") };
        let keep = |rule: &str, secret: &str, id: Option<&str>| {
            let (secret, id) = (Secret::new(secret.to_owned()), id.map(|id| Secret::new(id.to_owned())));
            asking.keep(RuleSet::builtin(), &Found { rule, secret: &secret, id: id.as_ref() });
            vendors.kept.lock().expect("no panic").len()
        };
        assert_eq!((keep("aws-key-pair", "a", None), keep("private-key", "a", None), keep("no-such-rule", "a", None)), (0, 0, 0));
        assert_eq!((keep("stripe-live-key", "a", None), keep("stripe-live-key", "a", Some("b"))), (1, 1));
        assert!(vendors.kept.lock().expect("no panic").values().all(|kept| kept.id.is_some()));
        let most = (0..MAX_KEPT * 2).map(|number| keep("stripe-live-key", &number.to_string(), None)).max();
        assert_eq!(most, Some(MAX_KEPT));
        assert_eq!(format!("{vendors:?}"), "Vendors(***)");
        // Who came too late is told so, and who came in time is asked about.
        let rules = RuleSet::builtin();
        let key = |last: char| ["sk", "_live_", "51Hq8ZrT4nWc7YbKx2Vd", "9PmLs6JfGa3Eu1Ro5Nt", &last.to_string()].concat();
        let find = |text: String| {
            let scan = scan_reader("app/.env", &mut format!("KEY={text}\n").as_bytes(), rules, &|_| None, &options()).expect("readable");
            scan.findings.into_iter().find(|finding| finding.rule == "stripe-live-key").expect("it is found")
        };
        keep("stripe-live-key", &key('k'), None);
        let late = vendors.request(rules, &find(key('k'))).map(|_| ());
        assert_eq!((MAX_KEPT, late), (1_000, Err("its value was not kept: a run keeps a thousand, and others came first")));
        vendors.kept.lock().expect("no panic").clear();
        assert_eq!(vendors.request(rules, &find(key('k'))).map(|_| ()), Err("its value was not kept: it is no text"));
        keep("stripe-live-key", &key('k'), None);
        assert!(vendors.request(rules, &find(key('k'))).is_ok());
    }
}
