//! The provider for Thinkst's Canary Console, against one that answers as its documentation shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use honeycrate::bait::claims::Claims;
use honeycrate::bait::honeytoken::Honeytoken;
use honeycrate::bait::kinds;
use honeycrate::bait::surfaces::Surface;
use honeycrate::net::client::{HttpClient, NetSettings};
use honeycrate::provider::contract::{Provider, Wiring};
use honeycrate::provider::error::ProviderError;
use honeycrate::secret::key_ring::KeyRing;
use honeycrate::secret::value::Secret;
use time::OffsetDateTime;

use crate::common::thinkst::Console;

const KEY: &str = "HONEYCRATE_THINKST_KEY";
const FACTORY: &str = "HONEYCRATE_THINKST_FACTORY";

fn console() -> Console {
    Console::start("key-of-the-console", "factory-of-the-console")
}

fn provider(console: &Console, secrets: &[(&str, &str)], settings: &[(&str, &str)]) -> Arc<dyn Provider> {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
    let mut settings = own(settings);
    settings.entry("url".to_owned()).or_insert_with(|| console.url());
    let wiring = Wiring {
        settings,
        secrets: own(secrets).into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        ring: KeyRing::new([7; 32]),
        decoy: None,
        http: HttpClient::new(NetSettings::default()).expect("a client"),
        clock: || OffsetDateTime::UNIX_EPOCH,
    };
    let row = honeycrate::provider::find("thinkst").expect("in the table");
    (row.make)(&wiring).expect("usable settings")
}

fn owner(console: &Console) -> Arc<dyn Provider> {
    provider(console, &[(KEY, "key-of-the-console")], &[])
}

fn job(console: &Console) -> Arc<dyn Provider> {
    provider(console, &[(FACTORY, "factory-of-the-console")], &[])
}

fn claims(kind: &str, environment: &str) -> Claims {
    Claims {
        service: "ghcr.io/acme/shop".to_owned(),
        environment: environment.to_owned(),
        surface: Surface::Env,
        kind: kind.to_owned(),
        epoch: 1,
        edition: String::new(),
    }
}

fn id(token: &Honeytoken) -> String {
    token.handle("canarytoken").expect("kept for later").expose().to_owned()
}

#[tokio::test]
async fn a_job_makes_tokens_with_a_factorys_key_and_can_do_nothing_else() {
    let (console, what) = (console(), "a factory's key");
    let job = job(&console);
    for (kind, _) in job.kinds() {
        let token = job.mint(&claims(kind, "prod"), 0).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let identifying = kinds::find(kind).expect("a kind of the table").identifying();
        assert!(token.fields.iter().any(|(name, _)| name == identifying) && !token.host.is_empty(), "{kind}");
        assert_eq!(job.find(&claims(kind, "prod")).await.expect("nothing is asked").map(|token| token.host), None);
        for refused in [job.revoke(&token).await, job.disable(&token).await, job.poll(&[token], None).await.map(|_| ())] {
            assert!(matches!(refused, Err(ProviderError::NotSet { .. })), "{what}");
        }
    }
    assert!(console.state().asked.iter().all(|call| call == "POST /api/v1/canarytoken/factory/create"));
    assert_eq!(console.state().tokens.len(), 3);
    let memo = console.state().tokens[0]["memo"].as_str().expect("a memo").to_owned();
    assert!(memo.starts_with("ghcr.io/acme/shop, prod, env "), "{memo}");
}

#[tokio::test]
async fn a_token_that_was_made_before_is_found_through_all_pages_unless_it_is_disabled() {
    let console = console();
    let owner = owner(&console);
    assert!(owner.find(&claims("web-url", "prod")).await.expect("asked").is_none());
    let first = owner.mint(&claims("web-url", "prod"), 0).await.expect("makes one");
    owner.disable(&first).await.expect("disabled");
    assert!(owner.find(&claims("web-url", "prod")).await.expect("asked").is_none(), "it tells of no use");
    let second = job(&console).mint(&claims("web-url", "prod"), 0).await.expect("makes another");
    let found = owner.find(&claims("web-url", "prod")).await.expect("asked").expect("is there, on the second page");
    assert_eq!((id(&found), &found.fingerprint), (id(&second), &second.fingerprint));
    assert!(owner.find(&claims("web-url", "staging")).await.expect("asked").is_none());
    assert!(owner.find(&claims("dns-name", "prod")).await.expect("asked").is_none());
}

#[tokio::test]
async fn incidents_become_triggers_once_and_later_events_of_one_are_told_alone_anew() {
    let console = console();
    let owner = owner(&console);
    let mut tokens = Vec::new();
    for environment in ["prod", "staging", "test", "demo", "old"] {
        tokens.push(owner.mint(&claims("aws-keys", environment), 0).await.expect("makes one"));
    }
    for (number, token) in tokens.iter().enumerate() {
        console.state().hit(&id(token), 1_795_000_000 + u64::try_from(number).expect("small"), "198.51.100.7");
    }
    console.state().hit("somebody-elses", 1_795_000_000, "198.51.100.8");
    let poll = owner.poll(&tokens, None).await.expect("asked");
    assert_eq!(poll.triggers.len(), 5, "over three pages, and none of tokens that are not ours");
    let first = &poll.triggers[0];
    assert_eq!(
        (first.time.as_str(), first.address.as_str(), first.request.as_str()),
        ("2026-11-18T11:06:40Z", "198.51.100.7", "Canarytoken triggered aws-id")
    );
    assert_eq!((first.user_agent.as_deref(), first.face.as_str(), &first.claims), (Some("aws-cli/2"), "thinkst", &tokens[0].claims));

    let next = poll.next.clone().expect("goes on there");
    let idle = owner.poll(&tokens, Some(&next)).await.expect("asked");
    assert_eq!((idle.triggers.len(), idle.next.as_deref()), (0, Some(next.as_str())), "never back");
    console.state().hit(&id(&tokens[0]), 1_795_000_000, "198.51.100.7");
    let later = owner.poll(&tokens, Some(&next)).await.expect("asked");
    let ids: Vec<&str> = later.triggers.iter().map(|trigger| trigger.id.as_str()).collect();
    assert!(
        ids.len() == 2 && ids[0] == first.id && ids[1] != first.id,
        "the old event is the same again, and the new one of the same second is another"
    );
    assert!(later.next.and_then(|next| next.parse::<u64>().ok()) > next.parse::<u64>().ok());

    console.state().incidents[1]["description"]["events_count"] = "9".into();
    let notes = owner.poll(&tokens, None).await.expect("asked").notes.join("\n");
    assert!(notes.contains("staging") && notes.contains("counts 9 uses") && notes.contains("tells 1"), "{notes}");
}

#[tokio::test]
async fn a_token_with_incidents_is_deleted_with_them_and_one_that_is_gone_is_no_error() {
    let console = console();
    let owner = owner(&console);
    let token = owner.mint(&claims("aws-keys", "prod"), 0).await.expect("makes one");
    console.state().hit(&id(&token), 1_795_000_000, "198.51.100.7");
    owner.revoke(&token).await.expect("deleted");
    assert!(console.state().tokens.is_empty() && console.state().incidents.is_empty());
    owner.revoke(&token).await.expect("gone already");
    owner.disable(&token).await.expect("gone already");
    let stranger = provider(&console, &[(KEY, "wrong")], &[]);
    assert!(matches!(stranger.revoke(&token).await, Err(ProviderError::Refused { .. })), "who may not ask is not told that it is gone");
}

#[tokio::test]
async fn failures_in_an_answer_of_200_are_failures_and_say_what_the_console_said() {
    let console = console();
    let stranger = provider(&console, &[(KEY, "wrong")], &[("memo", "opaque")]);
    let error = stranger.mint(&claims("web-url", "prod"), 0).await.expect_err("refused");
    assert!(error.to_string().contains("Unauthorized") && error.hint().is_some_and(|hint| hint.contains(KEY)) && !error.is_outage(), "{error}");
    let checked = stranger.check().await.expect("asked");
    assert_eq!(checked.iter().map(|checked| checked.passed).collect::<Vec<_>>(), [Some(false), Some(false)]);
    let checked = provider(&console, &[(KEY, "key-of-the-console"), (FACTORY, "x")], &[]).check().await.expect("asked");
    assert_eq!(checked.iter().map(|checked| checked.passed).collect::<Vec<_>>(), [Some(true), Some(true), None]);
    assert!(matches!(provider(&console, &[], &[]).ready(), Err(ProviderError::NotSet { .. })));
    console.state().down = Some(503);
    assert!(job(&console).mint(&claims("web-url", "prod"), 0).await.expect_err("down").is_outage());
}

#[tokio::test]
async fn a_drill_calls_the_address_of_a_token() {
    let console = console();
    let token = owner(&console).mint(&claims("web-url", "prod"), 0).await.expect("makes one");
    owner(&console).exercise(&token, "drill-7f").await.expect("called");
    assert!(console.state().asked.iter().any(|call| *call == format!("GET /hook/{}", id(&token))));
}
