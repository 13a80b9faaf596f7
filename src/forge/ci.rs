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

impl Visibility {
    /// As forges name it. Where the word is missing, GitHub's `private` says something by `false` alone: an internal repository is private too.
    #[must_use]
    pub fn named(word: Option<&str>, is_private: Option<bool>) -> Self {
        match (word, is_private) {
            (Some("public"), _) | (None, Some(false)) => Self::Public,
            (Some("internal"), _) => Self::Internal,
            (Some("private"), _) => Self::Private,
            _ => Self::Unknown,
        }
    }
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
    /// `owner/name`, as the forge writes it.
    pub repository: Option<String>,
    /// A link to the job.
    pub job: Option<String>,
    /// The number of the pull or merge request.
    pub change: Option<u64>,
    /// The repository that the change is proposed to: its number and `base` are of this one. GitLab runs the pipelines of a fork in the fork.
    pub target: Option<String>,
    /// The commit that whoever proposes the change cannot have written: the newest one of the branch that it is for. What a run that is not
    /// trusted goes by (policy, exceptions, baseline) is read from here.
    pub base: Option<String>,
    /// Where the code that is built stands, as `refs/heads/…`, `refs/tags/…`, `refs/pull/NUMBER/merge` or `refs/pull/NUMBER/head`; `None` where the
    /// event does not say what is built.
    pub reference: Option<String>,
    /// The newest commit of `reference`: on a pull request, the merge commit that was made for the job.
    pub sarif_commit: Option<String>,
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

    /// Reads the context from variables (an empty one is one that is not set), GitHub's event payload (JSON) and git. What cannot be read counts against trust.
    ///
    /// Source: GitHub docs, "Variables" and "Webhook events and payloads"; GitLab docs, "Predefined CI/CD variables".
    #[must_use]
    pub fn detect(variables: &BTreeMap<String, String>, event: Option<&str>, git: &GitFacts) -> Self {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
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
            repository: git.remote.as_deref().and_then(repository_of_remote),
            job: None,
            change: None,
            target: None,
            base: None,
            reference: None,
            sarif_commit: None,
            untrusted: None,
            asks,
            visibility,
        }
    }
}

/// What tells this job apart from others of its matrix, for people: `tag: alpine, arch: arm64` on GitHub, on GitLab what the name of the job says
/// beyond the one that the component gives it.
#[must_use]
pub fn leg(variables: &BTreeMap<String, String>) -> Option<String> {
    let get = |name: &str| variables.get(name).map(String::as_str);
    if get("GITLAB_CI") == Some("true") {
        let name = get("CI_JOB_NAME")?;
        let rest = OF_COMPONENT.iter().find_map(|own| name.strip_prefix(own)).unwrap_or(name);
        return Some(rest.trim_start_matches(':').trim().to_owned()).filter(|rest| !rest.is_empty());
    }
    let matrix: Value = serde_json::from_str(get("HONEYCRATE_MATRIX")?).ok()?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parts: Vec<String> = matrix.as_object()?.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
    Some(parts.join(", ")).filter(|text| !text.is_empty())
}

/// The jobs of the component, as it names them.
const OF_COMPONENT: [&str; 2] = ["honeycrate-ship", "honeycrate-scan"];

const DEPENDABOT: &str = "dependabot[bot]";

/// Events that name somebody's commit or words and not what is built. They run on the default branch with its secrets, and anybody can cause
/// most of them: a workflow that answers them as often as not fetches the pull request that they are about.
const SAY_NOT_WHAT_IS_BUILT: [&str; 7] = ["check_run", "check_suite", "discussion", "discussion_comment", "issue_comment", "issues", "status"];

/// Events that only somebody with the right to write can cause, and whose code is the repository's own.
const OF_THE_REPOSITORY: [&str; 8] =
    ["create", "deployment", "merge_group", "push", "release", "repository_dispatch", "schedule", "workflow_dispatch"];

/// Whether the code that a GitHub workflow builds may be a stranger's, and why.
///
/// Trusted is what only somebody who may write to the repository can have brought there:
/// - `push`, `create`, `release`, `schedule` and the two dispatches: the code is the repository's, and so is the wish to build it.
/// - `merge_group`: a stranger's pull request is in it, after somebody who may merge it has put it there.
/// - `pull_request` and its reviews, where the head is a branch of the repository itself, and Dependabot did not write it: what it brings is
///   code that nobody has looked at, which is why GitHub gives it no secrets either.
///
/// Not trusted, although the workflow is the default branch's and has its secrets:
/// - `pull_request_target`, whoever wrote the pull request: the event exists to run beside code that is not merged.
/// - `workflow_run`, unless the run that it follows was itself trusted: what it follows up is that run's results. Of a chain of such runs,
///   only the last link can be seen.
/// - the events that do not say what is built (comments, issues, discussions, checks), and all that are not named here. Whoever wants to ship at a word says it with
///   `workflow_dispatch`, for which one needs the right to write.
///
/// Source: GitHub docs, "Events that trigger workflows" and "Secure use reference".
fn distrust(name: &str, own: impl Fn(Option<&str>) -> bool, event: &Value) -> Option<&'static str> {
    match name {
        "" => Some("the event that began the run is not known"),
        "pull_request_target" => Some("pull_request_target builds what the author of a pull request wrote"),
        name if name.starts_with("pull_request") && !own(text(event, "/pull_request/head/repo/full_name")) => {
            Some("the pull request comes from a fork")
        }
        "workflow_run" if !own(text(event, "/workflow_run/head_repository/full_name")) => Some("the workflow was begun by a fork"),
        "workflow_run" if !text(event, "/workflow_run/event").is_some_and(|began| began == "pull_request" || OF_THE_REPOSITORY.contains(&began)) => {
            Some("the workflow run that it follows may have built what a stranger wrote")
        }
        name if SAY_NOT_WHAT_IS_BUILT.contains(&name) => Some("the event that began the run does not say what is built, which may be a stranger's"),
        name if name.starts_with("pull_request") || name == "workflow_run" || OF_THE_REPOSITORY.contains(&name) => None,
        _ => Some("anybody may be able to cause the event that began the run"),
    }
}

fn github(get: &dyn Fn(&str) -> Option<String>, event: &Value) -> CiContext {
    let repository = get("GITHUB_REPOSITORY");
    let name = get("GITHUB_EVENT_NAME").unwrap_or_default();
    let own = |head: Option<&str>| head.is_some_and(|head| repository.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(head)));
    let who = ["/sender/login", "/pull_request/user/login", "/workflow_run/actor/login", "/workflow_run/triggering_actor/login"];
    let dependabot = who.iter().any(|login| text(event, login) == Some(DEPENDABOT)) || get("GITHUB_ACTOR").as_deref() == Some(DEPENDABOT);
    let untrusted = distrust(&name, own, event).or(dependabot.then_some("the pull request comes from Dependabot"));
    let visibility = Visibility::named(text(event, "/repository/visibility"), event.pointer("/repository/private").and_then(Value::as_bool));
    let job = match (get("GITHUB_SERVER_URL"), &repository, get("GITHUB_RUN_ID")) {
        (Some(server), Some(repository), Some(run)) => Some(format!("{}/{repository}/actions/runs/{run}", server.trim_end_matches('/'))),
        _ => None,
    };
    let sha = |pointer: &str| text(event, pointer).and_then(commit);
    let (of_job, of_job_at) = (get("GITHUB_SHA").as_deref().and_then(commit), get("GITHUB_REF").filter(|reference| reference.starts_with("refs/")));
    let number = |pointer: &str| event.pointer(pointer).and_then(Value::as_u64);
    let (change, head, base) = match name.as_str() {
        // Of a fork's run, the pull requests are not told; of others they may be several.
        "workflow_run" => {
            let only = event.pointer("/workflow_run/pull_requests").and_then(Value::as_array).is_some_and(|all| all.len() == 1);
            let change = only.then(|| number("/workflow_run/pull_requests/0/number")).flatten();
            let base = only.then(|| sha("/workflow_run/pull_requests/0/base/sha")).flatten();
            (change, sha("/workflow_run/head_sha"), base.or_else(|| of_job.clone()))
        }
        "merge_group" => (None, sha("/merge_group/head_sha"), sha("/merge_group/base_sha")),
        name if SAY_NOT_WHAT_IS_BUILT.contains(&name) => (None, None, of_job.clone()),
        _ => (number("/pull_request/number"), sha("/pull_request/head/sha"), sha("/pull_request/base/sha")),
    };
    let (reference, sarif_commit) = match (name.as_str(), change) {
        // Both run on the default branch, whoever's code they build.
        ("pull_request_target" | "workflow_run", Some(change)) => (Some(format!("refs/pull/{change}/head")), head.clone()),
        ("workflow_run", None) if text(event, "/workflow_run/event") != Some("pull_request") && untrusted.is_none() => {
            (text(event, "/workflow_run/head_branch").map(|branch| format!("refs/heads/{branch}")), head.clone())
        }
        ("pull_request_target" | "workflow_run", None) => (None, None),
        (name, _) if SAY_NOT_WHAT_IS_BUILT.contains(&name) => (None, None),
        _ => (of_job_at, of_job.clone()),
    };
    CiContext {
        forge: Some(ForgeKind::GitHub),
        commit: head.or(of_job),
        job,
        change,
        target: repository.clone(),
        base,
        reference,
        sarif_commit,
        untrusted,
        asks: untrusted.map_or(Asks::Anybody, Asks::Nobody),
        visibility,
        repository,
    }
}

/// Whether the code that a GitLab pipeline builds may be a stranger's follows from whose the source branch of its merge request is: no other kind
/// of pipeline runs without the right to write to the project, or to run its pipelines. A member who runs the pipeline of a fork's merge request
/// in the project itself does so with the project's variables, so it counts as the fork's.
fn gitlab(get: &dyn Fn(&str) -> Option<String>) -> CiContext {
    let first = |names: &[&str]| names.iter().find_map(|name| get(name).as_deref().and_then(commit));
    let iid = get("CI_MERGE_REQUEST_IID");
    let (source, target) = (get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH"), get("CI_MERGE_REQUEST_PROJECT_PATH"));
    let fork = iid.is_some() && (source.is_none() || source != target);
    let untrusted = fork.then_some("the merge request comes from a fork");
    let branch = || get("CI_COMMIT_BRANCH").map(|branch| format!("refs/heads/{branch}"));
    let tag = || get("CI_COMMIT_TAG").map(|tag| format!("refs/tags/{tag}"));
    CiContext {
        forge: Some(ForgeKind::GitLab),
        commit: first(&["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "CI_COMMIT_SHA"]),
        job: get("CI_JOB_URL"),
        change: iid.and_then(|iid| iid.parse().ok()),
        target: target.or_else(|| get("CI_PROJECT_PATH")),
        // The second is where the source branch left the target branch, which its author chooses; the first is known to some pipelines only.
        base: first(&["CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_DIFF_BASE_SHA"]),
        reference: get("CI_MERGE_REQUEST_REF_PATH").or_else(tag).or_else(branch),
        sarif_commit: first(&["CI_COMMIT_SHA"]),
        untrusted,
        asks: untrusted.map_or(Asks::Anybody, Asks::Nobody),
        visibility: Visibility::named(get("CI_PROJECT_VISIBILITY").as_deref(), None),
        repository: get("CI_PROJECT_PATH"),
    }
}

fn text<'a>(event: &'a Value, pointer: &str) -> Option<&'a str> {
    event.pointer(pointer).and_then(Value::as_str)
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
    const MERGED: &str = "ffffffffffffffffffffffffffffffffffffffff";
    const BASE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn detect(set: &[(&str, &str)], event: Option<&Value>) -> CiContext {
        let variables = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CiContext::detect(&variables, event.map(Value::to_string).as_deref(), &GitFacts::default())
    }

    fn on_github(event_name: &str, event: &Value) -> CiContext {
        let set = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SHA", MERGED),
            ("GITHUB_REF", if event_name == "pull_request" { "refs/pull/12/merge" } else { "refs/heads/main" }),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_SERVER_URL", "https://github.example.com"),
            ("GITHUB_EVENT_NAME", event_name),
        ];
        detect(&set, Some(event))
    }

    fn pull_request(head: &str) -> Value {
        json!({
            "pull_request": {
                "number": 12, "head": { "sha": SHA, "repo": { "full_name": head, "fork": head != "acme/shop" } }, "base": { "sha": BASE },
            },
            "repository": { "visibility": "private" },
        })
    }

    #[test]
    fn a_leg_is_named_by_its_matrix() {
        let github = |matrix: &str| leg(&BTreeMap::from([("HONEYCRATE_MATRIX".to_owned(), matrix.to_owned())]));
        for nothing in ["", "null", "{}", "[1]", "{"] {
            assert_eq!(github(nothing), None, "{nothing}");
        }
        let told = github(r#"{ "tag": "alpine", "python": 3.12, "more": { "a": [1] } }"#);
        assert_eq!(told.as_deref(), Some(r#"tag: alpine, python: 3.12, more: {"a":[1]}"#));
        for (name, told) in
            [("honeycrate-ship", None), ("honeycrate-ship: [a, b]", Some("[a, b]")), ("own-honeycrate-ship", Some("own-honeycrate-ship"))]
        {
            let variables = [("GITLAB_CI", "true"), ("CI_JOB_NAME", name)].map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(leg(&variables.into()).as_deref(), told);
        }
    }

    #[test]
    fn a_pull_request_of_the_repository_itself_is_trusted() {
        let context = on_github("pull_request", &pull_request("Acme/Shop"));
        assert_eq!(
            context,
            CiContext {
                forge: Some(ForgeKind::GitHub),
                commit: Some(SHA.to_owned()),
                repository: Some("acme/shop".to_owned()),
                job: Some("https://github.example.com/acme/shop/actions/runs/7".to_owned()),
                change: Some(12),
                target: Some("acme/shop".to_owned()),
                base: Some(BASE.to_owned()),
                reference: Some("refs/pull/12/merge".to_owned()),
                sarif_commit: Some(MERGED.to_owned()),
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
            ("workflow_run", followed("mallory/shop", "pull_request", &json!([]))),
            ("workflow_run", followed("acme/shop", "issue_comment", &json!([]))),
            ("workflow_run", followed("acme/shop", "workflow_run", &json!([]))),
            ("workflow_run", json!({ "workflow_run": { "head_repository": { "full_name": "acme/shop" } } })),
            ("issue_comment", json!({ "issue": { "number": 12, "pull_request": {} } })),
            ("issues", json!({})),
            ("discussion_comment", json!({})),
            ("check_run", json!({})),
            ("", json!({})),
        ] {
            assert!(!on_github(name, &event).trusted(), "{name} {event}");
        }
        for name in ["commit_comment", "gollum", "watch", "fork", "nonsense"] {
            assert!(!on_github(name, &json!({})).trusted(), "{name}");
        }
        let mut robot = followed("acme/shop", "pull_request", &json!([]));
        robot["workflow_run"]["actor"]["login"] = json!("dependabot[bot]");
        assert!(!on_github("workflow_run", &robot).trusted());
        for name in ["push", "release", "schedule", "workflow_dispatch", "repository_dispatch", "merge_group"] {
            let context = on_github(name, &json!({}));
            assert!(context.trusted() && context.change.is_none(), "{name}");
            assert_eq!((context.commit.as_deref(), context.reference.as_deref()), (Some(MERGED), Some("refs/heads/main")), "{name}");
        }
        assert!(on_github("workflow_run", &followed("acme/shop", "pull_request", &json!([]))).trusted());
    }

    /// A run that follows one which `began` at a commit of `head`.
    fn followed(head: &str, began: &str, changes: &Value) -> Value {
        let run = json!({
            "event": began, "head_sha": SHA, "head_branch": "cart", "head_repository": { "full_name": head }, "pull_requests": changes,
        });
        json!({ "workflow_run": run })
    }

    #[test]
    fn what_is_built_and_what_it_is_proposed_to_are_told_apart() {
        let facts = |context: &CiContext| {
            let short = |commit: &Option<String>| commit.as_deref().map(|commit| commit[..1].to_owned());
            (context.change, short(&context.commit), short(&context.base), context.reference.clone(), short(&context.sarif_commit))
        };
        let letter = |letter: &str| Some(letter.to_owned());
        let pulls = json!([{ "number": 12, "base": { "sha": BASE } }]);
        let queued = json!({ "merge_group": { "head_sha": MERGED, "base_sha": BASE, "head_ref": "refs/heads/gh-readonly-queue/main/pr-12-0" } });
        for (name, event, expected) in [
            ("pull_request", pull_request("mallory/shop"), (Some(12), letter("0"), letter("b"), letter("refs/pull/12/merge"), letter("f"))),
            ("pull_request_target", pull_request("mallory/shop"), (Some(12), letter("0"), letter("b"), letter("refs/pull/12/head"), letter("0"))),
            ("merge_group", queued, (None, letter("f"), letter("b"), letter("refs/heads/main"), letter("f"))),
            (
                "workflow_run",
                followed("acme/shop", "pull_request", &pulls),
                (Some(12), letter("0"), letter("b"), letter("refs/pull/12/head"), letter("0")),
            ),
            ("workflow_run", followed("mallory/shop", "pull_request", &json!([])), (None, letter("0"), letter("f"), None, None)),
            ("workflow_run", followed("mallory/shop", "push", &json!([])), (None, letter("0"), letter("f"), None, None)),
            ("workflow_run", followed("acme/shop", "push", &json!([])), (None, letter("0"), letter("f"), letter("refs/heads/cart"), letter("0"))),
            ("issue_comment", json!({ "issue": { "number": 12 } }), (None, letter("f"), letter("f"), None, None)),
            ("schedule", json!({}), (None, letter("f"), None, letter("refs/heads/main"), letter("f"))),
        ] {
            assert_eq!(facts(&on_github(name, &event)), expected, "{name} {event}");
        }
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
        assert!(matches!(on_github("issue_comment", &json!({})).asks, Asks::Nobody(why) if why.contains("stranger")));
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
        (fork[2].1, fork[6].1) = ("mallory/shop", "mallory/shop");
        let fork = detect(&fork, None);
        assert_eq!((fork.trusted(), fork.repository.as_deref(), fork.target.as_deref()), (false, Some("mallory/shop"), Some("acme/shop")));
        assert!(!detect(&own[..6], None).trusted());
    }

    #[test]
    fn gitlab_tells_what_a_pipeline_is_of() {
        let of = |more: &[(&str, &str)]| {
            let context = detect(&[&[("GITLAB_CI", "true"), ("CI_COMMIT_SHA", MERGED), ("CI_PROJECT_PATH", "acme/shop")], more].concat(), None);
            (context.reference, context.base, context.target)
        };
        let (acme, text) = (Some("acme/shop".to_owned()), |text: &str| Some(text.to_owned()));
        assert_eq!(of(&[("CI_COMMIT_BRANCH", "main"), ("CI_MERGE_REQUEST_IID", "")]), (text("refs/heads/main"), None, acme.clone()));
        assert_eq!(of(&[("CI_COMMIT_TAG", "v1")]), (text("refs/tags/v1"), None, acme.clone()));
        let old = "0".repeat(40);
        let merge = [("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/3/head"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", old.as_str())];
        assert_eq!(of(&merge), (text("refs/merge-requests/3/head"), Some(old.clone()), acme.clone()));
        let newest = [("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", BASE)];
        assert_eq!(of(&[&merge[..], &newest[..]].concat()).1, text(BASE), "a tightened policy counts for branches that left before it");
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
