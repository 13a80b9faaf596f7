//! Proofs of who we are: answers to challenges, and the tokens that they buy, kept while they last.

use std::collections::HashMap;
use std::time::Instant;

use http::HeaderValue;
use tokio::sync::Mutex;
use url::Url;

use crate::net::client::HttpClient;
use crate::registry::attempts::Attempts;
use crate::registry::challenge::Challenge;
use crate::registry::credential::Search;
use crate::registry::credentials::Credentials;
use crate::registry::error::RegistryError;
use crate::registry::quirks::contract::Quirk;
use crate::registry::scope::Scope;
use crate::registry::token::TokenServer;
use crate::registry::veil::Veil;
use crate::secret::value::Secret;

/// Answers one registry's challenges.
pub struct Authenticator {
    http: HttpClient,
    registry: String,
    quirk: Quirk,
    credentials: Credentials,
    /// Token servers that the user trusts, as host names.
    allowed_realms: Vec<String>,
    state: Mutex<State>,
    veil: Veil,
}

/// What goes into a request.
#[derive(Clone)]
pub struct Proof {
    pub header: HeaderValue,
    serial: u64,
    /// `None` for what does not run out.
    until: Option<Instant>,
}

impl Proof {
    /// Whether its time is over, so that a refusal of it says nothing else.
    #[must_use]
    pub fn has_run_out(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    proofs: HashMap<Scope, Proof>,
    /// Searches by repository: a helper is asked once.
    searches: HashMap<String, Search>,
    notes: Vec<String>,
    serial: u64,
}

impl Authenticator {
    #[must_use]
    pub fn new(http: HttpClient, registry: &str, quirk: Quirk, credentials: Credentials, allowed_realms: Vec<String>) -> Self {
        Self { http, registry: registry.to_owned(), quirk, credentials, allowed_realms, state: Mutex::default(), veil: Veil::default() }
    }

    /// What must not be told of what the registry and its token server were shown.
    #[must_use]
    pub fn veil(&self) -> &Veil {
        &self.veil
    }

    /// Keeps the challenge that the registry gave to an unproven request.
    pub async fn learn(&self, challenge: Challenge) {
        self.state.lock().await.challenge = Some(challenge);
    }

    /// What to send with a request for `scope`; `None` while the registry asks for nothing, or there is nothing to show.
    ///
    /// # Errors
    /// When the token server cannot be asked or refuses.
    pub async fn proof(&self, base: &Url, scope: &Scope, attempts: &mut Attempts) -> Result<Option<Proof>, RegistryError> {
        let mut state = self.state.lock().await;
        // Who may push may pull: reading back needs no token of its own.
        let wider = Scope::push(&scope.repository);
        let known = if scope.mount_from.is_none() { vec![scope, &wider] } else { vec![scope] };
        if let Some(proof) = known.into_iter().find_map(|scope| state.proofs.get(scope).filter(|proof| !proof.has_run_out())) {
            return Ok(Some(proof.clone()));
        }
        self.obtain(&mut state, base, scope, None, attempts).await
    }

    /// What to send after a refusal of `used`; `None` when there is nothing better.
    ///
    /// # Errors
    /// When the token server cannot be asked or refuses.
    pub async fn renew(
        &self,
        base: &Url,
        scope: &Scope,
        challenge: Option<Challenge>,
        used: Option<&Proof>,
        attempts: &mut Attempts,
    ) -> Result<Option<Proof>, RegistryError> {
        let mut state = self.state.lock().await;
        if let Some(proof) = state.proofs.get(scope).filter(|proof| !proof.has_run_out())
            && used.is_none_or(|used| used.serial != proof.serial)
        {
            return Ok(Some(proof.clone()));
        }
        state.proofs.remove(scope);
        let wanted = match &challenge {
            Some(Challenge::Bearer(bearer)) => bearer.scope.clone(),
            _ => None,
        };
        if challenge.is_some() {
            state.challenge = challenge;
        }
        if used.is_some() && state.challenge == Some(Challenge::Basic) {
            return Ok(None);
        }
        self.obtain(&mut state, base, scope, wanted, attempts).await
    }

    /// Where the credential for a repository came from, for messages.
    pub async fn source(&self, repository: &str) -> String {
        let state = self.state.lock().await;
        match state.searches.get(repository) {
            Some(Search { found: Some(found), .. }) => format!("the credential from {}", found.source),
            Some(Search { troubles, .. }) if !troubles.is_empty() => format!("no credential ({})", troubles.join("; ")),
            _ => "no credential".to_owned(),
        }
    }

    /// What happened that the user may want to know.
    pub async fn notes(&self) -> Vec<String> {
        self.state.lock().await.notes.clone()
    }

    async fn obtain(
        &self,
        state: &mut State,
        base: &Url,
        scope: &Scope,
        wanted: Option<String>,
        attempts: &mut Attempts,
    ) -> Result<Option<Proof>, RegistryError> {
        let Some(challenge) = state.challenge.clone() else { return Ok(None) };
        if !state.searches.contains_key(&scope.repository) {
            let search = self.credentials.find(&self.registry, &scope.repository).await;
            if let Some(found) = &search.found {
                self.veil.cover_credential(&found.credential);
            }
            state.searches.insert(scope.repository.clone(), search);
        }
        let found = state.searches.get(&scope.repository).and_then(|search| search.found.clone());
        let (text, until) = match challenge {
            Challenge::Basic => match found.map(|found| found.credential) {
                Some(credential) => (credential.to_basic(), None),
                None => return Ok(None),
            },
            Challenge::Bearer(bearer) => {
                let (quirk, allowed_realms) = (&self.quirk, &self.allowed_realms);
                let server = TokenServer {
                    http: &self.http,
                    registry: &self.registry,
                    base,
                    quirk,
                    allowed_realms,
                    veil: &self.veil,
                    met: !state.proofs.is_empty(),
                };
                let bought = server.buy(&bearer, scope, wanted.as_deref(), found.as_ref(), attempts).await?;
                self.veil.cover(&bought.token);
                state.notes.extend(bought.note.filter(|note| !state.notes.contains(note)));
                (Secret::new(format!("Bearer {}", bought.token.expose())), Some(Instant::now() + bought.life))
            }
        };
        let unusable = |_| RegistryError::Answer {
            registry: self.registry.clone(),
            what: "the token request".to_owned(),
            why: "the token cannot stand in a header".to_owned(),
        };
        let mut header = HeaderValue::from_str(text.expose()).map_err(unusable)?;
        header.set_sensitive(true);
        state.serial += 1;
        let proof = Proof { header, serial: state.serial, until };
        state.proofs.insert(scope.clone(), proof.clone());
        Ok(Some(proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::reference::Reference;
    use crate::registry::client::Registry;
    use crate::registry::credentials::CredentialSettings;
    use crate::registry::scripted::{BASIC, Scripted, line, registry};

    const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

    fn reference(server: &Scripted, digest: bool) -> Reference {
        let tag = if digest { format!("@{}", crate::oci::digest::Digest::of(INDEX.as_bytes())) } else { ":1".to_owned() };
        format!("localhost:{}/a/b{tag}", server.address.port()).parse().expect("a reference")
    }

    fn bearer(realm: std::net::SocketAddr, host: &str) -> String {
        format!(r#"WWW-Authenticate: Bearer realm="http://{host}:{}/token",service="here",scope="repository:a/b:pull""#, realm.port())
    }

    #[tokio::test]
    async fn a_token_is_bought_once_and_shown_until_it_is_refused() {
        let mut server = Scripted::bind().await;
        let challenge = bearer(server.address, "localhost");
        server.play(vec![
            line("GET /v2/", 401, &[&challenge], ""),
            line("GET /token?service=here&scope=repository%3Aa%2Fb%3Apull", 200, &[], r#"{"token":"one","expires_in":300}"#),
            line("GET /v2/a/b/manifests/1", 200, &[], INDEX),
            line("GET /v2/a/b/manifests/1", 401, &[&challenge], ""),
            line("GET /token?service=here&scope=repository%3Aa%2Fb%3Apull", 200, &[], r#"{"access_token":"two"}"#),
            line("GET /v2/a/b/manifests/1", 200, &[], INDEX),
        ]);
        let registry = registry(&server);
        for _ in 0..2 {
            registry.manifest(&reference(&server, false)).await.expect("allowed");
        }
        let shown: Vec<_> = server.heard().into_iter().map(|heard| heard.authorization.unwrap_or_default()).collect();
        assert_eq!(shown, ["", BASIC, "Bearer one", "Bearer one", BASIC, "Bearer two"]);
    }

    #[tokio::test]
    async fn a_foreign_realm_gets_no_credential() {
        let (mut server, mut foreign) = (Scripted::bind().await, Scripted::bind().await);
        server.play(vec![line("GET /v2/", 401, &[&bearer(foreign.address, "127.0.0.1")], ""), line("GET /v2/a/b/manifests/1", 200, &[], INDEX)]);
        foreign.play(vec![line("GET /token", 200, &[], r#"{"token":"anonymous"}"#)]);
        let registry = registry(&server);
        registry.manifest(&reference(&server, false)).await.expect("public");
        assert!(foreign.heard().iter().all(|heard| heard.authorization.is_none()));
        assert_eq!(server.heard()[1].authorization.as_deref(), Some("Bearer anonymous"));
        assert!(registry.notes().await[0].contains("without credentials"));
    }

    #[tokio::test]
    async fn a_token_server_s_redirect_is_not_followed() {
        let (mut server, mut foreign) = (Scripted::bind().await, Scripted::bind().await);
        foreign.play(Vec::new());
        let location = format!("Location: http://127.0.0.1:{}/steal", foreign.address.port());
        server.play(vec![line("GET /v2/", 401, &[&bearer(server.address, "localhost")], ""), line("GET /token", 307, &[&location], "")]);
        let error = registry(&server).manifest(&reference(&server, false)).await.expect_err("no token");
        assert!(matches!(error, RegistryError::Protocol { status: 307, .. }), "{error}");
        assert!(foreign.heard().is_empty());
    }

    #[tokio::test]
    async fn an_identity_token_is_posted_and_then_tried_as_a_password() {
        let mut server = Scripted::bind().await;
        server.play(vec![
            line("GET /v2/", 401, &[&bearer(server.address, "localhost")], ""),
            line("POST /token", 404, &[], ""),
            line("GET /token", 200, &[], r#"{"token":"one"}"#),
            line("GET /v2/a/b/manifests/1", 200, &[], INDEX),
        ]);
        let host = format!("localhost:{}", server.address.port());
        let config = format!(r#"{{"auths":{{"{host}":{{"identitytoken":"refresh"}}}}}}"#);
        let environment = [("DOCKER_AUTH_CONFIG".to_owned(), config)].into();
        let credentials = Credentials::new(CredentialSettings { environment, ..CredentialSettings::default() });
        let registry = Registry::new(registry(&server).http().clone(), &host, credentials, Vec::new());
        registry.manifest(&reference(&server, false)).await.expect("allowed");
        let heard = server.heard();
        assert_eq!(heard[1].authorization, None);
        let form = String::from_utf8(heard[1].body.clone()).expect("a form");
        assert_eq!(form, "grant_type=refresh_token&client_id=honeycrate&scope=repository%3Aa%2Fb%3Apull&service=here&refresh_token=refresh");
        assert!(heard[2].authorization.as_deref().is_some_and(|shown| shown.starts_with("Basic ")));
    }

    #[tokio::test]
    async fn a_refusal_names_the_source_and_not_the_secret() {
        let mut server = Scripted::bind().await;
        let refused = r#"{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}"#;
        server.play(vec![
            line("GET /v2/", 401, &["WWW-Authenticate: Basic realm=\"x\""], ""),
            line("GET /v2/a/b/manifests/1", 401, &["WWW-Authenticate: Basic realm=\"x\""], refused),
        ]);
        let error = registry(&server).manifest(&reference(&server, false)).await.expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(text.contains("the given user and password") && text.contains("who?"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("dXNlc"), "{text}");
        assert_eq!(server.heard().len(), 2, "the same password is not shown twice");
    }

    #[tokio::test]
    async fn a_digest_that_does_not_fit_is_refused() {
        let mut server = Scripted::bind().await;
        server.play(vec![
            line("GET /v2/", 200, &[], ""),
            line(&format!("GET /v2/a/b/manifests/{}", reference(&server, true).digest.expect("one")), 200, &[], "{}"),
        ]);
        let error = registry(&server).manifest(&reference(&server, true)).await.expect_err("other bytes");
        assert!(matches!(error, RegistryError::Mismatch { .. }), "{error}");
    }
}
