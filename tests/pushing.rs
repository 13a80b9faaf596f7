//! The way into a registry: whose credentials, over which road, what is sent and what is asked afterwards.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::common::command::{PATH, Ran, program, run};
use crate::common::honeycrate::{ENVIRONMENT, Honeycrate, list};
use crate::common::images::{Image, github_token};
use crate::common::proxy::Proxy;
use crate::common::registry::{Auth, PASSWORD, Registry, USER};
use crate::common::skopeo;

/// `push` to a registry, without a word on who we are.
fn push(honeycrate: &Honeycrate, source: &str, registry: &Registry) -> Command {
    let mut command = honeycrate.command(&["push", source, &registry.reference("acme/shop:1")]);
    match registry.ca() {
        Some(ca) => command.arg("--ca-file").arg(ca),
        None => command.args(["--plain-http", &registry.host()]),
    };
    command
}

#[test]
fn pushing_alone_looks_into_nothing_says_so_and_still_checks_every_digest() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let leak = format!("TOKEN={}\n", github_token(7));
    let source = Image::shop().layer("COPY .env ./ # buildkit", &[("app/.env", &leak)]).write(layout.path());
    let ran = run(&mut push(&honeycrate, &source, &registry));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().contains("not scanned: the image") && !ran.all().contains("github"), "{}", ran.all());
    assert!(ran.out().starts_with("– not scanned  ") && ran.out().contains("nobody looked into it"), "{}", ran.all());
    assert!(!ran.all().contains("passed") && !ran.all().contains('✔'), "{}", ran.all());

    let manifest: Value = serde_json::from_str(&skopeo::raw_manifest(&registry, "acme/shop:1")).expect("a manifest");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let blob = layout.path().join("blobs").join(digest.replace(':', "/"));
    let mut bytes = std::fs::read(&blob).expect("the layout's");
    bytes[20] ^= 1;
    std::fs::write(&blob, bytes).expect("the layout is writable");
    let ran = run(&mut push(&honeycrate, &source, &Registry::plain(Auth::None)));
    assert!(ran.code == 5 && ran.err().contains(digest), "{}", ran.all());
}

/// Every way in which somebody logs in; the registry does the judging.
#[test]
fn each_link_of_the_login_chain_opens_the_registry() {
    let layout = tempdir().expect("scratch");
    let source = Image::shop().write(layout.path());
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    type Way = fn(&Honeycrate, &mut Command, &str, &str);
    let ways: [(&str, Way); 9] = [
        ("password file", |own, command, _, _| {
            let file = own.home().join("password");
            std::fs::write(&file, format!("{PASSWORD}\n")).expect("the home is writable");
            command.args(["--username", USER, "--password-file"]).arg(file);
        }),
        ("own variables", |_, command, host, _| {
            command.env("HONEYCRATE_REGISTRY", host).env("HONEYCRATE_REGISTRY_USER", USER).env("HONEYCRATE_REGISTRY_PASSWORD", PASSWORD);
        }),
        ("docker config.json", |own, _, host, pair| config(own, &json!({ "auths": { host: { "auth": pair } } }))),
        ("DOCKER_CONFIG", |own, command, host, pair| {
            let folder = own.home().join("elsewhere");
            std::fs::create_dir(&folder).expect("the home is writable");
            std::fs::write(folder.join("config.json"), json!({ "auths": { host: { "auth": pair } } }).to_string()).expect("the home is writable");
            command.env("DOCKER_CONFIG", folder);
        }),
        ("credHelpers", |own, command, host, _| {
            config(own, &json!({ "credHelpers": { host: "fake" } }));
            helper(own, command);
        }),
        ("credsStore", |own, command, host, _| {
            config(own, &json!({ "auths": { host: {} }, "credsStore": "fake" }));
            helper(own, command);
        }),
        ("DOCKER_AUTH_CONFIG", |_, command, host, pair| {
            command.env("DOCKER_AUTH_CONFIG", json!({ "auths": { host: { "auth": pair } } }).to_string());
        }),
        ("podman's auth.json", |own, command, host, pair| {
            let file = own.home().join("auth.json");
            std::fs::write(&file, json!({ "auths": { format!("{host}/acme"): { "auth": pair } } }).to_string()).expect("the home is writable");
            command.env("REGISTRY_AUTH_FILE", file);
        }),
        ("GitLab's variables", |_, command, host, _| {
            command.env("CI_REGISTRY", host).env("CI_REGISTRY_USER", USER).env("CI_REGISTRY_PASSWORD", PASSWORD);
        }),
    ];
    for registry in [Registry::plain(Auth::Basic), Registry::plain(Auth::Bearer)] {
        for (name, way) in &ways {
            let honeycrate = Honeycrate::stranger();
            let mut command = push(&honeycrate, &source, &registry);
            way(&honeycrate, &mut command, &registry.host(), &pair);
            let ran = run(&mut command);
            assert_eq!(ran.code, 0, "{name}: {}", ran.all());
            assert!(!ran.all().contains(PASSWORD), "{name}: the password is told");
        }
        // What belongs to others is not tried here.
        let honeycrate = Honeycrate::stranger();
        let mut command = push(&honeycrate, &source, &registry);
        command.env("GITHUB_ACTOR", USER).env("GITHUB_TOKEN", PASSWORD).env("CI_REGISTRY", "registry.example.com");
        command.env("CI_REGISTRY_USER", USER).env("CI_REGISTRY_PASSWORD", PASSWORD);
        let ran = run(&mut command);
        assert_eq!(ran.code, 5, "{}", ran.all());
    }
}

fn config(own: &Honeycrate, document: &Value) {
    let folder = own.home().join(".docker");
    std::fs::create_dir(&folder).expect("the home is writable");
    std::fs::write(folder.join("config.json"), document.to_string()).expect("the home is writable");
}

/// A credential helper as Docker's are: the server's name comes in on stdin.
fn helper(own: &Honeycrate, command: &mut Command) {
    let folder = own.home().join("bin");
    std::fs::create_dir(&folder).expect("the home is writable");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = get ] || exit 1\nread -r server\nprintf '{{\"ServerURL\":\"%s\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}' \"$server\"\n"
    );
    let path = folder.join("docker-credential-fake");
    std::fs::write(&path, script).expect("the home is writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the file is ours");
    command.env("PATH", format!("{}:{PATH}", folder.display()));
}

#[test]
fn github_variables_open_ghcr_through_a_proxy_and_nothing_else() {
    let (registry, layout) = (Registry::secure(Auth::Basic), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let proxy = Proxy::start(registry.port());
    let to_ghcr = |actor: &str| {
        let honeycrate = Honeycrate::stranger();
        let mut command = honeycrate.command(&["push", &source, "ghcr.io/acme/shop:1"]);
        command.env("HTTPS_PROXY", proxy.url()).env("SSL_CERT_FILE", registry.ca().expect("a CA"));
        command.env("GITHUB_ACTOR", actor).env("GITHUB_TOKEN", PASSWORD);
        run(&mut command)
    };
    let ran = to_ghcr(USER);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(!proxy.asked().is_empty() && proxy.asked().iter().all(|line| line == "CONNECT ghcr.io:443 HTTP/1.1"), "{:?}", proxy.asked());
    assert!(registry.writes().iter().any(|request| request.path == "/v2/acme/shop/manifests/1" && request.status == 201));
    let stranger = to_ghcr("somebody");
    assert!(stranger.code == 5 && stranger.err().contains("GITHUB_ACTOR"), "{}", stranger.all());
}

#[test]
fn plain_http_goes_through_its_proxy_but_for_the_hosts_that_are_left_out() {
    let (registry, layout) = (Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let proxy = Proxy::start(registry.port());
    let host = "registry.acme.test:5000";
    let away = |exempt: &str| {
        let honeycrate = Honeycrate::stranger();
        let mut command = honeycrate.command(&["push", &source, &format!("{host}/acme/shop:1"), "--plain-http", host]);
        run(command.env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url()).env("NO_PROXY", exempt))
    };
    let ran = away("");
    assert_eq!(ran.code, 0, "{}", ran.all());
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|line| line.contains(" http://registry.acme.test:5000/v2/")), "{asked:?}");
    let ran = away("acme.test");
    assert_eq!(ran.code, 5, "{}", ran.all());
    // And what lies on this machine is never asked of a proxy.
    let honeycrate = Honeycrate::stranger();
    let ran = run(push(&honeycrate, &source, &registry).env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url()));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(proxy.asked(), asked);
}

#[test]
fn dockers_folder_of_certificates_holds_authority_and_own_certificate() {
    let (registry, layout) = (Registry::mutual(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let trust = registry.ca().and_then(Path::parent).expect("a folder");
    let attempt = |files: &[&str]| -> Ran {
        let honeycrate = Honeycrate::stranger();
        let folder = honeycrate.home().join(".config/docker/certs.d").join(registry.host());
        std::fs::create_dir_all(&folder).expect("the home is writable");
        for file in files {
            std::fs::copy(trust.join(file), folder.join(file)).expect("the home is writable");
        }
        run(&mut honeycrate.command(&["push", &source, &registry.reference("acme/shop:1")]))
    };
    let ran = attempt(&["ca.crt"]);
    assert!(ran.code == 5 && ran.err().contains(&registry.host()), "without a certificate of our own: {}", ran.all());
    let ran = attempt(&["client.cert", "client.key"]);
    assert_eq!(ran.code, 5, "without the authority: {}", ran.all());
    assert_eq!(registry.stored(), 0);
    let ran = attempt(&["ca.crt", "client.cert", "client.key"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let pulled = tempdir().expect("scratch");
    skopeo::pull(&registry, "acme/shop:1", pulled.path());
}

#[test]
fn an_authority_is_taken_from_each_place_that_names_one() {
    let (registry, layout) = (Registry::secure(Auth::None), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let ca = registry.ca().expect("a CA").to_owned();
    let config = format!("registry: {{ ca-file: {} }}\n", ca.display());
    for variable in ["SSL_CERT_FILE", "HONEYCRATE_CA_FILE", ""] {
        let honeycrate = Honeycrate::stranger();
        let mut command = honeycrate.command(&["push", &source, &registry.reference("acme/shop:1")]);
        if variable.is_empty() {
            std::fs::write(honeycrate.home().join("honeycrate.yaml"), &config).expect("the home is writable");
        } else {
            command.env(variable, &ca);
        }
        let ran = run(&mut command);
        assert_eq!(ran.code, 0, "{variable}: {}", ran.all());
    }
}

#[test]
fn blobs_of_a_neighbouring_repository_are_mounted_and_all_are_asked_for_afterwards() {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::Bearer), tempdir().expect("scratch"));
    skopeo::push(&Image::shop().write(layout.path()), &registry, "build/shop:1");
    let before = registry.requests().len();
    let shipped = honeycrate.reported(&mut honeycrate.ship(&format!("docker://{}", registry.reference("build/shop:1")), &registry, "acme/shop:1"));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let requests = registry.requests().split_off(before);
    let mounted = requests.iter().filter(|request| request.method == "POST" && request.path.contains("mount=sha256") && request.status == 201);
    assert_eq!(mounted.count(), 5, "each layer of the build: {requests:#?}");
    let uploaded = requests.iter().filter(|request| request.method == "PUT" && request.path.contains("/blobs/uploads/") && request.status == 201);
    let manifest: Value = serde_json::from_str(&skopeo::raw_manifest(&registry, "acme/shop:1")).expect("JSON");
    let new = list(&manifest, "layers").len() - 5;
    assert!(new >= 2, "a file and a buried one: {manifest}");
    assert_eq!(uploaded.count(), new + 1, "the layers with bait and the config");
    let scopes: Vec<String> = registry.tokens_asked().into_iter().flat_map(|asked| asked.scopes).collect();
    assert!(scopes.iter().any(|scope| scope == "repository:build/shop:pull"), "{scopes:?}");

    let tagged = requests.iter().position(|request| request.method == "PUT" && request.path == "/v2/acme/shop/manifests/1").expect("a tag");
    let afterwards: BTreeSet<&str> = requests[tagged..].iter().filter(|request| request.status == 200).map(|request| &*request.path).collect();
    let digest = shipped.report["pushed"][0]["digest"].as_str().expect("a digest");
    assert!(afterwards.contains(&*format!("/v2/acme/shop/manifests/{digest}")), "{afterwards:?}");
    for blob in list(&manifest, "layers").iter().chain([&manifest["config"]]) {
        let path = format!("/v2/acme/shop/blobs/{}", blob["digest"].as_str().expect("a digest"));
        assert!(afterwards.contains(&*path), "{path} is not confirmed: {afterwards:?}");
    }
}

/// A root folder with the program, an image and an authority, a name server's address, and nothing else.
fn jail(ca: &Path, server: &str) -> TempDir {
    let jail = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable");
    let at = |name: &str| jail.path().join(name);
    std::fs::hard_link(env!("CARGO_BIN_EXE_honeycrate"), at("honeycrate")).expect("it is the same file system");
    for folder in ["tmp", "etc", "image"] {
        std::fs::create_dir(at(folder)).expect("the folder is writable");
    }
    Image::shop().write(&at("image"));
    std::fs::copy(ca, at("ca.crt")).expect("the folder is writable");
    std::fs::write(at("etc/resolv.conf"), format!("nameserver {server}\n")).expect("the folder is writable");
    jail
}

/// Answers every question for an address with this machine's; gives the address that it listens on.
fn name_server() -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = format!("127.{}.{low}.253", high.max(1));
    let socket = UdpSocket::bind((&*address, 53)).expect("root may have port 53");
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((size, client)) = socket.recv_from(&mut question) {
            // The question ends after its name (labels up to an empty one), type and class; EDNS records after it are left out.
            let mut end = 12;
            while question[end] != 0 {
                end += usize::from(question[end]) + 1;
            }
            let is_a = question[end + 1..end + 3] == [0, 1];
            let mut answer = question[..(end + 5).min(size)].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, client);
        }
    });
    address
}

#[test]
fn in_an_empty_root_names_are_resolved_and_an_image_is_pushed_over_tls() {
    let registry = Registry::secure(Auth::None);
    let jail = jail(registry.ca().expect("a CA"), &name_server());
    let push = |host: &str, more: &[&str]| {
        let target = format!("{host}:{}/acme/shop:1", registry.port());
        run(program("chroot", Path::new("/")).arg(jail.path()).args(["/honeycrate", "push", "oci:/image:latest", &target]).args(more))
    };
    for host in ["localhost", "registry.acme.test"] {
        let ran = push(host, &["--ca-file", "/ca.crt"]);
        assert_eq!(ran.code, 0, "{host}: {}", ran.all());
    }
    // Without an authority of the system or the user, the embedded ones are asked, and do not know ours.
    let ran = push("registry.acme.test", &[]);
    assert!(ran.code == 5 && ran.err().to_lowercase().contains("certificate"), "{}", ran.all());
}

#[test]
fn a_registry_that_needs_an_explicit_word_for_plain_http_gets_none() {
    let (honeycrate, layout) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    let proxy = Proxy::start(9);
    let mut command = honeycrate.command(&["ship", &source, "--to", "registry.acme.test:5000/acme/shop:1", "--env", ENVIRONMENT]);
    command.args(["--decoy", "decoy.acme.io"]).env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url()).env("HTTPS_PROXY", proxy.url());
    let ran = run(&mut command);
    assert_eq!(ran.code, 5, "{}", ran.all());
    assert!(proxy.asked().iter().all(|line| line.starts_with("CONNECT ")), "{:?}", proxy.asked());
}
