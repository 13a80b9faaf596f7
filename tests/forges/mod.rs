//! What is told on forges, against stand-ins that remember, limit and fail; and the same through GitHub's own description of its API.

mod github;
mod gitlab;
mod strict;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use honeycrate::forge::github::GitHub;
use honeycrate::forge::gitlab::{GitLab, TokenKind};
use honeycrate::forge::patience::{Clock, POLICY, Patience};
use honeycrate::net::client::{HttpClient, NetSettings, Purpose};
use honeycrate::secret::value::Secret;
use time::OffsetDateTime;

use crate::common::forge::{ACCESS_TOKEN, GitLabForge, JOB_TOKEN, REPOSITORY, TOKEN};

const MARKER: &str = "<!-- honeycrate:shop:production -->";

/// A clock on which time passes only while somebody waits, and at once.
#[derive(Default)]
struct Still(Mutex<Vec<Duration>>);

impl Still {
    fn waits(&self) -> Vec<Duration> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Clock for Still {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + self.waits().iter().sum::<Duration>()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.0.lock().expect("no panic").push(duration);
        Box::pin(std::future::ready(()))
    }
}

fn client(address: &str) -> reqwest::Client {
    let http = HttpClient::new(NetSettings::default()).expect("default settings");
    http.for_host(&address.parse().expect("an address"), Purpose::Api).expect("a client")
}

/// The repository with the right token, and the clock by which it is waited for.
fn github(api: &str) -> (GitHub, Arc<Still>) {
    github_as(api, TOKEN)
}

fn github_as(api: &str, token: &str) -> (GitHub, Arc<Still>) {
    let clock = Arc::new(Still::default());
    let github = GitHub::new(client(api), api, &Secret::new(token.to_owned()), REPOSITORY).expect("a repository");
    (github.with_patience(Patience::new(POLICY, clock.clone())), clock)
}

fn gitlab(forge: &GitLabForge, kind: TokenKind) -> (GitLab, Arc<Still>) {
    let clock = Arc::new(Still::default());
    let token = match kind {
        TokenKind::Access => ACCESS_TOKEN,
        TokenKind::Job => JOB_TOKEN,
    };
    let gitlab = GitLab::with_token(client(&forge.api()), &forge.api(), &Secret::new(token.to_owned()), kind, REPOSITORY).expect("a project");
    (gitlab.with_patience(Patience::new(POLICY, clock.clone())), clock)
}
