//! The GitHub workflow that `honeycrate init --github` writes: build, then our step, with the least that each may do.

use crate::cli::work_tree;

/// Where GitHub looks for it, from the root of a repository.
pub const PATH: &str = ".github/workflows/honeycrate.yml";

/// What stands for an action whose commit is not known: a valid reference to nothing.
pub const PLACEHOLDER: &str = "OWNER/honeycrate@0000000000000000000000000000000000000000";

/// The Action as workflows name it, `OWNER/NAME@COMMIT`, where this program lies in a clone of it.
#[must_use]
pub fn own_action() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent().filter(|folder| folder.join("BUILDINFO.json").is_file())?;
    let facts = work_tree::facts(folder);
    action(&facts.remote?, &facts.commit?)
}

fn action(remote: &str, commit: &str) -> Option<String> {
    let (_, path) = remote.split_once("github.com")?;
    let path = path.trim_start_matches([':', '/']).trim_end_matches('/');
    Some(format!("{}@{commit}", path.strip_suffix(".git").unwrap_or(path))).filter(|action| is_action(action))
}

/// Whether this is `OWNER/NAME@COMMIT`, with all 40 digits of the commit: a tag can be moved to other code.
#[must_use]
pub fn is_action(text: &str) -> bool {
    let name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let Some((path, commit)) = text.split_once('@') else { return false };
    path.split_once('/').is_some_and(|(owner, repository)| name(owner) && name(repository))
        && commit.len() == 40
        && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The workflow for an image that goes to `repository` (`ghcr.io/acme/shop`), with the Action named as given.
#[must_use]
pub fn template(repository: Option<&str>, action: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let action = match action {
        Some(action) => format!("{action} # v{version}"),
        None => format!("{PLACEHOLDER} # replace by the action's repository and the commit of v{version}"),
    };
    let repository = repository.unwrap_or("ghcr.io/owner/name");
    // GHCR takes the job's own token; others take a login, which the inputs carry.
    let (packages, login) = match repository.split('/').next() {
        Some("ghcr.io") => ("      packages: write # the push to ghcr.io\n", ""),
        _ => ("", "          registry-username: ${{ vars.REGISTRY_USERNAME }}\n          registry-password: ${{ secrets.REGISTRY_PASSWORD }}\n"),
    };
    format!(
        "\
# Builds the image and lets honeycrate look into it; what passes is pushed.
name: Image

on:
  push:
    branches: [main]
  pull_request:
  merge_group:
  workflow_dispatch:

permissions: {{}}

concurrency:
  group: ${{{{ github.workflow }}}}-${{{{ github.ref }}}}
  cancel-in-progress: ${{{{ github.event_name == 'pull_request' }}}}

jobs:
  image:
    name: Build, scan, push
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read # the Dockerfile and what it copies
{packages}      pull-requests: write # the comment
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false

      - name: Build
        run: docker build --tag built .

      - name: Scan, plant, push
        uses: {action}
        with:
          image: docker-daemon:built
          to: {repository}:${{{{ github.sha }}}}
          environment: production
          # A change is looked at; what is merged is pushed.
          dry-run: ${{{{ github.event_name == 'pull_request' || github.event_name == 'merge_group' }}}}
          # For honeytokens: a host of yours that runs `honeycrate decoy`, and the key that `honeycrate key new --print` makes.
          # decoy: decoy.acme.io
          # key: ${{{{ secrets.HONEYCRATE_KEY }}}}
{login}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "4f2a91c04f2a91c04f2a91c04f2a91c04f2a91c0";

    #[test]
    fn only_a_whole_commit_names_an_action() {
        for (text, is) in [
            (format!("acme/honeycrate@{COMMIT}"), true),
            ("acme/honeycrate@v1".to_owned(), false),
            (format!("acme@{COMMIT}"), false),
            (format!("acme/honeycrate@{}", &COMMIT[1..]), false),
            (format!("acme/honey crate@{COMMIT}"), false),
            (format!("acme/honeycrate/x@{COMMIT}"), false),
        ] {
            assert_eq!(is_action(&text), is, "{text}");
        }
        assert!(is_action(PLACEHOLDER));
    }

    #[test]
    fn a_clone_from_github_names_its_action() {
        for (remote, named) in [
            ("https://github.com/acme/honeycrate.git", true),
            ("git@github.com:acme/honeycrate.git", true),
            ("https://github.com/acme/honeycrate/", true),
            ("https://git.acme.example/acme/honeycrate", false),
        ] {
            assert_eq!(action(remote, COMMIT), named.then(|| format!("acme/honeycrate@{COMMIT}")), "{remote}");
        }
    }

    #[test]
    fn the_token_may_push_only_where_the_image_goes_to_ghcr() {
        let (ghcr, other) = (template(Some("ghcr.io/acme/shop"), None), template(Some("quay.io/acme/shop"), None));
        assert!(ghcr.contains("packages: write") && !ghcr.contains("registry-password"));
        assert!(!other.contains("packages: write") && other.contains("registry-password"));
        for text in [&ghcr, &other] {
            assert!(serde_yaml::from_str::<serde_yaml::Value>(text).is_ok(), "{text}");
        }
    }
}
