//! The pipeline that `honeycrate init --gitlab` writes: build, then our component, which this program holds and therefore can pin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Where GitLab looks for it, from the root of a repository.
pub const PATH: &str = ".gitlab-ci.yml";

/// The component's project on gitlab.com.
const PROJECT: &str = "honeycrate/honeycrate";

/// The component as this version ships it: all that reaches whoever includes it.
const SHIP: &str = include_str!("../../templates/ship.yml");

/// The lines that include the component into a pipeline of the instance that the git remote names.
///
/// A component can be named on its own instance only. Others fetch the same file, held to its SHA-256 (`integrity`, GitLab 17.9).
#[must_use]
pub fn include(remote: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let source = if remote.is_some_and(is_at_home) {
        format!("  - component: $CI_SERVER_FQDN/{PROJECT}/ship@{version}\n")
    } else {
        let sum = STANDARD.encode(Sha256::digest(SHIP));
        format!("  - remote: https://gitlab.com/{PROJECT}/-/raw/{version}/templates/ship.yml\n    integrity: sha256-{sum}\n")
    };
    format!(
        "\
include:
{source}    inputs:
      image: oci-archive:image.tar
      to: $CI_REGISTRY_IMAGE:$CI_COMMIT_SHA
      environment: production
      # For honeytokens: a host of yours that runs `honeycrate decoy`, and the key that `honeycrate key new --print` makes,
      # in the masked variable HONEYCRATE_KEY.
      # decoy: decoy.acme.io
"
    )
}

/// The whole pipeline.
#[must_use]
pub fn template(remote: Option<&str>) -> String {
    let include = include(remote);
    format!(
        "\
# Builds the image and lets honeycrate look into it; what passes is pushed. A merge request is looked at, what is merged is pushed.
{include}
# One pipeline for each push: the merge request's, where there is one.
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
    - if: $CI_COMMIT_BRANCH || $CI_COMMIT_TAG

build:
  stage: build
  image: quay.io/buildah/stable:v1.43.1
  rules:
    - when: on_success
  variables:
    BUILDAH_ISOLATION: chroot
    STORAGE_DRIVER: vfs
  script:
    - buildah build --tag built .
    - buildah push built oci-archive:image.tar
  artifacts:
    paths: [image.tar]
    # The image before planting, beside the one after it, would show where honeytokens lie.
    access: none
    expire_in: 1 hour
"
    )
}

/// Whether a remote lies on the instance that has the component.
fn is_at_home(remote: &str) -> bool {
    let rest = remote.split_once("://").map_or(remote, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    host.rsplit('@').next() == Some("gitlab.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_named_at_home_and_fetched_by_its_sum_elsewhere() {
        for (remote, at_home) in [
            (Some("git@gitlab.com:acme/shop.git"), true),
            (Some("https://gitlab.com/acme/shop"), true),
            (Some("https://gitlab.com.acme.example/acme/shop"), false),
            (Some("https://git.acme.example/gitlab.com/shop.git"), false),
            (None, false),
        ] {
            let text = include(remote);
            assert_eq!((text.contains("component:"), text.contains("integrity: sha256-")), (at_home, !at_home), "{remote:?}\n{text}");
            let pipeline = template(remote);
            assert!(serde_yaml::from_str::<serde_yaml::Value>(&pipeline).is_ok(), "{pipeline}");
        }
    }
}
