//! Small images made in code, as OCI layouts: layers, whiteouts, secrets in every place, indexes, attestations.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::tar::Archive;

pub(crate) const CREATED: &str = "2025-10-09T08:53:20Z";

/// An image, layer by layer.
#[derive(Clone)]
pub(crate) struct Image {
    architecture: &'static str,
    env: Vec<String>,
    layers: Vec<Vec<u8>>,
    history: Vec<Value>,
    settings: Map<String, Value>,
    annotations: Map<String, Value>,
    packing: Packing,
}

/// How layers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Image {
    pub(crate) fn new() -> Self {
        let env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        let settings = Map::from_iter([("Cmd".to_owned(), json!(["node", "src/routes.js"])), ("WorkingDir".to_owned(), json!("/app"))]);
        let (layers, history, annotations) = (Vec::new(), Vec::new(), Map::new());
        Self { architecture: "amd64", env, layers, history, settings, annotations, packing: Packing::Gzip }
    }

    /// A shop without secrets: a base, configuration, code, and a build log that the last layer deletes.
    pub(crate) fn shop() -> Self {
        let routes = "export const route = (q) => fetch('/api?q=' + encodeURIComponent(q));\n".repeat(200);
        Self::new()
            .layer(
                "ADD rootfs.tar.xz / # buildkit",
                &[
                    ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
                    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
                    ("root/.profile", "mesg n 2> /dev/null || true\n"),
                    ("usr/bin/env", "\u{7f}ELF"),
                ],
            )
            .layer(
                "COPY config ./config # buildkit",
                &[("app/config/default.yml", "port: 8080\nlog: info\n"), ("app/config/limits.yml", "rate: 20\n")],
            )
            .layer(
                "COPY src ./src # buildkit",
                &[("app/src/routes.js", &routes), ("app/package.json", "{\"name\":\"shop\",\"version\":\"4.2.0\"}\n")],
            )
            .layer("RUN /bin/sh -c npm run build # buildkit", &[("app/tmp/build.log", "step ok\n")])
            .layer("RUN /bin/sh -c rm tmp/build.log # buildkit", &[("app/tmp/.wh.build.log", "")])
            .env("NODE_ENV", "production")
    }

    /// Adds a layer of files, with the folders on the way; `.wh.NAME` deletes.
    pub(crate) fn layer(self, step: &str, files: &[(&str, &str)]) -> Self {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        self.layer_of_bytes(step, &files)
    }

    /// The same of files that are no text.
    pub(crate) fn layer_of_bytes(mut self, step: &str, files: &[(&str, &[u8])]) -> Self {
        let mut archive = Archive::default();
        let mut folders = BTreeSet::new();
        for (path, bytes) in files {
            for (end, _) in path.match_indices('/') {
                if folders.insert(&path[..end]) {
                    archive.folder(&path[..end]);
                }
            }
            archive.file(path, bytes);
        }
        self.layers.push(archive.finish());
        self.history.push(json!({ "created": CREATED, "created_by": step, "comment": "buildkit.dockerfile.v0" }));
        self
    }

    /// Adds a layer with one symlink.
    pub(crate) fn link(mut self, step: &str, path: &str, target: &str) -> Self {
        let mut archive = Archive::default();
        archive.link(path, target);
        self.layers.push(archive.finish());
        self.history.push(json!({ "created": CREATED, "created_by": step, "comment": "buildkit.dockerfile.v0" }));
        self
    }

    /// Sets a variable, with the step in the history that a build would leave.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self.step(&format!("ENV {name}={value}"))
    }

    /// A build step that made no layer.
    pub(crate) fn step(mut self, created_by: &str) -> Self {
        self.history.push(json!({ "created": CREATED, "created_by": created_by, "comment": "buildkit.dockerfile.v0", "empty_layer": true }));
        self
    }

    /// Changes every step of the history: other builders write other words.
    pub(crate) fn steps(mut self, change: impl Fn(&mut Value)) -> Self {
        self.history.iter_mut().for_each(change);
        self
    }

    pub(crate) fn architecture(mut self, architecture: &'static str) -> Self {
        self.architecture = architecture;
        self
    }

    /// Sets a member of the config that a container is run with: `Labels`, `Entrypoint`, `Volumes` …
    pub(crate) fn setting(mut self, name: &str, value: Value) -> Self {
        self.settings.insert(name.to_owned(), value);
        self
    }

    /// Adds an annotation to the manifest.
    pub(crate) fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Writes the image as a layout with the tag `latest` and gives the source to name it by.
    pub(crate) fn write(&self, layout: &Path) -> String {
        let manifest = self.blobs(layout);
        finish(layout, manifest)
    }

    /// Stores config, layers and manifest; gives the manifest's descriptor.
    fn blobs(&self, layout: &Path) -> Value {
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for tar in &self.layers {
            diff_ids.push(digest(tar));
            layers.push(blob(layout, self.packing.media_type(), &self.packing.pack(tar)));
        }
        let mut settings = self.settings.clone();
        settings.insert("Env".to_owned(), json!(self.env));
        let config = json!({
            "architecture": self.architecture, "os": "linux", "created": CREATED, "config": settings,
            "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": self.history,
        });
        let config = blob(layout, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers });
        if !self.annotations.is_empty() {
            manifest["annotations"] = self.annotations.clone().into();
        }
        let mut descriptor = blob(layout, kind, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({ "architecture": self.architecture, "os": "linux" });
        descriptor
    }
}

impl Packing {
    fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    pub(crate) fn pack(self, tar: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => tar.to_owned(),
            Self::Gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
                gzip.write_all(tar).expect("memory takes it");
                gzip.finish().expect("memory takes it")
            }
            Self::Zstd => zstd::encode_all(tar, 3).expect("memory takes it"),
        }
    }
}

/// Writes a multi-platform image as other builders do it: an index of manifests and nothing else.
pub(crate) fn write_platforms(layout: &Path, images: &[Image]) -> String {
    let manifests: Vec<Value> = images.iter().map(|image| image.blobs(layout)).collect();
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests });
    let descriptor = blob(layout, kind, index.to_string().as_bytes());
    finish(layout, descriptor)
}

/// Writes a multi-platform image as BuildKit does it: an index of manifests, each with its attestation beside it.
pub(crate) fn write_index(layout: &Path, images: &[Image]) -> String {
    let mut manifests: Vec<Value> = images.iter().map(|image| image.blobs(layout)).collect();
    for subject in manifests.clone() {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2", "predicate": {} });
        let layer = blob(layout, "application/vnd.in-toto+json", statement.to_string().as_bytes());
        let config =
            json!({ "architecture": "unknown", "os": "unknown", "config": {}, "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] } });
        let config = blob(layout, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
        let mut descriptor = blob(layout, kind, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
        descriptor["annotations"] = json!({ "vnd.docker.reference.digest": subject["digest"], "vnd.docker.reference.type": "attestation-manifest" });
        manifests.push(descriptor);
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests });
    let descriptor = blob(layout, kind, index.to_string().as_bytes());
    finish(layout, descriptor)
}

/// A live-looking GitHub token with a valid checksum, put together here so that no file holds one.
pub(crate) fn github_token(seed: u8) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let random = Sha256::digest([seed]);
    let body: String = random.iter().take(30).map(|byte| char::from(DIGITS[usize::from(*byte) % 62])).collect();
    let mut sum = crc32fast::hash(body.as_bytes());
    let mut check = [b'0'; 6];
    for place in check.iter_mut().rev() {
        *place = DIGITS[(sum % 62) as usize];
        sum /= 62;
    }
    ["gh", "p_", &body, std::str::from_utf8(&check).expect("digits are ASCII")].concat()
}

fn finish(layout: &Path, mut descriptor: Value) -> String {
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
    std::fs::write(layout.join("index.json"), index.to_string()).expect("the folder is writable");
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the folder is writable");
    format!("oci:{}:latest", layout.display())
}

/// Stores a blob in a layout and gives its descriptor.
pub(crate) fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    let folder = layout.join("blobs/sha256");
    std::fs::create_dir_all(&folder).expect("the folder is writable");
    std::fs::write(folder.join(&digest["sha256:".len()..]), bytes).expect("the folder is writable");
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}

/// The digests of the layers of the first image of an OCI layout.
pub(crate) fn layers(layout: &Path) -> Vec<String> {
    let read = |name: String| -> Value { serde_json::from_slice(&std::fs::read(layout.join(name)).expect("a layout")).expect("JSON") };
    let digest = |named: &Value| named["digest"].as_str().expect("a digest").to_owned();
    let index = read("index.json".to_owned());
    let manifest = read(format!("blobs/{}", digest(&index["manifests"][0]).replace(':', "/")));
    manifest["layers"].as_array().expect("a list").iter().map(digest).collect()
}

/// The paths of a layer of an OCI layout, as its tar has them and without a slash at the end.
pub(crate) fn paths(layout: &Path, digest: &str) -> Vec<String> {
    let blob = layout.join("blobs").join(digest.replace(':', "/"));
    let listed = crate::common::command::must(crate::common::command::program("tar", layout).arg("--list").arg("--file").arg(blob));
    listed.lines().map(|path| path.trim_start_matches("./").trim_end_matches('/').to_owned()).collect()
}
