//! What a CI job says of itself: commit, repository, change, who may read its output, and whether its code is trusted.

use std::collections::BTreeMap;

use serde_json::Value;

/// The CI systems that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForgeKind {
    GitHub,
    GitLab,
}

/// Who may read what the job publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// No CI job: the output is on somebody's own terminal.
    Local,
    Private,
    /// Everybody in the organisation or on the instance.
    Internal,
    Public,
    Unknown,
}

/// Who may want that vendors are asked about what the job finds: they learn of it, and the one who reads the answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Also a file in the tree.
    Anybody,
    /// The command line of the job alone: whose the tree is cannot be told, for this reason.
    CommandLine(&'static str),
    /// The code may be a stranger's, for this reason.
    Nobody(&'static str),
}

/// What `git` says of the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitFacts {
    pub commit: Option<String>,
    /// The address of the remote `origin`; credentials in it are not kept.
    pub remote: Option<String>,
}

/// What is known of the job that runs us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiContext {
    pub forge: Option<ForgeKind>,
    /// The commit that the change's author sees: on a pull request its head, not the merge commit made for the job.
    pub commit: Option<String>,
    /// The commit of the branch that the change goes to, from which the policy is taken where the change is a stranger's.
    pub base: Option<String>,
    /// `owner/name`, as the forge writes it.
    pub repository: Option<String>,
    /// A link to the job.
    pub job: Option<String>,
    /// The number of the pull or merge request.
    pub change: Option<u64>,
    /// Why the code that is built may be a stranger's; `None` where it is the repository's own.
    pub untrusted: Option<&'static str>,
    pub asks: Asks,
    pub visibility: Visibility,
}

/// Any one of these is set in the jobs of CI systems. Most of them set `CI`; these do not, or did not always. Source: the lists of variables in
/// the documentation of Jenkins, Azure Pipelines, TeamCity, AWS CodeBuild and Bitbucket Pipelines.
const OF_JOBS: [&str; 6] = ["CI", "JENKINS_URL", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID", "BITBUCKET_BUILD_NUMBER"];

impl CiContext {
    /// Whether the job may do more than scan and report.
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.untrusted.is_none()
    }

    /// Reads the context from variables, GitHub's event payload (JSON) and git. What cannot be read counts against trust.
    ///
    /// Source: GitHub docs, "Variables" and "Webhook events and payloads"; GitLab docs, "Predefined CI/CD variables".
    #[must_use]
    pub fn detect(variables: &BTreeMap<String, String>, event: Option<&str>, git: &GitFacts) -> Self {
        let get = |name: &str| variables.get(name).cloned();
        if get("GITHUB_ACTIONS").as_deref() == Some("true") {
            return github(&get, &event.and_then(|event| serde_json::from_str(event).ok()).unwrap_or(Value::Null));
        }
        if get("GITLAB_CI").as_deref() == Some("true") {
            return gitlab(&get);
        }
        let is_job = OF_JOBS.iter().filter_map(|name| get(name)).any(|value| !value.eq_ignore_ascii_case("false"));
        let (visibility, asks) = match is_job {
            true => {
                (Visibility::Unknown, Asks::CommandLine("this is a job of a CI system of which we cannot tell whether the change is a stranger's"))
            }
            false => (Visibility::Local, Asks::Anybody),
        };
        Self {
            forge: None,
            commit: git.commit.as_deref().and_then(commit),
            base: None,
            repository: git.remote.as_deref().and_then(repository_of_remote),
            job: None,
            change: None,
            untrusted: None,
            asks,
            visibility,
        }
    }
}

fn github(get: &dyn Fn(&str) -> Option<String>, event: &Value) -> CiContext {
    let repository = get("GITHUB_REPOSITORY");
    let name = get("GITHUB_EVENT_NAME").unwrap_or_default();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let same = |head: Option<&str>| head.is_some_and(|head| repository.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(head)));
    let dependabot = ["/sender/login", "/pull_request/user/login"].iter().any(|login| text(login) == Some("dependabot[bot]"))
        || get("GITHUB_ACTOR").as_deref() == Some("dependabot[bot]");
    let untrusted = match name.as_str() {
        "" => Some("the event that began the run is not known"),
        // The workflow is the default branch's, but what it builds is the author's.
        "pull_request_target" => Some("pull_request_target builds what the author of a pull request wrote"),
        name if name.starts_with("pull_request") && !same(text("/pull_request/head/repo/full_name")) => Some("the pull request comes from a fork"),
        "workflow_run" if !same(text("/workflow_run/head_repository/full_name")) => Some("the workflow was begun by a fork"),
        _ if dependabot => Some("the pull request comes from Dependabot"),
        _ => None,
    };
    let asks = match (untrusted, name.as_str()) {
        (Some(why), _) => Asks::Nobody(why),
        (None, "issue_comment") => Asks::Nobody("a comment began the run, and what it builds may be a stranger's"),
        (None, _) => Asks::Anybody,
    };
    let visibility = match (text("/repository/visibility"), event.pointer("/repository/private").and_then(Value::as_bool)) {
        (Some("public"), _) | (None, Some(false)) => Visibility::Public,
        (Some("internal"), _) => Visibility::Internal,
        (Some("private"), _) => Visibility::Private,
        _ => Visibility::Unknown,
    };
    let job = match (get("GITHUB_SERVER_URL"), &repository, get("GITHUB_RUN_ID")) {
        (Some(server), Some(repository), Some(run)) => Some(format!("{}/{repository}/actions/runs/{run}", server.trim_end_matches('/'))),
        _ => None,
    };
    CiContext {
        forge: Some(ForgeKind::GitHub),
        commit: text("/pull_request/head/sha").and_then(commit).or_else(|| get("GITHUB_SHA").as_deref().and_then(commit)),
        base: ["/pull_request/base/sha", "/merge_group/base_sha"].iter().find_map(|place| text(place).and_then(commit)),
        job,
        change: event.pointer("/pull_request/number").and_then(Value::as_u64),
        untrusted,
        asks,
        visibility,
        repository,
    }
}

fn gitlab(get: &dyn Fn(&str) -> Option<String>) -> CiContext {
    let change = get("CI_MERGE_REQUEST_IID").and_then(|iid| iid.parse().ok());
    let (source, target) = (get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"), get("CI_MERGE_REQUEST_PROJECT_PATH"));
    let fork = get("CI_MERGE_REQUEST_IID").is_some() && (source.is_none() || source != target);
    let untrusted = fork.then_some("the merge request comes from a fork");
    CiContext {
        forge: Some(ForgeKind::GitLab),
        commit: ["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_COMMIT_SHA"].iter().find_map(|name| get(name).as_deref().and_then(commit)),
        base: ["CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_DIFF_BASE_SHA"].iter().find_map(|name| get(name).as_deref().and_then(commit)),
        repository: get("CI_PROJECT_PATH"),
        job: get("CI_JOB_URL"),
        change,
        untrusted,
        asks: untrusted.map_or(Asks::Anybody, Asks::Nobody),
        visibility: match get("CI_PROJECT_VISIBILITY").as_deref() {
            Some("private") => Visibility::Private,
            Some("internal") => Visibility::Internal,
            Some("public") => Visibility::Public,
            _ => Visibility::Unknown,
        },
    }
}

fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    (matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// `owner/name` from `https://host/owner/name.git`, `ssh://git@host/owner/name` or `git@host:owner/name.git`.
fn repository_of_remote(remote: &str) -> Option<String> {
    let remote = remote.trim().trim_end_matches('/');
    let path = match remote.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => remote.split_once(':')?.1,
    };
    let path = path.strip_suffix(".git").unwrap_or(path).trim_matches('/');
    (path.contains('/') && !path.contains(char::is_whitespace) && !path.contains('@')).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn detect(set: &[(&str, &str)], event: Option<&Value>) -> CiContext {
        let variables = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CiContext::detect(&variables, event.map(Value::to_string).as_deref(), &GitFacts::default())
    }

    fn on_github(event_name: &str, event: &Value) -> CiContext {
        let set = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SHA", "ffffffffffffffffffffffffffffffffffffffff"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_SERVER_URL", "https://github.example.com"),
            ("GITHUB_EVENT_NAME", event_name),
        ];
        detect(&set, Some(event))
    }

    fn pull_request(head: &str) -> Value {
        json!({
            "pull_request": { "number": 12, "head": { "sha": SHA, "repo": { "full_name": head, "fork": head != "acme/shop" } } },
            "repository": { "visibility": "private" },
        })
    }

    #[test]
    fn a_pull_request_of_the_repository_itself_is_trusted() {
        let context = on_github("pull_request", &pull_request("Acme/Shop"));
        assert_eq!(
            context,
            CiContext {
                forge: Some(ForgeKind::GitHub),
                commit: Some(SHA.to_owned()),
                base: None,
                repository: Some("acme/shop".to_owned()),
                job: Some("https://github.example.com/acme/shop/actions/runs/7".to_owned()),
                change: Some(12),
                untrusted: None,
                asks: Asks::Anybody,
                visibility: Visibility::Private,
            }
        );
    }

    #[test]
    fn forks_robots_and_unreadable_events_are_not_trusted() {
        let mut gone = pull_request("acme/shop");
        gone["pull_request"]["head"]["repo"] = Value::Null;
        let mut robot = pull_request("acme/shop");
        robot["pull_request"]["user"]["login"] = json!("dependabot[bot]");
        for (name, event) in [
            ("pull_request", pull_request("mallory/shop")),
            ("pull_request_review", pull_request("mallory/shop")),
            ("pull_request_target", pull_request("acme/shop")),
            ("pull_request", gone),
            ("pull_request", robot),
            ("pull_request", Value::Null),
            ("workflow_run", json!({ "workflow_run": { "head_repository": { "full_name": "mallory/shop" } } })),
            ("", json!({})),
        ] {
            assert!(!on_github(name, &event).trusted(), "{name} {event}");
        }
        assert!(on_github("push", &json!({})).trusted());
    }

    #[test]
    fn who_may_want_questions_to_vendors_depends_on_whose_the_tree_is() {
        let of_job = |name: &str, value: &str| detect(&[(name, value)], None).asks;
        for (name, value) in [("CI", "true"), ("CI", "woodpecker"), ("JENKINS_URL", "https://ci.acme.example"), ("TF_BUILD", "True")] {
            assert!(matches!(of_job(name, value), Asks::CommandLine(why) if why.contains("stranger")), "{name}");
        }
        assert_eq!((of_job("CI", "false"), of_job("HOME", "/")), (Asks::Anybody, Asks::Anybody));
        assert_eq!(on_github("push", &json!({})).asks, Asks::Anybody);
        assert!(matches!(on_github("pull_request", &pull_request("mallory/shop")).asks, Asks::Nobody(why) if why.contains("fork")));
        let commented = on_github("issue_comment", &json!({}));
        assert!(commented.trusted() && matches!(commented.asks, Asks::Nobody(why) if why.contains("comment")));
        assert!(matches!(detect(&[("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_IID", "3")], None).asks, Asks::Nobody(_)));
        assert_eq!(detect(&[("GITLAB_CI", "true"), ("CI", "true")], None).asks, Asks::Anybody);
    }

    #[test]
    fn visibility_that_is_not_said_is_unknown() {
        for (event, visibility) in [
            (json!({ "repository": { "visibility": "internal", "private": true } }), Visibility::Internal),
            (json!({ "repository": { "private": true } }), Visibility::Unknown),
            (json!({ "repository": { "private": false } }), Visibility::Public),
            (Value::Null, Visibility::Unknown),
        ] {
            assert_eq!(on_github("push", &event).visibility, visibility, "{event}");
        }
        assert_eq!(detect(&[("CI", "true")], None).visibility, Visibility::Unknown);
        assert_eq!(detect(&[("TEAMCITY_VERSION", "2026.1")], None).visibility, Visibility::Unknown);
        assert_eq!(detect(&[], None).visibility, Visibility::Local);
    }

    #[test]
    fn a_merge_request_from_another_project_is_not_trusted() {
        let own = [
            ("GITLAB_CI", "true"),
            ("CI_COMMIT_SHA", SHA),
            ("CI_PROJECT_PATH", "acme/shop"),
            ("CI_JOB_URL", "https://gitlab.example.com/acme/shop/-/jobs/9"),
            ("CI_PROJECT_VISIBILITY", "internal"),
            ("CI_MERGE_REQUEST_IID", "3"),
            ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "acme/shop"),
            ("CI_MERGE_REQUEST_PROJECT_PATH", "acme/shop"),
        ];
        let context = detect(&own, None);
        assert_eq!((context.change, context.trusted(), context.visibility), (Some(3), true, Visibility::Internal));
        assert_eq!(context.commit.as_deref(), Some(SHA));
        let mut fork = own;
        fork[6].1 = "mallory/shop";
        assert!(!detect(&fork, None).trusted());
        assert!(!detect(&own[..6], None).trusted());
    }

    #[test]
    fn outside_ci_git_tells_commit_and_repository() {
        for remote in [concat!("https://ann:", "pw@github.com/acme/shop.git"), "git@github.com:acme/shop.git", "ssh://git@github.com/acme/shop/"] {
            let git = GitFacts { commit: Some(format!("{SHA}\n")), remote: Some(remote.to_owned()) };
            let context = CiContext::detect(&BTreeMap::new(), None, &git);
            assert_eq!((context.commit.as_deref(), context.repository.as_deref()), (Some(SHA), Some("acme/shop")), "{remote}");
        }
    }
}
