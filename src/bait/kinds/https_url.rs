//! A URL with a user and a password in it, for an artifact store.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE62, Layout, looks_random};
use crate::secret::value::Secret;

/// A generated password that needs no escaping in a URL.
static LAYOUT: Layout = Layout { id: "https-url", alphabet: BASE62, length: 24, names: 0, accept: looks_random };

pub struct HttpsUrl;

impl BaitKind for HttpsUrl {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "an artifact store with builds and backups"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::Env, Surface::File, Surface::Buried, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "password"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!(
            "#!/bin/sh\n# uploads the last build to the artifact store\nset -e\nSTORE={}\ncurl -fsS -T \"$1\" \"$STORE/$(basename \"$1\")\"\n",
            fields.get("url")
        )
    }

    fn syntax(&self) -> Syntax {
        Syntax::Comments
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, "scripts/upload-release.sh"), Spot(Area::Side, "backup/upload.sh"), Spot(Area::Home, "backup/upload.sh")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &[
            "ARTIFACTS",
            "BACKUP_STORE",
            "RELEASE_STORE",
            "DAV",
            "CDN",
            "NEXUS",
            "FILES",
            "DUMPS",
            "UPLOADS",
            "SNAPSHOTS",
            "EXPORT_STORE",
            "REPORT_ARCHIVE",
        ]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_URL", fields.get("url").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "ARTIFACTS_URL"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Err("has no rule for credentials in URLs"),
            trufflehog: Ok("URI"),
            kingfisher: Ok("betterleaks.generic-credential-uri"),
            trivy: Err("has no rule for credentials in URLs"),
        }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for HttpsUrl {
    fn service(&self) -> &'static str {
        "artifacts"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let username = format!("{}-{}", recipe.name(), recipe.word("user", &["backup", "sync", "release"]));
        let password = recipe.seal(&LAYOUT);
        let (scheme, authority) = (recipe.host.scheme(), recipe.host.authority(self.service()));
        let url = format!("{scheme}://{username}:{password}@{authority}/repository/{}/releases", recipe.group());
        vec![("username", Secret::new(username)), ("password", Secret::new(password)), ("url", Secret::new(url))]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::Web { url: fields.get("url").to_owned(), headers: Vec::new() }
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        Some(presented)
    }
}
