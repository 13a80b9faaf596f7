//! Where an image is read from or written to, in the spelling that skopeo users know.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::oci::error::OciError;
use crate::oci::reference::Reference;

/// The transports, as they are written.
pub const TRANSPORTS: [&str; 5] = ["docker-daemon:", "docker-archive:", "oci:", "oci-archive:", "docker://"];

/// A transport and what it needs. Source: containers-transports(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A name or id in the local Docker daemon.
    DockerDaemon(String),
    /// What `docker save` writes; the path `-` is standard input or output.
    DockerArchive { path: PathBuf, reference: Option<String> },
    /// A directory.
    OciLayout { path: PathBuf, tag: Option<String> },
    /// A layout in a tar file.
    OciArchive { path: PathBuf, tag: Option<String> },
    /// In a registry.
    Registry(Reference),
}

impl FromStr for Location {
    type Err = OciError;

    /// # Errors
    /// [`OciError::NoTransport`] for a text without one (a path or a reference, which the caller can tell apart); otherwise what is wrong.
    fn from_str(text: &str) -> Result<Self, OciError> {
        if let Some(reference) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(reference.parse()?));
        }
        let shortened = || text.chars().take(200).collect::<String>();
        let Some((transport, rest)) = text.split_once(':') else { return Err(OciError::NoTransport(shortened())) };
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (PathBuf::from(path), Some(name.to_owned()).filter(|name| !name.is_empty())),
            None => (PathBuf::from(rest), None),
        };
        let location = match transport {
            "docker-daemon" => Self::DockerDaemon(rest.to_owned()),
            "docker-archive" => Self::DockerArchive { path, reference: name },
            "oci" => Self::OciLayout { path, tag: name },
            "oci-archive" => Self::OciArchive { path, tag: name },
            _ => return Err(unknown(transport, rest, shortened())),
        };
        if rest.is_empty() || rest.starts_with(':') {
            return Err(OciError::Location { text: shortened(), why: format!("nothing follows `{transport}:`") });
        }
        Ok(location)
    }
}

impl Location {
    /// Where an image goes to: as [`FromStr`], but a bare reference means a registry.
    ///
    /// # Errors
    /// When it is neither a transport with its place nor a reference.
    pub fn parse_destination(text: &str) -> Result<Self, OciError> {
        match text.parse() {
            Err(OciError::NoTransport(_)) => Ok(Self::Registry(text.parse()?)),
            other => other,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, name) = match self {
            Self::DockerDaemon(name) => return write!(f, "docker-daemon:{name}"),
            Self::Registry(reference) => return write!(f, "docker://{reference}"),
            Self::DockerArchive { path, reference } => ("docker-archive", path, reference),
            Self::OciLayout { path, tag } => ("oci", path, tag),
            Self::OciArchive { path, tag } => ("oci-archive", path, tag),
        };
        write!(f, "{transport}:{}", path.display())?;
        name.as_deref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

/// `name:tag` and `host:port/name` have a colon, too: only what cannot be a path or reference, or resembles a transport, is one misspelt.
fn unknown(transport: &str, rest: &str, text: String) -> OciError {
    let names = TRANSPORTS.map(|name| name.trim_end_matches([':', '/']));
    let near = names.into_iter().min_by_key(|name| distance(name, transport)).filter(|name| distance(name, transport) <= 2);
    let other_tools = ["containers-storage", "dir", "docker-image", "http", "https", "podman", "registry", "sif", "tarball", "file"];
    let has_slashes = rest.starts_with("//");
    let is_tag = !rest.contains('/') && !rest.is_empty() && near.is_none_or(|name| name != transport);
    let is_transport = has_slashes || other_tools.contains(&transport) || (near.is_some() && !(is_tag && transport.len() < 5));
    if !is_transport {
        return OciError::NoTransport(text);
    }
    // `docker:` alone could be either.
    let near = if transport == "docker" { Some("docker-daemon:` or `docker://") } else { near };
    let guess = near.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    let why = format!("`{transport}` is no transport that is known; there are {}{guess}", TRANSPORTS.join(", "));
    OciError::Location { text, why }
}

/// How many letters have to be changed, added or taken away to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_is_read_and_written_back() {
        for text in [
            "docker-daemon:shop:1.4",
            "docker-archive:/tmp/shop.tar",
            "docker-archive:-",
            "docker-archive:shop.tar:ghcr.io/acme/shop:1.4",
            "oci:build/layout",
            "oci:build/layout:v1",
            "oci-archive:shop.tar:v1",
            "docker://ghcr.io/acme/shop:1.4",
        ] {
            assert_eq!(text.parse::<Location>().expect(text).to_string(), text);
        }
        let archive = Location::DockerArchive { path: "a.tar".into(), reference: Some("x:1".to_owned()) };
        assert_eq!("docker-archive:a.tar:x:1".parse::<Location>().unwrap(), archive);
    }

    #[test]
    fn what_has_no_transport_is_left_to_the_caller() {
        for text in ["shop.tar", "ghcr.io/acme/shop:1.4", "localhost:5000/a", "alpine:3", "./dir", "redis:7", "ab:c", "old:1"] {
            assert!(matches!(text.parse::<Location>(), Err(OciError::NoTransport(_))), "{text}");
        }
        assert_eq!(Location::parse_destination("ghcr.io/acme/shop:1").unwrap().to_string(), "docker://ghcr.io/acme/shop:1");
        assert!(Location::parse_destination("Not A Reference").is_err());
    }

    #[test]
    fn a_misspelt_transport_is_named_with_the_one_that_was_meant() {
        for (text, guess) in [("docker-deamon:shop", "docker-daemon"), ("docker-archve:x.tar", "docker-archive"), ("oci-archiv:x", "oci-archive")] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{guess}`?")), "{error}");
            assert!(Location::parse_destination(text).is_err());
        }
        let error = "docker:shop".parse::<Location>().unwrap_err().to_string();
        assert!(error.ends_with("did you mean `docker-daemon:` or `docker://`?"), "{error}");
        for text in ["containers-storage:x", "https://ghcr.io/a", "oci:", "docker-archive:", "docker-daemon:"] {
            assert!(matches!(text.parse::<Location>(), Err(OciError::Location { .. })), "{text}");
        }
    }
}
