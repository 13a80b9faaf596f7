//! What the ignore lists do to the scanners that they are for: bait is passed over, and every other finding stays.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use honeycrate::bait::kinds::on;
use honeycrate::bait::surfaces::Surface;

use crate::common::command::{must, program, run};
use crate::common::honeycrate::Honeycrate;
use crate::common::images::Image;

const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Findings, each an image, a rule and what it found, and how often.
type Findings = BTreeMap<(String, String, String), usize>;

/// Characters that nobody chose.
fn random(seed: &str, length: usize, alphabet: &str) -> String {
    let digests = (0..).flat_map(|part| Sha256::digest(format!("{seed}/{part}")).to_vec());
    digests.take(length).map(|byte| char::from(alphabet.as_bytes()[usize::from(byte) % alphabet.len()])).collect()
}

/// Secrets as they leak, of the kinds that bait has and of others: real ones in the eyes of a scanner.
fn secret(seed: &str, number: usize) -> String {
    match number % 9 {
        0 => ["gl", "pat-", &random(seed, 20, BASE62)].concat(),
        1 => ["gh", "p_", &random(seed, 36, BASE62)].concat(),
        2 => ["np", "m_", &random(seed, 36, BASE62)].concat(),
        3 => ["AK", "IA", &random(seed, 16, BASE32)].concat(),
        4 => ["hv", "s.CAESI", &random(seed, 90, BASE62)].concat(),
        5 => format!("postgresql://orders:{}@db.internal.acme.io/orders", random(seed, 24, BASE62)),
        6 => ["xo", "xb-2081742", &random(seed, 4, "0123456789"), "-2081742991145-", &random(seed, 24, BASE62)].concat(),
        7 => ["sk_", "live_", &random(seed, 24, BASE62)].concat(),
        _ => format!("https://deploy:{}@git.acme.io/acme/shop.git", random(seed, 20, BASE62)),
    }
}

/// An image with leaks in files, in a deleted one, in variables and in a label.
fn leaky(number: usize) -> Image {
    let at = |place: usize| secret(&format!("{number}/{place}"), number + place);
    let env = format!("# settings\nORDERS_TOKEN={}\nLOG=info\n", at(0));
    let notes = format!("curl -H 'Authorization: Bearer {}' https://api.acme.io\n", at(1));
    let gone = format!("export RELEASE_TOKEN={}\n", at(2));
    let path = format!("app/service{}/.env", number % 7);
    let mut image = Image::shop()
        .layer("COPY . /app # buildkit", &[(&path, &env), ("app/notes.txt", &notes), ("root/.secrets", &gone)])
        .layer("RUN rm /root/.secrets # buildkit", &[("root/.wh..secrets", "")]);
    if !number.is_multiple_of(3) {
        image = image.env("LEGACY_TOKEN", &at(3));
    }
    // Beside the bait's, under the same rule.
    image = image.env("UPSTREAM_TOKEN", &secret(&format!("{number}/4"), 0));
    image.setting("Labels", json!({ "io.acme.deploy": at(5) }))
}

/// Plants some images, and unpacks each as it was and as it is: a folder for each layer, the config beside them.
fn rooms(honeycrate: &Honeycrate, room: &Path, count: usize) -> (PathBuf, PathBuf) {
    let (clean, planted) = (room.join("clean"), room.join("planted"));
    for number in 0..count {
        let layouts = tempdir().expect("scratch");
        let (before, after) = (layouts.path().join("before"), layouts.path().join("after"));
        let source = leaky(number).write(&before);
        let kind = |surface| {
            let kinds: Vec<&str> = on(surface).filter(|kind| kind.self_telling().is_some()).map(|kind| kind.id()).collect();
            kinds[number % kinds.len()]
        };
        let kinds: Vec<String> = Surface::ALL.iter().map(|surface| format!("{surface}: {}", kind(*surface))).collect();
        let config = format!("environments:\n  production:\n    kinds: {{ {} }}\n", kinds.join(", "));
        std::fs::write(honeycrate.home().join("honeycrate.yaml"), config).expect("the home is writable");
        let (target, service) = (format!("oci:{}:latest", after.display()), format!("acme/shop{number}"));
        must(&mut honeycrate.command(&[
            "plant",
            &source,
            "--out",
            &target,
            "--env",
            "production",
            "--service",
            &service,
            "--decoy",
            "decoy.acme.io",
        ]));
        unpack(&before, &clean.join(format!("image-{number}")));
        unpack(&after, &planted.join(format!("image-{number}")));
    }
    (clean, planted)
}

fn unpack(layout: &Path, room: &Path) {
    let parse = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a layout")).expect("JSON") };
    let blob = |blob: &Value| layout.join("blobs").join(text(&blob["digest"]).replace(':', "/"));
    let manifest = parse(&blob(&parse(&layout.join("index.json"))["manifests"][0]));
    std::fs::create_dir_all(room).expect("scratch");
    std::fs::copy(blob(&manifest["config"]), room.join("config.json")).expect("scratch");
    for (number, layer) in manifest["layers"].as_array().expect("layers").iter().enumerate() {
        let folder = room.join(format!("{number}"));
        std::fs::create_dir_all(&folder).expect("scratch");
        must(program("tar", &folder).arg("-xzf").arg(blob(layer)).arg("-C").arg(&folder));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A scanner that was run on a room, with a list or without.
fn scan(scanner: &str, room: &Path, list: Option<&Path>) -> Findings {
    let scratch = tempdir().expect("scratch");
    let mut found = Findings::new();
    let mut tell = |path: &str, rule: String, secret: String| {
        let image = Path::new(path).strip_prefix(room).unwrap_or(Path::new(path)).components().next().expect("an image");
        *found.entry((image.as_os_str().to_string_lossy().into_owned(), rule, secret)).or_default() += 1;
    };
    let option = |command: &mut Command, name: &str| {
        list.map(|list| command.arg(name).arg(list));
    };
    match scanner {
        "gitleaks" => {
            let report = scratch.path().join("report.json");
            let mut command = offline(venv(scanner), scratch.path());
            option(&mut command, "--config");
            must(command.args(["dir", "--no-banner", "--exit-code", "0", "--report-path"]).arg(&report).arg(room));
            let findings: Value = serde_json::from_slice(&std::fs::read(report).expect("a report")).expect("JSON");
            findings.as_array().expect("a list").iter().for_each(|one| tell(&text(&one["File"]), text(&one["RuleID"]), text(&one["Secret"])));
        }
        "kingfisher" => {
            let mut command = offline(venv(scanner), scratch.path());
            command.env("KF_RULE_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/kingfisher"));
            command.args(["scan", "--no-validate", "--no-update-check", "--no-dedup", "--quiet", "--format", "jsonl"]);
            option(&mut command, "--config");
            let ran = run(command.arg(room));
            assert!([0, 200, 205].contains(&ran.code), "{}", ran.all());
            for one in ran.out().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|one| one["finding"].is_object()) {
                tell(&text(&one["finding"]["path"]), text(&one["rule"]["id"]), text(&one["finding"]["snippet"]));
            }
        }
        "trivy" => {
            let mut command = offline(std::env::var_os("TRIVY").expect("it names the program").into(), scratch.path());
            command.args(["filesystem", "--quiet", "--offline-scan", "--scanners", "secret", "--format", "json", "--cache-dir"]).arg(scratch.path());
            option(&mut command, "--secret-config");
            let report: Value = serde_json::from_str(&must(command.arg(room))).expect("JSON");
            for result in report["Results"].as_array().into_iter().flatten() {
                for secret in result["Secrets"].as_array().into_iter().flatten() {
                    // It hides what it finds: what stands around the stars has to do, and where the file is not the config, its path.
                    let target = text(&result["Target"]);
                    tell(&target, text(&secret["RuleID"]), if target.ends_with("config.json") { String::new() } else { target.clone() });
                }
            }
        }
        _ => {
            let mut command = offline(std::env::var_os("TRUFFLEHOG").expect("it names the program").into(), scratch.path());
            let all = must(command.args(["filesystem", "--no-verification", "--no-update", "--json", "--results=unverified"]).arg(room));
            let report = scratch.path().join("report.json");
            std::fs::write(&report, all).expect("scratch");
            let left = list.map(|list| must(program("jq", scratch.path()).args(["--compact-output", "--from-file"]).arg(list).arg(&report)));
            let left = left.unwrap_or_else(|| std::fs::read_to_string(&report).expect("a report"));
            for one in left.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|one| one["DetectorName"].is_string()) {
                tell(
                    &text(&one["SourceMetadata"]["Data"]["Filesystem"]["file"]),
                    text(&one["DetectorName"]),
                    text(&one["Raw"]) + &text(&one["RawV2"]),
                );
            }
        }
    }
    found
}

fn venv(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin").join(name)
}

/// A program without a network.
fn offline(name: PathBuf, home: &Path) -> Command {
    let mut command = program("unshare", home);
    command.arg("--net").arg(name);
    command
}

/// Scans `count` images before and after planting, without and with a list, and compares. Says what there was.
#[expect(clippy::print_stderr, reason = "the counts are for people who ask for them")]
fn compare(count: usize, scanners: &[&str]) {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let (clean, planted) = rooms(&honeycrate, folder.path(), count);
    for scanner in scanners {
        let list = honeycrate.home().join(format!("{scanner}.list"));
        let list_path = list.to_str().expect("UTF-8");
        must(&mut honeycrate.command(&["token", "ignore-list", "--for", scanner, "--out", list_path]));
        let real = scan(scanner, &clean, None);
        let all = scan(scanner, &planted, None);
        let left = scan(scanner, &planted, Some(&list));
        let total = |findings: &Findings| findings.values().sum::<usize>();
        let lost: Vec<_> = real.iter().filter(|(what, count)| left.get(*what).copied().unwrap_or_default() < **count).map(|(what, _)| what).collect();
        assert!(lost.is_empty(), "{scanner} no longer finds {lost:#?}");
        let bait: Vec<_> = left.iter().filter(|(what, count)| real.get(*what).copied().unwrap_or_default() < **count).map(|(what, _)| what).collect();
        assert!(bait.is_empty(), "{scanner} still finds {bait:#?}");
        assert!(total(&real) >= 3 * count && total(&all) >= total(&real) + 2 * count, "{scanner} finds too little to tell");
        let (findings, images) = (total(&real), count);
        eprintln!("{scanner}, {images} images: {} findings of bait silenced, {findings} of {findings} others left", total(&all) - findings);
    }
}

#[test]
fn gitleaks_and_kingfisher_pass_over_bait_and_over_nothing_else() {
    compare(10, &["gitleaks", "kingfisher"]);
}

/// Minutes. With TRUFFLEHOG and TRIVY naming their programs, these are run as well; TruffleHog's list is for jq.
#[test]
#[ignore = "two hundred images, past all scanners that there are: minutes"]
fn two_hundred_images_keep_their_findings_and_lose_their_bait() {
    let others = [("trufflehog", "TRUFFLEHOG"), ("trivy", "TRIVY")];
    let others = others.into_iter().filter(|(_, variable)| std::env::var_os(variable).is_some()).map(|(name, _)| name);
    compare(200, &["gitleaks", "kingfisher"].into_iter().chain(others).collect::<Vec<_>>());
}

#[test]
fn a_list_lies_outside_of_work_trees_for_its_owner_alone_and_says_when_it_is_out_of_date() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(&folder.path().join("layout"));
    let target = format!("oci:{}:latest", folder.path().join("planted").display());
    must(&mut honeycrate.command(&["plant", &source, "--out", &target, "--env", "production", "--service", "acme/shop", "--decoy", "decoy.acme.io"]));
    let write = |scanner: &str, out: &Path, more: &[&str]| {
        let out = out.to_str().expect("UTF-8");
        run(honeycrate.command(&["token", "ignore-list", "--for", scanner, "--out", out]).args(more))
    };
    // By the ledger, and by the image alone.
    let [by_ledger, by_image] = ["by-ledger", "by-image"].map(|name| honeycrate.home().join(name));
    for scanner in ["gitleaks", "trufflehog", "kingfisher", "trivy", "ggshield"] {
        for (out, more) in [(&by_ledger, &[][..]), (&by_image, &[target.as_str()][..])] {
            let _ = std::fs::remove_file(out);
            let wrote = write(scanner, out, more);
            assert_eq!(wrote.code, 0, "{}", wrote.all());
            assert!(wrote.out().starts_with(&format!("wrote 4 honeytokens for {scanner} to ")), "{}", wrote.all());
            assert_eq!(out.metadata().expect("written").permissions().mode() & 0o777, 0o600);
        }
        let [by_ledger, by_image] = [&by_ledger, &by_image].map(|path| std::fs::read_to_string(path).expect("written"));
        assert_eq!(by_ledger, by_image, "{scanner}");
    }
    // Never where it could be committed, and over nothing that is no list.
    let tree = honeycrate.home().join("tree");
    std::fs::create_dir_all(tree.join(".git")).expect("scratch");
    let refused = write("gitleaks", &tree.join("list.toml"), &[]);
    assert!(refused.code == 2 && refused.err().contains("git work tree") && !tree.join("list.toml").exists(), "{}", refused.all());
    let other = honeycrate.home().join("honeycrate.yaml");
    std::fs::write(&other, "service: shop\n").expect("scratch");
    let refused = write("gitleaks", &other, &[]);
    assert!(refused.code == 2 && std::fs::read_to_string(&other).expect("kept") == "service: shop\n", "{}", refused.all());
    // How long it is good, and that it is renewed.
    let check = |path: &Path| honeycrate.run(&["token", "ignore-list", "--check", path.to_str().expect("UTF-8")]);
    let good = check(&by_ledger);
    assert!(good.code == 0 && good.out().contains(": 90 days more"), "{}", good.all());
    let old = std::fs::read_to_string(&by_ledger).expect("written");
    let last = old.split_once("# until ").and_then(|(_, rest)| rest.split_once(':')).expect("a heading").0.to_owned();
    std::fs::write(&by_ledger, old.replace(&last, "2020-02-29")).expect("scratch");
    let past = check(&by_ledger);
    assert!(past.code == 1 && past.out().contains("out of date since 2020-02-29"), "{}", past.all());
    let renewed = write("ggshield", &by_ledger, &["--days", "7"]);
    assert!(renewed.out().contains("had been out of date since 2020-02-29"), "{}", renewed.all());
    assert!(check(&by_ledger).out().contains(": 7 days more"), "{}", check(&by_ledger).all());
    // The key makes the bait the owner's: another's list is empty, and without one there is none.
    let stranger =
        run(Honeycrate::stranger().command(&["token", "ignore-list", "--for", "trivy", "--out", "x", &target]).env("HOME", "/nonexistent"));
    assert_eq!(stranger.code, 2, "{}", stranger.all());
}
