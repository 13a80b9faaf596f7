//! A service's bearer token: a JSON Web Token whose signature is the sealed part.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::token::{BASE64URL, Layout, looks_random};
use crate::secret::value::Secret;

/// 85 of the 86 characters of an ES256 signature; the last carries two bits and follows from the first.
static LAYOUT: Layout = Layout { id: "jwt", alphabet: BASE64URL, length: 85, names: 40, accept: looks_random };

/// Tokens are dated from the beginning of the build's year, so that a rebuild has the same token, and not before 2024.
const OLDEST: i64 = 1_704_067_200;
const YEAR: i64 = 31_556_952;

pub struct Jwt;

impl BaitKind for Jwt {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "an internal API, as this service"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::Env, Surface::File, Surface::Buried, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "token"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!("{}\n", fields.get("token"))
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, "config/service.token.old"), Spot(Area::Side, "deploy/service.token"), Spot(Area::Home, "service.token")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["INTERNAL_API", "BILLING_API", "LEGACY_API"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_TOKEN", fields.get("token").to_owned()), ("_ISSUER", fields.get("issuer").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "INTERNAL_API_TOKEN"
    }

    fn seen_by(&self) -> Seen {
        Seen { gitleaks: Ok("jwt"), trufflehog: Ok("JWT"), kingfisher: Ok("betterleaks.jwt"), trivy: Ok("jwt-token") }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for Jwt {
    fn service(&self) -> &'static str {
        "auth"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let issuer = recipe.host.url(self.service());
        let subject = format!("service:{}", recipe.name());
        let token = signed(recipe, &LAYOUT, &issuer, &subject, "internal-api");
        vec![("issuer", Secret::new(issuer)), ("token", Secret::new(token))]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::bearer(format!("{}/userinfo", fields.get("issuer")), fields.get("token"))
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        signature(presented)
    }
}

/// A whole token, valid for ten years, with the sealed part for a signature. It never verifies: the private key would have
/// to be where tokens are minted.
pub(in crate::bait::kinds) fn signed(recipe: &Recipe<'_>, layout: &Layout, issuer: &str, subject: &str, audience: &str) -> String {
    let year = (recipe.created.max(OLDEST) - OLDEST) / YEAR;
    let back = i64::try_from(recipe.seed.below("issued", 90 * 86_400)).unwrap_or_default();
    let issued = OLDEST + year * YEAR - back;
    let header = serde_json::json!({ "alg": "ES256", "kid": &recipe.seed.hex("kid")[..16], "typ": "JWT" });
    let expires = issued + 10 * YEAR;
    let payload = serde_json::json!({ "iss": issuer, "sub": subject, "aud": [audience], "iat": issued, "exp": expires });
    let sealed = recipe.seal(layout);
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
    format!("{header}.{payload}.{sealed}{}", last(&sealed))
}

/// The sealed part of a token's signature.
pub(in crate::bait::kinds) fn signature(presented: &str) -> Option<&str> {
    let mut parts = presented.split('.');
    let (header, _, signature, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
    if !header.starts_with("eyJ") || rest.is_some() || !signature.is_ascii() {
        return None;
    }
    let (sealed, tail) = signature.split_at_checked(LAYOUT.length)?;
    (tail.chars().eq([last(sealed)])).then_some(sealed)
}

/// The last character of 64 bytes in base64url: the low four of its six bits are zero.
fn last(sealed: &str) -> char {
    let sum = sealed.bytes().fold(0_usize, |sum, byte| sum + usize::from(byte));
    ['A', 'Q', 'g', 'w'][sum % 4]
}
