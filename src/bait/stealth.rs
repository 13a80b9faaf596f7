//! The stealth report: what a thief can tell of a honeytoken without using it.
//!
//! Source: TruffleHog's list of canary accounts; thinkst's detectors of their own tells; the names that known generators give.

use std::collections::BTreeSet;

use crate::bait::honeytoken::Honeytoken;
use crate::secret::aws_account;

/// Domains of services that hand out canaries, published by those who look for them.
const DOMAINS: [&str; 8] =
    ["canarytokens.com", "canarytokens.org", "canarytokens.net", "honeypdfs.net", "o3n.io", "cnr.io", "ssl-secure-srv.com", "ssl-srv72.com"];
/// Addresses of theirs.
const ADDRESSES: [&str; 4] = ["52.18.63.80", "54.74.148.87", "52.49.19.247", "44.213.25.175"];
/// What names of users hold that generators make.
const USERS: [&str; 5] = ["canarytokens", "spacecrab", "inf_ht_", "ggcanary", "honey"];
/// Names in a kubeconfig of canarytokens.
const CLUSTERS: [&str; 1] = ["k8s-prod-cluster"];
/// Bits in a character of a value, below which it does not look drawn by lot.
const LOW_ENTROPY: f64 = 3.0;
/// Shorter values say little of how they were drawn.
const TELLING: usize = 16;

/// Why a thief recognises the token without using it, in phrases. Empty where nothing tells.
#[must_use]
pub fn tells(token: &Honeytoken) -> Vec<String> {
    let mut why = BTreeSet::new();
    for (name, value) in &token.fields {
        let text = value.expose();
        let lower = text.to_ascii_lowercase();
        let key_id = Some(text.as_bytes()).filter(|id| id.starts_with(b"AKIA") || id.starts_with(b"ASIA"));
        if let Some(owner) = key_id.and_then(aws_account::of_key_id).and_then(aws_account::canary_owner) {
            why.insert(format!("its key id is of an AWS account that is published as one of {owner}"));
        }
        let is_at = |domain: &str| lower.match_indices(domain).any(|(at, _)| at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric());
        why.extend(
            DOMAINS
                .iter()
                .chain(&ADDRESSES)
                .filter(|domain| is_at(domain))
                .map(|host| format!("it leads to {host}, which is published as a canary's")),
        );
        why.extend(
            CLUSTERS.iter().filter(|cluster| lower.contains(**cluster)).map(|cluster| format!("it names the cluster {cluster}, as canaries do")),
        );
        if ["example", "sample", "dummy", "changeme"].iter().any(|word| lower.contains(word)) && is_value(name) {
            why.insert(format!("its {} looks like a sample", name.replace('_', " ")));
        }
        if is_value(name) && text.len() >= TELLING && entropy(text) < LOW_ENTROPY {
            why.insert(format!("its {} has few different characters", name.replace('_', " ")));
        }
    }
    // Whoever uses the key learns the name, and many calls tell it without an event.
    if let Some(user) = token.handle("user") {
        let user = user.expose().to_ascii_lowercase();
        why.extend(
            USERS.iter().filter(|part| user.contains(**part)).map(|part| format!("the name of its user holds `{part}`, as those of known traps do")),
        );
        if is_uuid(&user) {
            why.insert("the name of its user is a bare UUID, as those of known traps are".to_owned());
        }
    }
    why.into_iter().collect()
}

/// `yes, because …` or `no`.
#[must_use]
pub fn verdict(why: &[String]) -> String {
    if why.is_empty() { "no".to_owned() } else { format!("yes: {}", why.join("; ")) }
}

/// Hosts, regions and the like are not drawn by lot.
fn is_value(field: &str) -> bool {
    !["url", "endpoint", "host", "server", "region", "bucket", "cluster", "name", "database"].iter().any(|word| field.contains(word))
}

/// Shannon entropy, in bits a character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length).map(|share| -share * share.log2()).sum()
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::claims::Claims;
    use crate::bait::surfaces::Surface;
    use crate::secret::value::Secret;

    fn token(fields: &[(&str, &str)], user: Option<&str>) -> Honeytoken {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new((*value).to_owned()));
        let claims = Claims {
            service: "shop".to_owned(),
            environment: "production".to_owned(),
            surface: Surface::File,
            kind: "aws-keys".to_owned(),
            epoch: 1,
            edition: String::new(),
        };
        let handle = user.map(|user| pair(&("user", user))).into_iter().collect();
        let fingerprint = "0123456789abcdef".parse().expect("a fingerprint");
        Honeytoken { claims, fields: fields.iter().map(pair).collect(), handle, host: String::new(), fingerprint }
    }

    #[test]
    fn what_is_published_is_told_and_an_ordinary_key_is_not() {
        // An id of 123456789012, and one of an account of canarytokens.org that researchers published.
        let (ordinary, canary) = (["AKIA", "RZPQL37K2QG5IVB4"].concat(), ["AKIA", "SP2TPHJSQH3FJRUX"].concat());
        let secret = ["hG7vQ2xLzR9mKp4T", "wBn8Yc3JdSf6AeUq1XoZ5tVi"].concat();
        let of =
            |id: &str, user: Option<&str>| tells(&token(&[("access_key_id", id), ("secret_access_key", &secret), ("region", "us-east-1")], user));
        assert_eq!(of(&ordinary, Some("media-sync-Uploader-8F3K2L9QWZ1M0")), Vec::<String>::new());
        assert!(of(&canary, None)[0].contains("canarytokens.org"));
        assert!(of(&ordinary, Some("inf_ht_01"))[0].contains("inf_ht_"));
        assert!(of(&ordinary, Some("3b241101-e2bb-4255-8caf-4136c566a962"))[0].contains("UUID"));
        let other = |fields: &[(&str, &str)]| tells(&token(fields, None));
        assert!(other(&[("url", "http://canarytokens.com/about/x")])[0].contains("canarytokens.com"));
        assert!(other(&[("url", "https://notcnr.io/x")]).is_empty());
        assert!(other(&[("password", "aaaaaaaabbbbbbbb")])[0].contains("few different"));
        assert_eq!((verdict(&[]), verdict(&of(&canary, None)).starts_with("yes: ")), ("no".to_owned(), true));
    }
}
