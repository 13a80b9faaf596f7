//! Nothing in a planted image is of ours, and what was added has the form of what was there.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::buildah::Buildah;
use crate::common::command::must;
use crate::common::honeycrate::{Honeycrate, holds, list};
use crate::common::images::{Image, Packing};

/// What would give us away, in small letters: the product, its trade, its parts, its crates, and the hosts of others who do the same.
const TELLS: [&str; 54] = [
    "honeycrate",
    "honeytoken",
    "honeypot",
    "honey",
    "canary",
    "canarytoken",
    "decoy",
    "bait",
    "tripwire",
    "trapdoor",
    "deception",
    "mousetrap",
    "lure",
    "planted",
    "placement",
    "surface=",
    "epoch=",
    "fingerprint",
    "embedded provider",
    "key-ring",
    "keyring",
    "src/bait",
    "bait::",
    "image::",
    "ledger",
    "sealed",
    "s3-keys",
    // Not vault-token: Vault itself calls a file so.
    "registry-login",
    "https-url",
    "pypi-index",
    "npm-index",
    "database-url",
    "run/v1",
    "rust",
    "cargo",
    "flate2",
    "tokio",
    "reqwest",
    "rustls",
    "serde",
    "clap",
    "hickory",
    "octocrab",
    "rusqlite",
    "thiserror",
    "zlib-rs",
    "canarytokens.com",
    "canarytokens.org",
    "thinkst",
    "gitguardian",
    "ggcanary",
    "spacecrab",
    "inf_ht_",
    "o3n.io",
];

const FILE_KINDS: [&str; 10] =
    ["registry-login", "database-url", "git-credentials", "pypi-index", "https-url", "npm-index", "kubeconfig", "s3-keys", "vault-token", "jwt"];

fn plant(honeycrate: &Honeycrate, source: &str, target: &Path) {
    let out = format!("oci:{}:latest", target.display());
    must(&mut honeycrate.command(&[
        "plant",
        source,
        "--out",
        &out,
        "--env",
        "production",
        "--service",
        "acme/shop",
        "--decoy",
        "ops.acme-internal.net",
    ]));
}

fn blob(layout: &Path, named: &Value) -> Vec<u8> {
    std::fs::read(layout.join(format!("blobs/{}", named["digest"].as_str().expect("a digest").replace(':', "/")))).expect("a layout")
}

fn manifest(layout: &Path) -> Value {
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("a layout")).expect("JSON");
    serde_json::from_slice(&blob(layout, &index["manifests"][0])).expect("JSON")
}

fn unpacked(blob: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    match blob {
        [0x1f, 0x8b, ..] => _ = flate2::read::GzDecoder::new(blob).read_to_end(&mut tar).expect("gzip"),
        [0x28, 0xb5, ..] => tar = zstd::decode_all(blob).expect("zstd"),
        _ => tar = blob.to_owned(),
    }
    tar
}

/// The headers of a tar whose names need no extension.
fn headers(tar: &[u8]) -> Vec<[u8; 512]> {
    let (mut headers, mut at) = (Vec::new(), 0);
    while let Some(block) = tar.get(at..at + 512).filter(|block| block[0] != 0) {
        let size = usize::from_str_radix(std::str::from_utf8(&block[124..135]).expect("octal"), 8).expect("octal");
        headers.push(block.try_into().expect("a block"));
        at += 512 + size.next_multiple_of(512);
    }
    headers
}

/// Four or five letters come up by chance in what is random: there they count as a word alone.
fn is_a_word(text: &str, at: usize, tell: &str) -> bool {
    let touches = |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_ascii_alphanumeric());
    tell.len() > 5 || !touches(text[..at].chars().next_back()) && !touches(text[at + tell.len()..].chars().next())
}

#[test]
fn no_string_of_ours_is_in_any_planted_image() {
    for (number, kind) in FILE_KINDS.into_iter().enumerate() {
        let packing = [Packing::Gzip, Packing::Zstd, Packing::Plain][number % 3];
        let (clean, planted, honeycrate) = (tempdir().expect("scratch"), tempdir().expect("scratch"), Honeycrate::new());
        let source = Image::shop().packing(packing).setting("Labels", json!({ "maintainer": "shop" })).write(clean.path());
        // Any kind can lie in a file, and be buried; the others take theirs in turn.
        let env = ["database-url", "https-url", "jwt", "s3-keys", "git-credentials"][number % 5];
        let config = format!("environments:\n  production:\n    kinds: {{ file: {kind}, buried: {kind}, env: {env} }}\n");
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), config).expect("the home is writable");
        plant(&honeycrate, &source, planted.path());
        let after = manifest(planted.path());
        let mut looked_at = vec![
            std::fs::read(planted.path().join("index.json")).expect("a layout"),
            after.to_string().into_bytes(),
            blob(planted.path(), &after["config"]),
        ];
        looked_at.extend(list(&after, "layers").iter().map(|layer| unpacked(&blob(planted.path(), layer))));
        assert!(list(&after, "layers").len() > list(&manifest(clean.path()), "layers").len());
        for bytes in looked_at {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            for tell in TELLS {
                let at = text.match_indices(tell).find(|(at, _)| is_a_word(&text, *at, tell)).map(|(at, _)| at);
                assert_eq!(at, None, "{kind}: `{tell}`");
            }
        }
    }
}

#[test]
fn new_layers_have_the_heads_and_headers_of_a_real_builders_own() {
    let (clean, planted, honeycrate) = (tempdir().expect("scratch"), tempdir().expect("scratch"), Honeycrate::new());
    let source = Buildah::new().build(clean.path());
    // A path of the owner's choice is deleted, and lies below no later version.
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "plant:\n  buried: { path: /opt/old/login.json }\n").expect("the home is writable");
    plant(&honeycrate, &source, planted.path());
    let (before, after) = (manifest(clean.path()), manifest(planted.path()));
    let old: Vec<Vec<u8>> = list(&before, "layers").iter().map(|layer| blob(clean.path(), layer)).collect();
    let new: Vec<Vec<u8>> =
        list(&after, "layers").iter().filter(|layer| !list(&before, "layers").contains(layer)).map(|layer| blob(planted.path(), layer)).collect();
    assert_eq!((new.len(), holds(list(&after, "layers"), list(&before, "layers"))), (4, true));
    let ends = |blob: &[u8]| (blob[..10].to_vec(), blob[blob.len() - 14..blob.len() - 8].to_vec());
    for blob in &new {
        assert_eq!(ends(blob), ends(&old[1]), "buildah packs with pgzip");
    }
    // Of a tar's header: the first digits of a mode, which tell of the kind, the dialect, the owners' names, the devices.
    let form = |header: &[u8; 512]| [&header[100..103], &header[257..345]].concat();
    let known: Vec<Vec<u8>> = old.iter().flat_map(|blob| headers(&unpacked(blob))).map(|header| form(&header)).collect();
    for header in new.iter().flat_map(|blob| headers(&unpacked(blob))) {
        assert!(known.contains(&form(&header)), "{}", String::from_utf8_lossy(&header));
    }
    // A deleted file leaves a whiteout without permissions.
    let whiteouts: Vec<_> =
        new.iter().flat_map(|blob| headers(&unpacked(blob))).filter(|header| header.windows(5).any(|part| part == b"/.wh.")).collect();
    assert!(whiteouts.len() == 1 && &whiteouts[0][100..107] == b"0000000");
}

#[test]
fn a_zstd_image_gets_zstd_layers() {
    let (clean, planted, honeycrate) = (tempdir().expect("scratch"), tempdir().expect("scratch"), Honeycrate::new());
    let source = Image::shop().packing(Packing::Zstd).write(clean.path());
    plant(&honeycrate, &source, planted.path());
    let after = manifest(planted.path());
    for layer in list(&after, "layers") {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
        assert_eq!(blob(planted.path(), layer)[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    }
}

#[test]
fn a_new_file_may_be_read_by_whoever_reads_its_neighbours() {
    let (clean, planted, honeycrate) = (tempdir().expect("scratch"), tempdir().expect("scratch"), Honeycrate::new());
    let source = Image::shop().write(clean.path());
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "plant:\n  file: { path: /app/config/registry.json }\n").expect("the home is writable");
    plant(&honeycrate, &source, planted.path());
    let after = manifest(planted.path());
    let all: Vec<_> = list(&after, "layers").iter().flat_map(|layer| headers(&unpacked(&blob(planted.path(), layer)))).collect();
    let of = |name: &str| all.iter().find(|header| header.starts_with(name.as_bytes())).map(|header| header[100..108].to_vec());
    assert_eq!(of("app/config/registry.json\0"), of("app/config/default.yml\0"));
    assert!(of("app/config/registry.json\0").is_some());
}
