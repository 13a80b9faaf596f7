//! A deploy token in the URL of a private Python package index.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE64URL, Layout, looks_random};
use crate::secret::value::Secret;

/// The shape of a GitLab personal access token, which GitLab's package registry takes for `__token__`.
static LAYOUT: Layout = Layout { id: "pypi-index", alphabet: BASE64URL, length: 20, names: 0, accept: looks_random };

pub struct PypiIndex;

impl BaitKind for PypiIndex {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a private Python package index"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::History, Surface::File, Surface::Buried, Surface::Env]
    }

    fn identifying(&self) -> &'static str {
        "password"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        let (index, username, password) = (fields.get("index"), fields.get("username"), fields.get("password"));
        format!(
            "[distutils]\nindex-servers =\n    internal\n\n[internal]\nrepository = {index}\nusername = {username}\npassword = {password}\n\n\
             # pip install --extra-index-url {}\n",
            url(fields)
        )
    }

    fn syntax(&self) -> Syntax {
        Syntax::Ini
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".pypirc.old"), Spot(Area::App, "release/pypirc"), Spot(Area::App, "ci/pypirc"), Spot(Area::Side, "deploy/pypirc")]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".pypirc"), Spot(Area::App, ".pypirc"), Spot(Area::App, "release/pypirc")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["INTERNAL_PYPI", "RELEASE_PYPI", "WHEELS_INDEX"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_URL", url(fields))]
    }

    fn build_argument(&self) -> &'static str {
        "PIP_EXTRA_INDEX_URL"
    }

    fn seen_by(&self) -> Seen {
        Seen { gitleaks: Ok("gitlab-pat"), trufflehog: Ok("Gitlab, URI"), kingfisher: Ok("betterleaks.gitlab-pat"), trivy: Ok("gitlab-pat") }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for PypiIndex {
    fn service(&self) -> &'static str {
        "pypi"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let password = ["gl", "pat-"].concat() + &recipe.seal(&LAYOUT);
        let index = format!("{}/api/v4/projects/{}/packages/pypi", recipe.host.url(self.service()), recipe.number("project", 4));
        vec![("index", Secret::new(index)), ("username", Secret::new("__token__".to_owned())), ("password", Secret::new(password))]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::basic(format!("{}/simple/", fields.get("index")), fields.get("username"), fields.get("password"))
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        presented.strip_prefix("glpat-")
    }
}

fn url(fields: &Fields<'_>) -> String {
    let index = fields.get("index");
    let (scheme, rest) = index.split_once("://").unwrap_or(("https", index));
    format!("{scheme}://{}:{}@{rest}/simple", fields.get("username"), fields.get("password"))
}
