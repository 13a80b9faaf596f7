//! What a scan can be pointed at besides images: Dockerfiles, what git has staged or ever held, an editor's text, and whole layouts.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use honeycrate::cli::args::Cli;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::common::command::{Ran, must, program, run, run_with_input};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, blob, github_token};
use crate::common::registry::{Auth, Registry};

/// A password without a form of its own: only its name tells what it is.
fn password(seed: u8) -> String {
    github_token(seed)[6..26].to_owned()
}

fn scan(honeycrate: &Honeycrate, arguments: &[&str]) -> Value {
    let arguments = [&["scan", "--cache", "off"], arguments].concat();
    honeycrate.reported(&mut honeycrate.command(&arguments)).report
}

/// Rule, path and line of each finding, in order of place.
fn places(report: &Value) -> Vec<(String, String, u64)> {
    let text = |found: &Value, name: &str| found[name].as_str().unwrap_or_default().to_owned();
    let mut places: Vec<_> =
        list(report, "findings").iter().map(|found| (text(found, "rule"), text(found, "path"), found["line"].as_u64().unwrap_or(0))).collect();
    places.sort_by(|a, b| (&a.1, a.2, &a.0).cmp(&(&b.1, b.2, &b.0)));
    places
}

/// A repository with somebody to commit.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new() -> Self {
        let own = Self { folder: tempdir().expect("scratch") };
        own.git(&["init", "-q", "-b", "main"]);
        own.git(&["config", "user.email", "ann@acme.example"]);
        own.git(&["config", "user.name", "ann"]);
        own
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn git(&self, arguments: &[&str]) -> String {
        std::fs::create_dir_all(self.path()).expect("the folder is writable");
        must(program("git", self.folder.path()).current_dir(self.path()).args(arguments)).trim().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
        std::fs::write(path, text).expect("the folder is writable");
    }

    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn scan(&self, honeycrate: &Honeycrate, arguments: &[&str]) -> Value {
        let arguments = [&["scan", "--cache", "off"], arguments].concat();
        honeycrate.reported(honeycrate.command(&arguments).current_dir(self.path())).report
    }
}

#[test]
fn a_dockerfile_is_read_as_a_builder_reads_it() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let split = github_token(3);
    let text = format!(
        "FROM alpine\nENV DB_PASSWORD {}\nARG API_SECRET={}\nENV A=1 \\\n    SPLIT={}\\\n{}\nLABEL secret_key \"{}\"\nRUN <<END\n\
         export SMTP_PASSWORD={}\nEND\nCOPY .npmrc package.json /root/\nONBUILD ENV ADMIN_PASSWORD {}\nCMD [\"run\", \"--password\", \"{}\"]\n\
         RUN mysql \\\n  # why\n  --password={} -e x\n",
        password(1),
        password(2),
        &split[..12],
        &split[12..],
        password(4),
        password(5),
        password(6),
        password(7),
        password(8)
    );
    let dockerfile = folder.path().join("Dockerfile.release");
    std::fs::write(&dockerfile, &text).expect("the folder is writable");
    let report = scan(&honeycrate, &[dockerfile.to_str().expect("UTF-8")]);
    let lines: Vec<u64> = places(&report).iter().map(|(_, _, line)| *line).collect();
    assert_eq!(lines, [2, 3, 5, 7, 9, 11, 12, 13, 16], "{:?}", places(&report));
    let of_line = |line: u64| list(&report, "findings").iter().find(|found| found["line"] == line).expect("found").clone();
    assert_eq!(of_line(2)["step"], "ENV DB_PASSWORD=(20 characters)");
    assert_eq!(of_line(12)["step"], "ONBUILD ENV ADMIN_PASSWORD=(20 characters)");
    assert_eq!(of_line(11)["rule"], "dockerfile-copies-credentials");
    assert_eq!(of_line(11)["step"], "COPY .npmrc package.json /root/");
    let line = of_line(2)["prevention"]["change"]["line"].as_str().expect("a line").to_owned();
    assert!(line.starts_with("RUN --mount=type=secret,id=db_password"), "{line}");
    for secret in (1..=8).map(password).chain([split]) {
        assert!(!report.to_string().contains(&secret), "a secret is in the report");
    }
    // The same text under another name has no instructions: what names a value without `=` is not seen.
    let plain = folder.path().join("notes.txt");
    std::fs::write(&plain, &text).expect("the folder is writable");
    let report = scan(&honeycrate, &[plain.to_str().expect("UTF-8")]);
    assert!(places(&report).len() < lines.len(), "{:?}", places(&report));
    assert!(list(&report, "findings").iter().all(|found| found.get("step").is_none()));
}

#[test]
fn an_archive_is_a_target_like_any_file_and_so_is_a_stream() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let token = github_token(9);
    std::fs::write(folder.path().join("app.conf"), format!("# one\ntoken={token}\n")).expect("the folder is writable");
    let python = "import gzip, zipfile; t = open('app.conf', 'rb').read(); zipfile.ZipFile('x.zip', 'w').writestr('etc/app.conf', t); \
                  open('dump.sql.gz', 'wb').write(gzip.compress(t))";
    must(program("python3", folder.path()).current_dir(folder.path()).args(["-c", python]));
    for (name, place) in [("x.zip", "x.zip!/etc/app.conf"), ("dump.sql.gz", "dump.sql.gz!/dump.sql")] {
        let path = folder.path().join(name).display().to_string();
        let report = scan(&honeycrate, &[&path]);
        let found = places(&report);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.ends_with(place) && found[0].2 == 2, "{found:?}");
        let bytes = std::fs::read(&path).expect("it is there");
        let ran = run_with_input(&mut honeycrate.command(&["scan", "-", "--cache", "off", "--format", "json"]), &bytes);
        let report: Value = serde_json::from_slice(&ran.stdout).expect("a report");
        assert_eq!((ran.code, list(&report, "findings").len(), &list(&report, "findings")[0]["line"]), (1, 1, &json!(2)), "{report}");
    }
}

#[test]
fn what_is_staged_is_scanned_as_it_would_be_committed() {
    let (honeycrate, repository) = (Honeycrate::new(), Repository::new());
    // Before the first commit.
    repository.write("deep/n\u{e4}me with blanks.env", &format!("A=1\nT={}\n", github_token(20)));
    repository.git(&["add", "--all"]);
    repository.write("deep/n\u{e4}me with blanks.env", "clean\n");
    repository.write("unstaged.env", &format!("T={}\n", github_token(21)));
    let report = repository.scan(&honeycrate, &["--staged"]);
    assert_eq!(places(&report), [("github-personal-token".to_owned(), "deep/n\u{e4}me with blanks.env".to_owned(), 2)]);
    assert_eq!(report["coverage"]["files"], 1);
    repository.git(&["reset", "-q"]);
    repository.commit("one");
    // What is committed already is not staged; a path that loses its secret is clean.
    assert_eq!(repository.scan(&honeycrate, &["--staged"])["coverage"]["files"], 0);
    repository.write("unstaged.env", "clean\n");
    repository.git(&["add", "--all"]);
    let below = repository.path().join("deep");
    let report = honeycrate.reported(honeycrate.command(&["scan", "--staged"]).current_dir(&below)).report;
    assert_eq!((&report["coverage"]["files"], list(&report, "findings").len()), (&json!(1), 0), "{report}");
}

#[test]
fn a_range_of_commits_holds_what_was_deleted_later() {
    let (honeycrate, repository) = (Honeycrate::new(), Repository::new());
    repository.write("old.env", &format!("T={}\n", github_token(30)));
    let base = repository.commit("one");
    repository.write("gone.env", &format!("A=1\nT={}\n", github_token(31)));
    let leak = repository.commit("two");
    repository.git(&["rm", "-q", "gone.env"]);
    repository.commit("three");
    repository.git(&["checkout", "-q", "-b", "side", &base]);
    repository.write("side.env", &format!("T={}\n", github_token(32)));
    repository.commit(&format!("a message with {}", github_token(33)));
    repository.git(&["checkout", "-q", "main"]);
    // A merge that brings in what neither side had.
    repository.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    repository.write("merge.env", &format!("T={}\n", github_token(34)));
    let merge = repository.commit("merged");

    let report = repository.scan(&honeycrate, &["--git", &format!("{base}..HEAD")]);
    let found: Vec<String> = places(&report).into_iter().map(|(_, path, line)| format!("{path}:{line}")).collect();
    assert_eq!(found, ["(commit message):1", "gone.env:2", "merge.env:1", "side.env:1"]);
    let commit = |path: &str| list(&report, "findings").iter().find(|found| found["path"] == path).map(|found| found["commit"].clone());
    assert_eq!((commit("gone.env"), commit("merge.env")), (Some(json!(leak)), Some(json!(merge))));
    let mut schema = crate::schema::Schema::read();
    assert_eq!(schema.problem(&report), None);
    let terminal = honeycrate.command(&["scan", "--cache", "off", "--git", &format!("{base}..{leak}")]).current_dir(repository.path()).output();
    let terminal = String::from_utf8(terminal.expect("it runs").stdout).expect("UTF-8");
    assert!(terminal.contains(&format!("gone.env:2:3 (commit {})", &leak[..12])), "{terminal}");

    let whole = scan(&honeycrate, &[&format!("git:{}", repository.path().display())]);
    assert_eq!(list(&whole, "findings").len(), 5, "the whole history");
    let one = scan(&honeycrate, &[&format!("git:{}#{base}", repository.path().display())]);
    assert_eq!(places(&one), [("github-personal-token".to_owned(), "old.env".to_owned(), 1)]);
}

#[test]
fn what_git_cannot_give_is_said_and_no_pass() {
    let (honeycrate, repository) = (Honeycrate::new(), Repository::new());
    repository.commit("one");
    let said = |command: &mut Command| -> Ran { run(command.current_dir(repository.path())) };
    let ran = said(&mut honeycrate.command(&["scan", "--git", "nowhere..HEAD"]));
    assert!(ran.code == 3 && ran.err().contains("nowhere..HEAD") && ran.err().contains("shallow"), "{}", ran.all());
    let ran = said(&mut honeycrate.command(&["scan", "--git", "--output=stolen"]));
    assert!(ran.code == 3 && ran.err().contains("no revision") && !repository.path().join("stolen").exists(), "{}", ran.all());
    let ran = run(honeycrate.command(&["scan", "--staged"]).current_dir(honeycrate.home()));
    assert!(ran.code == 3 && ran.err().contains("not a git repository"), "{}", ran.all());
    let program = env!("CARGO_BIN_EXE_honeycrate");
    let ran =
        run(Command::new(program).args(["scan", "--staged", "--cache", "off"]).env_clear().env("HOME", honeycrate.home()).env("PATH", "/nowhere"));
    assert!(ran.code == 3 && ran.err().contains("the git program is not installed"), "{}", ran.all());
    // An object that is not there was not scanned.
    repository.write("lost.env", "A=1\n");
    repository.git(&["add", "--all"]);
    let object = repository.git(&["rev-parse", ":lost.env"]);
    std::fs::remove_file(repository.path().join(".git/objects").join(&object[..2]).join(&object[2..])).expect("a loose object");
    let report = repository.scan(&honeycrate, &["--staged"]);
    assert_eq!(report["verdict"]["outcome"], "denied", "{report}");
    assert!(report["coverage"]["not_scanned"].to_string().contains("lost.env"), "{report}");
}

#[test]
fn a_repository_starts_no_program() {
    let (honeycrate, repository) = (Honeycrate::new(), Repository::new());
    repository.write("a.env", &format!("T={}\n", github_token(40)));
    repository.commit("one");
    repository.write("b.env", &format!("T={}\n", github_token(41)));
    repository.git(&["add", "--all"]);
    let trace = repository.folder.path().join("started");
    let script = repository.folder.path().join("script");
    std::fs::write(&script, format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", trace.display())).expect("written");
    must(program("chmod", repository.folder.path()).arg("+x").arg(&script));
    let script = script.display().to_string();
    repository.write(".git/info/attributes", "* diff=evil filter=evil\n");
    let settings = [
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "gpg.program",
        "credential.helper",
    ];
    for name in settings {
        repository.git(&["config", name, &script]);
    }
    for (name, value) in [("log.showSignature", "true"), ("core.hooksPath", "/nowhere"), ("diff.relative", "true")] {
        repository.git(&["config", name, value]);
    }
    let _ = std::fs::remove_file(&trace);
    // A `git` of its own, where PATH has folders that are named from where one stands.
    for folder in ["", "bin/"] {
        repository.write(&format!("{folder}git"), &format!("#!/bin/sh\necho own >> {}\n", trace.display()));
        must(program("chmod", repository.folder.path()).arg("+x").arg(repository.path().join(format!("{folder}git"))));
    }
    for arguments in [&["scan", "--staged"][..], &["scan", "--git", "--all"]] {
        let mut command = honeycrate.command(arguments);
        let ran = honeycrate.reported(command.current_dir(repository.path()).env("PATH", format!(".:bin:{}", crate::common::command::PATH)));
        assert_eq!(list(&ran.report, "findings").len(), 1, "{}", ran.ran.all());
    }
    assert_eq!(places(&repository.scan(&honeycrate, &["--staged"])).len(), 1);
    assert_eq!(places(&repository.scan(&honeycrate, &["--git", "--all"])).len(), 1);
    assert!(!trace.exists(), "{}", std::fs::read_to_string(&trace).unwrap_or_default());
}

#[test]
fn the_hook_for_pre_commit_is_a_command_that_denies_a_leak() {
    let hooks = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml")).expect("the hooks");
    let hooks: Value = serde_yaml::from_slice(&hooks).expect("YAML");
    let entry = hooks[0]["entry"].as_str().expect("an entry").to_owned();
    let words: Vec<&str> = entry.split(' ').collect();
    Cli::try_parse_from(&words).expect("a command of ours");
    assert_eq!((&hooks[0]["language"], &hooks[0]["pass_filenames"]), (&json!("system"), &json!(false)));
    let (honeycrate, repository) = (Honeycrate::new(), Repository::new());
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_honeycrate"));
    // As git runs a hook: with the index of the commit in a variable.
    let hook =
        format!("#!/bin/sh\nexec env HOME={} PATH={}:$PATH {entry}\n", honeycrate.home().display(), binary.parent().expect("a folder").display());
    repository.write(".git/hooks/pre-commit", &hook);
    must(program("chmod", honeycrate.home()).arg("+x").arg(repository.path().join(".git/hooks/pre-commit")));
    repository.write("a.env", "A=1\n");
    repository.commit("clean");
    repository.write("a.env", &format!("T={}\n", github_token(50)));
    let commit =
        |arguments: &[&str]| run(program("git", honeycrate.home()).current_dir(repository.path()).args(["commit", "-m", "leak"]).args(arguments));
    // Nothing is staged: `-a` and a path make an index of their own.
    for arguments in [&["-a"][..], &["a.env"]] {
        let ran = commit(arguments);
        assert!(ran.code != 0 && ran.all().contains("a.env:1:3"), "{arguments:?} {}", ran.all());
    }
    assert_eq!(repository.git(&["log", "--oneline"]).lines().count(), 1);
}

#[test]
fn an_editor_is_answered_line_by_line() {
    let honeycrate = Honeycrate::new();
    let token = github_token(60);
    std::fs::write(honeycrate.home().join("b.env"), format!("T={token}\n")).expect("the home is writable");
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), {
        let today = time::OffsetDateTime::now_utc().date();
        format!("exceptions:\n  - {{ path: 'test/**', reason: a fixture, owner: ann, expires: {today} }}\n")
    })
    .expect("the home is writable");
    let below = honeycrate.home().join("test/c.env").display().to_string();
    let large = format!("{{\"path\":\"x\",\"text\":\"{}\"}}", "a".repeat(17 << 20));
    let requests = [
        json!({ "id": 1, "path": "a.py", "text": format!("x\n\u{1f408} = '{token}'\n") }).to_string(),
        format!("{{\"path\": \"{token}"),
        json!({ "path": "/dev/zero" }).to_string(),
        large,
        String::new(),
        json!({ "id": "two", "path": "b.env" }).to_string(),
        json!({ "path": below, "text": format!("T={token}\n") }).to_string(),
        json!({ "path": "clean", "text": "nothing\n", "more": true }).to_string(),
    ];
    let ran = run_with_input(&mut honeycrate.command(&["scan", "--watch-json"]), requests.join("\n").as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.all());
    let answers: Vec<Value> = ran.out().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(answers.len(), 7, "{}", ran.all());
    let diagnostic = &answers[0]["diagnostics"][0];
    assert_eq!(answers[0]["id"], 1);
    assert_eq!(diagnostic["range"], json!({ "start": { "line": 1, "character": 6 }, "end": { "line": 1, "character": 46 } }));
    assert_eq!((&diagnostic["code"], &diagnostic["severity"]), (&json!("github-personal-token"), &json!(1)));
    for (at, why) in [(1, "no request"), (2, "it is no file"), (3, "at most")] {
        assert!(answers[at]["error"].as_str().is_some_and(|error| error.contains(why)), "{}", answers[at]);
    }
    assert_eq!((&answers[4]["id"], &answers[4]["diagnostics"][0]["range"]["start"]["character"]), (&json!("two"), &json!(2)));
    assert_eq!((list(&answers[5], "diagnostics").len(), &answers[5]["silenced"]), (0, &json!(1)));
    assert_eq!(list(&answers[6], "diagnostics").len(), 0);
    assert!(!ran.all().contains(&token), "a secret was told");
}

/// A layer with one file, as a builder packs it.
fn layer(path: &str, text: &str) -> Vec<u8> {
    let folder = tempdir().expect("scratch");
    Image::new().layer("COPY", &[(path, text)]).write(folder.path());
    let blobs = std::fs::read_dir(folder.path().join("blobs/sha256")).expect("blobs");
    let is_gzip = |bytes: &Vec<u8>| bytes.starts_with(&[0x1f, 0x8b]);
    blobs.map(|blob| std::fs::read(blob.expect("a file").path()).expect("readable")).find(is_gzip).expect("a layer")
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CACHE: &str = "application/vnd.buildkit.cacheconfig.v0";

/// Adds a line to `index.json`.
fn name(layout: &Path, mut line: Value, tag: &str) {
    let path = layout.join("index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).expect("an index")).expect("JSON");
    line["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    index["manifests"].as_array_mut().expect("a list").push(line);
    std::fs::write(&path, index.to_string()).expect("the folder is writable");
}

#[test]
fn a_layout_is_scanned_with_what_no_tag_names() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let layout = folder.path().join("layout");
    std::fs::create_dir(&layout).expect("the folder is writable");
    // The second takes the tag of the first.
    Image::shop().layer("COPY .env .", &[("app/.env", &format!("T={}\n", github_token(70)))]).write(&layout);
    let tagged = Image::shop().write(&layout);
    let before = scan(&honeycrate, &[&tagged]);
    assert_eq!(list(&before, "findings").len(), 0, "what is asked for by its tag is that image");
    // A blob that nothing names, and an image that lost a layer.
    blob(&layout, LAYER, &layer("srv/key", &format!("T={}\n", github_token(71))));
    let half = [
        blob(&layout, LAYER, &layer("srv/half", &format!("T={}\n", github_token(72)))),
        json!({ "mediaType": LAYER, "digest": format!("sha256:{}", "0".repeat(64)), "size": 9 }),
    ];
    let config = blob(&layout, "application/vnd.oci.image.config.v1+json", b"{}");
    blob(&layout, MANIFEST, json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": half }).to_string().as_bytes());

    let whole = format!("oci:{}", layout.display());
    let archive = folder.path().join("layout.tar");
    must(program("tar", folder.path()).arg("-cf").arg(&archive).arg("-C").arg(&layout).args(["blobs", "index.json", "oci-layout"]));
    for source in [whole.clone(), format!("oci-archive:{}", archive.display())] {
        let report = scan(&honeycrate, &[&source]);
        assert_eq!(report["verdict"]["outcome"], "denied", "{report}");
        let found = places(&report);
        let [untagged, half, unnamed] = &found[..] else { panic!("{found:?}") };
        assert!(untagged.1 == "app/.env" && half.1.starts_with("layer of an untagged manifest sha256:"), "{found:?}");
        assert!(unnamed.1.starts_with("unnamed blob sha256:") && unnamed.1.ends_with("!/srv/key"), "{found:?}");
        let of = |path: &str| list(&report, "findings").iter().find(|finding| finding["path"] == path).cloned().expect("found");
        assert!(of("app/.env")["platforms"][0].as_str().is_some_and(|name| name.contains("of untagged manifest sha256:")), "{report}");
        assert!(report["coverage"]["anomalies"].to_string().contains("lacks 1 of its blobs"), "{report}");
    }
    // Only what is shipped counts where something is shipped.
    let ran = run(&mut honeycrate.command(&["push", &tagged, &format!("oci:{}", folder.path().join("copy").display())]));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let copied = scan(&honeycrate, &[&format!("oci:{}", folder.path().join("copy").display())]);
    assert_eq!(list(&copied, "findings").len(), 0, "nothing of it travels along");
    // A file that is no blob was not looked at.
    std::fs::write(layout.join("blobs/sha256/partial.tmp"), "x").expect("the folder is writable");
    let report = scan(&honeycrate, &[&whole]);
    assert!(report["coverage"]["not_scanned"].to_string().contains("partial.tmp"), "{report}");
}

#[test]
fn several_images_of_a_layout_are_scanned_each_under_its_name() {
    let (honeycrate, folder) = (Honeycrate::new(), tempdir().expect("scratch"));
    let layout = folder.path();
    Image::shop().layer("COPY .env .", &[("app/.env", &format!("T={}\n", github_token(75)))]).write(layout);
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("an index")).expect("JSON");
    let first = index["manifests"][0].clone();
    Image::shop().write(layout);
    name(layout, first, "leaky");
    let report = scan(&honeycrate, &[&format!("oci:{}", layout.display())]);
    assert_eq!(report["findings"][0]["platforms"], json!(["linux/amd64 of leaky"]), "{report}");
    let names: Vec<_> = list(&report["source"], "platforms").iter().map(|platform| platform["platform"].clone()).collect();
    assert_eq!(names, ["linux/amd64 of latest", "linux/amd64 of leaky"]);
}

#[test]
fn a_build_cache_is_scanned_layer_by_layer_in_both_its_forms() {
    let honeycrate = Honeycrate::new();
    for (seed, is_manifest) in [(80, true), (81, false)] {
        let folder = tempdir().expect("scratch");
        let layout = folder.path();
        Image::shop().write(layout);
        let config = blob(layout, CACHE, br#"{"layers":[{"blob":"x"}],"records":[]}"#);
        let held = blob(layout, LAYER, &layer("root/.npmrc", &format!("T={}\n", github_token(seed))));
        let (kind, document) = if is_manifest {
            (MANIFEST, json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [held] }))
        } else {
            (INDEX, json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [held, config] }))
        };
        let line = blob(layout, kind, document.to_string().as_bytes());
        name(layout, line, "cache");
        for source in [format!("oci:{}", layout.display()), format!("oci:{}:cache", layout.display())] {
            let report = scan(&honeycrate, &[&source]);
            let found = places(&report);
            assert_eq!(found.len(), 1, "{source} {report}");
            assert!(found[0].1.starts_with("build cache sha256:") && found[0].1.ends_with("!/root/.npmrc"), "{found:?}");
        }
        let ran = run(&mut honeycrate.command(&["push", &format!("oci:{}:cache", layout.display()), "oci:elsewhere"]));
        assert_eq!(ran.code, 3, "a cache is no image: {}", ran.all());
    }
}

#[test]
fn what_refers_to_an_image_in_a_registry_is_scanned_on_request() {
    let (honeycrate, registry, folder) = (Honeycrate::new(), Registry::plain(Auth::None), tempdir().expect("scratch"));
    let image = Image::shop().write(folder.path());
    let reference = registry.reference("acme/shop:1");
    let ran = run(&mut honeycrate.command(&["push", &image, &reference]));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let index: Value = serde_json::from_slice(&std::fs::read(folder.path().join("index.json")).expect("an index")).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest").replace(':', "-");
    // cosign's way: the SBOM is an image under a tag that names the digest.
    let sbom = tempdir().expect("scratch");
    let sbom_image = Image::new().layer("sbom", &[("sbom.json", &format!("{{\"token\": \"{}\"}}\n", github_token(90)))]).write(sbom.path());
    let ran = run(&mut honeycrate.command(&["push", &sbom_image, &registry.reference(&format!("acme/shop:{digest}.sbom"))]));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let source = format!("docker://{reference}");
    assert_eq!(list(&scan(&honeycrate, &[&source]), "findings").len(), 0);
    let report = scan(&honeycrate, &[&source, "--referrers"]);
    let found = places(&report);
    assert!(found.len() == 1 && found[0].1.starts_with("SBOM sha256:") && found[0].1.ends_with("!/sbom.json"), "{report}");
    let ran = run(&mut honeycrate.command(&["scan", &image, "--referrers"]));
    assert!(ran.code == 2 && ran.err().contains("--referrers"), "{}", ran.all());
}
