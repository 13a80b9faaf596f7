//! The trap: a thief pulls a shipped image, searches it, and uses what it finds. Each use is one alert that says it all.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::command::{must, program, run, run_with_input};
use crate::common::decoy::{Address, Decoy};
use crate::common::honeycrate::{Honeycrate, SERVICE, list};
use crate::common::images::Image;
use crate::common::registry::{Auth, Registry};
use crate::common::thief::Loot;
use crate::common::tls::Authority;
use crate::common::{skopeo, thief};

/// The kinds of bait that lie in files, each of which leads to a face of the decoy.
const KINDS: [&str; 10] =
    ["registry-login", "database-url", "git-credentials", "pypi-index", "https-url", "npm-index", "kubeconfig", "s3-keys", "vault-token", "jwt"];

/// What built the image, as its CI job says.
const COMMIT: &str = "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90";

/// Ships the shop with bait that leads to `address`, and pulls it as a thief does.
fn steal(owner: &Honeycrate, registry: &Registry, name: &str, address: &Address) -> (Value, Vec<Loot>) {
    let (built, stolen) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let mut command = owner.command(&["ship", &source, "--to", &registry.reference(name), "--env", "production", "--service", SERVICE]);
    command
        .args(["--decoy", &address.host()])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_SHA", COMMIT)
        .env("GITHUB_REPOSITORY", "acme/shop");
    owner.access(&mut command, registry);
    let shipped = owner.reported(&mut command);
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    skopeo::pull(registry, name, stolen.path());
    (shipped.report, thief::loot(stolen.path()))
}

/// The first member of this name, at any depth.
fn member<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    match document {
        Value::Object(members) => members.get(name).or_else(|| members.values().find_map(|value| member(value, name))),
        Value::Array(values) => values.iter().find_map(|value| member(value, name)),
        _ => None,
    }
}

#[test]
fn each_used_token_is_one_alert_that_names_the_surface_and_the_image() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (report, loot) = steal(&owner, &registry, "acme/shop:1", &address);
    let decoy = Decoy::start(&owner, &address);
    let mut seen = 0;
    for surface in ["file", "env", "buried", "history"] {
        let found = loot.iter().find(|loot| loot.surface == surface).unwrap_or_else(|| panic!("nothing on {surface}: {loot:?}"));
        let answer = thief::use_it(found);
        let alerts = decoy.alerts(seen + 1);
        assert_eq!(alerts.len(), seen + 1, "one use, one alert: {surface}, {}", answer.all());
        let alert = &alerts[seen];
        seen = alerts.len();
        assert_eq!(member(alert, "surface"), Some(&surface.into()), "{alert}");
        let placement = list(&report, "placements").iter().find(|placement| placement["surface"] == surface).expect("it was planted");
        assert_eq!(member(alert, "fingerprint"), Some(&placement["fingerprint"]), "{alert}");
        assert_eq!(member(alert, "environment"), Some(&"production".into()));
        assert_eq!(member(alert, "service"), Some(&SERVICE.into()));
        let image = &alert["images"][0];
        assert_eq!(image["digest"], report["pushed"][0]["digest"], "the alert names the image: {alert}");
        assert_eq!(image["placements"]["linux/amd64"], placement["id"], "the alert names the placement: {alert}");
        assert_eq!(image["commit"], COMMIT);
        assert!(alert["visitor"]["address"].as_str().is_some_and(|address| address.starts_with("127.")), "{alert}");
        assert!(alert["meaning"].as_str().is_some_and(|text| text.len() > 20), "{alert}");
        assert!(!alert.to_string().contains(&found.secret), "the alert holds no token");
        assert!(!answer.all().to_lowercase().contains("honey"), "the trap says what it is: {}", answer.all());
    }
    let triggered = owner.records().into_iter().filter(|record| record["event"] == "triggered").count();
    assert_eq!(triggered, seen, "each alert is in the ledger");
}

#[test]
fn every_kind_of_bait_leads_into_the_trap() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let mut stolen = Vec::new();
    for kind in KINDS {
        let config = format!("environments:\n  production:\n    kinds:\n      file: {kind}\n");
        std::fs::write(owner.home().join("honeycrate.yaml"), config).expect("the home is writable");
        let (report, loot) = steal(&owner, &registry, &format!("acme/{kind}:1"), &address);
        let planted = list(&report, "placements").iter().any(|placement| placement["surface"] == "file" && placement["kind"] == kind);
        assert!(planted, "{kind}: {}", report["placements"]);
        let found = loot.into_iter().find(|loot| loot.surface == "file").unwrap_or_else(|| panic!("the thief finds no {kind}"));
        stolen.push((kind, found));
    }
    let decoy = Decoy::start(&owner, &address);
    for (number, (kind, loot)) in stolen.iter().enumerate() {
        let answer = thief::use_it(loot);
        let alerts = decoy.alerts(number + 1);
        assert_eq!(alerts.len(), number + 1, "{kind}: {}", answer.all());
        assert_eq!(member(&alerts[number], "kind"), Some(&(*kind).into()), "{}", alerts[number]);
        assert_eq!(member(&alerts[number], "surface"), Some(&"file".into()));
    }
}

#[test]
fn over_tls_a_login_is_caught_behind_a_certificate_given_or_self_made() {
    const NAME: &str = "registry.acme.test";
    let folder = tempdir().expect("scratch");
    let authority = Authority::new();
    let (ca, identity) = (authority.write(folder.path()), authority.issue(folder.path()));
    let [chain, key] = [&identity.certificate, &identity.key].map(|path| path.display().to_string());
    for given in [true, false] {
        let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
        let (_, loot) = steal(&owner, &registry, "acme/shop:1", &address);
        let arguments = if given { vec!["--cert", &chain, "--cert-key", &key] } else { Vec::new() };
        let decoy = Decoy::start_as(&owner, &address, &format!("{NAME}:8080"), &arguments);
        let bait = loot.iter().find(|loot| loot.surface == "file").expect("a bait");
        let curl = |path: &str, more: &[&str]| {
            let mut command = program("curl", folder.path());
            command.args(["-s", "-i", "--resolve", &format!("{NAME}:8080:{}", address.ip()), &format!("https://{NAME}:8080{path}")]).args(more);
            run(&mut command)
        };
        let trust = ["--cacert", ca.to_str().expect("a plain path")];
        assert_eq!(curl("/v2/", &trust).code, if given { 0 } else { 60 }, "only the given certificate is believed");
        let challenge = curl("/v2/", &["-k"]).out();
        let line = challenge.lines().find(|line| line.to_lowercase().starts_with("www-authenticate:")).expect("a challenge");
        assert!(challenge.starts_with("HTTP/1.1 401") && line.contains("Bearer realm=\"https://"), "{challenge}");
        let pair = format!("{}:{}", bait.user, bait.secret);
        let answer = curl("/backup/", &["-k", "-u", &pair]).out();
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 401"), "{answer}");
        let alerts = decoy.alerts(1);
        assert_eq!((alerts.len(), member(&alerts[0], "surface")), (1, Some(&"file".into())), "{alerts:?}");
        assert!(alerts[0]["visitor"]["user_agent"].as_str().is_some_and(|agent| agent.starts_with("curl/")), "{}", alerts[0]);
    }
}

#[test]
fn what_is_no_token_of_ours_makes_no_alert() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (_, loot) = steal(&owner, &registry, "acme/shop:1", &address);
    let decoy = Decoy::start(&owner, &address);
    let mut altered = loot.iter().find(|loot| loot.surface == "file").expect("a bait").clone();
    let flip = |character: char| if character.is_ascii_digit() { '7' } else { 'q' };
    altered.secret = altered.secret.chars().enumerate().map(|(at, character)| if at % 3 == 0 { flip(character) } else { character }).collect();
    let _ = thief::use_it(&altered);
    // A real use after it shows that the trap was listening all the time.
    let _ = thief::use_it(loot.iter().find(|loot| loot.surface == "buried").expect("a bait"));
    assert_eq!(decoy.alerts(1).len(), 1);
}

#[test]
fn a_token_is_traced_to_the_images_that_carry_it() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (report, _) = steal(&owner, &registry, "acme/shop:1", &address);
    let fingerprints: BTreeSet<&str> = list(&report, "placements").iter().filter_map(|placement| placement["fingerprint"].as_str()).collect();
    for fingerprint in fingerprints {
        let trace = must(&mut owner.command(&["token", "trace", fingerprint]));
        assert!(trace.contains(&registry.reference("acme/shop:1")), "{trace}");
        assert!(trace.contains(report["pushed"][0]["digest"].as_str().expect("a digest")), "{trace}");
    }
}

#[test]
fn a_token_that_the_ledger_has_lost_still_tells_what_it_is() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (_, loot) = steal(&owner, &registry, "acme/shop:1", &address);
    let stolen = loot.iter().find(|loot| loot.surface == "buried").expect("a bait");
    std::fs::rename(owner.ledger_path(), owner.home().join("lost.sqlite")).expect("the home is writable");
    let trace = |owner: &Honeycrate| run_with_input(&mut owner.command(&["token", "trace", "-"]), stolen.secret.as_bytes());
    let ran = trace(&owner);
    for told in ["on the buried surface", "no record of it", "there is no ledger"] {
        assert!(ran.code == 0 && ran.all().contains(told), "{told}: {}", ran.all());
    }
    assert!(!ran.all().contains(&stolen.secret), "{}", ran.all());
    std::fs::rename(owner.home().join("lost.sqlite"), owner.ledger_path()).expect("the home is writable");
    let stranger = Honeycrate::new();
    std::fs::copy(owner.ledger_path(), stranger.ledger_path()).expect("the home is writable");
    let ran = trace(&stranger);
    assert!(ran.code == 2 && ran.err().contains("no honeytoken of yours"), "{}", ran.all());
}
