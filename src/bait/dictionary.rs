//! From codes to names: the services and environments that the owner knows of.

use std::collections::BTreeMap;

use crate::bait::claims::Claims;
use crate::bait::kinds::contract::Opened;
use crate::bait::token::{environment_code, service_code};
use crate::secret::key_ring::KeyRing;

/// The names behind the codes of every epoch.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    services: BTreeMap<(u16, u32), Vec<String>>,
    environments: BTreeMap<(u16, u16), Vec<String>>,
}

impl Dictionary {
    /// The dictionary of these names under all keys of a ring.
    pub fn new<S: AsRef<str>>(ring: &KeyRing, services: impl IntoIterator<Item = S>, environments: impl IntoIterator<Item = S>) -> Self {
        let mut dictionary = Self::default();
        for service in services {
            dictionary.add_service(ring, service.as_ref());
        }
        for environment in environments {
            dictionary.add_environment(ring, environment.as_ref());
        }
        dictionary
    }

    pub fn add_service(&mut self, ring: &KeyRing, name: &str) {
        for key in ring.iter() {
            add(self.services.entry((key.epoch(), service_code(key, name))).or_default(), name);
        }
    }

    pub fn add_environment(&mut self, ring: &KeyRing, name: &str) {
        for key in ring.iter() {
            add(self.environments.entry((key.epoch(), environment_code(key, name))).or_default(), name);
        }
    }

    /// Who a token is. The token's own names count where it carries them whole; a name that nobody knows is `unknown-` and its code.
    #[must_use]
    pub fn resolve(&self, opened: &Opened) -> Claims {
        let codes = opened.codes;
        let own = opened.names.as_ref();
        let whole = own.filter(|names| names.whole);
        let service = whole.map(|names| names.service.clone());
        let service = service.or_else(|| first(self.services.get(&(codes.epoch, codes.service))));
        let service = service.or_else(|| own.map(|names| names.service.clone()));
        let environment = whole.map(|names| names.environment.clone());
        let environment = environment.or_else(|| first(self.environments.get(&(codes.epoch, codes.environment))));
        let environment = environment.or_else(|| own.map(|names| names.environment.clone()));
        Claims {
            service: service.unwrap_or_else(|| format!("unknown-{:06x}", codes.service)),
            environment: environment.unwrap_or_else(|| format!("unknown-{:03x}", codes.environment)),
            surface: codes.surface,
            kind: opened.kind.to_owned(),
            epoch: codes.epoch,
            // A code does not tell it; the ledger does.
            edition: String::new(),
        }
    }

    /// Another known service or environment that has the code of this one under the newest key: their tokens would be the same.
    #[must_use]
    pub fn collision(&self, ring: &KeyRing, service: &str, environment: &str) -> Option<Collision> {
        let key = ring.newest();
        let other = |known: Option<&Vec<String>>, name: &str| known.into_iter().flatten().find(|other| *other != name).cloned();
        let services = self.services.get(&(key.epoch(), service_code(key, service)));
        let environments = self.environments.get(&(key.epoch(), environment_code(key, environment)));
        let collision = |what, name: &str, other| Collision { what, name: name.to_owned(), other };
        other(services, service)
            .map(|other| collision("service", service, other))
            .or_else(|| other(environments, environment).map(|other| collision("environment", environment, other)))
    }
}

/// Two names of one kind that share a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{name}` has the same code as `{other}`: their tokens could not be told apart")]
pub struct Collision {
    /// `service` or `environment`.
    pub what: &'static str,
    pub name: String,
    pub other: String,
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

fn first(names: Option<&Vec<String>>) -> Option<String> {
    names.and_then(|names| names.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::surfaces::Surface;
    use crate::bait::token::Codes;
    use crate::secret::fingerprint::Fingerprint;

    fn opened(ring: &KeyRing, service: &str, environment: &str) -> Opened {
        let key = ring.newest();
        let codes =
            Codes { service: service_code(key, service), environment: environment_code(key, environment), surface: Surface::Env, epoch: key.epoch() };
        Opened { kind: "https-url", codes, names: None, fingerprint: Fingerprint::of_token(key, "x") }
    }

    #[test]
    fn known_codes_have_names_and_unknown_ones_say_so() {
        let ring = KeyRing::new([1; 32]).rotated([2; 32]).expect("epochs left");
        let dictionary = Dictionary::new(&ring, ["acme/shop", "acme/cart"], ["prod", "staging"]);
        let claims = dictionary.resolve(&opened(&ring, "acme/shop", "staging"));
        assert_eq!((claims.service.as_str(), claims.environment.as_str(), claims.epoch), ("acme/shop", "staging", 2));
        let claims = dictionary.resolve(&opened(&ring, "acme/other", "prod"));
        assert!(claims.service.starts_with("unknown-") && claims.environment == "prod", "{claims:?}");
    }

    #[test]
    fn names_that_share_a_code_are_told() {
        let ring = KeyRing::new([1; 32]);
        let wanted = environment_code(ring.newest(), "prod");
        let twin = (0..).map(|number| format!("e{number}")).find(|name| environment_code(ring.newest(), name) == wanted).expect("4096 codes");
        let dictionary = Dictionary::new(&ring, ["shop"], ["prod"]);
        assert_eq!(dictionary.collision(&ring, "shop", "prod"), None);
        let collision = dictionary.collision(&ring, "shop", &twin).expect("shares its code");
        assert_eq!((collision.what, collision.other.as_str()), ("environment", "prod"));
    }
}
