//! Manifests and indexes: the exact bytes are kept beside what was read from them, since a digest is of bytes and not of meaning.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::media_type;
use crate::oci::raw_object::{RawObject, raw};

/// The largest manifest or index that is read, in bytes: the floor that the distribution specification sets for registries.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// More layers than any runtime can mount.
pub const MAX_LAYERS: usize = 512;
/// More platforms than any index holds.
pub const MAX_CHILDREN: usize = 256;

/// A manifest of one image, or an index of several.
#[derive(Debug, Clone)]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// The manifest of one image.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub bytes: Arc<[u8]>,
    pub media_type: String,
    pub config: Descriptor,
    /// Oldest first.
    pub layers: Vec<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, by platform.
#[derive(Debug, Clone)]
pub struct Index {
    pub bytes: Arc<[u8]>,
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    schema_version: u64,
    media_type: Option<String>,
    config: Option<Box<RawValue>>,
    layers: Option<Vec<Box<RawValue>>>,
    manifests: Option<Vec<Box<RawValue>>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a manifest or an index. `declared` is the media type that its descriptor or the registry gave, if any.
    ///
    /// # Errors
    /// When the document is too large, not JSON, of an unsupported type, or could be read in two ways (CVE-2021-41190).
    pub fn parse(bytes: &[u8], declared: Option<&str>) -> Result<Self, OciError> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(OciError::TooLarge { what: "manifest", size: bytes.len() as u64, limit: MAX_DOCUMENT });
        }
        let json = |cause| OciError::Json { what: "manifest", cause };
        let members: Members = serde_json::from_slice(bytes).map_err(json)?;
        let malformed = |why: String| OciError::Malformed { what: "manifest", why };
        if members.schema_version == 1 {
            return Err(OciError::SchemaOne);
        }
        let text: RawObject = serde_json::from_slice(bytes).map_err(json)?;
        let known = ["schemaVersion", "mediaType", "config", "layers", "manifests", "annotations", "subject", "artifactType"];
        text.refuse_other_case(&known).map_err(malformed)?;
        let _: RawObject = text.text("annotations").map_or(Ok(RawObject::default()), serde_json::from_str).map_err(json)?;
        let declared = declared.filter(|kind| media_type::is_index(kind) || media_type::is_manifest(kind));
        if let (Some(inside), Some(outside)) = (members.media_type.as_deref(), declared)
            && inside != outside
        {
            return Err(malformed(format!("it calls itself `{inside}` but was announced as `{outside}`")));
        }
        let kind = match (members.media_type.as_deref().or(declared), &members.layers, &members.manifests) {
            (_, Some(_), Some(_)) => return Err(malformed("it has both `layers` and `manifests`".to_owned())),
            (Some(kind), _, _) => kind.to_owned(),
            (None, Some(_), None) => media_type::OCI_MANIFEST.to_owned(),
            (None, None, Some(_)) => media_type::OCI_INDEX.to_owned(),
            (None, None, None) => return Err(malformed("it has neither `layers` nor `manifests`".to_owned())),
        };
        let annotations = members.annotations.unwrap_or_default();
        let parse_all = |texts: Vec<Box<RawValue>>| texts.iter().map(|text| Descriptor::parse(text.get())).collect::<Result<Vec<_>, _>>();
        if media_type::is_index(&kind) {
            let manifests = parse_all(members.manifests.ok_or_else(|| malformed("an index without `manifests`".to_owned()))?)?;
            if manifests.len() > MAX_CHILDREN {
                return Err(malformed(format!("it lists {} manifests; the limit is {MAX_CHILDREN}", manifests.len())));
            }
            return Ok(Self::Index(Index { bytes: bytes.into(), media_type: kind, manifests, annotations }));
        }
        if !media_type::is_manifest(&kind) {
            return Err(OciError::Unsupported(kind.chars().take(120).collect()));
        }
        let config = members.config.ok_or_else(|| malformed("a manifest without `config`".to_owned()))?;
        let layers = parse_all(members.layers.ok_or_else(|| malformed("a manifest without `layers`".to_owned()))?)?;
        if layers.len() > MAX_LAYERS {
            return Err(malformed(format!("it lists {} layers; the limit is {MAX_LAYERS}", layers.len())));
        }
        Ok(Self::Manifest(Manifest { bytes: bytes.into(), media_type: kind, config: Descriptor::parse(config.get())?, layers, annotations }))
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Manifest(manifest) => &manifest.bytes,
            Self::Index(index) => &index.bytes,
        }
    }

    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(manifest) => &manifest.media_type,
            Self::Index(index) => &index.media_type,
        }
    }
}

impl Manifest {
    /// A new manifest of the family that `media_type` names.
    #[must_use]
    pub fn new(media_type: &str, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        let mut text = RawObject::default();
        text.set("schemaVersion", raw(&2));
        text.set("mediaType", raw(media_type));
        text.set("config", config.to_raw());
        text.set("layers", raw_list(&layers));
        Self { bytes: bytes_of(&text), media_type: media_type.to_owned(), config, layers, annotations: BTreeMap::new() }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// All that it leads to: its config, then its layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// The same manifest in the words of the OCI specification: only media types change, config and layers are the same blobs.
    ///
    /// # Errors
    /// Never for a manifest that was parsed before.
    pub fn in_oci_family(&self) -> Result<Self, OciError> {
        let config = self.config.in_oci_family();
        let layers: Vec<Descriptor> = self.layers.iter().map(Descriptor::in_oci_family).collect();
        let media_type = media_type::in_oci_family(&self.media_type);
        let mut text: RawObject = serde_json::from_slice(&self.bytes).map_err(|cause| OciError::Json { what: "manifest", cause })?;
        text.set("mediaType", raw(media_type));
        text.set("config", config.to_raw());
        text.set("layers", raw_list(&layers));
        Ok(Self { bytes: bytes_of(&text), media_type: media_type.to_owned(), config, layers, ..self.clone() })
    }

    /// The same manifest as one that refers to another, with annotations.
    ///
    /// # Errors
    /// Never for a manifest that was parsed before.
    pub fn referring(&self, subject: &Descriptor, annotations: &BTreeMap<String, String>) -> Result<Self, OciError> {
        let mut text: RawObject = serde_json::from_slice(&self.bytes).map_err(|cause| OciError::Json { what: "manifest", cause })?;
        text.set("subject", subject.to_raw());
        text.set("annotations", raw(annotations));
        Ok(Self { bytes: bytes_of(&text), annotations: annotations.clone(), ..self.clone() })
    }

    /// The same manifest with another config and other layers; every other member keeps its bytes.
    ///
    /// # Errors
    /// Never for a manifest that was parsed before.
    pub fn with(&self, config: Descriptor, layers: Vec<Descriptor>) -> Result<Self, OciError> {
        let mut text: RawObject = serde_json::from_slice(&self.bytes).map_err(|cause| OciError::Json { what: "manifest", cause })?;
        text.set("config", config.to_raw());
        text.set("layers", raw_list(&layers));
        Ok(Self { bytes: bytes_of(&text), config, layers, ..self.clone() })
    }
}

impl Index {
    /// A new OCI index.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        let mut text = RawObject::default();
        text.set("schemaVersion", raw(&2));
        text.set("mediaType", raw(media_type::OCI_INDEX));
        text.set("manifests", raw_list(&manifests));
        Self { bytes: bytes_of(&text), media_type: media_type::OCI_INDEX.to_owned(), manifests, annotations: BTreeMap::new() }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// The same index with other children; every other member keeps its bytes.
    ///
    /// # Errors
    /// Never for an index that was parsed before.
    pub fn with(&self, manifests: Vec<Descriptor>) -> Result<Self, OciError> {
        let mut text: RawObject = serde_json::from_slice(&self.bytes).map_err(|cause| OciError::Json { what: "index", cause })?;
        text.set("manifests", raw_list(&manifests));
        Ok(Self { bytes: bytes_of(&text), manifests, ..self.clone() })
    }

    /// The same index in the words of the OCI specification; its lines stay.
    ///
    /// # Errors
    /// Never for an index that was parsed before.
    pub fn in_oci_family(&self) -> Result<Self, OciError> {
        let media_type = media_type::in_oci_family(&self.media_type);
        let mut text: RawObject = serde_json::from_slice(&self.bytes).map_err(|cause| OciError::Json { what: "index", cause })?;
        text.set("mediaType", raw(media_type));
        Ok(Self { bytes: bytes_of(&text), media_type: media_type.to_owned(), ..self.clone() })
    }
}

fn raw_list(descriptors: &[Descriptor]) -> Box<RawValue> {
    raw(&descriptors.iter().map(Descriptor::to_raw).collect::<Vec<_>>())
}

fn bytes_of(text: &RawObject) -> Arc<[u8]> {
    raw(text).get().as_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(kind: &str) -> String {
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":2,"x-kept":"\u003c"}}"#, Digest::of(b"{}"))
    }

    #[test]
    fn an_appended_layer_leaves_every_other_byte() {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}],"annotations":{{"a":"\u0026"}},"odd":[1, 2]}}"#,
            media_type::OCI_MANIFEST,
            descriptor(media_type::OCI_CONFIG),
            descriptor(media_type::OCI_LAYER_GZIP),
        );
        let Ok(Document::Manifest(manifest)) = Document::parse(text.as_bytes(), None) else { panic!("a manifest") };
        let same = manifest.with(manifest.config.clone(), manifest.layers.clone()).expect("parsed before");
        assert_eq!(std::str::from_utf8(&same.bytes).expect("UTF-8"), text);
    }

    #[test]
    fn a_document_that_is_both_manifest_and_index_is_refused() {
        let text = format!(r#"{{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}}"#, descriptor(media_type::OCI_CONFIG));
        assert!(Document::parse(text.as_bytes(), None).is_err());
    }

    #[test]
    fn keys_that_occur_twice_or_in_other_letter_case_are_refused() {
        let (config, layer) = (descriptor(media_type::OCI_CONFIG), descriptor(media_type::OCI_LAYER_GZIP));
        let parse = |members: &str| Document::parse(format!(r#"{{"schemaVersion":2,{members}}}"#).as_bytes(), None);
        parse(&format!(r#""config":{config},"layers":[{layer}]"#)).expect("valid");
        for members in [
            format!(r#""config":{config},"layers":[],"Layers":[{layer}]"#),
            format!(r#""config":{config},"layers":[],"x":1,"x":2"#),
            format!(r#""config":{config},"layers":[],"annotations":{{"a":"1","a":"2"}}"#),
            format!(r#""config":{config},"layers":[{}]"#, layer.replace("\"size\":2", "\"size\":2,\"Size\":3")),
            format!(r#""config":{config},"layers":[{}]"#, layer.replace("\"size\":2", "\"size\":2,\"y\":1,\"y\":1")),
        ] {
            assert!(parse(&members).is_err(), "{members}");
        }
    }

    #[test]
    fn a_manifest_of_schema_1_says_what_to_do() {
        let text = r#"{"schemaVersion":1,"name":"acme/shop","tag":"1","architecture":"amd64","fsLayers":[],"history":[],"signatures":[]}"#;
        let error = Document::parse(text.as_bytes(), Some("application/vnd.docker.distribution.manifest.v1+prettyjws")).expect_err("too old");
        assert!(error.to_string().contains("schema 1") && error.hint().is_some_and(|hint| hint.contains("--format v2s2")), "{error}");
    }

    #[test]
    fn a_type_that_differs_from_the_announced_one_is_refused() {
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, media_type::OCI_INDEX);
        assert!(Document::parse(text.as_bytes(), Some(media_type::OCI_MANIFEST)).is_err());
        assert!(Document::parse(text.as_bytes(), Some(media_type::OCI_INDEX)).is_ok());
    }
}
