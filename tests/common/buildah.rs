//! buildah: builds an image, pushes it to where skopeo can name it, and runs what arrived.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common::command::{Ran, must, program, run};
use crate::common::{debian, skopeo};

/// A store of buildah's own. The vfs driver copies every layer whole: keep images small.
pub(crate) struct Buildah(TempDir);

impl Buildah {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a scratch folder can be made"))
    }

    /// Builds the Debian application, layer by layer, and writes it as an OCI layout; gives the source to name it by.
    pub(crate) fn build(&self, layout: &Path) -> String {
        let context = TempDir::new().expect("a scratch folder can be made");
        debian::context(context.path());
        must(self.command().args(["bud", "--isolation", "chroot", "--layers", "--quiet", "--tag", "shop"]).arg(context.path()));
        let target = format!("oci:{}:latest", layout.display());
        must(self.command().args(["push", "--quiet", "shop", &target]));
        target
    }

    /// Builds an image on top of another, and writes it as an OCI layout; gives the source to name it by.
    pub(crate) fn child(&self, parent: &str, layout: &Path) -> String {
        let container = self.load(parent);
        let own = TempDir::new().expect("a scratch folder can be made");
        std::fs::write(own.path().join("child.txt"), "of the child\n").expect("a scratch folder can be written");
        must(self.command().args(["copy", "--quiet", "--add-history", &container]).arg(own.path().join("child.txt")).arg("/srv/"));
        must(self.command().args(["commit", "--quiet", "--rm", &container, "localhost/child"]));
        let target = format!("oci:{}:latest", layout.display());
        must(self.command().args(["push", "--quiet", "localhost/child", &target]));
        target
    }

    /// Takes an image into the store and makes a container of it; gives the container's name.
    pub(crate) fn load(&self, source: &str) -> String {
        // By way of the store: buildah would make a name of a layout's path, and refuse it.
        let store = format!("containers-storage:[vfs@{}+{}]", self.0.path().join("root").display(), self.0.path().join("run").display());
        skopeo::copy(source, &format!("{store}localhost/arrived"));
        must(self.command().args(["from", "--quiet", "localhost/arrived"])).trim().to_owned()
    }

    /// Runs the application of an image in a container.
    pub(crate) fn run(&self, source: &str) -> Ran {
        let container = self.load(source);
        let ran = run(self.command().args(["run", "--isolation", "chroot", &container]).args(debian::COMMAND));
        must(self.command().args(["rm", &container]));
        ran
    }

    /// Builds a folder with a Dockerfile and runs a command in a container of it.
    pub(crate) fn build_and_run(&self, context: &Path, arguments: &[&str]) -> Ran {
        must(self.command().args(["bud", "--isolation", "chroot", "--quiet", "--tag", "localhost/built"]).arg(context));
        let container = must(self.command().args(["from", "--quiet", "--pull-never", "localhost/built"])).trim().to_owned();
        let ran = run(self.command().args(["run", "--isolation", "chroot", &container]).args(arguments));
        must(self.command().args(["rm", &container]));
        ran
    }

    /// Builds the `Containerfile` of a folder, with these arguments (`NAME=value`).
    pub(crate) fn bud(&self, context: &Path, tag: &str, arguments: &[&str]) {
        let mut command = self.command();
        command.args(["bud", "--isolation", "chroot", "--pull-never", "--quiet", "--tag", tag]);
        arguments.iter().for_each(|argument| _ = command.args(["--build-arg", argument]));
        must(command.arg(context));
    }

    /// Runs a command in a container of an image, with folders copied to places in it.
    pub(crate) fn run_in(&self, image: &str, folders: &[(PathBuf, &str)], arguments: &[&str]) -> Ran {
        let container = must(self.command().args(["from", "--quiet", "--pull-never", image])).trim().to_owned();
        for (folder, place) in folders {
            must(self.command().args(["copy", "--quiet", &container]).arg(folder).arg(place));
        }
        let ran = run(self.command().args(["run", "--isolation", "chroot", &container, "--"]).args(arguments));
        must(self.command().args(["rm", &container]));
        ran
    }

    fn command(&self) -> Command {
        let mut command = program("buildah", self.0.path());
        let at = |name: &str| self.0.path().join(name);
        command.arg("--root").arg(at("root")).arg("--runroot").arg(at("run")).args(["--storage-driver", "vfs"]);
        command
    }
}
