//! Docker Hub.

use crate::registry::quirks::contract::Quirk;

pub const DOCKER_HUB: Quirk = Quirk {
    name: "Docker Hub",
    hosts: &["docker.io"],
    api_host: Some("registry-1.docker.io"),
    realms: &["auth.docker.io"],
    credential_keys: &["https://index.docker.io/v1/", "index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"],
    push_hint: "log in with a personal access token that may write; the repository's namespace must be yours",
    observed: "references say docker.io, the API is at registry-1.docker.io, tokens come from auth.docker.io, and `docker login` \
               keeps the credential under https://index.docker.io/v1/; a mount without pull scope on its source answers 401 \
               (google/go-containerregistry#1404)",
    ..Quirk::SPEC
};
