//! A strict proxy between us and a stand-in: it refuses requests and answers that GitHub's own description of its API does not allow.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::service::Service;

/// A running proxy; it ends when it is dropped.
pub(crate) struct Prism {
    address: String,
    service: Service,
    _folder: TempDir,
}

impl Prism {
    /// Starts one for an edition of GitHub that `.ci/node/github.mjs` knows, in front of `upstream`.
    pub(crate) fn start(edition: &str, upstream: &str) -> Self {
        let cache = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".cache");
        let file = |path: String| {
            let path = cache.join(path);
            assert!(path.exists(), "{} is missing: run .ci/setup", path.display());
            path.to_str().expect("a plain path").to_owned()
        };
        let (node, program) = (file("venv/bin/node".to_owned()), file("node/node_modules/@stoplight/prism-cli/dist/index.js".to_owned()));
        let description = file(format!("node/github/{edition}.json"));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let folder = TempDir::new().expect("scratch");
        let port = port.to_string();
        let arguments = [&program, "proxy", "--errors", "--host", "127.0.0.1", "--port", &port, &description, upstream];
        let service = Service::start(&node, &arguments, folder.path());
        let prism = Self { address: format!("http://127.0.0.1:{port}"), service, _folder: folder };
        crate::common::command::wait_for("prism", 100, || {
            assert!(!prism.service.err().contains("Error"), "{}", prism.service.err());
            TcpStream::connect(("127.0.0.1", port.parse().expect("a number"))).ok()
        });
        prism
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Everything that it said.
    pub(crate) fn log(&self) -> String {
        self.service.out() + &self.service.err()
    }
}
