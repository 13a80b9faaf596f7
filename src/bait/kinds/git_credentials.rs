//! A Git server's access token in a remote's URL, as `git credential-store` writes it.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::token::{BASE64URL, Layout, looks_random};
use crate::secret::value::Secret;

/// The shape of a GitLab personal access token.
static LAYOUT: Layout = Layout { id: "git-credentials", alphabet: BASE64URL, length: 20, names: 0, accept: looks_random };

pub struct GitCredentials;

impl BaitKind for GitCredentials {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a Git server, with the source of this service and its neighbours"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::Buried, Surface::File, Surface::Env, Surface::History]
    }

    fn identifying(&self) -> &'static str {
        "password"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        format!("{}\n", fields.get("url"))
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".git-credentials.bak"), Spot(Area::App, "ci/git-credentials"), Spot(Area::Side, "deploy/git-credentials")]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".git-credentials"), Spot(Area::App, ".git-credentials"), Spot(Area::App, "ci/git-credentials")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["VENDOR_REPO", "SUBMODULE_REPO", "MIRROR_REPO"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_URL", fields.get("url").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "VENDOR_REPO_URL"
    }

    fn seen_by(&self) -> Seen {
        Seen { gitleaks: Ok("gitlab-pat"), trufflehog: Ok("Gitlab, URI"), kingfisher: Ok("betterleaks.gitlab-pat"), trivy: Ok("gitlab-pat") }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for GitCredentials {
    fn service(&self) -> &'static str {
        "git"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let token = ["gl", "pat-"].concat() + &recipe.seal(&LAYOUT);
        let username = recipe.word("user", &["oauth2", "ci", "deploy"]);
        let (scheme, authority) = (recipe.host.scheme(), recipe.host.authority(self.service()));
        let url = format!("{scheme}://{username}:{token}@{authority}/{}/{}.git", recipe.group(), recipe.name());
        vec![("username", Secret::new(username.to_owned())), ("password", Secret::new(token)), ("url", Secret::new(url))]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::Web { url: format!("{}/info/refs?service=git-upload-pack", fields.get("url")), headers: Vec::new() }
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        presented.strip_prefix("glpat-")
    }
}
