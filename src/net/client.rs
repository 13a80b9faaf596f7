//! The one file that opens outgoing connections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Identity};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use url::{Host, Url};

use crate::net::address::Admission;
use crate::net::error::NetError;
use crate::net::redirect::{authority, is_loopback};
use crate::net::resolver::{GuardedResolver, Resolver, refused};
use crate::net::retry::RetryPolicy;
use crate::net::trust::{Trust, authorities};

/// How the wire behaves. Proxies come from the usual variables, and are not used for this very machine.
#[derive(Debug, Clone)]
pub struct NetSettings {
    /// More authorities, as PEM.
    pub ca_file: Option<PathBuf>,
    /// What we show to servers that ask for a certificate, as PEM.
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// Docker's layout: `<directory>/<host[:port]>/{*.crt, client.cert, client.key}`.
    pub certs_dirs: Vec<PathBuf>,
    /// `host[:port]` of registries that speak plain HTTP.
    pub plain_http_hosts: Vec<String>,
    pub connect_timeout: Duration,
    /// The longest silence of a server.
    pub idle_timeout: Duration,
    /// How long an answer may come as slowly as it likes, and the bytes that must have come in each second since its beginning after that:
    /// one byte a minute keeps a connection alive, and would keep us for ever.
    pub grace: Duration,
    pub slowest: u64,
    pub retry: RetryPolicy,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            ca_file: None,
            client_cert: None,
            client_key: None,
            certs_dirs: Vec::new(),
            plain_http_hosts: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(60),
            slowest: 16 << 10,
            retry: RetryPolicy::default(),
        }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Questions and downloads, with a limit on silence.
    Api,
    /// Long request bodies: HTTP/1.1, one connection each; the caller watches the body's progress, since the
    /// client's own limit would run from the first byte sent to the first byte answered.
    Upload,
}

/// Makes clients that share trust, names and limits. No client follows redirects.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    settings: NetSettings,
    trust: Trust,
    identity: Option<Identity>,
    resolver: Resolver,
    clients: Mutex<HashMap<Key, (Client, Option<GuardedResolver>)>>,
    /// By the name of the server that names others.
    homes: Mutex<HashMap<String, Admission>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    /// Hosts without certificates of their own share their clients.
    own_certificates: Option<String>,
    loopback: bool,
    /// No authority is needed.
    is_plain: bool,
    admission: Option<Admission>,
    purpose: Purpose,
}

/// Chooses the cryptography of all TLS connections. To be called before the first; more calls do nothing.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

impl HttpClient {
    /// # Errors
    /// When a certificate or key cannot be read.
    pub fn new(settings: NetSettings) -> Result<Self, NetError> {
        Self::with_resolver(settings, Resolver::system())
    }

    /// The same with names of one's own.
    ///
    /// # Errors
    /// When a certificate or key cannot be read.
    pub fn with_resolver(settings: NetSettings, resolver: Resolver) -> Result<Self, NetError> {
        install_crypto();
        let trust = Trust::load(settings.ca_file.as_deref())?;
        let identity = match (&settings.client_cert, &settings.client_key) {
            (Some(certificate), key) => Some(identity(certificate, key.as_deref().unwrap_or(certificate))?),
            (None, Some(key)) => {
                let why = "a client key needs its certificate".to_owned();
                return Err(NetError::Settings { what: key.display().to_string(), why });
            }
            (None, None) => None,
        };
        Ok(Self(Arc::new(Inner { settings, trust, identity, resolver, clients: Mutex::default(), homes: Mutex::default() })))
    }

    #[must_use]
    pub fn settings(&self) -> &NetSettings {
        &self.0.settings
    }

    /// Where the trusted authorities come from, for people.
    #[must_use]
    pub fn trust_source(&self) -> &str {
        self.0.trust.source()
    }

    /// Whether the user said that this `host[:port]` speaks plain HTTP.
    #[must_use]
    pub fn is_plain_http(&self, authority: &str) -> bool {
        self.0.settings.plain_http_hosts.iter().any(|host| host == authority)
    }

    /// Whether certs.d holds something for this `host[:port]`.
    #[must_use]
    pub fn has_own_certificates(&self, authority: &str) -> bool {
        self.certificate_directories(authority).next().is_some()
    }

    /// A client for an address whose host the user named.
    ///
    /// # Errors
    /// When the host's certificates cannot be read.
    pub fn for_host(&self, url: &Url, purpose: Purpose) -> Result<Client, NetError> {
        self.client(url, None, purpose).map(|(client, _)| client)
    }

    /// A client for an address that the server `home` named. It connects only where [`Admission`] allows.
    ///
    /// # Errors
    /// When the address is not admitted, or the host's certificates cannot be read.
    pub async fn for_foreign(&self, url: &Url, home: &Url, purpose: Purpose) -> Result<Client, NetError> {
        let admission = self.admission(home.host_str().unwrap_or_default()).await;
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(ip.into()),
            Some(Host::Ipv6(ip)) => Some(ip.into()),
            _ => None,
        };
        if literal.is_some_and(|address| !admission.admits(address)) {
            return Err(refused(&authority(url)));
        }
        let (client, guard) = self.client(url, Some(admission), purpose)?;
        if let (Some(guard), Some(host)) = (guard, url.host_str()) {
            guard.guard(host);
        }
        Ok(client)
    }

    /// What a server may name. Behind a proxy its own name may be unknown here; then it may name public hosts.
    async fn admission(&self, home: &str) -> Admission {
        let known = self.0.homes.lock().unwrap_or_else(PoisonError::into_inner).get(home).copied();
        if let Some(known) = known {
            return known;
        }
        let admission = Admission::beside(&self.0.resolver.addresses(home).await.unwrap_or_default());
        self.0.homes.lock().unwrap_or_else(PoisonError::into_inner).insert(home.to_owned(), admission);
        admission
    }

    fn client(&self, url: &Url, admission: Option<Admission>, purpose: Purpose) -> Result<(Client, Option<GuardedResolver>), NetError> {
        let host = authority(url);
        let own_certificates = self.has_own_certificates(&host).then(|| host.clone());
        // To itself the machine speaks without TLS and without a proxy, which might want it.
        let is_plain = is_loopback(url) && url.scheme() == "http";
        let key = Key { own_certificates, loopback: is_loopback(url), is_plain, admission, purpose };
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = clients.get(&key) {
            return Ok(found.clone());
        }
        let guard = admission.map(|admission| GuardedResolver::new(self.0.resolver.clone(), admission));
        let mut builder = builder().connect_timeout(self.0.settings.connect_timeout).tcp_keepalive(Duration::from_secs(30));
        builder = match &guard {
            Some(guard) => builder.dns_resolver(guard.clone()),
            None => builder.dns_resolver(self.0.resolver.clone()),
        };
        if key.loopback {
            builder = builder.no_proxy();
        }
        builder = match purpose {
            Purpose::Api => builder.read_timeout(self.0.settings.idle_timeout),
            Purpose::Upload => builder.http1_only(),
        };
        let mut roots = if is_plain { Vec::new() } else { self.0.trust.roots().to_vec() };
        // Our certificate is shown to hosts that the user named, not to those that others name.
        let mut shown = self.0.identity.clone().filter(|_| admission.is_none());
        for directory in self.certificate_directories(&host) {
            let (more, own) = host_certificates(&directory)?;
            roots.extend(more);
            shown = own.or(shown);
        }
        builder = builder.tls_certs_only(roots);
        if let Some(identity) = shown {
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|cause| NetError::Settings { what: "the TLS settings".to_owned(), why: cause.to_string() })?;
        clients.insert(key, (client.clone(), guard.clone()));
        Ok((client, guard))
    }

    fn certificate_directories(&self, host: &str) -> impl Iterator<Item = PathBuf> {
        self.0.settings.certs_dirs.iter().map(move |directory| directory.join(host)).filter(|directory| directory.is_dir())
    }
}

/// A client for a server behind a Unix socket, without a limit on silence: a Docker save stays silent until it has packed everything.
///
/// # Errors
/// When the client cannot be made.
pub fn socket_client(socket: Option<&Path>) -> Result<Client, NetError> {
    install_crypto();
    let mut builder = builder().no_proxy().http1_only().connect_timeout(Duration::from_secs(10));
    builder = match socket {
        Some(path) => builder.unix_socket(path),
        None => builder.dns_resolver(Resolver::system()),
    };
    let authorities = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok());
    builder.tls_certs_only(authorities).build().map_err(|cause| NetError::Settings { what: "the socket".to_owned(), why: cause.to_string() })
}

/// A connection to a server that speaks something else than HTTP.
pub type Wire = Box<dyn Duplex>;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection to the first of a host's addresses that takes it.
///
/// # Errors
/// When nothing knows the host, or none of them does.
pub async fn wire(host: &str, port: u16) -> Result<Wire, NetError> {
    let mut why = "it has no address".to_owned();
    for address in Resolver::system().addresses(host).await? {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Err(cause) => why = cause.to_string(),
        }
    }
    Err(NetError::Connect { host: format!("{host}:{port}"), why, refused: false })
}

/// A connection to a server behind a Unix socket.
///
/// # Errors
/// When nobody listens there.
pub async fn socket_wire(path: &Path) -> Result<Wire, NetError> {
    let failed = |cause: std::io::Error| NetError::Connect { host: path.display().to_string(), why: cause.to_string(), refused: false };
    Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?))
}

#[expect(clippy::disallowed_methods, reason = "this is the file that opens connections")]
fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("honeycrate/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .retry(reqwest::retry::never())
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, NetError> {
    let bad = |path: &Path, why: String| NetError::Settings { what: format!("the client certificate {}", path.display()), why };
    let read = |path: &Path| std::fs::read(path).map_err(|cause| bad(path, cause.to_string()));
    let mut pem = read(certificate)?;
    if key != certificate {
        pem.push(b'\n');
        pem.extend(read(key)?);
    }
    Identity::from_pem(&pem).map_err(|cause| bad(certificate, cause.to_string()))
}

/// What certs.d holds for one host. Source: Docker, "Verify repository client with certificates".
fn host_certificates(directory: &Path) -> Result<(Vec<reqwest::Certificate>, Option<Identity>), NetError> {
    let bad = |cause: std::io::Error| NetError::Settings { what: directory.display().to_string(), why: cause.to_string() };
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).map_err(bad)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let ends = |path: &Path, extension: &str| path.extension().is_some_and(|found| found == extension);
    let mut roots = Vec::new();
    for path in files.iter().filter(|path| ends(path, "crt")) {
        roots.extend(authorities(path)?);
    }
    let own = files.iter().find(|path| ends(path, "cert")).map(|path| identity(path, &path.with_extension("key"))).transpose()?;
    Ok((roots, own))
}
