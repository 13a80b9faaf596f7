//! A login for a private container registry, as the file that `docker login` or a pull secret leaves behind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE64URL, Layout, looks_random};
use crate::secret::value::Secret;

/// Twenty characters after the prefix: the shape of a GitLab personal access token, which GitLab's registry takes as a password.
static LAYOUT: Layout = Layout { id: "registry-login", alphabet: BASE64URL, length: 20, names: 0, accept: looks_random };

pub struct RegistryLogin;

impl BaitKind for RegistryLogin {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a container registry, with every private image in it"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "password"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        let (username, password) = (fields.get("username"), fields.get("password"));
        let auth = STANDARD.encode(format!("{username}:{password}"));
        let login = serde_json::json!({ "username": username, "password": password, "auth": auth });
        let mut auths = serde_json::Map::new();
        auths.insert(fields.get("registry").to_owned(), login);
        format!("{:#}\n", serde_json::json!({ "auths": auths }))
    }

    fn syntax(&self) -> Syntax {
        Syntax::DockerConfig
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[
            Spot(Area::Home, ".docker/config.json.bak"),
            Spot(Area::App, "deploy/registry-auth.json"),
            Spot(Area::App, "ci/dockerconfig.json"),
            Spot(Area::Side, "deploy/pull-secret.json"),
            Spot(Area::Home, "backup/docker-config.json"),
        ]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".docker/config.json"), Spot(Area::App, ".docker/config.json"), Spot(Area::App, "deploy/registry-auth.json")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["RELEASE_REGISTRY", "MIRROR_REGISTRY", "LEGACY_REGISTRY"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![
            ("_PASSWORD", fields.get("password").to_owned()),
            ("_USER", fields.get("username").to_owned()),
            ("_URL", fields.get("registry").to_owned()),
        ]
    }

    fn build_argument(&self) -> &'static str {
        "REGISTRY_PASSWORD"
    }

    fn seen_by(&self) -> Seen {
        Seen { gitleaks: Ok("gitlab-pat"), trufflehog: Ok("Docker, Gitlab"), kingfisher: Ok("betterleaks.gitlab-pat"), trivy: Ok("gitlab-pat") }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for RegistryLogin {
    fn service(&self) -> &'static str {
        "registry"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let password = ["gl", "pat-"].concat() + &recipe.seal(&LAYOUT);
        let username = format!("{}-{}", recipe.name(), recipe.word("user", &["ci", "deploy", "builder", "release"]));
        vec![
            ("registry", Secret::new(recipe.host.authority(self.service()))),
            ("username", Secret::new(username)),
            ("password", Secret::new(password)),
        ]
    }

    fn usage(&self, fields: &Fields<'_>, scheme: &str) -> Usage {
        Usage::basic(format!("{scheme}://{}/v2/", fields.get("registry")), fields.get("username"), fields.get("password"))
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        presented.strip_prefix("glpat-")
    }
}
