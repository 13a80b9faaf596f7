//! A token service as registries have them: Basic credentials in, a signed token for a scope out.
//!
//! Source: the Docker Registry v2 token authentication specification.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, SigningKey as _};
use serde_json::{Value, json};

use crate::common::tls::{Identity, server_config};

pub(crate) const ISSUER: &str = "acme-auth";
pub(crate) const SERVICE: &str = "acme-registry";
/// Repositories below this one are nobody's.
pub(crate) const FORBIDDEN: &str = "forbidden/";

/// One request that the service got.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) scopes: Vec<String>,
    pub(crate) user: Option<String>,
}

/// A service in a thread of this process; it ends with it.
pub(crate) struct TokenServer {
    address: SocketAddr,
    tls: bool,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Signer {
    key: KeyPair,
    certificate: Vec<u8>,
    user: &'static str,
    password: &'static str,
}

impl TokenServer {
    /// Starts it and writes the certificate that a registry has to trust (`rootcertbundle`) to `bundle`.
    pub(crate) fn start(bundle: &Path, user: &'static str, password: &'static str, identity: Option<&Identity>) -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("an RSA key can be made");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, ISSUER);
        let certificate = parameters.self_signed(&key).expect("a key signs its own certificate");
        std::fs::write(bundle, certificate.pem()).expect("the folder is writable");
        let signer = Arc::new(Signer { key, certificate: certificate.der().to_vec(), user, password });

        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let tls = identity.map(server_config);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, tls: tls.is_some(), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (signer, asked, tls) = (Arc::clone(&signer), Arc::clone(&asked), tls.clone());
                std::thread::spawn(move || {
                    // A client that hangs up or does not trust us is its own business.
                    let _ = match tls {
                        Some(config) => rustls::ServerConnection::new(config)
                            .map_err(std::io::Error::other)
                            .and_then(|connection| answer(rustls::StreamOwned::new(connection, stream), &signer, &asked)),
                        None => answer(stream, &signer, &asked),
                    };
                });
            }
        });
        server
    }

    pub(crate) fn realm(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}/token", self.address.port())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no thread panicked with it").clone()
    }
}

/// Reads one request, answers it and closes.
fn answer(mut stream: impl Read + Write, signer: &Signer, asked: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut lines = Vec::new();
    let mut reader = BufReader::new(&mut stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let target = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/");
    let url = url::Url::parse("http://localhost").and_then(|base| base.join(target)).map_err(std::io::Error::other)?;
    let scopes: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, value)| value.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter(|scope| !scope.is_empty())
        .collect();
    let basic = lines.iter().find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("authorization")));
    let credentials = basic
        .and_then(|(_, value)| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .and_then(|plain| String::from_utf8(plain).ok());
    let user = credentials.as_ref().and_then(|pair| pair.split_once(':')).map(|(user, _)| user.to_owned());
    asked.lock().expect("no thread panicked with it").push(Asked { scopes: scopes.clone(), user });

    let (status, body) = if credentials == Some(format!("{}:{}", signer.user, signer.password)) {
        let token = signer.token(&scopes);
        ("200 OK", json!({ "token": token, "access_token": token, "expires_in": 60 }))
    } else {
        ("401 Unauthorized", json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "incorrect username or password" }] }))
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes())?;
    stream.flush()
}

impl Signer {
    /// A token for what was asked, less what nobody may do.
    #[expect(clippy::disallowed_methods, reason = "the registry checks the token's dates against its clock")]
    fn token(&self, scopes: &[String]) -> String {
        let access: Vec<Value> = scopes
            .iter()
            .filter_map(|scope| {
                let (kind, rest) = scope.split_once(':')?;
                let (name, actions) = rest.rsplit_once(':')?;
                let actions: Vec<&str> = if name.starts_with(FORBIDDEN) { Vec::new() } else { actions.split(',').collect() };
                Some(json!({ "type": kind, "name": name, "actions": actions }))
            })
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(&self.certificate)] });
        let claims = json!({
            "iss": ISSUER, "sub": self.user, "aud": SERVICE, "jti": now.to_string(),
            "iat": now, "nbf": now - 5, "exp": now + 60, "access": access,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes()).expect("an RSA key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
