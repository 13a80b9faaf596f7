//! Access to a Kubernetes cluster: a kubeconfig without a current context.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Recipe, Seen, SelfTelling, Spot, Usage};
use crate::bait::kinds::jwt::{signature, signed};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;
use crate::bait::token::{BASE64URL, Layout, looks_random};
use crate::secret::value::Secret;

/// The signature of a service account's token, see [`crate::bait::kinds::jwt`].
static LAYOUT: Layout = Layout { id: "kubeconfig", alphabet: BASE64URL, length: 85, names: 40, accept: looks_random };

pub struct Kubeconfig;

impl BaitKind for Kubeconfig {
    fn id(&self) -> &'static str {
        LAYOUT.id
    }

    fn describe(&self) -> &'static str {
        "a Kubernetes cluster, as a service account that deploys"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "token"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        let (cluster, server, user, token) = (fields.get("cluster"), fields.get("server"), fields.get("user"), fields.get("token"));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    server: {server}\ncontexts:\n- name: {user}@{cluster}\n  \
             context:\n    cluster: {cluster}\n    user: {user}\nusers:\n- name: {user}\n  user:\n    token: {token}\npreferences: {{}}\n"
        )
    }

    fn syntax(&self) -> Syntax {
        Syntax::Comments
    }

    fn file_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".kube/config.old"), Spot(Area::App, "deploy/kubeconfig.yaml"), Spot(Area::Side, "deploy/kubeconfig.yaml")]
    }

    fn buried_spots(&self) -> &'static [Spot] {
        &[Spot(Area::Home, ".kube/config"), Spot(Area::App, "kubeconfig.yaml"), Spot(Area::App, "deploy/kubeconfig.yaml")]
    }

    fn variable_stems(&self) -> &'static [&'static str] {
        &["DEPLOY_CLUSTER", "STAGING_CLUSTER"]
    }

    fn variables(&self, fields: &Fields<'_>) -> Vec<(&'static str, String)> {
        vec![("_TOKEN", fields.get("token").to_owned()), ("_SERVER", fields.get("server").to_owned())]
    }

    fn build_argument(&self) -> &'static str {
        "DEPLOY_CLUSTER_TOKEN"
    }

    fn seen_by(&self) -> Seen {
        Seen { gitleaks: Ok("jwt"), trufflehog: Ok("JWT"), kingfisher: Ok("betterleaks.jwt"), trivy: Ok("jwt-token") }
    }

    fn self_telling(&self) -> Option<&dyn SelfTelling> {
        Some(self)
    }
}

impl SelfTelling for Kubeconfig {
    fn service(&self) -> &'static str {
        "k8s"
    }

    fn layout(&self) -> &'static Layout {
        &LAYOUT
    }

    fn mint(&self, recipe: &Recipe<'_>) -> Vec<(&'static str, Secret)> {
        let server = recipe.host.url(self.service());
        let account = recipe.word("account", &["deployer", "ci", "release"]);
        let subject = format!("system:serviceaccount:{}:{account}", recipe.name().replace('.', "-"));
        let token = signed(recipe, &LAYOUT, &server, &subject, "https://kubernetes.default.svc");
        let cluster = format!("{}-{}", recipe.group(), recipe.word("cluster", &["eu1", "eu-west", "us-east", "core"]));
        vec![
            ("server", Secret::new(server)),
            ("cluster", Secret::new(cluster)),
            ("user", Secret::new(account.to_owned())),
            ("token", Secret::new(token)),
        ]
    }

    fn usage(&self, fields: &Fields<'_>, _: &str) -> Usage {
        Usage::bearer(format!("{}/version", fields.get("server")), fields.get("token"))
    }

    fn sealed<'a>(&self, presented: &'a str) -> Option<&'a str> {
        signature(presented)
    }
}
