//! The fuzz targets without a fuzzer: seeds, what once broke them, and seeded damage to both. `.ci/fuzz` lets a fuzzer at them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::images::{CREATED, Packing, digest};
use crate::common::numbers::Numbers;
use crate::common::raw_tar::{Header, end, entry, file, pax, record, with_data};
use crate::hostile::{damage, nested_seeds, parts_of};

#[allow(dead_code)]
#[path = "../fuzz/targets.rs"]
mod targets;

use targets::TARGETS;

/// Damaged inputs for each target.
const DAMAGED: u64 = 1_500;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// Small sound inputs of each target.
fn seeds() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let tar = [
        entry("app/", b'5', b""),
        pax(&[("path", "a/long/name"), ("mtime", "1700000000.5"), ("size", "3")]),
        file("x", "abc"),
        entry("././@LongLink", b'L', &[b'n'; 130]),
        Header::new("link", b'2').link("../x").seal(),
        pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "s"), ("GNU.sparse.realsize", "5000")]),
        with_data(Header::new("s", b'0').size(515).seal(), &[&b"1\n4000\n3\n"[..], &[0; 503], b"xyz"].concat()),
        with_data(Header::new("old", b'S').field(257, b"ustar  \0").field(386, b"00000000000\0").field(398, b"00000000003\0").size(3).seal(), b"abc"),
        entry("g", b'g', &record("comment", "hello")),
        file("etc/.wh.gone", ""),
        end(),
    ]
    .concat();
    let small = [file("etc/os-release", "ID=test\n"), end()].concat();
    let picture = parts_of(&small).picture();
    let read = |name: &str| picture.files[name].clone();
    let blobs: Vec<Vec<u8>> =
        picture.files.iter().filter(|(name, bytes)| name.starts_with("blobs/") && bytes.starts_with(b"{")).map(|(_, bytes)| bytes.clone()).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": CREATED,
        "config": { "Env": ["PATH=/bin", "A=1"], "Labels": { "a": "b" }, "Volumes": { "/data": {} }, "Healthcheck": { "Test": ["CMD", "true"] } },
        "history": [{ "created_by": "ADD / # buildkit" }, { "created_by": "CMD [\"sh\"]", "empty_layer": true }],
        "rootfs": { "type": "layers", "diff_ids": [digest(b"1")] },
    });
    let configuration = "service: acme/shop\nfail-on: high\ndecoy: { host: decoy.example.com }\nenvironments:\n  production: { to: ghcr.io/acme/shop:1 }\n\
                         exceptions:\n  - { rule: github-personal-token, path: app/*, reason: a fixture, owner: ann, expires: 2030-01-01 }\n";
    let rule = "rules:\n  - id: acme-token\n    name: Acme token\n    severity: high\n    confidence: high\n    keywords: [acme_]\n    pattern: 'acme_[a-z0-9]{20}'\n";
    let gitleaks = "[[allowlists]]\nstopwords = ['sample']\n[[rules]]\nid = 'acme'\ndescription = 'Acme'\nregex = '''(?i)acme_([a-z0-9]{20})(?:[\\s\\x60]|$)'''\n\
                    entropy = 3.5\nkeywords = ['acme_']\npath = '''\\.env$'''\n[[rules.allowlists]]\nregexTarget = 'line'\nregexes = ['''^\\${x}''']\n";
    let kingfisher = "rules:\n  - name: Acme\n    id: kingfisher.acme.1\n    pattern: |\n      (?xi) acme (?:.|[\\n\\r]){0,32}? (?P<TOKEN> [a-z0-9]{20} ) \\b\n\
                      \x20   min_entropy: 3.3\n    confidence: medium\n    pattern_requirements: {min_digits: 2, ignore_if_contains: [x]}\n    examples: [a]\n";
    let record_line = json!({ "event": "intended", "hash": "00", "previous": "00", "run": "1", "sequence": 1, "time": CREATED, "version": 1 });
    let report = json!({
        "schema": "honeycrate/run/v1", "tool": { "version": "0.1.0", "ruleset": "00" }, "started": CREATED,
        "verdict": { "outcome": "passed", "fail_on": "high", "reasons": [] }, "source": { "reference": "oci:x", "platforms": [] },
        "coverage": { "layers": 1, "files": 2, "bytes": 3, "not_scanned": [], "anomalies": ["odd"] },
        "findings": [], "placements": [], "pushed": [], "notices": [], "timings": {},
    });
    let basic = "GET /v2/acme/shop/manifests/1?token=abcdefgh HTTP/1.1\nHost: decoy.example.com\nAuthorization: Basic dXNlcjpwYXNzd29yZA==\n\n{\"password\":\"abcdefgh\"}";
    let startup = [&[0, 0, 0, 32, 0, 3, 0, 0][..], b"user\0app\0database\0shop\0\0p\0\0\0\x0bsecret\0"].concat();
    let texts = |all: &[&str]| all.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    BTreeMap::from([
        ("tar", vec![tar.clone(), small.clone()]),
        ("nested", nested_seeds()),
        ("decompression", vec![Packing::Gzip.pack(&tar), Packing::Zstd.pack(&tar), [Packing::Gzip.pack(b"a"), Packing::Gzip.pack(b"b")].concat()]),
        ("manifest", [blobs.clone(), vec![read("index.json")]].concat()),
        ("config", [blobs, vec![config.to_string().into_bytes()]].concat()),
        (
            "names",
            texts(&[
                "ghcr.io/acme/shop:1.4",
                &format!("localhost:5000/a/b@{}", digest(b"1")),
                "docker-archive:shop.tar:acme/shop:1",
                "Bearer realm=\"https://auth.example.com/token\",service=\"registry\",scope=\"repository:acme/shop:pull,push\"\nBasic realm=\"x\"",
                "Wed, 21 Oct 2026 07:28:00 GMT",
                r#"{"auths":{"ghcr.io":{"auth":"dXNlcjpwYXNz"}},"credHelpers":{"quay.io":"pass"},"credsStore":"pass"}"#,
            ]),
        ),
        ("docker_archive", vec![picture.docker_archive()]),
        ("layout", vec![picture.oci_archive(), read("index.json")]),
        ("configuration", texts(&[configuration])),
        ("rules", texts(&[rule, gitleaks, kingfisher])),
        ("ledger", vec![record_line.to_string().into_bytes()]),
        ("decoy", [texts(&[basic]), vec![startup]].concat()),
        ("report", vec![report.to_string().into_bytes()]),
    ])
}

/// Inputs that once broke a target, by target.
fn regressions(target: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder("regressions").join(target)) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a regression")).collect()
}

#[test]
fn every_target_is_one_of_the_fuzzers_too() {
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).expect("the fuzzer's package");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
        assert!(folder("fuzz_targets").join(format!("{name}.rs")).is_file(), "{name} has no file in fuzz/fuzz_targets");
        assert!(!seeds()[name].is_empty(), "{name} has no seed");
    }
    for entry in std::fs::read_dir(folder("regressions")).expect("fuzz/regressions") {
        let name = entry.expect("an entry").file_name().into_string().expect("ASCII");
        assert!(name.starts_with('.') || TARGETS.iter().any(|(target, _)| *target == name), "fuzz/regressions/{name} belongs to no target");
    }
}

#[test]
fn targets_come_back_from_seeds_from_what_broke_them_and_from_damage() {
    for (name, target) in TARGETS {
        let pool = [seeds()[name].clone(), regressions(name)].concat();
        pool.iter().for_each(|input| target(input));
        // A rule file is compiled whole each time.
        let count = if name == "rules" { DAMAGED / 10 } else { DAMAGED };
        for seed in 0..count {
            let mut numbers = Numbers(seed);
            let mut input = numbers.pick(&pool).clone();
            damage(&mut input, &mut numbers);
            let shown = std::panic::catch_unwind(|| target(&input));
            assert!(shown.is_ok(), "the target {name} broke on damage {seed}: {}", input.escape_ascii());
        }
    }
}

/// Writes the seeds to where the fuzzer looks for its corpus.
#[test]
#[ignore = "`.ci/fuzz` runs it before the fuzzer"]
fn the_seeds_are_written_for_the_fuzzer() {
    for (name, inputs) in seeds() {
        let corpus = folder("corpus").join(name);
        std::fs::create_dir_all(&corpus).expect("the folder is writable");
        for (number, input) in inputs.into_iter().chain(regressions(name)).enumerate() {
            std::fs::write(corpus.join(format!("seed-{number}")), input).expect("the folder is writable");
        }
    }
}
