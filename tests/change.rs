//! A pull request: it gets one note that is kept true, and a stranger's can do nothing but be scanned.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::command::{Ran, run};
use crate::common::forge::{Forge, TOKEN};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};

/// The variables of a job for pull request 7, whose code comes from `head`.
pub(crate) fn of_a_job<'a>(command: &'a mut Command, honeycrate: &Honeycrate, forge: &Forge, head: &str) -> &'a mut Command {
    let event = honeycrate.home().join("event.json");
    let repository = |name: &str| json!({ "full_name": name, "visibility": "public", "private": false });
    let pull_request =
        json!({ "number": 7, "head": { "sha": "4f2a91c0".repeat(5), "repo": repository(head) }, "base": { "repo": repository("acme/shop") } });
    let payload = json!({ "number": 7, "pull_request": pull_request, "repository": repository("acme/shop") });
    std::fs::write(&event, payload.to_string()).expect("the home is writable");
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", "pull_request").env("GITHUB_EVENT_PATH", event);
    command.env("GITHUB_REPOSITORY", "acme/shop").env("GITHUB_SHA", "0".repeat(40)).env("GITHUB_ACTOR", "ann").env("GITHUB_RUN_ID", "1");
    command.env("GITHUB_API_URL", forge.address()).env("GITHUB_SERVER_URL", "https://github.com")
}

#[test]
fn a_change_has_one_note_that_is_kept_true() {
    let (honeycrate, forge) = (Honeycrate::new(), Forge::start());
    let secret = github_token(21);
    let scan = |image: Image, token: &str| -> Ran {
        let layout = tempdir().expect("scratch");
        let source = image.write(layout.path());
        run(of_a_job(&mut honeycrate.command(&["scan", &source]), &honeycrate, &forge, "acme/shop").env("GITHUB_TOKEN", token))
    };
    assert_eq!(scan(Image::shop(), TOKEN).code, 0);
    assert_eq!(forge.comments(), [""; 0], "nothing to say, nothing said");

    let layout = tempdir().expect("scratch");
    let source = Image::shop().env("GITHUB", &secret).write(layout.path());
    let again = || run(of_a_job(&mut honeycrate.command(&["scan", &source]), &honeycrate, &forge, "acme/shop").env("GITHUB_TOKEN", TOKEN));
    for _ in 0..2 {
        let ran = again();
        assert_eq!(ran.code, 1, "{}", ran.all());
        let comments = forge.comments();
        assert_eq!(comments.len(), 1, "{comments:?}");
        assert!(comments[0].contains("denied") && comments[0].contains("github-personal-token"), "{}", comments[0]);
        assert!(!comments[0].contains(&secret));
    }

    let refused = run(of_a_job(&mut honeycrate.command(&["scan", &source]), &honeycrate, &forge, "acme/shop").env("GITHUB_TOKEN", "other"));
    assert_eq!(refused.code, 1, "the verdict does not depend on the note");
    assert!(refused.err().contains("no note was left"), "{}", refused.all());
    let clean = Image::shop().write(&layout.path().join("clean"));
    for (source, strict, code) in [(&clean, true, 8), (&clean, false, 0), (&source, true, 1)] {
        let mut command = honeycrate.command(&["scan", source, "--comment", "always"]);
        command.args(strict.then_some("--strict-forge"));
        let ran = run(of_a_job(&mut command, &honeycrate, &forge, "acme/shop").env("GITHUB_TOKEN", "other"));
        assert_eq!(ran.code, code, "{}", ran.all());
        assert!(ran.err().contains("no note was left"), "{}", ran.all());
    }
    let without = run(of_a_job(&mut honeycrate.command(&["scan", &source]), &honeycrate, &forge, "acme/shop"));
    assert!(without.err().contains("GITHUB_TOKEN"), "{}", without.all());
}

#[test]
fn a_strangers_change_is_scanned_and_goes_nowhere() {
    let (honeycrate, registry, forge, layout) = (Honeycrate::new(), Registry::plain(Auth::None), Forge::start(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let mut command = honeycrate.ship(&source, &registry, "acme/shop:1");
    let shipped = honeycrate.reported(of_a_job(&mut command, &honeycrate, &forge, "mallory/shop"));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    assert_eq!(shipped.report["verdict"]["outcome"], Value::from("passed"));
    assert_eq!((list(&shipped.report, "pushed").len(), list(&shipped.report, "placements").len()), (0, 0));
    assert_eq!((registry.writes().len(), registry.stored()), (0, 0));
    assert!(shipped.ran.err().contains("scanning and reporting only"), "{}", shipped.ran.all());

    let mut command = honeycrate.ship(&source, &registry, "acme/shop:1");
    let own = honeycrate.reported(of_a_job(&mut command, &honeycrate, &forge, "acme/shop"));
    assert_eq!(own.ran.code, 0, "{}", own.ran.all());
    assert_eq!(list(&own.report, "pushed").len(), 1, "the repository's own change is shipped");
    for surface in ["buried", "registry-login", "honeytokens planted"] {
        assert!(!own.ran.all().contains(surface), "the log of a public job tells of bait: {}", own.ran.all());
    }
}
