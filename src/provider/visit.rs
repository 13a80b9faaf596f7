//! A token that leads to a server by its name or address alone, used as a thief would use it.

use http::header::USER_AGENT;
use url::Url;

use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds::contract::Fields;
use crate::net::client::{HttpClient, Purpose};
use crate::net::error::NetError;
use crate::net::redirect::authority;
use crate::net::resolver::Resolver;
use crate::provider::error::ProviderError;

/// Calls the address, or looks the name up. Of a look-up nothing shows but who asked, so that it bears no mark; an address sees `mark` as the
/// program that calls.
///
/// # Errors
/// When the kind is used in another way, or nobody is reached.
pub(super) async fn exercise(provider: &'static str, http: &HttpClient, token: &Honeytoken, mark: &str) -> Result<(), ProviderError> {
    let unavailable = |error: NetError| ProviderError::Unavailable { provider, why: error.to_string() };
    let fields = Fields::of(token);
    match token.claims.kind.as_str() {
        "web-url" => {
            let url = Url::parse(fields.get("url")).map_err(|_| ProviderError::NoUse { provider, kind: token.claims.kind.clone() })?;
            let client = http.for_host(&url, Purpose::Api).map_err(unavailable)?;
            let host = authority(&url);
            let answer = client.get(url).header(USER_AGENT, mark).send().await;
            answer.map(|_| ()).map_err(|error| unavailable(NetError::of(&error, &host)))
        }
        "dns-name" => match Resolver::system().addresses(fields.get("hostname")).await {
            // Whoever says that there is no address has been asked.
            Ok(_) | Err(NetError::Name { unknown: true, .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        },
        _ => Err(ProviderError::NoUse { provider, kind: token.claims.kind.clone() }),
    }
}
