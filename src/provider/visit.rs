//! A token, used as a thief would use it: an address is called, a name looked up, a database asked to let us in.

use std::time::Duration;

use http::header::USER_AGENT;
use tokio::time::timeout;
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres::{Error, NoTls};
use url::Url;

use crate::bait::honeytoken::Honeytoken;
use crate::bait::kinds::aws_keys::region;
use crate::bait::kinds::contract::Fields;
use crate::net::client::{HttpClient, Purpose, wire};
use crate::net::error::NetError;
use crate::net::redirect::authority;
use crate::net::resolver::Resolver;
use crate::provider::aws_api::{self, Endpoint};
use crate::provider::error::ProviderError;
use crate::provider::wire::Wire;

/// How long a database may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Uses a vendor's token that leads to a server by its name or address alone, or a key pair of the vendor's AWS account, which answers at
/// `aws`. Of a look-up nothing shows but who asked, so that it bears no mark.
///
/// # Errors
/// When the kind is used in another way, nobody is reached, or AWS does not take the key.
pub(super) async fn exercise(vendor: &Wire, aws: &Endpoint, token: &Honeytoken, mark: &str) -> Result<(), ProviderError> {
    let (provider, fields) = (vendor.provider(), Fields::of(token));
    match token.claims.kind.as_str() {
        "aws-keys" => aws_api::exercise(vendor, (aws, region(&fields)), token, mark).await,
        "web-url" => call((provider, vendor.http()), fields.get("url"), Vec::new(), mark).await,
        "dns-name" => match Resolver::system().addresses(fields.get("hostname")).await {
            // Whoever says that there is no address has been asked.
            Ok(_) | Err(NetError::Name { unknown: true, .. }) => Ok(()),
            Err(error) => Err(unavailable(provider, error.to_string())),
        },
        _ => Err(ProviderError::NoUse { provider, kind: token.claims.kind.clone() }),
    }
}

/// One request by a program that calls itself `mark`. Whatever is answered, it was seen.
///
/// # Errors
/// When nobody is reached.
pub(super) async fn call(
    (provider, http): (&'static str, &HttpClient),
    url: &str,
    headers: Vec<(&'static str, String)>,
    mark: &str,
) -> Result<(), ProviderError> {
    let mut url = Url::parse(url).map_err(|_| unavailable(provider, "the token leads to no address".to_owned()))?;
    let login = (url.username().to_owned(), url.password().map(str::to_owned));
    // A login within a URL is sent as a header; an error would show the URL.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let told = |error: NetError| unavailable(provider, error.to_string());
    let mut request = http.for_host(&url, Purpose::Api).map_err(told)?.get(url.clone()).header(USER_AGENT, format!("curl/8.14.1 ({mark})"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let (user, Some(password)) = login {
        request = request.basic_auth(user, Some(password));
    }
    request.send().await.map(|_| ()).map_err(|error| told(NetError::of(&error, &authority(&url))))
}

/// A login at the database that `url` names, by an application that calls itself `mark`. Unencrypted: a decoy's certificate is mostly its own.
///
/// # Errors
/// When nobody is reached, or it is no database that answers.
pub(super) async fn login(provider: &'static str, url: &str, mark: &str) -> Result<(), ProviderError> {
    let nowhere = || unavailable(provider, "the token leads to no database".to_owned());
    // The parser's own words would quote the password.
    let mut config: Config = url.parse().map_err(|_| nowhere())?;
    config.application_name(format!("psql {mark}")).ssl_mode(SslMode::Disable);
    let (Some(Host::Tcp(host)), Some(port)) = (config.get_hosts().first().cloned(), config.get_ports().first().copied()) else {
        return Err(nowhere());
    };
    let stream = wire(&host, port).await.map_err(|error| unavailable(provider, error.to_string()))?;
    let answered = timeout(PATIENCE, config.connect_raw(stream, NoTls)).await;
    match answered.map_err(|_| unavailable(provider, format!("{host}:{port} does not answer")))? {
        Ok(_) => Ok(()),
        // A database that lets nobody in has seen who asked.
        Err(error) if Error::code(&error).is_some() => Ok(()),
        Err(error) => Err(unavailable(provider, format!("{host}:{port} does not answer as a database does: {error}"))),
    }
}

fn unavailable(provider: &'static str, why: String) -> ProviderError {
    ProviderError::Unavailable { provider, why }
}
