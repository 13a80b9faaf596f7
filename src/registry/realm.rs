//! Who may be shown a registry's credentials besides the registry itself.

use url::{Host, Url};

use crate::net::redirect::is_loopback;
use crate::registry::quirks::contract::Quirk;

/// Whether a token server is trusted with the credentials of the registry that named it.
///
/// It is when it has the registry's host or registrable domain, stands in the registry's quirk, or in `allowed`; and when it is
/// reached over HTTPS, or over HTTP on this machine like the registry. Others are asked without credentials (CVE-2020-15157).
#[must_use]
pub fn is_trusted(realm: &Url, registry: &Url, quirk: &Quirk, allowed: &[String]) -> bool {
    let secure = realm.scheme() == "https"
        || (realm.scheme() == "http" && registry.scheme() == "http" && (is_loopback(realm) || realm.host() == registry.host()));
    let Some(host) = realm.host_str() else { return false };
    secure
        && (realm.host() == registry.host()
            || quirk.realms.contains(&host)
            || allowed.iter().any(|name| name == host)
            || share_domain(realm, registry))
}

fn share_domain(a: &Url, b: &Url) -> bool {
    match (a.host(), b.host()) {
        (Some(Host::Domain(a)), Some(Host::Domain(b))) => registrable(a).is_some_and(|domain| Some(domain) == registrable(b)),
        _ => false,
    }
}

/// The part of a name that one owner has registered. Without the public suffix list, so it errs on the side of too long:
/// below country codes three labels count unless the second is long, and below hosts for everybody nothing is shared.
fn registrable(host: &str) -> Option<&str> {
    let host = host.trim_end_matches('.');
    let labels: Vec<&str> = host.split('.').collect();
    let tail = |count: usize| labels.len().checked_sub(count).map(|skip| &host[labels[..skip].iter().map(|label| label.len() + 1).sum::<usize>()..]);
    if SHARED_DOMAINS.iter().any(|shared| host == *shared || host.ends_with(&format!(".{shared}"))) {
        return None;
    }
    let country = labels.last().is_some_and(|last| last.len() == 2);
    let second = labels.len().checked_sub(2).map_or("", |at| labels[at]);
    // Vendors' own country-code domains, such as docker.io, ghcr.io, quay.io.
    let generic = second.len() <= 3 && country && labels.last() != Some(&"io");
    tail(if generic { 3 } else { 2 })
}

/// Domains below which everybody can have a name.
const SHARED_DOMAINS: [&str; 28] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "on.aws",
    "azurecr.io",
    "azurewebsites.net",
    "azurecontainer.io",
    "azurefd.net",
    "cloudapp.azure.com",
    "windows.net",
    "cloudfront.net",
    "pkg.dev",
    "run.app",
    "web.app",
    "appspot.com",
    "googleapis.com",
    "googleusercontent.com",
    "cloudfunctions.net",
    "github.io",
    "githubusercontent.com",
    "gitlab.io",
    "herokuapp.com",
    "fly.dev",
    "workers.dev",
    "pages.dev",
    "vercel.app",
    "netlify.app",
    "ngrok.io",
    "ngrok-free.app",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::quirks::{docker_hub::DOCKER_HUB, gitlab::GITLAB};

    fn trusted(realm: &str, registry: &str, quirk: &Quirk) -> bool {
        is_trusted(&realm.parse().expect("address"), &registry.parse().expect("address"), quirk, &["login.corp".to_owned()])
    }

    #[test]
    fn a_registry_may_name_its_own_house() {
        assert!(trusted("https://auth.docker.io/token", "https://registry-1.docker.io", &DOCKER_HUB));
        assert!(trusted("https://gitlab.com/jwt/auth", "https://registry.gitlab.com", &GITLAB));
        assert!(trusted("https://gitlab.example.com/jwt/auth", "https://registry.example.com:5050", &Quirk::SPEC));
        assert!(trusted("https://acme.azurecr.io/oauth2/token", "https://acme.azurecr.io", &Quirk::SPEC));
        assert!(trusted("http://localhost:5001/token", "http://localhost:5000", &Quirk::SPEC));
        assert!(trusted("https://login.corp/token", "https://registry.example.com", &Quirk::SPEC));
    }

    #[test]
    fn it_may_not_name_somebody_else_s() {
        for (realm, registry) in [
            ("https://evil.example/token", "https://registry.example.com"),
            ("http://registry.example.com/token", "https://registry.example.com"),
            ("https://evil.azurecr.io/token", "https://acme.azurecr.io"),
            ("https://evil.co.uk/token", "https://registry.co.uk"),
            ("https://evil.com.au/token", "https://registry.acme.com.au"),
            ("https://10.0.0.1/token", "https://10.0.0.2"),
            ("https://example.com.evil.net/token", "https://registry.example.com"),
            ("https://notexample.com/token", "https://registry.example.com"),
            ("http://127.0.0.1:1/token", "http://localhost:1"),
        ] {
            assert!(!trusted(realm, registry, &Quirk::SPEC), "{realm} for {registry}");
        }
    }
}
