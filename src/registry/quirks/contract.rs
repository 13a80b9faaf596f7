//! What a registry does otherwise than the specification says.

/// One registry's deviations. What a registry does by the book takes its value from [`Quirk::SPEC`].
#[derive(Debug, Clone, Copy)]
pub struct Quirk {
    pub name: &'static str,
    /// Hosts that this row is for, as they stand in references; a leading `*.` stands for any subdomain.
    pub hosts: &'static [&'static str],
    /// The host that answers the API, where it is not the one in references.
    pub api_host: Option<&'static str>,
    /// Hosts besides its own domain that may be shown the registry's credentials.
    pub realms: &'static [&'static str],
    /// Keys under which Docker's configuration keeps its credentials, besides the host.
    pub credential_keys: &'static [&'static str],
    /// The largest piece of a chunked upload, in bytes.
    pub chunk: usize,
    /// What a refused push most often lacks.
    pub push_hint: &'static str,
    /// What was observed, and where.
    pub observed: &'static str,
}

impl Quirk {
    /// A registry by the book. Source: OCI distribution specification 1.1.
    pub const SPEC: Self = Self {
        name: "registry",
        hosts: &[],
        api_host: None,
        realms: &[],
        credential_keys: &[],
        chunk: 4 << 20,
        push_hint: "log in with a user that may push to this repository (docker login), or give --username with --password-stdin",
        observed: "nothing",
    };

    /// Whether this row is for a registry's host, given with its port if it has one.
    #[must_use]
    pub fn is_for(&self, registry: &str) -> bool {
        self.hosts.iter().any(|host| match host.strip_prefix("*.") {
            Some(domain) => registry.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1),
            None => *host == registry,
        })
    }
}
