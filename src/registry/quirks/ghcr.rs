//! GitHub's container registry.

use crate::registry::quirks::contract::Quirk;

pub const GHCR: Quirk = Quirk {
    name: "GHCR",
    hosts: &["ghcr.io"],
    push_hint: "give the job `permissions: packages: write`, and the package's settings must let this repository write; \
                outside of Actions, a classic token with write:packages is needed",
    observed: "a piece over 4 MiB answers 416 (oras-project/rust-oci-client#35), while one whole PUT has no such limit; \
               upload locations are relative (apple/swift-container-plugin#44); a revoked credential answers 403 at the token address (devcontainers/cli#515); \
               limits are told in the body as `retry-after: 10ms, allowed: 2000/minute`",
    ..Quirk::SPEC
};
