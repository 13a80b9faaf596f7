//! A key pair of an AWS account, which only a vendor or the account's owner makes: its use shows in the account's trail.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;

pub struct AwsKeys;

impl BaitKind for AwsKeys {
    fn id(&self) -> &'static str {
        "aws-keys"
    }

    fn describe(&self) -> &'static str {
        "an AWS account"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried, Surface::Env]
    }

    fn identifying(&self) -> &'static str {
        "access_key_id"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!(
            "[backup]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = {}\n",
            fields.get("access_key_id"),
            fields.get("secret_access_key"),
            region(fields),
        )
    }

    fn syntax(&self) -> Syntax {
        Syntax::Ini
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Side, "backup/aws-credentials"), Spot(Area::App, "deploy/aws-credentials"), Spot(Area::Home, ".aws-backup/credentials")]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".aws/credentials"), Spot(Area::App, ".aws/credentials"), Spot(Area::Side, "backup/aws-credentials")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["BACKUP_AWS", "ARCHIVE_AWS", "LEGACY_AWS"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![
            ("_ACCESS_KEY_ID", fields.get("access_key_id").to_owned()),
            ("_SECRET_ACCESS_KEY", fields.get("secret_access_key").to_owned()),
            ("_REGION", region(fields).to_owned()),
        ]
    }

    fn build_argument(&self) -> &'static str {
        "BACKUP_AWS_ACCESS_KEY_ID"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Ok("aws-access-token"),
            trufflehog: Ok("AWS"),
            kingfisher: Ok("betterleaks.aws-access-token"),
            trivy: Ok("aws-access-key-id"),
        }
    }
}

/// Most tools ask for one.
/// The region that the key pair names.
#[must_use]
pub fn region<'a>(fields: &Fields<'a>) -> &'a str {
    Some(fields.get("region")).filter(|region| !region.is_empty()).unwrap_or("us-east-1")
}
