//! What others can read of a run that plants: on no channel, in no form of writing, is there anything that leads to the bait.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use honeycrate::report::disclosure::Disclosure;
use honeycrate::report::formats;
use honeycrate::report::outputs::{Files, dotenv, lines, outputs};
use honeycrate::report::run_report::RunReport;
use regex::Regex;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::command::{Ran, run};
use crate::common::forge::{Forge, TOKEN};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};
use crate::common::thief;

const DECOY: &str = "mirror.acme-artifacts.example";

/// Something that a run knows and must not tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    what: &'static str,
    text: String,
}

/// What one channel gave.
struct Heard {
    channel: String,
    text: String,
}

/// A run that planted, and all that came out of it for others.
struct Run {
    facts: BTreeSet<Fact>,
    records: Vec<String>,
    heard: Vec<Heard>,
}

fn fact(what: &'static str, text: impl Into<String>) -> Fact {
    Fact { what, text: text.into() }
}

fn blob(layout: &Path, descriptor: &Value) -> Value {
    let path = layout.join("blobs").join(descriptor["digest"].as_str().expect("a digest").replace(':', "/"));
    serde_json::from_slice(&std::fs::read(path).expect("a layout")).expect("JSON")
}

/// The digest of a layout's only manifest, the manifest and the config.
fn image(layout: &Path) -> (String, Value, Value) {
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("a layout")).expect("JSON");
    let manifest = blob(layout, &index["manifests"][0]);
    let config = blob(layout, &manifest["config"]);
    (index["manifests"][0]["digest"].as_str().expect("a digest").to_owned(), manifest, config)
}

/// What the two images differ in, found without honeycrate: by their documents, and by a thief who unpacks the planted one.
fn differences(before: &Path, after: &Path) -> BTreeSet<Fact> {
    let ((digest, old_manifest, old_config), (_, manifest, config)) = (image(before), image(after));
    let texts = |list: &Value, name: &str| -> BTreeSet<String> {
        let text = |one: &Value| if name.is_empty() { one.as_str() } else { one[name].as_str() }.unwrap_or_default().to_owned();
        list.as_array().map(|list| list.iter().map(text).collect()).unwrap_or_default()
    };
    let new = |old: &Value, now: &Value, name: &str| texts(now, name).difference(&texts(old, name)).cloned().collect::<Vec<_>>();
    let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    let mut facts = BTreeSet::from([fact("digest before planting", hex(&digest))]);
    facts.extend(new(&old_manifest["layers"], &manifest["layers"], "digest").iter().map(|digest| fact("layer", hex(digest))));
    facts.extend(new(&old_config["rootfs"]["diff_ids"], &config["rootfs"]["diff_ids"], "").iter().map(|digest| fact("diffID", hex(digest))));
    facts.insert(fact("config before planting", hex(old_manifest["config"]["digest"].as_str().expect("a digest"))));
    for variable in new(&old_config["config"]["Env"], &config["config"]["Env"], "") {
        let (name, value) = variable.split_once('=').expect("a variable");
        facts.extend([fact("variable", name), fact("its value", value)]);
    }
    for step in new(&old_config["history"], &config["history"], "created_by") {
        facts.insert(fact("step", step.trim_end_matches("# buildkit").trim()));
    }
    for loot in thief::loot(after) {
        facts.insert(fact("secret", &loot.secret));
        facts.insert(fact("key id", &loot.user));
        if loot.place.contains('/') {
            facts.insert(fact("path", &loot.place));
            facts.insert(fact("file name", loot.place.rsplit('/').next().unwrap_or_default()));
        }
    }
    // Names such as `ci` say nothing.
    facts.retain(|fact| fact.text.len() >= 8 || matches!(fact.what, "path" | "variable" | "file name"));
    facts
}

/// Ships a leaky image to a registry and a folder as the job of a pull request whose repository is `visibility`, with bait or without.
fn shipped(visibility: &str, plants: bool) -> Run {
    let (honeycrate, forge, registry, folder) = (Honeycrate::stranger(), Forge::start(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let (built, planted, reports) = (folder.path().join("built"), folder.path().join("planted"), folder.path().join("reports"));
    [&built, &reports].into_iter().for_each(|path| std::fs::create_dir(path).expect("the folder is writable"));
    let source = Image::shop().layer("COPY . /app # buildkit", &[("app/.env", &github_token(91))]).write(&built);
    // One key for every run, so that the same names are chosen today as yesterday.
    let key = STANDARD.encode((1..33).collect::<Vec<u8>>());
    let event = honeycrate.home().join("event.json");
    let repository = json!({ "full_name": "acme/shop", "visibility": visibility, "private": visibility != "public" });
    let pull_request = json!({ "number": 7, "head": { "sha": "4f2a91c0".repeat(5), "repo": repository }, "base": { "repo": repository } });
    std::fs::write(&event, json!({ "number": 7, "pull_request": pull_request, "repository": repository }).to_string()).expect("writable");
    let job = |arguments: &[&str]| -> Command {
        let mut command = honeycrate.command(arguments);
        command.env("HONEYCRATE_KEY", &key).env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", "pull_request").env("GITHUB_EVENT_PATH", &event);
        command.env("GITHUB_REPOSITORY", "acme/shop").env("GITHUB_SHA", "0".repeat(40)).env("GITHUB_RUN_ID", "1");
        command.env("GITHUB_API_URL", forge.address()).env("GITHUB_SERVER_URL", "https://github.com").env("GITHUB_TOKEN", TOKEN);
        command
    };
    let heard = RefCell::new(Vec::new());
    let hear = |channel: &str, text: String| heard.borrow_mut().push(Heard { channel: channel.to_owned(), text });
    let hear_run = |name: &str, ran: &Ran| {
        hear(&format!("stdout of {name}"), ran.out());
        hear(&format!("stderr of {name}"), ran.err());
    };
    let target = format!("oci:{}:latest", planted.display());
    let reference = registry.reference("acme/shop:1");
    let arguments = |to: &'static str| -> Vec<String> {
        let to = if to.is_empty() { reference.clone() } else { to.to_owned() };
        let flags = ["ship", &source, "--to", &to, "--env", "production", "--service", "acme/shop", "--decoy", DECOY, "--fail-on", "none"];
        let without = (!plants).then(|| "--no-plant".to_owned());
        flags.iter().map(|flag| (*flag).to_owned()).chain(["--plain-http".to_owned(), registry.host()]).chain(without).collect()
    };
    let ship = |to: &'static str| {
        let arguments = arguments(to);
        job(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    hear_run("a dry run", &run(ship("").arg("--dry-run")));
    hear_run("a run that fails", &run(ship("127.0.0.1:9/acme/shop:1").args(["--plain-http", "127.0.0.1:9"])));
    // This one turns away each part of the image by its digest, that of a planted layer among them.
    let closed = Registry::plain(Auth::Basic);
    let refused = run(ship("").args(["--to", &closed.reference("acme/shop:1"), "--plain-http", &closed.host()]));
    assert_eq!(refused.code, 5, "{}", refused.all());
    hear_run("a run that is refused", &refused);
    let owners = honeycrate.home().join("report.json");
    let mut command = ship("");
    command.args(["--to", &target, "--comment", "always", "--report"]).arg(&owners);
    for format in formats::TABLE.iter().filter(|format| format.id() != "json") {
        command.arg("--report").arg(format!("{}={}", format.id(), reports.join(format.id()).display()));
    }
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.all());
    hear_run("ship", &ran);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&reports).expect("the folder").map(|file| file.expect("an entry").path()).collect();
    files.sort();
    for path in files {
        hear(&format!("report {}", path.display()), std::fs::read_to_string(&path).expect("text"));
    }
    for format in formats::TABLE {
        let ran = run(&mut job(&["report", &owners.display().to_string(), "--format", format.id()]));
        assert_eq!(ran.code, 0, "{}", ran.all());
        hear(&format!("format {}", format.id()), ran.all());
    }
    forge.comments().into_iter().for_each(|comment| hear("comment", comment));
    std::fs::write(honeycrate.home().join("Dockerfile"), "FROM shop\n\nCOPY . /app\n").expect("the home is writable");
    let step = |name: &str, command: &mut Command, owners_own: &str| {
        let there = folder.path().join(name);
        std::fs::create_dir(&there).expect("the folder is writable");
        let inputs = [
            ("IMAGE", source.as_str()),
            ("TO", &registry.reference("acme/shop:2")),
            ("ENVIRONMENT", "production"),
            ("SERVICE", "acme/shop"),
            ("DECOY", DECOY),
            ("FAIL_ON", "none"),
            ("PLAIN_HTTP", &registry.host()),
            ("COMMENT", "always"),
            ("PLANT", if plants { "true" } else { "false" }),
        ];
        inputs.iter().for_each(|(name, value)| _ = command.env(format!("HONEYCRATE_{name}"), value));
        command.env("RUNNER_TEMP", &there).env("GITHUB_OUTPUT", there.join("output")).env("GITHUB_STEP_SUMMARY", there.join("page"));
        let ran = run(command.env("CI_PROJECT_DIR", &there));
        assert_eq!(ran.code, 0, "{}", ran.all());
        hear_run(name, &ran);
        let mut files = files_below(&there);
        files.retain(|path| owners_own.is_empty() || !path.ends_with(owners_own));
        files.sort();
        for path in files {
            hear(&format!("{name}: {}", path.display()), std::fs::read_to_string(&path).expect("text"));
        }
    };
    step("github", &mut job(&["ci"]), "report.json");
    let mut gitlab = honeycrate.command(&["ci"]);
    gitlab
        .env("HONEYCRATE_KEY", &key)
        .env("GITLAB_CI", "true")
        .env("CI_PROJECT_VISIBILITY", visibility)
        .env("CI_PROJECT_PATH", "acme/shop")
        .env("CI_COMMIT_SHA", "0".repeat(40));
    gitlab.env("CI_JOB_URL", "https://gitlab.example/acme/shop/-/jobs/7").env("CI_API_V4_URL", forge.address());
    step("gitlab", &mut gitlab, "");
    forge.comments().into_iter().for_each(|comment| hear("comment of the step", comment));
    let whole = std::fs::read(&owners).expect("the owner's report");
    let report = RunReport::from_json(&whole).expect("a report");
    let path = || owners.display().to_string();
    let files = Files { report: path(), sarif: path(), summary: path(), baseline: path() };
    let disclosure = if visibility == "public" { Disclosure::Findings } else { Disclosure::Placements };
    let given = outputs(&report.disclosed(disclosure), &files, 0, None);
    hear("outputs", lines(&given));
    hear("dotenv", dotenv(&given));

    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    let mut facts = differences(&built, &planted);
    facts.insert(fact("decoy", DECOY));
    let placements = list(&whole, "placements");
    assert_eq!(placements.len(), if plants { 4 } else { 0 }, "{placements:#?}");
    let member = |placement: &Value, name: &str| placement[name].as_str().expect("text").to_owned();
    facts.extend(placements.iter().flat_map(|one| [fact("fingerprint", member(one, "fingerprint")), fact("kind", member(one, "kind"))]));
    Run { facts, records: placements.iter().map(|one| member(one, "id")).collect(), heard: heard.into_inner() }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A text as it is written in other ways.
fn forms(text: &str) -> BTreeSet<String> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent = |all: bool| -> String {
        let plain = |byte: u8| !all && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        bytes.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
    };
    let json = serde_json::to_string(text).expect("serialises");
    let mut forms = BTreeSet::from([
        text.to_owned(),
        text.chars().rev().collect(),
        json[1..json.len() - 1].to_owned(),
        json[1..json.len() - 1].replace('/', "\\/"),
        percent(false),
        percent(true),
        percent(false).to_ascii_lowercase(),
        hex.to_ascii_uppercase(),
        hex,
    ]);
    // In the middle of another text, at each of the three places where one can begin; the letters at both ends depend on what is beside.
    for before in 0..3 {
        for alphabet in [&STANDARD, &URL_SAFE] {
            let whole = alphabet.encode([&vec![b'x'; before], bytes].concat());
            let (from, to) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
            forms.insert(whole[from..to].to_owned());
        }
    }
    forms.retain(|form| form.len() >= 5);
    forms
}

/// A text, and what a reader of HTML makes of it.
fn readings(text: &str) -> [String; 2] {
    let mut read = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    for code in 32..127u8 {
        read = read.replace(&format!("&#{code};"), &char::from(code).to_string());
    }
    [text.to_owned(), read.replace("&amp;", "&")]
}

/// The facts that can be read somewhere, and where.
fn leaks<'a>(run: &'a Run, facts: impl Iterator<Item = &'a Fact>) -> Vec<String> {
    let facts: Vec<(&Fact, BTreeSet<String>)> = facts.map(|fact| (fact, forms(&fact.text))).collect();
    let mut found = Vec::new();
    for heard in &run.heard {
        for text in readings(&heard.text) {
            for (fact, forms) in &facts {
                if let Some(form) = forms.iter().find(|form| text.contains(form.as_str())) {
                    let at = text.find(form.as_str()).unwrap_or_default();
                    let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                    let line: String = text[from..].lines().next().unwrap_or_default().chars().take(200).collect();
                    found.push(format!("{} `{}` as `{form}` in {}: {line}", fact.what, fact.text, heard.channel));
                }
            }
        }
    }
    found
}

#[test]
fn a_public_run_says_nothing_that_leads_to_bait_nor_that_there_is_any() {
    let run = shipped("public", true);
    assert!(run.facts.len() > 15 && run.heard.len() > 2 * formats::TABLE.len(), "{:#?}", run.facts);
    assert_eq!(leaks(&run, run.facts.iter()), [""; 0]);
    // Every step says this, with bait or without.
    let said = "where others read, nothing is told of honeytokens, not even whether there are any";
    let run = Run { heard: run.heard.into_iter().map(|heard| Heard { text: heard.text.replace(said, ""), ..heard }).collect(), ..run };
    let more: Vec<Fact> = run.records.iter().map(|id| fact("record", id)).chain(["honeytoken", "buried"].map(|word| fact("word", word))).collect();
    assert_eq!(leaks(&run, more.iter()), [""; 0]);
    let log = run.heard.iter().find(|heard| heard.channel == "stdout of github").expect("a log");
    assert!(log.text.contains("::notice file=Dockerfile,line=3,title=GitHub personal access token"), "{}", log.text);
    // The finding is told, without anything of the secret itself.
    assert!(run.heard.iter().any(|heard| heard.channel == "comment" && heard.text.contains("github-personal-token")));
    let sample = [fact("beginning", &github_token(91)[..8]), fact("sample", "characters)")];
    let told: Vec<String> = leaks(&run, sample.iter());
    assert_eq!(told, [""; 0]);
}

/// What a channel gave without what is another in every run: numbers, digests and scratch folders.
fn steady(heard: &Heard) -> String {
    let uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    let patterns = [
        (uuid, "HEX"),
        ("honeycrate-[A-Za-z0-9]{6}/", "TMP/"),
        ("[.]tmp[A-Za-z0-9]+", "TMP"),
        ("[0-9a-f]{8,}", "HEX"),
        ("[0-9]+", "N"),
        ("N[.]N s\\b", "N ms"),
    ];
    let replaced = |text: String, (pattern, by): (&str, &str)| Regex::new(pattern).expect("a pattern").replace_all(&text, by).into_owned();
    patterns.into_iter().fold(format!("{}\n{}", heard.channel, heard.text), replaced)
}

#[test]
fn nobody_can_tell_by_what_is_public_whether_a_run_planted() {
    let [with, without] = [true, false].map(|plants| shipped("public", plants));
    assert_eq!(with.heard.len(), without.heard.len());
    for (with, without) in with.heard.iter().zip(&without.heard) {
        assert_eq!(steady(with), steady(without));
    }
}

#[test]
fn a_private_run_says_that_there_is_bait_and_nothing_that_leads_to_it() {
    let run = shipped("private", true);
    assert_eq!(leaks(&run, run.facts.iter()), [""; 0]);
    let comment = run.heard.iter().find(|heard| heard.channel == "comment").expect("a comment");
    assert!(comment.text.contains("<b>4 honeytokens</b> planted"), "{}", comment.text);
    for word in run.records.iter().map(String::as_str).chain(["production", "acme/shop", "| buried |", "| history |", "| env |", "| file |"]) {
        assert!(comment.text.contains(word), "{word}: {}", comment.text);
    }
}

#[test]
fn a_leak_is_found_in_whatever_way_it_is_written() {
    let secret = "/app/config/old registry.json";
    let facts = BTreeSet::from([fact("path", secret)]);
    let reversed: String = secret.chars().rev().collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
    let entities: String = secret.bytes().map(|byte| format!("&#{byte};")).collect();
    let texts = [
        format!("see {secret}."),
        STANDARD.encode(secret),
        STANDARD.encode(format!("a{secret}b")),
        URL_SAFE.encode(format!("ab{secret}")),
        reversed,
        hex,
        entities,
        secret.replace(' ', "%20").replace('/', "%2F"),
        secret.replace('/', "\\/"),
    ];
    for text in texts {
        let run = Run { facts: facts.clone(), records: Vec::new(), heard: vec![Heard { channel: "a log".to_owned(), text: text.clone() }] };
        assert!(!leaks(&run, run.facts.iter()).is_empty(), "{text}");
    }
}
