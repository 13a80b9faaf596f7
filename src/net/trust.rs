//! Whom TLS trusts: the authorities of the user and the system, and the embedded ones only where there is nothing else.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use reqwest::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::net::error::NetError;

/// Authorities, and where they came from. The system's are read once somebody asks for them: that takes as long as a small push.
pub struct Trust {
    own: Vec<Certificate>,
    /// What to call our own.
    name: Option<String>,
    all: OnceLock<(Vec<Certificate>, String)>,
}

impl Trust {
    /// The union of `ca_file` and the system's store (with `SSL_CERT_FILE` and `SSL_CERT_DIR`).
    ///
    /// # Errors
    /// When `ca_file` cannot be read or holds no certificate.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, NetError> {
        let own = ca_file.map(authorities).transpose()?.unwrap_or_default();
        let name = ca_file.map(|path| format!("{} ({})", path.display(), own.len()));
        Ok(Self { own, name, all: OnceLock::new() })
    }

    #[must_use]
    pub fn roots(&self) -> &[Certificate] {
        &self.all().0
    }

    /// For people: `system (142)`, `embedded (145)`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.all().1
    }

    fn all(&self) -> &(Vec<Certificate>, String) {
        self.all.get_or_init(|| {
            let system = rustls_native_certs::load_native_certs().certs;
            let system: Vec<Certificate> = system.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
            let mut source: Vec<String> = self.name.iter().cloned().collect();
            if !system.is_empty() {
                source.push(format!("system ({})", system.len()));
            }
            let mut roots: Vec<Certificate> = self.own.iter().cloned().chain(system).collect();
            if roots.is_empty() {
                roots.extend(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| Certificate::from_der(der).ok()));
                source.push(format!("embedded ({})", roots.len()));
            }
            (roots, source.join(", "))
        })
    }
}

/// The certificates of a PEM file.
///
/// # Errors
/// When it cannot be read or holds none.
pub fn authorities(path: &Path) -> Result<Vec<Certificate>, NetError> {
    let bad = |why: String| NetError::Settings { what: format!("the CA file {}", path.display()), why };
    let pem = std::fs::read(path).map_err(|cause| bad(cause.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|cause| bad(cause.to_string()))?;
    if found.is_empty() { Err(bad("it holds no PEM certificate".to_owned())) } else { Ok(found) }
}

/// The same trust for connections that speak something else than HTTP. TLS 1.2 is the least.
///
/// # Errors
/// When `ca_file` cannot be read or holds no certificate.
pub fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, NetError> {
    let bad = |what: String, why: String| NetError::Settings { what, why };
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let what = || format!("the CA file {}", path.display());
        let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        if roots.add_parsable_certificates(found.map_err(|cause| bad(what(), cause.to_string()))?).0 == 0 {
            return Err(bad(what(), "it holds no PEM certificate".to_owned()));
        }
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|cause| bad("the TLS settings".to_owned(), cause.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_an_error() {
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        std::fs::write(file.path(), "nothing here").expect("a scratch file");
        assert!(authorities(file.path()).is_err_and(|error| error.to_string().contains("no PEM certificate")));
        assert!(tls(Some(file.path())).is_err_and(|error| error.to_string().contains("no PEM certificate")));
    }

    #[test]
    fn an_own_authority_adds_to_the_others() {
        let authority = rcgen::generate_simple_self_signed(["registry.corp".to_owned()]).expect("a certificate");
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        std::fs::write(file.path(), authority.cert.pem()).expect("a scratch file");
        let (without, with) = (Trust::load(None).expect("loads"), Trust::load(Some(file.path())).expect("loads"));
        assert!(!without.roots().is_empty());
        assert!(with.source().contains("(1)"));
    }
}
