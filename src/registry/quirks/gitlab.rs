//! GitLab's container registry at gitlab.com; instances of one's own differ only in their names.

use crate::registry::quirks::contract::Quirk;

pub const GITLAB: Quirk = Quirk {
    name: "GitLab",
    hosts: &["registry.gitlab.com"],
    realms: &["gitlab.com"],
    push_hint: "the repository must begin with the project's path (CI_REGISTRY_IMAGE); a job token writes only to its own project, \
                and protected tags need a protected branch",
    observed: "tokens come from gitlab.com/jwt/auth and live 5 to 15 minutes, so that long pushes meet a 401 (gitlab-org/gitlab#361279)",
    ..Quirk::SPEC
};
