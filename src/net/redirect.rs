//! Where an answer may send us, as a pure decision.

use url::Url;

use crate::net::error::NetError;

/// Redirects that are followed one after the other.
pub const MAX_HOPS: usize = 5;

/// The address that `location`, read in an answer from `from`, leads to.
///
/// # Errors
/// When it is no address, carries a user or password, or leaves HTTPS.
pub fn next_hop(from: &Url, location: &str) -> Result<Url, NetError> {
    let refused = |why: &str| NetError::Refused { host: authority(from), why: why.to_owned() };
    let mut to = from.join(location).map_err(|cause| refused(&format!("it sends us to an address that cannot be read ({cause})")))?;
    to.set_fragment(None);
    let here = same_origin(from, &to);
    match to.scheme() {
        "https" => {}
        "http" if from.scheme() == "http" && (here || is_loopback(&to)) => {}
        "http" => return Err(refused("it sends us from HTTPS, or to another host, over plain HTTP")),
        _ => return Err(refused("it sends us to something that is not HTTP")),
    }
    if to.host_str().is_none() || !to.username().is_empty() || to.password().is_some() {
        return Err(refused("it sends us to an address without a host or with a user in it"));
    }
    Ok(to)
}

/// Whether two addresses have scheme, host and port in common; the port may be written or not.
#[must_use]
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Host and, where it is written, port.
#[must_use]
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether the address leads to this very machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, location: &str) -> Option<String> {
        next_hop(&from.parse().expect("an address"), location).ok().map(String::from)
    }

    #[test]
    fn locations_may_be_relative_and_keep_their_query() {
        assert_eq!(hop("https://r.example/v2/a", "/up?_state=x").as_deref(), Some("https://r.example/up?_state=x"));
        assert_eq!(hop("https://r.example/v2/a", "https://r.example:443/up").as_deref(), Some("https://r.example/up"));
        assert_eq!(hop("https://r.example/v2/a", "https://cdn.example/b?sig=1").as_deref(), Some("https://cdn.example/b?sig=1"));
    }

    #[test]
    fn https_is_never_left() {
        assert_eq!(hop("https://r.example/v2/a", "http://r.example/up"), None);
        assert_eq!(hop("https://r.example/v2/a", "file:///etc/passwd"), None);
        assert_eq!(hop("http://r.example/v2/a", "http://other.example/b"), None);
        assert_eq!(hop("https://r.example/v2/a", "https://user@other.example/b"), None);
        assert!(hop("http://127.0.0.1:5000/v2/a", "http://127.0.0.1:6000/b").is_some());
    }
}
