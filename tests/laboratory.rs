//! The laboratory itself: every part works before the program is tried in it.

use std::collections::BTreeSet;

use tempfile::tempdir;

use crate::common::buildah::Buildah;
use crate::common::command::{must, program};
use crate::common::daemon::{IMAGE, daemon};
use crate::common::images::{Image, github_token, write_index};
use crate::common::registry::{Auth, Registry};
use crate::common::{skopeo, thief};

fn every_registry() -> [Registry; 5] {
    [
        Registry::plain(Auth::None),
        Registry::plain(Auth::Basic),
        Registry::plain(Auth::Bearer),
        Registry::secure(Auth::Basic),
        Registry::secure(Auth::Bearer),
    ]
}

#[test]
fn an_image_goes_into_each_registry_and_comes_back_the_same() {
    for registry in every_registry() {
        let (before, after) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
        let source = write_index(before.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
        skopeo::push(&source, &registry, "acme/shop:1");
        skopeo::pull(&registry, "acme/shop:1", after.path());
        let blobs = |layout: &std::path::Path| -> BTreeSet<_> {
            std::fs::read_dir(layout.join("blobs/sha256")).expect("a layout").map(|entry| entry.expect("readable").file_name()).collect()
        };
        assert_eq!(blobs(before.path()), blobs(after.path()));
        assert!(
            registry.writes().iter().any(|request| request.method == "PUT" && request.path == "/v2/acme/shop/manifests/1" && request.status == 201)
        );
        assert!(registry.stored() > 0);
    }
}

#[test]
fn a_registry_with_credentials_refuses_strangers_and_stores_nothing() {
    for registry in every_registry().into_iter().filter(Registry::has_auth) {
        let home = tempdir().expect("scratch");
        let url = format!("{}/v2/acme/shop/blobs/uploads/", registry.url());
        let status = must(program("curl", home.path()).args(["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", &url]));
        assert_eq!(status, "401");
        assert_eq!(registry.stored(), 0);
        assert_eq!(registry.writes().len(), 1);
    }
}

#[test]
fn the_token_service_gives_no_rights_where_nobody_has_any() {
    let registry = Registry::plain(Auth::Bearer);
    let layout = tempdir().expect("scratch");
    let source = Image::shop().write(layout.path());
    let refused = std::panic::catch_unwind(|| skopeo::push(&source, &registry, "forbidden/shop:1"));
    assert!(refused.is_err());
    assert_eq!(registry.stored(), 0);
    assert!(registry.tokens_asked().iter().any(|asked| asked.scopes.iter().any(|scope| scope.starts_with("repository:forbidden/shop:"))));
}

#[test]
fn buildah_builds_the_debian_image_and_runs_it() {
    let (buildah, layout) = (Buildah::new(), tempdir().expect("scratch"));
    let source = buildah.build(layout.path());
    let ran = buildah.run(&source);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().starts_with("shop in production\nshop.sh: OK\nconfig.yml: OK\nport: 8080\n"), "{}", ran.out());
    assert!(ran.out().contains("drwxr-xr-x 0:0 /srv/shop\n"), "{}", ran.out());
}

#[test]
fn the_daemon_builds_the_debian_image_and_saves_it() {
    let folder = tempdir().expect("scratch");
    let archive = folder.path().join("shop.tar");
    must(daemon().docker().args(["save", "--output"]).arg(&archive).arg(IMAGE));
    let ran = Buildah::new().run(&format!("docker-archive:{}", archive.display()));
    assert!(ran.out().starts_with("shop in production\nshop.sh: OK\n"), "{}", ran.all());
}

#[test]
fn the_thief_finds_what_lies_on_each_surface() {
    let secrets: Vec<String> = (1..=5).map(github_token).collect();
    let layout = tempdir().expect("scratch");
    let url = |secret: &str, host: &str| format!("https://ci:{secret}@{host}/acme/shop.git");
    let docker = format!(r#"{{"auths":{{"registry.example":{{"auth":"{}"}}}}}}"#, base64(&format!("ci:{}", secrets[4])));
    Image::shop()
        .layer("COPY git ./git", &[("app/git/credentials", &url(&secrets[0], "git.example"))])
        .layer("COPY .env .", &[("app/secrets/.env", &format!("MIRROR_URL={}\n", url(&secrets[1], "mirror.example")))])
        .layer("RUN rm -r secrets", &[("app/.wh.secrets", "")])
        .layer("COPY docker ./docker", &[("app/docker.json", &docker)])
        .env("RELEASE_REGISTRY_URL", "registry.example")
        .env("RELEASE_REGISTRY_USER", "ci")
        .env("RELEASE_REGISTRY_PASSWORD", &secrets[2])
        .step(&format!("RUN |1 TOKEN={} /bin/sh -c make # buildkit", secrets[3]))
        .write(layout.path());
    let found: BTreeSet<_> =
        thief::loot(layout.path()).into_iter().map(|loot| (loot.surface, loot.kind, loot.address, loot.user, loot.secret)).collect();
    let row = |surface: &str, kind: &str, address: &str, user: &str, secret: usize| {
        (surface.to_owned(), kind.to_owned(), address.to_owned(), user.to_owned(), secrets[secret].clone())
    };
    let expected = BTreeSet::from([
        row("file", "web", "https://git.example/acme/shop.git", "ci", 0),
        row("buried", "web", "https://mirror.example/acme/shop.git", "ci", 1),
        row("env", "registry", "registry.example", "ci", 2),
        row("history", "bearer", "registry.example", "", 3),
        row("file", "registry", "registry.example", "ci", 4),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn an_image_without_credentials_leaves_the_thief_with_nothing() {
    let layout = tempdir().expect("scratch");
    Image::shop().write(layout.path());
    assert_eq!(thief::loot(layout.path()), []);
}

#[test]
fn a_used_credential_is_seen_where_it_leads() {
    let registry = Registry::plain(Auth::Bearer);
    let loot = thief::Loot {
        surface: "file".to_owned(),
        place: "app/docker.json".to_owned(),
        kind: "registry".to_owned(),
        address: registry.host(),
        user: "mallory".to_owned(),
        secret: github_token(9),
    };
    assert_ne!(thief::use_it(&loot).code, 0);
    assert!(registry.tokens_asked().iter().any(|asked| asked.user.as_deref() == Some("mallory")));
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
