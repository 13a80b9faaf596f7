//! An image's configuration: read as a whole, edited only in environment, history and layer list.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::manifest::MAX_DOCUMENT;
use crate::oci::platform::Platform;
use crate::oci::raw_object::{RawObject, raw};

/// What an image's config says. The bytes are kept: everything that [`ImageConfig::edited`] does not name stays byte for byte.
#[derive(Debug, Clone)]
pub struct ImageConfig {
    pub bytes: Arc<[u8]>,
    pub platform: Platform,
    /// RFC 3339, as written.
    pub created: Option<String>,
    /// `KEY=value`, in order.
    pub env: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub user: String,
    pub working_dir: String,
    /// Paths at which a runtime mounts volumes.
    pub volumes: Vec<String>,
    /// The health check's own words (`CMD`, `curl` …).
    pub healthcheck: Vec<String>,
    /// Oldest first; entries without `empty_layer` and layers go in step.
    pub history: Vec<History>,
    /// Digests of the uncompressed layers, oldest first.
    pub diff_ids: Vec<Digest>,
}

/// One step of the build, as the builder wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// What planting may change in a config, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct ConfigEdit {
    /// `KEY=value`. Each has the index, in today's list, before which it is inserted, as everything here; what has the same index keeps its
    /// order, and what has a later one than there is comes last.
    pub env: Vec<(usize, String)>,
    pub history: Vec<(usize, History)>,
    pub diff_ids: Vec<(usize, Digest)>,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<Box<str>>,
    created: Option<String>,
    #[serde(default)]
    config: Option<Run>,
    #[serde(default)]
    history: Option<Vec<History>>,
    rootfs: Rootfs,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Run {
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    volumes: Option<BTreeMap<String, Box<RawValue>>>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

impl ImageConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// When it is too large, not JSON, or its members have other types than the specification gives them.
    pub fn parse(bytes: &[u8]) -> Result<Self, OciError> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(OciError::TooLarge { what: "config", size: bytes.len() as u64, limit: MAX_DOCUMENT });
        }
        let json = |cause| OciError::Json { what: "config", cause };
        refuse_ambiguous(&serde_json::from_slice(bytes).map_err(json)?)?;
        let members: Members = serde_json::from_slice(bytes).map_err(json)?;
        let run = members.config.unwrap_or_default();
        let variant = members.variant.filter(|variant| !variant.is_empty());
        let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
        let told = [Some(&*members.os), Some(&members.architecture), variant.as_deref(), members.os_version.as_deref()];
        if !told.into_iter().flatten().all(is_plain) {
            return Err(OciError::Malformed { what: "config", why: "its platform has characters that no platform has".to_owned() });
        }
        Ok(Self {
            bytes: bytes.into(),
            platform: Platform { os: members.os, architecture: members.architecture, variant, os_version: members.os_version },
            created: members.created,
            env: run.env.unwrap_or_default(),
            labels: run.labels.unwrap_or_default(),
            entrypoint: run.entrypoint.unwrap_or_default(),
            cmd: run.cmd.unwrap_or_default(),
            user: run.user.unwrap_or_default(),
            working_dir: run.working_dir.unwrap_or_default(),
            volumes: run.volumes.unwrap_or_default().into_keys().collect(),
            healthcheck: run.healthcheck.and_then(|check| check.test).unwrap_or_default(),
            history: members.history.unwrap_or_default(),
            diff_ids: members.rootfs.diff_ids.unwrap_or_default(),
        })
    }

    /// The index, in the history, of the step that made layer `layer` (0 is the oldest). `None` where history and layers are out of step.
    #[must_use]
    pub fn history_of_layer(&self, layer: usize) -> Option<usize> {
        let steps: Vec<usize> = self.history.iter().enumerate().filter(|(_, step)| !step.empty_layer).map(|(index, _)| index).collect();
        if steps.len() == self.diff_ids.len() { steps.get(layer).copied() } else { None }
    }

    /// The value of an environment variable.
    #[must_use]
    pub fn env_value(&self, key: &str) -> Option<&str> {
        self.env.iter().find_map(|line| line.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
    }

    /// This config with `edit` applied. Everything else keeps its bytes: existing variables, history entries and unknown members.
    ///
    /// # Errors
    /// Never for a config that was parsed before.
    pub fn edited(&self, edit: &ConfigEdit) -> Result<Self, OciError> {
        let json = |cause| OciError::Json { what: "config", cause };
        let list = |text: Option<&str>| text.map_or(Ok(Vec::new()), serde_json::from_str::<Vec<Box<RawValue>>>).map_err(json);
        let object = |text: Option<&str>| text.map_or(Ok(RawObject::default()), serde_json::from_str).map_err(json);

        let mut config: RawObject = serde_json::from_slice(&self.bytes).map_err(json)?;
        if !edit.env.is_empty() {
            let mut run = object(config.text("config"))?;
            run.set("Env", inserted(list(run.text("Env"))?, &edit.env));
            config.set("config", raw(&run));
        }
        if !edit.history.is_empty() {
            config.set("history", inserted(list(config.text("history"))?, &edit.history));
        }
        if !edit.diff_ids.is_empty() {
            let mut rootfs = object(config.text("rootfs"))?;
            rootfs.set("diff_ids", inserted(list(rootfs.text("diff_ids"))?, &edit.diff_ids));
            config.set("rootfs", raw(&rootfs));
        }
        Self::parse(raw(&config).get().as_bytes())
    }
}

/// A list with `new` elements, each before the old one of its index. The old ones keep their bytes.
fn inserted<T: Serialize>(old: Vec<Box<RawValue>>, new: &[(usize, T)]) -> Box<RawValue> {
    let last = old.len();
    let mut all = Vec::with_capacity(last + new.len());
    for (index, old) in old.into_iter().map(Some).chain([None]).enumerate() {
        all.extend(new.iter().filter(|(before, _)| (*before).min(last) == index).map(|(_, value)| raw(value)));
        all.extend(old);
    }
    raw(&all)
}

/// What two readers could read in two ways: keys that occur twice, or that differ from a known one by letter case.
fn refuse_ambiguous(config: &RawObject) -> Result<(), OciError> {
    let json = |cause| OciError::Json { what: "config", cause };
    let malformed = |why| OciError::Malformed { what: "config", why };
    let inner = |object: &RawObject, key: &str| -> Result<RawObject, OciError> {
        object.text(key).map_or(Ok(RawObject::default()), serde_json::from_str).map_err(json)
    };
    config.refuse_other_case(&["architecture", "os", "os.version", "variant", "created", "config", "history", "rootfs"]).map_err(malformed)?;
    let run = inner(config, "config")?;
    let known = ["Env", "Labels", "Entrypoint", "Cmd", "User", "WorkingDir", "Volumes", "Healthcheck"];
    run.refuse_other_case(&known).map_err(malformed)?;
    for map in ["Labels", "Volumes"] {
        inner(&run, map)?;
    }
    inner(config, "rootfs")?.refuse_other_case(&["type", "diff_ids"]).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=\u003c1\u003e"],"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000},"Cmd":["sh"]},"moby.buildkit.cache.v0":"x","history":[{"created_by":"ADD / # buildkit"},{"created_by":"CMD [\"sh\"]","empty_layer":true}],"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;

    #[test]
    fn an_edit_changes_environment_history_and_layers_and_nothing_else() {
        let config = ImageConfig::parse(CONFIG.as_bytes()).expect("valid");
        let step = History { created_by: Some("COPY a b".to_owned()), ..History::default() };
        let edit = ConfigEdit { env: vec![(9, "B=2".to_owned())], history: vec![(1, step)], diff_ids: vec![(1, Digest::of(b"new"))] };
        let edited = config.edited(&edit).expect("parsed before");
        let expected = CONFIG
            .replace(r#""A=\u003c1\u003e""#, r#""A=\u003c1\u003e","B=2""#)
            .replace(r#"{"created_by":"CMD"#, r#"{"created_by":"COPY a b"},{"created_by":"CMD"#)
            .replace("b855\"]", &format!("b855\",\"{}\"]", Digest::of(b"new")));
        assert_eq!(std::str::from_utf8(&edited.bytes).expect("UTF-8"), expected);
        assert_eq!(edited.history_of_layer(1), Some(1));
    }

    /// A config as some builder wrote it, and what an edit makes of it.
    fn edit(members: &str) -> String {
        let text = format!(r#"{{"os":"linux",{members}"rootfs":{{"diff_ids":[]}}}}"#);
        let step = History { created_by: Some("COPY a b".to_owned()), ..History::default() };
        let edit = ConfigEdit { env: vec![(0, "B=2".to_owned())], history: vec![(0, step)], diff_ids: Vec::new() };
        let edited = ImageConfig::parse(text.as_bytes()).expect("valid").edited(&edit).expect("parsed before");
        String::from_utf8(edited.bytes.to_vec()).expect("UTF-8")
    }

    #[test]
    fn what_is_missing_null_or_oddly_written_stays_as_it_is() {
        let step = r#"[{"created_by":"COPY a b"}]"#;
        let rows = [
            ("", format!(r#"{{"os":"linux","rootfs":{{"diff_ids":[]}},"config":{{"Env":["B=2"]}},"history":{step}}}"#)),
            (r#""config":{},"#, format!(r#"{{"os":"linux","config":{{"Env":["B=2"]}},"rootfs":{{"diff_ids":[]}},"history":{step}}}"#)),
            (
                r#""config":{"Env":null,"Labels":null,"Volumes":null},"history":null,"#,
                format!(r#"{{"os":"linux","config":{{"Env":["B=2"],"Labels":null,"Volumes":null}},"history":{step},"rootfs":{{"diff_ids":[]}}}}"#),
            ),
            (r#""config":null,"#, format!(r#"{{"os":"linux","config":{{"Env":["B=2"]}},"rootfs":{{"diff_ids":[]}},"history":{step}}}"#)),
        ];
        for (members, expected) in rows {
            assert_eq!(edit(members), expected);
        }
        let odd = r#""n":1e3,"big":123456789012345678901234567890,"minus":-0.0,"t":"\u003c\/\u00e9<>&","config":{"OnBuild":["RUN <x>"],"Shell":["/bin/bash"],"ArgsEscaped":true,"Labels":{"z":"1","a":"2"},"Healthcheck":{"Interval":3e10}},"#;
        let edited = edit(odd);
        for kept in odd.trim_end_matches(',').split(",\"config\":{").flat_map(|part| part.trim_end_matches('}').split("},")) {
            assert!(edited.contains(kept), "{kept} is not in {edited}");
        }
    }

    #[test]
    fn what_two_readers_read_in_two_ways_is_refused() {
        for config in [
            r#"{"os":"linux","os":"windows","rootfs":{}}"#,
            r#"{"os":"linux","config":{"Env":["A=1"]},"Config":{"Env":["A=2"]},"rootfs":{}}"#,
            r#"{"config":{"env":["A=1"]},"rootfs":{}}"#,
            r#"{"config":{"Env":["A=1"],"Env":["A=2"]},"rootfs":{}}"#,
            r#"{"config":{"Labels":{"a":"1","a":"2"}},"rootfs":{}}"#,
            r#"{"config":{"x":1,"x":2},"rootfs":{}}"#,
            r#"{"rootfs":{"diff_ids":[],"Diff_IDs":[]}}"#,
            r#"{"rootfs":{"x":1,"x":1}}"#,
        ] {
            assert!(ImageConfig::parse(config.as_bytes()).is_err(), "{config}");
        }
        // Labels are told apart by letter case.
        ImageConfig::parse(br#"{"config":{"Labels":{"a":"1","A":"2"}},"rootfs":{}}"#).expect("valid");
    }

    #[test]
    fn a_platform_of_other_characters_is_refused() {
        let with = |name: &str| ImageConfig::parse(CONFIG.replace("amd64", name).as_bytes());
        assert!(with("arm64").is_ok() && with("x86_64").is_ok());
        assert!(with("amd\\u001b[2J64").is_err() && with("a/b").is_err());
    }

    #[test]
    fn an_empty_edit_changes_no_byte() {
        let config = ImageConfig::parse(CONFIG.as_bytes()).expect("valid");
        assert_eq!(&*config.edited(&ConfigEdit::default()).expect("parsed before").bytes, CONFIG.as_bytes());
    }
}
