//! A certificate authority of our own, and the server certificates that it issues.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Names that a test can lead to this machine, by a proxy or a name server of its own.
pub(crate) const NAMES: [&str; 2] = ["ghcr.io", "registry.acme.test"];

/// An authority that no system trusts.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// The two files of a server, PEM.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "Acme internal CA");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key).expect("an authority signs itself").pem();
        Self { issuer: Issuer::new(parameters, key), certificate }
    }

    /// Writes the authority's certificate as `ca.crt`, the name that skopeo's folders of certificates use.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("ca.crt");
        std::fs::write(&path, &self.certificate).expect("the folder is writable");
        path
    }

    /// Issues a certificate for this machine's loopback names and for those that tests lead here.
    pub(crate) fn issue(&self, folder: &Path) -> Identity {
        self.issue_for(folder, &[&["localhost"], &NAMES[..]].concat())
    }

    /// Issues a certificate for these names and the loopback address.
    pub(crate) fn issue_for(&self, folder: &Path, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("they are names");
        parameters.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&parameters, Identity { certificate: folder.join("server.crt"), key: folder.join("server.key") })
    }

    /// Issues a certificate for a client, with the names that Docker's and skopeo's folders of certificates use.
    pub(crate) fn issue_client(&self, folder: &Path) -> Identity {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "ci");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&parameters, Identity { certificate: folder.join("client.cert"), key: folder.join("client.key") })
    }

    fn sign(&self, parameters: &CertificateParams, identity: Identity) -> Identity {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("the authority signs");
        std::fs::write(&identity.certificate, certificate.pem()).expect("the folder is writable");
        std::fs::write(&identity.key, key.serialize_pem()).expect("the folder is writable");
        identity
    }
}

/// What a server in this process needs.
pub(crate) fn server_config(identity: &Identity) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&identity.certificate).expect("it was just written");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("it is PEM");
    let key = PrivateKeyDer::from_pem_file(&identity.key).expect("it was just written");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("the defaults are safe");
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).expect("the key fits"))
}
