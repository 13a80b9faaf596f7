//! The play: the maintainer ships, the thief steals, the trap tells. Every scene is the real program at work on a sample.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Color, Style as Paint};

use crate::alert::message::Alert;
use crate::bait::host::DecoyHost;
use crate::bait::plan::PlanRequest;
use crate::bait::surfaces::Surface;
use crate::decoy::certificate::self_made;
use crate::decoy::server::{self, Settings};
use crate::demo::sample::write_sample;
use crate::demo::thief::{Loot, rob};
use crate::ledger::place::Ledger;
use crate::ledger::record::Context;
use crate::net::client::{HttpClient, NetSettings, Purpose};
use crate::oci::location::Location;
use crate::pipeline::clock;
use crate::pipeline::memory::random;
use crate::pipeline::minting::Mints;
use crate::pipeline::progress::Silent;
use crate::pipeline::session::{Rules, Session};
use crate::pipeline::ship::{Arrival, Journey, Planting, ship};
use crate::pipeline::trap::{Announcer, Watch, announced, recogniser};
use crate::pipeline::under_way::UnderWay;
use crate::pipeline::vendor_tokens::VendorTokens;
use crate::pipeline::vendors::Asking;
use crate::policy::gate::{FailOn, Policy};
use crate::provider::embedded::Embedded;
use crate::registry::access::Access;
use crate::registry::credentials::{CredentialSettings, Credentials};
use crate::registry::registries::Registries;
use crate::report::disclosure::Disclosure;
use crate::report::formats::contract::Style;
use crate::report::render::render;
use crate::report::run_report::Outcome;
use crate::scan::finding::Severity;
use crate::secret::fingerprint::FingerprintKey;
use crate::secret::key_ring::KeyRing;

const SCENE: Paint = Paint::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));
const STOLEN: Paint = Paint::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
const ALARM: Paint = Paint::new().bold().fg_color(Some(Color::Ansi(AnsiColor::Red)));

/// The most of a stolen line that is shown, in characters.
const LOOT: usize = 72;

/// How long a scene may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays all scenes in `stage`, an empty folder, telling each through `say`.
///
/// # Errors
/// When a scene does not go as it should; the text says which.
pub async fn play(stage: &Path, colour: bool, say: &mut (dyn FnMut(&str) + Send)) -> Result<(), String> {
    let began = Instant::now();
    let paint = |paint: Paint, text: &str| if colour { format!("{paint}{text}{paint:#}") } else { text.to_owned() };
    let scene = |number: u8, text: &str| format!("\n{}\n", paint(SCENE, &format!("── {number} ── {text}")));

    say(&paint(Paint::new().bold(), "Somebody is going to steal this image. Watch what happens."));
    say(&scene(1, "A maintainer builds an image"));
    say("     The build needed a token. Its file was deleted in the next step; its layer was not.");
    let leaked = github_token();
    let (built, shipped) = (stage.join("built"), stage.join("shipped"));
    write_sample(&built, Some(&leaked)).map_err(|error| error.to_string())?;

    let ring = KeyRing::new(random());
    let ledger = Ledger::file(&stage.join("ledger.sqlite"));
    let session = session(stage, ring.clone())?;
    let trap = Trap::start(stage, &ring, &ledger).await?;

    say(&scene(2, "honeycrate ship: every layer is read, and a leak goes no further"));
    let order = |ring: &KeyRing| Planting {
        request: request(),
        mints: Mints::all(Arc::new(Embedded::new(ring.clone(), Some(trap.host.clone())))),
        ledger: ledger.clone(),
        records_promotions: false,
    };
    let journey = |planting| Journey { planting: Some(planting), ..Journey::new(layout(&built), vec![layout(&shipped)]) };
    let denied = ship(&session, &journey(order(&ring))).await;
    say(&told(&denied, stage, colour)?);
    if denied.report.verdict.outcome != Outcome::Denied || shipped.exists() {
        return Err("the leaking image was not stopped".to_owned());
    }

    say(&scene(3, "Built again without the leak: honeytokens go in, without a rebuild"));
    std::fs::remove_dir_all(&built).map_err(|cause| cause.to_string())?;
    write_sample(&built, None).map_err(|error| error.to_string())?;
    let passed = ship(&session, &journey(order(&ring))).await;
    say(&told(&passed, stage, colour)?);
    if passed.report.verdict.outcome != Outcome::Passed || passed.report.placements.len() != Surface::ALL.len() {
        return Err("the clean image was not shipped with all its bait".to_owned());
    }

    say(&scene(4, "A thief pulls it, unpacks every layer, and finds what looks like credentials"));
    let loot = rob(&shipped).map_err(|cause| format!("the thief cannot read the image: {cause}"))?;
    for found in &loot {
        say(&format!("     {}\n       {}", found.found, paint(STOLEN, &shortened(&found.line))));
    }
    if loot.len() != Surface::ALL.len() {
        return Err(format!("the thief found {} credentials instead of {}", loot.len(), Surface::ALL.len()));
    }
    say(&scene(5, "The thief tries the deleted one"));
    let stolen = loot.iter().find(|loot| loot.deleted).ok_or("the thief found nothing that was deleted")?;
    let status = use_it(&trap, stolen).await?;
    say(&format!("     git clone https://{}:…@{}/acme/shop.git", stolen.user, stolen.host));
    say(&format!("     {status}"));

    say(&scene(6, "In the same second, where the owner is"));
    let alert = trap.alert().await?;
    let text = indented(&without(stage, &alert.to_text()));
    let (headline, rest) = text.split_once('\n').unwrap_or((&text, ""));
    say(&format!("{}\n{}", paint(ALARM, headline), rest.trim_end()));
    if alert.token.surface != Surface::Buried || alert.images.is_empty() {
        return Err("the alert does not say where the token came from".to_owned());
    }

    say(&format!("\n{}", paint(SCENE, "── Each surface carries a token of its own, so the one that was used tells how the image was read")));
    for surface in Surface::ALL {
        let used = if surface == alert.token.surface { paint(ALARM, "  ◀ used") } else { String::new() };
        say(&format!("     {surface:<8} {}{used}", surface.describe()));
    }
    trap.stop().await;
    say(&format!("\n{:.1} s, offline, with nothing but this binary.", began.elapsed().as_secs_f64()));
    Ok(())
}

/// A line of loot as it fits on a narrow terminal.
fn shortened(line: &str) -> String {
    if line.chars().count() <= LOOT { line.to_owned() } else { line.chars().take(LOOT).chain(['…']).collect() }
}

/// The stage is a scratch folder with a name that tells nothing.
fn without(stage: &Path, text: &str) -> String {
    text.replace(&format!("{}/", stage.display()), "")
}

/// A token in GitHub's form, checksum included, that no one has ever been given.
fn github_token() -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bytes: [u8; 30] = random();
    let body: String = bytes.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % 62])).collect();
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut tail = [0_u8; 6];
    for digit in tail.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    format!("{}{body}{}", ["gh", "p_"].concat(), String::from_utf8_lossy(&tail))
}

fn layout(path: &Path) -> Location {
    Location::OciLayout { path: path.to_owned(), tag: Some("shop".to_owned()) }
}

fn request() -> PlanRequest {
    // Logins that lead to the web: the demo's trap has no fixed port for databases.
    let kinds = [(Surface::Env, "https-url"), (Surface::Buried, "git-credentials")];
    PlanRequest {
        service: "ghcr.io/acme/shop".to_owned(),
        environment: "production".to_owned(),
        surfaces: Surface::ALL.to_vec(),
        kinds: kinds.into_iter().map(|(surface, kind)| (surface, kind.to_owned())).collect(),
        places: BTreeMap::new(),
        created: 0,
        minters: BTreeMap::new(),
        editions: BTreeMap::new(),
    }
}

fn session(stage: &Path, ring: KeyRing) -> Result<Session, String> {
    let http = HttpClient::new(NetSettings::default()).map_err(|error| error.to_string())?;
    let registries = Registries::new(http, Credentials::new(CredentialSettings::default()), Vec::new());
    Ok(Session {
        access: Access { registries, docker_host: None, scratch: stage.to_owned() },
        rules: Rules::BuiltIn,
        cache: None,
        policy: Policy { fail_on: FailOn::Severity(Severity::High), ..Policy::default() },
        fingerprint_key: Some(FingerprintKey::of(&ring)),
        keys: Some(ring),
        ledger: None,
        vendor_tokens: VendorTokens::default(),
        context: Context { commit: Some("4f2a91c07d3be5a86f10".to_owned()), repository: Some("acme/shop".to_owned()), job: None },
        untrusted: None,
        progress: Arc::new(Silent),
        under_way: UnderWay::default(),
        hold: false,
        threads: 2,
        asking: Asking::Off,
        reader: None,
    })
}

fn told(arrival: &Arrival, stage: &Path, colour: bool) -> Result<String, String> {
    if let Some(error) = &arrival.error {
        return Err(error.to_string());
    }
    let mut text = Vec::new();
    render(&arrival.report, "terminal", Disclosure::Everything, Style { colour, width: Some(100) }, &mut text).map_err(|error| error.to_string())?;
    let text = without(stage, &String::from_utf8_lossy(&text));
    // What a real run would advise next is not to be done in the middle of a play.
    let shown = text.split("\nnext: ").next().unwrap_or_default();
    Ok(indented(shown.trim_end()))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { String::new() } else { format!("     {line}") }).collect::<Vec<_>>().join("\n")
}

/// Presents the stolen login over TLS, as git or a registry client would.
async fn use_it(trap: &Trap, loot: &Loot) -> Result<String, String> {
    let settings = NetSettings { ca_file: Some(trap.certificate.clone()), ..NetSettings::default() };
    let http = HttpClient::new(settings).map_err(|error| error.to_string())?;
    let url =
        url::Url::parse(&format!("https://{}/acme/shop.git/info/refs?service=git-upload-pack", loot.host)).map_err(|error| error.to_string())?;
    let client = http.for_host(&url, Purpose::Api).map_err(|error| error.to_string())?;
    let request = client.get(url).header("user-agent", "git/2.47.1").basic_auth(&loot.user, Some(loot.password.expose()));
    let answer = request.send().await.map_err(|error| format!("the trap does not answer: {error}"))?;
    Ok(answer.status().to_string())
}

/// The trap on a free port of this machine, with its ledger.
struct Trap {
    host: DecoyHost,
    certificate: std::path::PathBuf,
    running: server::Running,
    alerts: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<Alert>>,
}

/// Hands alerts to the play.
struct Messenger(tokio::sync::mpsc::UnboundedSender<Alert>);

impl Announcer for Messenger {
    fn alert(&mut self, alert: &Alert) {
        let _ = self.0.send(alert.clone());
    }

    fn trouble(&mut self, _: &str) {}
}

impl Trap {
    async fn start(stage: &Path, ring: &KeyRing, ledger: &Ledger) -> Result<Self, String> {
        let certificate = self_made(&["127.0.0.1".to_owned()], clock::now()).map_err(|error| error.to_string())?;
        let path = stage.join("trap.pem");
        std::fs::write(&path, &certificate.chain).map_err(|cause| cause.to_string())?;
        let settings = Settings {
            web: ([127, 0, 0, 1], 0).into(),
            postgres: None,
            host: "127.0.0.1".to_owned(),
            certificate,
            proxies: Vec::new(),
            recognise: recogniser(ring.clone(), ledger.clone(), &[], &[]),
            announced: announced(ledger.clone()),
            clock: Arc::new(clock::now),
            seed: random(),
        };
        let (triggers, received) = tokio::sync::mpsc::unbounded_channel();
        let running = server::start(settings, triggers).await.map_err(|error| error.to_string())?;
        let (sender, alerts) = tokio::sync::mpsc::unbounded_channel();
        let mut watch = Watch::new(ledger, Vec::new()).map_err(|error| error.to_string())?;
        tokio::spawn(async move { watch.run(received, &mut Messenger(sender)).await });
        let host = running.web.to_string().parse().map_err(|error| format!("{error}"))?;
        Ok(Self { host, certificate: path, running, alerts: tokio::sync::Mutex::new(alerts) })
    }

    async fn alert(&self) -> Result<Alert, String> {
        let mut alerts = self.alerts.lock().await;
        let alert = tokio::time::timeout(PATIENCE, alerts.recv()).await;
        alert.ok().flatten().ok_or_else(|| "the trap raised no alert".to_owned())
    }

    async fn stop(self) {
        self.running.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bait::claims::Claims;
    use crate::bait::honeytoken::Honeytoken;
    use crate::bait::kinds;
    use crate::ledger::record::Event;
    use crate::ledger::stores::contract::Store as _;
    use crate::ledger::stores::sqlite::SqliteStore;
    use crate::net::client::install_crypto;
    use crate::provider::contract::Provider;
    use crate::provider::error::ProviderError;
    use futures_util::future::BoxFuture;

    struct Broken;

    impl Provider for Broken {
        fn id(&self) -> &'static str {
            "broken"
        }

        fn kinds(&self) -> Vec<(&'static str, String)> {
            kinds::self_telling().map(|kind| (kind.id(), "decoy.example.org".to_owned())).collect()
        }

        fn ready(&self) -> Result<(), ProviderError> {
            Ok(())
        }

        fn reaches_out(&self) -> bool {
            false
        }

        fn mint<'a>(&'a self, claims: &'a Claims, _: i64) -> BoxFuture<'a, Result<Honeytoken, ProviderError>> {
            panic!("a case that nobody thought of, with {claims:?}")
        }

        fn revoke<'a>(&'a self, _: &'a Honeytoken) -> BoxFuture<'a, Result<(), ProviderError>> {
            unreachable!("nothing was minted")
        }

        fn exercise<'a>(&'a self, _: &'a Honeytoken, _: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
            unreachable!("nothing was minted")
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_journey_that_panics_is_in_the_ledger_and_in_the_report() {
        install_crypto();
        let stage = tempfile::tempdir().expect("scratch");
        let (built, shipped, ledger) = (stage.path().join("built"), stage.path().join("shipped"), stage.path().join("ledger.sqlite"));
        write_sample(&built, None).expect("written");
        let session = session(stage.path(), KeyRing::new([7; 32])).expect("a session");
        let planting = Planting { request: request(), mints: Mints::all(Arc::new(Broken)), ledger: Ledger::file(&ledger), records_promotions: false };
        let journey = Journey { planting: Some(planting), ..Journey::new(layout(&built), vec![layout(&shipped)]) };
        let arrival = ship(&session, &journey).await;
        let told = arrival.report.error.expect("told");
        assert_eq!((told.exit_code, told.message.contains("claims")), (70, false), "{}", told.message);
        let records = SqliteStore::open(&ledger).and_then(|store| store.records(1)).expect("readable");
        assert!(matches!(&records[..], [intended, failed]
            if matches!(intended.event, Event::Intended { .. }) && matches!(&failed.event, Event::Failed { stage, .. } if stage == "bug")));
        assert!(!shipped.exists());
    }
}
