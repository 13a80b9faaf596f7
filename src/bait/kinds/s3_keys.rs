//! A key pair for an S3-compatible object store.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Opened, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE32, Layout, looks_random};
use crate::secret::aws_account;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// A key id after `AKIA`, of which the account could be real.
static LAYOUT: Layout = Layout { id: "s3-keys", alphabet: BASE32, length: 16, names: 0, accept: plausible };

/// The secret key is sealed as well, so that it is known by itself when a scanner finds it alone. Clients never send it.
static SECRET: Layout = Layout { id: "s3-keys/secret", alphabet: BASE64, length: 40, names: 0, accept: looks_random };

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub struct S3Keys;

impl BaitKind for S3Keys {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "an object store with backups"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Env, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "access_key_id"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!(
            "[backup]\ntype = s3\nprovider = Minio\naccess_key_id = {}\nsecret_access_key = {}\nendpoint = {}\nacl = private\n\n# rclone sync /data backup:{}\n",
            fields.get("access_key_id"),
            fields.get("secret_access_key"),
            fields.get("endpoint"),
            fields.get("bucket"),
        )
    }

    fn syntax(&self) -> Syntax {
        Syntax::Ini
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Side, "backup/rclone.conf"), Spot(Area::App, "backup/rclone.conf"), Spot(Area::Home, "backup/rclone.conf")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["BACKUP_S3", "ARCHIVE_S3", "LEGACY_S3"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![
            ("_ACCESS_KEY_ID", fields.get("access_key_id").to_owned()),
            ("_SECRET_ACCESS_KEY", fields.get("secret_access_key").to_owned()),
            ("_ENDPOINT", fields.get("endpoint").to_owned()),
        ]
    }

    fn build_argument(&self) -> &'static str {
        "BACKUP_ACCESS_KEY_ID"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Ok("aws-access-token"),
            trufflehog: Ok("AWS"),
            kingfisher: Ok("betterleaks.aws-access-token"),
            trivy: Ok("aws-access-key-id"),
        }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for S3Keys {
    fn service(&self) -> &'static str {
        "s3"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let id = ["AK", "IA"].concat() + &recipe.seal(&LAYOUT);
        vec![
            ("access_key_id", Secret::new(id)),
            ("secret_access_key", Secret::new(recipe.seal(&SECRET))),
            ("endpoint", Secret::new(recipe.host.url(self.service()))),
            ("bucket", Secret::new(format!("{}-backup", recipe.name()))),
        ]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        // The decoy knows the key id; nobody checks the signature of a visitor who is refused anyway.
        let (day, region) = ("20260101", "us-east-1");
        let scope = format!("{}/{day}/{region}/s3/aws4_request", fields.get("access_key_id"));
        let signature = "0".repeat(64);
        let value = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={signature}");
        Usage::header(format!("{}/{}", fields.get("endpoint"), fields.get("bucket")), "authorization", &value)
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        presented.strip_prefix("AKIA")
    }

    fn recognise(&self, ring: &KeyRing, presented: &str) -> Option<Opened> {
        let (codes, id) = match self.sealed(presented) {
            Some(id) => (LAYOUT.open(ring, id)?.codes, id.to_owned()),
            None => {
                let codes = SECRET.open(ring, presented)?.codes;
                (codes, LAYOUT.seal(ring.epoch(codes.epoch)?, codes, "", ""))
            }
        };
        let fingerprint = Fingerprint::of_token(ring.epoch(codes.epoch)?, &id);
        Some(Opened { kind: self.id(), codes, names: None, fingerprint })
    }
}

/// Accounts have twelve digits, and ids that begin with I or J are older than the scheme. The published canary accounts are
/// avoided as well, which a random id would meet once in 4·10^10.
fn plausible(id: &str) -> bool {
    let is_fit = |account: u64| account >= 10_000_000_000 && aws_account::canary_owner(account).is_none();
    !id.starts_with(['I', 'J']) && aws_account::of_tail(id.as_bytes()).is_some_and(is_fit) && varied(id)
}

/// Enough different characters for the entropy that scanners ask of a key id, and a digit among them.
fn varied(id: &str) -> bool {
    let mut characters: Vec<u8> = id.bytes().collect();
    characters.sort_unstable();
    characters.dedup();
    characters.len() >= 10 && id.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_published_canary_is_refused() {
        assert!(!plausible("SP2TPHJSQH3FJRUX"));
    }
}
