//! The decoy's certificate: read from PEM, or made here when the owner has none.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

use crate::decoy::error::DecoyError;
use crate::secret::value::Secret;

/// How long a certificate made here is valid.
const VALIDITY: Duration = Duration::days(825);

/// A chain, leaf first, and the key of the leaf; both PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub chain: String,
    pub key: Secret,
}

/// A self-signed certificate for `hosts` and everything one label below them. Clients that check certificates will not believe
/// it, so a decoy for strangers needs one that is publicly trusted.
///
/// # Errors
/// When a host is not a name or an address.
pub fn self_made(hosts: &[String], now: OffsetDateTime) -> Result<Certificate, DecoyError> {
    let failed = |cause: rcgen::Error| DecoyError::Certificate(cause.to_string());
    let is_name = |host: &&String| host.parse::<std::net::IpAddr>().is_err();
    let below = hosts.iter().filter(is_name).map(|host| format!("*.{host}"));
    let mut params = CertificateParams::new(hosts.iter().cloned().chain(below).collect::<Vec<_>>()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, hosts.first().cloned().unwrap_or_default());
    params.not_before = now - Duration::days(1);
    params.not_after = now + VALIDITY;
    let key = KeyPair::generate().map_err(failed)?;
    let chain = params.self_signed(&key).map_err(failed)?.pem();
    Ok(Certificate { chain, key: Secret::new(key.serialize_pem()) })
}

/// TLS 1.2 and 1.3 with this certificate, HTTP/1.1 where the client asks.
pub(crate) fn tls(certificate: &Certificate, protocols: &[&str]) -> Result<Arc<ServerConfig>, DecoyError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|cause| DecoyError::Certificate(format!("its chain is not PEM: {cause}")))?;
    if chain.is_empty() {
        return Err(DecoyError::Certificate("its chain holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose().as_bytes())
        .map_err(|cause| DecoyError::Certificate(format!("its key is not an unencrypted PEM key: {cause}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|cause| DecoyError::Certificate(cause.to_string()))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_made_here_can_be_served() {
        let hosts = ["decoy.example.net".to_owned(), "127.0.0.1".to_owned()];
        let certificate = self_made(&hosts, OffsetDateTime::UNIX_EPOCH).expect("made");
        tls(&certificate, &["http/1.1"]).expect("served");
        let other = self_made(&hosts, OffsetDateTime::UNIX_EPOCH).expect("made");
        assert!(tls(&Certificate { key: other.key, ..certificate }, &[]).is_err(), "a key of another certificate");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(self_made(&["not a host\u{e9}".to_owned()], OffsetDateTime::UNIX_EPOCH).is_err());
        for chain in ["", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
            let certificate = Certificate { chain: chain.to_owned(), key: Secret::new(String::new()) };
            assert!(matches!(tls(&certificate, &[]), Err(DecoyError::Certificate(_))));
        }
    }
}
