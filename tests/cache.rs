//! What was scanned before is not read again, and whoever could have written a result that is not ours is not believed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::common::command::{must, program, run, run_with_input};
use crate::common::honeycrate::{Honeycrate, Reported, list};
use crate::common::images::{Image, Packing, github_token};
use crate::common::registry::{Auth, Registry};

/// An image of three layers whose last one is new in each build, in a layout.
struct Build {
    folder: TempDir,
}

impl Build {
    fn new() -> Self {
        Self { folder: tempdir().expect("scratch") }
    }

    /// Builds it anew; gives the place of the image and of the layers' blobs.
    fn build(&self, number: u8, secret: &str) -> (String, Vec<PathBuf>) {
        let layout = self.folder.path().join(format!("build-{number}"));
        std::fs::create_dir(&layout).expect("the folder is writable");
        let image = Image::shop().layer("COPY old .", &[("app/old", secret)]).layer("COPY new .", &[("app/new", &format!("{number}\n"))]);
        let place = image.write(&layout);
        let blobs = layout.join("blobs/sha256");
        let layers = std::fs::read_dir(&blobs).expect("a layout").flatten().map(|blob| blob.path());
        let is_layer = |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| !bytes.starts_with(b"{"));
        (place, layers.filter(is_layer).collect())
    }
}

fn scan(honeycrate: &Honeycrate, image: &str) -> Reported {
    honeycrate.reported(&mut honeycrate.command(&["scan", image]))
}

/// Layers of the image, and how many of them were known.
fn layers(reported: &Reported) -> (u64, u64) {
    let coverage = &reported.report["coverage"];
    (coverage["layers"].as_u64().unwrap_or_else(|| panic!("{}", reported.ran.all())), coverage["cached_layers"].as_u64().unwrap_or(0))
}

fn usual_folder(honeycrate: &Honeycrate) -> PathBuf {
    honeycrate.home().join(".cache/honeycrate")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn without_time(report: &Value) -> Value {
    let mut report = report.clone();
    for member in ["timings", "started"] {
        report[member] = Value::Null;
    }
    report["coverage"]["cached_layers"] = Value::Null;
    // Where all is known no reader is started.
    report["coverage"]["readers_held_by"] = Value::Null;
    report
}

/// A job for a pull request from somebody else's copy of the repository.
fn as_fork<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let event = folder.join("event.json");
    let head = json!({ "pull_request": { "number": 1, "head": { "repo": { "full_name": "mallory/shop" } } } });
    std::fs::write(&event, head.to_string()).expect("the folder is writable");
    command.env("GITHUB_ACTIONS", "true").env("CI", "true").env("GITHUB_EVENT_NAME", "pull_request");
    command.env("GITHUB_EVENT_PATH", event).env("GITHUB_REPOSITORY", "acme/shop")
}

#[test]
fn a_rebuild_that_changes_one_layer_reads_one_layer() {
    for honeycrate in [Honeycrate::new(), Honeycrate::stranger()] {
        let (build, secret) = (Build::new(), github_token(70));
        let (first, _) = build.build(1, &secret);
        let cold = scan(&honeycrate, &first);
        let (total, known) = layers(&cold);
        assert!(total >= 3 && known == 0, "{total} {known}");
        let warm = scan(&honeycrate, &first);
        assert_eq!(layers(&warm), (total, total));
        assert!(warm.ran.out().contains(&format!("scanned {total} layers ({total} from the cache), ")), "{}", warm.ran.all());
        assert_eq!((cold.ran.code, list(&cold.report, "findings").len()), (1, 1));
        assert_eq!((warm.ran.code, without_time(&warm.report)), (1, without_time(&cold.report)));
        let (second, _) = build.build(2, &secret);
        assert_eq!(layers(&scan(&honeycrate, &second)), (total, total - 1));
        let hidden = files_below(&usual_folder(&honeycrate)).into_iter().all(|file| {
            let bytes = std::fs::read(file).expect("an entry of ours");
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        });
        assert!(hidden, "a secret lies in the cache");
    }
}

#[test]
fn a_layer_that_is_known_here_and_there_is_not_even_opened() {
    let (honeycrate, registry, build) = (Honeycrate::new(), Registry::plain(Auth::None), Build::new());
    let (image, blobs) = build.build(1, "A=1\n");
    let cold = honeycrate.reported(&mut honeycrate.ship(&image, &registry, "acme/shop:1"));
    assert_eq!(cold.ran.code, 0, "{}", cold.ran.all());
    // Whoever opened one now would fail.
    blobs.iter().for_each(|blob| std::fs::remove_file(blob).expect("ours"));
    let warm = honeycrate.reported(&mut honeycrate.ship(&image, &registry, "acme/shop:1"));
    assert_eq!(warm.ran.code, 0, "{}", warm.ran.all());
    assert_eq!(layers(&warm), (blobs.len() as u64, blobs.len() as u64));
    assert_eq!(warm.report["pushed"], cold.report["pushed"]);
    // And so it does where nothing is kept.
    let again = honeycrate.reported(honeycrate.ship(&image, &registry, "acme/shop:1").args(["--cache", "off"]));
    assert_eq!(again.ran.code, 3, "{}", again.ran.all());
}

/// An archive as daemons save it, with plain layers; and the same with a byte changed in the last file of each layer.
fn saved_and_damaged(folder: &Path) -> [PathBuf; 2] {
    ["saved", "damaged"].map(|name| {
        let (layout, archive) = (folder.join(name), folder.join(format!("{name}.tar")));
        std::fs::create_dir(&layout).expect("the folder is writable");
        let image = Image::shop().layer("COPY large .", &[("app/large", &"words and words\n".repeat(20_000))]).packing(Packing::Plain);
        image.write(&layout);
        for blob in files_below(&layout.join("blobs")) {
            let mut bytes = std::fs::read(&blob).expect("a layout");
            let is_layer = !bytes.starts_with(b"{");
            if is_layer && name == "damaged" {
                // The first byte of the first file.
                bytes[512] ^= 1;
                std::fs::write(&blob, bytes).expect("ours");
            }
        }
        must(program("tar", folder).arg("-cf").arg(&archive).arg("-C").arg(&layout).args(["oci-layout", "index.json", "blobs"]));
        archive
    })
}

/// What became of a shipment, and the digest that arrived.
fn ship_archive(honeycrate: &Honeycrate, archive: &Path, registry: &Registry, more: &[&str]) -> (i32, Value) {
    let source = format!("docker-archive:{}", archive.display());
    let shipped = honeycrate.reported(honeycrate.ship(&source, registry, "acme/shop:1").args(more));
    (shipped.ran.code, shipped.report["pushed"][0]["digest"].clone())
}

#[test]
fn a_plain_layer_that_the_registry_has_packed_is_not_even_opened() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let (one, other) = (Registry::plain(Auth::None), Registry::plain(Auth::None));
    let [saved, damaged] = saved_and_damaged(folder.path());
    let cold = ship_archive(&honeycrate, &saved, &one, &[]);
    assert!(cold.0 == 0 && cold.1.is_string(), "{cold:?}");
    // Whoever read a layer now would find that it is another one.
    let before = one.writes().len();
    assert_eq!(ship_archive(&honeycrate, &damaged, &one, &[]), cold);
    let uploads = one.writes().iter().skip(before).filter(|request| request.path.contains("/blobs/")).count();
    assert_eq!(uploads, 0, "it has all blobs");
    // A registry that lacks it gets what the first one got.
    assert_eq!(ship_archive(&honeycrate, &saved, &other, &[]), cold);
    assert_eq!(ship_archive(&honeycrate, &saved, &one, &["--cache", "off"]), cold);
    assert_eq!(ship_archive(&honeycrate, &damaged, &one, &["--cache", "off"]).0, 3);
}

#[test]
fn bytes_under_a_known_digest_that_were_not_scanned_are_not_packed() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let [saved, damaged] = saved_and_damaged(folder.path());
    assert_eq!(honeycrate.run(&["scan", &format!("docker-archive:{}", saved.display())]).code, 0);
    for from_standard_input in [false, true] {
        let registry = Registry::plain(Auth::None);
        let ran = if from_standard_input {
            let bytes = std::fs::read(&damaged).expect("an archive");
            run_with_input(&mut honeycrate.ship("docker-archive:-", &registry, "acme/shop:1"), &bytes)
        } else {
            run(&mut honeycrate.ship(&format!("docker-archive:{}", damaged.display()), &registry, "acme/shop:1"))
        };
        assert_eq!(ran.code, 4, "{}", ran.all());
        assert!(ran.err().contains("should be"), "{}", ran.err());
        assert_eq!(registry.stored(), 0, "nothing arrives");
    }
}

#[test]
fn rules_and_keys_of_their_own_make_results_of_their_own() {
    let (honeycrate, build) = (Honeycrate::new(), Build::new());
    let (image, _) = build.build(1, "A=1\n");
    let total = layers(&scan(&honeycrate, &image)).0;
    let rules = honeycrate.home().join("rules.yaml");
    let rule = "vendor: Own\nrules:\n  - id: own-token\n    name: Own token\n    severity: high\n    confidence: high\n    literals: [\"own-\"]\n    \
                pattern: \"(?P<secret>own-[0-9]{9})\"\n    gain: Acts as us.\n    revoke: Ask us.\n    examples:\n      - [own-123456789]\n    \
                counter_examples:\n      - [own-1]\n";
    std::fs::write(&rules, rule).expect("the home is writable");
    let mut with_rules = honeycrate.command(&["scan", &image, "--rules"]);
    let with_rules = honeycrate.reported(with_rules.arg(&rules));
    assert_eq!(with_rules.ran.code, 0, "{}", with_rules.ran.all());
    assert_eq!(layers(&with_rules), (total, 0));
    assert_eq!(honeycrate.run(&["key", "rotate"]).code, 0);
    assert_eq!(layers(&scan(&honeycrate, &image)), (total, 0));
}

#[test]
fn a_cache_is_where_it_is_wanted_or_nowhere() {
    let (honeycrate, build) = (Honeycrate::stranger(), Build::new());
    let (image, _) = build.build(1, "A=1\n");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = honeycrate.command(&["scan", &image]);
        layers(&honeycrate.reported(command.args(arguments).envs(variables.iter().copied())))
    };
    let total = run(&["--cache", "off"], &[]).0;
    run(&[], &[("HONEYCRATE_CACHE", "off")]);
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "cache: off\n").expect("the home is writable");
    run(&[], &[]);
    assert!(!usual_folder(&honeycrate).exists());
    for (arguments, variables, folder) in
        [(&["--cache", "flag"][..], &[("HONEYCRATE_CACHE", "off")][..], "flag"), (&[], &[("HONEYCRATE_CACHE", "variable")], "variable")]
    {
        assert_eq!(run(arguments, variables), (total, 0));
        assert_eq!(run(arguments, variables), (total, total));
        assert!(!files_below(&honeycrate.home().join(folder)).is_empty());
    }
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "cache: file\n").expect("the home is writable");
    run(&[], &[]);
    assert!(!files_below(&honeycrate.home().join("file")).is_empty());
}

#[test]
fn without_a_key_a_job_keeps_nothing_unless_it_is_told_to() {
    let (honeycrate, build) = (Honeycrate::stranger(), Build::new());
    let (image, _) = build.build(1, "A=1\n");
    let job = |arguments: &[&str]| {
        let mut command = honeycrate.command(&["scan", &image]);
        layers(&honeycrate.reported(command.env("CI", "true").args(arguments)))
    };
    let total = job(&[]).0;
    assert_eq!(job(&[]), (total, 0));
    assert!(!usual_folder(&honeycrate).exists());
    job(&["--cache", "kept"]);
    assert_eq!(job(&["--cache", "kept"]), (total, total));
}

#[test]
fn a_strangers_job_neither_uses_nor_feeds_a_cache_that_is_not_sealed() {
    let (honeycrate, build) = (Honeycrate::stranger(), Build::new());
    let (image, _) = build.build(1, "A=1\n");
    let scan_as_fork = |honeycrate: &Honeycrate| {
        let mut command = honeycrate.command(&["scan", &image, "--cache", "kept"]);
        honeycrate.reported(as_fork(&mut command, honeycrate.home()))
    };
    let fork = scan_as_fork(&honeycrate);
    let total = layers(&fork).0;
    assert!(fork.ran.err().contains("note: no scan results are kept or used: without the owner's key"), "{}", fork.ran.all());
    assert!(files_below(&honeycrate.home().join("kept")).is_empty());
    let own = |honeycrate: &Honeycrate| honeycrate.reported(&mut honeycrate.command(&["scan", &image, "--cache", "kept"]));
    own(&honeycrate);
    assert_eq!(layers(&own(&honeycrate)), (total, total));
    assert_eq!(layers(&scan_as_fork(&honeycrate)), (total, 0));
    // The owner's key is not for a stranger's job: what was found under it does not name the owner's bait, and would tell which that is.
    let owner = Honeycrate::new();
    own(&owner);
    assert_eq!(layers(&scan_as_fork(&owner)), (total, 0));
}

#[test]
fn a_folder_that_others_may_use_is_refused_in_a_note() {
    let (honeycrate, build) = (Honeycrate::stranger(), Build::new());
    let (image, _) = build.build(1, "A=1\n");
    let folder = honeycrate.home().join("shared");
    std::fs::create_dir(&folder).expect("the home is writable");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("ours");
    let shared = |honeycrate: &Honeycrate| {
        let mut command = honeycrate.command(&["scan", &image, "--cache"]);
        honeycrate.reported(command.arg(&folder))
    };
    shared(&honeycrate);
    let refused = shared(&honeycrate);
    assert_eq!((refused.ran.code, layers(&refused).1), (0, 0));
    assert!(refused.ran.err().contains("others may use "), "{}", refused.ran.all());
    assert!(files_below(&folder).is_empty());
    let owner = Honeycrate::new();
    shared(&owner);
    let sealed = shared(&owner);
    let (total, known) = layers(&sealed);
    assert_eq!(total, known, "{}", sealed.ran.all());
}

#[test]
fn a_cache_that_cannot_be_written_is_a_note() {
    let (honeycrate, build) = (Honeycrate::new(), Build::new());
    let (image, _) = build.build(1, "A=1\n");
    for place in ["/proc/honeycrate", "/dev/full/honeycrate"] {
        let mut command = honeycrate.command(&["scan", &image, "--cache", place]);
        let scanned = honeycrate.reported(&mut command);
        assert_eq!((scanned.ran.code, layers(&scanned).1), (0, 0));
        assert_eq!(scanned.ran.err().matches("note: ").count(), 1, "{}", scanned.ran.all());
    }
}
