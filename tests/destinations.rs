//! `--to` everything that is no registry: layouts, archives and a daemon, and several of them at once.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::buildah::Buildah;
use crate::common::command::{must, program, run};
use crate::common::daemon::{IMAGE, daemon};
use crate::common::debian;
use crate::common::honeycrate::{ENVIRONMENT, Honeycrate, holds, list};
use crate::common::images::{Image, write_index};
use crate::common::registry::{Auth, Registry};
use crate::common::{skopeo, thief};

const SURFACES: [&str; 4] = ["buried", "env", "file", "history"];

fn surfaces(layout: &std::path::Path) -> BTreeSet<String> {
    thief::loot(layout).into_iter().map(|loot| loot.surface).collect()
}

#[test]
fn one_run_writes_to_every_kind_of_place_and_each_holds_the_bait() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let places = [
        format!("oci:{}:planted", at("layout")),
        format!("oci-archive:{}:planted", at("oci.tar")),
        format!("docker-archive:{}:acme/shop:planted", at("docker.tar")),
        "docker-daemon:acme/shop:planted".to_owned(),
        registry.reference("acme/shop:1"),
    ];
    let mut command = honeycrate.command(&["ship", &format!("docker-daemon:{IMAGE}"), "--env", ENVIRONMENT, "--service", "acme/shop"]);
    command.args(["--decoy", "decoy.acme.io", "--plain-http", &registry.host()]).env("DOCKER_HOST", daemon().host());
    for place in &places {
        command.args(["--to", place]);
    }
    let shipped = honeycrate.reported(&mut command);
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let pushed = list(&shipped.report, "pushed");
    assert_eq!(pushed.len(), places.len(), "{}", shipped.report["pushed"]);
    let digests: BTreeSet<&str> = pushed.iter().filter_map(|row| row["digest"].as_str()).collect();
    assert_eq!(digests.len(), 1, "it is one image: {digests:?}");
    let recorded = honeycrate.records().iter().filter(|record| record["event"] == "pushed").count();
    assert_eq!(recorded, places.len());

    let wanted: BTreeSet<String> = SURFACES.map(str::to_owned).into();
    assert_eq!(surfaces(&folder.path().join("layout")), wanted);
    must(daemon().docker().args(["save", "--output", &at("saved.tar"), "acme/shop:planted"]));
    for (name, source) in [("oci", &places[1]), ("docker", &places[2]), ("saved", &format!("docker-archive:{}", at("saved.tar")))] {
        let copy = folder.path().join(format!("{name}-copy"));
        skopeo::copy(source, &format!("oci:{}:latest", copy.display()));
        assert_eq!(surfaces(&copy), wanted, "{name}");
    }
    // The daemon has what was planned: the variables, and the rest of the config as it was built.
    let inspect = |name: &str| -> Value { serde_json::from_str(&must(daemon().docker().args(["inspect", name]))).expect("JSON") };
    let (before, after) = (inspect(IMAGE), inspect("acme/shop:planted"));
    let env = |document: &Value| list(&document[0]["Config"], "Env").to_vec();
    assert!(holds(&env(&after), &env(&before)) && env(&after).len() > env(&before).len(), "{after}");
    for member in ["Cmd", "Entrypoint", "User", "WorkingDir", "Volumes", "Healthcheck"] {
        assert_eq!(before[0]["Config"][member], after[0]["Config"][member], "{member}");
    }
    let history = must(daemon().docker().args(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "acme/shop:planted"]));
    assert!(history.lines().count() > list(&before[0]["RootFS"], "Layers").len() + 4, "{history}");
    // And it runs, from the daemon's own export, as before.
    let buildah = Buildah::new();
    let source = format!("docker-archive:{}", at("saved.tar"));
    let (ran, was) = (buildah.run(&source), {
        must(daemon().docker().args(["save", "--output", &at("built.tar"), IMAGE]));
        buildah.run(&format!("docker-archive:{}", at("built.tar")))
    });
    assert_eq!((ran.code, ran.out()), (0, was.out()), "{} {:?}", ran.err(), debian::COMMAND);
}

#[test]
fn an_index_goes_into_layouts_whole_and_into_dockers_archive_not_at_all() {
    let (honeycrate, built, folder) = (Honeycrate::new(), tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = write_index(built.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
    let plant = |target: &str| {
        let mut command = honeycrate.command(&["ship", &source, "--to", target, "--env", ENVIRONMENT, "--service", "acme/shop"]);
        run(command.args(["--decoy", "decoy.acme.io"]))
    };
    for name in ["layout", "oci.tar"] {
        let transport = if name == "layout" { "oci" } else { "oci-archive" };
        let target = format!("{transport}:{}:latest", folder.path().join(name).display());
        let ran = plant(&target);
        assert_eq!(ran.code, 0, "{}", ran.all());
        let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", &target]));
        assert_eq!(list(&scanned.report["source"], "platforms").len(), 2, "{}", scanned.report["source"]);
    }
    let archive = folder.path().join("docker.tar");
    let ran = plant(&format!("docker-archive:{}", archive.display()));
    assert!(ran.code == 5 && ran.err().contains("index"), "{}", ran.all());
    assert!(!archive.exists(), "half an archive is left");
}

#[test]
fn a_layout_is_added_to_and_its_other_images_stay() {
    let (honeycrate, built, folder) = (Honeycrate::new(), tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    for tag in ["one", "two"] {
        let target = format!("oci:{}:{tag}", folder.path().display());
        let mut command = honeycrate.command(&["ship", &source, "--to", &target, "--env", tag, "--service", "acme/shop"]);
        let ran = run(command.args(["--decoy", "decoy.acme.io"]));
        assert_eq!(ran.code, 0, "{}", ran.all());
    }
    let tags = must(program("umoci", folder.path()).args(["list", "--layout"]).arg(folder.path()));
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["one", "two"]);
}
