//! A key pair for an S3-compatible object store.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Opened, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::token::{BASE32, Layout, looks_random};
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;
use crate::secret::value::Secret;

/// A key id after `AKIA`, of which the account could be real.
static LAYOUT: Layout = Layout { id: "s3-keys", alphabet: BASE32, length: 16, names: 0, accept: plausible };

/// The secret key is sealed as well, so that it is known by itself when a scanner finds it alone. Clients never send it.
static SECRET: Layout = Layout { id: "s3-keys/secret", alphabet: BASE64, length: 40, names: 0, accept: looks_random };

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Accounts that are known to make canaries; scanners skip their keys or warn of them.
///
/// Source: TruffleHog's detector of AWS access keys, August 2026.
const CANARY_ACCOUNTS: [u64; 26] = [
    52_310_077_262,
    171_436_882_533,
    534_261_010_715,
    595_918_472_158,
    717_712_589_309,
    819_147_034_852,
    992_382_622_183,
    730_335_385_048,
    266_735_846_894,
    893_192_397_702,
    44_858_866_125,
    251_535_659_677,
    344_043_088_457,
    351_906_852_752,
    390_477_818_340,
    426_127_672_474,
    427_150_556_519,
    439_872_796_651,
    445_142_720_921,
    465_867_158_099,
    637_958_123_769,
    693_412_236_332,
    732_624_840_810,
    735_421_457_923,
    959_235_150_393,
    982_842_642_351,
];

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

/// The AWS account that a key id (without its first four characters) was made for: bits 1 to 40 of the decoded bytes.
///
/// Source: the scheme of key ids since 2019, as several researchers describe it.
fn account(id: &str) -> u64 {
    let bits = id.bytes().take(10).fold(0_u64, |bits, byte| bits << 5 | BASE32.bytes().position(|known| known == byte).unwrap_or_default() as u64);
    // Fifty bits are read; the account lies in the first 41 of them, below the topmost.
    bits >> 9 & 0xff_ffff_ffff
}

/// Accounts have twelve digits, and ids that begin with I or J are older than the scheme. The published canary accounts are
/// avoided as well, which a random id would meet once in 4·10^10.
fn plausible(id: &str) -> bool {
    let account = account(id);
    !id.starts_with(['I', 'J']) && (10_000_000_000..1_000_000_000_000).contains(&account) && !CANARY_ACCOUNTS.contains(&account) && varied(id)
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
    fn the_account_of_a_published_canary_id_is_read_and_refused() {
        assert_eq!(account("SP2TPHJSQH3FJRUX"), 171_436_882_533);
        assert!(!plausible("SP2TPHJSQH3FJRUX"));
    }
}
