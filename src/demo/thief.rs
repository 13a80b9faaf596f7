//! The thief: reads an image as a stranger would, by another path than ours, and knows nothing of the ledger.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use regex::bytes::Regex;
use serde_json::Value;

use crate::secret::value::Secret;

/// A credential that the thief found.
pub struct Loot {
    /// Where, in the thief's own words.
    pub found: String,
    /// The line that holds it, as it stands there. The demo's key dies with the demo: the credential is worth nothing.
    pub line: String,
    /// Whether a later layer deletes the file: no container shows it.
    pub deleted: bool,
    pub user: String,
    pub password: Secret,
    /// Host with port.
    pub host: String,
}

/// Unpacks every layer of the layout's only image, reads its config, and keeps whatever looks like a login.
///
/// # Errors
/// When the layout cannot be read.
pub fn rob(layout: &Path) -> std::io::Result<Vec<Loot>> {
    let document = |digest: &Value| -> std::io::Result<Vec<u8>> {
        let name = digest.as_str().unwrap_or_default().replace(':', "/");
        fs::read(layout.join("blobs").join(name))
    };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest: Value = serde_json::from_slice(&document(&index["manifests"][0]["digest"])?)?;
    let config: Value = serde_json::from_slice(&document(&manifest["config"]["digest"])?)?;

    let mut loot = Vec::new();
    for variable in config["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        search("an environment variable", variable.as_bytes(), &mut loot);
    }
    let steps: Vec<&str> = config["history"].as_array().into_iter().flatten().filter_map(|step| step["created_by"].as_str()).collect();
    for step in steps.iter().filter(|step| !step.contains("ENV ")) {
        search("a build step in the history", step.as_bytes(), &mut loot);
    }
    let layers = manifest["layers"].as_array().cloned().unwrap_or_default();
    let mut tars = Vec::new();
    for layer in &layers {
        let mut tar = Vec::new();
        MultiGzDecoder::new(&document(&layer["digest"])?[..]).read_to_end(&mut tar)?;
        tars.push(tar);
    }
    for (number, tar) in tars.iter().enumerate() {
        for (path, content) in members(tar) {
            let (folder, name) = path.rsplit_once('/').unwrap_or_default();
            let whiteout = format!("{folder}/.wh.{name}");
            let deleted = tars[number + 1..].iter().any(|later| members(later).iter().any(|(path, _)| *path == whiteout));
            let fate = if deleted { ", deleted by a later layer" } else { "" };
            let first = loot.len();
            search(&format!("{path} in layer {} of {}{fate}", number + 1, layers.len()), content, &mut loot);
            loot[first..].iter_mut().for_each(|loot| loot.deleted = deleted);
        }
    }
    Ok(loot)
}

/// The plain files of a tar, for which a thief needs no more than names and sizes.
fn members(tar: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = tar.get(at..at + 512).filter(|header| header[0] != 0) {
        let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&header[range]).trim_end_matches(['\0', ' ']).to_owned();
        let size = usize::from_str_radix(text(124..136).trim(), 8).unwrap_or(0);
        if let Some(content) = tar.get(at + 512..at + 512 + size) {
            found.push((format!("/{}", text(0..100)), content));
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    found
}

fn search(found: &str, text: &[u8], loot: &mut Vec<Loot>) {
    let mut keep = |user: &str, password: &str, host: &str, seen: &str| {
        let host = host.trim_end_matches('/').to_owned();
        let whole = String::from_utf8_lossy(text);
        let line = whole.lines().find(|line| line.contains(seen)).unwrap_or_default().trim().to_owned();
        loot.push(Loot { found: found.to_owned(), line, deleted: false, user: user.to_owned(), password: Secret::new(password.to_owned()), host });
    };
    let capture = |pattern: &str| -> Vec<Vec<String>> {
        let Ok(pattern) = Regex::new(pattern) else { return Vec::new() };
        let texts = |groups: regex::bytes::Captures<'_>| {
            groups.iter().skip(1).flatten().map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned()).collect()
        };
        pattern.captures_iter(text).map(texts).collect()
    };
    for login in capture(r#"https://([^:/@\s"]+):([^:/@\s"]+)@([^/\s"]+)"#) {
        keep(&login[0], &login[1], &login[2], &login[1]);
    }
    for login in capture(r#""(?:https?://)?([^"/]+)[^"]*":\s*\{[^{}]*"auth":\s*"([A-Za-z0-9+/=]+)""#) {
        let decoded = STANDARD.decode(&login[1]).unwrap_or_default();
        if let Some((user, password)) = String::from_utf8_lossy(&decoded).split_once(':') {
            keep(user, password, &login[0], &login[1]);
        }
    }
}
