//! Everything that can go wrong on the wire, at every request of a push, at every kind of registry: the right image arrives, or the
//! push fails cleanly, and in either case it has kept the manners that it owes.
//!
//! An ordinary run plays a share of the cases; `HONEYCRATE_FAULTS=all cargo test faults -- --nocapture` plays all and prints the table;
//! with a registry's name instead of `all`, all of that registry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt as _;
use tempfile::{TempDir, tempdir};

use honeycrate::image::blobs::read_verified;
use honeycrate::image::error::ImageError;
use honeycrate::image::layout::Layout;
use honeycrate::image::stored::StoredImage;
use honeycrate::net::client::{HttpClient, NetSettings};
use honeycrate::net::resolver::Resolver;
use honeycrate::net::retry::RetryPolicy;
use honeycrate::oci::descriptor::Descriptor;
use honeycrate::oci::digest::Digest;
use honeycrate::oci::reference::Reference;
use honeycrate::registry::client::Registry;
use honeycrate::registry::credentials::{CredentialSettings, Credentials};
use honeycrate::registry::error::RegistryError;
use honeycrate::registry::pull;
use honeycrate::registry::push::{BlobArrival, PushObserver, PushOptions, Pushed, Pushing};
use honeycrate::registry::quirks::QUIRKS;
use honeycrate::registry::together::finish_together;
use honeycrate::secret::value::Secret;

use crate::common::honeycrate::{ENVIRONMENT, Honeycrate, SERVICE};
use crate::common::images::{Image, write_platforms};
use crate::common::wire::door::{Door, Doors, Fake};
use crate::common::wire::fault::{FAULTS, Fault, Strike};
use crate::common::wire::personality::{PERSONALITIES, Personality, Proof};
use crate::common::wire::registry::{Heard, Kind, NEIGHBOUR, REPOSITORY, USER, password};

/// Tries of one request, and the longest wait between two of them: a minute, scaled.
const TRIES: usize = 6;
const LONGEST: Duration = Duration::from_millis(30);
/// A case that takes longer hangs.
const BOUND: Duration = Duration::from_secs(60);
/// Cases that share a client, and how many of them are played at once.
const BATCH: usize = 200;
const AT_ONCE: usize = 24;
/// An ordinary run plays one case of so many.
const SHARE: u64 = 6;

#[derive(Debug, Clone, Copy)]
struct Case {
    journey: Journey,
    personality: Personality,
    struck: Option<(Fault, Strike)>,
}

/// What is done with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journey {
    Push,
    Pull,
}

struct Played {
    fake: Fake,
    outcome: Result<Digest, Failure>,
}

#[derive(Debug)]
enum Failure {
    Registry(RegistryError),
    Image(ImageError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Recovered,
    Clean,
}

/// An image with bait in it, made by the program itself, and the same for two platforms.
struct Planted {
    one: StoredImage,
    index: StoredImage,
    _folders: [TempDir; 2],
}

impl Planted {
    fn new() -> Self {
        let image = |architecture| {
            Image::new()
                .architecture(architecture)
                .layer("ADD rootfs.tar.xz / # buildkit", &[("etc/os-release", "ID=debian\n"), ("root/.profile", "mesg n\n")])
                .layer("COPY src ./src # buildkit", &[("app/package.json", architecture)])
        };
        let folders = [tempdir().expect("scratch"), tempdir().expect("scratch")];
        let plant = |name: &str, folder: &TempDir| {
            let source = folder.path().join("built");
            let source = if name == "one" { image("amd64").write(&source) } else { write_platforms(&source, &[image("amd64"), image("arm64")]) };
            let planted = folder.path().join("planted");
            let to = format!("oci:{}:latest", planted.display());
            let ran = Honeycrate::new().run(&["ship", &source, "--to", &to, "--env", ENVIRONMENT, "--service", SERVICE, "--decoy", "decoy.acme.io"]);
            assert_eq!(ran.code, 0, "{}", ran.all());
            let layout = Layout::open(&planted).expect("a layout");
            let root = layout.find(Some("latest")).expect("it has the tag");
            StoredImage::open(Arc::new(layout), &root, false).expect("a whole image")
        };
        Self { one: plant("one", &folders[0]), index: plant("index", &folders[1]), _folders: folders }
    }

    fn of(&self, personality: Personality) -> &StoredImage {
        if personality.index { &self.index } else { &self.one }
    }
}

struct Nobody;

impl PushObserver for Nobody {
    fn blob(&self, _: &Descriptor, _: BlobArrival) {}
    fn progress(&self, _: u64) {}
}

/// A client for many registries, whose seconds are milliseconds.
fn client(doors: &[Doors]) -> HttpClient {
    let hosts = doors.iter().flat_map(|doors| [Door::Registry, Door::Tokens].map(|door| doors.host(door)));
    let retry = RetryPolicy { first_wait: Duration::from_millis(2), longest_wait: LONGEST, budget: Duration::from_secs(10), tries: 6 };
    let settings = NetSettings {
        plain_http_hosts: hosts.collect(),
        retry,
        idle_timeout: Duration::from_millis(700),
        grace: Duration::from_millis(700),
        slowest: 64,
        ..NetSettings::default()
    };
    HttpClient::with_resolver(settings, Resolver::new("127.0.0.1 localhost tokens.localhost\n".to_owned())).expect("settings without files")
}

fn registry(http: &HttpClient, personality: Personality, host: &str) -> Registry {
    let mut settings = CredentialSettings::default();
    if personality.proof == Proof::Identity {
        let config = serde_json::json!({ "auths": { host: { "identitytoken": password() } } });
        settings.environment = BTreeMap::from([("DOCKER_AUTH_CONFIG".to_owned(), config.to_string())]);
    } else {
        settings.explicit = Some((USER.to_owned(), Secret::new(password())));
    }
    Registry::new(http.clone(), host, Credentials::new(settings), vec!["tokens.localhost".to_owned()])
}

/// Pushes the image, as `ship` does where blobs leave one by one, or in one go.
async fn push(registry: &Registry, personality: Personality, host: &str, image: &StoredImage) -> Result<Pushed, RegistryError> {
    let parse = |text: String| text.parse::<Reference>().expect("a reference");
    let mount_from = personality.mount.map(|_| parse(format!("{host}/{NEIGHBOUR}")));
    let options = PushOptions { mount_from, parallel: personality.parallel };
    let pushing = Pushing::begin(registry, &parse(format!("{host}/{REPOSITORY}:1")), options, Arc::new(Nobody)).await?;
    if personality.parallel > 1 {
        let blobs = image.blobs_to_store();
        let missing = match pushing.missing(&blobs).await {
            Ok(missing) => missing,
            Err(error) => {
                pushing.abandon().await;
                return Err(error);
            }
        };
        let delivered = futures_util::future::join_all(missing.iter().map(|blob| pushing.deliver(&image.blobs, blob))).await;
        let first = delivered.into_iter().filter_map(Result::err).find(|error| !matches!(error, RegistryError::GivenUp { .. }));
        if let Some(error) = first {
            pushing.abandon().await;
            return Err(error);
        }
    }
    pushing.finish(image).await
}

/// Pulls the image and reads all of it.
async fn pull(registry: &Registry, host: &str) -> Result<Digest, Failure> {
    let scratch = tempdir().expect("scratch");
    let reference: Reference = format!("{host}/{REPOSITORY}:1").parse().expect("a reference");
    let image = pull::open(registry, &reference, scratch.path()).await.map_err(Failure::Registry)?;
    let reading = tokio::task::spawn_blocking(move || {
        let blobs = image.blobs_to_store();
        blobs.iter().try_for_each(|blob| read_verified(&*image.blobs, blob, u64::MAX).map(drop)).map(|()| image.digest())
    });
    reading.await.expect("no panic").map_err(Failure::Image)
}

async fn play(case: Case, doors: Doors, http: &HttpClient, image: &StoredImage) -> Played {
    let host = doors.host(Door::Registry);
    let fake = doors.open(case.personality, case.struck);
    let registry = registry(http, case.personality, &host);
    let outcome = tokio::time::timeout(BOUND, async {
        if case.journey == Journey::Pull {
            fake.state.keep("1", image);
            return pull(&registry, &host).await;
        }
        fake.state.hold(&base_layer(image));
        push(&registry, case.personality, &host, image).await.map(|pushed| pushed.digest).map_err(Failure::Registry)
    });
    let outcome = outcome.await.unwrap_or_else(|_| panic!("{case:?} hangs"));
    Played { fake, outcome }
}

fn base_layer(image: &StoredImage) -> Vec<u8> {
    let layer = &image.images().next().expect("an image").manifest.layers[0];
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut image.blobs.open(layer).expect("it is there"), &mut bytes).expect("it is readable");
    bytes
}

/// Plays many cases with one client.
async fn play_all(cases: Vec<Case>, planted: &Planted) -> Vec<(Case, Played)> {
    let mut played = Vec::new();
    for batch in cases.chunks(BATCH) {
        let mut doors = Vec::new();
        for _ in batch {
            doors.push(Doors::bind().await);
        }
        let http = client(&doors);
        let games = batch.iter().zip(doors).map(|(case, doors)| async {
            let played = play(*case, doors, &http, planted.of(case.personality)).await;
            (*case, played)
        });
        played.extend(futures_util::stream::iter(games).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    }
    played
}

/// What is owed whatever happens. `Err` says which manner was not kept.
fn judge(case: Case, played: &Played, image: &StoredImage) -> Result<End, String> {
    let state = &played.fake.state;
    let heard = state.heard();
    let own: Vec<_> = heard.iter().filter(|heard| heard.door != Door::Away).collect();
    let mut owed = state.violations();
    let mut owe = |holds: bool, what: &str| {
        if !holds {
            owed.push(what.to_owned());
        }
    };
    let digest = image.digest().to_string();
    if let Some(tagged) = state.tag("1") {
        owe(tagged == digest, "the tag leads to another image");
        owe(state.lacks(&tagged).is_none(), "the tag leads to a partial image");
    }
    match &played.outcome {
        Ok(told) => {
            owe(told.to_string() == digest, "another digest is told");
            owe(state.tag("1").is_some(), "a push without a tag is told as one");
        }
        Err(error) => {
            let text = match error {
                Failure::Registry(error) => format!("{error} {error:?}"),
                Failure::Image(error) => format!("{error} {error:?}"),
            };
            let shown = [password(), BASE64_STANDARD.encode(format!("{USER}:{}", password())), "bought-".to_owned()];
            owe(!shown.iter().any(|shown| text.contains(shown)), "the error repeats what was shown");
            let about_us = match error {
                Failure::Registry(error) => matches!(error, RegistryError::Image(_) | RegistryError::Scratch { .. } | RegistryError::GivenUp { .. }),
                Failure::Image(_) => case.journey == Journey::Push,
            };
            owe(!about_us, "the error blames us");
        }
    }
    // Where several travel at once, one may be opened in the very moment that another one fails.
    owe(state.forgotten_sessions(case.personality.parallel > 1) == 0, "an upload session is left open");

    let mut tries = BTreeMap::<_, usize>::new();
    for heard in heard.iter().filter(|heard| heard.struck) {
        *tries.entry((&heard.key, heard.afterwards)).or_default() += 1;
    }
    let together = |key: &str| ["Session", "Token", "Mount"].iter().any(|kind| key.starts_with(kind));
    let most = |key: &str| if together(key) { TRIES * case.personality.parallel } else { TRIES };
    owe(tries.iter().all(|((key, _), tries)| *tries <= most(key)), "more than six tries");

    let Some((fault, strike)) = case.struck else { return finish(owed, &played.outcome) };
    let alone = case.personality.parallel == 1;
    let hurried = own.windows(2).any(|pair| match (fault.asks_of(pair[0].kind), pair[0].struck, pair[0].answered) {
        (Some(asked), true, Some((at, _))) => pair[1].at.duration_since(at) < asked.min(LONGEST),
        _ => false,
    });
    // Sessions are left all at once.
    let leaves = own.iter().any(|heard| heard.struck && heard.kind == Kind::Leave);
    owe(!hurried || !alone || leaves, "it does not wait as long as it was asked to");
    let Some(first) = own.iter().position(|heard| heard.struck) else { return finish(owed, &played.outcome) };
    let kind = own[first].kind;
    // What can be done without is done without: mounts, with the tokens for them, and leaving.
    let needed = !matches!(kind, Kind::Mount | Kind::Leave) && (kind != Kind::Token || played.outcome.is_err());
    let fatal = matches!(fault, Fault::Forbidden | Fault::NotFound | Fault::BusyAges | Fault::RedirectedAway | Fault::Echo);
    // A mount may be refused, and a whole blob may be refused for its size.
    let fatal = fatal && needed && (kind, fault) != (Kind::Upload, Fault::NotFound);
    if let (Err(_), true, true, Strike::Once(_)) = (&played.outcome, fatal, alone, strike) {
        let writes = [Kind::Mount, Kind::Session, Kind::Piece, Kind::Upload, Kind::Manifest, Kind::Tag];
        owe(!own[first + 1..].iter().any(|heard| writes.contains(&heard.kind)), "it writes on after a fatal answer");
    }
    if fault == Fault::BusyAges && needed {
        owe(format!("{:?}", played.outcome).contains("asks us to wait"), "it is not told that we shall wait");
        owe(tries.values().all(|tries| *tries == 1) || !alone, "it is disturbed again");
    }
    if let (Err(error), Strike::Once(_)) = (&played.outcome, strike) {
        let session = matches!(kind, Kind::Upload | Kind::Piece);
        // A token that was bought for this very try is not doubted twice.
        // Where several blobs travel, their requests may come between.
        let between = case.personality.parallel;
        let refused = |heard: &&Heard| heard.key == own[first].key && matches!(heard.answered, Some((_, 401)));
        let bought = own[..first].iter().rev().take(between).any(|heard| heard.kind == Kind::Token) || own[..first].iter().any(refused);
        let token = !matches!(case.personality.proof, Proof::Nothing | Proof::Basic) && kind != Kind::Token && !bought;
        let heals = match fault {
            Fault::BusyAges => false,
            Fault::UploadUnknown => session,
            Fault::Expired => token,
            _ => fault.is_passing(),
        };
        owe(!heals, &format!("one passing trouble is not overcome: {error:?}"));
    }
    finish(owed, &played.outcome)
}

fn finish(owed: Vec<String>, outcome: &Result<Digest, Failure>) -> Result<End, String> {
    match owed.is_empty() {
        true if outcome.is_ok() => Ok(End::Recovered),
        true => Ok(End::Clean),
        false => Err(owed.join("; ")),
    }
}

/// The requests of a journey to which nothing happens, by their kinds.
async fn recorded(journey: Journey, planted: &Planted) -> Vec<(Personality, Vec<Kind>)> {
    let cases = PERSONALITIES.map(|personality| Case { journey, personality, struck: None }).to_vec();
    let mut recorded = Vec::new();
    for (case, played) in play_all(cases, planted).await {
        let image = planted.of(case.personality);
        assert_eq!(judge(case, &played, image), Ok(End::Recovered), "{}: {:?}", case.personality.name, played.outcome);
        let heard = played.fake.state.heard();
        let fetched: Vec<&String> = heard.iter().filter(|heard| heard.kind == Kind::ReadBlob).map(|heard| &heard.key).collect();
        let each_once = fetched.iter().collect::<BTreeSet<_>>().len() == fetched.len() && fetched.len() == image.blobs_to_store().len();
        assert!(journey == Journey::Push || each_once, "{fetched:?}");
        recorded.push((case.personality, heard.iter().map(|heard| heard.kind).collect()));
    }
    recorded
}

/// Each fault once at each request, and those that can last for ever at the first request of each kind.
fn cases(journey: Journey, personality: Personality, kinds: &[Kind]) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, kind) in kinds.iter().enumerate() {
        cases.extend(FAULTS.map(|fault| (fault, Strike::Once(at))));
        if seen.insert(kind) {
            cases.extend(FAULTS.into_iter().filter(|fault| fault.is_passing()).map(|fault| (fault, Strike::Ever(at))));
        }
    }
    cases.into_iter().map(|struck| Case { journey, personality, struck: Some(struck) }).collect()
}

#[expect(clippy::disallowed_methods, reason = "it is the tests' own switch")]
fn plays_all(personality: Personality) -> bool {
    std::env::var("HONEYCRATE_FAULTS").is_ok_and(|value| value == "all" || value == personality.name)
}

/// Whether an ordinary run plays this case.
fn is_of_the_share(case: &Case) -> bool {
    let mut hasher = DefaultHasher::new();
    format!("{} {:?}", case.personality.name, case.struck).hash(&mut hasher);
    hasher.finish().is_multiple_of(SHARE)
}

/// Plays all cases of a journey, or the share; prints the table.
#[expect(clippy::print_stderr, reason = "the table is for people who ask for it")]
async fn strike(journey: Journey) {
    let planted = tokio::task::spawn_blocking(Planted::new).await.expect("no panic");
    let recorded = recorded(journey, &planted).await;
    let (mut table, mut failures) = (Table::default(), Vec::new());
    for (personality, kinds) in &recorded {
        let mut cases = cases(journey, *personality, kinds);
        cases.retain(|case| plays_all(*personality) || is_of_the_share(case));
        for (case, played) in play_all(cases, &planted).await {
            let heard = played.fake.state.heard();
            let kind = heard.iter().find(|heard| heard.struck).map(|heard| heard.kind);
            match (judge(case, &played, planted.of(case.personality)), case.struck, kind) {
                (Ok(end), Some((fault, _)), Some(kind)) => table.count(personality.name, fault, kind, end),
                (Ok(_), _, _) => table.untouched += 1,
                (Err(what), _, _) => {
                    let heard: Vec<String> =
                        heard.iter().map(|heard| format!("{:?} {}", heard.kind, heard.answered.map_or(0, |(_, status)| status))).collect();
                    let (name, struck, outcome) = (personality.name, case.struck, &played.outcome);
                    failures.push(format!("{name} {struck:?} at {kind:?}: {what}\n  {outcome:?}\n  {}", heard.join(", ")));
                }
            }
        }
    }
    let requests: Vec<String> = recorded.iter().map(|(personality, kinds)| format!("{} {}", personality.name, kinds.len())).collect();
    eprintln!("requests of a {journey:?}: {}\n{}", requests.join(", "), table.text());
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_every_request_of_a_push_end_in_the_right_image_or_in_a_clean_failure() {
    strike(Journey::Push).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_every_request_of_a_pull_end_in_the_right_image_or_in_a_clean_failure() {
    strike(Journey::Pull).await;
}

/// How often each blob was taken.
fn arrivals(fake: &Fake) -> BTreeMap<String, usize> {
    let mut arrivals = BTreeMap::new();
    for heard in fake.state.heard().iter().filter(|heard| heard.kind == Kind::Upload && matches!(heard.answered, Some((_, 201)))) {
        *arrivals.entry(heard.key.clone()).or_default() += 1;
    }
    arrivals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_in_mid_push_is_taken_up_where_it_broke() {
    let planted = tokio::task::spawn_blocking(Planted::new).await.expect("no panic");
    // A moment, and longer than anybody waits.
    for lost in [TRIES - 2, usize::MAX] {
        let personality = Personality { mount: None, ..PERSONALITIES[1] };
        let doors = [Doors::bind().await];
        let http = client(&doors);
        let [doors] = doors;
        let host = doors.host(Door::Registry);
        let fake = doors.open(personality, None);
        fake.state.cut_after(2, lost);
        let first = push(&registry(&http, personality, &host), personality, &host, &planted.one).await;
        assert_eq!(first.is_ok(), lost < TRIES, "{first:?}");
        if let Err(error) = first {
            assert!(matches!(error, RegistryError::Unreachable(_)), "{error}");
            assert_eq!((fake.state.tag("1"), arrivals(&fake).len()), (None, 2), "nothing is named");
            fake.state.mend();
            push(&registry(&http, personality, &host), personality, &host, &planted.one).await.expect("the line holds");
        }
        assert_eq!(fake.state.tag("1"), Some(planted.one.digest().to_string()));
        let arrivals = arrivals(&fake);
        assert!(arrivals.len() > 2 && arrivals.values().all(|times| *times == 1), "{arrivals:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_refuses_does_not_keep_the_others_from_their_image() {
    let planted = tokio::task::spawn_blocking(Planted::new).await.expect("no panic");
    let struck = [None, Some((Fault::Forbidden, Strike::Once(5))), Some((Fault::Silence, Strike::Once(8)))];
    let doors = [Doors::bind().await, Doors::bind().await, Doors::bind().await];
    let http = client(&doors);
    let (mut places, mut fakes) = (Vec::new(), Vec::new());
    for (doors, struck) in doors.into_iter().zip(struck) {
        let host = doors.host(Door::Registry);
        fakes.push(doors.open(Personality { mount: None, ..PERSONALITIES[1] }, struck));
        let reference = format!("{host}/{REPOSITORY}:1").parse().expect("a reference");
        let pushing = Pushing::begin(&registry(&http, PERSONALITIES[1], &host), &reference, PushOptions::default(), Arc::new(Nobody)).await;
        places.push(pushing.expect("it is there"));
    }
    let outcomes = finish_together(&places, &planted.one).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert!(matches!(outcomes[1], Err(RegistryError::Unauthorized { .. })), "{outcomes:?}");
    let tags: Vec<bool> = fakes.iter().map(|fake| fake.state.tag("1").is_some()).collect();
    assert_eq!(tags, [true, false, true]);
}

#[test]
fn every_registry_with_ways_of_its_own_is_among_the_personalities() {
    let played: BTreeSet<&str> = PERSONALITIES.iter().map(|personality| personality.name).collect();
    let missing: Vec<&str> = QUIRKS.iter().map(|quirk| quirk.name).filter(|name| !played.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[derive(Default)]
struct Table {
    cells: BTreeMap<(Fault, Kind), [usize; 2]>,
    names: BTreeMap<&'static str, [usize; 2]>,
    /// The request that was to be struck did not come.
    untouched: usize,
}

impl Table {
    fn count(&mut self, name: &'static str, fault: Fault, kind: Kind, end: End) {
        let at = usize::from(end == End::Clean);
        self.cells.entry((fault, kind)).or_default()[at] += 1;
        self.names.entry(name).or_default()[at] += 1;
    }

    /// Faults by requests: so many recovered / so many clean failures.
    fn text(&self) -> String {
        let kinds: BTreeSet<Kind> = self.cells.keys().map(|(_, kind)| *kind).collect();
        let mut text = format!("{:18}", "recovered/failed");
        for kind in &kinds {
            write!(text, "{:>13}", format!("{kind:?}")).expect("text grows");
        }
        for fault in FAULTS {
            write!(text, "\n{:18}", format!("{fault:?}")).expect("text grows");
            for kind in &kinds {
                let [recovered, clean] = self.cells.get(&(fault, *kind)).copied().unwrap_or_default();
                write!(text, "{:>13}", format!("{recovered}/{clean}")).expect("text grows");
            }
        }
        for (name, [recovered, clean]) in &self.names {
            write!(text, "\n{name}: {recovered} recovered, {clean} failed cleanly").expect("text grows");
        }
        let [recovered, clean] = self.cells.values().fold([0, 0], |sum, cell| [sum[0] + cell[0], sum[1] + cell[1]]);
        write!(text, "\nin all: {} cases, {recovered} recovered, {clean} failed cleanly, {} not met", recovered + clean, self.untouched)
            .expect("text grows");
        text
    }
}
