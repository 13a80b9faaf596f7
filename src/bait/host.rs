//! Where bait leads: the decoy's host, under the names that its services would have.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The decoy as bait names it. Written `[http://]host[:port]`; `https` unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoyHost {
    /// `https` or `http`.
    scheme: &'static str,
    name: String,
    port: Option<u16>,
    labels: bool,
    database_port: u16,
}

/// A text that is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decoy host `{host}` cannot be used: {why}")]
pub struct HostError {
    host: String,
    why: String,
}

impl HostError {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "write the host that the decoy is reached by, for example decoy.example.org or decoy.example.org:8443"
    }
}

impl DecoyHost {
    /// The same host without a label for each service, for names that have no wildcard record.
    #[must_use]
    pub fn without_labels(self) -> Self {
        Self { labels: false, ..self }
    }

    /// The same host with another port for database connections than 5432.
    #[must_use]
    pub fn with_database_port(self, database_port: u16) -> Self {
        Self { database_port, ..self }
    }

    /// The host name of a service, without port: `registry.decoy.example` where the host is a DNS name that can have labels
    /// before it, the host itself where it is an address or a bare name.
    #[must_use]
    pub fn name(&self, service: &str) -> String {
        if self.labels { format!("{service}.{}", self.name) } else { self.name.clone() }
    }

    /// The host of a service, with its port where that is not the scheme's own.
    #[must_use]
    pub fn authority(&self, service: &str) -> String {
        let name = self.name(service);
        self.port.map_or(name.clone(), |port| format!("{name}:{port}"))
    }

    /// `https://` and the authority.
    #[must_use]
    pub fn url(&self, service: &str) -> String {
        format!("{}://{}", self.scheme, self.authority(service))
    }

    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Where a database client connects.
    #[must_use]
    pub fn database(&self, service: &str) -> String {
        format!("{}:{}", self.name(service), self.database_port)
    }
}

impl FromStr for DecoyHost {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let bad = |why: &str| HostError { host: text.chars().take(120).collect(), why: why.to_owned() };
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) => ("https", rest),
            Some(_) => return Err(bad("its scheme is neither http nor https")),
            None => ("https", text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, Some(port.parse().map_err(|_| bad("its port is not a number up to 65535"))?))
            }
            _ => (rest, None),
        };
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        if let Some(address) = address.filter(|address| address.parse::<IpAddr>().is_err()) {
            return Err(bad(&format!("`{address}` is not an address")));
        }
        let label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
        };
        if address.is_none() && !(name.len() <= 200 && name.split('.').all(label)) {
            return Err(bad("it is not a host name; expected `host` or `host:port`, without path or user"));
        }
        let numeric = address.is_some() || name.parse::<IpAddr>().is_ok();
        let labels = !numeric && name.contains('.') && !name.ends_with(".localhost");
        Ok(Self { scheme, name: name.to_ascii_lowercase(), port, labels, database_port: 5432 })
    }
}

impl fmt::Display for DecoyHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == "http" { "http://" } else { "" };
        write!(f, "{scheme}{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> DecoyHost {
        text.parse().expect("a host")
    }

    #[test]
    fn a_dns_name_has_a_label_for_each_service() {
        assert_eq!(host("Decoy.example.org").authority("registry"), "registry.decoy.example.org");
        assert_eq!(host("decoy.example.org:8443").url("git"), "https://git.decoy.example.org:8443");
        assert_eq!(host("decoy.example.org:8443").database("db"), "db.decoy.example.org:5432");
        assert_eq!(host("decoy.example.org").without_labels().authority("git"), "decoy.example.org");
    }

    #[test]
    fn an_address_or_bare_name_has_none() {
        assert_eq!(host("http://127.0.0.1:8080").url("git"), "http://127.0.0.1:8080");
        assert_eq!(host("[::1]:8080").authority("git"), "[::1]:8080");
        assert_eq!(host("localhost:9").authority("git"), "localhost:9");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "ftp://a.b", "a.b/path", "user@a.b", "a.b:99999", "a..b", "[zz]", "-a.b", "a b"] {
            assert!(text.parse::<DecoyHost>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_survives_its_text() {
        for text in ["decoy.example.org", "http://127.0.0.1:8080", "[::1]:8080"] {
            assert_eq!(host(text).to_string(), text);
        }
    }
}
