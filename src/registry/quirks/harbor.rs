//! Harbor, at its own demonstration; instances of one's own differ only in their names.

use crate::registry::quirks::contract::Quirk;

pub const HARBOR: Quirk = Quirk {
    name: "Harbor",
    hosts: &["demo.goharbor.io", "registry.goharbor.io"],
    push_hint: "the repository must begin with a project in which the user or robot account may push; a robot's name holds a `$`, which \
                a shell must not expand",
    observed: "a mount from a project that the user cannot see answers 401, where the specification has 202 (goharbor/harbor#17097)",
    ..Quirk::SPEC
};
