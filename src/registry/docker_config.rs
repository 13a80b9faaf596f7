//! Docker's `config.json`, which Podman's `auth.json` and `DOCKER_AUTH_CONFIG` share.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde::Deserialize;

use crate::oci::reference::DOCKER_HUB;
use crate::registry::credential::Credential;
use crate::secret::value::Secret;

/// The members that concern credentials.
///
/// Source: Docker, "docker login", credential stores; containers-auth.json(5) for keys with a repository.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// A credential that stands in the file, and the key that it stands under.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub credential: Credential,
    pub key: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase", default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl DockerConfig {
    /// # Errors
    /// When the text is not a configuration; the reason holds no value of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|cause| format!("not a Docker configuration (line {}, column {})", cause.line(), cause.column()))
    }

    /// The helper for a registry, and the key to ask it for.
    #[must_use]
    pub fn helper(&self, registry: &str, more_keys: &[&str]) -> Option<(&str, String)> {
        let keys = std::iter::once(registry).chain(more_keys.iter().copied());
        keys.filter_map(|key| Some((self.cred_helpers.get(key)?.as_str(), key.to_owned()))).find(|(helper, _)| !helper.is_empty())
    }

    /// The helper for all registries.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.creds_store.as_deref().filter(|name| !name.is_empty())
    }

    /// The entry whose key names most of `registry/repository`. Entries without content are markers for a helper and left out.
    #[must_use]
    pub fn entry(&self, registry: &str, repository: &str) -> Option<Result<Entry, String>> {
        let wanted = format!("{registry}/{repository}");
        let fits = |key: &str| wanted.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let candidates = self.auths.iter().filter(|(_, auth)| !auth.is_empty()).map(|(key, auth)| (normal(key), key, auth));
        let (_, key, auth) = candidates.filter(|(name, _, _)| fits(name)).max_by_key(|(name, _, _)| name.len())?;
        let bad = || format!("the entry {key} holds no user and password");
        Some(auth.credential().map(|credential| Entry { credential, key: key.clone() }).ok_or_else(bad))
    }
}

impl Auth {
    fn is_empty(&self) -> bool {
        [&self.auth, &self.username, &self.identitytoken].iter().all(|member| member.as_deref().unwrap_or_default().is_empty())
    }

    fn credential(&self) -> Option<Credential> {
        if let Some(token) = self.identitytoken.as_deref().filter(|token| !token.is_empty()) {
            return Some(Credential::Identity(Secret::new(token.to_owned())));
        }
        let encoded = self.auth.as_deref().map(str::trim).filter(|auth| !auth.is_empty());
        let Some(encoded) = encoded else { return Some(Credential::of_pair(self.username.clone()?, self.password.clone()?)) };
        let decoded = BASE64_STANDARD.decode(encoded).or_else(|_| BASE64_STANDARD_NO_PAD.decode(encoded)).ok()?;
        let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Credential::of_pair(user.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

/// A key as a reference would write it: without scheme, API version and Docker Hub's old names.
fn normal(key: &str) -> String {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or(bare.strip_suffix("/v2")).unwrap_or(bare);
    let (host, path) = bare.split_once('/').map_or((bare, None), |(host, path)| (host, Some(path)));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { DOCKER_HUB } else { host };
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_of(config: &str, registry: &str, repository: &str) -> Option<String> {
        match DockerConfig::parse(config).expect("a configuration").entry(registry, repository)?.expect("usable").credential {
            Credential::Password { user, .. } => Some(user),
            Credential::Identity(_) => Some("identity".to_owned()),
        }
    }

    #[test]
    fn the_longest_key_wins_and_keys_end_at_slashes() {
        let config = r#"{"auths":{
            "r.io":{"username":"host","password":"x"},
            "r.io/team":{"username":"team","password":"x"},
            "https://r.io/team/app":{"username":"app","password":"x"}}}"#;
        for (repository, user) in [("team/app", "app"), ("team/app/web", "app"), ("team/apple", "team"), ("teams/a", "host")] {
            assert_eq!(user_of(config, "r.io", repository).as_deref(), Some(user), "{repository}");
        }
        assert_eq!(user_of(config, "r.io:5000", "team/app"), None);
    }

    #[test]
    fn docker_hub_is_found_under_its_old_name() {
        let config = format!(r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{}"}}}}}}"#, BASE64_STANDARD.encode("me:a:b"));
        let entry = DockerConfig::parse(&config).expect("a configuration").entry("docker.io", "library/alpine").expect("found").expect("usable");
        assert_eq!(entry.credential, Credential::Password { user: "me".to_owned(), password: Secret::new("a:b".to_owned()) });
    }

    #[test]
    fn identity_tokens_have_two_spellings() {
        let encoded = BASE64_STANDARD.encode("<token>:x");
        let config = format!(r#"{{"auths":{{"a.io":{{"auth":"{encoded}"}},"b.io":{{"auth":"{encoded}","identitytoken":"y"}},"c.io":{{}}}}}}"#);
        assert_eq!(user_of(&config, "a.io", "r").as_deref(), Some("identity"));
        assert_eq!(user_of(&config, "b.io", "r").as_deref(), Some("identity"));
        assert_eq!(user_of(&config, "c.io", "r"), None);
    }
}
