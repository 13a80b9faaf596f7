//! `honeycrate ci`: a step that is told everything by variables, and leaves reports and outputs whatever comes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::change::of_a_job;
use crate::common::command::{Ran, must, program, run};
use crate::common::forge::{Forge, TOKEN};
use crate::common::honeycrate::{Honeycrate, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};

/// A runner with a forge: the variables of one job, and where its files lie.
struct Runner {
    honeycrate: Honeycrate,
    forge: Forge,
    folder: TempDir,
}

/// How a step ended.
struct Ended {
    ran: Ran,
    outputs: BTreeMap<String, String>,
    summary: String,
}

impl Runner {
    fn new() -> Self {
        Self { honeycrate: Honeycrate::new(), forge: Forge::start(), folder: tempdir().expect("scratch") }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The step of a job for pull request 7 whose code is `head`'s.
    fn step(&self, head: &str, inputs: &[(&str, &str)]) -> Ended {
        let mut command = self.honeycrate.command(&["ci"]);
        of_a_job(&mut command, &self.honeycrate, &self.forge, head);
        self.run(command.env("GITHUB_TOKEN", TOKEN), inputs)
    }

    fn run(&self, command: &mut Command, inputs: &[(&str, &str)]) -> Ended {
        let (output, summary) = (self.at("output"), self.at("summary"));
        [&output, &summary].into_iter().for_each(|path| _ = std::fs::remove_file(path));
        command.env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary).env("RUNNER_TEMP", self.folder.path());
        inputs.iter().for_each(|(name, value)| _ = command.env(format!("HONEYCRATE_{name}"), value));
        let ran = run(command);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let outputs =
            read(&output).lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ended { ran, outputs, summary: read(&summary) }
    }

    fn image(&self, image: Image) -> String {
        image.write(&self.at("image"))
    }
}

impl Ended {
    fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output {name}: {}", self.ran.all()))
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.output(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = program("git", folder);
    git.current_dir(folder).args(["-c", "user.name=ann", "-c", "user.email=ann@acme.example", "-c", "init.defaultBranch=main"]);
    must(git.args(arguments)).trim().to_owned()
}

#[test]
fn a_step_ships_and_tells_later_steps_what_it_shipped() {
    let (runner, registry) = (Runner::new(), Registry::plain(Auth::None));
    let image = runner.image(Image::shop());
    let to = format!("\n {} \n", registry.reference("acme/shop:1"));
    let shipped = runner.step("acme/shop", &[("IMAGE", &image), ("TO", &to), ("ENVIRONMENT", "production"), ("DECOY", "decoy.acme.example")]);
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let outputs = ["verdict", "exit-code", "findings", "new-findings", "highest-severity"].map(|name| shipped.output(name));
    assert_eq!(outputs, ["passed", "0", "0", "0", "none"]);
    let digest = shipped.output("image-digest");
    assert_eq!(shipped.output("image-ref"), format!("{}@{digest}", registry.reference("acme/shop")));
    let report: Value = serde_json::from_str(&shipped.file("report-file")).expect("JSON");
    assert_eq!(report["pushed"][0]["digest"], digest);
    assert_eq!(list(&report, "placements").len(), 4, "the owner's report has them");
    for published in [shipped.ran.all(), shipped.summary.clone(), shipped.file("summary-file"), shipped.file("sarif-file")] {
        assert!(!published.contains("registry-login") && !published.contains("buried"), "{published}");
    }
    assert_eq!(runner.forge.comments(), [""; 0], "nothing to say, nothing said");

    // Without a key nothing can be planted: the image is shipped as it is, and an owner who insists is told what is missing.
    let bare = Runner { honeycrate: Honeycrate::stranger(), ..runner };
    let inputs = [("IMAGE", image.as_str()), ("TO", to.as_str())];
    let unplanted = bare.step("acme/shop", &inputs);
    assert_eq!(unplanted.ran.code, 0, "{}", unplanted.ran.all());
    assert_eq!(list(&serde_json::from_str(&unplanted.file("report-file")).expect("JSON"), "placements").len(), 0);
    let said = |ended: &Ended| ended.ran.out().lines().filter(|line| line.contains("honeytoken")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(said(&unplanted), said(&shipped), "a public log does not tell whether there is bait");
    let insisted = bare.step("acme/shop", &[inputs[0], inputs[1], ("PLANT", "true")]);
    assert_eq!((insisted.ran.code, insisted.output("verdict")), (2, "error"), "{}", insisted.ran.all());
}

#[test]
fn a_denied_image_goes_nowhere_and_every_channel_says_why() {
    let (runner, registry) = (Runner::new(), Registry::plain(Auth::None));
    let secret = github_token(31);
    let image = runner.image(Image::shop().env("GITHUB", &secret));
    let to = registry.reference("acme/shop:1");
    let inputs = [("IMAGE", image.as_str()), ("TO", to.as_str()), ("PLANT", "false")];
    let denied = runner.step("acme/shop", &inputs);
    assert_eq!(denied.ran.code, 1, "{}", denied.ran.all());
    let outputs = ["verdict", "exit-code", "new-findings", "image-digest"].map(|name| denied.output(name));
    assert_eq!(outputs, ["denied", "1", "1", ""]);
    assert_eq!((registry.writes().len(), runner.forge.comments().len()), (0, 1));
    for told in [denied.ran.all(), denied.summary.clone(), runner.forge.comments().concat(), denied.file("sarif-file")] {
        assert!(told.contains("github-personal-token") && !told.contains(&secret), "{told}");
    }

    // The baseline that the step wrote makes the next run green, and what is warned of is shipped.
    let known = runner.at("known.yaml");
    std::fs::copy(denied.output("baseline-file"), &known).expect("copied");
    let green = runner.step("acme/shop", &[inputs[0], inputs[1], inputs[2], ("BASELINE", known.to_str().expect("UTF-8"))]);
    let outputs = ["verdict", "findings", "new-findings"].map(|name| green.output(name));
    assert_eq!((green.ran.code, outputs), (0, ["passed", "1", "0"]), "{}", green.ran.all());
    let warned = runner.step("acme/shop", &[inputs[0], inputs[1], inputs[2], ("ENFORCE", "warn")]);
    assert_eq!((warned.ran.code, warned.output("verdict")), (0, "warned"), "{}", warned.ran.all());
    assert!(warned.output("image-digest").starts_with("sha256:") && runner.forge.comments().concat().contains("warned"));
}

#[test]
fn a_step_that_cannot_begin_leaves_valid_reports_and_says_why() {
    let runner = Runner::new();
    let ended = runner.step("acme/shop", &[("FAIL_ON", "severe"), ("COMMENT", "sometimes")]);
    assert_eq!((ended.ran.code, ended.output("verdict"), ended.output("exit-code")), (2, "error", "2"), "{}", ended.ran.all());
    for problem in ["no image is named", "never, on-findings, always"] {
        assert!(ended.ran.err().contains(problem) && ended.summary.contains(problem), "{}\n{}", ended.ran.all(), ended.summary);
    }
    let sarif: Value = serde_json::from_str(&ended.file("sarif-file")).expect("JSON");
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn a_strangers_change_is_judged_by_the_policy_of_the_branch_that_it_goes_to() {
    let runner = Runner::new();
    let secret = github_token(32);
    let image = runner.image(Image::shop().env("GITHUB", &secret));
    let tree = runner.at("tree");
    std::fs::create_dir_all(tree.join("policy")).expect("made");
    let write = |path: &str, text: &str| std::fs::write(tree.join(path), text).expect("written");
    git(&tree, &["init", "-q"]);
    write("honeycrate.yaml", "service: acme/of-the-base\nrules: [policy]\n");
    write("policy/own.yaml", "rulez: []\n");
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-qm", "base"]);
    let base = git(&tree, &["rev-parse", "HEAD"]);
    // What the stranger brings: a policy by which everything passes.
    write("honeycrate.yaml", "fail-on: none\n");
    let exception = "- { rule: github-personal-token, reason: mine, owner: mallory, expires: 2026-12-31 }\n";
    write(".honeycrateignore", exception);
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-qm", "change"]);

    let with = |head: &str, base: &str, inputs: &[(&str, &str)]| {
        let mut command = runner.honeycrate.command(&["ci"]);
        of_a_job(&mut command, &runner.honeycrate, &runner.forge, head);
        let event = runner.honeycrate.home().join("event.json");
        let mut payload: Value = serde_json::from_slice(&std::fs::read(&event).expect("an event")).expect("JSON");
        payload["pull_request"]["base"]["sha"] = json!(base);
        std::fs::write(&event, payload.to_string()).expect("written");
        let inputs: Vec<(&str, &str)> = [("IMAGE", image.as_str())].into_iter().chain(inputs.iter().copied()).collect();
        runner.run(command.current_dir(&tree), &inputs)
    };
    let step = |head: &str, base: &str| with(head, base, &[]);
    let own = step("acme/shop", &base);
    assert_eq!(own.ran.code, 0, "the repository's own change brings its own policy: {}", own.ran.all());
    let strangers = step("mallory/shop", &base);
    assert_eq!(
        (strangers.ran.code, strangers.output("verdict")),
        (2, "error"),
        "the rules of the base are read, and are wrong: {}",
        strangers.ran.all()
    );
    assert!(strangers.ran.err().contains("own.yaml"), "{}", strangers.ran.all());

    // The same however it is named; and the own policy as well.
    let absolute = tree.join("honeycrate.yaml").display().to_string();
    for name in ["honeycrate.yaml", "./policy/../honeycrate.yaml", &absolute] {
        let named = with("mallory/shop", &base, &[("CONFIG", name)]);
        assert_eq!((named.ran.code, named.ran.err().contains("own.yaml")), (2, true), "{name}: {}", named.ran.all());
        assert_eq!(with("acme/shop", &base, &[("CONFIG", name)]).ran.code, 0, "{name}");
    }

    // A clone of the newest commit alone has no base: the forge does, a folder of rules with it.
    let shallow = runner.at("shallow");
    git(&tree, &["clone", "-q", "--depth=1", &format!("file://{}", tree.display()), shallow.to_str().expect("UTF-8")]);
    let from_forge = |rules: &str| {
        for (path, text) in [("honeycrate.yaml", "rules: [policy]\n"), ("policy/own.yaml", rules)] {
            runner.forge.put_file(&base, path, text.as_bytes());
        }
        let mut command = runner.honeycrate.command(&["ci"]);
        of_a_job(&mut command, &runner.honeycrate, &runner.forge, "mallory/shop");
        let event = runner.honeycrate.home().join("event.json");
        let mut payload: Value = serde_json::from_slice(&std::fs::read(&event).expect("an event")).expect("JSON");
        payload["pull_request"]["base"]["sha"] = json!(base);
        std::fs::write(&event, payload.to_string()).expect("written");
        runner.run(command.env("GITHUB_TOKEN", TOKEN).current_dir(&shallow), &[("IMAGE", &image)])
    };
    let wrong = from_forge("rulez: []\n");
    assert_eq!((wrong.ran.code, wrong.ran.err().contains("own.yaml")), (2, true), "{}", wrong.ran.all());
    let right = from_forge("rules: []\n");
    assert_eq!((right.ran.code, right.output("verdict")), (1, "denied"), "{}", right.ran.all());

    let around = with("mallory/shop", &base, &[("CONFIG", "/proc/self/cwd/honeycrate.yaml")]);
    assert_eq!((around.ran.code, around.ran.err().contains("a stranger's")), (2, true), "{}", around.ran.all());

    git(&tree, &["checkout", "-q", &base]);
    write("honeycrate.yaml", "service: acme/of-the-base\n");
    write(".honeycrateignore", &exception.replace("mallory", "ann"));
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-qm", "another base"]);
    let lenient = git(&tree, &["rev-parse", "HEAD"]);
    git(&tree, &["rm", "-q", "--cached", "-r", "."]);
    std::fs::remove_file(tree.join(".honeycrateignore")).expect("removed");
    let excepted = step("mallory/shop", &lenient);
    assert_eq!((excepted.ran.code, excepted.output("findings"), excepted.output("new-findings")), (0, "1", "0"), "{}", excepted.ran.all());

    // A base that neither the clone nor the forge has might be stricter than the built-in policy. Where none is named, that one holds.
    let unknown = step("mallory/shop", &"7".repeat(40));
    assert_eq!((unknown.ran.code, unknown.output("verdict")), (2, "error"), "{}", unknown.ran.all());
    assert!(unknown.ran.err().contains("fetch-depth: 0") && unknown.summary.contains("cannot be read"), "{}", unknown.ran.all());
    let unnamed = step("mallory/shop", "");
    assert_eq!((unnamed.ran.code, unnamed.output("verdict")), (1, "denied"), "{}", unnamed.ran.all());
    assert!(unnamed.ran.err().contains("the built-in policy holds"), "{}", unnamed.ran.all());
}

#[test]
fn certificates_and_files_named_from_the_root_are_the_bases_too() {
    let runner = Runner::new();
    let image = runner.image(Image::shop().env("GITHUB", &github_token(40)));
    let tree = runner.at("tree");
    std::fs::create_dir_all(&tree).expect("made");
    let write = |path: &str, text: &str| std::fs::write(tree.join(path), text).expect("written");
    let all = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").expect("the package ca-certificates");
    let (first, _) = all.split_once("-----END CERTIFICATE-----").expect("a certificate");
    git(&tree, &["init", "-q"]);
    write("ca.pem", &format!("{first}-----END CERTIFICATE-----\n"));
    write("honeycrate.yaml", "registry: { ca-file: ca.pem }\n");
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-qm", "base"]);
    let base = git(&tree, &["rev-parse", "HEAD"]);
    let step = |base: &str, inputs: &[(&str, &str)]| {
        let mut command = runner.honeycrate.command(&["ci"]);
        of_a_job(&mut command, &runner.honeycrate, &runner.forge, "mallory/shop");
        let event = runner.honeycrate.home().join("event.json");
        let mut payload: Value = serde_json::from_slice(&std::fs::read(&event).expect("an event")).expect("JSON");
        payload["pull_request"]["base"]["sha"] = json!(base);
        std::fs::write(&event, payload.to_string()).expect("written");
        let inputs: Vec<(&str, &str)> = [("IMAGE", image.as_str())].into_iter().chain(inputs.iter().copied()).collect();
        runner.run(command.current_dir(&tree), &inputs)
    };
    // What the stranger brings cannot be read as certificates, and is not.
    write("ca.pem", "-----BEGIN CERTIFICATE-----\nmallory\n-----END CERTIFICATE-----\n");
    let absolute = tree.join("ca.pem").display().to_string();
    for inputs in [&[][..], &[("CA_FILE", "ca.pem")], &[("CA_FILE", &absolute)]] {
        let judged = step(&base, inputs);
        assert_eq!((judged.ran.code, judged.output("verdict")), (1, "denied"), "{inputs:?}: {}", judged.ran.all());
    }
    write("honeycrate.yaml", &format!("baseline: {}\n", tree.join("known.yaml").display()));
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-qm", "another base"]);
    let from_root = step(&git(&tree, &["rev-parse", "HEAD"]), &[]);
    assert_eq!((from_root.ran.code, from_root.ran.err().contains("a stranger's")), (2, true), "{}", from_root.ran.all());
}

#[test]
fn a_job_with_rights_tells_what_a_job_without_them_found() {
    let runner = Runner::new();
    let image = runner.image(Image::shop().env("GITHUB", &github_token(33)));
    let found = runner.step("mallory/shop", &[("IMAGE", &image), ("COMMENT", "never")]);
    assert_eq!((found.ran.code, runner.forge.comments().len()), (1, 0), "{}", found.ran.all());
    let report = found.output("report-file").to_owned();
    let mut command = runner.honeycrate.command(&["report", &report, "--comment", "on-findings", "--change", "7"]);
    let ran = run(of_a_job(&mut command, &runner.honeycrate, &runner.forge, "mallory/shop").env("GITHUB_TOKEN", TOKEN));
    assert_eq!(ran.code, 0, "{}", ran.all());
    let comments = runner.forge.comments();
    assert_eq!(comments.len(), 1, "{}", ran.all());
    assert!(comments[0].contains("denied") && comments[0].contains("this is what the run itself says"), "{}", comments[0]);
}

#[test]
fn a_job_of_gitlab_leaves_the_reports_that_gitlab_takes() {
    let runner = Runner::new();
    let image = runner.image(Image::shop().env("GITHUB", &github_token(34)));
    let project = runner.at("project");
    std::fs::create_dir_all(&project).expect("made");
    let mut command = runner.honeycrate.command(&["ci"]);
    command.env("GITLAB_CI", "true").env("CI_PROJECT_DIR", &project).env("CI_PROJECT_PATH", "acme/shop").env("CI_PROJECT_VISIBILITY", "public");
    command.env("CI_COMMIT_SHA", "0".repeat(40)).env("HONEYCRATE_IMAGE", &image).current_dir(&project);
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{}", ran.all());
    // The log is GitLab's: sections that fold, marked as its page reads them, and no command that another runner would take.
    let log = ran.out();
    let section = Regex::new("\u{1b}\\[0Ksection_start:[0-9]{10}:(honeycrate_[a-z]+)(\\[collapsed=true])?\r\u{1b}\\[0K").expect("a pattern");
    let sections: Vec<&str> = section.captures_iter(&log).map(|found| found.get(1).expect("a name").as_str()).collect();
    assert_eq!(sections, ["honeycrate_revoke", "honeycrate_scanned"], "{log:?}");
    for name in sections {
        assert_eq!(log.matches(&format!(":{name}\r\u{1b}[0K\n")).count(), 1, "{log:?}");
    }
    assert!(!log.lines().any(|line| line.starts_with("::")), "{log:?}");
    let read = |name: &str| std::fs::read_to_string(project.join("honeycrate-reports").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for name in ["report.json", "report.sarif", "gl-code-quality-report.json", "gl-secret-detection-report.json"] {
        serde_json::from_str::<Value>(&read(name)).expect("JSON");
    }
    assert!(read("junit.xml").starts_with("<?xml") && read("baseline.yaml").contains("github-personal-token"));
    let dotenv = read("honeycrate.env");
    assert!(dotenv.contains("HONEYCRATE_VERDICT=denied\nHONEYCRATE_EXIT_CODE=1\n") && dotenv.len() < 5 << 10, "{dotenv}");
}

#[test]
fn a_stranger_cannot_ask_whether_a_value_is_bait() {
    let (runner, registry) = (Runner::new(), Registry::plain(Auth::None));
    let image = runner.image(Image::shop());
    let (to, pulled) = (registry.reference("acme/shop:1"), runner.at("pulled"));
    let inputs = [("IMAGE", image.as_str()), ("TO", to.as_str()), ("DECOY", "decoy.acme.example")];
    assert_eq!(runner.step("acme/shop", &inputs).ran.code, 0);
    let copy = format!("oci:{}:1", pulled.display());
    must(program("skopeo", runner.honeycrate.home()).args(["copy", "-q", "--src-tls-verify=false", &format!("docker://{to}"), &copy]));
    let own = runner.step("acme/shop", &[("IMAGE", &copy)]);
    assert_eq!((own.ran.code, own.output("findings")), (0, "0"), "the owner knows the bait: {}", own.ran.all());
    let strangers = runner.step("mallory/shop", &[("IMAGE", &copy)]);
    assert_ne!(strangers.output("findings"), "0", "a stranger sees secrets like any other: {}", strangers.ran.all());
}

#[test]
fn a_baseline_without_a_key_counts_in_a_fork_as_in_the_repository() {
    let runner = Runner::new();
    let image = runner.image(Image::shop().env("GITHUB", &github_token(38)));
    let step = |head: &str, baseline: &Path| runner.step(head, &[("IMAGE", &image), ("BASELINE", baseline.to_str().expect("UTF-8"))]);
    let (keyed, unkeyed) = (runner.at("keyed.yaml"), runner.at("unkeyed.yaml"));
    let denied = runner.step("acme/shop", &[("IMAGE", &image)]);
    std::fs::copy(denied.output("baseline-file"), &keyed).expect("copied");
    let written = runner.honeycrate.run(&["baseline", "write", &image, "--unkeyed", "--out", unkeyed.to_str().expect("UTF-8")]);
    assert_eq!(written.code, 0, "{}", written.all());
    for (head, baseline, verdict) in
        [("acme/shop", &keyed, "passed"), ("acme/shop", &unkeyed, "passed"), ("mallory/shop", &unkeyed, "passed"), ("mallory/shop", &keyed, "denied")]
    {
        let ended = step(head, baseline);
        assert_eq!(ended.output("verdict"), verdict, "{head}: {}", ended.ran.all());
        // Else a stranger could have any guess sealed, and compare it with what is public.
        let kind = if head == "acme/shop" { "keyed" } else { "unkeyed" };
        let report: Value = serde_json::from_str(&ended.file("report-file")).expect("JSON");
        assert_eq!(report["fingerprints"], kind, "{head}");
        assert_eq!(ended.ran.out().contains("baseline write --unkeyed"), verdict == "denied", "{}", ended.ran.all());
        assert_eq!(ended.summary.contains("baseline write --unkeyed"), verdict == "denied", "{}", ended.summary);
    }
}

#[test]
fn what_cannot_be_written_does_not_hide_a_verdict_and_old_reports_are_gone() {
    let runner = Runner::new();
    let image = runner.image(Image::shop().env("GITHUB", &github_token(35)));
    let (elsewhere, tree) = (runner.at("elsewhere"), runner.at("tree"));
    std::fs::create_dir_all(&elsewhere).expect("made");
    std::fs::create_dir_all(tree.join("honeycrate-reports/report.json")).expect("made");
    std::fs::write(tree.join("honeycrate-reports/honeycrate.env"), "HONEYCRATE_VERDICT=passed\n").expect("written");
    std::os::unix::fs::symlink(&elsewhere, tree.join("link")).expect("made");
    let step = |folder: &str| {
        let mut command = runner.honeycrate.command(&["ci"]);
        command.env("GITLAB_CI", "true").env("CI_PROJECT_DIR", &tree).env("HONEYCRATE_IMAGE", &image).current_dir(&tree);
        run(command.env("HONEYCRATE_REPORT_DIR", folder))
    };
    let denied = step("");
    assert_eq!(denied.code, 1, "{}", denied.all());
    let outputs = std::fs::read_to_string(tree.join("honeycrate-reports/honeycrate.env")).expect("an environment file");
    assert!(outputs.contains("HONEYCRATE_VERDICT=denied") && tree.join("honeycrate-reports/report.json").is_file(), "{outputs}");
    for folder in ["link", "link/", "link/x", "x/../link"] {
        assert_eq!(step(folder).code, 2, "{folder}");
    }
    assert_eq!(std::fs::read_dir(&elsewhere).expect("a folder").count(), 0);

    let mut command = runner.honeycrate.command(&["ci"]);
    of_a_job(&mut command, &runner.honeycrate, &runner.forge, "acme/shop");
    command.env("GITHUB_OUTPUT", "/dev/full").env("RUNNER_TEMP", runner.folder.path()).env("HONEYCRATE_IMAGE", &image);
    let unheard = run(&mut command);
    assert_eq!((unheard.code, unheard.err().contains("cannot write the outputs")), (1, true), "{}", unheard.all());
}
