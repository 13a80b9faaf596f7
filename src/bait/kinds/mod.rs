//! The bait kinds: one file each, and the table that lists them.

pub mod aws_keys;
pub mod azure_id;
pub mod contract;
pub mod database_url;
pub mod dns_name;
pub mod git_credentials;
pub mod https_url;
pub mod jwt;
pub mod kubeconfig;
pub mod kubeconfig_file;
pub mod mcp_config;
pub mod mysql_dump;
pub mod npm_index;
pub mod pypi_index;
pub mod registry_login;
pub mod s3_keys;
pub mod vault_token;
pub mod web_url;
pub mod wireguard;

use crate::bait::kinds::contract::{BaitKind, Opened, SelfTelling};
use crate::bait::surfaces::Surface;
use crate::secret::key_ring::KeyRing;

/// Every kind, the ones chosen by default first.
pub static KINDS: [&dyn BaitKind; 18] = [
    &registry_login::RegistryLogin,
    &database_url::DatabaseUrl,
    &git_credentials::GitCredentials,
    &pypi_index::PypiIndex,
    &https_url::HttpsUrl,
    &npm_index::NpmIndex,
    &kubeconfig::Kubeconfig,
    &s3_keys::S3Keys,
    &vault_token::VaultToken,
    &jwt::Jwt,
    &aws_keys::AwsKeys,
    &kubeconfig_file::KubeconfigFile,
    &azure_id::AzureId,
    &mcp_config::McpConfig,
    &wireguard::Wireguard,
    &mysql_dump::MysqlDump,
    &web_url::WebUrl,
    &dns_name::DnsName,
];

/// The kind with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn BaitKind> {
    KINDS.into_iter().find(|kind| kind.id() == id)
}

/// The kinds that look natural on a surface.
pub fn on(surface: Surface) -> impl Iterator<Item = &'static dyn BaitKind> {
    KINDS.into_iter().filter(move |kind| kind.surfaces().contains(&surface))
}

/// The kinds whose tokens tell themselves.
pub fn self_telling() -> impl Iterator<Item = &'static dyn SelfTelling> {
    KINDS.into_iter().filter_map(BaitKind::self_telling)
}

/// What a text that somebody presented says, when it is one of the owner's tokens.
///
/// The text is one credential: a user name, a password, a bearer token, a path segment, an access key id. What holds a
/// credential among other text goes through [`crate::bait::own::find`].
#[must_use]
pub fn recognise(ring: &KeyRing, presented: &str) -> Option<Opened> {
    self_telling().find_map(|kind| kind.recognise(ring, presented))
}
