//! gitlab-ci-local: a project of GitLab on this machine, whose pipelines run in its shell executor, each job in a copy of the tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{TempDir, tempdir};

use crate::common::command::{PATH, Ran, must, program, run};

/// The repository that we are.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A tool that `.ci/setup` installed from PyPI.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = root().join(".cache/venv/bin").join(name);
    assert!(path.exists(), "{} is missing: run .ci/setup", path.display());
    path
}

/// A project with our templates in it, as the component's own project has them, and a pipeline.
pub(crate) struct Project {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Project {
    /// A project on the branch `main`, all of it committed. Jobs find the program in their `PATH`.
    pub(crate) fn new(pipeline: &str) -> Self {
        let own = Self { folder: tempdir().expect("scratch"), variables: Vec::new() };
        for folder in [own.tree().join("templates"), own.home(), own.programs()] {
            std::fs::create_dir_all(folder).expect("the folder is writable");
        }
        for name in ["ship", "scan", "watch"] {
            let path = format!("templates/{name}.yml");
            std::fs::copy(root().join(&path), own.tree().join(&path)).expect("a template of ours");
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_honeycrate"), own.programs().join("honeycrate")).expect("the folder is writable");
        own.git(&["init", "-q", "-b", "main"]);
        own.git(&["config", "user.email", "ann@acme.example"]);
        own.git(&["config", "user.name", "ann"]);
        own.git(&["remote", "add", "origin", "https://gitlab.acme.example/acme/shop.git"]);
        own.write(".gitlab-ci.yml", pipeline);
        own.write(".gitignore", "/.gitlab-ci-local/\n");
        own.commit("The shop");
        own.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
        own.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
        // It says of itself that it is not GitLab.
        own.set("GITLAB_CI", "true")
    }

    /// Sets a variable for all that follows: one of the project's, or one that GitLab would set itself.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The variables of a pipeline for merge request 7, whose code comes from the project `source`.
    pub(crate) fn merge_request(self, source: &str) -> Self {
        self.set("CI_PIPELINE_SOURCE", "merge_request_event")
            .set("CI_MERGE_REQUEST_IID", "7")
            .set("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", source)
            .set("CI_MERGE_REQUEST_PROJECT_PATH", "acme/shop")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    /// Programs that jobs find before all others.
    pub(crate) fn programs(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.tree().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
        std::fs::write(path, text).expect("the folder is writable");
    }

    /// What a job left in the tree.
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.tree().join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        must(program("git", &self.home()).current_dir(self.tree()).args(arguments)).trim().to_owned()
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// The pipeline with everything included and filled in, as YAML; or what is wrong with it.
    pub(crate) fn preview(&self) -> Ran {
        run(self.command().arg("--preview"))
    }

    /// The names of the jobs that this pipeline has.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let listed = must(self.command().arg("--list-csv"));
        listed.lines().skip(1).filter_map(|line| line.split(';').next()).map(str::to_owned).collect()
    }

    /// Runs the pipeline.
    pub(crate) fn run(&self) -> Ran {
        run(self.command().args(["--force-shell-executor", "--shell-isolation"]))
    }

    fn command(&self) -> Command {
        let modules = root().join(".cache/node/node_modules/.bin/gitlab-ci-local");
        assert!(modules.exists(), "{} is missing: run .ci/setup", modules.display());
        let mut command = program(tool("node"), &self.home());
        command.arg(modules).current_dir(self.tree()).env("PATH", format!("{}:{PATH}", self.programs().display()));
        for (name, value) in &self.variables {
            command.arg("--variable").arg(format!("{name}={value}"));
        }
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        command.arg("--ignore-predefined-vars").arg(names.join(","));
        command
    }
}
