//! The life of tokens after they were planted: drills, rotation, retirement, revocation.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::buildah::Buildah;
use crate::common::command::Ran;
use crate::common::decoy::{Address, Decoy};
use crate::common::honeycrate::{Honeycrate, SERVICE, list};
use crate::common::images::Image;
use crate::common::registry::{Auth, Registry};
use crate::common::thief::Loot;
use crate::common::{skopeo, thief};

/// Ships the shop for production and steals it: the fingerprint of the token on each surface, and the loot.
fn ship(owner: &Honeycrate, registry: &Registry, name: &str, address: &Address) -> (BTreeMap<String, String>, Vec<Loot>) {
    let (built, stolen) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let mut command = owner.command(&["ship", &source, "--to", &registry.reference(name), "--env", "production", "--service", SERVICE]);
    command.args(["--decoy", &address.host()]);
    owner.access(&mut command, registry);
    let shipped = owner.reported(&mut command);
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let told = |placement: &Value, name: &str| placement[name].as_str().expect("a text").to_owned();
    let placements = list(&shipped.report, "placements").iter().map(|placement| (told(placement, "surface"), told(placement, "fingerprint")));
    skopeo::pull(registry, name, stolen.path());
    (placements.collect(), thief::loot(stolen.path()))
}

fn on<'a>(loot: &'a [Loot], surface: &str) -> &'a Loot {
    loot.iter().find(|loot| loot.surface == surface).unwrap_or_else(|| panic!("nothing on {surface}: {loot:?}"))
}

fn token(owner: &Honeycrate, arguments: &[&str]) -> Ran {
    owner.run(&[&["token"], arguments].concat())
}

fn listed(owner: &Honeycrate, fingerprint: &str) -> Value {
    let ran = token(owner, &["list", "--json"]);
    let text = ran.out();
    let mut tokens = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    tokens.find(|token| token["fingerprint"] == fingerprint).unwrap_or_else(|| panic!("{}", ran.all()))
}

fn events(owner: &Honeycrate, name: &str) -> Vec<Value> {
    owner.records().into_iter().filter(|record| record["event"] == name).collect()
}

#[test]
fn a_drill_is_followed_to_its_end_and_hides_no_thief_of_the_same_second() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (tokens, loot) = ship(&owner, &registry, "acme/shop:1", &address);
    let decoy = Decoy::start(&owner, &address);
    let drilled = &tokens["file"];
    let ran = std::thread::scope(|scope| {
        // From the same address as the thief, who is quick.
        let drill = scope.spawn(|| token(&owner, &["drill", drilled, "--from", "the test"]));
        thief::use_it(on(&loot, "file"));
        drill.join().expect("the drill ends")
    });
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().contains("passed") && ran.out().contains("the sink has the alert"), "{}", ran.out());
    let alerts = decoy.alerts(2);
    let is_drill = |alert: &&Value| alert["drill"].is_string();
    assert_eq!((alerts.len(), alerts.iter().filter(is_drill).count()), (2, 1), "{alerts:?}");
    assert!(alerts.iter().all(|alert| alert["fingerprint"] == drilled.as_str()));
    let ended = events(&owner, "drill-ended");
    assert_eq!((ended.len(), &ended[0]["passed"]), (1, &true.into()), "{ended:?}");
    assert_eq!(events(&owner, "drill-begun")[0]["drill"]["place"], "the test");
    let listed = listed(&owner, drilled);
    assert_eq!((listed["triggers"].as_u64(), listed["drilled_at"].is_string()), (Some(1), true), "{listed}");
    let shown = token(&owner, &["show", drilled]).out();
    assert!(shown.contains("DRILL") && shown.contains("TRIGGERED"), "{shown}");
    // A value is told nowhere.
    assert!(!ran.all().contains(&on(&loot, "file").secret) && !shown.contains(&on(&loot, "file").secret));
}

#[test]
fn every_kind_of_our_own_can_be_drilled() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let decoy_of = Decoy::start(&owner, &address);
    let kinds =
        ["registry-login", "git-credentials", "pypi-index", "https-url", "npm-index", "kubeconfig", "s3-keys", "vault-token", "jwt", "database-url"];
    for (number, kind) in kinds.iter().enumerate() {
        let config = format!("environments:\n  production:\n    surfaces: [file]\n    kinds:\n      file: {kind}\n");
        std::fs::write(owner.home().join("honeycrate.yaml"), config).expect("the home is writable");
        let (tokens, _) = ship(&owner, &registry, &format!("acme/{kind}:1"), &address);
        let ran = token(&owner, &["drill", &tokens["file"], "--from", "the test"]);
        assert_eq!(ran.code, 0, "{kind}: {}", ran.all());
        assert_eq!(decoy_of.alerts(number + 1).len(), number + 1);
    }
}

#[test]
fn a_drill_that_nobody_sees_fails_and_says_so() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (tokens, _) = ship(&owner, &registry, "acme/shop:1", &address);
    let ran = token(&owner, &["drill", &tokens["file"], "--from", "the test", "--timeout", "2"]);
    assert_eq!(ran.code, 6, "{}", ran.all());
    assert!(ran.err().contains("would not have been noticed") && ran.out().contains("failed"), "{}", ran.all());
    assert_eq!(events(&owner, "drill-ended")[0]["passed"], false);
    assert!(listed(&owner, &tokens["file"])["drilled_at"].is_null());
    let ran = token(&owner, &["drill", "0000000000000000", "--from", "the test"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
}

#[test]
fn a_rotated_token_is_followed_by_another_and_its_use_dates_the_theft() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (first, loot) = ship(&owner, &registry, "acme/shop:1", &address);
    let (same, _) = ship(&owner, &registry, "acme/shop:2", &address);
    assert_eq!(first, same, "a rebuild carries the same tokens");
    let ran = token(&owner, &["rotate", &first["file"], "--reason", "it was read aloud"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().contains("edition 2") && ran.out().contains("armed"), "{}", ran.out());
    let (next, later) = ship(&owner, &registry, "acme/shop:3", &address);
    assert_ne!(next["file"], first["file"]);
    assert!(["env", "buried", "history"].iter().all(|surface| next[*surface] == first[*surface]), "{next:?}");
    let place = |loot: &[Loot]| on(loot, "file").place.clone();
    assert_eq!(place(&loot), place(&later), "the place stays, the value changes");
    let (again, _) = ship(&owner, &registry, "acme/shop:4", &address);
    assert_eq!(again, next, "and a rebuild carries the second edition");
    let decoy = Decoy::start(&owner, &address);
    thief::use_it(on(&loot, "file"));
    let alert = &decoy.alerts(1)[0];
    assert_eq!(alert["fingerprint"], first["file"].as_str());
    assert!(alert["laid_aside"].as_str().is_some_and(|text| text.starts_with("It was rotated at 20")), "{alert}");
    thief::use_it(on(&later, "file"));
    let alert = &decoy.alerts(2)[1];
    assert_eq!((&alert["fingerprint"], alert["token"]["edition"].as_str()), (&next["file"].as_str().into(), Some("2")), "{alert}");
    assert_eq!(list(&alert["images"][0], "placements").len(), 0);
    assert_eq!(owner.run(&["ledger", "verify"]).code, 0);
}

#[test]
fn retired_tokens_stay_armed_and_revoked_ones_are_planted_no_more() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (first, loot) = ship(&owner, &registry, "acme/shop:1", &address);
    assert_eq!(token(&owner, &["retire", "--service", SERVICE, "--surface", "env", "--reason", "the image is gone"]).code, 0);
    assert_eq!(token(&owner, &["revoke", &first["buried"], "--reason", "no longer wanted"]).code, 0);
    assert_eq!(listed(&owner, &first["env"])["end"], "retired");
    assert_eq!(listed(&owner, &first["buried"])["end"], "revoked");
    assert!(listed(&owner, &first["file"])["end"].is_null());
    let ghosts = token(&owner, &["list", "--only", "ghosts", "--json"]).out();
    assert!(ghosts.lines().count() == 1 && ghosts.contains(&first["buried"]), "{ghosts}");
    assert!(token(&owner, &["list"]).out().contains("1 token revoked, and still in images"));
    assert!(token(&owner, &["list", "--only", "orphans"]).out().contains("none of 4 honeytokens"));
    let (next, _) = ship(&owner, &registry, "acme/shop:2", &address);
    assert!(["env", "buried"].iter().all(|surface| next[*surface] != first[*surface]), "{next:?}");
    assert!(["file", "history"].iter().all(|surface| next[*surface] == first[*surface]), "{next:?}");
    let decoy = Decoy::start(&owner, &address);
    thief::use_it(on(&loot, "env"));
    assert!(decoy.alerts(1)[0]["laid_aside"].as_str().is_some_and(|text| text.contains("the image is gone")));
    let again = token(&owner, &["revoke", &first["buried"]]);
    assert!(again.code == 0 && again.out().contains("was revoked before"), "{}", again.all());
    let none = token(&owner, &["rotate"]);
    assert!(none.code == 2 && none.err().contains("no token is named"), "{}", none.all());
}

#[test]
fn a_promoted_image_gets_bait_of_its_own_or_goes_on_as_it_is_and_both_places_are_known() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    let (first, _) = ship(&owner, &registry, "acme/shop:staging", &address);
    let promote = |to: &str, promotion: &str| {
        let config = format!("environments:\n  live:\n    promotion: {promotion}\n");
        std::fs::write(owner.home().join("honeycrate.yaml"), config).expect("the home is writable");
        let source = format!("docker://{}", registry.reference("acme/shop:staging"));
        let mut command = owner.command(&["ship", &source, "--to", &registry.reference(to), "--env", "live", "--service", SERVICE]);
        command.args(["--decoy", &address.host()]);
        owner.access(&mut command, &registry);
        let shipped = owner.reported(&mut command);
        assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
        shipped.report
    };
    let before = skopeo_digest(&registry, "acme/shop:staging");
    let recorded = promote("acme/shop:recorded", "record");
    let hints: Vec<_> = list(&recorded, "notices").iter().filter(|notice| notice.to_string().contains("bait")).collect();
    assert!(!hints.is_empty() && hints.iter().all(|notice| notice["confidential"] == true), "{hints:?}");
    assert_eq!((list(&recorded, "placements").len(), recorded["pushed"][0]["digest"].as_str()), (0, Some(before.as_str())));
    let planted = promote("acme/shop:planted", "plant");
    assert!(!list(&planted, "placements").is_empty() && planted["pushed"][0]["digest"] != before.as_str());
    let shown = token(&owner, &["show", &first["file"]]).out();
    assert!(shown.contains("acme/shop:staging") && shown.contains("acme/shop:recorded"), "{shown}");
}

#[test]
fn bait_that_a_child_image_inherits_is_named_to_its_owner_and_is_no_leak() {
    let (owner, registry, address, buildah) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new(), Buildah::new());
    ship(&owner, &registry, "acme/shop:1", &address);
    let (parent, child) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    skopeo::pull(&registry, "acme/shop:1", parent.path());
    let layout = buildah.child(&format!("oci:{}:latest", parent.path().display()), child.path());
    let scan = |home: &Honeycrate| home.reported(&mut home.command(&["scan", &layout, "--fail-on", "low"]));
    let scanned = scan(&owner);
    assert_eq!((scanned.ran.code, &scanned.report["findings"]), (0, &json!([])), "{}", scanned.ran.all());
    let notices = list(&scanned.report, "notices");
    let named = notices.iter().find(|notice| notice["text"].as_str().is_some_and(|text| text.contains("of your own came with it")));
    let named = named.unwrap_or_else(|| panic!("{notices:?}"));
    for surface in ["file", "buried", "env", "history"] {
        assert!(named["text"].as_str().is_some_and(|text| text.contains(&format!("on the {surface} surface of {SERVICE} (production)"))), "{named}");
    }
    assert_eq!(named["confidential"], true);
    // To somebody else they are what they look like.
    let stranger = scan(&Honeycrate::new());
    assert_eq!(stranger.ran.code, 1);
    assert!(!stranger.report.to_string().contains("honeytoken"), "{}", stranger.report);
}

#[test]
fn each_release_can_have_tokens_of_its_own() {
    let (owner, registry, address) = (Honeycrate::new(), Registry::plain(Auth::None), Address::new());
    std::fs::write(owner.home().join("honeycrate.yaml"), "environments:\n  production:\n    tokens: per-release\n").expect("writable");
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let release = |release: &str| {
        let to = registry.reference("acme/shop:1");
        let mut command = owner.command(&["ship", &source, "--to", &to, "--env", "production", "--service", SERVICE, "--decoy", &address.host()]);
        command.env("HONEYCRATE_RELEASE", release);
        owner.access(&mut command, &registry);
        owner.reported(&mut command)
    };
    let [first, again, second] = ["1.4.0", "1.4.0", "1.5.0"].map(release);
    assert_eq!(first.ran.code, 0, "{}", first.ran.all());
    let tokens = |report: &Value| list(report, "placements").iter().map(|placement| placement["fingerprint"].clone()).collect::<Vec<_>>();
    assert_eq!(tokens(&first.report), tokens(&again.report));
    assert!(tokens(&first.report).iter().all(|token| !tokens(&second.report).contains(token)));
    let none = release("");
    assert!(none.ran.code == 2 && none.ran.err().contains("this one has no name"), "{}", none.ran.all());
}

fn skopeo_digest(registry: &Registry, name: &str) -> String {
    let folder = tempdir().expect("scratch");
    skopeo::pull(registry, name, folder.path());
    let index: Value = serde_json::from_slice(&std::fs::read(folder.path().join("index.json")).expect("a layout")).expect("JSON");
    index["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
}
