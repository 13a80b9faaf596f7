//! The access token of a private npm registry, as a line of an npmrc.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE62, Layout, looks_random};
use crate::secret::value::Secret;

/// Thirty characters; six more, after them, are their checksum.
static LAYOUT: Layout = Layout { id: "npm-index", alphabet: BASE62, length: 30, names: 0, accept: looks_random };

pub struct NpmIndex;

impl BaitKind for NpmIndex {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a private npm registry, to read its packages or to publish one"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::Buried, Surface::File, Surface::Env, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "token"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        let registry = fields.get("registry");
        let authority = registry.split_once(':').map_or(registry, |(_, authority)| authority);
        let (scope, token) = (fields.get("scope"), fields.get("token"));
        format!("@{scope}:registry={registry}/\n{authority}/:_authToken={token}\nalways-auth=true\n")
    }

    fn syntax(&self) -> Syntax {
        Syntax::Npmrc
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, ".npmrc.ci"), Spot(Area::App, "ci/npmrc"), Spot(Area::Home, ".npmrc.bak"), Spot(Area::Side, "deploy/npmrc.release")]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, ".npmrc"), Spot(Area::Home, ".npmrc"), Spot(Area::App, "ci/npmrc")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["RELEASE_NPM", "PUBLISH_NPM", "INTERNAL_NPM"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_TOKEN", fields.get("token").to_owned()), ("_REGISTRY", fields.get("registry").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "NPM_TOKEN"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Ok("npm-access-token"),
            trufflehog: Ok("NpmToken"),
            kingfisher: Ok("veles.secrets/npmjsaccesstoken"),
            trivy: Err("knows npm tokens between quotation marks only"),
        }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for NpmIndex {
    fn service(&self) -> &'static str {
        "npm"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let body = recipe.seal(&LAYOUT);
        let token = ["npm", "_"].concat() + &body + &checksum(&body);
        vec![
            ("registry", Secret::new(recipe.host.url(self.service()))),
            ("scope", Secret::new(recipe.group().replace('.', "-"))),
            ("token", Secret::new(token)),
        ]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::bearer(format!("{}/-/whoami", fields.get("registry")), fields.get("token"))
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        let (body, tail) = presented.strip_prefix("npm_")?.split_at_checked(LAYOUT.length)?;
        (tail == checksum(body)).then_some(body)
    }
}

/// Six base62 digits of the CRC-32 of a token's body, zero-padded. Registries and scanners check them offline.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.as_bytes()[rest as usize % 62];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_base62_of_crc32_zero_padded() {
        // CRC-32 of `123456789` is 0xcbf43926 = 3421780262 = 3*62^5 + 45*62^4 + 35*62^3 + 21*62^2 + 34*62 + 50.
        let value = [3_u64, 45, 35, 21, 34, 50].iter().fold(0, |value, digit| value * 62 + digit);
        let digits: Vec<u64> =
            checksum("123456789").bytes().map(|byte| BASE62.bytes().position(|known| known == byte).expect("base62") as u64).collect();
        assert_eq!(digits.iter().fold(0, |value, digit| value * 62 + digit), 0xcbf4_3926, "{value}");
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn a_wrong_checksum_is_not_recognised() {
        let token = ["npm", "_"].concat() + &"a".repeat(36);
        assert_eq!(NpmIndex.sealed(&token), None);
    }
}
