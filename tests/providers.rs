//! Vendors mint: their tokens get into images, into the ledger, and out of it again, whatever goes wrong on the way.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use honeycrate::bait::claims::Claims;
use honeycrate::bait::honeytoken::Honeytoken;
use honeycrate::bait::surfaces::Surface;
use honeycrate::net::client::{HttpClient, NetSettings};
use honeycrate::provider::contract::{Provider, Wiring};
use honeycrate::secret::key_ring::KeyRing;
use honeycrate::secret::value::Secret;
use serde_json::{Value, json};
use tempfile::tempdir;
use time::OffsetDateTime;

use crate::common::aws::Aws;
use crate::common::command::{Ran, must, program, run};
use crate::common::forge::{Answer, Fault};
use crate::common::gitguardian::{GitGuardian, Paging};
use crate::common::honeycrate::{Honeycrate, Reported};
use crate::common::images::Image;
use crate::common::registry::{Auth, Registry};
use crate::common::skopeo;

/// An owner whose tokens come from GitGuardian, unless `more` says otherwise.
fn owner(vendor: &GitGuardian, more: &str) -> Honeycrate {
    let owner = Honeycrate::new();
    let (url, sts) = (vendor.url(), vendor.sts());
    let config = format!("providers:\n  default: gitguardian\n{more}  gitguardian:\n    url: {url}\n    sts: {sts}\n");
    std::fs::write(owner.home().join("honeycrate.yaml"), config).expect("the home is writable");
    owner
}

fn ship(owner: &Honeycrate, vendor: &GitGuardian, registry: &Registry, name: &str) -> Reported {
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let mut command = owner.ship(&source, registry, name);
    owner.reported(command.args(["--surfaces", "file"]).env("HONEYCRATE_GITGUARDIAN_TOKEN", vendor.key()))
}

fn with_key(owner: &Honeycrate, vendor: &GitGuardian, arguments: &[&str]) -> Ran {
    run(owner.command(arguments).env("HONEYCRATE_GITGUARDIAN_TOKEN", vendor.key()))
}

fn minted(owner: &Honeycrate) -> Vec<Value> {
    owner.records().into_iter().filter(|record| record["event"] == "minted").collect()
}

/// Whether anything that was said or written holds a value of a token or the vendor's key.
fn tells(vendor: &GitGuardian, text: &str) -> bool {
    let pairs = vendor.change(|state| state.tokens.iter().map(|token| token["token"].clone()).collect::<Vec<_>>());
    let values = pairs.iter().flat_map(|pair| [&pair["access_token_id"], &pair["secret_key"]]).filter_map(Value::as_str);
    values.chain([vendor.key()]).any(|value| text.contains(value))
}

#[test]
fn a_token_of_gitguardian_is_minted_once_and_planted_and_read_back_and_found_again() {
    for paging in [Paging::Cursor, Paging::AllAtOnce] {
        let (vendor, registry) = (GitGuardian::start(), Registry::plain(Auth::None));
        vendor.change(|state| state.paging = paging);
        let owner = owner(&vendor, "");
        let shipped = ship(&owner, &vendor, &registry, "acme/shop:1");
        assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
        let live = vendor.live();
        assert_eq!(live.len(), 1, "{live:?}");
        let stolen = tempdir().expect("scratch");
        skopeo::pull(&registry, "acme/shop:1", stolen.path());
        let key_id = live[0]["token"]["access_token_id"].as_str().expect("a key id");
        let mut grep = program("sh", stolen.path());
        let script = "for blob in blobs/sha256/*; do tar -xzOf \"$blob\" 2>/dev/null; done | grep -c \"$0\"";
        must(grep.current_dir(stolen.path()).args(["-c", script, key_id]));
        assert_eq!(minted(&owner)[0]["provider"], "gitguardian");
        let all = shipped.ran.all() + &shipped.report.to_string() + &Value::from(owner.records()).to_string();
        assert!(!tells(&vendor, &all), "a value got out");
        // What the vendor is told of it says nothing that opens anything, and is as long as it may be.
        assert!(live[0]["name"].as_str().is_some_and(|name| name.contains("shop") && name.contains("production")), "{}", live[0]);
        // A rebuild has the same token; a ledger that is lost asks the vendor for it.
        assert_eq!(ship(&owner, &vendor, &registry, "acme/shop:2").ran.code, 0);
        std::fs::remove_file(owner.ledger_path()).expect("the ledger");
        assert_eq!(ship(&owner, &vendor, &registry, "acme/shop:3").ran.code, 0);
        assert_eq!(vendor.live(), live, "{paging:?}");
    }
}

#[test]
fn a_vendor_that_is_down_or_has_no_tokens_left_is_replaced_where_the_owner_allows_it_and_only_there() {
    let registry = Registry::plain(Auth::None);
    let vendor = GitGuardian::start();
    vendor.change(|state| state.quota = 0);
    for (fallback, code) in [("  fallback: embedded\n", 0), ("", 6)] {
        let owner = owner(&vendor, fallback);
        let shipped = ship(&owner, &vendor, &registry, "acme/shop:1");
        assert_eq!(shipped.ran.code, code, "{}", shipped.ran.all());
        let told = shipped.ran.all() + &shipped.report.to_string();
        assert!(told.contains("gitguardian") && told.contains("quota exceeded") && !tells(&vendor, &told), "{told}");
        let providers: Vec<Value> = minted(&owner).iter().map(|record| record["provider"].clone()).collect();
        assert_eq!(providers, if code == 0 { vec![json!("embedded")] } else { Vec::new() });
    }
    // Down for good: a port where nobody listens.
    let owner = owner(&vendor, "  fallback: embedded\n");
    let config = std::fs::read_to_string(owner.home().join("honeycrate.yaml")).expect("a configuration");
    std::fs::write(owner.home().join("honeycrate.yaml"), config.replace(&vendor.url(), "http://127.0.0.1:9/exposed/v1")).expect("writable");
    let shipped = ship(&owner, &vendor, &registry, "acme/shop:2");
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    assert_eq!(minted(&owner)[0]["provider"], "embedded");
}

#[test]
fn refusals_say_what_is_missing_and_trouble_that_passes_is_waited_out() {
    let registry = Registry::plain(Auth::None);
    let fault = |method, target, times, answer| Fault { method, target, times, answer, carried_out: false };
    let says = |status, text: &str| Some(Answer::of(status, "application/json", json!({ "detail": text }).to_string()));
    let refused = |change: &dyn Fn(&GitGuardian), expected: &[&str]| {
        let vendor = GitGuardian::start();
        change(&vendor);
        let owner = owner(&vendor, "");
        let shipped = ship(&owner, &vendor, &registry, "acme/shop:1");
        assert_eq!(shipped.ran.code, 6, "{expected:?}: {}", shipped.ran.all());
        for text in expected {
            assert!(shipped.ran.all().contains(text), "{text}: {}", shipped.ran.all());
        }
        assert!(!tells(&vendor, &shipped.ran.all()) && minted(&owner).is_empty());
    };
    refused(
        &|vendor| vendor.change(|state| state.scopes = vec!["honeytokens:read"]),
        &["may not create a honeytoken", "the scope honeytokens:write"],
    );
    refused(&|vendor| vendor.change(|state| state.scopes = vec!["scan"]), &["may not list honeytokens", "the scope honeytokens:read"]);
    refused(&|vendor| vendor.fault(fault("GET", "honeytokens", 1, says(401, "Invalid API key."))), &["does not know the key"]);
    refused(&|vendor| vendor.fault(fault("POST", "honeytokens", 1, says(403, "Not in the IP allowlist"))), &["from this address"]);
    let html = || Some(Answer::of(200, "application/json; charset=utf-8", "[]"));
    refused(&|vendor| vendor.fault(fault("GET", "honeytokens", 1, html())), &["is not of the type application/json"]);
    let many = |vendor: &GitGuardian| {
        vendor.change(|state| {
            state.paging = Paging::Elsewhere;
            // So many that the list has a second page, whatever is searched for.
            let name = |number: usize| format!("file-acme-shop-production-{number}");
            state.tokens =
                (0..101).map(|number| json!({ "id": format!("{number}"), "name": name(number), "type": "AWS", "status": "active" })).collect();
        });
        // The search is not honoured.
        vendor.change(|state| state.tokens.iter_mut().for_each(|token| token["name"] = "file-acme-shop-production".into()));
    };
    let vendor = GitGuardian::start();
    many(&vendor);
    let ran = with_key(&owner(&vendor, ""), &vendor, &["doctor", "provider", "gitguardian"]);
    assert!(ran.code == 6 && ran.all().contains("another server, which is not asked"), "{}", ran.all());

    let vendor = GitGuardian::start();
    let busy = Answer::of(429, "application/json", "{}").with("retry-after", "1");
    vendor.fault(fault("POST", "honeytokens", 1, Some(busy)));
    vendor.fault(fault("GET", "honeytokens", 1, says(503, "Maintenance")));
    // The answer to a creation gets lost: the next try finds the name taken, and takes the token.
    vendor.fault(Fault { method: "POST", target: "honeytokens", times: 1, answer: None, carried_out: true });
    let owner = owner(&vendor, "");
    let shipped = ship(&owner, &vendor, &registry, "acme/shop:1");
    assert_eq!((shipped.ran.code, vendor.live().len()), (0, 1), "{}", shipped.ran.all());
}

#[test]
fn two_jobs_at_the_same_moment_have_one_token() {
    let (vendor, registry) = (GitGuardian::start(), Registry::plain(Auth::None));
    let owner = owner(&vendor, "");
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    // The ledger is there already, with another service's token.
    let to = registry.reference("acme/other:1");
    let mut first = owner.command(&["ship", &source, "--to", &to, "--env", "production", "--service", "acme/other", "--surfaces", "file"]);
    owner.access(&mut first, &registry);
    must(first.env("HONEYCRATE_GITGUARDIAN_TOKEN", vendor.key()));
    let children: Vec<_> = (0..4)
        .map(|number| {
            let mut command: Command = owner.ship(&source, &registry, &format!("acme/shop:{number}"));
            command.args(["--surfaces", "file"]).env("HONEYCRATE_GITGUARDIAN_TOKEN", vendor.key());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    for child in children {
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!((vendor.live().len(), minted(&owner).len()), (2, 2));
}

#[test]
fn the_clients_that_gitguardian_publishes_get_on_with_the_same_stand_in() {
    let vendor = GitGuardian::start();
    let home = tempdir().expect("scratch");
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/vendors/bin");
    let script = "import os\nfrom pygitguardian import GGClient\n\
        client = GGClient(os.environ['KEY'], os.environ['URL'])\n\
        made = client.create_honeytoken('second', 'AWS', None)\nassert made.token['access_token_id'].startswith('AKIA'), made\n\
        twice = client.create_honeytoken('second', 'AWS', None)\nassert twice.status_code == 400, twice\n\
        assert 'honeytokens:write' in client.api_tokens().scopes\n";
    let site = vendor.url().replace("/v1", "").replace("127.0.0.1", "localhost");
    let mut python = program(format!("{tools}/python"), home.path());
    must(python.args(["-c", script]).env("KEY", vendor.key()).env("URL", &site));
    let mut ggshield = program(format!("{tools}/ggshield"), home.path());
    ggshield.args(["honeytoken", "create", "--type", "AWS", "--name", "third"]).current_dir(home.path());
    let said = must(ggshield.env("GITGUARDIAN_API_KEY", vendor.key()).env("GITGUARDIAN_INSTANCE", site.replace("/exposed", "")));
    assert!(said.contains("aws_access_token_id"), "{said}");
    assert_eq!(vendor.live().len(), 2);
}

#[test]
fn a_used_token_of_gitguardian_is_an_alert_that_names_the_image_and_is_told_once() {
    let (vendor, registry) = (GitGuardian::start(), Registry::plain(Auth::None));
    let owner = owner(&vendor, "");
    let shipped = ship(&owner, &vendor, &registry, "acme/shop:1");
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    let watch = || with_key(&owner, &vendor, &["watch", "--once", "--alerts", "alerts.jsonl"]);
    assert_eq!(watch().code, 0);
    let key_id = vendor.live()[0]["token"]["access_token_id"].as_str().expect("a key id").to_owned();
    vendor.use_key(&key_id, "GetCallerIdentity", "TruffleHog", 1);
    // What somebody archived meanwhile, and what comes from an allowed address, is a use like others.
    vendor.use_key(&key_id, "ListBuckets", "aws-cli/2", 2);
    vendor.change(|state| state.events[1]["status"] = "archived".into());
    vendor.change(|state| state.events[2]["status"] = "allowed".into());
    for round in 0..2 {
        let ran = watch();
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert!(!tells(&vendor, &ran.all()));
        let alerts = std::fs::read_to_string(owner.home().join("alerts.jsonl")).expect("alerts");
        assert_eq!(alerts.lines().count(), 3, "round {round}: {alerts}");
        let alert: Value = serde_json::from_str(alerts.lines().next().expect("one")).expect("JSON");
        assert_eq!(alert["images"][0]["digest"], shipped.report["pushed"][0]["digest"], "{alert}");
        assert_eq!((&alert["token"]["environment"], &alert["visitor"]["seen_by"]), (&json!("production"), &json!("gitguardian")), "{alert}");
        assert!(alerts.contains("TruffleHog") && alerts.contains("203.0.113.9") && alerts.contains("allowed at GitGuardian"), "{alerts}");
        assert!(!tells(&vendor, &alerts));
    }
    // Whoever scans the image does not take the bait for a leak.
    let mut command = owner.command(&["scan", &format!("docker://{}", registry.reference("acme/shop:1")), "--fail-on", "low"]);
    owner.access(&mut command, &registry);
    let scanned = owner.reported(&mut command);
    assert_eq!(scanned.report["findings"], json!([]));
    assert!(scanned.report["notices"].to_string().contains("of your own came with it, and are no leaks: "), "{}", scanned.report);
}

#[test]
fn a_provider_that_cannot_be_asked_is_loud_and_the_stop_at_a_hundred_is_met_as_the_owner_wants() {
    let (vendor, registry) = (GitGuardian::start(), Registry::plain(Auth::None));
    let owner = owner(&vendor, "");
    assert_eq!(ship(&owner, &vendor, &registry, "acme/shop:1").ran.code, 0);
    let ran = owner.run(&["watch", "--once"]);
    assert!(ran.code == 6 && ran.err().contains("nobody watches 1 token of its"), "{}", ran.all());
    let key_id = vendor.live()[0]["token"]["access_token_id"].as_str().expect("a key id").to_owned();
    vendor.use_key(&key_id, "ListBuckets", "somebody", 120);
    let ran = with_key(&owner, &vendor, &["watch", "--once"]);
    assert!(ran.code == 0 && ran.err().contains("has 100 open events, GitGuardian takes no more"), "{}", ran.err());
    assert_eq!(vendor.live()[0]["open_events_count"], 100);
    let config = owner.home().join("honeycrate.yaml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    std::fs::write(&config, text + "    reset: \"true\"\n").expect("writable");
    let ran = with_key(&owner, &vendor, &["watch", "--once"]);
    assert!(ran.err().contains("and was reset"), "{}", ran.err());
    assert_eq!(vendor.live()[0]["open_events_count"], 0);
    // Nothing was lost, and nothing is told twice.
    assert_eq!(owner.records().iter().filter(|record| record["event"] == "triggered").count(), 100);
    vendor.use_key(&key_id, "GetObject", "somebody", 1);
    assert_eq!(with_key(&owner, &vendor, &["watch", "--once"]).code, 0);
    assert_eq!(owner.records().iter().filter(|record| record["event"] == "triggered").count(), 101);
    vendor.change(|state| state.tokens[0]["status"] = "revoked".into());
    assert!(with_key(&owner, &vendor, &["watch", "--once"]).err().contains("revoked or gone"));
}

#[test]
fn doctor_tells_scopes_and_quota_and_mints_nothing() {
    let vendor = GitGuardian::start();
    let owner = owner(&vendor, "");
    let ran = with_key(&owner, &vendor, &["doctor", "provider"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.out().contains("scope honeytokens:write") && ran.out().contains("0 honeytokens count"), "{}", ran.out());
    vendor.change(|state| state.scopes = vec!["honeytokens:read"]);
    let ran = with_key(&owner, &vendor, &["doctor", "provider", "gitguardian"]);
    assert!(ran.code == 6 && ran.all().contains("missing: tokens are made"), "{}", ran.all());
    let ran = owner.run(&["doctor", "provider", "gitguardian"]);
    assert!(ran.code == 6 && ran.all().contains("HONEYCRATE_GITGUARDIAN_TOKEN"), "{}", ran.all());
    assert_eq!(owner.run(&["doctor", "provider", "nobody"]).code, 2);
    assert!(vendor.live().is_empty() && vendor.asked().iter().all(|asked| asked.method == "GET"));
}

/// The provider of the account, as it is at another hour.
fn aws(account: &Aws, clock: fn() -> OffsetDateTime) -> Arc<dyn Provider> {
    let secret = |name: &str| (name.to_owned(), Secret::new("nobody".to_owned()));
    let wiring = Wiring {
        settings: BTreeMap::from(
            [("endpoint", account.address()), ("regions", "us-east-1, eu-west-1")].map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        secrets: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(secret).into_iter().collect(),
        ring: KeyRing::new([7; 32]),
        decoy: None,
        http: HttpClient::new(NetSettings::default()).expect("a client"),
        clock,
    };
    (honeycrate::provider::find("aws").expect("it is in the table").make)(&wiring).expect("it is set up")
}

fn claims(service: &str) -> Claims {
    let [environment, kind] = ["production", "aws-keys"].map(str::to_owned);
    Claims { service: service.to_owned(), environment, surface: Surface::File, kind, epoch: 1, edition: String::new() }
}

fn field(token: &Honeytoken, name: &str) -> String {
    token.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.expose().to_owned()).expect("a field")
}

fn in_an_hour() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::minutes(70)
}

/// Asks the account as everybody does, with boto3.
fn boto(account: &Aws, script: &str) -> String {
    let home = tempdir().expect("scratch");
    let mut python = program(concat!(env!("CARGO_MANIFEST_DIR"), "/.cache/vendors/bin/python"), home.path());
    let script = format!("import boto3, os\niam = boto3.client('iam', endpoint_url=os.environ['URL'], region_name='us-east-1')\n{script}");
    let keys = [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "nobody"), ("URL", account.address())];
    must(python.args(["-c", &script]).envs(keys)).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_account_tells_nothing_has_no_right_and_goes_with_its_last_key() {
    let account = Aws::start();
    let provider = aws(&account, OffsetDateTime::now_utc);
    let first = provider.mint(&claims("shop"), 0).await.expect("it mints");
    let told = boto(
        &account,
        "user = iam.list_users()['Users'][0]\nname = user['UserName']\nprint(user['Path'], name, \
        iam.list_user_tags(UserName=name)['Tags'], iam.list_attached_user_policies(UserName=name)['AttachedPolicies'], \
        iam.list_user_policies(UserName=name)['PolicyNames'])",
    );
    assert!(told.starts_with("/ ") && told.ends_with(" [] [] []"), "{told}");
    assert!(!["honey", "canary", "shop", "production", "bait"].iter().any(|word| told.to_lowercase().contains(word)), "{told}");
    // A job that makes the same token at the same moment has a key of its own, until the ledger has chosen.
    let second = provider.mint(&claims("shop"), 0).await.expect("a user has two keys");
    assert_ne!(first.fingerprint, second.fingerprint);
    let keys = "print(len(iam.list_users()['Users']), [len(iam.list_access_keys(UserName=u['UserName'])['AccessKeyMetadata']) for u in iam.list_users()['Users']])";
    assert_eq!(boto(&account, keys), "1 [2]");
    let third = provider.mint(&claims("shop"), 0).await.expect_err("no third key");
    assert!(third.is_outage() && third.to_string().contains("two keys at most"), "{third}");
    provider.revoke(&second).await.expect("it goes");
    assert_eq!(boto(&account, keys), "1 [1]");
    provider.disable(&first).await.expect("it is disabled");
    let status = "print([k['Status'] for u in iam.list_users()['Users'] for k in iam.list_access_keys(UserName=u['UserName'])['AccessKeyMetadata']])";
    assert_eq!(boto(&account, status), "['Inactive']");
    for _ in 0..2 {
        provider.revoke(&first).await.expect("twice is once");
        assert_eq!(boto(&account, keys), "0 []");
    }
    // What dead runs left is swept when its place is needed.
    for _ in 0..2 {
        provider.mint(&claims("shop"), 0).await.expect("it mints");
    }
    aws(&account, in_an_hour).mint(&claims("shop"), 0).await.expect("it sweeps and mints");
    assert_eq!(boto(&account, keys), "1 [1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_told_from_every_region_page_by_page_at_the_rate_and_one_without_event_by_the_last_use() {
    let account = Aws::start();
    let provider = aws(&account, OffsetDateTime::now_utc);
    let token = provider.mint(&claims("shop"), 0).await.expect("it mints");
    let key_id = field(&token, "access_key_id");
    let tokens = [token.clone()];
    let fresh = provider.poll(&tokens, None).await.expect("it answers");
    assert!(fresh.triggers.is_empty() && fresh.notes.is_empty(), "{fresh:?}");
    provider.exercise(&token, "mark-0a1b").await.expect("a key may ask who it is");
    account.use_key("eu-west-1", &key_id, 120);
    let poll = provider.poll(&tokens, None).await.expect("it answers");
    assert_eq!(poll.triggers.len(), 121);
    let drilled: Vec<_> =
        poll.triggers.iter().filter(|trigger| trigger.user_agent.as_deref().is_some_and(|agent| agent.contains("mark-0a1b"))).collect();
    assert!(drilled.len() == 1 && drilled[0].request.contains("GetCallerIdentity"), "{drilled:?}");
    assert!(poll.triggers.iter().all(|trigger| trigger.fingerprint == token.fingerprint && !trigger.address.is_empty()));
    assert_eq!(account.throttled(), 0, "the trail is asked no faster than it allows");
    // The event of the last use is lost: at first it may be late, and later nobody waits for it.
    account.lose_events();
    assert!(provider.poll(&tokens, poll.next.as_deref()).await.expect("it answers").triggers.is_empty());
    let silent = aws(&account, in_an_hour).poll(&tokens, poll.next.as_deref()).await.expect("it answers").triggers;
    let again = aws(&account, in_an_hour).poll(&tokens, poll.next.as_deref()).await.expect("it answers").triggers;
    assert_eq!((silent.len(), &silent), (1, &again));
    assert!(silent[0].request.contains("left no event") && silent[0].address == "an unknown address", "{silent:?}");
}

#[test]
fn keys_of_an_own_account_are_shipped_watched_and_examined() {
    let (account, registry, owner) = (Aws::start(), Registry::plain(Auth::None), Honeycrate::new());
    let config = format!("providers:\n  default: aws\n  aws:\n    endpoint: {}\n", account.address());
    std::fs::write(owner.home().join("honeycrate.yaml"), config).expect("the home is writable");
    let keys = [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "nobody")];
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let mut command = owner.ship(&source, &registry, "acme/shop:1");
    let shipped = owner.reported(command.args(["--surfaces", "file,env"]).envs(keys));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    assert!(shipped.report.to_string().contains("recognisable offline: no"), "{}", shipped.report);
    assert_eq!(minted(&owner).len(), 2);
    let shown = owner.run(&["token", "show", minted(&owner)[0]["fingerprint"].as_str().expect("a fingerprint")]);
    assert!(shown.out().contains("recognisable offline"), "{}", shown.all());
    let key_ids = boto(
        &account,
        "print(' '.join(k['AccessKeyId'] for u in iam.list_users()['Users'] for k in iam.list_access_keys(UserName=u['UserName'])['AccessKeyMetadata']))",
    );
    let key_ids: Vec<&str> = key_ids.split(' ').collect();
    assert_eq!(key_ids.len(), 2);
    account.use_key("us-east-1", key_ids[0], 1);
    for _ in 0..2 {
        let watched = run(owner.command(&["watch", "--once", "--alerts", "alerts.jsonl"]).envs(keys));
        assert_eq!(watched.code, 0, "{}", watched.all());
        let alerts = std::fs::read_to_string(owner.home().join("alerts.jsonl")).expect("alerts");
        assert_eq!(alerts.lines().count(), 1, "{alerts}");
        let alert: Value = serde_json::from_str(&alerts).expect("JSON");
        assert_eq!(alert["images"][0]["digest"], shipped.report["pushed"][0]["digest"], "{alert}");
        assert!(!key_ids.iter().any(|id| (alerts.clone() + &watched.all()).contains(id)));
    }
    let doctor = run(owner.command(&["doctor", "provider", "aws"]).envs(keys));
    assert!(doctor.out().contains("cloudtrail:LookupEvents in us-east-1") && doctor.out().contains("users"), "{}", doctor.all());
}
