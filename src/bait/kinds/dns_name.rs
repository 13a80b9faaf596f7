//! The name of a host that nobody has a reason to look up.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;

pub struct DnsName;

impl BaitKind for DnsName {
    fn id(&self) -> &'static str {
        "dns-name"
    }

    fn describe(&self) -> &'static str {
        "the name of an internal host, for whoever looks it up"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Env, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "hostname"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!("[reporting]\n{} ansible_user=deploy ansible_port=22\n\n[reporting:vars]\nenvironment=production\n", fields.get("hostname"))
    }

    fn syntax(&self) -> Syntax {
        Syntax::Comments
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, "deploy/inventory.ini"), Spot(Area::Side, "deploy/inventory.ini"), Spot(Area::Home, "deploy/inventory.ini")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["REPORTING_DB", "LEGACY_LDAP", "ARCHIVE_SFTP"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_HOST", fields.get("hostname").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "REPORTING_DB_HOST"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Err("a name is no credential"),
            trufflehog: Err("a name is no credential"),
            kingfisher: Err("a name is no credential"),
            trivy: Err("has no rule for it"),
        }
    }
}
