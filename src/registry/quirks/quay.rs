//! Red Hat's Quay, at quay.io; instances of one's own differ only in their names.

use crate::registry::quirks::contract::Quirk;

pub const QUAY: Quirk = Quirk {
    name: "Quay",
    hosts: &["quay.io"],
    push_hint: "log in as a robot account with write permission on this repository; a new repository needs the right to create in its namespace",
    observed: "a manifest is taken with 202 (containers/image#381); a mount that does not say from where is a bad request \
               (GoogleContainerTools/jib#703)",
    ..Quirk::SPEC
};
