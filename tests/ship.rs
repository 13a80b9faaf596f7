//! `ship`, end to end with real parts: five sources, real builders, real registries, read back by other people's tools.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, tempdir};

use crate::common::buildah::Buildah;
use crate::common::command::{must, program, run, run_with_input};
use crate::common::daemon::{IMAGE, daemon};
use crate::common::honeycrate::{ENVIRONMENT, Honeycrate, Reported, SERVICE, holds, list};
use crate::common::images::{Image, github_token, write_index};
use crate::common::registry::{Auth, PASSWORD, Registry, USER};
use crate::common::thief::Loot;
use crate::common::{skopeo, thief};

const SURFACES: [&str; 4] = ["buried", "env", "file", "history"];

/// An image that came back from a registry.
struct Arrived {
    layout: TempDir,
    manifest: Value,
    config: Value,
    loot: Vec<Loot>,
}

impl Arrived {
    /// Pulls it with skopeo, which checks every digest, and lets the thief search it.
    fn pull(registry: &Registry, name: &str) -> Self {
        let layout = tempdir().expect("scratch");
        skopeo::pull(registry, name, layout.path());
        let manifest = serde_json::from_str(&skopeo::raw_manifest(registry, name)).expect("a manifest is JSON");
        let config = skopeo::config(registry, name);
        let loot = thief::loot(layout.path());
        Self { layout, manifest, config, loot }
    }

    fn source(&self) -> String {
        format!("oci:{}:latest", self.layout.path().display())
    }

    /// What umoci makes of it: the folder that a container would see.
    fn unpack(&self) -> TempDir {
        let bundle = tempdir().expect("scratch");
        let image = format!("{}:latest", self.layout.path().display());
        must(program("umoci", bundle.path()).args(["unpack", "--image", &image]).arg(bundle.path().join("bundle")));
        bundle
    }

    fn of(&self, surface: &str) -> Vec<&Loot> {
        self.loot.iter().filter(|loot| loot.surface == surface).collect()
    }
}

fn shipped(honeycrate: &Honeycrate, command: &mut Command) -> Reported {
    let shipped = honeycrate.reported(command);
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    assert_eq!(shipped.report["schema"], "honeycrate/run/v1");
    assert_eq!(shipped.report["verdict"]["outcome"], "passed");
    shipped
}

/// What every shipped image has to be, whatever it came from.
fn check_arrival(registry: &Registry, name: &str, shipped: &Reported) -> Arrived {
    let report = &shipped.report;
    let [pushed] = list(report, "pushed") else { panic!("one push, not {}", report["pushed"]) };
    let raw = skopeo::raw_manifest(registry, name);
    assert_eq!(pushed["digest"], digest(raw.as_bytes()), "the digest that was reported is the one that arrived");
    assert!(pushed["reference"].as_str().is_some_and(|reference| reference.starts_with(&registry.reference(name))), "{pushed}");

    let placements = list(report, "placements");
    assert_eq!(surfaces(placements), SURFACES);
    let fingerprints: BTreeSet<&str> = placements.iter().filter_map(|placement| placement["fingerprint"].as_str()).collect();
    assert_eq!(fingerprints.len(), SURFACES.len(), "each surface has a token of its own");
    for placement in placements {
        assert_eq!((&placement["service"], &placement["environment"]), (&SERVICE.into(), &ENVIRONMENT.into()));
    }

    let arrived = Arrived::pull(registry, name);
    for surface in SURFACES {
        assert!(!arrived.of(surface).is_empty(), "the thief finds nothing on {surface}: {:?}", arrived.loot);
    }
    let values: BTreeMap<&str, BTreeSet<&str>> = arrived.loot.iter().fold(BTreeMap::new(), |mut values, loot| {
        values.entry(&loot.secret).or_insert_with(BTreeSet::new).insert(&loot.surface);
        values
    });
    let told = shipped.ran.all() + &report.to_string();
    assert!(values.keys().all(|value| !told.contains(value)), "a token is told outside of its bait");
    assert!(values.values().all(|surfaces| surfaces.len() == 1), "no token lies on two surfaces");
    assert!(!raw.contains("honeycrate") && !arrived.config.to_string().contains("honeycrate"), "nothing in the image says who was there");

    let layers = list(&arrived.manifest, "layers").len();
    let steps = list(&arrived.config, "history").iter().filter(|step| step["empty_layer"] != true).count();
    assert_eq!((list(&arrived.config["rootfs"], "diff_ids").len(), steps), (layers, layers), "config, history and layers go together");
    arrived
}

fn surfaces(placements: &[Value]) -> Vec<&str> {
    let mut surfaces: Vec<&str> = placements.iter().filter_map(|placement| placement["surface"].as_str()).collect();
    surfaces.sort_unstable();
    surfaces.dedup();
    surfaces
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The layers of the manifest that a layout's index names first.
fn layers_of(layout: &Path) -> Vec<String> {
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a layout")).expect("JSON") };
    let index = read(&layout.join("index.json"));
    let manifest = index["manifests"][0]["digest"].as_str().expect("a digest").replace(':', "/");
    let manifest = read(&layout.join("blobs").join(manifest));
    list(&manifest, "layers").iter().map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
}

#[test]
fn an_image_of_the_daemon_arrives_from_each_source_and_runs_as_before() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let at = |name: &str| folder.path().join(name).display().to_string();
    must(daemon().docker().args(["save", "--output", &at("docker.tar"), IMAGE]));
    skopeo::copy(&format!("docker-archive:{}", at("docker.tar")), &format!("oci:{}:latest", at("layout")));
    skopeo::copy(&format!("oci:{}:latest", at("layout")), &format!("oci-archive:{}:latest", at("oci.tar")));
    skopeo::push(&format!("oci:{}:latest", at("layout")), &registry, "build/shop:1");
    let buildah = Buildah::new();
    let before = buildah.run(&format!("docker-archive:{}", at("docker.tar")));
    assert_eq!(before.code, 0, "{}", before.all());

    let sources = [
        ("daemon", format!("docker-daemon:{IMAGE}")),
        ("docker-archive", format!("docker-archive:{}", at("docker.tar"))),
        ("oci", format!("oci:{}:latest", at("layout"))),
        ("oci-archive", format!("oci-archive:{}:latest", at("oci.tar"))),
        ("registry", format!("docker://{}", registry.reference("build/shop:1"))),
    ];
    for (from, source) in sources {
        let name = format!("acme/shop-{from}:1");
        let run = shipped(&honeycrate, honeycrate.ship(&source, &registry, &name).env("DOCKER_HOST", daemon().host()));
        let arrived = check_arrival(&registry, &name, &run);
        if matches!(from, "oci" | "registry") {
            let mine: Vec<String> =
                list(&arrived.manifest, "layers").iter().map(|layer| layer["digest"].as_str().unwrap_or_default().to_owned()).collect();
            assert!(holds(&mine, &layers_of(Path::new(&at("layout")))), "the layers of the build are untouched");
        }
        let bundle = arrived.unpack();
        let rootfs = bundle.path().join("bundle/rootfs");
        for loot in arrived.of("file") {
            assert!(rootfs.join(&loot.place).is_file(), "umoci does not see {}", loot.place);
        }
        for loot in arrived.of("buried") {
            let seen = std::fs::read_to_string(rootfs.join(&loot.place)).unwrap_or_default();
            assert!(!seen.contains(&loot.secret), "umoci sees {}", loot.place);
        }
        if from == "daemon" {
            let after = buildah.run(&arrived.source());
            assert_eq!((after.code, after.out()), (before.code, before.out()), "{}", after.err());
        }
    }
}

#[test]
fn an_archive_arrives_from_standard_input() {
    let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let saved = run(daemon().docker().args(["save", IMAGE]));
    let mut command = honeycrate.ship("docker-archive:-", &registry, "acme/shop:1");
    let report = honeycrate.home().join("report.json");
    let ran = run_with_input(command.arg("--report").arg(&report), &saved.stdout);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let report = serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
    check_arrival(&registry, "acme/shop:1", &Reported { ran, report });
}

#[test]
fn an_image_of_buildah_arrives_over_tls_and_runs_as_before() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::secure(Auth::Bearer), tempdir().expect("scratch"));
    let buildah = Buildah::new();
    let source = buildah.build(layout.path());
    let before = buildah.run(&source);
    let run = shipped(&honeycrate, &mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    let arrived = check_arrival(&registry, "acme/shop:1", &run);
    let after = buildah.run(&arrived.source());
    assert_eq!((after.code, after.out()), (0, before.out()), "{}", after.err());
}

#[test]
fn every_way_of_asking_for_credentials_is_answered() {
    let layout = tempdir().expect("scratch");
    let source = Image::shop().write(layout.path());
    for registry in [Registry::plain(Auth::Basic), Registry::plain(Auth::Bearer), Registry::secure(Auth::Basic), Registry::secure(Auth::Bearer)] {
        let honeycrate = Honeycrate::new();
        let run = shipped(&honeycrate, &mut honeycrate.ship(&source, &registry, "acme/shop:1"));
        check_arrival(&registry, "acme/shop:1", &run);
        // And from there to another repository: the registry as a source.
        let from = format!("docker://{}", registry.reference("acme/shop:1"));
        shipped(&honeycrate, &mut honeycrate.ship(&from, &registry, "acme/again:1"));
    }
}

#[test]
fn a_password_comes_from_standard_input_and_is_not_repeated() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Basic), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let mut command = honeycrate.command(&["ship", &source, "--to", &registry.reference("acme/shop:1"), "--env", ENVIRONMENT]);
    command.args(["--decoy", "http://127.0.0.1:9", "--plain-http", &registry.host(), "--username", "ci", "--password-stdin"]);
    let ran = run_with_input(&mut command, b"correct-horse\n");
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(!ran.all().contains("correct-horse"));
    assert!(registry.stored() > 0);
}

#[test]
fn an_index_arrives_with_bait_in_each_platform() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = write_index(layout.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
    let run = shipped(&honeycrate, &mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    let index: Value = serde_json::from_str(&skopeo::raw_manifest(&registry, "acme/shop:1")).expect("JSON");
    let platforms: Vec<&str> = list(&index, "manifests").iter().filter_map(|child| child["platform"]["architecture"].as_str()).collect();
    assert_eq!(platforms, ["amd64", "arm64", "unknown", "unknown"], "attestations are passed through");
    let attestations =
        |index: &Value| list(index, "manifests").iter().filter(|child| child["platform"]["os"] == "unknown").cloned().collect::<Vec<_>>();
    let built: Value = serde_json::from_slice(&std::fs::read(layout.path().join("index.json")).expect("a layout")).expect("JSON");
    let root = built["manifests"][0]["digest"].as_str().expect("a digest").replace(':', "/");
    let built: Value = serde_json::from_slice(&std::fs::read(layout.path().join("blobs").join(root)).expect("the index")).expect("JSON");
    assert_eq!(attestations(&index), attestations(&built), "untouched");
    let placed: BTreeSet<(&str, &str)> = list(&run.report, "placements")
        .iter()
        .filter_map(|placement| Some((placement["platform"].as_str()?, placement["surface"].as_str()?)))
        .collect();
    let expected: BTreeSet<_> = ["linux/amd64", "linux/arm64"].into_iter().flat_map(|platform| SURFACES.map(|surface| (platform, surface))).collect();
    assert_eq!(placed, expected);
    let pulled = tempdir().expect("scratch");
    skopeo::pull(&registry, "acme/shop:1", pulled.path());
    assert!(thief::loot(pulled.path()).len() >= SURFACES.len());
}

#[test]
fn an_image_with_a_secret_is_denied_and_nothing_is_uploaded() {
    let secret = github_token(7);
    let line = format!("GITHUB={secret}\n");
    let leaks = [
        ("file", "live", Image::shop().layer("COPY .env .", &[("app/.env", &line)])),
        ("file", "deleted", Image::shop().layer("COPY .env .", &[("app/.env", &line)]).layer("RUN rm .env", &[("app/.wh..env", "")])),
        ("file", "overwritten", Image::shop().layer("COPY .env .", &[("app/.env", &line)]).layer("COPY x .env", &[("app/.env", "GITHUB=\n")])),
        ("env", "live", Image::shop().env("GITHUB", &secret)),
        ("history", "live", Image::shop().step(&format!("RUN |1 T={secret} /bin/sh -c make # buildkit"))),
    ];
    for (surface, state, image) in leaks {
        let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Basic), tempdir().expect("scratch"));
        let source = image.write(layout.path());
        let denied = honeycrate.reported(&mut honeycrate.ship(&source, &registry, "acme/shop:1"));
        assert_eq!(denied.ran.code, 1, "{surface} {state}: {}", denied.ran.all());
        assert_eq!(denied.report["verdict"]["outcome"], "denied");
        assert_eq!(list(&denied.report, "placements").len() + list(&denied.report, "pushed").len(), 0);
        let found = list(&denied.report, "findings").iter().any(|finding| finding["surface"] == surface && finding["state"] == state);
        assert!(found, "{surface} {state}: {}", denied.report["findings"]);
        assert_eq!((registry.writes().len(), registry.stored()), (0, 0), "not one upload was asked for");
        assert!(!denied.ran.all().contains(&secret) && !denied.report.to_string().contains(&secret), "the secret itself is never shown");
    }
}

#[test]
fn a_secret_in_one_platform_denies_the_whole_index() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let leaky = Image::shop().architecture("arm64").env("GITHUB", &github_token(8));
    let source = write_index(layout.path(), &[Image::shop(), leaky]);
    let denied = honeycrate.reported(&mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    assert_eq!(denied.ran.code, 1, "{}", denied.ran.all());
    assert_eq!((registry.writes().len(), registry.stored()), (0, 0));
}

#[test]
fn a_plan_changes_nothing() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let planned = honeycrate.reported(honeycrate.ship(&source, &registry, "acme/shop:1").arg("--dry-run"));
    assert_eq!(planned.ran.code, 0, "{}", planned.ran.all());
    for surface in SURFACES {
        assert!(planned.ran.out().contains(surface), "{}", planned.ran.out());
    }
    assert_eq!((list(&planned.report, "placements").len(), list(&planned.report, "pushed").len()), (0, 0));
    assert_eq!((registry.writes().len(), registry.stored()), (0, 0));
    assert!(!honeycrate.ledger_path().exists() || honeycrate.records().is_empty());
}

#[test]
fn a_rebuild_has_the_same_tokens_and_uploads_nothing_twice() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let first = shipped(&honeycrate, &mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    let uploads = |registry: &Registry| registry.writes().iter().filter(|request| request.path.contains("/blobs/uploads/")).count();
    let before = uploads(&registry);
    let second = shipped(&honeycrate, &mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    assert_eq!(first.report["pushed"][0]["digest"], second.report["pushed"][0]["digest"]);
    assert_eq!(uploads(&registry), before);
}

#[test]
fn each_environment_has_tokens_of_its_own() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let secrets = |environment: &str| -> BTreeSet<String> {
        let name = format!("acme/shop:{environment}");
        let mut command = honeycrate.command(&["ship", &source, "--to", &registry.reference(&name), "--env", environment, "--service", SERVICE]);
        honeycrate.access(command.args(["--decoy", "http://127.0.0.1:9"]), &registry);
        shipped(&honeycrate, &mut command);
        Arrived::pull(&registry, &name).loot.into_iter().map(|loot| loot.secret).collect()
    };
    let (production, staging) = (secrets("production"), secrets("staging"));
    assert!(production.is_disjoint(&staging));
    assert!(production.len() >= SURFACES.len() && staging.len() >= SURFACES.len());
}

#[test]
fn one_run_ships_to_several_places() {
    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let registries = [Registry::plain(Auth::None), Registry::plain(Auth::None)];
    let mut command = honeycrate.ship(&source, &registries[0], "acme/shop:1");
    command.args(["--to", &registries[1].reference("acme/shop:1"), "--plain-http", &registries[1].host()]);
    let run = shipped(&honeycrate, &mut command);
    assert_eq!(list(&run.report, "pushed").len(), 2);
    for registry in &registries {
        assert!(Arrived::pull(registry, "acme/shop:1").loot.len() >= SURFACES.len());
    }
}

#[test]
fn the_ledger_tells_the_run_in_order_and_holds_no_token() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    shipped(&honeycrate, &mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    let verified = honeycrate.run(&["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.all());
    let records = honeycrate.records();
    let mut events: Vec<&str> = records.iter().filter_map(|record| record["event"].as_str()).collect();
    events.dedup();
    assert_eq!(events, ["intended", "minted", "planted", "pushed"]);
    let file = std::fs::read(honeycrate.ledger_path()).expect("a ledger");
    for loot in Arrived::pull(&registry, "acme/shop:1").loot {
        let secret = loot.secret.as_bytes();
        assert!(!file.windows(secret.len()).any(|window| window == secret), "the ledger holds a token in clear");
        assert!(records.iter().all(|record| !record.to_string().contains(&loot.secret)));
    }
}

#[test]
fn a_credential_helper_is_not_given_the_owners_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Basic), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let (helper, seen) = (honeycrate.home().join("docker-credential-spy"), honeycrate.home().join("seen"));
    let answer = format!(r#"{{"Username":"{USER}","Secret":"{PASSWORD}"}}"#);
    std::fs::write(&helper, format!("#!/bin/sh\n/usr/bin/env > {}\necho '{answer}'\n", seen.display())).expect("the home is writable");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("the home is writable");
    let docker = honeycrate.home().join(".docker");
    std::fs::create_dir(&docker).expect("the home is writable");
    std::fs::write(docker.join("config.json"), r#"{"credsStore":"spy"}"#).expect("the home is writable");
    let made = honeycrate.run(&["key", "new", "--print"]);
    let key = made.out().trim().to_owned();

    let mut command = honeycrate.command(&["ship", &source, "--to", &registry.reference("acme/shop:1"), "--env", ENVIRONMENT]);
    command.args(["--service", SERVICE, "--decoy", "http://127.0.0.1:9", "--plain-http", &registry.host()]);
    let ran = run(command.env("HONEYCRATE_KEY", &key).env("PATH", format!("{}:/usr/bin:/bin", honeycrate.home().display())));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let seen = std::fs::read_to_string(seen).expect("the helper was asked");
    assert!(seen.contains("PATH=") && !seen.contains("HONEYCRATE_KEY") && !seen.contains(&key), "the helper sees the key");
}
