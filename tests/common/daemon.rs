//! A Docker daemon of our own, one for all tests of a run.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::common::command::{must, program, run};
use crate::common::debian;
use crate::common::service::Service;

/// The image that [`daemon`] has built.
pub(crate) const IMAGE: &str = "shop:latest";

/// A running dockerd, without network and firewall rules, on a socket in its own folder.
pub(crate) struct Daemon {
    folder: PathBuf,
    service: Service,
}

/// The daemon, with the Debian application built in it. Its guard ends it with this process.
pub(crate) fn daemon() -> &'static Daemon {
    static DAEMON: OnceLock<Daemon> = OnceLock::new();
    DAEMON.get_or_init(Daemon::start)
}

impl Daemon {
    fn start() -> Self {
        let folder = TempDir::with_prefix("dockerd-").expect("a scratch folder can be made").keep();
        let at = |name: &str| folder.join(name).display().to_string();
        let socket = format!("unix://{}", at("socket"));
        let mut arguments: Vec<&str> =
            "--storage-driver vfs --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false".split(' ').collect();
        let (data, exec, pid) = (at("data"), at("exec"), at("pid"));
        arguments.extend(["--host", &socket, "--data-root", &data, "--exec-root", &exec, "--pidfile", &pid]);
        let service = Service::start_and_sweep("dockerd", &arguments, &folder);
        let daemon = Self { folder, service };
        daemon.service.ready("dockerd", |_| (run(daemon.docker().arg("version")).code == 0).then_some(()));

        let context = TempDir::new().expect("a scratch folder can be made");
        debian::context(context.path());
        must(daemon.docker().args(["build", "--quiet", "--tag", IMAGE]).arg(context.path()));
        daemon
    }

    /// The value for `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.join("socket").display())
    }

    /// The ordinary client, talking to this daemon; the daemon builds by itself, as it has no BuildKit plug-in to ask.
    pub(crate) fn docker(&self) -> Command {
        let mut command = program("docker", &self.folder);
        command.env("DOCKER_HOST", self.host()).env("DOCKER_BUILDKIT", "0");
        command
    }
}
