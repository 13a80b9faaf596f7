//! The provider for Canarytokens servers, against one that refuses what the real one refuses, and the whole way with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use honeycrate::bait::claims::Claims;
use honeycrate::bait::honeytoken::Honeytoken;
use honeycrate::bait::kinds;
use honeycrate::bait::kinds::contract::Fields;
use honeycrate::bait::surfaces::Surface;
use honeycrate::net::client::{HttpClient, NetSettings};
use honeycrate::provider::contract::{Poll, Provider, Wiring};
use honeycrate::provider::error::ProviderError;
use honeycrate::secret::key_ring::KeyRing;
use serde_json::json;
use tempfile::tempdir;
use time::OffsetDateTime;

use crate::common::aws::Aws;
use crate::common::canarytokens::Canarytokens;
use crate::common::command::must;
use crate::common::honeycrate::Honeycrate;
use crate::common::images::Image;

type Settings = &'static [(&'static str, &'static str)];

const HOOK: &str = "https://hooks.acme.example/{receiver}/in";

fn provider(server: &Canarytokens, settings: &[(&str, &str)]) -> Arc<dyn Provider> {
    let mut all = BTreeMap::from([("url".to_owned(), server.url())]);
    all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let wiring = Wiring {
        settings: all,
        secrets: BTreeMap::new(),
        ring: KeyRing::new([7; 32]),
        decoy: None,
        http: HttpClient::new(NetSettings::default()).expect("a client"),
        clock: || OffsetDateTime::UNIX_EPOCH,
    };
    let row = honeycrate::provider::find("canarytokens").expect("in the table");
    (row.make)(&wiring).expect("usable settings")
}

fn claims(kind: &str) -> Claims {
    Claims {
        service: "ghcr.io/acme/shop".to_owned(),
        environment: "prod".to_owned(),
        surface: Surface::File,
        kind: kind.to_owned(),
        epoch: 1,
        edition: String::new(),
    }
}

async fn minted(provider: &dyn Provider, kind: &str) -> Honeytoken {
    provider.mint(&claims(kind), 0).await.unwrap_or_else(|error| panic!("{kind}: {error}"))
}

async fn polled(provider: &dyn Provider, tokens: &[Honeytoken]) -> Poll {
    provider.poll(tokens, None).await.expect("the server answers")
}

#[tokio::test]
async fn every_kind_becomes_bait_that_has_all_its_parts_and_none_of_the_vendors_names() {
    let server = Canarytokens::start();
    let provider = provider(&server, &[("webhook", HOOK)]);
    let mut fingerprints = BTreeSet::new();
    for (id, host) in provider.kinds() {
        let token = minted(&*provider, id).await;
        let kind = kinds::find(id).expect("a kind of the table");
        let fields = Fields::of(&token);
        assert!(token.fields.iter().any(|(name, _)| name == kind.identifying()), "{id}");
        let text = kind.file_text(&fields);
        for (name, value) in &token.fields {
            let hidden = [("mysql-dump", "source_user"), ("kubeconfig-file", "private_key")].contains(&(id, name.as_str()));
            assert!(hidden || text.contains(value.expose()), "{id} {name}: {text}");
        }
        assert!(!text.contains(": \n") && !text.contains("= \n") && !host.is_empty() && !token.host.is_empty(), "{id}: {text}");
        assert!(!text.contains("k8s-prod-cluster") && !text.contains("kube-sre-root") && !text.contains("cloud-auth-broker"), "{text}");
        let auth = token.handle("auth").expect("kept for later").expose();
        assert!(!text.contains(auth), "what manages a token is not in its bait");
        assert!(fingerprints.insert(token.fingerprint.clone()), "{id}");
    }
    assert_eq!(fingerprints.len(), 8);
}

#[tokio::test]
async fn each_use_is_a_trigger_once_and_the_servers_test_of_the_webhook_is_none() {
    let server = Canarytokens::start();
    let provider = provider(&server, &[("webhook", HOOK)]);
    let tokens = [minted(&*provider, "aws-keys").await, minted(&*provider, "dns-name").await];
    assert_eq!(server.state().posted.iter().filter(|(token, _)| token.is_none()).count(), 2, "two tests were posted before the tokens were");
    assert!(polled(&*provider, &tokens).await.triggers.is_empty());

    let id = tokens[0].handle("token").expect("kept").expose().to_owned();
    let log = json!({ "aws_key_log_data": { "eventName": ["GetCallerIdentity"] } });
    server.hit(&id, 1_795_000_000.125, json!({ "user_agent": "aws-cli/2", "additional_info": log }));
    server.hit(&id, 1_795_000_001.0, json!({ "src_ip": "", "geo_info": "" }));
    let poll = polled(&*provider, &tokens).await;
    let [first, second] = &poll.triggers[..] else { panic!("{poll:?}") };
    assert_eq!(
        (first.time.as_str(), first.address.as_str(), first.request.as_str()),
        ("2026-11-18T11:06:40Z", "198.51.100.7", "HTTP GetCallerIdentity")
    );
    assert_eq!((first.user_agent.as_deref(), first.face.as_str(), &first.claims), (Some("aws-cli/2"), "canarytokens", &tokens[0].claims));
    assert_eq!((second.address.as_str(), &first.fingerprint), ("unknown", &tokens[0].fingerprint));
    assert_ne!(first.id, second.id);
    assert_eq!(polled(&*provider, &tokens).await.triggers, poll.triggers, "told again, they are the same");

    // The server's own alerts: one of two uses in a minute, with the token's secret in an address.
    let alerts: Vec<String> = server.state().posted.iter().filter(|(token, _)| token.is_some()).map(|(_, body)| body.to_string()).collect();
    let auth = tokens[0].handle("auth").expect("kept").expose();
    assert!(alerts.len() == 1 && alerts[0].contains(auth), "{alerts:?}");
    assert!(!format!("{poll:?}").contains(auth) && !format!("{poll:?}").contains(&id), "and we repeat neither");
}

#[tokio::test]
async fn what_a_poll_cannot_tell_is_said() {
    let server = Canarytokens::start();
    let provider = provider(&server, &[("email", "sec@acme.example")]);
    let tokens = [minted(&*provider, "web-url").await, minted(&*provider, "wireguard").await, minted(&*provider, "dns-name").await];
    let id = |token: &Honeytoken| token.handle("token").expect("kept").expose().to_owned();
    for number in 0..60 {
        server.hit(&id(&tokens[0]), 1_795_000_000.0 + f64::from(number), json!({}));
    }
    server.hit(&id(&tokens[2]), 1_795_000_000.0, json!({ "alert_status": "ignored_ip" }));
    provider.revoke(&tokens[1]).await.expect("deleted");
    provider.revoke(&tokens[1]).await.expect("gone already, which is as good");
    let poll = polled(&*provider, &tokens).await;
    assert_eq!(poll.triggers.len(), 50);
    let notes = poll.notes.join("\n");
    assert!(notes.contains("50 uses are all") && notes.contains("knows this token no more") && notes.contains("told to ignore"), "{notes}");
    assert!(tokens.iter().all(|token| !notes.contains(&id(token))));

    server.state().down = Some(502);
    assert!(matches!(provider.poll(&tokens, None).await, Err(ProviderError::Unavailable { .. })), "blindness is an error");
}

#[tokio::test]
async fn each_token_has_a_receiver_of_its_own_and_a_memo_that_tells_nothing_unless_it_is_wanted() {
    let server = Canarytokens::start();
    let opaque = provider(&server, &[("webhook", HOOK)]);
    minted(&*opaque, "web-url").await;
    minted(&*opaque, "dns-name").await;
    let (web, dns) = (server.of_type("web").1, server.of_type("dns").1);
    let receiver = |webhook: Option<String>| webhook.expect("set").split('/').nth(3).expect("a part").to_owned();
    let (first, second) = (receiver(web.webhook.clone()), receiver(dns.webhook.clone()));
    assert!(first != second && first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first} {second}");
    assert!(!web.memo.contains("acme") && !web.memo.contains("prod") && web.memo != dns.memo && !first.contains(&web.memo), "{}", web.memo);

    let plain = provider(&server, &[("webhook", HOOK), ("memo", "plain")]);
    minted(&*plain, "mysql-dump").await;
    assert!(server.of_type("my_sql").1.memo.starts_with("ghcr.io/acme/shop, prod, file "));
}

#[tokio::test]
async fn refusals_are_told_in_words_with_what_to_do_and_outages_let_another_take_the_place() {
    let server = Canarytokens::start();
    let cases: [(Settings, &str, &str); 5] = [
        (&[("webhook", "ftp://hooks.acme.example")], "malformed", "`email` and `webhook`"),
        (&[("webhook", "https://nobody.acme.example")], "cannot post to the webhook", "private address"),
        (&[("email", "a@invalid.example")], "mail address for none", "`email`"),
        (&[("email", "a@blocked.example")], "no tokens for this mail", "another `email`"),
        (&[("email", "a@acme.example"), ("url", "http://127.0.0.1:9")], "", ""),
    ];
    for (settings, why, hint) in cases {
        let error = provider(&server, settings).mint(&claims("web-url"), 0).await.expect_err("refused");
        assert_eq!(error.is_outage(), why.is_empty(), "{error}");
        assert!(error.to_string().contains(why) && error.hint().is_some_and(|text| text.contains(hint)), "{error} {:?}", error.hint());
    }
    let bare = provider(&server, &[]);
    assert!(matches!(bare.ready(), Err(ProviderError::NotSet { .. })) && bare.mint(&claims("web-url"), 0).await.is_err());
    let good = provider(&server, &[("email", "a@acme.example")]);
    assert!(matches!(good.mint(&claims("vault-token"), 0).await, Err(ProviderError::Kind { .. })));
    server.state().backends = false;
    for kind in ["aws-keys", "azure-id"] {
        let error = good.mint(&claims(kind), 0).await.expect_err("no backend");
        assert!(error.is_outage() && error.to_string().contains("does not have"), "{error}");
    }
    assert!(server.state().drops.is_empty(), "nothing was left behind");
    assert_eq!(server.state().asked.len(), 6, "what was answered is not asked again");
}

#[tokio::test]
async fn a_drill_calls_the_address_under_its_mark_and_disabling_stops_the_servers_own_alerts() {
    let (server, aws) = (Canarytokens::start(), Aws::start());
    let provider = provider(&server, &[("webhook", HOOK), ("email", "sec@acme.example"), ("sts", aws.address())]);
    let token = minted(&*provider, "web-url").await;
    provider.exercise(&token, "drill-7f").await.expect("called");
    let poll = polled(&*provider, std::slice::from_ref(&token)).await;
    assert_eq!(poll.triggers.iter().map(|trigger| trigger.user_agent.as_deref()).collect::<Vec<_>>(), [Some("curl/8.14.1 (drill-7f)")]);
    let keys = minted(&*provider, "aws-keys").await;
    provider.exercise(&keys, "drill-7f").await.expect("AWS was asked who that is");
    let calls = aws.calls("us-east-2");
    assert!(calls.len() == 1 && calls[0].to_string().contains("exec-env/drill-7f"), "{calls:?}");
    let wireguard = minted(&*provider, "wireguard").await;
    assert!(matches!(provider.exercise(&wireguard, "drill-7f").await, Err(ProviderError::NoUse { .. })));

    provider.disable(&token).await.expect("switched off");
    let alerts = server.of_type("web").1.alerts;
    assert_eq!(alerts.into_values().collect::<Vec<_>>(), [false, false]);
    let mut stranger = token.clone();
    stranger.handle[1].1 = honeycrate::secret::value::Secret::new("wrong".to_owned());
    let poll = polled(&*provider, &[stranger]).await;
    assert!(poll.triggers.is_empty() && poll.notes[0].contains("no more"), "{poll:?}");
    let checked = provider.check().await.expect("asked");
    assert_eq!(checked.iter().map(|checked| checked.passed).collect::<Vec<_>>(), [Some(true), None, None]);
}

#[test]
fn a_planted_image_carries_the_vendors_tokens_and_a_second_run_plants_the_same() {
    let (server, honeycrate, built) = (Canarytokens::start(), Honeycrate::new(), tempdir().expect("scratch"));
    let source = Image::shop().write(built.path());
    let config = format!(
        "providers: {{ default: canarytokens, canarytokens: {{ url: \"{}\", email: sec@acme.example }} }}\n\
         environments:\n  production:\n    surfaces: [file, env, buried, history]\n    kinds: {{ file: kubeconfig-file, buried: azure-id }}\n",
        server.url()
    );
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), config).expect("the home is writable");
    let ship = |name: &str| {
        let layout = tempdir().expect("scratch");
        let target = format!("oci:{}:latest", layout.path().join(name).display());
        let ran = must(&mut honeycrate.command(&["ship", &source, "--to", &target, "--env", "production", "--service", "acme/shop"]));
        let index = std::fs::read_to_string(layout.path().join(name).join("index.json")).expect("a layout");
        let loot = crate::common::thief::loot(&layout.path().join(name));
        drop(ran);
        (index, loot.len())
    };
    let (first, baits) = ship("a");
    let made = server.state().drops.len();
    assert_eq!((made, baits > 0), (4, true));
    let (second, _) = ship("b");
    assert_eq!((server.state().drops.len(), &second), (made, &first), "the ledger knows them");
}
