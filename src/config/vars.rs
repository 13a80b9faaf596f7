//! Every environment variable that honeycrate reads, as one table. The only file that touches the environment.

use std::collections::BTreeMap;
use std::fmt;

use crate::secret::value::Secret;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// What it is for, as a phrase.
    pub what: &'static str,
    /// Its value is a credential: read with [`Variables::secret`] only.
    pub secret: bool,
}

macro_rules! variables {
    ($($row:ident: $secret:literal, $what:literal;)+) => {
        $(pub const $row: Variable = Variable { name: stringify!($row), what: $what, secret: $secret };)+

        /// The whole table, in the order in which help prints it.
        pub const TABLE: &[Variable] = &[$($row),+];
    };
}

variables! {
    HONEYCRATE_CONFIG: false, "the configuration file, instead of honeycrate.yaml in the working directory";
    HONEYCRATE_SERVICE: false, "what the image is, instead of the repository of the first destination";
    HONEYCRATE_ENVIRONMENT: false, "where this copy of the image goes";
    HONEYCRATE_RELEASE: false, "the release that is shipped, where each has tokens of its own; else the tag that the job runs for";
    HONEYCRATE_FAIL_ON: false, "the mildest severity that blocks: none, low, medium, high or critical";
    HONEYCRATE_ENFORCE: false, "what becomes of a denied image: block, warn or block-after:YEAR-MONTH-DAY";
    HONEYCRATE_DECOY: false, "the host that honeytokens lead to";
    HONEYCRATE_DISCLOSURE: false, "what published reports may say: auto, findings or placements";
    HONEYCRATE_KEY: true, "the owner's keys, as in a key file; commas may stand for line ends";
    HONEYCRATE_KEY_FILE: false, "the owner's key file, instead of ~/.config/honeycrate/key";
    HONEYCRATE_LEDGER: true, "the ledger: a file, instead of honeycrate/ledger.sqlite in the state directory, or a URL";
    HONEYCRATE_CACHE: false, "the folder of scan results, instead of honeycrate in the cache directory; or off";
    HONEYCRATE_CA_FILE: false, "more certificates to trust for registries and forges (PEM)";
    HONEYCRATE_PLAIN_HTTP: false, "registries spoken to without TLS: host[:port], separated by commas";
    HONEYCRATE_REGISTRY: false, "the registry that the next two are for; every registry without it";
    HONEYCRATE_REGISTRY_USER: false, "the user to show to registries";
    HONEYCRATE_REGISTRY_PASSWORD: true, "that user's password or token";
    HONEYCRATE_WEBHOOK_URL: true, "one more webhook that receives alerts";
    HONEYCRATE_GITLAB_TOKEN: true, "a project access token that may write notes on merge requests";
    HONEYCRATE_GITGUARDIAN_TOKEN: true, "a key of GitGuardian that may make honeytokens and read their events";
    GITGUARDIAN_API_KEY: true, "the same, as ggshield reads it";
    AWS_ACCESS_KEY_ID: true, "AWS: the key of the account in which honeytokens are made";
    AWS_SECRET_ACCESS_KEY: true, "AWS: its secret";
    AWS_SESSION_TOKEN: true, "AWS: for keys that last for hours";
    HONEYCRATE_CANARYTOKENS_WEBHOOK: true, "where a Canarytokens server posts its own alerts";
    HONEYCRATE_THINKST_FACTORY: true, "the auth string of a Canary Console's factory, which makes tokens and does nothing else";
    HONEYCRATE_THINKST_KEY: true, "an API key of a Canary Console";
    HONEYCRATE_IMAGE: false, "the image that `honeycrate ci` ships or scans";
    HONEYCRATE_TO: false, "where `honeycrate ci` pushes it: references, one in a line";
    HONEYCRATE_PLANT: false, "whether `honeycrate ci` plants: auto, true or false";
    HONEYCRATE_SURFACES: false, "the surfaces that `honeycrate ci` plants on, separated by commas";
    HONEYCRATE_BASELINE: false, "findings that are known, for `honeycrate ci`";
    HONEYCRATE_IGNORE_FILES: false, "other scanners' ignore files for `honeycrate ci`, one in a line";
    HONEYCRATE_RULES: false, "more rules for `honeycrate ci`, a file or folder in a line";
    HONEYCRATE_VALIDATE: false, "whether `honeycrate ci` asks vendors about what it finds: true or false";
    HONEYCRATE_DOCKERFILE: false, "the Dockerfile that findings point at, for `honeycrate ci`";
    HONEYCRATE_COMMENT: false, "when `honeycrate ci` comments on the change: never, on-findings or always";
    HONEYCRATE_COMMENT_ID: false, "what sets that comment apart from those of other runs";
    HONEYCRATE_MATRIX: false, "what tells the legs of a matrix apart, as GitHub writes it: `toJSON(matrix)`";
    HONEYCRATE_PR_NUMBER: false, "the pull request that `honeycrate ci` comments on";
    HONEYCRATE_ANNOTATIONS: false, "how `honeycrate ci` shows findings beside the code: commands, check-run or none";
    HONEYCRATE_SUMMARY: false, "whether `honeycrate ci` writes the job's summary: true or false";
    HONEYCRATE_UPLOAD_SARIF: false, "whether `honeycrate ci` hands findings to code scanning: true or false";
    HONEYCRATE_REPORT_DIR: false, "the folder of the reports of `honeycrate ci`";
    HONEYCRATE_STRICT_FORGE: false, "whether `honeycrate ci` fails where it cannot comment: true or false";
    HONEYCRATE_DRY_RUN: false, "whether `honeycrate ci` stops before it changes anything: true or false";
    HONEYCRATE_UPLOAD: false, "when layers leave in `honeycrate ci`: as-scanned or after-verdict";
    CI: false, "any CI system: set in its jobs";
    JENKINS_URL: false, "Jenkins: set in its jobs";
    TF_BUILD: false, "Azure Pipelines: set in its jobs";
    TEAMCITY_VERSION: false, "TeamCity: set in its jobs";
    CODEBUILD_BUILD_ID: false, "AWS CodeBuild: set in its jobs";
    BITBUCKET_BUILD_NUMBER: false, "Bitbucket Pipelines: set in its jobs";
    HOME: false, "the home directory, where the defaults lie";
    XDG_CACHE_HOME: false, "the directory of caches, instead of ~/.cache";
    XDG_CONFIG_HOME: false, "the directory of configurations, instead of ~/.config";
    XDG_STATE_HOME: false, "the directory of state, instead of ~/.local/state";
    XDG_RUNTIME_DIR: false, "where podman keeps registry credentials";
    TMPDIR: false, "the directory for scratch files";
    PATH: false, "where Docker credential helpers are looked for";
    DOCKER_AUTH_CONFIG: true, "registry credentials as the text of a config.json, as GitLab runners give them";
    DOCKER_CONFIG: false, "the directory of Docker's config.json with registry credentials";
    DOCKER_HOST: false, "the Docker daemon's socket or address";
    REGISTRY_AUTH_FILE: false, "the file of registry credentials of podman and skopeo";
    PWD: false, "the working directory as the shell entered it";
    PGPASSFILE: false, "passwords of PostgreSQL servers, instead of ~/.pgpass";
    PGPASSWORD: true, "the password for a ledger in PostgreSQL whose URL has none";
    USER: false, "who writes an exception, where --owner names nobody";
    GITHUB_ACTIONS: false, "GitHub: set on its runners";
    GITHUB_ACTOR: false, "GitHub: who began the run";
    GITHUB_API_URL: false, "GitHub: its API";
    GITHUB_EVENT_NAME: false, "GitHub: what began the run";
    GITHUB_EVENT_PATH: false, "GitHub: the file with the event's payload";
    GITHUB_REPOSITORY: false, "GitHub: owner/name";
    GITHUB_RUN_ID: false, "GitHub: the run, for links";
    GITHUB_SERVER_URL: false, "GitHub: its site, for links";
    GITHUB_SHA: false, "GitHub: the commit";
    CI_COMMIT_TAG: false, "GitLab: the tag that the pipeline runs for";
    GITHUB_OUTPUT: false, "GitHub: the file that becomes the step's outputs";
    GITHUB_REF: false, "GitHub: the ref that began the run";
    RUNNER_TEMP: false, "GitHub: the runner's temporary folder";
    GITHUB_WORKSPACE: false, "GitHub: the folder of the checkout";
    GITHUB_STEP_SUMMARY: false, "GitHub: the file that becomes the job summary";
    GITHUB_TOKEN: true, "GitHub: the token for comments and its registry";
    GITLAB_CI: false, "GitLab: set in its jobs";
    CI_API_V4_URL: false, "GitLab: its API";
    CI_COMMIT_SHA: false, "GitLab: the commit";
    CI_JOB_NAME: false, "GitLab: the job, with what tells it apart from others of its matrix";
    CI_JOB_TOKEN: true, "GitLab: the token of the job, for reading";
    CI_JOB_URL: false, "GitLab: the job, for links";
    CI_MERGE_REQUEST_IID: false, "GitLab: the merge request";
    CI_MERGE_REQUEST_SOURCE_PROJECT_PATH: false, "GitLab: where the merge request comes from";
    CI_MERGE_REQUEST_PROJECT_PATH: false, "GitLab: where the merge request goes to";
    CI_MERGE_REQUEST_SOURCE_BRANCH_SHA: false, "GitLab: the newest commit of the merge request";
    CI_MERGE_REQUEST_DIFF_BASE_SHA: false, "GitLab: the commit that the merge request starts from";
    CI_MERGE_REQUEST_TARGET_BRANCH_SHA: false, "GitLab: the newest commit of the branch that the merge request goes to";
    CI_PROJECT_DIR: false, "GitLab: the folder of the work tree";
    CI_PROJECT_ID: false, "GitLab: the project's number";
    CI_PROJECT_PATH: false, "GitLab: group/project";
    CI_PROJECT_VISIBILITY: false, "GitLab: public, internal or private";
    CI_REGISTRY: false, "GitLab: its registry's host";
    CI_REGISTRY_USER: false, "GitLab: the registry user of the job";
    CI_REGISTRY_PASSWORD: true, "GitLab: the registry password of the job";
}

/// A snapshot of the table's variables. Empty ones count as unset: CI systems pass inputs that were not given as empty text.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    /// Names whose values are not UTF-8.
    unreadable: Vec<&'static str>,
}

impl Variables {
    /// Reads the process's environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        let mut snapshot = Self::default();
        for variable in TABLE {
            match std::env::var(variable.name) {
                Ok(value) => snapshot.set(*variable, value),
                Err(std::env::VarError::NotUnicode(_)) => snapshot.unreadable.push(variable.name),
                Err(std::env::VarError::NotPresent) => {}
            }
        }
        snapshot
    }

    /// Sets one value, as the environment would.
    pub fn set(&mut self, variable: Variable, value: String) {
        if value.is_empty() {
            self.values.remove(variable.name);
        } else {
            self.values.insert(variable.name.to_owned(), value);
        }
    }

    /// The value of a variable that is no credential.
    #[must_use]
    pub fn get(&self, variable: Variable) -> Option<&str> {
        if variable.secret { None } else { self.values.get(variable.name).map(String::as_str) }
    }

    /// The value of a credential.
    #[must_use]
    pub fn secret(&self, variable: Variable) -> Option<Secret> {
        self.values.get(variable.name).map(|value| Secret::new(value.clone()))
    }

    /// The same by the variable's name. `None` for what is not in the table.
    #[must_use]
    pub fn secret_named(&self, name: &str) -> Option<Secret> {
        TABLE.iter().find(|variable| variable.name == name).and_then(|variable| self.secret(*variable))
    }

    /// What is set and no credential, by name.
    #[must_use]
    pub fn public(&self) -> BTreeMap<String, String> {
        let values = TABLE.iter().filter_map(|variable| Some((variable.name.to_owned(), self.get(*variable)?.to_owned())));
        values.collect()
    }

    /// What the search for registry credentials may look at, credentials among them.
    #[must_use]
    pub fn for_registries(&self) -> BTreeMap<String, String> {
        let names = ["HONEYCRATE_REGISTRY", "DOCKER_", "REGISTRY_AUTH_FILE", "XDG_", "PATH", "HOME", "CI_", "GITLAB_CI", "GITHUB_"];
        let wanted = |name: &&String| names.iter().any(|start| name.starts_with(start));
        self.values.keys().filter(wanted).map(|name| (name.clone(), self.values[name].clone())).collect()
    }

    /// The variables whose values are not UTF-8.
    #[must_use]
    pub fn unreadable(&self) -> &[&'static str] {
        &self.unreadable
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::credential_helper::WITHHELD;

    #[test]
    fn a_credential_is_neither_printed_nor_handed_out_as_text() {
        let mut variables = Variables::default();
        variables.set(HONEYCRATE_KEY, "hunter2".to_owned());
        variables.set(HONEYCRATE_SERVICE, "shop".to_owned());
        assert_eq!(format!("{variables:?}"), r#"{"HONEYCRATE_KEY", "HONEYCRATE_SERVICE"}"#);
        assert_eq!(variables.get(HONEYCRATE_KEY), None);
        assert_eq!(variables.secret(HONEYCRATE_KEY), Some(Secret::new("hunter2".to_owned())));
        assert_eq!(variables.public().into_keys().collect::<Vec<_>>(), ["HONEYCRATE_SERVICE"]);
    }

    #[test]
    fn an_empty_variable_is_unset() {
        let mut variables = Variables::default();
        variables.set(HONEYCRATE_SERVICE, String::new());
        assert_eq!(variables.get(HONEYCRATE_SERVICE), None);
    }

    #[test]
    fn every_secret_of_ours_is_kept_from_credential_helpers() {
        let ours = TABLE.iter().filter(|variable| variable.secret && variable.name.starts_with("HONEYCRATE_"));
        let ours: std::collections::BTreeSet<&str> = ours.map(|variable| variable.name).collect();
        assert_eq!(ours, WITHHELD.into_iter().collect());
    }

    #[test]
    fn no_variable_is_listed_twice() {
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|variable| variable.name).collect();
        assert_eq!(names.len(), TABLE.len());
    }
}
