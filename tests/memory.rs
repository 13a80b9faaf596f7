//! What the ledger remembers: tokens, traces, the chain of records, and that a changed byte is seen.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::command::{must, run, run_with_input};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, write_index};
use crate::common::registry::{Auth, Registry};
use crate::common::{skopeo, thief};

const COMMIT: &str = "4f2a91c6d0b7e35a8c19f2d4b6e80a7c5d3e1f90";

/// A shipped image, and what a thief has of it.
fn shipped() -> (Honeycrate, Registry, Value, Vec<thief::Loot>) {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = write_index(layout.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
    let mut command = honeycrate.ship(&source, &registry, "acme/shop:1");
    let run = honeycrate.reported(
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", "push").env("GITHUB_SHA", COMMIT).env("GITHUB_REPOSITORY", "acme/shop"),
    );
    assert_eq!(run.ran.code, 0, "{}", run.ran.all());
    let pulled = tempdir().expect("scratch");
    skopeo::pull(&registry, "acme/shop:1", pulled.path());
    let loot = thief::loot(pulled.path());
    (honeycrate, registry, run.report, loot)
}

#[test]
fn records_name_every_step_and_the_digest_of_each_platform() {
    let (honeycrate, registry, report, loot) = shipped();
    let records = honeycrate.records();
    let of = |event: &str| records.iter().filter(|record| record["event"] == event).collect::<Vec<_>>();
    assert_eq!((of("intended").len(), of("minted").len(), of("planted").len(), of("pushed").len()), (1, 4, 8, 1), "{records:#?}");
    let index: Value = serde_json::from_str(&skopeo::raw_manifest(&registry, "acme/shop:1")).expect("JSON");
    let pushed = of("pushed")[0].to_string();
    for child in list(&index, "manifests").iter().filter(|child| child["platform"]["os"] != "unknown") {
        assert!(pushed.contains(child["digest"].as_str().expect("a digest")), "{pushed}");
    }
    assert!(pushed.contains(report["pushed"][0]["digest"].as_str().expect("a digest")) && pushed.contains(COMMIT), "{pushed}");
    let ids: BTreeSet<&str> = list(&report, "placements").iter().filter_map(|placement| placement["id"].as_str()).collect();
    assert_eq!(ids.len(), 8);
    assert!(ids.iter().all(|id| of("planted").iter().any(|record| record.to_string().contains(id))), "the report and the ledger name the same");
    for member in ["id", "service", "environment", "surface", "kind", "platform", "fingerprint"] {
        assert!(list(&report, "placements").iter().all(|placement| placement[member].is_string()), "{member}");
    }
    let text = records.iter().map(Value::to_string).collect::<String>();
    assert!(loot.iter().all(|loot| !text.contains(&loot.secret)) && of("minted").iter().all(|record| record["sealed"].is_string()), "{text}");
    assert_eq!(std::fs::metadata(honeycrate.ledger_path()).expect("a ledger").permissions().mode() & 0o077, 0, "others may read it");
}

#[test]
fn tokens_are_listed_shown_and_traced_by_fingerprint_value_and_stdin() {
    let (honeycrate, _registry, report, loot) = shipped();
    let listed = must(&mut honeycrate.command(&["token", "list"]));
    let lines = must(&mut honeycrate.command(&["token", "list", "--json"]));
    assert_eq!(lines.lines().count(), 4, "{lines}");
    for line in lines.lines() {
        let token: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(token["state"], "pushed", "{token}");
    }
    let digest = report["pushed"][0]["digest"].as_str().expect("a digest");
    for placement in list(&report, "placements") {
        let fingerprint = placement["fingerprint"].as_str().expect("a fingerprint");
        assert!(listed.contains(fingerprint), "{listed}");
        for command in [["token", "show", fingerprint], ["token", "trace", fingerprint]] {
            let told = must(&mut honeycrate.command(&command));
            for word in [digest, COMMIT, "production", placement["surface"].as_str().expect("a surface"), "never"] {
                assert!(told.contains(word), "`{word}` is not in {told}");
            }
        }
    }
    for loot in &loot {
        let by_value = run(&mut honeycrate.command(&["token", "trace", &loot.secret]));
        let by_stdin = run_with_input(&mut honeycrate.command(&["token", "trace", "-"]), format!("{}\n", loot.secret).as_bytes());
        assert_eq!((by_value.code, by_value.out()), (0, by_stdin.out()), "{} {}", by_value.err(), by_stdin.err());
        assert!(by_value.out().contains(&format!("on the {} surface", loot.surface)) && !by_value.all().contains(&loot.secret));
    }
    let unknown = run(&mut honeycrate.command(&["token", "trace", "nobody-knows-this"]));
    assert!(
        unknown.code == 2 && unknown.err().contains("no honeytoken of yours") && !unknown.err().contains("nobody-knows-this"),
        "{}",
        unknown.all()
    );
}

#[test]
fn a_byte_that_was_changed_in_the_ledger_or_its_export_is_found() {
    let (honeycrate, _registry, _, _) = shipped();
    let export = honeycrate.home().join("export.jsonl");
    let file = export.display().to_string();
    must(&mut honeycrate.command(&["ledger", "export", "--out", &file]));
    assert!(must(&mut honeycrate.command(&["ledger", "verify"])).contains("the chain holds"));
    assert!(must(&mut honeycrate.command(&["ledger", "verify", "--file", &file])).contains("the chain holds"));
    let text = std::fs::read_to_string(&export).expect("an export");
    let printed = must(&mut honeycrate.command(&["ledger", "export"]));
    assert_eq!(printed, text);
    // One letter of the environment, in the middle of the story; then a record that is left out.
    let at = text.rfind("production").expect("the environment");
    let changed = format!("{}P{}", &text[..at], &text[at + 1..]);
    let shorter: String = text.lines().enumerate().filter(|(number, _)| *number != 3).map(|(_, line)| format!("{line}\n")).collect();
    for (wrong, record) in [(changed, "record"), (shorter, "record 5")] {
        std::fs::write(&export, wrong).expect("the home is writable");
        let ran = run(&mut honeycrate.command(&["ledger", "verify", "--file", &file]));
        assert!(ran.code == 7 && ran.err().contains(record), "{}", ran.all());
    }
    let mut bytes = std::fs::read(honeycrate.ledger_path()).expect("a ledger");
    let word = b"acme/shop";
    let at = bytes.windows(word.len()).rposition(|window| window == word).expect("the service");
    bytes[at] ^= 1;
    std::fs::write(honeycrate.ledger_path(), bytes).expect("the home is writable");
    let ran = run(&mut honeycrate.command(&["ledger", "verify"]));
    assert!(ran.code == 7 && ran.err().contains("record"), "{}", ran.all());
}
