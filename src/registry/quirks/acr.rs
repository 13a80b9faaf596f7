//! Azure's container registry.

use crate::registry::quirks::contract::Quirk;

pub const ACR: Quirk = Quirk {
    name: "ACR",
    hosts: &["*.azurecr.io", "*.azurecr.cn", "*.azurecr.us"],
    push_hint: "the identity needs the role AcrPush on this registry; `az acr login` leaves a token that lasts three hours",
    observed: "`az acr login` and the helper leave an identity token, which is posted to /oauth2/token of the registry's own host and buys \
               tokens for exactly the scopes that are asked for, wildcards never (distribution, \"OAuth2 Token Authentication\"); as a password it \
               goes with the user 00000000-0000-0000-0000-000000000000; a Content-Range with a unit or a total is rejected",
    ..Quirk::SPEC
};
