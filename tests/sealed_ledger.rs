//! A ledger in a registry, end to end: shipped, traced, verified, and opened with the real `age`.

use std::fs;
use std::process::Command;

use honeycrate::ledger::age::{self, Identity};
use serde_json::json;
use tempfile::tempdir;

use crate::common::command::{must, program, run, run_with_input};
use crate::common::decoy::{Address, Decoy};
use crate::common::honeycrate::{Honeycrate, SERVICE, list};
use crate::common::images::Image;
use crate::common::registry::{Auth, PASSWORD, Registry, USER};
use crate::common::{skopeo, thief};

/// Somebody whose ledger is in `registry`, logged in as with `docker login`.
fn owner(registry: &Registry, name: &str) -> Honeycrate {
    let owner = Honeycrate::remembering(&format!("oci://{}", registry.reference(name)));
    let folder = owner.home().join(".docker");
    fs::create_dir_all(&folder).expect("the home is writable");
    let auth = must(Command::new("base64").arg("-w0").arg({
        let pair = owner.home().join("pair");
        fs::write(&pair, format!("{USER}:{PASSWORD}")).expect("the home is writable");
        pair
    }));
    let config = json!({ "auths": { registry.host(): { "auth": auth.trim() } } });
    fs::write(folder.join("config.json"), config.to_string()).expect("the home is writable");
    owner
}

#[test]
fn a_shipped_shop_is_remembered_in_a_registry_that_learns_nothing() {
    let (images, memory) = (Registry::plain(Auth::None), Registry::plain(Auth::Bearer));
    let owner = owner(&memory, "acme/memory");
    let key = owner.home().join("auditor.txt");
    must(program("age-keygen", owner.home()).arg("-o").arg(&key));
    let recipient = must(program("age-keygen", owner.home()).arg("-y").arg(&key));
    fs::write(owner.home().join("honeycrate.yaml"), format!("ledger:\n  recipients: [{}]\n", recipient.trim())).expect("written");

    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let shipped = owner.reported(&mut owner.ship(&source, &images, "acme/shop:1"));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());

    let records = owner.records();
    let events: Vec<&str> = records.iter().filter_map(|record| record["event"].as_str()).collect();
    assert_eq!((events[0], events.last()), ("intended", Some(&"pushed")), "{events:?}");
    let verified = owner.run(&["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.all());
    assert!(verified.out().contains(&format!("{} records", records.len())), "{}", verified.all());
    let listed = owner.run(&["token", "list"]);
    assert!(listed.code == 0 && listed.out().contains(SERVICE), "{}", listed.all());
    let fingerprint = list(&shipped.report, "placements")[0]["fingerprint"].as_str().expect("planted").to_owned();
    let traced = owner.run(&["token", "trace", &fingerprint]);
    let digest = shipped.report["pushed"][0]["digest"].as_str().expect("pushed");
    assert!(traced.code == 0 && traced.out().contains(digest), "{}", traced.all());

    // A rebuild finds its tokens there, and mints none again.
    let again = owner.reported(&mut owner.ship(&source, &images, "acme/shop:2"));
    assert_eq!(again.ran.code, 0, "{}", again.ran.all());
    let minted = |records: &[serde_json::Value]| records.iter().filter(|record| record["event"] == "minted").count();
    assert_eq!(minted(&owner.records()), minted(&records));

    // What lies in the registry says nothing, but to the auditor with the real tool.
    let mut opened = 0;
    for (path, bytes) in memory.storage() {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for word in ["honey", "crate", "bait", "token", "decoy", "shop", "production", &fingerprint, digest.trim_start_matches("sha256:")] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
        if bytes.starts_with(b"age-encryption.org/v1\n") {
            let plain = must(program("age", owner.home()).arg("-d").arg("-i").arg(&key).arg(&path));
            assert!(plain.contains("\\\"run\\\":"), "{plain}");
            opened += 1;
        }
    }
    assert!(opened >= 4, "intent, minting, planting and push of two images");
    let asked = memory.tokens_asked();
    let scopes: Vec<&String> = asked.iter().flat_map(|asked| &asked.scopes).collect();
    assert!(!scopes.is_empty() && scopes.iter().all(|scope| scope.starts_with("repository:acme/memory:pull")), "{scopes:?}");
    let methods: Vec<String> = memory.writes().into_iter().map(|request| request.method).collect();
    assert!(!methods.iter().any(|method| method == "DELETE"), "nothing is ever taken away: {methods:?}");
}

#[test]
fn what_a_stranger_pushes_beside_the_ledger_is_named_and_what_is_cut_off_is_missed_by_its_head() {
    let registry = Registry::plain(Auth::None);
    let owner = owner(&registry, "acme/memory");
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let ship = |name: &str| {
        let ran = run(&mut owner.ship(&source, &registry, name));
        assert_eq!(ran.code, 0, "{}", ran.all());
    };
    let verify = |arguments: &[&str]| owner.run(&[&["ledger", "verify"], arguments].concat());
    ship("acme/shop:1");
    // A tag like ours, of the stranger's own ledger, and one of any image.
    let stranger = self::owner(&registry, "evil/memory");
    assert_eq!(run(&mut stranger.ship(&source, &registry, "evil/shop:1")).code, 0);
    let verified = stranger.run(&["ledger", "verify"]).out();
    let forged = head(&verified);
    skopeo::copy_within(&registry, &format!("evil/memory:{forged}"), &format!("acme/memory:{forged}"));
    skopeo::copy_within(&registry, "acme/shop:1", "acme/memory:latest");

    ship("acme/shop:2");
    let named = verify(&[]);
    assert_eq!(named.code, 0, "{}", named.all());
    assert!(named.err().contains("and 1 more beside the ledger") && named.err().contains(forged), "{}", named.all());
    let records = owner.records().len();

    let out = named.out();
    let kept = head(&out);
    ship("acme/shop:3");
    assert_eq!(verify(&["--head", kept]).code, 0, "what came later is behind it");
    let out = verify(&[]).out();
    let last = head(&out);
    skopeo::delete(&registry, &format!("acme/memory:{last}"));
    assert_eq!(verify(&[]).code, 0, "nothing of what is left speaks of it");
    assert!(owner.records().len() > records);
    let missed = verify(&["--head", last]);
    assert!(missed.code == 7 && missed.all().contains(last), "{}", missed.all());
}

/// The head that `ledger verify` told.
fn head(said: &str) -> &str {
    said.lines().find_map(|line| line.trim().strip_prefix("head ")).expect("a head is told")
}

#[test]
fn a_used_token_is_one_alert_out_of_a_ledger_in_a_registry() {
    let (registry, address) = (Registry::plain(Auth::None), Address::new());
    let owner = owner(&registry, "acme/memory");
    let (built, stolen) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let mut command = owner.command(&["ship", &source, "--to", &registry.reference("acme/shop:1"), "--env", "production", "--service", SERVICE]);
    command.args(["--decoy", &address.host()]);
    owner.access(&mut command, &registry);
    let shipped = owner.reported(&mut command);
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    skopeo::pull(&registry, "acme/shop:1", stolen.path());
    let loot = thief::loot(stolen.path());
    let decoy = Decoy::start(&owner, &address);
    thief::use_it(loot.iter().find(|loot| loot.surface == "file").expect("a file"));
    let alerts = decoy.alerts(1);
    assert_eq!(alerts.len(), 1, "one use, one alert");
    assert_eq!(alerts[0]["images"][0]["digest"], shipped.report["pushed"][0]["digest"], "{}", alerts[0]);
    assert_eq!(owner.records().last().expect("some")["event"], "triggered");
    assert_eq!(owner.run(&["ledger", "verify"]).code, 0);
}

#[test]
fn the_repository_of_an_image_is_not_taken_for_its_ledger() {
    let registry = Registry::plain(Auth::None);
    let owner = owner(&registry, "acme/shop");
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let ran = run(&mut owner.ship(&source, &registry, "acme/shop:1"));
    assert_eq!((ran.code, registry.stored()), (2, 0), "{}", ran.all());
    assert!(ran.all().contains("private repository of its own"), "{}", ran.all());
}

#[test]
fn a_registry_that_refuses_or_a_key_that_is_missing_is_told_with_what_to_do() {
    let registry = Registry::plain(Auth::Basic);
    let stranger = Honeycrate::remembering(&format!("oci://{}", registry.reference("acme/memory")));
    let refused = stranger.run(&["ledger", "verify"]);
    assert_eq!(refused.code, 7, "{}", refused.all());
    assert!(refused.all().contains("acme/memory") && refused.all().contains("help"), "{}", refused.all());
    let owner = owner(&registry, "acme/memory");
    let missing = owner.run(&["ledger", "verify"]);
    assert!(missing.code == 7 && missing.all().contains("there is no ledger at"), "{}", missing.all());
    fs::remove_dir_all(owner.home().join(".config")).or_else(|_| fs::remove_dir_all(owner.home().join(".local"))).expect("the key was there");
    let keyless = owner.run(&["ledger", "verify"]);
    assert!(keyless.code == 7 && keyless.all().contains("HONEYCRATE_KEY"), "{}", keyless.all());
}

#[test]
fn our_seals_and_those_of_the_age_program_are_the_same() {
    let scratch = tempdir().expect("scratch");
    let identity = Identity::new([9; 32]).expect("a key");
    let key = scratch.path().join("key.txt");
    fs::write(&key, &**identity.to_text()).expect("written");
    assert_eq!(must(program("age-keygen", scratch.path()).arg("-y").arg(&key)).trim(), identity.recipient().to_string());
    let recipient = identity.recipient().to_string();
    for length in [0, 1, 65_536, 200_000] {
        let plain: String = ('a'..='z').cycle().take(length).collect();
        let (theirs, ours) = (scratch.path().join("theirs"), scratch.path().join("ours"));
        let sealed = run_with_input(program("age", scratch.path()).args(["-r", &recipient, "-o"]).arg(&theirs), plain.as_bytes());
        assert_eq!(sealed.code, 0, "{}", sealed.all());
        let opened = age::open(std::slice::from_ref(&identity), &fs::read(&theirs).expect("sealed")).expect("addressed to us");
        assert!(*opened == plain.as_bytes(), "{length} bytes of theirs");
        let random: Vec<u8> = (1..=u8::MAX).take(age::randomness(1)).collect();
        fs::write(&ours, age::seal(&[identity.recipient().clone()], plain.as_bytes(), &random).expect("sealed")).expect("written");
        let opened = run(program("age", scratch.path()).arg("-d").arg("-i").arg(&key).arg(&ours));
        assert!(opened.code == 0 && opened.out() == plain, "{length} bytes of ours: {}", opened.err());
    }
}
