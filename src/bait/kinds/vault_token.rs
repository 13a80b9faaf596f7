//! A HashiCorp Vault service token.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE64URL, Layout, looks_random};
use crate::secret::value::Secret;

/// Ninety characters after `hvs.CAESI`, with which every service token begins: the field headers of its protocol buffer.
static LAYOUT: Layout = Layout { id: "vault-token", alphabet: BASE64URL, length: 90, names: 40, accept: dashed };

pub struct VaultToken;

impl BaitKind for VaultToken {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a Vault server, with all secrets of the team"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::Env, Surface::File, Surface::Buried, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "token"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        let (address, token) = (fields.get("address"), fields.get("token"));
        format!("# disaster recovery cluster\nDR_VAULT_URL={address}\nDR_VAULT_TOKEN={token}\n")
    }

    fn syntax(&self) -> Syntax {
        Syntax::Dotenv
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Side, "deploy/vault-dr.env"), Spot(Area::App, "deploy/vault-dr.env"), Spot(Area::Home, ".vault-token.old")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["DR_VAULT", "LEGACY_VAULT", "STAGING_VAULT"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_TOKEN", fields.get("token").to_owned()), ("_URL", fields.get("address").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "VAULT_TOKEN"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Ok("vault-service-token"),
            trufflehog: Err("knows AppRole ids only, no tokens"),
            kingfisher: Ok("betterleaks.vault-service-token"),
            trivy: Err("has no rule for Vault tokens"),
        }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for VaultToken {
    fn service(&self) -> &'static str {
        "vault"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let token = ["hv", "s.CAESI"].concat() + &recipe.seal(&LAYOUT);
        vec![("address", Secret::new(recipe.host.url(self.service()))), ("token", Secret::new(token))]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::header(format!("{}/v1/auth/token/lookup-self", fields.get("address")), "x-vault-token", fields.get("token"))
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        presented.strip_prefix("hvs.CAESI")
    }
}

/// Kingfisher passes over tokens without a dash or underscore, which one in seventeen would be.
fn dashed(text: &str) -> bool {
    looks_random(text) && text.contains(['-', '_'])
}
