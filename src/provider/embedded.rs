//! The provider that needs nobody: tokens are sealed under the owner's key and lead to the owner's decoy.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::bait::claims::Claims;
use crate::bait::honeytoken::Honeytoken;
use crate::bait::host::DecoyHost;
use crate::bait::kinds;
use crate::bait::kinds::contract::{Fields, Recipe, Usage};
use crate::net::client::HttpClient;
use crate::provider::contract::{Provider, Row};
use crate::provider::error::ProviderError;
use crate::provider::visit;
use crate::secret::key_ring::KeyRing;

pub const ROW: Row = Row {
    id: "embedded",
    describe: "seals tokens under your key, without an account; they lead to `honeycrate decoy`",
    latency: "seconds",
    quota: "as many as you like",
    stealth: "keys lead to a host of yours and to no known account",
    settings: &[],
    secrets: &[],
    make: |wiring| Ok(Arc::new(Embedded { http: Some(wiring.http.clone()), ..Embedded::new(wiring.ring.clone(), wiring.decoy.clone()) })),
};

/// Mints from a key ring and a host, and from nothing else: the same claims give the same token anywhere.
pub struct Embedded {
    ring: KeyRing,
    host: Option<DecoyHost>,
    /// For drills.
    http: Option<HttpClient>,
}

impl Embedded {
    #[must_use]
    pub fn new(ring: KeyRing, host: Option<DecoyHost>) -> Self {
        Self { ring, host, http: None }
    }

    /// Mints without waiting, as everything it needs is at hand.
    ///
    /// # Errors
    /// When there is no decoy host, no such kind, or no key for the epoch.
    pub fn mint_now(&self, claims: &Claims, created: i64) -> Result<Honeytoken, ProviderError> {
        let host = self.host.as_ref().ok_or(ProviderError::NoDecoy { provider: ROW.id })?;
        let kind = kinds::find(&claims.kind).ok_or_else(|| ProviderError::Kind { provider: ROW.id, kind: claims.kind.clone() })?;
        let key = self.ring.epoch(claims.epoch).ok_or(ProviderError::Epoch { provider: ROW.id, epoch: claims.epoch })?;
        let kind = kind.self_telling().ok_or_else(|| ProviderError::Kind { provider: ROW.id, kind: claims.kind.clone() })?;
        Ok(kind.token(&Recipe::new(key, claims, host, created)))
    }
}

impl Provider for Embedded {
    fn id(&self) -> &'static str {
        ROW.id
    }

    fn kinds(&self) -> Vec<(&'static str, String)> {
        let host = |service: &str| self.host.as_ref().map(|host| host.name(service)).unwrap_or_default();
        kinds::self_telling().map(|kind| (kind.id(), host(kind.service()))).collect()
    }

    fn ready(&self) -> Result<(), ProviderError> {
        self.host.as_ref().map(|_| ()).ok_or(ProviderError::NoDecoy { provider: ROW.id })
    }

    fn reaches_out(&self) -> bool {
        false
    }

    fn mint<'a>(&'a self, claims: &'a Claims, created: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>> {
        ready(self.mint_now(claims, created)).boxed()
    }

    /// Nobody but the ledger has to know: the decoy asks it.
    fn revoke<'a>(&'a self, _: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
        ready(Ok(())).boxed()
    }

    fn exercise<'a>(&'a self, token: &'a Honeytoken, mark: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        // Some credentials name no scheme; on this very machine they may lead to a decoy without TLS.
        let is_here = token.host == "localhost" || token.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let scheme = self.host.as_ref().map_or(if is_here { "http" } else { "https" }, DecoyHost::scheme);
        let usage = kinds::find(&token.claims.kind).and_then(|kind| kind.self_telling()).map(|kind| kind.usage(&Fields::of(token), scheme));
        async move {
            match (usage, &self.http) {
                (Some(Usage::Web { url, headers }), Some(http)) => visit::call((ROW.id, http), &url, headers, mark).await,
                (Some(Usage::Database { url }), _) => visit::login(ROW.id, &url, mark).await,
                _ => Err(ProviderError::NoUse { provider: ROW.id, kind: token.claims.kind.clone() }),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::bait::own::{find, is_own_bait};
    use crate::bait::surfaces::Surface;

    const BUILT: i64 = 1_780_000_000;

    fn ring() -> KeyRing {
        KeyRing::new([3; 32])
    }

    fn embedded() -> Embedded {
        Embedded::new(ring(), Some("decoy.example.org".parse().expect("a host")))
    }

    fn claims(kind: &str, service: &str) -> Claims {
        Claims {
            service: service.to_owned(),
            environment: "prod".to_owned(),
            surface: Surface::File,
            kind: kind.to_owned(),
            epoch: 1,
            edition: String::new(),
        }
    }

    #[test]
    fn every_kind_is_known_again_by_what_is_presented_and_by_what_is_planted() {
        for kind in kinds::self_telling() {
            let token = embedded().mint_now(&claims(kind.id(), "ghcr.io/acme/shop"), BUILT).expect("mints");
            let fields = Fields::of(&token);
            let opened = kinds::recognise(&ring(), fields.get(kind.identifying())).expect("is known again");
            assert_eq!((opened.kind, opened.codes.surface), (kind.id(), Surface::File));
            assert_eq!(opened.fingerprint, token.fingerprint);
            let mut texts = vec![kind.file_text(&fields)];
            texts.extend(kind.variables(&fields).into_iter().take(1).map(|(_, value)| value));
            for text in texts {
                assert_eq!(find(&ring(), &text).map(|opened| opened.fingerprint), Some(token.fingerprint.clone()), "{}", kind.id());
            }
        }
    }

    #[test]
    fn a_docker_login_is_known_in_its_base64_and_a_secret_key_by_itself() {
        let token = embedded().mint_now(&claims("registry-login", "shop"), BUILT).expect("mints");
        let text = kinds::find("registry-login").expect("kind").file_text(&Fields::of(&token));
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let auth = document["auths"]["registry.decoy.example.org"]["auth"].as_str().expect("auth");
        assert!(is_own_bait(&ring(), auth));
        let token = embedded().mint_now(&claims("s3-keys", "shop"), BUILT).expect("mints");
        assert!(is_own_bait(&ring(), Fields::of(&token).get("secret_access_key")));
    }

    #[test]
    fn what_is_not_ours_is_not_known() {
        let token = Embedded::new(KeyRing::new([4; 32]), Some("decoy.example.org".parse().expect("a host")));
        for kind in kinds::self_telling() {
            let token = token.mint_now(&claims(kind.id(), "shop"), BUILT).expect("mints");
            assert!(!is_own_bait(&ring(), &kind.file_text(&Fields::of(&token))), "{}", kind.id());
        }
        assert!(!is_own_bait(&ring(), "") && !is_own_bait(&ring(), "hunter2") && !is_own_bait(&ring(), &"a".repeat(100_000)));
    }

    #[test]
    fn a_token_of_one_kind_never_opens_as_another() {
        for kind in kinds::self_telling() {
            for service in 0..20 {
                let token = embedded().mint_now(&claims(kind.id(), &format!("service-{service}")), BUILT).expect("mints");
                let value = Fields::of(&token).get(kind.identifying());
                for other in kinds::self_telling().filter(|other| other.id() != kind.id()) {
                    assert!(other.recognise(&ring(), value).is_none(), "{} {}", kind.id(), other.id());
                }
            }
        }
    }

    #[test]
    fn a_changed_character_is_never_recognised() {
        for kind in kinds::self_telling() {
            let token = embedded().mint_now(&claims(kind.id(), "shop"), BUILT).expect("mints");
            let value = Fields::of(&token).get(kind.identifying());
            let start = value.len() - kind.sealed(value).expect("its own shape").len();
            for at in start..value.len() {
                let mut changed = value.as_bytes().to_vec();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).expect("ASCII");
                assert!(kinds::recognise(&ring(), &changed).is_none(), "{} {at}", kind.id());
            }
        }
    }

    #[test]
    fn the_same_claims_give_the_same_token_all_year() {
        for kind in kinds::self_telling() {
            let mint = |created| embedded().mint_now(&claims(kind.id(), "shop"), created).expect("mints").fields;
            assert_eq!(mint(BUILT), mint(BUILT + 86_400), "{}", kind.id());
        }
    }

    #[test]
    fn distinct_claims_give_distinct_tokens() {
        distinct(2_000);
    }

    #[test]
    #[ignore = "takes minutes; run it when the sealing changes"]
    fn a_hundred_thousand_distinct_claims_give_distinct_tokens() {
        distinct(100_000);
    }

    fn distinct(count: usize) {
        let (ring, host) = (ring(), "decoy.example.org".parse().expect("a host"));
        for kind in kinds::self_telling() {
            // Codes of 24 bits collide now and then; such pairs are refused before minting and left out here.
            let (mut codes, mut tokens) = (HashSet::new(), HashSet::new());
            for number in 0.. {
                let (service, environment) = (format!("service-{}", number / 20), format!("environment-{}", number / 4 % 5));
                let surface = Surface::ALL[number % 4];
                let claims = Claims { service, environment, surface, kind: kind.id().to_owned(), epoch: 1, edition: String::new() };
                let recipe = Recipe::new(ring.newest(), &claims, &host, BUILT);
                if codes.insert(recipe.codes) {
                    assert!(tokens.insert(recipe.seal(kind.layout())), "{} {claims:?}", kind.id());
                }
                if tokens.len() == count {
                    break;
                }
            }
        }
    }

    /// Writes every kind's texts below a directory, for scanners to be tried on: `BAIT_SAMPLES` names it.
    #[test]
    #[ignore = "writes files for people to scan"]
    #[expect(clippy::disallowed_methods, reason = "a directory for the person who runs it")]
    fn samples_for_scanners() {
        let directory = std::path::PathBuf::from(std::env::var("BAIT_SAMPLES").expect("BAIT_SAMPLES names a directory"));
        // Scanners pass over the domains that are reserved for examples.
        let embedded = Embedded::new(ring(), Some("ops.acme-internal.net".parse().expect("a host")));
        for (kind, number) in kinds::self_telling().flat_map(|kind| (0..40).map(move |number| (kind, number))) {
            let token = embedded.mint_now(&claims(kind.id(), &format!("ghcr.io/acme/shop-{number}")), BUILT).expect("mints");
            let fields = Fields::of(&token);
            let stem = kind.variable_stems()[0];
            let variables = kind.variables(&fields);
            let env: Vec<String> = variables.iter().map(|(ending, value)| format!("{stem}{ending}={value}")).collect();
            let history = format!("ARG {}={}", kind.build_argument(), variables[0].1);
            let texts =
                [("file.txt", kind.file_text(&fields)), ("env.json", serde_json::json!({ "Env": env }).to_string()), ("history.txt", history)];
            let directory = directory.join(kind.id()).join(number.to_string());
            std::fs::create_dir_all(&directory).expect("a directory");
            for (name, text) in texts {
                std::fs::write(directory.join(name), text).expect("a file");
            }
        }
    }

    #[test]
    fn bait_that_leads_nowhere_is_refused() {
        let error = Embedded::new(ring(), None).mint_now(&claims("jwt", "shop"), BUILT).expect_err("no host");
        assert!(error.to_string().contains("never triggers"));
        let hint = error.hint().expect("says what to do");
        assert!(["decoy.host", "--decoy", "HONEYCRATE_DECOY"].iter().all(|name| hint.contains(name)), "{hint}");
    }
}
