//! The connection string of a PostgreSQL database.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE62, Layout, looks_random};
use crate::secret::value::Secret;

/// A generated password that needs no escaping in a URL.
static LAYOUT: Layout = Layout { id: "database-url", alphabet: BASE62, length: 28, names: 0, accept: looks_random };

pub struct DatabaseUrl;

impl BaitKind for DatabaseUrl {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a PostgreSQL database with production data"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::Env, Surface::File, Surface::Buried, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "password"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!("# read replica, for the monthly export\nREPLICA_DB_URL={}\nREPLICA_DB_POOL=4\n", fields.get("url"))
    }

    fn syntax(&self) -> Syntax {
        Syntax::Dotenv
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[
            Spot(Area::App, ".env.bak"),
            Spot(Area::App, "scripts/export.env"),
            Spot(Area::Side, "backup/export.env"),
            Spot(Area::Home, "backup/replica.env"),
        ]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, ".env"), Spot(Area::App, ".env.production"), Spot(Area::App, "scripts/export.env")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &[
            "REPORTING_DB",
            "REPLICA_DB",
            "EXPORT_DB",
            "OLD_DB",
            "RO_DB",
            "BI_DB",
            "ETL_DB",
            "CRM_DB",
            "JOBS_DB",
            "STATS_DB",
            "EVENTS_DB",
            "ANALYTICS_DB",
            "WAREHOUSE_DB",
            "CUSTOMER_EXPORT_DB",
        ]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_URL", fields.get("url").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "MIGRATION_DB_URL"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Err("has no rule for connection strings"),
            trufflehog: Ok("Postgres"),
            kingfisher: Ok("betterleaks.generic-credential-uri"),
            trivy: Err("has no rule for connection strings"),
        }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for DatabaseUrl {
    fn service(&self) -> &'static str {
        "db"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let name = recipe.name().replace(['-', '.'], "_");
        let user = format!("{name}_{}", recipe.word("user", &["reporting", "readonly", "replica", "export"]));
        let password = recipe.seal(&LAYOUT);
        let url = format!("postgresql://{user}:{password}@{}/{name}", recipe.host.database(self.service()));
        vec![("username", Secret::new(user)), ("password", Secret::new(password)), ("url", Secret::new(url))]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::Database { url: fields.get("url").to_owned() }
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        Some(presented)
    }
}
