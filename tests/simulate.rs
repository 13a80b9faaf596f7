//! What `token simulate` says that other scanners see, beside what they say when they are run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use honeycrate::bait::kinds::KINDS;
use honeycrate::bait::surfaces::Surface;

use crate::common::command::{must, program, run};
use crate::common::honeycrate::Honeycrate;
use crate::common::images::{CREATED, blob};
use crate::common::tar::Archive;

/// A builder, by the history that it writes: `created_by`, `comment`, and whether the step is without a layer.
struct Builder {
    name: &'static str,
    steps: &'static [(&'static str, &'static str, bool)],
}

impl Builder {
    /// Of some surfaces those that it gives: without a line for an argument there is no history surface.
    fn surfaces(&self, all: &[Surface]) -> Vec<Surface> {
        let writes = matches!(self.name, "BuildKit" | "classic" | "buildah");
        all.iter().copied().filter(|surface| writes || *surface != Surface::History).collect()
    }
}

const BUILDKIT: &str = "buildkit.dockerfile.v0";
/// Every way of writing history that changes what somebody sees; each has two layers.
const BUILDERS: [Builder; 7] = [
    Builder {
        name: "BuildKit",
        steps: &[
            ("ADD rootfs.tar.xz / # buildkit", BUILDKIT, false),
            ("CMD [\"/bin/sh\"]", BUILDKIT, true),
            ("ENV NODE_ENV=production", BUILDKIT, true),
            ("COPY src /app/src # buildkit", BUILDKIT, false),
            ("CMD [\"node\" \"x.js\"]", BUILDKIT, true),
        ],
    },
    Builder {
        name: "classic",
        steps: &[
            ("/bin/sh -c #(nop) ADD file:00ff00ff in / ", "", false),
            ("/bin/sh -c #(nop)  CMD [\"sh\"]", "", true),
            ("/bin/sh -c #(nop)  ENV NODE_ENV=production", "", true),
            ("/bin/sh -c #(nop) COPY dir:00ff in /app ", "", false),
        ],
    },
    Builder {
        name: "buildah",
        steps: &[
            ("/bin/sh -c #(nop) ADD file:00ff00ff in / ", "", false),
            ("/bin/sh -c #(nop) CMD [\"sh\"]", "", true),
            ("/bin/sh -c #(nop) ENV NODE_ENV=production", "", true),
            ("/bin/sh -c #(nop) COPY dir:00ff in /app ", "FROM docker.io/library/alpine:3", false),
        ],
    },
    Builder { name: "kaniko", steps: &[("COPY base /", "", false), ("COPY src /app/src", "", false)] },
    Builder { name: "Jib", steps: &[("bazel build ...", "", false), ("jib-maven-plugin:3.4.0", "classes", false)] },
    Builder { name: "crane", steps: &[("COPY base / # buildkit", BUILDKIT, false), ("", "", false)] },
    Builder { name: "none", steps: &[] },
];

/// The scanners of `.ci/setup`.
const USUAL: [&str; 2] = ["gitleaks", "kingfisher"];
/// Names of variables with the programs of the others.
const OTHERS: [(&str, &str); 2] = [("trufflehog", "TRUFFLEHOG"), ("trivy", "TRIVY")];

/// TruffleHog with what it drops because its letters, by chance, spell a word. That depends on the value, and is not predicted.
const ANY_WORDS: &str = "trufflehog, with words";

/// What is made of a planted image before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Somebody builds upon it.
    Child,
    /// And puts another file where the bait lies.
    Overwritten,
}

/// A planted image as a Docker archive, the scanners' common ground.
struct Planted {
    name: String,
    folder: TempDir,
    honeycrate: Honeycrate,
}

impl Planted {
    /// Plants one kind on all surfaces that it can lie on.
    fn new(builder: &Builder, kind: &str, surfaces: &[Surface], then: Then) -> Self {
        let (honeycrate, folder) = (Honeycrate::stranger(), tempdir().expect("scratch"));
        let names: Vec<&str> = surfaces.iter().map(|surface| surface.id()).collect();
        let kinds: Vec<String> = names.iter().map(|name| format!("{name}: {kind}")).collect();
        let config = format!("environments:\n  production:\n    surfaces: [{}]\n    kinds: {{ {} }}\n", names.join(", "), kinds.join(", "));
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), config).expect("the home is writable");
        let layout = folder.path().join("layout");
        write(&layout, builder.steps);
        let planted = folder.path().join("planted");
        let [source, target] = [&layout, &planted].map(|path| format!("oci:{}:latest", path.display()));
        let own = Self { name: format!("{}, {kind}, {then:?}", builder.name), folder, honeycrate };
        must(&mut own.command(&["plant", &source, "--out", &target, "--env", "production", "--service", "acme/shop", "--decoy", "decoy.acme.io"]));
        if then != Then::Nothing {
            let replaced = if then == Then::Overwritten { own.paths(&target) } else { Vec::new() };
            build_upon(&planted, &replaced);
        }
        must(program("skopeo", own.folder.path()).args(["copy", "--quiet", &target]).arg(format!("docker-archive:{}", own.archive().display())));
        own
    }

    /// The program with the one key of these tests, so that the scanners' thresholds are met today as yesterday.
    fn command(&self, arguments: &[&str]) -> Command {
        let key = STANDARD.encode((0..32).collect::<Vec<u8>>());
        let mut command = self.honeycrate.command(arguments);
        command.env("HONEYCRATE_KEY", key);
        command
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("image.tar")
    }

    fn simulation(&self, source: &str) -> Vec<Value> {
        let printed = must(&mut self.command(&["token", "simulate", source, "--format", "json"]));
        let document: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(document["schema"], "honeycrate/simulation/v1");
        document["baits"].as_array().expect("a list").clone()
    }

    /// The files that hold bait.
    fn paths(&self, source: &str) -> Vec<String> {
        let baits = self.simulation(source);
        let places = baits.iter().filter(|bait| bait["surface"] == "file").flat_map(|bait| bait["places"].as_array().expect("a list").clone());
        places.map(|place| place.as_str().expect("text").trim_start_matches('/').to_owned()).collect()
    }

    /// The surfaces whose token `scanner` finds, when it is run.
    fn found_by(&self, scanner: &str, room: &Path, baits: &[Value]) -> BTreeSet<String> {
        let home = self.folder.path();
        let archive = self.archive();
        let secrets: Vec<String> = match scanner {
            "gitleaks" => {
                let report = home.join("gitleaks.json");
                must(offline(venv(scanner), home).args(["dir", "--no-banner", "--exit-code", "0", "--report-path"]).arg(&report).arg(room));
                let found: Value = serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
                found.as_array().expect("a list").iter().map(|one| text(&one["Match"])).collect()
            }
            "kingfisher" => {
                let ran = run(offline(venv(scanner), home)
                    .env("KF_RULE_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/kingfisher"))
                    .args(["scan", "docker", "--no-validate", "--no-update-check", "--quiet", "--format", "jsonl", "--archive"])
                    .arg(archive));
                assert!([0, 200, 205].contains(&ran.code), "{}", ran.all());
                lines(&ran.out()).map(|one| text(&one["finding"]["snippet"])).collect()
            }
            "trufflehog" | ANY_WORDS => {
                let results = if scanner == ANY_WORDS { "--results=unverified,filtered_unverified" } else { "--results=unverified" };
                let image = format!("file://{}", archive.display());
                let ran = must(offline(binary("TRUFFLEHOG"), home).args([
                    "docker",
                    "--no-verification",
                    "--no-update",
                    "--json",
                    "--image",
                    &image,
                    results,
                ]));
                lines(&ran).flat_map(|one| [text(&one["Raw"]), text(&one["RawV2"])]).collect()
            }
            // It hides what it finds: the place has to do.
            _ => {
                let options = ["image", "--quiet", "--offline-scan", "--scanners", "secret", "--image-config-scanners", "secret", "--format", "json"];
                let cache = home.join("trivy");
                let ran = must(offline(binary("TRIVY"), home).args(options).arg("--cache-dir").arg(cache).arg("--input").arg(&archive));
                let report: Value = serde_json::from_str(&ran).expect("JSON");
                return told_by_place(&report, baits, &texts(room, baits));
            }
        };
        let texts = texts(room, baits);
        let holds = |text: &str| secrets.iter().any(|secret| secret.len() > 15 && tokens(secret).any(|token| text.contains(token)));
        texts.into_iter().filter(|(_, text)| holds(text)).map(|(surface, _)| surface).collect()
    }

    /// The layers, each in a folder, and the config beside them: what whoever has gitleaks and an image does.
    fn unpacked(&self) -> PathBuf {
        let room = self.folder.path().join("room");
        let archive = self.folder.path().join("archive");
        for folder in [&room, &archive] {
            std::fs::create_dir_all(folder).expect("scratch");
        }
        must(program("tar", &archive).arg("-xf").arg(self.archive()).arg("-C").arg(&archive));
        let manifest: Value = serde_json::from_slice(&std::fs::read(archive.join("manifest.json")).expect("a manifest")).expect("JSON");
        std::fs::copy(archive.join(text(&manifest[0]["Config"])), room.join("config.json")).expect("scratch");
        for (number, layer) in manifest[0]["Layers"].as_array().expect("layers").iter().enumerate() {
            let folder = room.join(format!("{number}"));
            std::fs::create_dir_all(&folder).expect("scratch");
            must(program("tar", &folder).arg("-xf").arg(archive.join(text(layer))).arg("-C").arg(&folder));
        }
        room
    }

    /// Compares, surface by surface, and gives how many predictions there were, and how many held but for a word that a token spells.
    fn check(&self, scanners: &[&str]) -> (usize, usize) {
        let baits = self.simulation(&format!("docker-archive:{}", self.archive().display()));
        assert!(!baits.is_empty(), "{}: no bait is found", self.name);
        let (mut checked, mut spelled, room) = (0, 0, self.unpacked());
        for scanner in scanners {
            let mut found = self.found_by(scanner, &room, &baits);
            for bait in &baits {
                let sights = bait["scanners"].as_array().expect("a list");
                let sight = sights.iter().find(|sight| sight["scanner"] == *scanner).expect("every scanner is told of");
                let surface = text(&bait["surface"]);
                if *scanner == "trufflehog" && sight["sees"] == true && !found.contains(&surface) {
                    found.extend(self.found_by(ANY_WORDS, &room, &baits));
                    spelled += 1;
                }
                assert_eq!(sight["sees"], found.contains(&surface), "{}: {scanner} and the {surface} surface: {sight}", self.name);
                checked += 1;
            }
        }
        (checked, spelled)
    }
}

/// The surfaces that Trivy's findings lie on, by path, or in the config's lines by what is shown of the name before the stars.
fn told_by_place(report: &Value, baits: &[Value], texts: &[(String, String)]) -> BTreeSet<String> {
    let results = report["Results"].as_array().into_iter().flatten();
    let secrets = results
        .flat_map(|result| result["Secrets"].as_array().into_iter().flatten().map(move |secret| (text(&result["Target"]), text(&secret["Match"]))));
    let surfaces = secrets.flat_map(|(target, shown)| {
        let in_files = baits.iter().filter(|bait| bait["places"].as_array().expect("a list").iter().any(|place| text(place) == target));
        let shown = name_in(&shown);
        let in_config = texts.iter().filter(|(surface, text)| {
            let is_text = surface == "env" || surface == "history";
            is_text && shown.is_some_and(|shown| shown.len() > 5 && text.lines().filter_map(name_in).any(|name| name.ends_with(shown)))
        });
        in_files.map(|bait| text(&bait["surface"])).chain(in_config.map(|(surface, _)| surface.clone())).collect::<Vec<_>>()
    });
    surfaces.collect()
}

/// The name before the first `=` in a line.
fn name_in(line: &str) -> Option<&str> {
    let before = line.split_once('=')?.0;
    before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

/// The text of every surface, with the bait in it.
fn texts(room: &Path, baits: &[Value]) -> Vec<(String, String)> {
    let config: Value = serde_json::from_slice(&std::fs::read(room.join("config.json")).expect("a config")).expect("JSON");
    let surfaces: BTreeSet<String> = baits.iter().map(|bait| text(&bait["surface"])).collect();
    let of = |surface: &str| -> String {
        let places = baits.iter().filter(|bait| bait["surface"] == surface).flat_map(|bait| bait["places"].as_array().expect("a list").clone());
        let read = |place: &Value| -> String {
            let place = text(place);
            match surface {
                "file" | "buried" => (0..9).filter_map(|number| std::fs::read_to_string(room.join(format!("{number}{place}"))).ok()).collect(),
                "env" => config["config"]["Env"].as_array().expect("a list").iter().map(text).filter(|line| line.starts_with(&place)).collect(),
                _ => place
                    .strip_prefix("step ")
                    .map(|step| text(&config["history"][step.parse::<usize>().expect("a number")]["created_by"]))
                    .unwrap_or_default(),
            }
        };
        places.map(|place| read(&place)).collect::<Vec<_>>().join("\n")
    };
    surfaces.iter().map(|surface| (surface.clone(), of(surface))).collect()
}

#[test]
fn gitleaks_and_kingfisher_see_what_is_predicted() {
    let rows: [(usize, &str, Then); 6] = [
        (0, "pypi-index", Then::Nothing),
        (2, "s3-keys", Then::Nothing),
        (4, "database-url", Then::Nothing),
        (6, "vault-token", Then::Nothing),
        (0, "git-credentials", Then::Child),
        (0, "git-credentials", Then::Overwritten),
    ];
    for (builder, kind, then) in rows {
        let builder = &BUILDERS[builder];
        let surfaces = builder.surfaces(honeycrate::bait::kinds::find(kind).expect("a kind").surfaces());
        Planted::new(builder, kind, &surfaces, then).check(&USUAL);
    }
}

/// Minutes. With TRUFFLEHOG and TRIVY naming their programs, these are run as well.
#[test]
#[ignore = "all kinds on all surfaces of all builders, past all scanners that there are: minutes"]
fn every_scanner_sees_what_is_predicted_on_every_surface_of_every_builder() {
    let others = OTHERS.iter().filter(|(_, variable)| std::env::var_os(variable).is_some()).map(|(name, _)| *name);
    let scanners: Vec<&str> = USUAL.into_iter().chain(others).collect();
    let (mut checked, mut spelled) = (0, 0);
    let mut check = |builder: &Builder, kind: &str, surfaces: &[Surface], then: Then| {
        let counts = Planted::new(builder, kind, surfaces, then).check(&scanners);
        (checked, spelled) = (checked + counts.0, spelled + counts.1);
    };
    for builder in &BUILDERS {
        for kind in KINDS.into_iter().filter(|kind| kind.self_telling().is_some()) {
            check(builder, kind.id(), &builder.surfaces(kind.surfaces()), Then::Nothing);
        }
    }
    for then in [Then::Child, Then::Overwritten] {
        check(&BUILDERS[0], "git-credentials", &[Surface::File, Surface::Buried, Surface::Env], then);
    }
    eprintln!("{checked} predictions hold, of {}; {spelled} but for a word that a token spells", scanners.join(", "));
    assert!(spelled * 50 < checked, "TruffleHog drops {spelled} of {checked}");
}

#[test]
fn the_matrix_is_for_the_owner_alone() {
    let planted = Planted::new(&BUILDERS[0], "jwt", &[Surface::File, Surface::Env], Then::Nothing);
    let source = format!("docker-archive:{}", planted.archive().display());
    let shown = must(&mut planted.command(&["token", "simulate", &source]));
    let rows: Vec<&str> = shown.lines().collect();
    assert!(rows[1].ends_with("TruffleHog  ggshield  Kingfisher  Trivy  gitleaks"), "{shown}");
    assert!(shown.contains("with --image-config-scanners secret") && shown.contains("✔") && shown.contains("?"), "{shown}");
    // In a job whose log others read it says nothing, and neither does it without the key.
    let refused = run(planted.command(&["token", "simulate", &source]).env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", "push"));
    assert_eq!((refused.code, refused.out().as_str()), (2, ""), "{}", refused.all());
    let stranger = run(&mut planted.honeycrate.command(&["token", "simulate", &source]));
    assert_eq!((stranger.code, stranger.out().as_str()), (2, ""), "{}", stranger.all());
    let other = must(planted.honeycrate.command(&["token", "simulate", &source]).env("HONEYCRATE_KEY", STANDARD.encode([7_u8; 32])));
    assert!(other.starts_with("no bait of yours"), "{other}");
}

/// The parts of a text that are long enough to be a token's.
fn tokens(secret: &str) -> impl Iterator<Item = &str> {
    secret.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')).filter(|part| part.len() > 15)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn lines(out: &str) -> impl Iterator<Item = Value> {
    out.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn venv(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin").join(name)
}

fn binary(variable: &str) -> PathBuf {
    std::env::var_os(variable).expect("it is set where the scanner is asked for").into()
}

/// A program without a network.
fn offline(name: PathBuf, home: &Path) -> Command {
    let mut command = program("unshare", home);
    command.arg("--net").arg(name);
    command
}

/// An image of two layers with such a history.
fn write(layout: &Path, steps: &[(&str, &str, bool)]) {
    let base: &[(&str, &str)] = &[("bin/sh", "\u{7f}ELF"), ("etc/os-release", "ID=debian\n"), ("root/.profile", "mesg n\n")];
    let code: &[(&str, &str)] = &[("app/src/routes.js", "export const x = 1;\n"), ("app/package.json", "{\"name\":\"shop\"}\n")];
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for files in [base, code] {
        add_layer(layout, files, &mut layers, &mut diff_ids);
    }
    let history: Vec<Value> = steps.iter().map(|(by, comment, empty)| step(by, comment, *empty)).collect();
    let settings = json!({ "Env": ["PATH=/usr/bin", "NODE_ENV=production"], "Cmd": ["node", "x.js"], "WorkingDir": "/app" });
    let mut config = json!({ "architecture": "amd64", "os": "linux", "created": CREATED, "config": settings });
    config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
    if !history.is_empty() {
        config["history"] = history.into();
    }
    finish(layout, &config, &layers);
}

/// Puts a base image's CMD and one more layer on top of an image, with files in the places of others.
fn build_upon(layout: &Path, replaced: &[String]) {
    let read = |blob: &Value| -> Value {
        let path = layout.join("blobs").join(text(&blob["digest"]).replace(':', "/"));
        serde_json::from_slice(&std::fs::read(path).expect("a layout")).expect("JSON")
    };
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("a layout")).expect("JSON");
    let manifest = read(&index["manifests"][0]);
    let mut config = read(&manifest["config"]);
    let mut layers = manifest["layers"].as_array().expect("layers").clone();
    let mut diff_ids = config["rootfs"]["diff_ids"].as_array().expect("diffIDs").iter().map(text).collect();
    let files: Vec<(&str, &str)> = replaced.iter().map(|path| (path.as_str(), "nothing\n")).chain([("app/child.txt", "child\n")]).collect();
    add_layer(layout, &files, &mut layers, &mut diff_ids);
    config["rootfs"]["diff_ids"] = json!(diff_ids);
    let history = config["history"].as_array_mut().expect("a history");
    history.extend([step("CMD [\"node\"]", BUILDKIT, true), step("COPY child.txt /app/ # buildkit", BUILDKIT, false)]);
    finish(layout, &config, &layers);
}

fn step(by: &str, comment: &str, is_empty: bool) -> Value {
    let mut step = json!({ "created": CREATED, "created_by": by });
    if !comment.is_empty() {
        step["comment"] = comment.into();
    }
    if is_empty {
        step["empty_layer"] = true.into();
    }
    step
}

fn add_layer(layout: &Path, files: &[(&str, &str)], layers: &mut Vec<Value>, diff_ids: &mut Vec<String>) {
    let mut archive = Archive::default();
    let mut folders = BTreeSet::new();
    for (path, text) in files {
        for (end, _) in path.match_indices('/') {
            if folders.insert(&path[..end]) {
                archive.folder(&path[..end]);
            }
        }
        archive.file(path, text.as_bytes());
    }
    let tar = archive.finish();
    diff_ids.push(crate::common::images::digest(&tar));
    layers.push(blob(layout, "application/vnd.oci.image.layer.v1.tar+gzip", &crate::common::images::Packing::Gzip.pack(&tar)));
}

fn finish(layout: &Path, config: &Value, layers: &[Value]) {
    let config = blob(layout, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers });
    let mut descriptor = blob(layout, kind, manifest.to_string().as_bytes());
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
    std::fs::write(layout.join("index.json"), index.to_string()).expect("the folder is writable");
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the folder is writable");
}
