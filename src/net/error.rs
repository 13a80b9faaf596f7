//! What can go wrong before an answer has come.

use std::error::Error as StdError;

/// A request that got no answer, or was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    #[error("cannot use {what}: {why}")]
    Settings { what: String, why: String },
    /// Our own policy on addresses, schemes and redirects.
    #[error("will not connect to {host}: {why}")]
    Refused { host: String, why: String },
    /// `unknown`: a name server has said that there is no such host.
    #[error("cannot resolve {host}: {why}")]
    Name { host: String, why: String, unknown: bool },
    /// `refused`: the host has said that nothing listens there.
    #[error("cannot connect to {host}: {why}")]
    Connect { host: String, why: String, refused: bool },
    #[error("no trusted TLS connection to {host}: {why}")]
    Tls { host: String, why: String, certificate: bool },
    #[error("{host} did not answer in time: {why}")]
    Timeout { host: String, why: String },
    #[error("the connection to {host} broke: {why}")]
    Broken { host: String, why: String },
}

impl NetError {
    /// Says what a failed request of the HTTP client means. `host` is for the message.
    #[must_use]
    pub fn of(error: &reqwest::Error, host: &str) -> Self {
        let host = host.to_owned();
        for cause in chain(error) {
            if let Some(known) = cause.downcast_ref::<Self>() {
                return known.clone();
            }
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                let certificate = matches!(tls, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
                return Self::Tls { host, why: tls.to_string(), certificate };
            }
        }
        let refused = |cause: &(dyn StdError + 'static)| {
            cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        };
        if error.is_connect() && chain(error).any(refused) {
            return Self::Connect { host, why: "it refuses the connection: nothing listens there".to_owned(), refused: true };
        }
        // The client's own text holds the whole address, and addresses can be signed.
        let why = chain(error).filter(|cause| !cause.is::<reqwest::Error>()).last().map_or_else(|| "no reason given".to_owned(), ToString::to_string);
        match () {
            () if error.is_timeout() => Self::Timeout { host, why },
            () if error.is_connect() => Self::Connect { host, why, refused: false },
            () => Self::Broken { host, why },
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::Connect { .. } | Self::Timeout { .. } | Self::Broken { .. })
    }

    /// Whether there is nobody to speak to, for certain; which may change where there was somebody a moment ago.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Name { unknown: true, .. } | Self::Connect { refused: true, .. })
    }

    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Tls { certificate: true, .. } => {
                Some("if the server has a certificate of your own authority, give that authority with --ca-file or certs.d")
            }
            Self::Tls { .. } => Some("does the server speak plain HTTP, or sit behind a proxy? see --plain-http"),
            Self::Name { .. } => Some("check the name, /etc/resolv.conf, and the proxy settings"),
            Self::Connect { .. } | Self::Timeout { .. } => Some("check that the server runs, and the firewall and proxy settings"),
            _ => None,
        }
    }
}

/// An error and all its causes. An `io::Error` hides its cause from `source`, so it is asked by name.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}
