//! What a CI step can be told, as one table: each input of the Action and the component is one variable of `honeycrate ci`.

use crate::config::vars::{self, Variable};

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// As workflows write it: kebab-case.
    pub name: &'static str,
    /// What carries it to the program. Empty is not given.
    pub variable: Variable,
    /// What it is for, as a sentence without its full stop; its default is told at the end.
    pub what: &'static str,
    /// The words that it may be, where it may not be any text.
    pub words: &'static [&'static str],
}

const fn text(name: &'static str, variable: Variable, what: &'static str) -> Input {
    Input { name, variable, what, words: &[] }
}

const fn word(name: &'static str, variable: Variable, words: &'static [&'static str], what: &'static str) -> Input {
    Input { name, variable, what, words }
}

/// The words of a switch.
pub const SWITCH: &[&str] = &["true", "false"];

/// Every input, in the order in which `action.yml`, the component and the documents list them.
pub const TABLE: &[Input] = &[
    text(
        "image",
        vars::HONEYCRATE_IMAGE,
        "The image as built: docker-daemon:NAME, docker-archive:FILE, oci:FOLDER, oci-archive:FILE or docker://REFERENCE; a bare name is read from the Docker daemon",
    ),
    text(
        "to",
        vars::HONEYCRATE_TO,
        "Where it goes: references, one in a line; without any, the configuration's for this environment; where there is none, the image is scanned and goes nowhere",
    ),
    text(
        "environment",
        vars::HONEYCRATE_ENVIRONMENT,
        "The environment that this copy goes to, each with honeytokens of its own; default: the configuration's only one, or default",
    ),
    text("service", vars::HONEYCRATE_SERVICE, "What the image is; default: the repository that it is pushed to"),
    text("config", vars::HONEYCRATE_CONFIG, "The configuration file; default: honeycrate.yaml, if there is one"),
    word(
        "plant",
        vars::HONEYCRATE_PLANT,
        &["auto", "true", "false"],
        "Whether honeytokens are planted: auto does it where there are a key and a decoy; default: auto",
    ),
    text("surfaces", vars::HONEYCRATE_SURFACES, "Surfaces to plant on, separated by commas; default: file, env, buried, history"),
    text("decoy", vars::HONEYCRATE_DECOY, "The host that planted credentials lead to"),
    text("key", vars::HONEYCRATE_KEY, "The owner's key, from a secret of the repository"),
    text(
        "ledger",
        vars::HONEYCRATE_LEDGER,
        "Where placements are remembered: a file, or a URL; one that holds a password is a secret, in the variable HONEYCRATE_LEDGER",
    ),
    word("fail-on", vars::HONEYCRATE_FAIL_ON, &["none", "low", "medium", "high", "critical"], "Deny from this severity up; default: high"),
    text(
        "enforce",
        vars::HONEYCRATE_ENFORCE,
        "What becomes of a denied image: block, warn (it goes on), or block-after:YEAR-MONTH-DAY (it goes on up to that day); default: block",
    ),
    text(
        "baseline",
        vars::HONEYCRATE_BASELINE,
        "Findings in this file are known and do not deny; the step writes one for what it finds, see baseline-file",
    ),
    text("ignore-files", vars::HONEYCRATE_IGNORE_FILES, "Other scanners' ignore files, one in a line"),
    text("rules", vars::HONEYCRATE_RULES, "More rules, of ours, gitleaks, Nosey Parker or Kingfisher: files or folders, one in a line"),
    word("validate", vars::HONEYCRATE_VALIDATE, SWITCH, "Ask vendors whether what is found still works; default: false"),
    text("dockerfile", vars::HONEYCRATE_DOCKERFILE, "The Dockerfile that findings point at; default: Dockerfile, if it is there"),
    word("comment", vars::HONEYCRATE_COMMENT, &["never", "on-findings", "always"], "When the change gets a comment; default: on-findings"),
    text(
        "comment-id",
        vars::HONEYCRATE_COMMENT_ID,
        "Sets the comment apart from those of other runs for the same image and environment; default: the tag without numbers, and the leg of a matrix",
    ),
    text("pr-number", vars::HONEYCRATE_PR_NUMBER, "The pull request to comment on; default: the event's, or the open one of this commit"),
    word(
        "annotations",
        vars::HONEYCRATE_ANNOTATIONS,
        &["commands", "check-run", "none"],
        "How findings are shown beside the code; default: commands",
    ),
    word("summary", vars::HONEYCRATE_SUMMARY, SWITCH, "Whether the job's summary gets the report; default: true"),
    word(
        "upload-sarif",
        vars::HONEYCRATE_UPLOAD_SARIF,
        SWITCH,
        "Whether code scanning gets the findings; needs security-events: write; default: false",
    ),
    word(
        "disclosure",
        vars::HONEYCRATE_DISCLOSURE,
        &["auto", "findings", "placements"],
        "What is published: placements is for private repositories alone; default: auto",
    ),
    text(
        "report-dir",
        vars::HONEYCRATE_REPORT_DIR,
        "The folder of the report files; default: a new one in the runner's temporary folder, honeycrate-reports on GitLab",
    ),
    word("strict-forge", vars::HONEYCRATE_STRICT_FORGE, SWITCH, "End with exit code 8 where the comment cannot be left; default: false"),
    word("dry-run", vars::HONEYCRATE_DRY_RUN, SWITCH, "Stop before anything is minted, planted, pushed or recorded; default: false"),
    text("registry", vars::HONEYCRATE_REGISTRY, "The registry that the next two are for; default: every one"),
    text(
        "registry-username",
        vars::HONEYCRATE_REGISTRY_USER,
        "The user to show to registries; default: docker's config.json, and the job's own for ghcr.io and the GitLab registry",
    ),
    text("registry-password", vars::HONEYCRATE_REGISTRY_PASSWORD, "That user's password or token"),
    text("ca-file", vars::HONEYCRATE_CA_FILE, "More certificates to trust for registries and forges (PEM)"),
    text("plain-http", vars::HONEYCRATE_PLAIN_HTTP, "Registries spoken to without TLS: host[:port], separated by commas"),
    word(
        "upload",
        vars::HONEYCRATE_UPLOAD,
        &["as-scanned", "after-verdict"],
        "When layers leave: each as soon as its own scan has passed, or none before the verdict; default: as-scanned",
    ),
    text("cache", vars::HONEYCRATE_CACHE, "The folder of scan results, so that a layer is read once; or off"),
    text("github-token", vars::GITHUB_TOKEN, "The token for comments, check runs, code scanning and ghcr.io"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_input_and_no_variable_is_listed_twice() {
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|input| input.name).collect();
        let variables: std::collections::BTreeSet<&str> = TABLE.iter().map(|input| input.variable.name).collect();
        assert_eq!((names.len(), variables.len()), (TABLE.len(), TABLE.len()));
    }
}
