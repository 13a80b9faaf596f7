//! Images in every form that builders and daemons save them in: each is read in place, shipped, and found again by the thief.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::common::command::{must, program, run, run_with_input};
use crate::common::daemon::{IMAGE, daemon};
use crate::common::honeycrate::{Honeycrate, holds, list};
use crate::common::images::{Image, Packing, digest, github_token, write_index, write_platforms};
use crate::common::registry::{Auth, Registry};
use crate::common::tar::Archive;
use crate::common::{skopeo, thief};

const SURFACES: [&str; 4] = ["buried", "env", "file", "history"];
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a real daemon saved, taken apart.
struct Saved {
    config: Vec<u8>,
    layers: Vec<Vec<u8>>,
}

/// A save in the making: documents and blobs by their names.
#[derive(Default)]
struct Save(BTreeMap<String, Vec<u8>>);

impl Saved {
    fn by_the_daemon() -> Self {
        let folder = tempdir().expect("scratch");
        let archive = folder.path().join("save.tar");
        must(daemon().docker().args(["save", "--output"]).arg(&archive).arg(IMAGE));
        let unpacked = folder.path().join("unpacked");
        std::fs::create_dir(&unpacked).expect("the folder is writable");
        must(program("tar", folder.path()).arg("-xf").arg(&archive).arg("-C").arg(&unpacked));
        let read = |name: &Value| std::fs::read(unpacked.join(name.as_str().expect("a name"))).expect("it was saved");
        let manifest: Value = serde_json::from_slice(&read(&json!("manifest.json"))).expect("JSON");
        Self { config: read(&manifest[0]["Config"]), layers: list(&manifest[0], "Layers").iter().map(read).collect() }
    }
}

impl Save {
    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        self.0.insert(blob_name(&digest), bytes.to_owned());
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    fn document(&mut self, name: &str, document: &Value) {
        self.0.insert(name.to_owned(), document.to_string().into_bytes());
    }

    /// Config, layers and manifest; gives the manifest's line for an index, and what `manifest.json` says of it.
    fn image(&mut self, saved: &Saved, packing: Packing) -> (Value, Value) {
        let kind = if packing == Packing::Plain { "application/vnd.oci.image.layer.v1.tar" } else { "application/vnd.oci.image.layer.v1.tar+gzip" };
        let layers: Vec<Value> = saved.layers.iter().map(|layer| self.blob(kind, &packing.pack(layer))).collect();
        let config = self.blob("application/vnd.oci.image.config.v1+json", &saved.config);
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
        let mut line = self.blob(OCI_MANIFEST, manifest.to_string().as_bytes());
        line["platform"] = json!({ "architecture": "amd64", "os": "linux" });
        let name = |blob: &Value| blob_name(blob["digest"].as_str().expect("a digest"));
        let docker = json!([{ "Config": name(&config), "RepoTags": ["shop:latest"], "Layers": layers.iter().map(name).collect::<Vec<_>>() }]);
        (line, docker)
    }

    /// The names that Docker gives to the first line of `index.json`.
    fn finish(mut self, mut line: Value, docker: Option<&Value>, path: &Path) {
        line["annotations"] = json!({ "io.containerd.image.name": "docker.io/library/shop:latest", "org.opencontainers.image.ref.name": "latest" });
        self.document("index.json", &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [line] }));
        self.document("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }));
        if let Some(docker) = docker {
            self.document("manifest.json", docker);
        }
        self.write(path);
    }

    fn write(self, path: &Path) {
        let mut archive = Archive::default();
        archive.folder("blobs");
        archive.folder("blobs/sha256");
        for (name, bytes) in self.0 {
            archive.file(&name, &bytes);
        }
        std::fs::write(path, archive.finish()).expect("the folder is writable");
    }
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// Ships a source and lets the thief search what arrived; gives the manifest or index that did.
fn arrives(source: &str, what: &str) -> (Value, TempDir) {
    let (honeycrate, registry, layout) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let shipped = honeycrate.reported(&mut honeycrate.ship(source, &registry, "acme/shop:1"));
    assert_eq!(shipped.ran.code, 0, "{what}: {}", shipped.ran.all());
    skopeo::pull(&registry, "acme/shop:1", layout.path());
    unpack_zstd(layout.path());
    let found: BTreeSet<String> = thief::loot(layout.path()).into_iter().map(|loot| loot.surface).collect();
    assert_eq!(found, SURFACES.map(str::to_owned).into(), "{what}");
    (serde_json::from_str(&skopeo::raw_manifest(&registry, "acme/shop:1")).expect("JSON"), layout)
}

/// Layers that Python's tarfile cannot read are unpacked where they lie.
fn unpack_zstd(layout: &Path) {
    for entry in std::fs::read_dir(layout.join("blobs/sha256")).expect("a layout") {
        let path = entry.expect("readable").path();
        let bytes = std::fs::read(&path).expect("a blob");
        if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            std::fs::write(path, zstd::decode_all(&bytes[..]).expect("a zstd frame")).expect("the layout is writable");
        }
    }
}

#[test]
fn what_daemons_of_all_ages_save_is_read() {
    let (saved, folder) = (Saved::by_the_daemon(), tempdir().expect("scratch"));
    let at = |name: &str| folder.path().join(name);

    // Docker 25 and later, graph drivers: a layout with unpacked layers, and manifest.json beside it.
    let mut save = Save::default();
    let (line, docker) = save.image(&saved, Packing::Plain);
    save.finish(line, Some(&docker), &at("docker-25"));

    // moby 47210: the index names nothing, and only manifest.json leads to the image.
    let mut save = Save::default();
    let (_, docker) = save.image(&saved, Packing::Plain);
    save.document("index.json", &json!({ "schemaVersion": 2, "manifests": null }));
    save.document("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }));
    save.document("manifest.json", &docker);
    save.write(&at("docker-null"));

    // The containerd store: an index as it was pulled, of whose images and attestations only this platform's are there.
    for (name, both) in [("containerd", false), ("containerd-both", true)] {
        let mut save = Save::default();
        let (line, docker) = save.image(&saved, Packing::Gzip);
        let absent = json!({ "mediaType": OCI_MANIFEST, "digest": digest(b"never pulled"), "size": 12, "platform": { "architecture": "arm64", "os": "linux" } });
        let statement = save.blob("application/vnd.in-toto+json", br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#);
        let config = save.blob(
            "application/vnd.oci.image.config.v1+json",
            br#"{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#,
        );
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [statement] });
        let mut attestation = save.blob(OCI_MANIFEST, manifest.to_string().as_bytes());
        attestation["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
        attestation["annotations"] = json!({ "vnd.docker.reference.digest": line["digest"], "vnd.docker.reference.type": "attestation-manifest" });
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [line, absent, attestation] });
        let nested = save.blob(OCI_INDEX, index.to_string().as_bytes());
        save.finish(nested, both.then_some(&docker), &at(name));
    }

    for name in ["docker-25", "docker-null", "containerd", "containerd-both"] {
        let source = format!("docker-archive:{}", at(name).display());
        let (arrived, _layout) = arrives(&source, name);
        assert!((2..=4).contains(&(list(&arrived, "layers").len() - saved.layers.len())), "{name}: {arrived}");
    }
    // The same through a pipe, as `docker save` gives it.
    let (honeycrate, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let bytes = std::fs::read(at("containerd")).expect("a save");
    let ran = run_with_input(&mut honeycrate.ship("docker-archive:-", &registry, "acme/shop:1"), &bytes);
    assert_eq!(ran.code, 0, "{}", ran.all());
}

#[test]
fn what_podman_buildah_and_skopeo_save_is_read() {
    let (layout, folder) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = Image::shop().write(layout.path());
    for (transport, name) in [("docker-archive", "acme/shop:1"), ("oci-archive", "latest")] {
        let path = folder.path().join(transport).display().to_string();
        skopeo::copy(&source, &format!("{transport}:{path}:{name}"));
        arrives(&format!("{transport}:{path}"), transport);
        arrives(&format!("{transport}:{path}:{name}"), transport);
        let packed = run(program("gzip", folder.path()).args(["-c", &path]));
        std::fs::write(format!("{path}.gz"), packed.stdout).expect("the folder is writable");
        arrives(&format!("{transport}:{path}.gz"), "an archive that was packed as a whole");
    }
}

#[test]
fn layers_are_read_and_left_in_every_packing() {
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let layout = tempdir().expect("scratch");
        let (arrived, _pulled) = arrives(&Image::shop().packing(packing).write(layout.path()), &format!("{packing:?}"));
        let built: Value = serde_json::from_slice(&std::fs::read(layout.path().join("index.json")).expect("a layout")).expect("JSON");
        let built = std::fs::read(layout.path().join(blob_name(built["manifests"][0]["digest"].as_str().expect("a digest")))).expect("a manifest");
        let built: Value = serde_json::from_slice(&built).expect("JSON");
        assert!(holds(list(&arrived, "layers"), list(&built, "layers")), "{packing:?}: {arrived}");

        let (leaky, secret) = (tempdir().expect("scratch"), github_token(31));
        let source = Image::shop().packing(packing).layer("COPY .env .", &[("app/.env", &secret)]).write(leaky.path());
        let honeycrate = Honeycrate::stranger();
        let scanned = honeycrate.reported(&mut honeycrate.command(&["scan", &source]));
        assert_eq!((scanned.ran.code, list(&scanned.report, "findings").len()), (1, 1), "{packing:?}: {}", scanned.ran.all());
    }
    // What skopeo repacks is what skopeo makes, not what we do.
    let (layout, repacked) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let target = format!("oci:{}:latest", repacked.path().display());
    must(
        program("skopeo", layout.path())
            .args(["--insecure-policy", "copy", "--quiet", "--dest-compress-format", "zstd"])
            .args([&Image::shop().packing(Packing::Plain).write(layout.path()), &target]),
    );
    let (arrived, _pulled) = arrives(&target, "repacked by skopeo");
    assert!(list(&arrived, "layers")[0]["mediaType"].as_str().is_some_and(|kind| kind.ends_with("+zstd")), "{arrived}");
}

#[test]
fn dockers_own_manifests_and_lists_keep_their_family() {
    let (registry, built, single) = (Registry::plain(Auth::None), tempdir().expect("scratch"), tempdir().expect("scratch"));
    let index = write_platforms(built.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
    let image = Image::shop().write(single.path());
    for (source, name) in [(&index, "build/list:1"), (&image, "build/image:1")] {
        let target = format!("docker://{}", registry.reference(name));
        let options = ["--insecure-policy", "copy", "--quiet", "--all", "--format", "v2s2", "--dest-tls-verify=false"];
        must(program("skopeo", built.path()).args(options).args([source, &target]));
    }
    let expected = [
        ("build/list:1", "application/vnd.docker.distribution.manifest.list.v2+json"),
        ("build/image:1", "application/vnd.docker.distribution.manifest.v2+json"),
    ];
    for (name, kind) in expected {
        let honeycrate = Honeycrate::new();
        let target = format!("{name}-planted");
        let shipped = honeycrate.reported(&mut honeycrate.ship(&format!("docker://{}", registry.reference(name)), &registry, &target));
        assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
        let arrived: Value = serde_json::from_str(&skopeo::raw_manifest(&registry, &target)).expect("JSON");
        assert_eq!(arrived["mediaType"], kind);
        for child in list(&arrived, "manifests") {
            assert_eq!(child["mediaType"], expected[1].1);
        }
        for layer in list(&arrived, "layers") {
            assert_eq!(layer["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
        }
        let placements = list(&shipped.report, "placements").len();
        assert_eq!(placements, if name == "build/list:1" { 8 } else { 4 }, "{}", shipped.report["placements"]);
    }
}

#[test]
fn every_platform_of_a_registrys_index_is_read() {
    let (registry, built) = (Registry::plain(Auth::Bearer), tempdir().expect("scratch"));
    let secret = github_token(32);
    let source = write_index(built.path(), &[Image::shop(), Image::shop().architecture("arm64").env("GITHUB", &secret)]);
    skopeo::push(&source, &registry, "build/shop:1");
    let honeycrate = Honeycrate::stranger();
    let mut command = honeycrate.command(&["scan", &format!("docker://{}", registry.reference("build/shop:1"))]);
    honeycrate.access(&mut command, &registry);
    let scanned = honeycrate.reported(&mut command);
    assert_eq!(scanned.ran.code, 1, "{}", scanned.ran.all());
    let platforms: Vec<&str> = list(&scanned.report["source"], "platforms").iter().filter_map(|row| row["platform"].as_str()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert!(list(&scanned.report, "findings").iter().all(|finding| finding["platforms"] == json!(["linux/arm64"])), "{}", scanned.report);
}

/// A Docker Engine that knows one image, and how many bytes of its save it sends before it hangs up. It takes its time to begin.
fn engine(folder: &Path, save: Vec<u8>, sent: usize) -> String {
    let path = folder.join("engine.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-tar\r\ntransfer-encoding: chunked\r\n\r\n").expect("a client");
            std::thread::sleep(Duration::from_secs(1));
            for piece in save[..sent].chunks(30_000) {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                stream.write_all(&chunk).expect("a client that reads");
            }
            if sent == save.len() {
                stream.write_all(b"0\r\n\r\n").expect("a client that reads");
            }
        }
    });
    format!("unix://{}", path.display())
}

#[test]
fn a_daemons_image_arrives_as_skopeo_brings_it() {
    let (honeycrate, registry) = (Honeycrate::stranger(), Registry::plain(Auth::None));
    let (ours, theirs) = (tempdir().expect("scratch"), tempdir().expect("scratch"));
    let source = format!("docker-daemon:{IMAGE}");
    let mut command = honeycrate.command(&["push", &source, &registry.reference("acme/ours:1"), "--plain-http", &registry.host()]);
    let ran = run(command.env("DOCKER_HOST", daemon().host()));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let target = format!("docker://{}", registry.reference("acme/theirs:1"));
    let options = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--src-daemon-host", &daemon().host()];
    must(program("skopeo", theirs.path()).args(options).args([&source, &target]));

    let [our_manifest, their_manifest]: [Value; 2] =
        ["acme/ours:1", "acme/theirs:1"].map(|name| serde_json::from_str(&skopeo::raw_manifest(&registry, name)).expect("a manifest is JSON"));
    assert_eq!(our_manifest["config"], their_manifest["config"]);
    assert_eq!(our_manifest["mediaType"], their_manifest["mediaType"]);
    let unpacked = |name: &str, manifest: &Value, layout: &Path| -> Vec<String> {
        skopeo::pull(&registry, name, layout);
        let layers = list(manifest, "layers").iter().map(|layer| layer["digest"].as_str().expect("a digest"));
        // A reader of one gzip member and no more, and gzip itself, which reads them all.
        let unpack = |digest: &str| {
            let path = layout.join(blob_name(digest));
            let (mut first, packed) = (Vec::new(), std::fs::read(&path).expect("it was pulled"));
            flate2::bufread::GzDecoder::new(&packed[..]).read_to_end(&mut first).expect("gzip");
            let all = run(program("gzip", layout).arg("-dc").arg(&path));
            assert!(all.code == 0 && all.stdout == first, "{name}: {digest}");
            crate::common::images::digest(&first)
        };
        layers.map(unpack).collect()
    };
    let diff_ids: Vec<String> =
        list(&skopeo::config(&registry, "acme/ours:1")["rootfs"], "diff_ids").iter().map(|id| id.as_str().expect("a digest").to_owned()).collect();
    assert!(!diff_ids.is_empty());
    assert_eq!(unpacked("acme/ours:1", &our_manifest, ours.path()), diff_ids);
    assert_eq!(unpacked("acme/theirs:1", &their_manifest, theirs.path()), diff_ids);
}

#[test]
fn a_daemon_that_breaks_off_leaves_nothing_behind() {
    let folder = tempdir().expect("scratch");
    let archive = folder.path().join("save.tar");
    must(daemon().docker().args(["save", "--output"]).arg(&archive).arg(IMAGE));
    let save = std::fs::read(&archive).expect("it was saved");
    for (sent, code) in [(0, 3), (save.len() / 2, 3), (save.len() - 1, 3), (save.len(), 0)] {
        let (honeycrate, registry, socket) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
        let scratch = socket.path().join("scratch");
        std::fs::create_dir(&scratch).expect("the folder is writable");
        let mut command = honeycrate.ship(&format!("docker-daemon:{IMAGE}"), &registry, "acme/shop:1");
        let ran = run(command.env("DOCKER_HOST", engine(socket.path(), save.clone(), sent)).env("TMPDIR", &scratch));
        assert_eq!(ran.code, code, "{sent} of {} bytes: {}", save.len(), ran.all());
        assert_eq!(std::fs::read_dir(&scratch).expect("a folder").count(), 0, "{sent}");
        if code != 0 {
            assert!(ran.all().contains("broke off in the middle"), "{}", ran.all());
            assert_eq!((registry.writes().len(), registry.stored()), (0, 0), "{sent}");
            assert!(!honeycrate.ledger_path().exists() || honeycrate.records().is_empty(), "{sent}");
        }
    }
}
