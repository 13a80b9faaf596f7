//! The laboratory: the program in a home of its own, real registries, daemons and builders, and a thief.

pub(crate) mod act;
pub(crate) mod aws;
pub(crate) mod buildah;
pub(crate) mod canarytokens;
pub(crate) mod command;
pub(crate) mod daemon;
pub(crate) mod debian;
pub(crate) mod decoy;
pub(crate) mod forge;
pub(crate) mod gitguardian;
pub(crate) mod gitlab_ci_local;
pub(crate) mod honeycrate;
pub(crate) mod images;
pub(crate) mod numbers;
pub(crate) mod plain_http;
#[expect(dead_code, reason = "the tests of the store itself use the rest")]
pub(crate) mod postgres;
pub(crate) mod prism;
pub(crate) mod proxy;
pub(crate) mod raw_tar;
pub(crate) mod registry;
pub(crate) mod service;
pub(crate) mod shelf;
pub(crate) mod skopeo;
pub(crate) mod tar;
pub(crate) mod thief;
pub(crate) mod thinkst;
pub(crate) mod tls;
pub(crate) mod token_server;
pub(crate) mod vendors;
pub(crate) mod wire;
