//! Debian's docker-registry on a loopback port, with its own storage, credentials, certificate and access log.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::common::command::{must, program, wait_for};
use crate::common::service::Service;
use crate::common::tls::Authority;
use crate::common::token_server::{Asked, ISSUER, SERVICE, TokenServer};

pub(crate) const USER: &str = "ci";
pub(crate) const PASSWORD: &str = "correct-horse";

/// How a registry asks who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    None,
    Basic,
    Bearer,
}

/// Whom a registry behind TLS talks to.
#[derive(Clone, Copy)]
enum Clients {
    All,
    Certified,
}

/// One line of the access log.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
}

/// A running registry. Dropped, it stops and its storage is gone.
pub(crate) struct Registry {
    process: Service,
    folder: TempDir,
    port: u16,
    auth: Auth,
    ca: Option<PathBuf>,
    tokens: Option<TokenServer>,
}

impl Registry {
    /// One that speaks plain HTTP.
    pub(crate) fn plain(auth: Auth) -> Self {
        Self::start(auth, None)
    }

    /// One behind TLS, with a certificate of an authority of its own.
    pub(crate) fn secure(auth: Auth) -> Self {
        Self::start(auth, Some(Clients::All))
    }

    /// One behind TLS that serves only clients with a certificate of the same authority.
    pub(crate) fn mutual() -> Self {
        Self::start(Auth::None, Some(Clients::Certified))
    }

    fn start(auth: Auth, tls: Option<Clients>) -> Self {
        let folder = TempDir::new().expect("a scratch folder can be made");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
            at("storage")
        );
        config += "http:\n  addr: 127.0.0.1:0\n  relativeurls: true\n";
        let (mut ca, mut identity) = (None, None);
        if let Some(clients) = tls {
            let authority = Authority::new();
            std::fs::create_dir(folder.path().join("trust")).expect("the folder is writable");
            ca = Some(authority.write(&folder.path().join("trust")));
            let issued = authority.issue(folder.path());
            let asks = match clients {
                Clients::All => String::new(),
                Clients::Certified => {
                    authority.issue_client(&folder.path().join("trust"));
                    format!(", clientcas: [{}]", at("trust/ca.crt"))
                }
            };
            writeln!(config, "  tls: {{certificate: {}, key: {}{asks}}}", at("server.crt"), at("server.key")).expect("text grows");
            identity = Some(issued);
        }
        let mut tokens = None;
        match auth {
            Auth::None => {}
            Auth::Basic => {
                let line = must(program("htpasswd", folder.path()).args(["-nbB", USER, PASSWORD]));
                std::fs::write(folder.path().join("htpasswd"), line).expect("the folder is writable");
                writeln!(config, "auth: {{htpasswd: {{realm: acme, path: {}}}}}", at("htpasswd")).expect("text grows");
            }
            Auth::Bearer => {
                let server = TokenServer::start(&folder.path().join("tokens.crt"), USER, PASSWORD, identity.as_ref());
                let realm = server.realm();
                writeln!(config, "auth: {{token: {{realm: '{realm}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {}}}}}", at("tokens.crt"))
                    .expect("text grows");
                tokens = Some(server);
            }
        }
        std::fs::write(folder.path().join("config.yml"), config).expect("the folder is writable");
        let process = Service::start("docker-registry", &["serve", &at("config.yml")], folder.path());
        let port = process.ready("docker-registry to listen", listening);
        Self { process, folder, port, auth, ca, tokens }
    }

    /// `localhost:PORT`, the registry part of a reference.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A reference in this registry.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.ca.is_some() { "https" } else { "http" }, self.host())
    }

    pub(crate) fn has_auth(&self) -> bool {
        self.auth != Auth::None
    }

    /// The certificate that a client has to trust.
    pub(crate) fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// What the token service was asked. Empty where there is none.
    pub(crate) fn tokens_asked(&self) -> Vec<Asked> {
        self.tokens.as_ref().map(TokenServer::asked).unwrap_or_default()
    }

    /// Everything that was asked of the registry so far, its own word for it.
    ///
    /// The registry writes a request's line after it has answered; a line of our own closes the list.
    pub(crate) fn requests(&self) -> Vec<Request> {
        static MARKS: AtomicU32 = AtomicU32::new(0);
        let mark = format!("/end-of-list-{}", MARKS.fetch_add(1, Ordering::Relaxed));
        let mut command = program("curl", self.folder.path());
        let certificate = self.folder.path().join("trust/client.cert");
        if certificate.exists() {
            command.arg("--cert").arg(&certificate).arg("--key").arg(certificate.with_extension("key"));
        }
        must(command.args(["-sk", "-o", "/dev/null", &format!("{}{mark}", self.url())]));
        let lines = wait_for("the registry's access log", 10, || {
            let text = self.process.out();
            text.contains(&format!("{mark} ")).then_some(text)
        });
        lines.lines().filter_map(request).filter(|request| !request.path.starts_with("/end-of-list-")).collect()
    }

    /// The requests that would have changed something.
    pub(crate) fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD")).collect()
    }

    /// All that it stores, file by file.
    pub(crate) fn storage(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn read(folder: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    read(&path, all);
                } else {
                    all.push((path.clone(), std::fs::read(&path).expect("a file of the registry")));
                }
            }
        }
        let mut all = Vec::new();
        read(&self.folder.path().join("storage"), &mut all);
        all
    }

    /// Number of files below the storage folder: 0 when nothing ever came in.
    pub(crate) fn stored(&self) -> usize {
        fn count(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
        }
        count(&self.folder.path().join("storage"))
    }
}

/// The port that the system gave, once the registry tells it.
fn listening(process: &Service) -> Option<u16> {
    let messages = process.err();
    let (_, rest) = messages.split_once("listening on 127.0.0.1:")?;
    let digits = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

/// Reads one line in Apache's combined format.
fn request(line: &str) -> Option<Request> {
    let mut quoted = line.split('"');
    let (_, asked, rest) = (quoted.next()?, quoted.next()?, quoted.next()?);
    let mut words = asked.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    Some(Request { method, path, status: rest.split_whitespace().next()?.parse().ok()? })
}
