//! Names to addresses: the hosts file, then DNS, without the C library; and the policy on what a foreign name may resolve to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::net::address::Admission;
use crate::net::error::NetError;

/// The system's names. `/etc/resolv.conf` is read on the first name that needs it, with its search list and `ndots`;
/// literal addresses, `localhost` and the hosts file do without.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    hosts: String,
    dns: OnceLock<Result<TokioResolver, String>>,
}

impl Resolver {
    /// A resolver with this text of a hosts file.
    #[must_use]
    pub fn new(hosts: String) -> Self {
        Self(Arc::new(Inner { hosts, dns: OnceLock::new() }))
    }

    /// A resolver with the system's hosts file; a missing one counts as empty.
    #[must_use]
    pub fn system() -> Self {
        Self::new(std::fs::read_to_string("/etc/hosts").unwrap_or_default())
    }

    /// All addresses of a host.
    ///
    /// # Errors
    /// When nothing knows the name.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let name = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = in_hosts(&self.0.hosts, &name);
        if !known.is_empty() {
            return Ok(known);
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let failed = |why: String| NetError::Name { host: name.clone(), why, unknown: false };
        let dns = self.0.dns.get_or_init(from_system).as_ref().map_err(|why| failed(why.clone()))?;
        let answer = dns.lookup_ip(host).await.map_err(|cause| match cause.is_no_records_found() {
            // The resolver's own text is its query, in full.
            true => NetError::Name { host: name.clone(), why: "no name server knows an address for it".to_owned(), unknown: true },
            false => failed(cause.to_string()),
        })?;
        Ok(answer.iter().collect())
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move { Ok(sockets(resolver.addresses(name.as_str()).await?)) })
    }
}

/// A resolver for foreign hosts. The check is on the addresses that are then connected to, so a name cannot change its mind in between.
///
/// Names that were not announced with [`GuardedResolver::guard`] pass: they are proxies, which the user chose.
#[derive(Clone)]
pub struct GuardedResolver {
    resolver: Resolver,
    admission: Admission,
    guarded: Arc<Mutex<BTreeSet<String>>>,
}

impl GuardedResolver {
    #[must_use]
    pub fn new(resolver: Resolver, admission: Admission) -> Self {
        Self { resolver, admission, guarded: Arc::default() }
    }

    /// Marks a name as foreign.
    pub fn guard(&self, host: &str) {
        self.names().insert(host.to_ascii_lowercase());
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.guarded.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_ascii_lowercase();
            let mut addresses = this.resolver.addresses(&host).await?;
            if this.names().contains(&host) {
                addresses.retain(|address| this.admission.admits(*address));
                if addresses.is_empty() {
                    return Err(refused(&host).into());
                }
            }
            Ok(sockets(addresses))
        })
    }
}

/// The refusal of a foreign host by its address.
#[must_use]
pub fn refused(host: &str) -> NetError {
    let why = "another server named it, and its address is private, loopback, link-local or a metadata service".to_owned();
    NetError::Refused { host: host.to_owned(), why }
}

fn sockets(addresses: Vec<IpAddr>) -> Addrs {
    Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)))
}

fn from_system() -> Result<TokioResolver, String> {
    let mut builder = TokioResolver::builder_tokio().map_err(|cause| format!("/etc/resolv.conf cannot be used ({cause})"))?;
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(|cause| cause.to_string())
}

/// The addresses that a hosts file gives a name. Source: hosts(5).
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "# own names\n127.0.0.1 localhost\n10.1.2.3 registry.corp registry # main\n10.1.2.4 Registry.corp\n";

    #[tokio::test]
    async fn literals_and_the_hosts_file_need_no_dns() {
        let resolver = Resolver::new(HOSTS.to_owned());
        let corp: Vec<IpAddr> = vec!["10.1.2.3".parse().expect("address"), "10.1.2.4".parse().expect("address")];
        assert_eq!(resolver.addresses("registry.corp").await.expect("in hosts"), corp);
        assert_eq!(resolver.addresses("[::1]").await.expect("literal"), ["::1".parse::<IpAddr>().expect("address")]);
        assert!(resolver.addresses("a.localhost").await.expect("loopback").iter().all(IpAddr::is_loopback));
    }

    #[tokio::test]
    async fn a_foreign_name_may_not_lead_inside_but_a_proxy_may() {
        let guarded = GuardedResolver::new(Resolver::new(HOSTS.to_owned()), Admission::default());
        let resolve = |name: &str| guarded.resolve(name.parse().expect("a name"));
        assert!(resolve("registry.corp").await.is_ok());
        guarded.guard("Registry.corp");
        let Err(refusal) = resolve("registry.corp").await else { panic!("must be refused") };
        assert!(refusal.to_string().contains("private"));
    }
}
