//! Which image had a leaked secret first: the ledger learns it from what is shipped or denied, and tells it to the owner alone.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;
use time::{Duration, OffsetDateTime};

use crate::change::of_a_job;
use crate::common::command::run;
use crate::common::forge::{Forge, TOKEN};
use crate::common::honeycrate::{ENVIRONMENT, Honeycrate, Reported, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};
use crate::schema::Schema;

const COMMIT: &str = "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90";

/// Lets secrets in files of one name pass.
fn accept(honeycrate: &Honeycrate) {
    let day = OffsetDateTime::now_utc().date() + Duration::days(9);
    let exception = format!("exceptions: [{{ rule: github-personal-token, path: app/.env, reason: a fixture, owner: ann, expires: {day} }}]\n");
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), exception).expect("the home is writable");
}

/// An image with secrets in its files of environment, one a layer.
fn image(folder: &Path, program: &str, secrets: &[&str]) -> String {
    let image = Image::shop().layer("COPY main .", &[("app/main", program)]);
    secrets.iter().fold(image, |image, secret| image.layer("COPY .env .", &[("app/.env", secret)])).write(folder)
}

fn ship(honeycrate: &Honeycrate, source: &str, registry: &Registry, name: &str) -> Reported {
    let mut command = honeycrate.ship(source, registry, name);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", "push").env("GITHUB_SHA", COMMIT).env("GITHUB_REPOSITORY", "acme/shop");
    checked(honeycrate.reported(&mut command))
}

fn scan(honeycrate: &Honeycrate, source: &str) -> Reported {
    checked(honeycrate.reported(&mut honeycrate.command(&["scan", source])))
}

fn checked(reported: Reported) -> Reported {
    assert_eq!(Schema::read().problem(&reported.report), None, "{}", reported.ran.all());
    reported
}

/// What is told of the first images, in the order of the findings.
fn firsts(reported: &Reported) -> Vec<Value> {
    list(&reported.report, "findings").iter().map(|finding| finding["first_seen"].clone()).collect()
}

/// The records of what was found.
fn found(honeycrate: &Honeycrate) -> Vec<Value> {
    honeycrate.records().into_iter().filter(|record| record["event"] == "found").collect()
}

#[test]
fn a_later_image_names_the_first_that_had_the_secret_to_its_owner_alone() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let (old, new) = (github_token(120), github_token(121));
    let (one, two) = (image(&folder.path().join("one"), "1", &[&old]), image(&folder.path().join("two"), "2", &[&old, &new]));
    accept(&honeycrate);

    let first = ship(&honeycrate, &one, &registry, "acme/shop:1.3");
    assert_eq!((first.ran.code, firsts(&first)), (0, vec![Value::Null]), "{}", first.ran.all());
    let records = found(&honeycrate);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["image"], first.report["pushed"][0]["digest"]);
    assert_eq!(records[0]["secrets"], first.report["findings"][0]["fingerprint"]);
    assert_eq!((&records[0]["pushed"], &records[0]["version"]), (&Value::from(true), &Value::from(2)));

    let second = ship(&honeycrate, &two, &registry, "acme/shop:1.4");
    let reference = registry.reference("acme/shop:1.3");
    let told = firsts(&second).into_iter().find(|first| !first.is_null()).expect("one of the two is known");
    assert_eq!((&told["reference"], &told["image"]), (&Value::from(reference.as_str()), &first.report["pushed"][0]["digest"]));
    assert_eq!((&told["environment"], &told["commit"]), (&Value::from(ENVIRONMENT), &Value::from(COMMIT)));
    assert_eq!((&told["at"], &told["pushed"]), (&records[0]["time"], &Value::from(true)));
    assert_eq!(firsts(&second).iter().filter(|first| first.is_null()).count(), 1);
    let line = format!("first in {reference}, {}, commit 4f2a91c", &records[0]["time"].as_str().expect("text")[..10]);
    let unbroken = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!second.ran.all().contains("first in"), "nobody knows who reads the log of that job: {}", second.ran.all());

    // The second brought one of its own, and the same image again brings none.
    let records = found(&honeycrate);
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["secrets"].as_str().map(str::len), Some(16));
    assert_eq!(ship(&honeycrate, &two, &registry, "acme/shop:1.4").ran.code, 0);
    assert_eq!(found(&honeycrate).len(), 2);
    let values = honeycrate.run(&["ledger", "export", "--out", "export.jsonl"]);
    assert_eq!(values.code, 0, "{}", values.all());
    let export = std::fs::read_to_string(honeycrate.home().join("export.jsonl")).expect("written");
    assert!(!export.contains(&old) && !export.contains(&new));
    assert_eq!(honeycrate.run(&["ledger", "verify", "--file", "export.jsonl"]).code, 0);
    assert_eq!(honeycrate.run(&["ledger", "verify"]).code, 0);

    // A scan alone reads, and writes nothing.
    let before = honeycrate.records();
    let scanned = scan(&honeycrate, &two);
    assert!(firsts(&scanned).iter().all(|first| !first.is_null()), "{}", scanned.report);
    assert!(unbroken(&scanned.ran.all()).contains(&line), "{}", scanned.ran.all());
    std::fs::write(honeycrate.home().join("notes.txt"), &old).expect("the home is writable");
    assert_eq!(firsts(&scan(&honeycrate, "notes.txt"))[0]["reference"], Value::from(reference.as_str()), "also where it lies in a file");
    assert_eq!(honeycrate.records(), before);

    // The job of a public repository tells nobody where else it lies.
    let forge = Forge::start();
    for format in ["terminal", "markdown", "html", "sarif", "json"] {
        let mut command = honeycrate.command(&["scan", &two, "--comment", "always", "--format", format, "--report", "html=told.html"]);
        let ran = run(of_a_job(&mut command, &honeycrate, &forge, "acme/shop").env("GITHUB_TOKEN", TOKEN));
        let page = std::fs::read_to_string(honeycrate.home().join("told.html")).expect("written");
        let comment = forge.comments().pop().expect("a note was left");
        for text in [ran.all(), page, comment] {
            assert!(text.contains("ersonal access token"), "{format}: {text}");
            assert!(!text.contains("acme/shop:1.3") && !text.contains("first_seen") && !text.contains("irst in"), "{format}: {text}");
        }
    }
}

#[test]
fn an_image_that_was_denied_is_told_until_one_with_the_secret_is_pushed() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let secret = github_token(122);
    let clean = Image::shop().write(&folder.path().join("clean"));
    let leaky = image(&folder.path().join("leaky"), "1", &[&secret]);
    // Only planting makes a ledger.
    assert_eq!(ship(&honeycrate, &leaky, &registry, "acme/shop:1").ran.code, 1);
    assert!(!honeycrate.ledger_path().exists());
    assert_eq!(ship(&honeycrate, &clean, &registry, "acme/shop:1").ran.code, 0);
    assert_eq!(found(&honeycrate), [Value::Null; 0]);

    for _ in 0..2 {
        assert_eq!(ship(&honeycrate, &leaky, &registry, "acme/shop:2").ran.code, 1);
    }
    let scanned = scan(&honeycrate, &leaky);
    let first = &firsts(&scanned)[0];
    assert_eq!((&first["pushed"], &first["reference"]), (&Value::from(false), &Value::from(leaky.as_str())));
    assert_eq!(first["image"], scanned.report["source"]["digest"]);
    assert_eq!(found(&honeycrate).len(), 1);

    accept(&honeycrate);
    let shipped = ship(&honeycrate, &leaky, &registry, "acme/shop:3");
    assert_eq!(firsts(&shipped)[0]["pushed"], false);
    let first = &firsts(&scan(&honeycrate, &leaky))[0];
    assert_eq!((&first["pushed"], &first["reference"]), (&Value::from(true), &Value::from(registry.reference("acme/shop:3"))));
    assert_eq!(found(&honeycrate).len(), 2);
}

#[test]
fn shipping_without_bait_tells_the_ledger_that_is_there_and_nobody_asks_without_ledger_or_key() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let secret = github_token(123);
    let clean = Image::shop().write(&folder.path().join("clean"));
    let leaky = image(&folder.path().join("leaky"), "1", &[&secret]);
    let without_bait = || {
        let to = registry.reference("acme/shop:7");
        let mut command = honeycrate.command(&["ship", &leaky, "--to", &to, "--no-plant", "--fail-on", "none"]);
        honeycrate.access(&mut command, &registry);
        assert_eq!(run(&mut command).code, 0);
    };
    without_bait();
    assert_eq!(firsts(&scan(&honeycrate, &leaky)), [Value::Null]);
    assert!(!honeycrate.ledger_path().exists());
    assert_eq!(ship(&honeycrate, &clean, &registry, "acme/shop:1").ran.code, 0);
    without_bait();
    without_bait();
    assert_eq!(found(&honeycrate).len(), 1);
    assert_eq!(firsts(&scan(&honeycrate, &leaky))[0]["reference"], Value::from(registry.reference("acme/shop:7")));

    let stranger = Honeycrate::stranger();
    let mut command = stranger.command(&["scan", &leaky]);
    let scanned = stranger.reported(command.env("HONEYCRATE_LEDGER", honeycrate.ledger_path()));
    assert_eq!(firsts(&scanned), [Value::Null], "without the key, fingerprints are others");
    // A ledger that cannot be read is told, and changes no verdict.
    let scratch = honeycrate.home().join("notes.sqlite");
    std::fs::write(&scratch, "no ledger, but somebody's notes").expect("the home is writable");
    let mut command = honeycrate.command(&["scan", &leaky]);
    let scanned = honeycrate.reported(command.env("HONEYCRATE_LEDGER", &scratch));
    assert_eq!((scanned.ran.code, firsts(&scanned)), (1, vec![Value::Null]));
    assert!(scanned.ran.all().split_whitespace().collect::<Vec<_>>().join(" ").contains("which image had each secret first is not told"));
    assert_eq!(std::fs::read_to_string(&scratch).expect("readable"), "no ledger, but somebody's notes");
}
