//! Amazon's container registries, private and public.

use crate::registry::quirks::contract::Quirk;

pub const ECR: Quirk = Quirk {
    name: "ECR",
    hosts: &["*.amazonaws.com", "*.amazonaws.com.cn", "public.ecr.aws"],
    push_hint: "log in anew: the password of `aws ecr get-login-password` lasts twelve hours, and its role needs ecr:PutImage and the \
                rights to upload layers; the repository must exist",
    observed: "a private registry wants Basic and gives no tokens; a manifest is taken without a Location, and a piece is answered 201, \
               with a Range that stays at the first piece (aws/containers-roadmap#2831); a repository is not made by a push, and an \
               immutable tag that is set again answers 400 (moby/buildkit#2004)",
    ..Quirk::SPEC
};
