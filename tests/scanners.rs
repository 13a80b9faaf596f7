//! What other people's scanners make of each kind of bait: the very rules that the kinds' table names, in the surroundings of an image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::tempdir;

use honeycrate::bait::kinds::KINDS;
use honeycrate::bait::surfaces::Surface;

use crate::common::canarytokens::Canarytokens;
use crate::common::command::{must, program, run};
use crate::common::honeycrate::Honeycrate;
use crate::common::images::Image;

/// What a scanner said: the files of each kind, and the rules that fired there.
type Said = BTreeMap<String, BTreeSet<String>>;

/// The scanner that `.ci/setup` installed, without a network.
fn scanner(name: &str, home: &Path) -> std::process::Command {
    let mut command = program("unshare", home);
    command.arg("--net").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin").join(name));
    command
}

/// Plants every kind on every surface that it can lie on, and puts what a thief has to search into a folder of the kind's own:
/// the file as it lies in the image, the variables and the history as the config has them.
fn search_room(room: &Path) {
    let (honeycrate, built) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let vendor = Canarytokens::start();
    let vendors = format!("providers: {{ default: canarytokens, canarytokens: {{ url: \"{}\", email: sec@acme.io }} }}\n", vendor.url());
    // One key for every run, so that the scanners' thresholds are met today as yesterday.
    let key = STANDARD.encode((0..32).collect::<Vec<u8>>());
    for kind in KINDS {
        for surface in kind.surfaces() {
            let config = format!("environments:\n  production:\n    surfaces: [{surface}]\n    kinds: {{ {surface}: {} }}\n", kind.id());
            let config = if kind.self_telling().is_some() { config } else { vendors.clone() + &config };
            std::fs::write(honeycrate.home().join("honeycrate.yaml"), config).expect("the home is writable");
            let layout = tempdir().expect("scratch");
            let target = format!("oci:{}:latest", layout.path().display());
            let arguments = ["plant", &source, "--out", &target, "--env", "production", "--service", "acme/shop", "--decoy", "decoy.acme.io"];
            must(honeycrate.command(&arguments).env("HONEYCRATE_KEY", &key));
            let folder = room.join(kind.id());
            std::fs::create_dir_all(&folder).expect("the room is writable");
            match surface {
                Surface::File | Surface::Buried => unpack_new_layers(layout.path(), &folder),
                Surface::Env | Surface::History => {
                    let config = config_of(layout.path());
                    let lines = |list: &Value, name: Option<&str>| {
                        let text = |line: &Value| name.map_or(line, |name| &line[name]).as_str().unwrap_or_default().to_owned();
                        list.as_array().map(|list| list.iter().map(text).collect::<Vec<_>>().join("\n")).unwrap_or_default()
                    };
                    let text = match surface {
                        Surface::Env => lines(&config["config"]["Env"], None),
                        _ => lines(&config["history"], Some("created_by")),
                    };
                    std::fs::write(folder.join(format!("{surface}.txt")), text + "\n").expect("the room is writable");
                }
            }
        }
    }
}

fn read(layout: &Path, blob: &Value) -> PathBuf {
    layout.join("blobs").join(blob["digest"].as_str().expect("a digest").replace(':', "/"))
}

fn manifest_of(layout: &Path) -> Value {
    let parse = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a layout")).expect("JSON") };
    parse(&read(layout, &parse(&layout.join("index.json"))["manifests"][0]))
}

fn config_of(layout: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(read(layout, &manifest_of(layout)["config"])).expect("a config")).expect("JSON")
}

/// Every layer but the five of the shop itself.
fn unpack_new_layers(layout: &Path, folder: &Path) {
    for layer in &manifest_of(layout)["layers"].as_array().expect("layers")[5..] {
        must(program("tar", folder).arg("-xzf").arg(read(layout, layer)).arg("-C").arg(folder).args(["--exclude", ".wh.*"]));
    }
}

/// The kind that a path in the room belongs to.
fn kind_of(room: &Path, path: &str) -> String {
    let path = Path::new(path);
    let below = path.strip_prefix(room).unwrap_or(path);
    below.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default()
}

fn gitleaks(room: &Path) -> Said {
    let report = room.with_extension("gitleaks.json");
    let ran = run(scanner("gitleaks", room)
        .args(["dir", "--no-banner", "--exit-code", "0", "--report-format", "json", "--report-path"])
        .arg(&report)
        .arg(room));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let findings: Value = serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
    let mut said = Said::new();
    for finding in findings.as_array().expect("a list") {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        said.entry(kind_of(room, &text("File"))).or_default().insert(text("RuleID"));
    }
    said
}

fn kingfisher(room: &Path) -> Said {
    let ran = run(scanner("kingfisher", room).args(["scan", "--no-validate", "--no-update-check", "--quiet", "--format", "jsonl"]).arg(room));
    assert!([0, 200, 205].contains(&ran.code), "{}", ran.all());
    let mut said = Said::new();
    for line in ran.out().lines() {
        let Ok(document) = serde_json::from_str::<Value>(line) else { continue };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = kind_of(room, &text(&document["finding"]["path"]));
        said.entry(kind).or_default().insert(text(&document["rule"]["id"]));
    }
    said
}

#[test]
fn the_scanners_see_each_kind_as_its_row_says() {
    let folder = tempdir().expect("scratch");
    let room = folder.path().join("room");
    search_room(&room);
    let (gitleaks, kingfisher) = (gitleaks(&room), kingfisher(&room));
    for kind in KINDS {
        let seen = kind.seen_by();
        for (scanner, said, row) in [("gitleaks", &gitleaks, seen.gitleaks), ("Kingfisher", &kingfisher, seen.kingfisher)] {
            let fired = said.get(kind.id()).cloned().unwrap_or_default();
            match row {
                Ok(rules) => {
                    let named = rules.split(", ").all(|rule| fired.contains(rule));
                    assert!(named, "{}: the row says that {scanner} fires {rules}; it fired {fired:?}", kind.id());
                }
                Err(why) => assert!(fired.is_empty(), "{}: the row says that {scanner} is blind ({why}); it fired {fired:?}", kind.id()),
            }
        }
    }
}
