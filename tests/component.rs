//! The GitLab component as a consumer sees it: included into a pipeline, run by gitlab-ci-local, with a real registry.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::common::buildah::Buildah;
use crate::common::command::{Ran, must, program, run};
use crate::common::forge::{ACCESS_TOKEN, GitLabForge, JOB_TOKEN};
use crate::common::gitlab_ci_local::{Project, root, tool};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, PASSWORD, Registry, USER};
use crate::common::shelf::Shelf;

/// Build, our job, and one that reads what it said.
const PIPELINE: &str = r#"
include:
  - component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/ship@$CI_COMMIT_SHA
    inputs:
      image: oci:image
      to: |
        $CI_REGISTRY_IMAGE:1
        $CI_REGISTRY_IMAGE:$CI_COMMIT_SHORT_SHA
      environment: production
      decoy: 127.0.0.1:9
      ledger: $LEDGER
build:
  stage: build
  rules: [{when: on_success}]
  script: ['cp -r "$BUILT" image']
  artifacts: {paths: [image]}
after:
  stage: deploy
  rules: [{when: always}]
  needs: [honeycrate-ship]
  script: ['echo "verdict is $HONEYCRATE_VERDICT with $HONEYCRATE_EXIT_CODE, $HONEYCRATE_NEW_FINDINGS new, $HONEYCRATE_IMAGE_REF"']
"#;

/// A project whose pipeline ships this image to this registry, with the owner's key, and what the job token may do there.
fn project(pipeline: &str, owner: &Honeycrate, registry: &Registry, image: &Path) -> Project {
    let key = must(&mut owner.command(&["key", "new", "--print"]));
    Project::new(pipeline)
        .set("BUILT", &image.display().to_string())
        .set("LEDGER", &owner.ledger_path().display().to_string())
        .set("HONEYCRATE_KEY", key.trim())
        .set("CI_REGISTRY", &registry.host())
        .set("CI_REGISTRY_IMAGE", &registry.reference("acme/shop"))
        .set("CI_REGISTRY_USER", USER)
        .set("CI_REGISTRY_PASSWORD", PASSWORD)
        .set("CI_PROJECT_VISIBILITY", "private")
}

/// A registry, an owner, and the shop's image with what is added to it.
fn shop(add: impl FnOnce(Image) -> Image) -> (Honeycrate, Registry, tempfile::TempDir) {
    let image = tempdir().expect("scratch");
    add(Image::shop()).write(image.path());
    (Honeycrate::stranger(), Registry::plain(Auth::Basic), image)
}

/// The tags that a registry has of the shop.
fn tags(registry: &Registry) -> usize {
    let names_a_tag = |path: &str| path.split_once("/manifests/").is_some_and(|(_, name)| !name.contains(':'));
    registry.writes().iter().filter(|request| request.method == "PUT" && request.status == 201 && names_a_tag(&request.path)).count()
}

/// Every file that GitLab takes from the job, each held to what GitLab asks of it.
fn check_reports(project: &Project) {
    let read = |name: &str| project.read(&format!("honeycrate-reports/{name}"));
    let parsed = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"));

    // Source: GitLab's documentation, "Code Quality", report format.
    let quality = parsed("gl-code-quality-report.json");
    let mut prints = BTreeSet::new();
    for issue in quality.as_array().expect("a list") {
        for member in ["description", "check_name", "fingerprint"] {
            assert!(issue[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {issue}");
        }
        assert!(prints.insert(issue["fingerprint"].to_string()), "the same fingerprint twice: {issue}");
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&issue["severity"].as_str().unwrap_or_default()), "{issue}");
        let path = issue["location"]["path"].as_str().expect("a path");
        assert!(!path.starts_with(['/', '.']) && issue["location"]["lines"]["begin"].as_u64().is_some_and(|line| line > 0), "{issue}");
    }

    // Source: the secret detection schema 15.2.1 of GitLab.
    let secrets = parsed("gl-secret-detection-report.json");
    let time = Regex::new(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$").expect("a pattern");
    for member in ["start_time", "end_time"] {
        assert!(secrets["scan"][member].as_str().is_some_and(|text| time.is_match(text)), "{member}: {secrets}");
    }
    assert!(secrets["version"].as_str().is_some_and(|version| version.starts_with("15.")), "{secrets}");
    assert_eq!(secrets["scan"]["type"], "secret_detection");
    assert!(["success", "failure"].contains(&secrets["scan"]["status"].as_str().unwrap_or_default()), "{secrets}");
    for found in list(&secrets, "vulnerabilities") {
        assert!(found["id"].is_string() && found["location"]["commit"]["sha"].is_string() && !list(found, "identifiers").is_empty(), "{found}");
        assert!(found.get("raw_source_code_extract").is_none(), "{found}");
    }

    // Source: GitLab's documentation, `artifacts:reports:dotenv`: at most 5 KB, 20 variables, one in a line.
    let environment = read("honeycrate.env");
    assert!(environment.len() <= 5 * 1024 && environment.lines().count() <= 20, "{environment}");
    let line = Regex::new(r"^HONEYCRATE_[A-Z_]+=[^$\\'\x22]*$").expect("a pattern");
    assert!(environment.lines().all(|text| line.is_match(text)), "{environment}");

    // Source: GitLab's documentation, `artifacts:reports:annotations`: sections of links.
    for (section, links) in parsed("gl-annotations.json").as_object().expect("sections") {
        for link in links.as_array().expect("links") {
            let of = |member: &str| link["external_link"][member].as_str().unwrap_or_default();
            assert!((1..=255).contains(&of("label").chars().count()) && of("url").starts_with("http"), "{section}: {link}");
        }
    }

    let check = "import sys, xml.dom.minidom as dom; root = dom.parse(sys.argv[1]).documentElement.tagName; sys.exit(root != 'testsuites')";
    must(program("python3", Path::new("/tmp")).args(["-c", check]).arg(project.tree().join("honeycrate-reports/junit.xml")));
    for name in ["report.json", "report.sarif"] {
        assert!(parsed(name).is_object(), "{name}");
    }
    assert!(read("summary.md").len() > 20 && read("baseline.yaml").contains(':'));
}

/// What the job itself said.
fn log(ran: &Ran) -> String {
    let lines = ran.all();
    lines.lines().filter_map(|line| line.split_once("honeycrate-ship > ").map(|(_, said)| said)).collect::<Vec<_>>().join("\n")
}

#[test]
fn on_the_default_branch_the_image_is_shipped_by_the_token_of_the_job() {
    let (owner, registry, image) = shop(|image| image);
    let project = project(PIPELINE, &owner, &registry, image.path());
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(tags(&registry), 2, "{}", ran.all());
    check_reports(&project);
    let said = format!("verdict is passed with 0, 0 new, {}@sha256:", registry.reference("acme/shop"));
    assert!(ran.out().contains(&said), "a later job reads what came of it: {}", ran.all());
    let planted = owner.records().iter().filter(|record| record["event"] == "planted").count();
    assert!(planted > 0, "the ledger is on the runner");
}

#[test]
fn a_denied_image_goes_nowhere_and_leaves_every_report() {
    let secret = github_token(31);
    let (owner, registry, image) = shop(|image| image.env("API_TOKEN", &secret));
    let project = project(PIPELINE, &owner, &registry, image.path());
    let ran = project.run();
    assert_ne!(ran.code, 0, "{}", ran.all());
    assert_eq!((tags(&registry), owner.ledger_path().exists()), (0, false), "{}", ran.all());
    check_reports(&project);
    assert_eq!(project.read("honeycrate-reports/gl-code-quality-report.json").matches("\"fingerprint\"").count(), 1);
    assert!(ran.out().contains("verdict is denied with 1, 1 new,"), "{}", ran.all());
    assert!(!ran.all().contains(&secret[8..24]), "{}", ran.all());
}

#[test]
fn where_the_step_cannot_begin_the_reports_say_so() {
    let (owner, registry, image) = shop(|image| image);
    let pipeline = PIPELINE.replace("image: oci:image", "image: \"\"").replace("environment: production", "config: nowhere.yaml");
    let project = project(&pipeline, &owner, &registry, image.path());
    let ran = project.run();
    assert_ne!(ran.code, 0, "{}", ran.all());
    check_reports(&project);
    assert!(ran.out().contains("verdict is error with 2, 0 new,"), "{}", ran.all());
}

#[test]
fn a_merge_request_is_looked_at_and_pushes_only_where_the_rules_say_so() {
    let (owner, registry, image) = shop(|image| image);
    let looked = project(PIPELINE, &owner, &registry, image.path()).merge_request("acme/shop").run();
    assert_eq!((looked.code, tags(&registry)), (0, 0), "{}", looked.all());
    assert!(looked.out().contains("verdict is passed with 0"), "{}", looked.all());

    let rules = "      job-rules:\n        - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"\n      ledger: $LEDGER";
    let pipeline = PIPELINE.replace("      ledger: $LEDGER", rules);
    let shipped = project(&pipeline, &owner, &registry, image.path()).merge_request("acme/shop").run();
    assert_eq!((shipped.code, tags(&registry)), (0, 2), "{}", shipped.all());
}

#[test]
fn a_merge_request_from_a_fork_is_scanned_and_no_more_whatever_it_is_given() {
    let (owner, registry, image) = shop(|image| image);
    let rules = "      job-rules:\n        - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"\n      ledger: $LEDGER";
    let pipeline = PIPELINE.replace("      ledger: $LEDGER", rules);
    // In the parent's pipeline, which has its variables; and in the fork's own, which has none.
    let in_parent = project(&pipeline, &owner, &registry, image.path());
    let in_fork = Project::new(&pipeline).set("BUILT", &image.path().display().to_string());
    for project in [in_parent, in_fork] {
        let project = project.merge_request("mallory/shop");
        let ran = project.run();
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert!(log(&ran).contains("scanning and reporting only"), "{}", ran.all());
        assert!(ran.out().contains("verdict is passed with 0"), "{}", ran.all());
        check_reports(&project);
    }
    assert_eq!((registry.writes().len(), owner.ledger_path().exists()), (0, false));
}

#[test]
fn without_a_project_access_token_one_line_says_what_is_missing() {
    let (owner, registry, image) = shop(|image| image.env("API_TOKEN", &github_token(33)));
    let ran = project(PIPELINE, &owner, &registry, image.path()).merge_request("acme/shop").run();
    let said = log(&ran);
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("HONEYCRATE_GITLAB_TOKEN")).collect();
    assert_eq!(lines.len(), 1, "{}", ran.all());
    assert!(ran.out().contains("verdict is denied with 1"), "the verdict is the image's: {}", ran.all());
}

#[test]
fn with_a_project_access_token_the_merge_request_has_one_comment_that_is_kept_true() {
    let forge = GitLabForge::start();
    let secret = github_token(39);
    let (owner, registry, leaking) = shop(|image| image.env("API_TOKEN", &secret));
    let clean = tempdir().expect("scratch");
    Image::shop().write(clean.path());
    let run = |image: &Path| {
        let project = project(PIPELINE, &owner, &registry, image).merge_request("acme/shop").set("HONEYCRATE_GITLAB_TOKEN", ACCESS_TOKEN);
        on(project, &forge).run()
    };
    for _ in 0..2 {
        let ran = run(leaking.path());
        assert!(ran.out().contains("verdict is denied with 1, 1 new"), "{}", ran.all());
        let notes = forge.notes();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("denied") && !notes[0].contains(&secret[8..24]), "{}", notes[0]);
    }
    let ran = run(clean.path());
    let notes = forge.notes();
    assert!(ran.code == 0 && notes.len() == 1 && !notes[0].contains("denied"), "{notes:?}\n{}", ran.all());
}

#[test]
fn the_token_of_the_job_writes_nothing_and_is_shown_to_nobody_else() {
    let forge = GitLabForge::start();
    let (owner, registry, image) = shop(|image| image.env("API_TOKEN", &github_token(41)));
    let ran = on(project(PIPELINE, &owner, &registry, image.path()).merge_request("acme/shop"), &forge).run();
    assert!(ran.out().contains("verdict is denied with 1, 1 new"), "{}", ran.all());
    let writes: Vec<_> = forge.asked().into_iter().filter(|asked| asked.method != "GET").map(|asked| asked.target).collect();
    assert!(writes.is_empty() && forge.notes().is_empty(), "{writes:?}");
    assert!(!ran.all().contains(JOB_TOKEN), "{}", ran.all());
}

/// The project on an instance of GitLab, whose jobs have the instance's token.
fn on(project: Project, forge: &GitLabForge) -> Project {
    project.set("CI_API_V4_URL", &forge.api()).set("CI_SERVER_URL", &forge.server_url()).set("CI_JOB_TOKEN", JOB_TOKEN)
}

#[test]
fn where_others_read_nothing_is_told_of_honeytokens() {
    for visibility in ["public", "internal", "nonsense"] {
        let (owner, registry, image) = shop(|image| image);
        let project = project(PIPELINE, &owner, &registry, image.path()).set("CI_PROJECT_VISIBILITY", visibility);
        let ran = project.run();
        assert_eq!(ran.code, 0, "{}", ran.all());
        let folder = project.tree().join("honeycrate-reports");
        let mut told = log(&ran);
        for entry in std::fs::read_dir(folder).expect("reports") {
            told += &std::fs::read_to_string(entry.expect("an entry").path()).expect("a report is text");
        }
        let placements: Vec<Value> = owner.records().into_iter().filter(|record| record["event"] == "planted").collect();
        assert!(!placements.is_empty());
        for word in ["buried", "registry-login", "honeytokens planted"] {
            assert!(!told.contains(word), "{visibility}: {word}: {told}");
        }
        for placement in &placements {
            for member in ["id", "fingerprint", "path"] {
                let Some(text) = placement["placement"][member].as_str() else { continue };
                assert!(!told.contains(text), "{visibility}: {member} {text}: {told}");
            }
        }
    }
}

#[test]
fn names_that_are_commands_are_names() {
    let hostile =
        "$(touch ${PWNED})`touch ${PWNED}`;touch ${PWNED}\n\u{1b}]0;pwned\u{7}\u{1b}[2Jsection_start:1700000000:x[collapsed=true]\r\u{1b}[0K# <b>&";
    let path = "app/\u{1b}[31msection_start:17:x\r$(touch $PWNED)";
    let secret = github_token(35);
    let (owner, registry, image) = shop(|image| image.layer("COPY . . # buildkit", &[(path, &format!("GITHUB_TOKEN={secret}\n"))]));
    let scratch = tempdir().expect("scratch");
    let pwned = scratch.path().join("pwned");
    let hidden = scratch.path().join("a b;touch pwned;'");
    std::fs::rename(image.path(), &hidden).expect("one file system");
    let pipeline = PIPELINE.replace("      ledger: $LEDGER", "      ledger: $LEDGER\n      comment-id: $CI_MERGE_REQUEST_TITLE\n      service: shop");
    let mut project = project(&pipeline, &owner, &registry, &hidden).set("PWNED", &pwned.display().to_string()).merge_request("acme/shop");
    for name in [
        "CI_MERGE_REQUEST_TITLE",
        "CI_MERGE_REQUEST_LABELS",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
        "CI_COMMIT_REF_NAME",
        "CI_COMMIT_TAG",
        "CI_COMMIT_MESSAGE",
    ] {
        project = project.set(name, hostile);
    }
    project.git(&["checkout", "-q", "-b", "topic/$(touch${IFS}pwned);`id`"]);
    let ran = project.run();
    assert!(ran.out().contains("verdict is denied with 1, 1 new"), "{}", ran.all());
    assert!(!pwned.exists() && !project.tree().join("pwned").exists(), "a name was run: {}", ran.all());
    let said = log(&ran);
    // What begins a section, a colour or a title begins with one of these.
    assert!(!said.contains(['\u{1b}', '\r', '\u{7}']) && said.contains("section_start:17"), "{said:?}");
    check_reports(&project);
}

#[test]
fn the_file_alone_serves_whoever_fetches_it() {
    let (owner, registry, image) = shop(|image| image);
    let template = std::fs::read(root().join("templates/ship.yml")).expect("a template of ours");
    let shelf = Shelf::start(&[("/ship.yml", &template)]);
    let component = "component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/ship@$CI_COMMIT_SHA";
    for (source, shipped) in [(format!("remote: {}", shelf.url("/ship.yml")), 2), ("local: templates/ship.yml".to_owned(), 4)] {
        let ran = project(&PIPELINE.replace(component, &source), &owner, &registry, image.path()).run();
        assert_eq!((ran.code, tags(&registry)), (0, shipped), "{source}: {}", ran.all());
    }
}

#[test]
fn a_program_from_elsewhere_is_run_only_if_its_sum_is_right() {
    let script = b"#!/bin/sh\necho \"fetched, and asked to $1\"\n";
    let sum: String = Sha256::digest(script).iter().map(|byte| format!("{byte:02x}")).collect();
    let shelf = Shelf::start(&[("/honeycrate", script), ("/api/v4/packages/honeycrate", script)]);
    let run = |url: &str, sum: &str| {
        let inputs = format!("      image: oci:image\n      binary-url: {url}\n      binary-sha256: \"{sum}\"\n");
        let pipeline = format!("include:\n  - local: templates/ship.yml\n    inputs:\n{inputs}");
        Project::new(&pipeline).set("CI_API_V4_URL", &shelf.url("/api/v4")).set("CI_JOB_TOKEN", "token-of-the-job").run()
    };
    let ran = run(&shelf.url("/honeycrate"), &sum);
    assert!(ran.code == 0 && log(&ran).contains("fetched, and asked to ci"), "{}", ran.all());
    let ran = run("$CI_API_V4_URL/packages/honeycrate", &sum);
    assert!(ran.code == 0 && log(&ran).contains("fetched, and asked to ci"), "{}", ran.all());
    for wrong in ["", &"0".repeat(64)] {
        let ran = run(&shelf.url("/honeycrate"), wrong);
        assert!(ran.code != 0 && log(&ran).contains("does not have the sum binary-sha256"), "{}", ran.all());
        assert!(!ran.all().contains("fetched"), "{}", ran.all());
    }
    let asked = shelf.asked();
    let tokens: Vec<_> = asked.iter().map(|asked| (asked.line.contains("/api/v4/"), asked.headers.get("job-token").cloned())).collect();
    let (other, own) = ((false, None), (true, Some("token-of-the-job".to_owned())));
    assert_eq!(tokens, [other.clone(), own, other.clone(), other], "only the instance itself is shown the token of the job");
}

#[test]
fn a_key_may_come_as_a_file_and_under_another_name() {
    let (owner, registry, image) = shop(|image| image);
    let file = owner.home().join("key-file");
    std::fs::write(&file, must(&mut owner.command(&["key", "new", "--print"]))).expect("the home is writable");
    let pipeline = PIPELINE.replace("      ledger: $LEDGER", "      ledger: $LEDGER\n      key-variable: PRODUCTION_KEY\n      plant: \"true\"");
    let project =
        project(&pipeline, &owner, &registry, image.path()).set("HONEYCRATE_KEY", "not a key").set("PRODUCTION_KEY", &file.display().to_string());
    let ran = project.run();
    assert_eq!((ran.code, tags(&registry)), (0, 2), "{}", ran.all());
    assert!(owner.records().iter().any(|record| record["event"] == "planted"));
}

#[test]
fn a_scan_goes_nowhere_even_where_the_configuration_names_a_destination() {
    let (owner, registry, image) = shop(|image| image);
    let pipeline = PIPELINE
        .replace("/ship@", "/scan@")
        .replace("honeycrate-ship", "honeycrate-scan")
        .replace("      to: |\n        $CI_REGISTRY_IMAGE:1\n        $CI_REGISTRY_IMAGE:$CI_COMMIT_SHORT_SHA\n", "")
        .replace("      decoy: 127.0.0.1:9\n      ledger: $LEDGER\n", "");
    let project = project(&pipeline, &owner, &registry, image.path());
    let config = format!("environments:\n  production:\n    to: [\"{}\"]\ndecoy:\n  host: 127.0.0.1:9\n", registry.reference("acme/shop:1"));
    project.write("honeycrate.yaml", &config);
    project.commit("Configuration");
    let ran = project.run();
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!((registry.writes().len(), owner.ledger_path().exists()), (0, false), "{}", ran.all());
    assert!(ran.out().contains("verdict is passed with 0"), "{}", ran.all());
    check_reports(&project);
}

#[test]
fn a_scheduled_watch_sends_each_alert_once_and_its_log_tells_nothing() {
    use crate::common::decoy::{Address, Decoy};
    use crate::common::{skopeo, thief};
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (built, stolen) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let mut command =
        owner.command(&["ship", &source, "--to", &registry.reference("acme/shop:1"), "--env", "production", "--decoy", &address.host()]);
    owner.access(&mut command, &registry);
    must(&mut command);
    skopeo::pull(&registry, "acme/shop:1", stolen.path());
    let loot = thief::loot(stolen.path());
    let decoy = Decoy::start(&owner, &address);
    thief::use_it(loot.iter().find(|loot| loot.surface == "buried").expect("a bait"));
    assert_eq!(decoy.alerts(1).len(), 1);
    drop(decoy);

    let shelf = Shelf::start(&[]);
    let pipeline = "include:\n  - local: templates/watch.yml\n    inputs: {ledger: $LEDGER, webhook-variable: ALERTS}\n";
    let watch = |sink: &str| {
        let project = Project::new(pipeline).set("CI_PIPELINE_SOURCE", "schedule").set("LEDGER", &owner.ledger_path().display().to_string());
        let ran = project.set("ALERTS", sink).run();
        let said: String = ran.all().lines().filter_map(|line| line.split_once("honeycrate-watch > ")).map(|(_, said)| said).collect();
        for word in ["buried", "acme/shop", "/hooks/secret"] {
            assert!(!said.contains(word), "{word}: {said}");
        }
        (ran.code, said)
    };
    let (code, said) = watch("");
    assert!(code != 0 && said.contains("there is no sink"), "a watch that nobody hears is no watch: {said}");
    let (code, said) = watch("http://127.0.0.1:9/hooks/secret");
    assert!(code != 0 && said.contains("waits beside the ledger"), "{said}");
    for _ in 0..2 {
        let (code, said) = watch(&shelf.url("/hooks/secret"));
        assert_eq!(code, 0, "{said}");
        let sent = shelf.asked();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert!(sent[0].line.starts_with("POST /hooks/secret ") && sent[0].body.contains("buried"), "{sent:?}");
    }
}

#[test]
fn init_writes_a_pipeline_and_leaves_one_that_is_there() {
    let (own, folder) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let init = |remote: &str| {
        let at = folder.path().join(remote.split(':').next().unwrap_or_default());
        std::fs::create_dir_all(&at).expect("scratch");
        must(program("git", own.home()).current_dir(&at).args(["init", "-q"]));
        must(program("git", own.home()).current_dir(&at).args(["remote", "add", "origin", remote]));
        let ran = run(own.command(&["init", "--gitlab"]).current_dir(&at));
        (at, ran)
    };
    for (remote, source) in [("git@gitlab.com:acme/shop.git", "component: "), ("git@gitlab.acme.example:acme/shop.git", "remote: https://")] {
        let (at, ran) = init(remote);
        assert!(ran.code == 0 && ran.out().contains("not protected"), "{}", ran.all());
        let written = std::fs::read_to_string(at.join(".gitlab-ci.yml")).expect("it was written");
        assert!(written.contains(source), "{written}");
        must(
            program(tool("check-jsonschema"), own.home())
                .args(["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"])
                .arg(at.join(".gitlab-ci.yml")),
        );
        // What it includes is our template, which lies here.
        let (first, rest) = written.split_once(source).expect("it is there");
        let (_, rest) = rest.split_once("    inputs:").expect("inputs follow");
        let project = Project::new(&format!("{first}local: templates/ship.yml\n    inputs:{rest}")).set("CI_PIPELINE_SOURCE", "merge_request_event");
        let mut jobs = project.jobs();
        jobs.sort();
        assert_eq!(jobs, ["build", "honeycrate-ship"], "both are in the pipeline of a merge request");

        let again = run(own.command(&["init", "--gitlab"]).current_dir(&at));
        assert!(again.code == 0 && again.out().contains("exists already and stays as it is") && again.out().contains(source), "{}", again.all());
        assert_eq!(std::fs::read_to_string(at.join(".gitlab-ci.yml")).expect("still there"), written);
    }
}

#[test]
fn the_component_tests_itself_and_a_version_is_released() {
    let own = std::fs::read_to_string(root().join(".gitlab-ci.yml")).expect("a pipeline of ours");
    must(
        program(tool("check-jsonschema"), root())
            .args(["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"])
            .arg(root().join(".gitlab-ci.yml")),
    );
    let tested = ["job-image", "outputs", "own-honeycrate-scan", "program"];
    let released = ["job-image", "outputs", "own-honeycrate-scan", "own-honeycrate-ship", "program", "release"];
    for (set, expected) in [
        (&[("CI_PIPELINE_SOURCE", "merge_request_event")][..], &tested[..]),
        (&[("CI_PIPELINE_SOURCE", "push")], &tested),
        (&[("CI_PIPELINE_SOURCE", "push"), ("CI_COMMIT_BRANCH", ""), ("CI_COMMIT_TAG", "0.1.0")], &released),
    ] {
        let project = set.iter().fold(Project::new(&own), |project, (name, value)| project.set(name, value));
        let mut jobs = project.jobs();
        jobs.sort();
        assert_eq!(jobs, expected, "{set:?}");
    }
}

#[test]
fn the_job_image_has_what_a_runner_needs_and_runs_the_job() {
    let context = tempdir().expect("scratch");
    let at = |name: &str| context.path().join(name);
    let busybox = "/bin/busybox";
    assert!(Path::new(busybox).exists(), "busybox-static is missing: run .ci/setup");
    for folder in ["base/bin", "base/tmp"] {
        std::fs::create_dir_all(at(folder)).expect("scratch");
    }
    std::fs::copy(busybox, at("base/bin/busybox")).expect("scratch");
    std::fs::write(at("base/Containerfile"), "FROM scratch\nCOPY bin /bin\nCOPY tmp /tmp\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n")
        .expect("scratch");
    // Without its debug information, which the shipped program does not have either.
    must(program("strip", context.path()).args(["-o"]).arg(at("honeycrate")).arg(env!("CARGO_BIN_EXE_honeycrate")));
    std::fs::copy(root().join("Containerfile"), at("Containerfile")).expect("scratch");
    Image::shop().env("API_TOKEN", &github_token(37)).write(&at("image"));

    let builder = Buildah::new();
    builder.bud(&at("base"), "localhost/base", &[]);
    builder.bud(context.path(), "localhost/job", &["BASE=localhost/base", "PROGRAM=honeycrate"]);

    let pipeline = "include:\n  - local: templates/ship.yml\n    inputs: {image: oci:/image}\n";
    let shown: Value = serde_yaml::from_str(&Project::new(pipeline).preview().out()).expect("YAML");
    let job = &shown["honeycrate-ship"];
    let mut script = String::from("cd /tmp\n");
    for (name, value) in job["variables"].as_object().expect("variables") {
        script += &format!("export {name}='{}'\n", value.as_str().expect("a text"));
    }
    script += "export GITLAB_CI=true CI=true CI_PROJECT_DIR=/tmp CI_PROJECT_VISIBILITY=public\n";
    script += job["script"][0].as_str().expect("a text");
    let ran = builder.run_in("localhost/job", &[(at("image"), "/image")], &["/bin/sh", "-c", &script]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(ran.out().contains("denied") && ran.out().contains("API_TOKEN"), "{}", ran.all());
    // Commands that GitLab's runner starts in a job's container. Source: gitlab-runner, shells/bash.go.
    let ran = builder.run_in("localhost/job", &[], &["/bin/sh", "-c", "for name in sh cat chmod cp cut echo env grep ls mkdir mkfifo mktemp mv printf ps rm sha256sum sleep tail test touch tr wget; do command -v $name >/dev/null || echo no $name; done"]);
    assert_eq!((ran.code, ran.out().as_str()), (0, ""), "{}", ran.all());
}
