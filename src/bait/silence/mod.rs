//! Makes the owner's other scanners pass over bait: the table of their ignore lists, and the texts that these are made of.
//!
//! A list that silences bait and nothing else lets whoever has it ask of any credential whether it is bait. No form can help that: no
//! scanner takes a salted one. So a list holds as little as will do: the first eight of a token's characters (40 bits at least; six of
//! them under base64), which open nothing, and no place. The ways that were left: a place (path, rule, line) hides the next leak in that
//! line, differs from run to run, and is a map; the value, or its plain hash, is the token itself, or confirms every guess.

pub mod contract;
pub mod ggshield;
pub mod gitleaks;
pub mod kingfisher;
pub mod trivy;
pub mod trufflehog;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use time::Date;
use time::format_description::well_known::Iso8601;

use crate::bait::claims::Claims;
use crate::bait::kinds;
use crate::bait::kinds::contract::Recipe;
use crate::bait::own;
use crate::bait::silence::contract::{IgnoreList, SHOWN, Silenced};
use crate::bait::token::Codes;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// Every form.
pub static TABLE: [&dyn IgnoreList; 5] = [&gitleaks::Gitleaks, &trufflehog::TruffleHog, &kingfisher::Kingfisher, &trivy::Trivy, &ggshield::Ggshield];

/// What the line with a list's last day begins with.
const UNTIL: &str = "# until ";

/// The form of a scanner.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn IgnoreList> {
    TABLE.into_iter().find(|list| list.id() == id)
}

/// The whole file, with a heading that says what it is for and how long it is good.
#[must_use]
pub fn write(list: &dyn IgnoreList, silenced: &[Silenced], until: Date) -> String {
    let heading = [
        format!("# Credentials that {} is to pass over: {}", list.id(), list.usage()),
        format!("{UNTIL}{until}: write it anew by then, for a list that is out of date may hide what is none of these"),
        "# Whoever reads it can tell which credentials these are. Keep it out of images, repositories, caches and artifacts.".to_owned(),
    ];
    format!("{}\n\n{}", heading.join("\n"), list.write(silenced, until))
}

/// The last day of a list, by its heading; `None` where it is no such list.
#[must_use]
pub fn until(text: &str) -> Option<Date> {
    let line = text.lines().take(3).find_map(|line| line.strip_prefix(UNTIL))?;
    Date::parse(line.split(':').next()?, &Iso8601::DATE).ok()
}

/// The heads of a token, by its sealed characters: the first eight as they are, and what they become under base64 wherever its groups of
/// three bytes begin.
#[must_use]
pub fn heads(sealed: &Secret) -> Vec<String> {
    let Some(head) = sealed.expose().get(..SHOWN) else { return Vec::new() };
    // Bytes of which only some bits are in this token's characters are left out at both ends: six are left.
    let covered = [0, 1, 2].map(|from| STANDARD_NO_PAD.encode(&head[from..from + 6]));
    [head.to_owned()].into_iter().chain(covered).collect()
}

/// The sealed characters of everything in a token that a scanner may find by itself: of a key pair both halves.
#[must_use]
pub fn sealed_parts(ring: &KeyRing, claims: &Claims, codes: Codes) -> Vec<Secret> {
    let kind = kinds::find(&claims.kind).and_then(|kind| kind.self_telling());
    let (Some(kind), Some(key), Ok(host)) = (kind, ring.epoch(codes.epoch), "localhost".parse()) else { return Vec::new() };
    let recipe = Recipe { codes, ..Recipe::new(key, claims, &host, 0) };
    kind.mint(&recipe).iter().filter_map(|(_, value)| own::sealed_in(ring, value)).map(|(_, sealed)| sealed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use time::macros::date;

    fn sealed() -> Secret {
        Secret::new(["Kq7+Zt2b", "Xw9LmN4v", "Rp3s"].concat())
    }

    #[test]
    fn a_pattern_matches_the_token_in_any_surroundings_and_under_base64() {
        let token = sealed().expose().to_owned();
        let silenced = Silenced { fingerprint: String::new(), heads: heads(&sealed()), files: Vec::new() };
        let patterns: Vec<regex::Regex> = silenced.patterns().map(|pattern| regex::Regex::new(&pattern).expect("a pattern")).collect();
        for before in ["", "a", "ab", "abc", "shop-ci:glpat-"] {
            let text = format!("{before}{token}");
            assert!(patterns[0].is_match(&text), "{text}");
            assert!(patterns[1..].iter().any(|pattern| pattern.is_match(&STANDARD.encode(&text))), "{text}");
        }
        assert!(!patterns.iter().any(|pattern| pattern.is_match(&token.to_lowercase()) || pattern.is_match(&token[1..])));
        assert!(silenced.heads.iter().all(|head| head.len() == SHOWN));
    }

    #[test]
    fn both_halves_of_a_key_pair_are_known_from_what_the_ledger_knows() {
        let ring = KeyRing::new([4; 32]);
        let claims = |kind: &str| Claims {
            service: "shop".to_owned(),
            environment: "qa".to_owned(),
            surface: crate::bait::surfaces::Surface::File,
            kind: kind.to_owned(),
            epoch: 1,
            edition: String::new(),
        };
        for kind in kinds::self_telling() {
            let claims = claims(kind.id());
            let codes = Codes::of(ring.newest(), &claims);
            let mut found: Vec<Vec<String>> = sealed_parts(&ring, &claims, codes).iter().map(heads).collect();
            found.sort();
            found.dedup();
            assert_eq!(found.len(), if kind.id() == "s3-keys" { 2 } else { 1 }, "{}", kind.id());
        }
    }

    #[test]
    fn no_list_holds_more_than_the_beginning_of_a_token() {
        let silenced = Silenced { fingerprint: "a447b5b20ad62a5d".to_owned(), heads: heads(&sealed()), files: vec!["app/x".to_owned()] };
        for list in TABLE {
            let text = write(list, std::slice::from_ref(&silenced), date!(2027 - 02 - 20));
            assert!(!text.contains(&sealed().expose()[..=SHOWN]) && text.contains("a447b5b20ad62a5d, until 2027-02-20"), "{}:\n{text}", list.id());
            assert_eq!(until(&text), Some(date!(2027 - 02 - 20)), "{}", list.id());
            assert!(text.lines().next().is_some_and(|line| line.contains("FILE")), "{}", list.id());
        }
        assert_eq!(until("# until tomorrow: x"), None);
    }
}
