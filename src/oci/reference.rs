//! References: `registry/repository:tag@digest`.

use std::fmt;
use std::str::FromStr;

use crate::oci::digest::Digest;
use crate::oci::error::OciError;

/// The registry that a name without one means.
pub const DOCKER_HUB: &str = "docker.io";

/// Where an image lies in a registry. `docker.io/library/` is filled in, `latest` only where [`Reference::tag_or_latest`] is asked.
///
/// Source: OCI distribution specification, "Pulling manifests"; `distribution/reference` for the short forms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Host with an optional port, as written: `ghcr.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

impl Reference {
    /// The tag, `latest` where neither tag nor digest was written.
    #[must_use]
    pub fn tag_or_latest(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, Some(_)) => None,
            (None, None) => Some("latest"),
        }
    }

    /// The registry and repository, without tag or digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository at a digest.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// Whether the registry runs on this very machine, where plain HTTP gives nothing away.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = match self.registry.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.registry.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.ends_with(".localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let bad = |why| OciError::Reference { text: text.chars().take(200).collect(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (rest, tag) = match rest.rfind(':') {
            Some(colon) if !rest[colon..].contains('/') && !rest[..colon].is_empty() => (&rest[..colon], Some(&rest[colon + 1..])),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(bad("a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with a letter, digit or `_`"));
        }
        let (registry, repository) = match rest.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host.starts_with('[') || host == "localhost" => (host, path.to_owned()),
            Some(_) => (DOCKER_HUB, rest.to_owned()),
            None if rest.starts_with('[') => return Err(bad("it names no repository")),
            None => (DOCKER_HUB, format!("library/{rest}")),
        };
        let registry = if matches!(registry, "index.docker.io" | "registry-1.docker.io") { DOCKER_HUB } else { registry };
        if !is_registry(registry) {
            return Err(bad("the registry is not a host name with an optional port"));
        }
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("repository names are lower case"));
        }
        if repository.len() > 255 || !repository.split('/').all(is_path_component) {
            return Err(bad("repository names are lower-case letters and digits, joined by `.`, `_`, `-` or `/`"));
        }
        Ok(Self { registry: registry.to_ascii_lowercase(), repository, tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= 128
        && tag.bytes().enumerate().all(|(at, byte)| byte.is_ascii_alphanumeric() || byte == b'_' || (at > 0 && matches!(byte, b'.' | b'-')))
        && !tag.is_empty()
}

fn is_registry(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) if ip.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port.strip_prefix(':').or((port.is_empty()).then_some("0"))),
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("0")),
        },
    };
    port.is_some_and(|port| port.parse::<u16>().is_ok())
        && !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !edge(bytes.first()) || !edge(bytes.last()) {
        return false;
    }
    // Separators: one `.`, one or two `_`, any number of `-`.
    bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        && !component.contains("..")
        && !component.contains("___")
        && !["._", "_.", ".-", "-.", "_-", "-_"].iter().any(|pair| component.contains(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_docker_hub() {
        for (text, whole) in [
            ("alpine", "docker.io/library/alpine"),
            ("acme/shop:1", "docker.io/acme/shop:1"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("ghcr.io/acme/shop", "ghcr.io/acme/shop"),
            ("index.docker.io/library/alpine:3", "docker.io/library/alpine:3"),
        ] {
            assert_eq!(text.parse::<Reference>().expect(text).to_string(), whole);
        }
    }

    #[test]
    fn names_that_could_leave_their_path_are_refused() {
        for text in [
            "",
            "ghcr.io/Acme/shop",
            "ghcr.io/a/../b",
            "ghcr.io/a?b",
            "ghcr.io/a:b c",
            "ghcr.io/a@sha256:1",
            "gh cr.io/a",
            "ghcr.io/a%2fb",
            "-x.io/a",
            "ghcr.io:99999/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in
            [("localhost:5000/a", true), ("127.0.0.1:1/a", true), ("[::1]:5000/a", true), ("127.example.com/a", false), ("ghcr.io/a", false)]
        {
            assert_eq!(text.parse::<Reference>().expect(text).is_loopback(), loopback, "{text}");
        }
    }
}
