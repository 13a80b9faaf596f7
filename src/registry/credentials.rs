//! Which credential a registry is shown, and where it was found.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::registry::credential::{Credential, Found, Search};
use crate::registry::credential_helper;
use crate::registry::docker_config::{DockerConfig, Entry};
use crate::registry::quirks;
use crate::secret::value::Secret;

/// What the chain may look at; nothing else of the environment is read.
#[derive(Debug, Clone, Default)]
pub struct CredentialSettings {
    /// What the user gave to this very command; it is shown to every registry of the command.
    pub explicit: Option<(String, Secret)>,
    /// The environment, or the part of it that matters: `HONEYCRATE_REGISTRY*`, `DOCKER_*`, `XDG_RUNTIME_DIR`, `PATH`, `CI_*`, `GITHUB_*`.
    pub environment: BTreeMap<String, String>,
    pub home: Option<PathBuf>,
}

/// The chain: explicit, own variables, Docker's and Podman's files with their helpers, the CI system's variables.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    settings: CredentialSettings,
}

impl Credentials {
    #[must_use]
    pub fn new(settings: CredentialSettings) -> Self {
        Self { settings }
    }

    /// The first credential for a repository of a registry (`host[:port]` as in references).
    pub async fn find(&self, registry: &str, repository: &str) -> Search {
        if let Some((user, password)) = &self.settings.explicit {
            return password_found(user, password.clone(), "the given user and password");
        }
        let own = self.variable("HONEYCRATE_REGISTRY").is_none_or(|only| only == registry);
        if let (true, Some(user), Some(password)) = (own, self.variable("HONEYCRATE_REGISTRY_USER"), self.variable("HONEYCRATE_REGISTRY_PASSWORD")) {
            return password_found(user, Secret::new(password.to_owned()), "HONEYCRATE_REGISTRY_USER and HONEYCRATE_REGISTRY_PASSWORD");
        }
        let mut search = Search::default();
        for (source, text) in self.configurations() {
            match DockerConfig::parse(&text) {
                Ok(config) => {
                    search.found = self.in_config(&config, &source, registry, repository, &mut search.troubles).await;
                    if search.found.is_some() {
                        return search;
                    }
                }
                Err(why) => search.troubles.push(format!("{source}: {why}")),
            }
        }
        search.found = self.of_the_job(registry);
        search
    }

    async fn in_config(&self, config: &DockerConfig, source: &str, registry: &str, repository: &str, troubles: &mut Vec<String>) -> Option<Found> {
        let quirk = quirks::of(registry);
        let key = quirk.credential_keys.first().copied().unwrap_or(registry);
        if let Some((helper, key)) = config.helper(registry, quirk.credential_keys) {
            return self.ask(helper, &key, source, troubles).await;
        }
        match config.entry(registry, repository) {
            Some(Ok(Entry { credential, key })) => return Some(Found { credential, source: format!("{source}, entry {key}") }),
            Some(Err(why)) => troubles.push(format!("{source}: {why}")),
            None => {}
        }
        self.ask(config.store()?, key, source, troubles).await
    }

    async fn ask(&self, helper: &str, key: &str, source: &str, troubles: &mut Vec<String>) -> Option<Found> {
        let path = self.variable("PATH").unwrap_or_default();
        match credential_helper::get(helper, key, path).await {
            Ok(credential) => credential.map(|credential| Found { credential, source: format!("docker-credential-{helper}, named in {source}") }),
            Err(why) => {
                troubles.push(why);
                None
            }
        }
    }

    /// Files and texts in Docker's format, nearest first. Files that do not exist are left out.
    fn configurations(&self) -> Vec<(String, String)> {
        let home = self.settings.home.as_deref();
        let docker = self.variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home?.join(".docker")));
        let runtime = self.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let files = [
            docker.map(|directory| directory.join("config.json")),
            self.variable("REGISTRY_AUTH_FILE").map(PathBuf::from),
            runtime.map(|directory| directory.join("containers/auth.json")),
            home.map(|home| home.join(".config/containers/auth.json")),
        ];
        let read = |path: PathBuf| Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?));
        let text = self.variable("DOCKER_AUTH_CONFIG").map(|text| ("DOCKER_AUTH_CONFIG".to_owned(), text.to_owned()));
        files.into_iter().flatten().filter_map(read).chain(text).collect()
    }

    fn of_the_job(&self, registry: &str) -> Option<Found> {
        let pair = |user: &str, password: &str| {
            let found = password_found(self.variable(user)?, Secret::new(self.variable(password)?.to_owned()), &format!("{user} and {password}"));
            found.found
        };
        if registry == "ghcr.io" {
            return pair("GITHUB_ACTOR", "GITHUB_TOKEN");
        }
        // GitLab writes the port only where it is not 443.
        if self.variable("CI_REGISTRY").is_some_and(|own| own.trim_end_matches(":443") == registry.trim_end_matches(":443")) {
            return pair("CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD").or_else(|| pair("CI_DEPLOY_USER", "CI_DEPLOY_PASSWORD"));
        }
        None
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.settings.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn password_found(user: &str, password: Secret, source: &str) -> Search {
    let credential = Credential::Password { user: user.to_owned(), password };
    Search { found: Some(Found { credential, source: source.to_owned() }), troubles: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(environment: &[(&str, &str)], home: Option<PathBuf>) -> Credentials {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Credentials::new(CredentialSettings { explicit: None, environment, home })
    }

    fn user(search: &Search) -> Option<&str> {
        match &search.found.as_ref()?.credential {
            Credential::Password { user, .. } => Some(user),
            Credential::Identity(_) => None,
        }
    }

    #[tokio::test]
    async fn ci_variables_are_for_their_own_registry_alone() {
        let ci = credentials(
            &[
                ("CI_REGISTRY", "registry.example.com"),
                ("CI_REGISTRY_USER", "job"),
                ("CI_REGISTRY_PASSWORD", "x"),
                ("GITHUB_ACTOR", "octo"),
                ("GITHUB_TOKEN", "x"),
            ],
            None,
        );
        assert_eq!(user(&ci.find("registry.example.com", "a/b").await), Some("job"));
        assert_eq!(user(&ci.find("ghcr.io", "a/b").await), Some("octo"));
        assert_eq!(user(&ci.find("docker.io", "a/b").await), None);
    }

    #[tokio::test]
    async fn the_nearest_source_wins() {
        let home = tempfile::tempdir().expect("a scratch directory");
        std::fs::create_dir(home.path().join(".docker")).expect("a scratch directory");
        let config = r#"{"auths":{"ghcr.io":{"username":"file","password":"x"}}}"#;
        std::fs::write(home.path().join(".docker/config.json"), config).expect("a scratch file");
        let ci = [("GITHUB_ACTOR", "octo"), ("GITHUB_TOKEN", "x")];
        let from_file = credentials(&ci, Some(home.path().to_owned())).find("ghcr.io", "a/b").await;
        assert_eq!(user(&from_file), Some("file"));
        assert!(from_file.found.is_some_and(|found| found.source.contains(".docker/config.json")));
        let own = [ci[0], ci[1], ("HONEYCRATE_REGISTRY_USER", "own"), ("HONEYCRATE_REGISTRY_PASSWORD", "x")];
        assert_eq!(user(&credentials(&own, Some(home.path().to_owned())).find("ghcr.io", "a/b").await), Some("own"));
        let elsewhere = [own[0], own[1], own[2], own[3], ("HONEYCRATE_REGISTRY", "quay.io")];
        assert_eq!(user(&credentials(&elsewhere, None).find("ghcr.io", "a/b").await), Some("octo"));
    }

    #[tokio::test]
    async fn a_broken_file_is_told_and_passed_over() {
        let search =
            credentials(&[("DOCKER_AUTH_CONFIG", "{nonsense"), ("GITHUB_ACTOR", "octo"), ("GITHUB_TOKEN", "x")], None).find("ghcr.io", "a").await;
        assert_eq!(user(&search), Some("octo"));
        assert!(search.troubles[0].starts_with("DOCKER_AUTH_CONFIG"));
    }
}
