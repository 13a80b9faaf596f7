//! Bad input and bad luck: a clear message, the right exit code, nothing half-pushed.

use std::net::TcpListener;
use std::path::Path;

use tempfile::tempdir;

use crate::common::command::{Ran, run};
use crate::common::daemon::daemon;
use crate::common::honeycrate::{ENVIRONMENT, Honeycrate};
use crate::common::images::Image;
use crate::common::registry::{Auth, Registry, USER};
use crate::common::{skopeo, token_server};

const USAGE: i32 = 2;
const SOURCE: i32 = 3;
const REGISTRY: i32 = 5;
const LEDGER: i32 = 7;

/// What a person needs: the code, each of the words, and neither a panic nor a page of text.
fn assert_told(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.all());
    let message = ran.err();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{message}");
    assert!((1..=12).contains(&message.lines().count()), "{message}");
}

fn assert_untouched(registry: &Registry) {
    let manifests = registry.requests().into_iter().filter(|request| request.method == "PUT" && request.path.contains("/manifests/")).count();
    assert_eq!((manifests, registry.stored()), (0, 0), "something was half-pushed");
}

fn shop(layout: &Path) -> String {
    Image::shop().write(layout)
}

#[test]
fn a_missing_image_is_named() {
    let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let nowhere = format!("docker://{}", registry.reference("acme/nowhere:1"));
    for (source, word) in [
        ("oci:/nowhere/layout:latest", "/nowhere/layout"),
        ("oci-archive:/nowhere/image.tar", "/nowhere/image.tar"),
        ("docker-archive:/nowhere/image.tar", "/nowhere/image.tar"),
        ("docker-daemon:nowhere:1", "nowhere:1"),
        (&nowhere, "acme/nowhere"),
    ] {
        let ran = run(honeycrate.ship(source, &registry, "acme/shop:1").env("DOCKER_HOST", daemon().host()));
        assert_told(&ran, SOURCE, &[word]);
        assert_untouched(&registry);
    }
}

#[test]
fn a_tag_that_the_layout_does_not_have_is_named() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    shop(layout.path());
    let ran = run(&mut honeycrate.ship(&format!("oci:{}:other", layout.path().display()), &registry, "acme/shop:1"));
    assert_told(&ran, SOURCE, &["other"]);
    assert_untouched(&registry);
}

#[test]
fn no_daemon_is_a_message_about_the_daemon() {
    let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let ran = run(honeycrate.ship("docker-daemon:shop:1", &registry, "acme/shop:1").env("DOCKER_HOST", "unix:///nowhere/docker.sock"));
    assert_told(&ran, SOURCE, &["/nowhere/docker.sock"]);
}

#[test]
fn an_unknown_transport_is_answered_with_the_known_ones() {
    let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let ran = run(&mut honeycrate.ship("ftp://example.com/shop", &registry, "acme/shop:1"));
    assert_told(&ran, USAGE, &["ftp", "docker-daemon:", "docker-archive:", "oci:", "oci-archive:", "docker://"]);
    assert_untouched(&registry);
}

#[test]
fn a_reference_that_is_none_is_refused_before_anything_is_read() {
    let honeycrate = Honeycrate::new();
    let ran = honeycrate.run(&["ship", "oci:/nowhere", "--to", "Ghcr.io/Acme/Shop", "--env", ENVIRONMENT]);
    assert_told(&ran, USAGE, &["lower case"]);
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = shop(layout.path());
    // A port that was free a moment ago, and that nobody listens on.
    let host = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string();
    let to = format!("{host}/acme/shop:1");
    let ran = honeycrate.run(&["ship", &source, "--to", &to, "--env", ENVIRONMENT, "--decoy", "http://127.0.0.1:9", "--plain-http", &host]);
    assert_told(&ran, REGISTRY, &[&host]);
}

#[test]
fn wrong_credentials_are_told_and_not_repeated() {
    let layout = tempdir().expect("scratch");
    let source = shop(layout.path());
    for registry in [Registry::plain(Auth::Basic), Registry::plain(Auth::Bearer), Registry::secure(Auth::Bearer)] {
        let honeycrate = Honeycrate::new();
        let mut command = honeycrate.ship(&source, &registry, "acme/shop:1");
        std::fs::write(honeycrate.home().join("password"), "battery-staple").expect("the home is writable");
        let ran = run(&mut command);
        assert_told(&ran, REGISTRY, &[&registry.host()]);
        assert!(!ran.all().contains("battery-staple"));
        assert_untouched(&registry);
    }
}

#[test]
fn no_credentials_where_some_are_needed_is_told() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Basic), tempdir().expect("scratch"));
    let source = shop(layout.path());
    let to = registry.reference("acme/shop:1");
    let ran =
        honeycrate.run(&["ship", &source, "--to", &to, "--env", ENVIRONMENT, "--decoy", "http://127.0.0.1:9", "--plain-http", &registry.host()]);
    assert_told(&ran, REGISTRY, &[&registry.host()]);
    assert_untouched(&registry);
}

#[test]
fn a_registry_that_refuses_this_repository_is_told() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Bearer), tempdir().expect("scratch"));
    let source = shop(layout.path());
    let name = format!("{}shop:1", token_server::FORBIDDEN);
    let ran = run(&mut honeycrate.ship(&source, &registry, &name));
    assert_told(&ran, REGISTRY, &[&registry.host(), "forbidden/shop"]);
    assert_untouched(&registry);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::secure(Auth::None), tempdir().expect("scratch"));
    let source = shop(layout.path());
    let to = registry.reference("acme/shop:1");
    let ran = honeycrate.run(&["ship", &source, "--to", &to, "--env", ENVIRONMENT, "--decoy", "http://127.0.0.1:9"]);
    assert_told(&ran, REGISTRY, &[&registry.host()]);
    assert_untouched(&registry);
}

#[test]
fn a_truncated_archive_is_unreadable() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let layout = tempdir().expect("scratch");
    let source = shop(layout.path());
    for transport in ["docker-archive", "oci-archive"] {
        let path = folder.path().join(transport);
        skopeo::copy(&source, &format!("{transport}:{}:acme/shop:latest", path.display()));
        let whole = std::fs::read(&path).expect("an archive");
        for part in [0, 100, 512, whole.len() / 3, whole.len() / 2] {
            std::fs::write(&path, &whole[..part]).expect("the folder is writable");
            let ran = run(&mut honeycrate.ship(&format!("{transport}:{}", path.display()), &registry, "acme/shop:1"));
            assert_told(&ran, SOURCE, &[transport]);
            assert_untouched(&registry);
        }
    }
}

#[test]
fn bytes_that_are_not_what_their_digest_says_are_refused() {
    for kind in ["config", "layers", "manifest"] {
        let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
        let source = shop(layout.path());
        let read = |digest: &str| layout.path().join("blobs").join(digest.replace(':', "/"));
        let index: serde_json::Value = serde_json::from_slice(&std::fs::read(layout.path().join("index.json")).expect("an index")).expect("JSON");
        let manifest_digest = index["manifests"][0]["digest"].as_str().expect("a digest");
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(read(manifest_digest)).expect("a manifest")).expect("JSON");
        let digest = match kind {
            "config" => manifest["config"]["digest"].as_str(),
            "layers" => manifest["layers"][1]["digest"].as_str(),
            _ => Some(manifest_digest),
        };
        let digest = digest.expect("a digest");
        let mut bytes = std::fs::read(read(digest)).expect("a blob");
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        std::fs::write(read(digest), bytes).expect("the layout is writable");
        let ran = run(&mut honeycrate.ship(&source, &registry, "acme/shop:1"));
        let shown = &digest[.."sha256:".len() + 12];
        assert_told(&ran, SOURCE, &[shown]);
        assert_untouched(&registry);
    }
}

#[test]
fn every_problem_of_the_configuration_is_told_at_once_with_its_line() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = shop(layout.path());
    let config = honeycrate.home().join("honeycrate.yaml");
    std::fs::write(&config, "servce: acme/shop\ndisclosure: everything\n").expect("the home is writable");
    let ran = run(honeycrate.ship(&source, &registry, "acme/shop:1").arg("--config").arg(&config));
    assert_told(&ran, USAGE, &["honeycrate.yaml:1:", "servce", "`service`", "honeycrate.yaml:2:", "everything"]);
    assert_untouched(&registry);
}

#[test]
fn an_error_is_told_once_and_on_stderr() {
    let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let ran = run(&mut honeycrate.ship("oci:/nowhere", &registry, "acme/shop:1"));
    assert_told(&ran, SOURCE, &["/nowhere", "check the path"]);
    assert_eq!((ran.out().as_str(), ran.all().matches("cannot read oci:/nowhere").count()), ("", 1), "{}", ran.all());
}

#[test]
fn a_report_that_could_not_be_written_is_refused_before_anything_leaves() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = shop(layout.path());
    for (arguments, told) in [(["--report", "/nowhere/report.json"], "there is no folder /nowhere"), (["--format", "pdf"], "`pdf`")] {
        let ran = run(honeycrate.ship(&source, &registry, "acme/shop:1").args(arguments));
        assert_told(&ran, USAGE, &[told]);
        assert_untouched(&registry);
    }
}

#[test]
fn a_folder_that_is_not_there_is_named_and_no_temporary_file() {
    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let ran = honeycrate.run(&["push", &shop(layout.path()), "oci-archive:/nowhere/shop.tar"]);
    assert_told(&ran, REGISTRY, &["there is no folder /nowhere"]);
    assert!(!ran.all().contains(".tmp"), "{}", ran.all());
}

#[test]
fn a_path_that_is_not_there_is_not_looked_for_in_the_docker_daemon() {
    let honeycrate = Honeycrate::stranger();
    for path in ["/nowhere/shop", "./shop", "shop.tar"] {
        let ran = honeycrate.run(&["scan", path]);
        assert_told(&ran, SOURCE, &[path, "check the path"]);
        assert!(!ran.all().contains("Docker"), "{}", ran.all());
    }
    assert_told(&honeycrate.run(&["scan", ""]), USAGE, &["no name"]);
}

#[test]
fn a_ledger_that_is_not_there_yet_is_told_with_what_makes_it() {
    let honeycrate = Honeycrate::new();
    for arguments in [&["token", "list"][..], &["ledger", "verify"], &["watch", "--once"]] {
        assert_told(&honeycrate.run(arguments), LEDGER, &["there is no ledger", "honeycrate ship", "--ledger"]);
    }
}

#[test]
fn a_ledger_that_cannot_be_written_stops_the_run_before_anything_leaves() {
    let layout = tempdir().expect("scratch");
    let source = shop(layout.path());
    let folder = tempdir().expect("scratch");
    std::fs::write(folder.path().join("ledger.sqlite"), "this is no database, and long enough to be looked at twice").expect("writable");
    for ledger in [Path::new("/proc/nowhere/ledger.sqlite"), folder.path(), &folder.path().join("ledger.sqlite")] {
        let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
        let ran = run(honeycrate.ship(&source, &registry, "acme/shop:1").arg("--ledger").arg(ledger));
        assert_told(&ran, LEDGER, &[&ledger.display().to_string()]);
        assert_untouched(&registry);
    }
}

#[test]
fn a_home_without_a_key_is_told_how_to_make_one() {
    let (honeycrate, registry, layout) = (Honeycrate::stranger(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = shop(layout.path());
    let ran = run(&mut honeycrate.ship(&source, &registry, "acme/shop:1"));
    assert_told(&ran, USAGE, &["honeycrate key new"]);
    assert_untouched(&registry);
}

#[test]
fn a_password_on_the_command_line_is_not_an_option() {
    let honeycrate = Honeycrate::new();
    let ran = honeycrate.run(&["ship", "oci:/nowhere", "--to", "ghcr.io/acme/shop:1", "--env", ENVIRONMENT, "--username", USER, "--password", "x"]);
    assert_told(&ran, USAGE, &["--password"]);
}
