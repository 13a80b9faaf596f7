//! Why a decoy cannot stand.

use std::io;
use std::net::SocketAddr;

/// A decoy that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum DecoyError {
    #[error("the decoy cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("the decoy's certificate cannot be used: {0}")]
    Certificate(String),
}

impl DecoyError {
    /// What the user can do, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { cause, .. } if cause.kind() == io::ErrorKind::AddrInUse => {
                Some("another program has this port: choose another with --listen or --postgres")
            }
            Self::Listen { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need a privilege: choose a higher one with --listen or --postgres, and forward the low one to it")
            }
            Self::Listen { .. } => Some("choose an address of this machine, or 0.0.0.0 for all of them"),
            Self::Certificate(_) => Some("give a PEM file with the chain, leaf first, and one with its unencrypted key"),
        }
    }
}
