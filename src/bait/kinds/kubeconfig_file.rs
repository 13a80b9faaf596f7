//! Access to a Kubernetes cluster by a client certificate, which only the cluster's authority makes: a kubeconfig without a current context.

use crate::bait::kinds::contract::{Area, BaitKind, Fields, Seen, Spot};
use crate::bait::surfaces::Surface;
use crate::bait::surroundings::Syntax;

pub struct KubeconfigFile;

impl BaitKind for KubeconfigFile {
    fn id(&self) -> &'static str {
        "kubeconfig-file"
    }

    fn describe(&self) -> &'static str {
        "a Kubernetes cluster, by a client certificate"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::File, Surface::Buried]
    }

    fn identifying(&self) -> &'static str {
        "client_key"
    }

    fn file_text(&self, fields: &Fields<'_>) -> String {
        let (cluster, user) = (fields.get("cluster"), fields.get("user"));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {cluster}\n  cluster:\n    certificate-authority-data: {}\n    server: {}\n\
             contexts:\n- name: {user}@{cluster}\n  context:\n    cluster: {cluster}\n    user: {user}\nusers:\n- name: {user}\n  user:\n    \
             client-certificate-data: {}\n    client-key-data: {}\npreferences: {{}}\n",
            fields.get("authority"),
            fields.get("server"),
            fields.get("client_certificate"),
            fields.get("client_key"),
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
        &[]
    }

    /// Nobody writes a file of this length into a variable.
    fn variables(&self, _: &Fields<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn build_argument(&self) -> &'static str {
        "DEPLOY_KUBECONFIG"
    }

    fn seen_by(&self) -> Seen {
        Seen {
            gitleaks: Ok("private-key"),
            trufflehog: Ok("PrivateKey"),
            kingfisher: Ok("betterleaks.private-key"),
            trivy: Err("has no rule for it"),
        }
    }
}
