//! skopeo, the independent client that says whether an image arrived.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::command::{must, program};
use crate::common::registry::{PASSWORD, Registry, USER};

/// Which side of a copy the registry is on.
#[derive(Clone, Copy)]
enum Side {
    Only,
    Source,
    Destination,
}

/// Copies every platform of an image from a registry into an OCI layout; skopeo checks each digest on the way.
pub(crate) fn pull(registry: &Registry, name: &str, layout: &Path) {
    let mut command = skopeo(layout);
    command.args(["copy", "--quiet", "--all"]);
    access(&mut command, registry, Side::Source);
    must(command.arg(format!("docker://{}", registry.reference(name))).arg(format!("oci:{}:latest", layout.display())));
}

/// Copies an image from anywhere into a registry, as it is.
pub(crate) fn push(source: &str, registry: &Registry, name: &str) {
    let mut command = skopeo(Path::new("/nonexistent"));
    command.args(["copy", "--quiet", "--all"]);
    access(&mut command, registry, Side::Destination);
    must(command.arg(source).arg(format!("docker://{}", registry.reference(name))));
}

/// Copies an image from one name in a registry to another, as it is.
pub(crate) fn copy_within(registry: &Registry, from: &str, to: &str) {
    let mut command = skopeo(Path::new("/nonexistent"));
    command.args(["copy", "--quiet", "--all"]);
    access(&mut command, registry, Side::Source);
    access(&mut command, registry, Side::Destination);
    must(command.args([from, to].map(|name| format!("docker://{}", registry.reference(name)))));
}

/// Takes away what a tag names, and with it the tag.
pub(crate) fn delete(registry: &Registry, name: &str) {
    let mut command = skopeo(Path::new("/nonexistent"));
    command.arg("delete");
    access(&mut command, registry, Side::Only);
    must(command.arg(format!("docker://{}", registry.reference(name))));
}

/// Copies this machine's platform of an image between places that need no credentials.
pub(crate) fn copy(source: &str, destination: &str) {
    must(skopeo(Path::new("/nonexistent")).args(["copy", "--quiet", source, destination]));
}

/// The manifest or index that a tag or digest names, byte for byte.
pub(crate) fn raw_manifest(registry: &Registry, name: &str) -> String {
    let mut command = skopeo(Path::new("/nonexistent"));
    command.args(["inspect", "--raw"]);
    access(&mut command, registry, Side::Only);
    must(command.arg(format!("docker://{}", registry.reference(name))))
}

/// The config of an image for this machine's platform.
pub(crate) fn config(registry: &Registry, name: &str) -> Value {
    let mut command = skopeo(Path::new("/nonexistent"));
    command.args(["inspect", "--config", "--raw"]);
    access(&mut command, registry, Side::Only);
    serde_json::from_str(&must(command.arg(format!("docker://{}", registry.reference(name))))).expect("a config is JSON")
}

fn skopeo(home: &Path) -> Command {
    let mut command = program("skopeo", home);
    command.arg("--insecure-policy");
    command
}

fn access(command: &mut Command, registry: &Registry, side: Side) {
    let option = |plain: &str| match side {
        Side::Only => format!("--{plain}"),
        Side::Source => format!("--src-{plain}"),
        Side::Destination => format!("--dest-{plain}"),
    };
    match registry.ca() {
        Some(ca) => command.arg(option("cert-dir")).arg(ca.parent().expect("a file lies in a folder")),
        None => command.arg(option("tls-verify=false")),
    };
    if registry.has_auth() {
        command.arg(option("creds")).arg(format!("{USER}:{PASSWORD}"));
    }
}
