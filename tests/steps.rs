//! The steps of `ship`, each as a command of its own: scan, plant, push, report.

use std::collections::BTreeSet;
use std::process::Command;

use tempfile::tempdir;

use crate::common::command::{must, program, run};
use crate::common::honeycrate::{Honeycrate, SERVICE, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};
use crate::common::{skopeo, thief};

/// The formats that CI systems and people read.
const FORMATS: [&str; 8] = ["terminal", "json", "markdown", "html", "sarif", "junit", "gitlab-secret-detection", "gitlab-code-quality"];

#[test]
fn a_scan_passes_what_is_clean_and_denies_what_leaks() {
    let (honeycrate, folder) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let at = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("the folder is writable");
        path
    };
    let secret = github_token(11);
    let (clean, leaky, tree) = (at("clean"), at("leaky"), at("tree"));
    std::fs::write(tree.join(".env"), format!("GITHUB={secret}\n")).expect("the folder is writable");
    let targets = [
        (Image::shop().write(&clean), 0),
        (Image::shop().env("GITHUB", &secret).write(&leaky), 1),
        (tree.display().to_string(), 1),
        (tree.join(".env").display().to_string(), 1),
    ];
    for (target, code) in targets {
        let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", &target]));
        assert_eq!(scanned.ran.code, code, "{target}: {}", scanned.ran.all());
        assert_eq!(list(&scanned.report, "findings").is_empty(), code == 0, "{target}");
        assert!(!scanned.ran.all().contains(&secret) && !scanned.report.to_string().contains(&secret), "{target}: the secret is shown");
        let tolerant = run(&mut honeycrate.command(&["scan", &target, "--fail-on", "none"]));
        assert_eq!(tolerant.code, 0, "{target}: {}", tolerant.all());
    }
}

#[test]
fn planting_and_pushing_alone_come_to_what_shipping_comes_to() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::Basic), tempdir().expect("scratch"));
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let planted = format!("oci:{}:latest", folder.path().join("planted").display());
    let target = ["--env", "production", "--service", SERVICE, "--decoy", "http://127.0.0.1:9"];
    let ran = run(honeycrate.command(&["plant", &source, "--out", &planted]).args(target));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let mut push = honeycrate.command(&["push", &planted, &registry.reference("acme/pushed:1")]);
    honeycrate.access(&mut push, &registry);
    let ran = run(&mut push);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let ran = run(&mut honeycrate.ship(&source, &registry, "acme/shipped:1"));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(skopeo::raw_manifest(&registry, "acme/pushed:1"), skopeo::raw_manifest(&registry, "acme/shipped:1"));
    let surfaces: BTreeSet<String> = thief::loot(&folder.path().join("planted")).into_iter().map(|loot| loot.surface).collect();
    assert_eq!(surfaces, ["buried", "env", "file", "history"].map(str::to_owned).into());
}

#[test]
fn a_planting_plan_writes_no_image() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let out = folder.path().join("planted");
    let target = format!("oci:{}:latest", out.display());
    let ran = honeycrate.run(&[
        "plant",
        &source,
        "--out",
        &target,
        "--env",
        "production",
        "--service",
        "shop",
        "--decoy",
        "http://127.0.0.1:9",
        "--dry-run",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(!out.exists());
    for word in ["surface", "buried", "history", "leads to", "seen by", "TruffleHog", "gitleaks", "nothing was minted"] {
        assert!(ran.out().contains(word), "{word}: {}", ran.out());
    }
    assert!(!honeycrate.ledger_path().exists());
}

#[test]
fn a_plan_is_not_shown_in_the_log_of_a_public_project() {
    let (honeycrate, built) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let mut command = honeycrate.command(&["plant", &source, "--service", "shop", "--decoy", "http://127.0.0.1:9", "--dry-run"]);
    let ran = run(command.env("CI", "true").env("GITLAB_CI", "true").env("CI_PROJECT_VISIBILITY", "public"));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().contains("the plan is withheld") && !ran.out().contains("buried"), "{}", ran.out());
}

#[test]
fn an_archive_is_known_as_an_image_by_its_path_alone_compressed_or_not() {
    let (honeycrate, folder) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let (layout, archive) = (folder.path().join("layout"), folder.path().join("shop.tar"));
    let source = Image::shop().env("GITHUB", &github_token(13)).write(&layout);
    skopeo::copy(&source, &format!("docker-archive:{}:acme/shop:latest", archive.display()));
    must(Command::new("gzip").arg("--keep").arg(&archive));
    for name in ["shop.tar", "shop.tar.gz"] {
        let ran = honeycrate.run(&["scan", &folder.path().join(name).display().to_string()]);
        assert!(ran.code == 1 && ran.out().contains("variable GITHUB"), "{name}: {}", ran.all());
    }
}

#[test]
fn a_report_is_rendered_again_in_every_format_without_the_secret() {
    let (honeycrate, layout) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let secret = github_token(12);
    let source = Image::shop().env("GITHUB", &secret).write(layout.path());
    let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", &source]));
    let rule = list(&scanned.report, "findings")[0]["rule"].as_str().expect("a rule").to_owned();
    let file = honeycrate.home().join("report.json").display().to_string();
    for format in FORMATS {
        let ran = honeycrate.run(&["report", &file, "--format", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.all());
        assert!(ran.out().contains(&rule) && !ran.all().contains(&secret), "{format}: {}", ran.out());
    }
    let explained = honeycrate.run(&["explain", &rule]);
    assert!(explained.code == 0 && explained.out().contains(&rule), "{}", explained.all());
}

#[test]
fn a_public_job_is_shown_no_plan() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    for (disclosure, shown) in [("findings", false), ("placements", true)] {
        let ran = run(honeycrate.ship(&source, &registry, "acme/shop:1").arg("--dry-run").env("HONEYCRATE_DISCLOSURE", disclosure));
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert_eq!(ran.all().contains("leads to"), shown, "{disclosure}: {}", ran.all());
        assert_eq!(ran.all().contains("buried"), shown, "{disclosure}: {}", ran.all());
    }
}

#[test]
fn a_report_goes_into_a_pipe_and_leaves_it_there() {
    use std::os::unix::fs::FileTypeExt as _;
    let (honeycrate, folder) = (Honeycrate::stranger(), tempdir().expect("scratch"));
    let source = Image::shop().write(folder.path());
    let pipe = folder.path().join("pipe");
    must(program("mkfifo", folder.path()).arg(&pipe));
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe)
    });
    let ran = run(honeycrate.command(&["scan", &source, "--report"]).arg(&pipe));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(pipe.metadata().expect("still there").file_type().is_fifo());
    assert!(reader.join().expect("no panic").expect("readable").contains("honeycrate/run/v1"));
}
