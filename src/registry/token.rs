//! Tokens, bought from the server that a registry names, without showing a credential to anybody else.

use std::collections::HashSet;
use std::time::Duration;

use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::net::client::{HttpClient, Purpose};
use crate::net::error::NetError;
use crate::net::redirect::authority;
use crate::registry::answer::{Answer, MAX_SMALL};
use crate::registry::attempts::Attempts;
use crate::registry::challenge::Bearer;
use crate::registry::credential::{Credential, Found};
use crate::registry::error::RegistryError;
use crate::registry::quirks::contract::Quirk;
use crate::registry::realm;
use crate::registry::scope::Scope;
use crate::registry::veil::Veil;
use crate::secret::value::Secret;

/// The token server of one registry.
pub struct TokenServer<'a> {
    pub http: &'a HttpClient,
    pub registry: &'a str,
    /// The registry's own address.
    pub base: &'a Url,
    pub quirk: &'a Quirk,
    pub allowed_realms: &'a [String],
    pub veil: &'a Veil,
    /// It has given a token before.
    pub met: bool,
}

/// A token, and how long it may be used: a tenth less than its server says.
pub struct Bought {
    pub token: Secret,
    pub life: Duration,
    /// What the user may want to know.
    pub note: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// How long a token lasts when its server does not say. Source: "Token Authentication Specification".
const DEFAULT_LIFE: u64 = 60;

impl TokenServer<'_> {
    /// Buys a token for a scope, and for `wanted`, which is the scope that the registry itself asked for. The tries are those of the
    /// request that needs the token.
    ///
    /// # Errors
    /// When the server may not or cannot be asked, or refuses.
    pub async fn buy(
        &self,
        bearer: &Bearer,
        scope: &Scope,
        wanted: Option<&str>,
        found: Option<&Found>,
        attempts: &mut Attempts,
    ) -> Result<Bought, RegistryError> {
        let what = "the token request";
        let unusable = |why: String| RegistryError::Answer { registry: self.registry.to_owned(), what: what.to_owned(), why };
        let realm = Url::parse(&bearer.realm).ok().filter(|realm| realm.has_host() && matches!(realm.scheme(), "https" | "http"));
        let realm = realm.ok_or_else(|| unusable("its realm is not an address".to_owned()))?;
        let trusted = realm::is_trusted(&realm, self.base, self.quirk, self.allowed_realms);
        let server = authority(&realm);
        if !trusted && realm.scheme() != "https" && self.base.scheme() == "https" {
            return Err(RegistryError::Denied { what: format!("ask {server} for a token"), why: "it is not reached over HTTPS".to_owned() });
        }
        let mut note = None;
        if !trusted && found.is_some() {
            note = Some(format!("{} sends us to {server} for tokens, which is not known to be its own: asked without credentials", self.registry));
        }
        let shown = found.filter(|_| trusted);
        let mut words = scope.words();
        words.extend(wanted.iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty()).map(str::to_owned));
        let mut seen = HashSet::new();
        words.retain(|word| seen.insert(word.clone()));

        let mut answer = None;
        if let Some(Found { credential: Credential::Identity(token), .. }) = shown {
            let form = identity_form(bearer, &words, token);
            let posted = self.ask(&realm, Some(form), None, trusted, attempts).await?;
            // Servers without OAuth 2 take the identity token as a password.
            answer = (!matches!(posted.status, 404 | 405 | 501)).then_some(posted);
        }
        let answer = match answer {
            Some(answer) => answer,
            None => {
                let basic = shown.map(|found| found.credential.to_basic());
                self.ask(&with_query(&realm, bearer, &words), None, basic, trusted, attempts).await?
            }
        };
        let said = |answer: &Answer| answer.said(self.veil);
        if matches!(answer.status, 401 | 403) {
            if found.is_some() && !trusted {
                let why =
                    format!("the registry {} does not own it by any rule that we know, and without credentials it gives no token", self.registry);
                return Err(RegistryError::Denied { what: format!("send credentials to {server}"), why });
            }
            return Err(RegistryError::Unauthorized {
                registry: self.registry.to_owned(),
                what: format!("a token for {}", scope.repository),
                status: answer.status,
                source_of: shown.map_or("no credential".into(), |found| format!("the credential from {}", found.source).into()),
                said: said(&answer),
                hint: self.quirk.push_hint,
            });
        }
        if !answer.is_success() {
            return Err(RegistryError::Protocol {
                registry: self.registry.to_owned(),
                what: what.to_owned(),
                status: answer.status,
                said: said(&answer),
            });
        }
        let bought: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| unusable("it is not a token".to_owned()))?;
        let token = bought.token.or(bought.access_token).filter(|token| !token.is_empty()).ok_or_else(|| unusable("it holds no token".to_owned()))?;
        let life = Duration::from_secs(bought.expires_in.unwrap_or(DEFAULT_LIFE).clamp(1, 24 * 3600));
        Ok(Bought { token: Secret::new(token), life: life.mul_f64(0.9), note })
    }

    /// One question to a token server, repeated while it has passing troubles. Redirects are answers like any other.
    async fn ask(
        &self,
        url: &Url,
        form: Option<Secret>,
        basic: Option<Secret>,
        trusted: bool,
        attempts: &mut Attempts,
    ) -> Result<Answer, RegistryError> {
        // Hosts that the user or we named may lie anywhere; others only where the registry itself lies.
        let host = url.host_str().unwrap_or_default();
        let named = self.quirk.realms.contains(&host) || self.allowed_realms.iter().any(|realm| realm == host);
        let own = trusted && (named || url.host() == self.base.host());
        let client = if own { self.http.for_host(url, Purpose::Api)? } else { self.http.for_foreign(url, self.base, Purpose::Api).await? };
        loop {
            attempts.quiet().await;
            let mut request = match &form {
                Some(form) => client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.expose().to_owned()),
                None => client.get(url.clone()),
            };
            if let Some(mut value) = basic.as_ref().and_then(|basic| HeaderValue::from_str(basic.expose()).ok()) {
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            let outcome = match request.send().await {
                Ok(response) => Answer::read(response, "the token request", MAX_SMALL, self.http.settings()).await,
                Err(cause) => Err(NetError::of(&cause, &authority(url)).into()),
            };
            match outcome {
                Ok(answer) if answer.is_transient() => {
                    if !attempts.again(answer.asked_wait()).await {
                        let answer = Answer { tries: attempts.made(), ..answer };
                        return Err(answer.worn_out(self.registry, "the token request", self.veil, self.http.settings().retry.budget));
                    }
                }
                // A token server that is not there at all is told at once, and not tried again with the request that needs the token.
                Err(RegistryError::Unreachable(cause)) if cause.is_nobody() && !self.met => {
                    let (registry, what) = (self.registry.to_owned(), "the token request".to_owned());
                    return Err(RegistryError::Exhausted { registry, what, tries: attempts.made() + 1, why: cause.to_string() });
                }
                Err(RegistryError::Unreachable(cause)) if cause.is_transient() => {
                    if !attempts.again(None).await {
                        return Err(cause.into());
                    }
                }
                other => return other,
            }
        }
    }
}

fn with_query(realm: &Url, bearer: &Bearer, words: &[String]) -> Url {
    let mut url = realm.clone();
    let mut query = url.query_pairs_mut();
    if let Some(service) = &bearer.service {
        query.append_pair("service", service);
    }
    for word in words {
        query.append_pair("scope", word);
    }
    drop(query);
    url
}

/// Source: Docker Registry, "OAuth2 Token Authentication".
fn identity_form(bearer: &Bearer, words: &[String], token: &Secret) -> Secret {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("client_id", "honeycrate").append_pair("scope", &words.join(" "));
    if let Some(service) = &bearer.service {
        form.append_pair("service", service);
    }
    form.append_pair("refresh_token", token.expose());
    Secret::new(form.finish())
}
