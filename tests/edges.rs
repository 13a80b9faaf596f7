//! Planting at the edges: images of every odd shape that builders leave, and what refers to them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::common::buildah::Buildah;
use crate::common::command::{Ran, must, program, run};
use crate::common::daemon::daemon;
use crate::common::honeycrate::{Honeycrate, Reported, list};
use crate::common::images::{CREATED, Image, Packing, blob, digest, write_index, write_platforms};
use crate::common::registry::{Auth, Registry};
use crate::common::tar::Archive;
use crate::common::{skopeo, thief};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// `plant SOURCE --out TARGET`, with a report.
fn plant(honeycrate: &Honeycrate, source: &str, target: &str) -> Reported {
    let mut command = honeycrate.command(&["plant", source, "--out", target, "--env", "production", "--service", "acme/shop"]);
    command.args(["--decoy", "decoy.acme.io"]).env("DOCKER_HOST", daemon().host());
    honeycrate.reported(&mut command)
}

/// An OCI layout in which every text is given.
struct Layout(TempDir);

impl Layout {
    fn new() -> Self {
        Self(tempdir().expect("scratch"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A gzip layer of one file, and its diffID.
    fn layer(&self, path: &str, text: &str) -> (Value, String) {
        let mut archive = Archive::default();
        archive.file(path, text.as_bytes());
        let tar = archive.finish();
        (blob(self.path(), LAYER, &Packing::Gzip.pack(&tar)), digest(&tar))
    }

    /// A manifest over a config and layers, which are JSON texts.
    fn image(&self, config: &str, layers: &[String], more: &str) -> Value {
        let config = blob(self.path(), CONFIG, config.as_bytes());
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{}]{more}}}"#, layers.join(","));
        blob(self.path(), MANIFEST, text.as_bytes())
    }

    /// Tags a manifest or index as `latest`; gives the source to name it by.
    fn tag(&self, descriptor: &Value) -> String {
        let mut line = descriptor.clone();
        line["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        let index = json!({ "schemaVersion": 2, "manifests": [line] }).to_string();
        std::fs::write(self.path().join("index.json"), index).expect("the folder is writable");
        std::fs::write(self.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the folder is writable");
        format!("oci:{}:latest", self.path().display())
    }

    fn text(&self, descriptor: &Value) -> String {
        let path = format!("blobs/{}", descriptor["digest"].as_str().expect("a digest").replace(':', "/"));
        std::fs::read_to_string(self.path().join(path)).expect("a blob")
    }

    /// What `latest` leads to, as text.
    fn root(&self) -> String {
        let index: Value = serde_json::from_str(&std::fs::read_to_string(self.path().join("index.json")).expect("a layout")).expect("JSON");
        self.text(&index["manifests"][0])
    }

    fn target(&self) -> String {
        format!("oci:{}:latest", self.path().display())
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn surfaces(report: &Value) -> Vec<&str> {
    list(report, "placements").iter().filter_map(|placement| placement["surface"].as_str()).collect()
}

#[test]
fn configs_that_leave_things_out_are_planted_and_docker_and_buildah_take_them() {
    let layout = Layout::new();
    let (layer, diff_id) = layout.layer("app/shop", "a static binary");
    let step = format!(r#"{{"created":"{CREATED}","created_by":"COPY shop /app/shop # buildkit","comment":"buildkit.dockerfile.v0"}}"#);
    let rootfs = format!(r#""rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}"#);
    let head = r#""architecture":"amd64","os":"linux""#;
    let (one, none) = (vec![layer.to_string()], Vec::new());
    let rows = [
        ("no history", format!(r#"{{{head},"created":"{CREATED}","config":{{"Entrypoint":["/app/shop"]}},{rootfs}}}"#), &one),
        ("history null", format!(r#"{{{head},"created":"{CREATED}","config":{{"Env":null,"Labels":null}},"history":null,{rootfs}}}"#), &one),
        ("a run section that is empty", format!(r#"{{{head},"config":{{}},"history":[{step}],{rootfs}}}"#), &one),
        ("no run section", format!(r#"{{{head},"history":[{step}],{rootfs}}}"#), &one),
        ("history of fewer steps than layers", format!(r#"{{{head},"created":"{CREATED}","config":{{}},"history":[],{rootfs}}}"#), &one),
        ("no layers", format!(r#"{{{head},"created":"{CREATED}","config":{{"Env":["A=1"]}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#), &none),
        ("another user", format!(r#"{{{head},"created":"{CREATED}","config":{{"User":"65532:65532"}},"history":[{step}],{rootfs}}}"#), &one),
    ];
    let (honeycrate, buildah) = (Honeycrate::new(), Buildah::new());
    for (number, (name, config, layers)) in rows.iter().enumerate() {
        let source = layout.tag(&layout.image(config, layers, ""));
        let planted = Layout::new();
        let ran = plant(&honeycrate, &source, &planted.target());
        assert_eq!(ran.ran.code, 0, "{name}: {}", ran.ran.all());
        let manifest = parse(&planted.root());
        let after = parse(&planted.text(&manifest["config"]));
        let counted = after["history"].as_array().map(|steps| steps.iter().filter(|step| step["empty_layer"] != true).count());
        match name.contains("history") || layers.is_empty() {
            true => assert_eq!(after["history"], parse(config)["history"], "{name}"),
            false => assert_eq!(counted, Some(list(&manifest, "layers").len()), "{name}: {after}"),
        }
        assert!(surfaces(&ran.report).contains(&"file"), "{name}: {}", ran.report["placements"]);
        assert_eq!(list(&manifest, "layers").len(), list(&after["rootfs"], "diff_ids").len(), "{name}");
        // The tools that people run images with take it.
        let tag = format!("edges:{number}");
        let ran = plant(&honeycrate, &source, &format!("docker-daemon:{tag}"));
        assert_eq!(ran.ran.code, 0, "{name}: {}", ran.ran.all());
        let inspected = parse(&must(daemon().docker().args(["image", "inspect", &tag])));
        let variables = list(&inspected[0]["Config"], "Env");
        assert_eq!(Value::from(variables), after["config"]["Env"], "{name}");
        must(daemon().docker().args(["create", "--name", &format!("edges-{number}"), &tag, "/app/shop"]));
        buildah.load(&planted.target());
    }
}

#[test]
fn dockers_limit_of_layers_is_kept_and_what_does_not_fit_is_told() {
    let honeycrate = Honeycrate::new();
    let image = |layers: usize| {
        (0..layers)
            .fold(Image::new(), |image, number| image.layer(&format!("RUN /bin/sh -c touch {number} # buildkit"), &[(&format!("app/{number}"), "x")]))
    };
    for (layers, expected) in [(124, vec!["file", "env", "history"]), (125, vec!["env", "history"])] {
        let folder = tempdir().expect("scratch");
        let ran = plant(&honeycrate, &image(layers).write(folder.path()), &format!("docker-daemon:many:{layers}"));
        assert_eq!(ran.ran.code, 0, "{}", ran.ran.all());
        let mut planted = surfaces(&ran.report);
        planted.sort_by_key(|surface| ["file", "env", "history"].iter().position(|other| other == surface));
        assert_eq!(planted, expected);
        assert!(ran.ran.out().contains("Docker mounts 125 at most"), "{}", ran.ran.all());
        must(daemon().docker().args(["create", &format!("many:{layers}")]));
    }
    // One more is what the daemon itself refuses.
    let folder = tempdir().expect("scratch");
    let archive = folder.path().join("many.tar");
    skopeo::copy(&image(126).write(&folder.path().join("layout")), &format!("docker-archive:{}:many:126", archive.display()));
    let refused = run(daemon().docker().args(["load", "--input"]).arg(&archive));
    assert!(refused.code != 0 && refused.all().contains("max depth exceeded"), "{}", refused.all());
    // Who names a place is told that it cannot be.
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "plant:\n  file: { path: /opt/old.json }\n").expect("the home is writable");
    let folder = tempdir().expect("scratch");
    let ran = plant(&honeycrate, &image(125).write(folder.path()), &format!("oci:{}:latest", folder.path().join("out").display())).ran;
    assert!(ran.code == 4 && ran.err().contains("this takes 1 more") && ran.err().contains("fewer layers"), "{}", ran.all());
}

#[test]
fn a_windows_image_takes_variables_and_history_and_says_why_no_files() {
    let layout = Layout::new();
    let (layer, diff_id) = layout.layer("Files/shop.exe", "MZ");
    let config = format!(
        r#"{{"architecture":"amd64","os":"windows","os.version":"10.0.20348.2529","created":"{CREATED}","config":{{"Env":["A=1"],"ArgsEscaped":true}},"history":[{{"created":"{CREATED}","created_by":"cmd /S /C #(nop) COPY file:00ff in C:\\shop.exe "}},{{"created":"{CREATED}","created_by":"cmd /S /C #(nop)  ENV A=1","empty_layer":true}}],"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let source = layout.tag(&layout.image(&config, &[layer.to_string()], ""));
    let (honeycrate, planted) = (Honeycrate::new(), Layout::new());
    let ran = plant(&honeycrate, &source, &planted.target());
    assert_eq!(ran.ran.code, 0, "{}", ran.ran.all());
    let mut told = surfaces(&ran.report);
    told.sort_unstable();
    assert_eq!(told, ["env", "history"]);
    assert_eq!(ran.report["source"]["platforms"][0]["platform"], "windows(10.0.20348.2529)/amd64");
    assert_eq!(ran.ran.out().matches("the image is for Windows").count(), 2, "{}", ran.ran.out());
    let manifest = parse(&planted.root());
    assert_eq!(list(&manifest, "layers"), [layer]);
    let after = parse(&planted.text(&manifest["config"]));
    assert!(after["config"]["ArgsEscaped"] == true && after["os.version"] == "10.0.20348.2529", "{after}");
    assert!(
        list(&after, "history").iter().any(|step| step["created_by"].as_str().is_some_and(|by| by.starts_with("cmd /S /C #(nop)  ARG "))),
        "{after}"
    );
    for surface in ["file", "buried"] {
        let wish = format!("plant:\n  {surface}: {{ path: /opt/old.json }}\n");
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), wish).expect("the home is writable");
        let ran = plant(&honeycrate, &source, &Layout::new().target()).ran;
        assert!(ran.code == 4 && ran.err().contains("for Windows") && ran.err().contains("env or history"), "{}", ran.all());
    }
}

#[test]
fn a_manifest_of_schema_1_is_refused_with_what_to_do() {
    let layout = Layout::new();
    let old = r#"{"schemaVersion":1,"name":"acme/shop","tag":"1","architecture":"amd64","fsLayers":[],"history":[],"signatures":[]}"#;
    let source = layout.tag(&blob(layout.path(), "application/vnd.docker.distribution.manifest.v1+prettyjws", old.as_bytes()));
    for command in ["scan", "plant"] {
        let ran = if command == "scan" {
            Honeycrate::new().run(&["scan", &source])
        } else {
            plant(&Honeycrate::new(), &source, &Layout::new().target()).ran
        };
        assert_eq!(ran.code, 3, "{}", ran.all());
        assert!(ran.err().contains("schema 1") && ran.err().contains("skopeo copy --format v2s2"), "{}", ran.err());
    }
}

#[test]
fn descriptors_of_untouched_layers_and_unknown_members_keep_their_bytes() {
    let layout = Layout::new();
    let (plain, first) = layout.layer("app/shop", "one");
    let (toc, second) = layout.layer("app/toc", "two");
    let tar = {
        let mut archive = Archive::default();
        archive.file("app/zstd", b"three");
        archive.finish()
    };
    let zstd = blob(layout.path(), "application/vnd.oci.image.layer.v1.tar+zstd", &Packing::Zstd.pack(&tar));
    let annotated = |descriptor: &Value, annotations: &str| {
        let text = descriptor.to_string();
        format!(r#"{},"annotations":{annotations},"x-kept":"\u003c&\u003e","n":1e3}}"#, text.trim_end_matches('}'))
    };
    let layers = [
        annotated(&plain, r#"{"z":"1","a":"<2>"}"#),
        // eStargz and zstd:chunked keep the place of their tables of contents here.
        annotated(&toc, r#"{"containerd.io/snapshot/stargz/toc.digest":"sha256:00","io.containers.estargz.uncompressed-size":"6144"}"#),
        annotated(
            &zstd,
            r#"{"io.github.containers.zstd-chunked.manifest-checksum":"sha256:00","io.github.containers.zstd-chunked.manifest-position":"1:2:3:1"}"#,
        ),
    ];
    let config = format!(
        r#"{{"architecture":"arm","variant":"v7","os":"linux","x":{{"b":1.50,"a":"\u0026"}},"config":{{"Env":["A=\u003c1>"],"Labels":{{"z":"1","a":"2"}},"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"],"Healthcheck":{{"Test":["NONE"],"Interval":3e10}}}},"rootfs":{{"type":"layers","diff_ids":["{first}","{second}","{}"]}}}}"#,
        digest(&tar)
    );
    let more = r#","annotations":{"z":"\u003c","a":"&"},"x-odd":[1, 2,  3]"#;
    let image = layout.image(&config, &layers, more);
    let inner =
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}],"x-inner":"\u003c"}}"#, annotated(&image, r#"{"b":"1","a":"2"}"#));
    let inner = blob(layout.path(), INDEX, inner.as_bytes());
    let index =
        format!(r#"{{"x-first":1e3,"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}],"annotations":{{"z":"<&>"}}}}"#, annotated(&inner, "{}"));
    let source = layout.tag(&blob(layout.path(), INDEX, index.as_bytes()));

    let planted = Layout::new();
    let ran = plant(&Honeycrate::new(), &source, &planted.target());
    assert_eq!(ran.ran.code, 0, "{}", ran.ran.all());
    assert_eq!(ran.report["source"]["platforms"][0]["platform"], "linux/arm/v7");
    // Each document but for the digests and sizes in it, and what planting adds.
    let without = |text: &str, names: &[&Value]| {
        names.iter().fold(text.to_owned(), |text, name| {
            text.replace(name["digest"].as_str().expect("a digest"), "").replace(&format!("\"size\":{}", name["size"]), "")
        })
    };
    let root = planted.root();
    let new_inner = &parse(&root)["manifests"][0];
    assert_eq!(without(&root, &[new_inner]), without(&index, &[&inner]));
    let inner_text = planted.text(new_inner);
    let new_image = &parse(&inner_text)["manifests"][0];
    assert_eq!(without(&inner_text, &[new_image]), without(&layout.text(&inner), &[&image]));
    let manifest = planted.text(new_image);
    // New layers are packed like the last.
    let packed = LAYER.replace("gzip", "zstd");
    assert!(manifest.contains(&format!(r#""layers":[{},{{"mediaType":"{packed}""#, layers.join(","))), "{manifest}");
    assert!(manifest.ends_with(&format!("]{more}}}")), "{manifest}");
    let after = planted.text(&parse(&manifest)["config"]);
    let (kept, _) = config.split_once(r#""Env":["#).expect("a config");
    assert!(after.starts_with(kept) && after.contains(r#""Env":["A=\u003c1>","#), "{after}");
    let (_, run_section) = config.split_once(r#""A=\u003c1>"]"#).expect("a config");
    let (run_section, _) = run_section.split_once(r#""rootfs""#).expect("a config");
    assert!(after.contains(run_section), "{after}");

    // A registry takes it, inner index first, and gives back the same bytes.
    let (registry, honeycrate) = (Registry::plain(Auth::None), Honeycrate::new());
    let mut command = honeycrate.command(&["push", &planted.target(), &registry.reference("acme/nested:1")]);
    honeycrate.access(&mut command, &registry);
    must(&mut command);
    assert_eq!(skopeo::raw_manifest(&registry, "acme/nested:1"), root);
}

#[test]
fn a_foreign_layer_is_neither_fetched_nor_stored_and_no_file_is_planted_over_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket of ours");
    let layout = Layout::new();
    let (layer, diff_id) = layout.layer("app/shop", "x");
    let elsewhere = digest(b"a layer that nobody here has");
    let url = format!("http://{}/layer", listener.local_addr().expect("an address"));
    let foreign = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","size":1234,"digest":"{elsewhere}","urls":["{url}"]}}"#
    );
    let step = format!(r#"{{"created":"{CREATED}","created_by":"RUN /bin/sh -c make # buildkit","comment":"buildkit.dockerfile.v0"}}"#);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"history":[{step},{step}],"rootfs":{{"type":"layers","diff_ids":["{}","{diff_id}"]}}}}"#,
        digest(b"its tar")
    );
    let source = layout.tag(&layout.image(&config, &[foreign.clone(), layer.to_string()], ""));
    let planted = Layout::new();
    let ran = plant(&Honeycrate::new(), &source, &planted.target());
    assert_eq!(ran.ran.code, 0, "{}", ran.ran.all());
    let mut told = surfaces(&ran.report);
    told.sort_unstable();
    assert_eq!(told, ["env", "history"]);
    assert!(ran.ran.out().contains("layers of the image (1) were not read"), "{}", ran.ran.out());
    assert!(
        list(&ran.report["coverage"], "not_scanned").iter().any(|blind| blind.to_string().contains(&elsewhere[7..19])),
        "{}",
        ran.report["coverage"]
    );
    assert!(planted.root().contains(&format!(r#""layers":[{foreign},"#)), "{}", planted.root());
    assert!(!planted.path().join(format!("blobs/sha256/{}", &elsewhere[7..])).exists());
    assert!(listener.accept().is_err(), "its address was visited");
}

#[test]
fn an_index_goes_with_all_its_platforms_and_says_so() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let source = write_platforms(folder.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
    let push = |to: &str| {
        let mut command = honeycrate.command(&["push", &source, to]);
        honeycrate.access(&mut command, &registry);
        run(&mut command)
    };
    let ran = push(&registry.reference("acme/shop:1"));
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().contains("all platforms: linux/amd64, linux/arm64"), "{}", ran.out());
    skopeo::pull(&registry, "acme/shop:1", &folder.path().join("pulled"));
    // What can hold one platform only takes none of two in silence.
    let archive = folder.path().join("one.tar");
    let ran = push(&format!("docker-archive:{}", archive.display()));
    assert!(ran.code == 5 && ran.err().contains("it can hold one platform, and this index has 2") && !archive.exists(), "{}", ran.all());

    let signed = tempdir().expect("scratch");
    let attested = write_index(signed.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
    let shipped = honeycrate.reported(&mut honeycrate.ship(&attested, &registry, "acme/attested:1"));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let pushed = &shipped.report["pushed"][0];
    assert_eq!((&pushed["sign_anew"], list(pushed, "platforms").len()), (&json!(true), 2), "{pushed}");
    let command = format!("cosign sign {}@{}", registry.reference("acme/attested"), pushed["digest"].as_str().expect("a digest"));
    assert!(shipped.ran.out().contains(&command), "`{command}` is not in {}", shipped.ran.out());
}

/// curl to a registry.
fn curl(registry: &Registry, path: &str) -> Command {
    let mut command = program("curl", Path::new("/nonexistent"));
    command.args(["-sS", "--fail-with-body", &format!("{}/v2/{path}", registry.url())]);
    command
}

/// Puts a manifest, given as text, under a tag or its digest.
fn put(registry: &Registry, repository: &str, name: &str, kind: &str, text: &str) {
    let header = format!("Content-Type: {kind}");
    must(curl(registry, &format!("{repository}/manifests/{name}")).args(["-X", "PUT", "-H", &header, "--data-binary", text]));
}

/// A manifest of an artifact whose only layer and config are in the repository.
fn artifact(registry: &Registry, repository: &str, kind: &str, content: &str, subject: Option<&Value>) -> String {
    let store = |text: &str| {
        let started = must(curl(registry, &format!("{repository}/blobs/uploads/")).args(["-X", "POST", "-i"]));
        let location = started.lines().find_map(|line| line.to_ascii_lowercase().starts_with("location:").then(|| line[9..].trim().to_owned()));
        let location = location.expect("an upload session");
        let address = if location.starts_with('/') { format!("{}{location}", registry.url()) } else { location };
        let address = format!("{address}{}digest={}", if address.contains('?') { "&" } else { "?" }, digest(text.as_bytes()));
        let bytes = "Content-Type: application/octet-stream";
        must(program("curl", Path::new("/nonexistent")).args(["-sS", "--fail-with-body", "-X", "PUT", "-H", bytes, "--data-binary", text, &address]));
        json!({ "mediaType": kind, "digest": digest(text.as_bytes()), "size": text.len() })
    };
    let (config, layer) = (store("{}"), store(content));
    let mut manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config, "layers": [layer] });
    if let Some(subject) = subject {
        manifest["subject"] = json!({ "mediaType": subject["mediaType"], "digest": subject["digest"], "size": subject["size"] });
    }
    manifest.to_string()
}

/// What Debian's docker-registry lacks an API for: a signature under cosign's tag and SBOMs under the fallback tag.
struct Signed {
    registry: Registry,
    root: String,
    signature: String,
    sbom: String,
}

impl Signed {
    fn new() -> Self {
        let (registry, folder) = (Registry::plain(Auth::None), tempdir().expect("scratch"));
        let source = write_platforms(folder.path(), &[Image::shop(), Image::shop().architecture("arm64")]);
        skopeo::push(&source, &registry, "acme/shop:1");
        let root = skopeo::raw_manifest(&registry, "acme/shop:1");
        let amd64 = parse(&root)["manifests"][0].clone();
        let signature = artifact(&registry, "acme/shop", "application/vnd.dev.cosign.simplesigning.v1+json", "a payload", None);
        put(&registry, "acme/shop", &format!("{}.sig", tag_of(&digest(root.as_bytes()))), MANIFEST, &signature);
        let sbom = artifact(&registry, "acme/shop", "application/spdx+json", "an SBOM", Some(&amd64));
        put(&registry, "acme/shop", &digest(sbom.as_bytes()), MANIFEST, &sbom);
        let line = json!({ "mediaType": MANIFEST, "digest": digest(sbom.as_bytes()), "size": sbom.len(), "artifactType": "application/spdx+json" });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [line] }).to_string();
        put(&registry, "acme/shop", &tag_of(amd64["digest"].as_str().expect("a digest")), INDEX, &index);
        Self { registry, root, signature, sbom }
    }

    fn source(&self) -> String {
        format!("docker://{}", self.registry.reference("acme/shop:1"))
    }

    /// The tag that lists what refers to the image for amd64.
    fn list_tag(&self) -> String {
        tag_of(parse(&self.root)["manifests"][0]["digest"].as_str().expect("a digest"))
    }

    fn signature_tag(&self) -> String {
        format!("{}.sig", tag_of(&digest(self.root.as_bytes())))
    }
}

fn tag_of(digest: &str) -> String {
    digest.replace(':', "-")
}

#[test]
fn what_names_the_digest_before_planting_is_told_with_the_digest_to_sign_anew() {
    let (signed, honeycrate) = (Signed::new(), Honeycrate::new());
    let shipped = honeycrate.reported(&mut honeycrate.ship(&signed.source(), &signed.registry, "acme/planted:1"));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let left = list(&shipped.report, "left_behind");
    let kinds: Vec<&str> = left.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["signature", "SBOM"], "{}", shipped.report["left_behind"]);
    assert_eq!(left[0]["names"], digest(signed.root.as_bytes()));
    assert_eq!((&left[0]["tag"], &left[1]["platform"]), (&json!(signed.signature_tag()), &json!("linux/amd64")));
    assert_eq!(left[1]["digest"], digest(signed.sbom.as_bytes()));
    let pushed = &shipped.report["pushed"][0];
    let command = format!("cosign sign {}@{}", signed.registry.reference("acme/planted"), pushed["digest"].as_str().expect("a digest"));
    assert!(shipped.ran.out().contains(&command) && shipped.ran.out().contains(&signed.signature_tag()), "{}", shipped.ran.out());
    let page = must(&mut honeycrate.command(&["report", "report.json", "--format", "markdown"]));
    assert!(page.contains("Sign it anew: <code>cosign sign") && page.contains("left behind</b>"), "{page}");
    let dry = run(honeycrate.ship(&signed.source(), &signed.registry, "acme/planted:2").arg("--dry-run"));
    assert!(dry.out().contains("left behind, as the digest changes") && dry.out().contains("SBOM sha256:"), "{}", dry.all());
}

#[test]
fn a_push_takes_signatures_and_sboms_along_where_it_is_asked_to() {
    let (signed, honeycrate) = (Signed::new(), Honeycrate::new());
    let there = Registry::plain(Auth::Basic);
    let push = |flags: &[&str], source: &str, to: &str| -> Ran {
        let mut command = honeycrate.command(&["push", source, to, "--plain-http", &signed.registry.host()]);
        honeycrate.access(&mut command, &there);
        run(command.args(flags))
    };
    let has = |name: &str| run(&mut authorised(&there, &format!("acme/copy/manifests/{name}"))).code == 0;
    let target = there.reference("acme/copy:1");
    let without = push(&[], &signed.source(), &target);
    assert_eq!(without.code, 0, "{}", without.all());
    assert!(!has(&signed.signature_tag()) && !has(&signed.list_tag()));

    // Another job's SBOM is listed there already, and stays.
    let other = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [parse(&signed.root)["manifests"][1]] }).to_string();
    let header = format!("Content-Type: {INDEX}");
    let mut command = authorised(&there, &format!("acme/copy/manifests/{}", signed.list_tag()));
    must(command.args(["-X", "PUT", "-H", &header, "--data-binary", &other]));

    for round in 0..2 {
        let ran = push(&["--referrers"], &signed.source(), &target);
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert!(ran.out().contains("1 signature, 1 SBOM"), "{}", ran.out());
        let text =
            |name: &str| must(authorised(&there, &format!("acme/copy/manifests/{name}")).args(["-H", &format!("Accept: {MANIFEST}, {INDEX}")]));
        assert_eq!(text(&signed.signature_tag()), signed.signature);
        assert_eq!(text(&digest(signed.sbom.as_bytes())), signed.sbom);
        let listed = parse(&text(&signed.list_tag()));
        let digests: Vec<&str> = list(&listed, "manifests").iter().filter_map(|line| line["digest"].as_str()).collect();
        assert_eq!(digests.len(), 2, "round {round}: {listed}");
        assert_eq!(digests[1], digest(signed.sbom.as_bytes()));
        assert_eq!(list(&listed, "manifests")[1]["artifactType"], "application/spdx+json");
        assert_eq!(must(&mut authorised(&there, &format!("acme/copy/blobs/{}", digest(b"an SBOM")))), "an SBOM");
    }

    let layout = tempdir().expect("scratch");
    let refused = push(&["--referrers"], &Image::shop().write(layout.path()), &target);
    assert!(refused.code == 2 && refused.err().contains("from registry to registry"), "{}", refused.all());
}

/// curl with the credential that the registry asks for.
fn authorised(registry: &Registry, path: &str) -> Command {
    let mut command = curl(registry, path);
    command.args(["-u", &format!("{}:{}", crate::common::registry::USER, crate::common::registry::PASSWORD)]);
    command
}

#[test]
fn a_planted_image_without_shell_or_home_holds_bait_that_a_thief_finds() {
    let folder = tempdir().expect("scratch");
    let source = Image::new()
        .layer("COPY shop /shop # buildkit", &[("shop", "\u{7f}ELF")])
        .setting("Entrypoint", json!(["/shop"]))
        .setting("User", json!("65532"))
        .write(folder.path());
    let planted = Layout::new();
    let ran = plant(&Honeycrate::new(), &source, &planted.target());
    assert_eq!(ran.ran.code, 0, "{}", ran.ran.all());
    assert!(ran.ran.out().contains("the image has no shell"), "{}", ran.ran.out());
    let mut found: Vec<String> = thief::loot(planted.path()).into_iter().map(|loot| loot.surface).collect();
    found.sort_unstable();
    assert_eq!(found, ["env", "file", "history"]);
}
