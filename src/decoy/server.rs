//! The one file that listens.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::bait::trigger::Trigger;
use crate::decoy::certificate::{self, Certificate};
use crate::decoy::error::DecoyError;
use crate::decoy::gate::Gate;
use crate::decoy::http::Site;
use crate::decoy::observer::{Announced, Clock, Counts, Observer, Recogniser};
use crate::decoy::session;
use crate::decoy::stop::Stop;

/// Connections at once; then the oldest of the address with the most goes.
const TOTAL: usize = 1024;
/// Connections at once from one address (IPv6: from one /64).
const EACH: usize = 64;
/// A proxy stands for all of its visitors.
const EACH_PROXY: usize = TOTAL;
/// How long a connection may last.
const LONGEST: Duration = Duration::from_secs(30);
/// How long open connections get to end when the decoy stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// After an error of `accept`, mostly for want of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// What a decoy needs.
#[derive(Clone)]
pub struct Settings {
    /// Where HTTP and HTTPS are answered, on the same port. Port 0 takes a free one.
    pub web: SocketAddr,
    /// Where PostgreSQL is answered.
    pub postgres: Option<SocketAddr>,
    /// The name under which the honeytokens lead here.
    pub host: String,
    pub certificate: Certificate,
    /// Peers whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    pub recognise: Recogniser,
    pub announced: Announced,
    pub clock: Clock,
    /// Random, fresh for each start.
    pub seed: [u8; 32],
}

/// A decoy at work. Dropped, it stops.
pub struct Running {
    /// The addresses in use, with the ports that were taken.
    pub web: SocketAddr,
    pub postgres: Option<SocketAddr>,
    site: Arc<Site>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

impl Running {
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.site.observer.counts()
    }

    /// Stops listening, and gives open connections a few seconds to end. Every trigger has been sent when this returns.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        for listener in self.listeners {
            let _ = listener.await;
        }
    }
}

/// Starts a decoy. It sends each trigger through `triggers`, and keeps nothing itself.
///
/// # Errors
/// When an address cannot be listened on, or the certificate cannot be used.
pub async fn start(settings: Settings, triggers: UnboundedSender<Trigger>) -> Result<Running, DecoyError> {
    let web_tls = TlsAcceptor::from(certificate::tls(&settings.certificate, &["http/1.1"])?);
    let database_tls = TlsAcceptor::from(certificate::tls(&settings.certificate, &["postgresql"])?);
    let (web_listener, web) = listen(settings.web).await?;
    let database = match settings.postgres {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let observer = Observer::new(settings.recognise, settings.announced, settings.clock, triggers);
    let each = if settings.proxies.is_empty() { EACH } else { EACH_PROXY };
    let site = Arc::new(Site { observer, host: settings.host, seed: settings.seed, proxies: settings.proxies });
    let gate = Gate::new(TOTAL, each);
    let (stop, stopped) = watch::channel(false);
    let stopped = Stop(stopped);

    let mut listeners = Vec::new();
    let (of_site, of_stop) = (Arc::clone(&site), stopped.clone());
    let converse = move |stream, peer| session::web(stream, peer, web_tls.clone(), Arc::clone(&of_site), of_stop.clone());
    listeners.push(tokio::spawn(welcome(web_listener, Arc::clone(&gate), Arc::clone(&site), stopped.clone(), converse)));
    let postgres = database.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = database {
        let of_site = Arc::clone(&site);
        let converse = move |stream, peer| session::database(stream, peer, database_tls.clone(), Arc::clone(&of_site));
        listeners.push(tokio::spawn(welcome(listener, gate, Arc::clone(&site), stopped, converse)));
    }
    Ok(Running { web, postgres, site, stop, listeners })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), DecoyError> {
    let failed = |cause| DecoyError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Lets visitors in until the decoy stops.
async fn welcome<F>(listener: TcpListener, gate: Arc<Gate>, site: Arc<Site>, mut stop: Stop, converse: impl Fn(TcpStream, IpAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.wait() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match gate.enter(peer.ip()) {
                    Some(pass) => {
                        let conversation = converse(stream, peer.ip());
                        connections.spawn(async move {
                            tokio::select! {
                                _ = timeout(LONGEST, conversation) => {}
                                () = pass.withdrawn() => {}
                            }
                        });
                    }
                    None => site.observer.refuse(),
                },
                Err(_) => sleep(BREATH).await,
            },
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(FAREWELL, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::claims::Claims;
    use crate::bait::surfaces::Surface;
    use crate::decoy::observer::Recognised;
    use crate::oci::digest::Digest;
    use crate::secret::value::Secret;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use time::OffsetDateTime;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio_rustls::TlsConnector;

    const BAIT: &str = "bait-7f3a";

    struct Trap {
        running: Running,
        triggers: UnboundedReceiver<Trigger>,
        certificate: String,
    }

    async fn trap(proxies: Vec<IpAddr>) -> Trap {
        let now = || OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let certificate = certificate::self_made(&["localhost".to_owned()], OffsetDateTime::now_utc()).expect("made");
        let chain = certificate.chain.clone();
        let recognise: Recogniser = Arc::new(|value| {
            let claims = Claims {
                service: "shop".to_owned(),
                environment: "production".to_owned(),
                surface: Surface::Buried,
                kind: "registry-login".to_owned(),
                epoch: 1,
                edition: String::new(),
            };
            let fingerprint = Digest::of(value.as_bytes()).hex()[..16].parse().expect("16 digits");
            (value == BAIT).then_some(Recognised { claims, fingerprint })
        });
        let loopback: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let settings = Settings {
            web: loopback,
            postgres: Some(loopback),
            host: "localhost".to_owned(),
            certificate,
            proxies,
            recognise,
            announced: Arc::new(|_, _| None),
            clock: Arc::new(now),
            seed: [5; 32],
        };
        let (sender, triggers) = unbounded_channel();
        Trap { running: start(settings, sender).await.expect("free ports"), triggers, certificate: chain }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A peer that closes without a farewell of TLS has answered all the same.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("text")
    }

    async fn plain(trap: &Trap, request: &str) -> String {
        exchange(TcpStream::connect(trap.running.web).await.expect("listening"), request).await
    }

    async fn encrypted(trap: &Trap, request: &str) -> String {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trap.certificate.as_bytes()).expect("PEM")).expect("a certificate");
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(trap.running.web).await.expect("listening");
        let name = ServerName::try_from("localhost").expect("a name");
        exchange(TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("trusted"), request).await
    }

    fn get(path: &str, headers: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: probe/1\r\nConnection: close\r\n{headers}\r\n")
    }

    fn basic(password: &str) -> String {
        format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("deploy:{password}")))
    }

    #[tokio::test]
    async fn a_login_over_tls_is_one_trigger_and_opens_nothing() {
        let mut trap = trap(Vec::new()).await;
        let challenge = encrypted(&trap, &get("/v2/", "")).await;
        assert!(challenge.starts_with("HTTP/1.1 401"), "{challenge}");
        assert!(challenge.contains("Www-Authenticate: Bearer realm=\"https://localhost/token\",service=\"localhost\"\r\n"), "{challenge}");
        assert!(challenge.contains("Server: nginx"));
        assert!(trap.triggers.try_recv().is_err(), "nothing was presented yet");

        let login = get("/token?account=deploy&scope=repository%3Aacme%2Fshop%3Apull&service=localhost", &basic(BAIT));
        let granted = encrypted(&trap, &login).await;
        assert!(granted.starts_with("HTTP/1.1 200"), "{granted}");
        let bearer = granted.split("\"token\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
        let pull = encrypted(&trap, &get("/v2/acme/shop/manifests/latest", &format!("Authorization: Bearer {bearer}\r\n"))).await;
        assert!(pull.starts_with("HTTP/1.1 403"), "{pull}");

        let trigger = trap.triggers.try_recv().expect("told");
        assert_eq!((trigger.face.as_str(), trigger.address.as_str()), ("registry", "127.0.0.1"));
        assert_eq!(trigger.request, "GET /token for repository:acme/shop:pull");
        assert_eq!(trigger.user_agent.as_deref(), Some("probe/1"));
        assert_eq!(trigger.claims.environment, "production");
        assert_eq!(trigger.time, "2024-10-04T00:00:00Z");
        assert!(trap.triggers.try_recv().is_err(), "one login is one trigger");
        let counts = trap.running.counts();
        assert_eq!((counts.requests, counts.uses, counts.strangers), (3, 1, 0), "a bearer that was granted here is no stranger's");
    }

    #[tokio::test]
    async fn the_same_port_speaks_plain_http_and_refuses_strangers() {
        let mut trap = trap(Vec::new()).await;
        let stranger = plain(&trap, &get("/acme/shop.git/info/refs?service=git-upload-pack", &basic("hunter22"))).await;
        assert!(stranger.starts_with("HTTP/1.1 401"), "{stranger}");
        assert!(plain(&trap, &get("/v2/", "")).await.contains("realm=\"http://localhost/token\""));
        assert!(trap.triggers.try_recv().is_err());
        let guest = plain(&trap, &get("/acme/shop.git/info/refs?service=git-upload-pack", &basic(BAIT))).await;
        assert!(guest.starts_with("HTTP/1.1 403"), "{guest}");
        assert_eq!(trap.triggers.try_recv().expect("told").request, "GET /acme/shop.git/info/refs");
        let counts = trap.running.counts();
        assert_eq!((counts.requests, counts.uses, counts.strangers), (3, 1, 1));
    }

    #[tokio::test]
    async fn a_database_login_is_recognised_by_any_of_its_names() {
        let mut trap = trap(Vec::new()).await;
        let mut stream = TcpStream::connect(trap.running.postgres.expect("asked for")).await.expect("listening");
        let content = format!("user\0{BAIT}\0database\0orders\0application_name\0psql\0\0");
        let length = u32::try_from(content.len() + 8).expect("short");
        stream.write_all(&[&length.to_be_bytes()[..], &[0, 3, 0, 0], content.as_bytes()].concat()).await.expect("sent");
        let mut ask = [0; 9];
        stream.read_exact(&mut ask).await.expect("asked");
        assert_eq!(ask, [b'R', 0, 0, 0, 8, 0, 0, 0, 3]);
        let refusal = exchange(stream, "p\0\0\0\x07pw\0").await;
        assert!(refusal.contains("28P01"), "{refusal}");
        let trigger = trap.triggers.try_recv().expect("told");
        assert_eq!((trigger.face.as_str(), trigger.request.as_str()), ("postgres", "login as *** to database orders"));
        assert!(trap.triggers.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_flood_from_one_address_is_turned_away_at_its_limit() {
        let trap = trap(Vec::new()).await;
        let mut open = Vec::new();
        for _ in 0..EACH + 6 {
            open.push(TcpStream::connect(trap.running.web).await.expect("accepted by the system"));
        }
        let mut turned_away = 0;
        for mut stream in open.drain(EACH..).collect::<Vec<_>>() {
            turned_away += usize::from(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        }
        assert_eq!((turned_away, trap.running.counts().refused), (6, 6));
        drop(open);
        // Room is made as soon as the decoy has seen them go.
        for _ in 0..100 {
            if plain(&trap, &get("/", "")).await.starts_with("HTTP/1.1 401") {
                return;
            }
            sleep(BREATH).await;
        }
        panic!("no room was made");
    }

    #[tokio::test]
    async fn too_much_is_cut_off() {
        let trap = trap(Vec::new()).await;
        let head = get("/", &format!("X-Long: {}\r\n", "x".repeat(20_000)));
        assert!(plain(&trap, &head).await.starts_with("HTTP/1.1 431"));
        let many = get("/", &"X-Many: x\r\n".repeat(100));
        assert!(plain(&trap, &many).await.starts_with("HTTP/1.1 431"));
        let request = format!("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n{}", "x".repeat(70_000));
        assert!(plain(&trap, &request).await.starts_with("HTTP/1.1 413"));
    }

    #[tokio::test]
    async fn a_visitor_that_leaves_before_its_body_is_told_nevertheless() {
        let mut trap = trap(Vec::new()).await;
        let request = format!("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n{}\r\nhalf", basic(BAIT));
        let mut stream = TcpStream::connect(trap.running.web).await.expect("listening");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let told = timeout(Duration::from_secs(2), trap.triggers.recv()).await.expect("at once").expect("told");
        assert_eq!(told.request, "POST /upload");
    }

    #[tokio::test]
    async fn behind_a_proxy_the_visitor_is_told_and_not_the_proxy() {
        let mut trap = trap(vec!["127.0.0.1".parse().expect("an address")]).await;
        let headers = format!("{}X-Forwarded-For: 192.0.2.77\r\nX-Forwarded-Proto: https\r\n", basic(BAIT));
        plain(&trap, &get("/", &headers)).await;
        assert_eq!(trap.triggers.try_recv().expect("told").address, "192.0.2.77");
    }

    #[tokio::test]
    async fn a_decoy_that_is_shut_down_ends_its_connections_and_frees_its_port() {
        let mut trap = trap(Vec::new()).await;
        let web = trap.running.web;
        let mut idle = TcpStream::connect(web).await.expect("listening");
        idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        idle.read_exact(&mut [0; 12]).await.expect("answered");
        timeout(Duration::from_secs(4), trap.running.shutdown()).await.expect("an idle connection does not delay it");
        assert!(TcpStream::connect(web).await.is_err());
        assert!(trap.triggers.recv().await.is_none(), "the channel ends with the decoy");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let trap = trap(Vec::new()).await;
        let error = listen(trap.running.web).await.expect_err("taken");
        assert!(error.to_string().contains(&trap.running.web.to_string()));
        assert!(error.hint().expect("there is one").contains("another port") || error.hint().is_some_and(|hint| hint.contains("choose another")));
        let unusable = Certificate { chain: String::new(), key: Secret::new(String::new()) };
        assert!(certificate::tls(&unusable, &[]).is_err());
    }
}
