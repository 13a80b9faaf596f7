//! `dist/`: the launcher starts the program that was released and no other, wherever the Action runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::common::command::{PATH, Ran, program, run};

const NAME: &str = "honeycrate-x86_64-linux";

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist")
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder is writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A release with a program that tells how it was started, a checkout, and a file for outputs.
struct Release {
    folder: TempDir,
}

impl Release {
    fn new() -> Self {
        let own = Self { folder: TempDir::new().expect("scratch") };
        fs::create_dir_all(own.at("dist")).expect("the folder is writable");
        fs::create_dir_all(own.at("checkout/bin")).expect("the folder is writable");
        fs::copy(dist().join("honeycrate"), own.at("dist/honeycrate")).expect("the launcher is there");
        let text = "#!/bin/sh\necho \"started with $* in $(pwd) ${HONEYCRATE_BINARY-}\"\n";
        write_program(&own.at("dist").join(NAME), text);
        own.sums(&format!("{}  {NAME}\n", sum(text.as_bytes())));
        own
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn sums(&self, text: &str) {
        fs::write(self.at("dist/SHA256SUMS"), text).expect("the folder is writable");
    }

    /// The launcher in a step of a workflow.
    fn step(&self) -> Command {
        let mut command = program(self.at("dist/honeycrate"), self.folder.path());
        command.current_dir(self.at("checkout")).env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", self.at("checkout"));
        command.env("RUNNER_OS", "Linux").env("RUNNER_ARCH", "X64").env("GITHUB_OUTPUT", self.at("outputs"));
        command
    }

    /// Asserts that nothing was started, and that one line of an error says why.
    fn refuses(&self, command: &mut Command, why: &str) {
        let _ = fs::remove_file(self.at("outputs"));
        let ran = run(command);
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.out().starts_with("::error title=honeycrate::") && ran.out().lines().count() == 1 && ran.err().is_empty(), "{}", ran.all());
        assert!(ran.out().contains(why), "{}", ran.all());
        assert_eq!(fs::read_to_string(self.at("outputs")).expect("written"), "verdict=error\nexit-code=2\n");
    }
}

fn started(ran: &Ran, how: &str) {
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().starts_with(&format!("started with {how}")), "{}", ran.all());
}

#[test]
fn the_launcher_starts_the_program_beside_it() {
    let release = Release::new();
    started(&run(&mut release.step()), &format!("ci in {}", release.at("checkout").display()));
    started(&run(release.step().args(["scan", "a b"])), "scan a b in ");
    // Outside a workflow, the machine tells what it is; a link and a name without a folder find their way.
    let bare = run(program("sh", release.folder.path()).arg("honeycrate").current_dir(release.at("dist")));
    started(&bare, "ci in ");
    started(&run(release.step().env("CDPATH", release.folder.path())), "ci in ");
}

#[test]
fn the_launcher_refuses_what_was_not_released() {
    let release = Release::new();
    let text = fs::read_to_string(release.at("dist").join(NAME)).expect("it is there");
    write_program(&release.at("dist").join(NAME), &text.replace("started", "stArted"));
    release.refuses(&mut release.step(), "is not what was released");
    release.sums(&format!("{}  honeycrate-aarch64-linux\n", sum(text.as_bytes())));
    release.refuses(&mut release.step(), "no sum");
    release.sums("");
    release.refuses(&mut release.step(), "no sum");
    fs::remove_file(release.at("dist/SHA256SUMS")).expect("it is there");
    release.refuses(&mut release.step(), "SHA256SUMS is missing");
}

#[test]
fn the_launcher_says_what_it_lacks_on_another_machine() {
    let release = Release::new();
    release.refuses(release.step().env("RUNNER_OS", "Windows"), "this is Windows");
    release.refuses(release.step().env("RUNNER_OS", "macOS"), "this is macOS");
    release.refuses(release.step().env("RUNNER_ARCH", "ARM64"), "no program for aarch64");
    release.refuses(release.step().env("RUNNER_ARCH", "X86"), "no program for X86");
    fs::remove_file(release.at("dist").join(NAME)).expect("it is there");
    release.refuses(&mut release.step(), "no program for x86_64");
}

#[test]
fn the_launcher_takes_the_sum_with_what_there_is_and_runs_nothing_unchecked() {
    let release = Release::new();
    let tools = release.at("tools");
    for (has, starts) in [("sha256sum", true), ("shasum", true), ("openssl", true), ("cat", false)] {
        let _ = fs::remove_dir_all(&tools);
        fs::create_dir(&tools).expect("the folder is writable");
        for name in [has, "sh", "timeout", "uname"] {
            let real = PATH.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
            symlink(real.unwrap_or_else(|| panic!("no {name}")), tools.join(name)).expect("the folder is writable");
        }
        let mut step = release.step();
        step.env("PATH", &tools);
        match starts {
            true => started(&run(&mut step), "ci"),
            false => release.refuses(&mut step, "no sha256sum, shasum or openssl"),
        }
    }
}

#[test]
fn no_program_of_the_checkout_is_run() {
    let release = Release::new();
    write_program(&release.at("dist").join(NAME), "#!/bin/sh\necho other\n");
    let wanted = fs::read_to_string(release.at("dist/SHA256SUMS")).expect("it is there");
    for name in ["sha256sum", "uname", "dirname"] {
        for folder in ["checkout", "checkout/bin"] {
            write_program(&release.at(folder).join(name), &format!("#!/bin/sh\necho '{}'\n", wanted.trim()));
        }
    }
    let (checkout, link) = (release.at("checkout"), release.at("link"));
    symlink(&checkout, &link).expect("the folder is writable");
    symlink("../checkout/bin", release.at("tools")).expect("the folder is writable");
    let inside = checkout.join("bin").display().to_string();
    let aside = release.at("dist/../checkout/bin").display().to_string();
    let by_link = link.join("bin").display().to_string();
    let tools = release.at("tools").display().to_string();
    let relative = [".", "", "bin"].map(str::to_owned);
    let absolute = [inside.clone(), format!("/{inside}"), format!("{inside}/."), aside, by_link, tools, "/proc/self/cwd/bin".to_owned()];
    for shell in ["dash", "bash"] {
        for first in relative.iter().chain(&absolute) {
            for workspace in [format!("{}", checkout.display()), format!("{}/", checkout.display()), format!("{}", link.display())] {
                let mut step = program(shell, release.folder.path());
                step.arg(release.at("dist/honeycrate")).current_dir(&checkout).env("GITHUB_ACTIONS", "true").env("GITHUB_WORKSPACE", workspace);
                step.env("RUNNER_OS", "Linux").env("RUNNER_ARCH", "X64").env("GITHUB_OUTPUT", release.at("outputs"));
                release.refuses(step.env("PATH", format!("{first}:{PATH}:{first}")), "is not what was released");
            }
        }
    }
}

#[test]
fn what_the_launcher_repeats_is_no_command_and_what_it_cannot_write_hides_no_reason() {
    let release = Release::new();
    for odd in ["X\n::set-output name=verdict::passed", "X\\n::set-output name=verdict::passed", "", "\u{1b}[31m"] {
        release
            .refuses(release.step().env("RUNNER_ARCH", format!("Z80{odd}")), if odd.is_empty() { "for Z80 here" } else { "for something unknown" });
        release
            .refuses(release.step().env("RUNNER_OS", format!("OS{odd}")), if odd.is_empty() { "this is OS:" } else { "this is something unknown:" });
    }
    for outputs in ["/dev/full", "/nonexistent/outputs", "/"] {
        let ran = run(release.step().env("RUNNER_OS", "Windows").env("GITHUB_OUTPUT", outputs));
        assert_eq!((ran.code, ran.out().lines().count(), ran.err().as_str()), (2, 1, ""), "{}", ran.all());
        assert!(ran.out().contains("this is Windows"), "{}", ran.all());
    }
}

#[test]
fn the_launcher_heeds_its_two_inputs_and_hands_neither_on() {
    let release = Release::new();
    write_program(
        &release.at("checkout/own"),
        "#!/bin/sh\necho \"started with own $*, ${HONEYCRATE_BINARY-none} ${HONEYCRATE_WORKING_DIRECTORY-none}\"\n",
    );
    started(&run(release.step().env("HONEYCRATE_BINARY", "own")), "own ci, none none");
    started(&run(release.step().env("HONEYCRATE_BINARY", release.at("checkout/own"))), "own ci, none none");
    started(&run(release.step().env("HONEYCRATE_WORKING_DIRECTORY", "bin")), &format!("ci in {}/bin", release.at("checkout").display()));
    for name in ["-", "-L", "--"] {
        fs::create_dir(release.at("checkout").join(name)).expect("the folder is writable");
        let ran = run(release.step().env("HONEYCRATE_WORKING_DIRECTORY", name).env("OLDPWD", "/"));
        started(&ran, &format!("ci in {}", release.at("checkout").join(name).display()));
    }
    release.refuses(release.step().env("HONEYCRATE_WORKING_DIRECTORY", "nothing\n::set-output name=verdict::passed"), "names no folder");
    release.refuses(release.step().env("HONEYCRATE_BINARY", "nothing\n::set-output name=verdict::passed"), "no program that can be run");
}

#[test]
fn the_launcher_runs_where_there_is_busybox_and_nothing_else() {
    let jail = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable");
    let at = |path: &str| jail.path().join(path);
    for folder in ["bin", "action", "tmp"] {
        fs::create_dir(at(folder)).expect("the folder is writable");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists()).expect("the package busybox-static");
    fs::copy(busybox, at("bin/busybox")).expect("the folder is writable");
    for name in ["sh", "sha256sum", "uname"] {
        symlink("busybox", at("bin").join(name)).expect("the folder is writable");
    }
    fs::copy(dist().join("honeycrate"), at("action/honeycrate")).expect("the launcher is there");
    fs::hard_link(env!("CARGO_BIN_EXE_honeycrate"), at("action").join(NAME)).expect("it is the same file system");
    let bytes = fs::read(env!("CARGO_BIN_EXE_honeycrate")).expect("it is there");
    let inside =
        || run(program("chroot", jail.path()).env("PATH", format!("{PATH}:/bin")).arg(jail.path()).args(["/action/honeycrate", "--version"]));
    fs::write(at("action/SHA256SUMS"), format!("{}  {NAME}\n", sum(&bytes))).expect("the folder is writable");
    let ran = inside();
    assert!(ran.code == 0 && ran.out().starts_with("honeycrate "), "{}", ran.all());
    fs::write(at("action/SHA256SUMS"), format!("{}  {NAME}\n", sum(b"other"))).expect("the folder is writable");
    assert_eq!(inside().code, 2);
}

#[test]
#[ignore = "builds the program anew, a quarter of an hour of processor time: cargo test --test honeycrate -- --ignored --exact dist::what_is_shipped_is_what_its_commit_gives_in_any_folder"]
fn what_is_shipped_is_what_its_commit_gives_in_any_folder() {
    let ended = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/dist")).arg("--check").output().expect("it starts");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("is that commit, byte by byte"), "{said}");
}

/// A tree between releases may have no program; one that has is whole.
#[test]
fn what_lies_in_dist_is_what_its_papers_say() {
    let programs: Vec<String> = fs::read_dir(dist())
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("plain names"))
        .filter(|name| !["honeycrate", "SHA256SUMS", "BUILDINFO.json"].contains(&name.as_str()))
        .collect();
    if programs.is_empty() {
        assert!(!dist().join("SHA256SUMS").exists() && !dist().join("BUILDINFO.json").exists(), "papers without a program");
        return;
    }
    let sums = fs::read_to_string(dist().join("SHA256SUMS")).expect("sums");
    let info: Value = serde_json::from_slice(&fs::read(dist().join("BUILDINFO.json")).expect("papers")).expect("JSON");
    assert_eq!((sums.lines().count(), info["programs"].as_object().map(serde_json::Map::len)), (programs.len(), Some(programs.len())));
    for name in programs {
        let bytes = fs::read(dist().join(&name)).expect("it can be read");
        assert!(sums.lines().any(|line| line == format!("{}  {name}", sum(&bytes))), "{name}: {sums}");
        let told = &info["programs"][&name];
        assert_eq!((told["sha256"].as_str(), told["bytes"].as_u64()), (Some(sum(&bytes).as_str()), Some(bytes.len() as u64)), "{name}");
        assert_eq!(told["commit"].as_str().map(str::len), Some(40), "{name}");
        assert_eq!(fs::metadata(dist().join(&name)).expect("it is there").permissions().mode() & 0o111, 0o111, "{name} is executable");
        if name == NAME {
            let ran = run(program(dist().join("honeycrate"), Path::new("/tmp")).arg("--version"));
            assert_eq!(ran.out().trim(), format!("honeycrate {}", told["version"].as_str().expect("a version")), "{}", ran.all());
        }
    }
}
