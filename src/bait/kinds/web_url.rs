//! An address that nobody can guess: whoever has it may call the hook.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;

pub struct WebUrl;

impl BaitKind for WebUrl {
    fn id(&self) -> &'static str {
        "web-url"
    }

    fn describe(&self) -> &'static str {
        "a deployment hook, by its address alone"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Env, Surface::Buried, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "url"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!("# called by hand when a release has to go out again\nhooks:\n  redeploy:\n    url: {}\n    method: GET\n", fields.get("url"))
    }

    fn syntax(&self) -> Syntax {
        Syntax::Yaml
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::App, "deploy/hooks.yaml"), Spot(Area::Side, "deploy/hooks.yaml"), Spot(Area::Home, "deploy/hooks.yaml")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["REDEPLOY_HOOK", "RELEASE_HOOK", "LEGACY_HOOK"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_URL", fields.get("url").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "RELEASE_HOOK_URL"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Err("sees no credential in an address without one"),
            trufflehog: Err("sees no credential in an address without one"),
            kingfisher: Err("sees no credential in an address without one"),
            trivy: Err("has no rule for it"),
        }
    }
}
