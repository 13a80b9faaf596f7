//! Images in the making, whose every document and blob can be wrong, and the three forms in which they are written down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::images::{Packing, digest};
use crate::common::raw_tar::{end, file};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Where an image is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Layout,
    OciArchive,
    DockerArchive,
}

/// Blobs and the index over them.
#[derive(Clone, Default)]
pub(crate) struct Picture {
    /// By the name that a layout gives them.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What `docker save` would write into `manifest.json`.
    docker: Option<Value>,
}

/// The parts of an image of one platform, to be changed before they are put together.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) layers: Vec<(Vec<u8>, Value)>,
    pub(crate) diff_ids: Vec<Value>,
    pub(crate) config: Value,
    pub(crate) manifest: Value,
}

impl Parts {
    /// An image of these tars.
    pub(crate) fn of(tars: &[Vec<u8>], packing: Packing) -> Self {
        let layers = tars.iter().map(|tar| packing.pack(tar)).collect();
        Self::packed(layers, &tars.iter().map(|tar| digest(tar)).collect::<Vec<_>>())
    }

    /// An image of blobs that are packed already.
    pub(crate) fn packed(blobs: Vec<Vec<u8>>, diff_ids: &[String]) -> Self {
        let layers = blobs.into_iter().map(|blob| {
            let descriptor = describe(LAYER, &blob);
            (blob, descriptor)
        });
        Self {
            layers: layers.collect(),
            diff_ids: diff_ids.iter().map(|id| json!(id)).collect(),
            config: json!({ "architecture": "amd64", "os": "linux", "config": { "Env": ["A=1"], "Cmd": ["sh"] } }),
            manifest: json!({ "schemaVersion": 2, "mediaType": MANIFEST }),
        }
    }

    /// Config, manifest and index, as they should be.
    pub(crate) fn picture(self) -> Picture {
        let mut picture = Picture::default();
        let line = self.put(&mut picture);
        picture.index(&json!({ "schemaVersion": 2, "manifests": [line] }).to_string());
        picture
    }

    /// Stores the blobs; gives the manifest's descriptor.
    pub(crate) fn put(mut self, picture: &mut Picture) -> Value {
        if self.config.get("rootfs").is_none() {
            self.config["rootfs"] = json!({ "type": "layers", "diff_ids": self.diff_ids });
        }
        let config = self.config.to_string();
        let names: Vec<String> = (0..self.layers.len()).map(|number| format!("{number}/layer.tar")).collect();
        picture.docker = Some(json!([{ "Config": "config.json", "RepoTags": ["acme/hostile:1"], "Layers": names }]));
        for (name, (blob, descriptor)) in names.iter().zip(&self.layers) {
            picture.add(blob, descriptor);
            picture.files.insert(format!("docker/{name}"), blob.clone());
        }
        picture.files.insert("docker/config.json".to_owned(), config.clone().into_bytes());
        if self.manifest.get("config").is_none() {
            self.manifest["config"] = picture.put(CONFIG, config.as_bytes());
        }
        if self.manifest.get("layers").is_none() {
            self.manifest["layers"] = self.layers.iter().map(|(_, descriptor)| descriptor.clone()).collect();
        }
        picture.put(MANIFEST, self.manifest.to_string().as_bytes())
    }
}

impl Picture {
    /// Stores a blob under its own digest.
    pub(crate) fn put(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let descriptor = describe(media_type, bytes);
        self.add(bytes, &descriptor);
        descriptor
    }

    /// Stores a blob under the digest that a descriptor claims.
    pub(crate) fn add(&mut self, bytes: &[u8], descriptor: &Value) {
        let claimed = descriptor["digest"].as_str().unwrap_or_default();
        let path = claimed.split_once(':').map_or_else(|| "blobs/none".to_owned(), |(kind, hex)| format!("blobs/{kind}/{hex}"));
        self.files.insert(path, bytes.to_vec());
    }

    pub(crate) fn index(&mut self, text: &str) {
        self.files.insert("index.json".to_owned(), text.as_bytes().to_vec());
        self.files.entry("oci-layout".to_owned()).or_insert_with(|| br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    }

    /// An index over manifests that are stored already.
    pub(crate) fn index_of(&mut self, lines: &[Value]) {
        self.index(&json!({ "schemaVersion": 2, "manifests": lines }).to_string());
    }

    /// Names the only image.
    pub(crate) fn tag(&mut self, name: &str) {
        let mut index: Value = serde_json::from_slice(&self.files["index.json"]).expect("an index");
        index["manifests"][0]["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        self.index(&index.to_string());
    }

    /// A root index behind the layout's own, as builders write images for several platforms.
    pub(crate) fn nested(&mut self, lines: &[Value]) {
        let root = self.put(INDEX, json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": lines }).to_string().as_bytes());
        self.index_of(&[root]);
    }

    /// Replaces a file.
    pub(crate) fn with(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(name.to_owned(), bytes.as_ref().to_vec());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.files.remove(name).unwrap_or_else(|| panic!("there is no {name}"));
        self
    }

    /// Writes it into a folder and gives the source to read it by.
    pub(crate) fn write(&self, form: Form, folder: &Path) -> String {
        match form {
            Form::Layout => {
                for (name, bytes) in self.files.iter().filter(|(name, _)| !name.starts_with("docker/")) {
                    let path = folder.join(name);
                    fs::create_dir_all(path.parent().expect("a folder")).expect("scratch");
                    fs::write(path, bytes).expect("scratch");
                }
                format!("oci:{}", folder.display())
            }
            Form::OciArchive => write_archive("oci-archive", folder, &self.oci_archive()),
            Form::DockerArchive => write_archive("docker-archive", folder, &self.docker_archive()),
        }
    }

    pub(crate) fn oci_archive(&self) -> Vec<u8> {
        let files = self.files.iter().filter(|(name, _)| !name.starts_with("docker/"));
        [files.flat_map(|(name, bytes)| file(name, bytes)).collect(), end()].concat()
    }

    pub(crate) fn docker_archive(&self) -> Vec<u8> {
        let manifest = self.docker.as_ref().expect("an image").to_string();
        let files = self.files.iter().filter_map(|(name, bytes)| Some((name.strip_prefix("docker/")?, bytes)));
        [files.flat_map(|(name, bytes)| file(name, bytes)).collect(), file("manifest.json", manifest), end()].concat()
    }
}

/// Writes the bytes of an archive and gives the source to read it by.
pub(crate) fn write_archive(transport: &str, folder: &Path, bytes: &[u8]) -> String {
    let path = folder.join("image.tar");
    fs::write(&path, bytes).expect("scratch");
    format!("{transport}:{}", path.display())
}

/// A true descriptor.
pub(crate) fn describe(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}
