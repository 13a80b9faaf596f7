//! Sealed records in a private repository of a registry, the one server that a CI job is sure to have.
//!
//! What one append writes is a sheet ([`crate::ledger::weave`]), sealed as a whole with age to the owner's newest key and to the recipients of the
//! settings, in an artifact of its own. Its tag is the time, in milliseconds, the digest of the sealed blob, and a mark that only the owner's keys
//! make: tags only join, the tag holds the blob to its bytes, and a reader needs no manifest. Other tags are strangers', whoever may push, and
//! nothing of theirs is fetched. A registry cannot lock or compare, so writers write side by side, read back, and the
//! weave makes one chain of it; for what there can be only one of they vote ([`crate::ledger::agreement`]).
//!
//! When many single sheets have come together, a writer puts copies of them into one more artifact: the whole is read in few requests then.
//!
//! Nothing in the registry says what this is. Config and layer have types of images, because GitLab takes no others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;

use crate::ledger::age::{self, AgeError, Identity, Recipient};
use crate::ledger::agreement::{Step, Vote, Voter};
use crate::ledger::chain::{self, ChainBreak, ChainSummary, Follower, Head};
use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::place::{Doors, Place};
use crate::ledger::record::{Event, Record};
use crate::ledger::stores::contract::{Opened, Row, Store};
use crate::ledger::weave::{SHEET, Sheet, Weave, contested};
use crate::oci::descriptor::Descriptor;
use crate::oci::digest::Digest;
use crate::oci::hex;
use crate::oci::manifest::{Document, Manifest};
use crate::oci::media_type::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::oci::reference::Reference;
use crate::registry::client::Registry;
use crate::registry::error::RegistryError;
use crate::registry::scope::Scope;
use crate::secret::key_ring::KeyRing;

pub const ROW: Row =
    Row { scheme: "oci", describe: "sealed records in a private repository of a registry, for CI jobs without a server of their own", open };

/// The whole config of every artifact.
const CONFIG: &[u8] = br#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}"#;
/// What stands between time and digest in the tag of a sheet, and of one with copies of others.
const SINGLE: char = '-';
const COPIES: char = '.';
/// What stands before the mark.
const MARK: char = '_';
/// The largest sealed sheet that is read: an import of some hundred thousand records.
const MAX_SEALED: u64 = 256 << 20;
/// Sealed lengths are multiples of this, so that they tell little.
const STEP: usize = 1 << 10;
/// Blobs that are fetched at once.
const PARALLEL: usize = 16;
/// How far behind its time a tag may appear and still be seen by those who ask for new ones alone; after [`AFRESH`] all are asked for.
const LATE: Duration = Duration::from_secs(3600);
const AFRESH: Duration = Duration::from_secs(600);
/// Sheets that a writer lets come together before it copies them into one artifact.
const MANY: usize = 256;
/// Rounds of a vote in which nobody gets ahead.
const ROUNDS: usize = 200;
/// What keys are derived for.
const SEALING: &str = "ledger/age";
const SIGNING: &str = "ledger/sheet";
const MARKING: &str = "ledger/tag";

fn open(place: &Place, doors: &Doors, writes: bool) -> Option<Opened> {
    let repository = place.repository()?;
    let open = |repository: Reference| {
        // Whoever opens it again goes on with what was read before.
        let keys = doors.keys.as_ref().map(|ring| ring.newest().mac(SIGNING, b"who"));
        let view = views().entry((repository.name(), keys)).or_default().clone();
        OciStore::open(&repository, doors, writes, view).map(|store| Box::new(store) as Box<dyn Store>)
    };
    Some(repository.map_err(|cause| LedgerError::Open { ledger: place.to_string(), cause: cause.to_string() }).and_then(open))
}

type Views = BTreeMap<(String, Option<[u8; 32]>), Arc<Mutex<View>>>;

/// The ledgers that this process has read.
fn views() -> MutexGuard<'static, Views> {
    static VIEWS: Mutex<Views> = Mutex::new(BTreeMap::new());
    VIEWS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of a repository by now.
#[derive(Default)]
pub struct View {
    weave: Weave,
    /// Tags that the owner's keys did not make.
    strangers: BTreeSet<String>,
    /// Tags of ours that lead to no sheet of ours.
    strange: BTreeSet<String>,
    /// Tags whose blob is gone.
    hollow: BTreeSet<String>,
    /// Tags that were there once and are not any more, with the first record that went with them.
    vanished: BTreeMap<String, u64>,
    /// When all tags were listed, and whether they came in order.
    listed: Option<(Instant, bool)>,
    has_config: bool,
    /// Sheets of which there are copies.
    copied: BTreeSet<String>,
}

/// A ledger in a repository.
pub struct OciStore {
    ledger: String,
    registry: Registry,
    repository: Reference,
    scope: Scope,
    ring: KeyRing,
    identities: Vec<Identity>,
    recipients: Vec<Recipient>,
    writes: bool,
    runtime: Handle,
    view: Arc<Mutex<View>>,
}

/// What a blob turned out to be.
enum Opening {
    Ours(Box<Sheet>),
    Strange,
    Gone,
}

impl OciStore {
    /// Opens the ledger in `repository`, and reads what `view` does not have yet.
    ///
    /// # Errors
    /// When keys are missing, the registry refuses or cannot be reached, the repository holds something else, or there is none to read.
    pub fn open(repository: &Reference, doors: &Doors, writes: bool, view: Arc<Mutex<View>>) -> Result<Self, LedgerError> {
        let ledger = format!("oci://{}", repository.name());
        let unopened = |cause: &str| LedgerError::Open { ledger: ledger.clone(), cause: cause.to_owned() };
        let ring = doors.keys.clone().ok_or_else(|| LedgerError::NoKey { ledger: ledger.clone() })?;
        let registries = doors.registries.as_ref().ok_or_else(|| unopened("no way to registries was given"))?;
        let unusable = |cause: AgeError| unopened(&cause.to_string());
        let identities = ring.iter().map(|key| Identity::new(*key.derive(SEALING))).collect::<Result<Vec<_>, _>>().map_err(unusable)?;
        let mut recipients: Vec<Recipient> = identities.first().map(|newest| newest.recipient().clone()).into_iter().collect();
        for text in &doors.recipients {
            let bad = |cause: AgeError| LedgerError::Recipient { text: text.clone(), why: cause.to_string() };
            recipients.push(text.trim().parse().map_err(bad)?);
        }
        let scope = if writes { Scope::push(&repository.repository) } else { Scope::pull(&repository.repository) };
        let store = Self {
            registry: registries.of(&repository.registry),
            repository: repository.clone(),
            scope,
            ring,
            identities,
            recipients,
            writes,
            runtime: Handle::try_current().map_err(|_| unopened("nothing runs that could wait for the registry"))?,
            view,
            ledger,
        };
        // On this very machine nobody else is asked to keep a secret.
        if writes && !repository.is_loopback() && store.locked().listed.is_none() {
            store.refuse_if_public(&registries.as_nobody(&repository.registry))?;
        }
        let is_there = store.read(&mut store.locked(), false)?;
        if !is_there && !writes {
            return Err(LedgerError::Missing { ledger: store.ledger });
        }
        Ok(store)
    }

    /// Records are sealed, but when and how often one joins is not for everybody.
    fn refuse_if_public(&self, as_nobody: &Registry) -> Result<(), LedgerError> {
        match self.wait(as_nobody.tags(&Scope::pull(&self.repository.repository), None)) {
            Ok(Some(tags)) if !tags.is_empty() => Err(LedgerError::Public { ledger: self.ledger.clone() }),
            // Whatever keeps nobody out is told to the owner by the owner's own requests.
            _ => Ok(()),
        }
    }

    /// The view, for as long as one call of the store takes. Whoever waits for it lets the runtime's other work go on.
    fn locked(&self) -> MutexGuard<'_, View> {
        tokio::task::block_in_place(|| self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }

    fn told(&self, cause: RegistryError) -> LedgerError {
        LedgerError::Registry { ledger: self.ledger.clone(), cause: Box::new(cause) }
    }

    /// Reads what joined since the last time, or `all` tags, and brings the chain up to date. Whether there is such a repository.
    fn read(&self, view: &mut View, all: bool) -> Result<bool, LedgerError> {
        let is_there = self.refresh(view, all)?;
        view.weave.weave();
        Ok(is_there)
    }

    /// The same without the chain, which need not be made again for every vote.
    fn refresh(&self, view: &mut View, all: bool) -> Result<bool, LedgerError> {
        let behind = match view.listed {
            Some((when, true)) if !all && when.elapsed() < AFRESH => view.latest_before(now().saturating_sub(LATE)),
            _ => None,
        };
        let listed = self.wait(self.registry.tags(&self.scope, behind.as_deref())).map_err(|cause| self.told(cause))?;
        let is_there = listed.is_some();
        let listed = listed.unwrap_or_default();
        if behind.is_none() {
            view.listed = Some((Instant::now(), listed.is_sorted()));
        }
        let (tags, strangers): (BTreeSet<&String>, BTreeSet<&String>) = listed.iter().partition(|tag| self.is_ours(tag));
        if tags.is_empty()
            && behind.is_none()
            && !view.has_any()
            && let Some(stranger) = strangers.iter().find(|tag| blob_of(tag).is_some()).or(strangers.first())
        {
            if blob_of(stranger).is_some() {
                return Err(LedgerError::Sealed { ledger: self.ledger.clone(), record: (*stranger).clone() });
            }
            let why = "it holds images or other things; a ledger needs a repository of its own";
            return Err(LedgerError::NotALedger { ledger: self.ledger.clone(), why });
        }
        if behind.is_none() {
            view.strangers.clear();
        }
        view.strangers.extend(strangers.into_iter().cloned());
        let mut gone = BTreeSet::new();
        for tag in view.known().filter(|tag| behind.as_ref().is_none_or(|behind| *tag > behind) && !tags.contains(tag)) {
            // A list may lag behind what is there.
            if !self.wait(self.leads_to_its_blob(tag)).map_err(|cause| self.told(cause))? {
                gone.insert(tag.clone());
            }
        }
        view.lose(&gone);
        let new = tags.iter().map(|tag| (*tag).clone()).filter(|tag| !view.weave.has(tag) && !view.strange.contains(tag));
        let (copies, mut single): (Vec<String>, Vec<String>) = new.partition(|tag| tag.contains(COPIES));
        let mut sheets = BTreeMap::new();
        self.sort(view, &mut sheets, self.wait(self.fetch_all(copies))?);
        let copied: Vec<(String, Sheet)> = sheets.values_mut().flat_map(|sheet| std::mem::take(&mut sheet.copies)).collect();
        view.copied.extend(copied.iter().map(|(tag, _)| tag.clone()));
        // A copy does not stand in for what is gone.
        sheets.extend(copied.into_iter().filter(|(tag, _)| tags.contains(tag) && !view.weave.has(tag)));
        single.retain(|tag| !sheets.contains_key(tag));
        self.sort(view, &mut sheets, self.wait(self.fetch_all(single))?);
        view.weave.add(sheets);
        Ok(is_there)
    }

    fn sort(&self, view: &mut View, sheets: &mut BTreeMap<String, Sheet>, opened: Vec<(String, Opening)>) {
        for (tag, opening) in opened {
            view.hollow.remove(&tag);
            match opening {
                Opening::Ours(sheet) => _ = sheets.insert(tag, *sheet),
                Opening::Strange => _ = view.strange.insert(tag),
                Opening::Gone => _ = view.hollow.insert(tag),
            }
        }
    }

    async fn fetch_all(&self, tags: Vec<String>) -> Result<Vec<(String, Opening)>, LedgerError> {
        let fetch = |tag: String| async move {
            let opening = self.fetch(&tag).await?;
            Ok((tag, opening))
        };
        futures_util::stream::iter(tags).map(fetch).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn fetch(&self, tag: &str) -> Result<Opening, LedgerError> {
        let Some(digest) = blob_of(tag) else { return Ok(Opening::Strange) };
        match self.registry.small_blob(&self.scope, &digest, MAX_SEALED).await {
            Ok(Some(sealed)) => self.unseal(tag, &sealed),
            Ok(None) => Ok(Opening::Gone),
            Err(cause) => Err(self.told(cause)),
        }
    }

    fn unseal(&self, tag: &str, sealed: &[u8]) -> Result<Opening, LedgerError> {
        let plain = match age::open(&self.identities, sealed) {
            Ok(plain) => plain,
            Err(AgeError::Closed) => return Err(LedgerError::Sealed { ledger: self.ledger.clone(), record: tag.to_owned() }),
            Err(_) => return Ok(Opening::Strange),
        };
        let Some((text, signed)) = std::str::from_utf8(&plain).ok().and_then(|text| text.trim_end().split_once('\n')) else {
            return Ok(Opening::Strange);
        };
        // Others can seal to us: that the owner wrote it shows only here.
        let key = text.split_once(':').and_then(|(epoch, mac)| Some((self.ring.epoch(epoch.parse().ok()?)?, mac)));
        if key.is_none_or(|(key, mac)| mac != hex::encode(&key.mac(SIGNING, signed.as_bytes()))) {
            return Ok(Opening::Strange);
        }
        let version = serde_json::from_str::<serde_json::Value>(signed).ok().and_then(|value| value.get("version")?.as_u64()).unwrap_or_default();
        match serde_json::from_str(signed) {
            _ if version > u64::from(SHEET) => {
                Err(LedgerError::Newer { ledger: self.ledger.clone(), found: u32::try_from(version).unwrap_or(u32::MAX), known: SHEET })
            }
            Ok(sheet) => Ok(Opening::Ours(Box::new(sheet))),
            Err(_) => Ok(Opening::Strange),
        }
    }

    fn seal(&self, sheet: &Sheet) -> Result<Vec<u8>, LedgerError> {
        let failed = |cause: String| LedgerError::Open { ledger: self.ledger.clone(), cause };
        let signed = serde_json::to_string(sheet).map_err(|cause| failed(cause.to_string()))?;
        let key = self.ring.newest();
        let mut plain = format!("{}:{}\n{signed}\n", key.epoch(), hex::encode(&key.mac(SIGNING, signed.as_bytes())));
        plain.extend(std::iter::repeat_n('\n', plain.len().next_multiple_of(STEP) - plain.len()));
        let random = self.random(age::randomness(self.recipients.len()))?;
        age::seal(&self.recipients, plain.as_bytes(), &random).map_err(|cause| failed(cause.to_string()))
    }

    fn random(&self, length: usize) -> Result<Vec<u8>, LedgerError> {
        let mut random = vec![0; length];
        let failed = |cause: getrandom::Error| LedgerError::Open { ledger: self.ledger.clone(), cause: cause.to_string() };
        getrandom::fill(&mut random).map_err(failed)?;
        Ok(random)
    }

    /// Writes a sheet, and reads back what others wrote meanwhile. It is durable when this returns; its name is told.
    fn put(&self, view: &mut View, records: &[Record], votes: Vec<Vote>) -> Result<String, LedgerError> {
        let sheet = view.weave.sheet(hex::encode(&self.random(16)?), records, votes);
        self.put_sheet(view, sheet)
    }

    fn put_sheet(&self, view: &mut View, sheet: Sheet) -> Result<String, LedgerError> {
        let sealed: Arc<[u8]> = self.seal(&sheet)?.into();
        let blob = Descriptor::new(OCI_LAYER, Digest::of(&sealed), sealed.len() as u64);
        let separator = if sheet.copies.is_empty() { SINGLE } else { COPIES };
        let tag = marked(&self.ring, &format!("{}{separator}{}", view.time(now()), blob.digest.hex()));
        let manifest = artifact(blob.clone());
        let work = async {
            if !view.has_config {
                self.registry.put_small_blob(&self.scope, &manifest.config, CONFIG.into()).await?;
            }
            self.registry.put_small_blob(&self.scope, &blob, sealed).await?;
            let bytes = Bytes::copy_from_slice(&manifest.bytes);
            let put = self.registry.put_manifest(&self.scope.repository, &tag, &manifest.media_type, bytes).await;
            match put {
                Ok(answer) if answer.told_digest("sha256").is_none_or(|told| told == manifest.digest()) => Ok(()),
                // Whether it arrived although the answer says otherwise, or none came.
                other => match self.leads_to_its_blob(&tag).await {
                    Ok(true) => Ok(()),
                    _ => other.map(drop),
                },
            }
        };
        self.wait(work).map_err(|cause| self.told(cause))?;
        view.has_config = true;
        self.refresh(view, false)?;
        if !view.weave.has(&tag) {
            // A list may lag behind what was acknowledged.
            if !self.wait(self.leads_to_its_blob(&tag)).map_err(|cause| self.told(cause))? {
                let cause = format!("the registry took the record {tag}, and has another or none");
                return Err(LedgerError::Damaged { ledger: self.ledger.clone(), cause });
            }
            view.weave.add([(tag.clone(), sheet)]);
        }
        Ok(tag)
    }

    /// Whether the owner's keys made this tag: the oldest, which whoever has any of them has.
    fn is_ours(&self, tag: &str) -> bool {
        blob_of(tag).is_some() && tag.rsplit_once(MARK).is_some_and(|(name, _)| marked(&self.ring, name) == tag)
    }

    /// Whether the tag still leads to the blob that it names, which a registry may else clear away.
    async fn leads_to_its_blob(&self, tag: &str) -> Result<bool, RegistryError> {
        let reference = Reference { tag: Some(tag.to_owned()), ..self.repository.clone() };
        match self.registry.manifest(&reference).await {
            Ok((Document::Manifest(manifest), _)) => Ok(manifest.layers.first().map(|layer| &layer.digest) == blob_of(tag).as_ref()),
            Ok(_) => Ok(false),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Votes until it is decided which claim on `key` holds. `own` is the one that this writer has just made.
    fn settle(&self, view: &mut View, key: &str, own: Option<&str>) -> Result<(), LedgerError> {
        let mut voter = Voter::new(key, own);
        for _ in 0..ROUNDS {
            match view.weave.ballot(key).and_then(|ballot| voter.next(ballot)) {
                None | Some(Step::Decided(_)) => return Ok(()),
                Some(Step::Cast(vote)) => self.put(view, &[], vec![vote])?,
            };
        }
        Err(LedgerError::Contended { ledger: self.ledger.clone() })
    }

    /// Copies all sheets of which there are no copies yet, when they are many.
    fn copy(&self, view: &mut View) -> Result<(), LedgerError> {
        let lonely = |(tag, _): &(&String, &Sheet)| !tag.contains(COPIES) && !view.copied.contains(*tag);
        if view.weave.sheets().filter(lonely).count() < MANY {
            return Ok(());
        }
        let copies = view.weave.sheets().filter(lonely).map(|(tag, sheet)| (tag.clone(), sheet.clone())).collect();
        let sheet = view.weave.sheet(hex::encode(&self.random(16)?), &[], Vec::new());
        self.put_sheet(view, Sheet { copies, ..sheet }).map(drop)
    }

    fn record(view: &View, sequence: u64) -> Result<Record, LedgerError> {
        let line = usize::try_from(sequence).ok().and_then(|at| view.weave.lines().get(at.checked_sub(1)?));
        let line = line.ok_or_else(|| ChainBreak { sequence, why: "it is not there".to_owned() })?;
        Ok(chain::read(sequence, line)?)
    }
}

/// What becomes of an event that is to be appended.
enum Fate {
    /// A new record: the line of the new sheet.
    New(usize),
    /// There can be only one, by this key.
    Known(String),
}

impl Store for OciStore {
    fn append_all(&mut self, run: &str, time: &str, events: Vec<Event>) -> Result<Vec<Record>, LedgerError> {
        if !self.writes {
            return Err(LedgerError::ReadOnly { ledger: self.ledger.clone() });
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut view = self.locked();
        self.read(&mut view, false)?;
        let (mut fates, mut new, mut keys) = (Vec::new(), Vec::new(), BTreeMap::new());
        for event in events {
            let key = Mention::unique(&event).map(|key| key.to_string());
            if let Some(key) = &key {
                if view.weave.ballot(key).is_some() {
                    self.settle(&mut view, key, None)?;
                    view.weave.weave();
                }
                if keys.contains_key(key) || view.weave.unique(key).is_some() {
                    fates.push(Fate::Known(key.clone()));
                    continue;
                }
            }
            if let Some(key) = key {
                keys.insert(key.clone(), (new.len(), contested(&event)));
                fates.push(Fate::Known(key));
            } else {
                fates.push(Fate::New(new.len()));
            }
            new.push(event);
        }
        let mut tag = String::new();
        if !new.is_empty() {
            let mut head = view.weave.head().clone();
            let link = |event| {
                let record = head.link(run, time, event);
                head = Head::from(&record);
                record
            };
            let records: Vec<Record> = new.into_iter().map(link).collect();
            let sheet = view.weave.sheet(hex::encode(&self.random(16)?), &records, Vec::new());
            let claims = keys.into_iter().filter(|(_, (_, contested))| *contested).map(|(key, (at, _))| (key, sheet.claim(at)));
            let claims: Vec<(String, String)> = claims.collect();
            tag = self.put_sheet(&mut view, sheet)?;
            for (key, claim) in claims {
                self.settle(&mut view, &key, Some(&claim))?;
            }
            // The records are there; what only saves time is tried again with the next.
            let _ = self.copy(&mut view);
        }
        view.weave.weave();
        let sequence = |fate: &Fate| match fate {
            Fate::New(at) => view.weave.place(&tag, *at),
            Fate::Known(key) => view.weave.unique(key),
        };
        fates.iter().map(|fate| Self::record(&view, sequence(fate).unwrap_or_default())).collect()
    }

    fn each_line(&self, sequence: u64, visit: &mut dyn FnMut(u64, &str) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, false)?;
        let first = usize::try_from(sequence.max(1) - 1).unwrap_or(usize::MAX);
        // Whoever visits may ask the same ledger for more.
        let lines = view.weave.lines().get(first..).unwrap_or_default().to_vec();
        drop(view);
        (sequence.max(1)..).zip(lines).try_for_each(|(at, line)| visit(at, &line))
    }

    fn mentioning(&self, mention: &Mention) -> Result<Vec<Record>, LedgerError> {
        self.mentioning_any(std::slice::from_ref(mention))
    }

    fn mentioning_any(&self, mentions: &[Mention]) -> Result<Vec<Record>, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, false)?;
        let sequences: BTreeSet<u64> = mentions.iter().flat_map(|mention| view.weave.mentioning(mention)).copied().collect();
        sequences.into_iter().map(|sequence| Self::record(&view, sequence)).collect()
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, false)?;
        Ok(view.weave.keys(prefix).cloned().collect())
    }

    fn restore(&mut self, lines: &mut dyn Iterator<Item = String>) -> Result<ChainSummary, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, true)?;
        if view.weave.head().sequence > 0 {
            return Err(LedgerError::NotEmpty { ledger: self.ledger.clone(), records: view.weave.head().sequence });
        }
        let mut follower = Follower::new();
        let mut records = Vec::new();
        for line in lines {
            records.push(follower.follow(&line)?);
        }
        if !records.is_empty() {
            let mut sheet = view.weave.sheet(hex::encode(&self.random(16)?), &records, Vec::new());
            // It was decided where they come from.
            let votes = records.iter().enumerate().filter(|(_, record)| contested(&record.event)).filter_map(|(at, record)| {
                let key = Mention::unique(&record.event)?.to_string();
                Some(Vote { key, round: 0, choice: sheet.claim(at), firm: Some(true) })
            });
            sheet.votes = votes.collect();
            self.put_sheet(&mut view, sheet)?;
            view.weave.weave();
        }
        Ok(follower.summary())
    }

    /// Follows the chain, and looks whether everything that it was made of is there: what writers had seen, and what this process has read.
    fn verify(&self) -> Result<ChainSummary, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, true)?;
        let mut follower = Follower::new();
        view.weave.lines().iter().try_for_each(|line| follower.follow(line).map(drop))?;
        view.check()?;
        let tags: Vec<String> = view.weave.sheets().map(|(tag, _)| tag.clone()).collect();
        let look = futures_util::stream::iter(tags).map(|tag| async move { Ok::<_, RegistryError>((self.leads_to_its_blob(&tag).await?, tag)) });
        let found: Vec<(bool, String)> = self.wait(look.buffer_unordered(PARALLEL).try_collect()).map_err(|cause| self.told(cause))?;
        if let Some((_, tag)) = found.iter().find(|(holds, _)| !holds) {
            let sequence = view.weave.place(tag, 0).unwrap_or_default();
            return Err(ChainBreak { sequence, why: format!("somebody put something else under its tag {tag}") }.into());
        }
        Ok(follower.summary())
    }

    /// The tags that nobody has followed: numbers and hashes of the newest records can change until somebody has written behind them, but a
    /// sheet stays, and names all that its writer had seen.
    fn heads(&self, _: &ChainSummary) -> Result<Vec<String>, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, false)?;
        let mut heads = view.weave.heads();
        if heads.is_empty() {
            heads.push(Head::genesis().hash);
        }
        Ok(heads)
    }

    fn has_head(&self, head: &str) -> Result<bool, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, false)?;
        Ok(view.weave.has(head) || head == Head::genesis().hash || has_hash(view.weave.lines(), head)?)
    }

    fn strangers(&self) -> Result<Vec<String>, LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, true)?;
        Ok(view.strangers.iter().cloned().collect())
    }

    fn export(&self, out: &mut dyn Write) -> Result<(), LedgerError> {
        let mut view = self.locked();
        self.read(&mut view, true)?;
        // The chain of what is left would hold: nobody could tell later that something was missing.
        view.check()?;
        view.weave.lines().iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush()).map_err(LedgerError::Export)
    }
}

impl View {
    fn known(&self) -> impl Iterator<Item = &String> {
        self.weave.sheets().map(|(tag, _)| tag).chain(&self.strange).chain(&self.hollow)
    }

    fn has_any(&self) -> bool {
        self.known().next().is_some()
    }

    /// What a tag that is made now begins with. Never less than what is known: whoever asks for new tags alone must see it, and clocks differ.
    fn time(&self, now: Duration) -> String {
        let newest = self.known().max().and_then(|tag| tag.get(..12)).unwrap_or_default();
        format!("{:012x}", now.as_millis()).max(newest.to_owned())
    }

    /// The last tag of at least this age.
    fn latest_before(&self, time: Duration) -> Option<String> {
        let bound = format!("{:012x}", time.as_millis());
        self.known().filter(|tag| **tag < bound).max().cloned()
    }

    fn lose(&mut self, tags: &BTreeSet<String>) {
        if tags.is_empty() {
            return;
        }
        for tag in tags.iter().filter(|tag| self.weave.has(tag)) {
            let sequence = self.weave.place(tag, 0).unwrap_or_default();
            self.vanished.insert(tag.clone(), sequence);
        }
        self.strange.retain(|tag| !tags.contains(tag));
        self.hollow.retain(|tag| !tags.contains(tag));
        self.weave.drop_all(tags);
    }

    fn check(&self) -> Result<(), ChainBreak> {
        let end = self.weave.head().sequence + 1;
        let strange = self.strange.first().map(|tag| (end, format!("what is under tag {tag} is no sheet of the owner's")));
        let hollow = self.hollow.first().map(|tag| (end, format!("what tag {tag} leads to is gone")));
        let vanished = self.vanished.iter().find(|(tag, _)| !self.weave.has(tag));
        let vanished = vanished.map(|(tag, sequence)| (*sequence, format!("it was under tag {tag}, which is gone")));
        match hollow.or(vanished).or(strange) {
            Some((sequence, why)) => Err(ChainBreak { sequence, why }),
            None => self.weave.check(),
        }
    }
}

/// The one shape of all artifacts.
fn artifact(blob: Descriptor) -> Manifest {
    Manifest::new(OCI_MANIFEST, Descriptor::new(OCI_CONFIG, Digest::of(CONFIG), CONFIG.len() as u64), vec![blob])
}

/// A name with the mark that makes it a tag of ours.
fn marked(ring: &KeyRing, name: &str) -> String {
    format!("{name}{MARK}{}", hex::encode(&ring.oldest().mac(MARKING, name.as_bytes())[..16]))
}

/// The blob that a tag names, if it has the shape of ours.
fn blob_of(tag: &str) -> Option<Digest> {
    let (time, digest) = tag.split_once([SINGLE, COPIES])?;
    let (digest, mark) = digest.split_once(MARK)?;
    let shaped = (time.len(), digest.len(), mark.len()) == (12, 64, 32) && [time, digest, mark].into_iter().all(hex::is_encoded);
    shaped.then(|| format!("sha256:{digest}").parse().ok()).flatten()
}

/// Whether one of the lines of a chain has this hash.
fn has_hash(lines: &[String], hash: &str) -> Result<bool, ChainBreak> {
    (1..).zip(lines).try_fold(false, |has, (sequence, line)| Ok(has || chain::read(sequence, line)?.hash == hash))
}

#[expect(clippy::disallowed_methods, reason = "a tag says when it was made, so that new ones can be asked for alone")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::place::Ledger;
    use crate::ledger::record::samples;
    use crate::ledger::stores::suite::{Site, TIME, failed, minted, passes_the_suite, spawn};
    use crate::ledger::stores::{self};
    use crate::registry::kept::Kept;
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    const SERVICE: &str = "acme-shop";

    struct Shelf {
        kept: Kept,
        count: AtomicU32,
    }

    fn ring() -> KeyRing {
        KeyRing::new([7; 32])
    }

    impl Shelf {
        fn new() -> Self {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            let runtime: &'static tokio::runtime::Runtime = Box::leak(Box::new(runtime));
            // For the rest of this thread, which is the test's own.
            std::mem::forget(runtime.enter());
            Self { kept: runtime.block_on(Kept::start()), count: AtomicU32::new(0) }
        }

        fn doors(&self, keys: Option<KeyRing>) -> Doors {
            Doors { registries: Some(self.kept.registries()), keys, ..Doors::default() }
        }

        fn repository(&self, name: &str) -> Reference {
            format!("{}/{name}", self.kept.host()).parse().expect("a name")
        }

        /// Puts something under a tag that a store's keys made.
        fn put(&self, store: &OciStore, time: Duration, sealed: &[u8]) {
            let blob = Descriptor::new(OCI_LAYER, Digest::of(sealed), sealed.len() as u64);
            let tag = marked(&store.ring, &format!("{:012x}{SINGLE}{}", time.as_millis(), blob.digest.hex()));
            let manifest = artifact(blob.clone());
            store.wait(store.registry.put_small_blob(&store.scope, &blob, sealed.into())).expect("put");
            let put = store.registry.put_manifest(&store.scope.repository, &tag, OCI_MANIFEST, Bytes::copy_from_slice(&manifest.bytes));
            store.wait(put).expect("put");
        }

        /// As another process would open it.
        fn apart(&self, name: &str, keys: &KeyRing, writes: bool) -> Result<OciStore, LedgerError> {
            OciStore::open(&self.repository(name), &self.doors(Some(keys.clone())), writes, Arc::default())
        }

        fn stores(&self, name: &str) -> OciStore {
            self.apart(name, &ring(), true).expect("opened")
        }
    }

    impl Site for Shelf {
        fn fresh(&self) -> Ledger {
            let name = format!("oci://{}/team/ledger-{}", self.kept.host(), self.count.fetch_add(1, Ordering::Relaxed));
            Ledger::new(Place::read(Path::new(&name), Path::new("/")), self.doors(Some(ring())))
        }

        fn forge(&self, ledger: &Ledger, sequence: u64, old: &str, new: &str) {
            let repository = ledger.place().repository().expect("a repository").expect("a name").repository;
            let store = self.stores(&repository);
            let mut view = store.locked();
            let is_it = |line: &String| line.contains(&format!("\"sequence\":{sequence},"));
            let (tag, sheet) = view.weave.sheets().find(|(_, sheet)| sheet.lines.iter().any(is_it)).expect("there");
            let (tag, mut sheet) = (tag.clone(), sheet.clone());
            for line in sheet.lines.iter_mut().filter(|line| is_it(line)) {
                *line = line.replace(old, new);
            }
            store.put_sheet(&mut view, sheet).expect("put");
            self.kept.untag(&repository, &tag);
        }

        fn cramped(&self, ledger: &Ledger) -> Box<dyn Store> {
            self.kept.narrow(8 << 10);
            stores::open(ledger).expect("opened")
        }
    }

    passes_the_suite!(Shelf::new());

    #[test]
    fn jobs_that_know_nothing_of_each_other_agree_on_one_token_and_lose_no_record() {
        const JOBS: usize = 16;
        let shelf = Shelf::new();
        let claims = samples::claims("shop", "production");
        let got: Vec<Vec<Record>> = std::thread::scope(|scope| {
            let jobs: Vec<_> = (0..JOBS)
                .map(|job| {
                    let (shelf, claims) = (&shelf, &claims);
                    spawn(scope, move || {
                        let events = vec![failed(&format!("job {job}")), minted(claims, &format!("job {job}"))];
                        shelf.stores("team/ledger").append_all(&format!("run-{job}"), TIME, events).expect("appended")
                    })
                })
                .collect();
            jobs.into_iter().map(|job| job.join().expect("no panic")).collect()
        });
        assert!(got.iter().all(|records| records[1].event == got[0][1].event), "one token for all");
        let store = shelf.stores("team/ledger");
        let records = store.records(1).expect("readable");
        assert_eq!(store.verify().expect("whole").records, JOBS as u64 + 1);
        assert_eq!(records.iter().filter(|record| record.event == got[0][1].event).count(), 1);
        assert!(got.iter().all(|mine| records.iter().any(|record| record.event == mine[0].event)), "each job's own is there");
        assert_eq!(shelf.stores("team/ledger").records(1).expect("readable"), records, "and everybody reads the same");
    }

    #[test]
    fn an_intruder_in_the_registry_learns_nothing_from_what_lies_there() {
        let shelf = Shelf::new();
        shelf.stores("team/ledger").append_all("run-1", TIME, samples::life(SERVICE, "production")).expect("appended");
        let fingerprint = samples::fingerprint(SERVICE, "production");
        for bytes in shelf.kept.everything() {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            for word in ["honey", "crate", "ledger", "bait", "token", "decoy", SERVICE, "acme", "production", fingerprint.as_str(), "2026"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
        let lengths: Vec<usize> = shelf.kept.tags("team/ledger").iter().map(String::len).collect();
        assert_eq!(lengths, [110], "six records, one artifact");
    }

    #[test]
    fn whoever_is_named_in_the_settings_reads_with_a_key_of_their_own() {
        let shelf = Shelf::new();
        let auditor = Identity::new([3; 32]).expect("a key");
        let doors = Doors { recipients: vec![auditor.recipient().to_string()], ..shelf.doors(Some(ring())) };
        let mut store = OciStore::open(&shelf.repository("team/ledger"), &doors, true, Arc::default()).expect("opened");
        store.append_all("run-1", TIME, samples::life(SERVICE, "production")).expect("appended");
        let tag = &shelf.kept.tags("team/ledger")[0];
        let sealed = shelf.kept.blob(blob_of(tag).expect("a digest").as_str()).expect("there");
        let plain = age::open(&[auditor], &sealed).expect("addressed to them");
        assert!(String::from_utf8_lossy(&plain).contains(SERVICE) && plain.len().is_multiple_of(STEP));
        let bad = Doors { recipients: vec!["age1nonsense".to_owned()], ..doors };
        let error = OciStore::open(&shelf.repository("team/ledger"), &bad, true, Arc::default()).err().expect("refused");
        assert!(matches!(&error, LedgerError::Recipient { text, .. } if text == "age1nonsense"), "{error}");
    }

    #[test]
    fn a_rotated_key_reads_what_the_old_one_wrote_and_not_the_other_way_round() {
        let shelf = Shelf::new();
        shelf.stores("team/ledger").append("run-1", TIME, failed("old")).expect("appended");
        let rotated = ring().rotated([8; 32]).expect("epochs left");
        let mut store = shelf.apart("team/ledger", &rotated, true).expect("opened");
        assert_eq!(store.append("run-2", TIME, failed("new")).expect("appended").sequence, 2);
        assert_eq!(store.verify().expect("whole").records, 2);
        for keys in [ring(), KeyRing::new([9; 32])] {
            let error = shelf.apart("team/ledger", &keys, false).err().expect("sealed to others");
            assert!(matches!(&error, LedgerError::Sealed { .. }) && error.hint().is_some(), "{error}");
        }
        let error = OciStore::open(&shelf.repository("team/ledger"), &shelf.doors(None), false, Arc::default()).err().expect("no key");
        assert!(matches!(error, LedgerError::NoKey { .. }), "{error}");
    }

    #[test]
    fn what_somebody_takes_away_puts_in_or_exchanges_is_told() {
        let shelf = Shelf::new();
        let filled = |name: &str| {
            let mut store = shelf.stores(name);
            for step in 0..4 {
                store.append("run-1", TIME, failed(&format!("{step}"))).expect("appended");
            }
            (store, shelf.kept.tags(name))
        };
        let told = |store: &OciStore| match store.verify() {
            Err(LedgerError::Broken(broken)) => broken,
            other => panic!("{other:?}"),
        };

        // In the middle: by those who saw it, whoever reads.
        let (_, tags) = filled("team/middle");
        shelf.kept.untag("team/middle", &tags[1]);
        let store = shelf.stores("team/middle");
        assert!(told(&store).why.contains(&tags[1]));
        assert!(matches!(store.export(&mut Vec::new()), Err(LedgerError::Broken(_))), "an export would hide it");
        assert_eq!(store.records(1).expect("what is left").len(), 3);

        // The newest: by whoever had read it.
        let (store, tags) = filled("team/newest");
        let newest = tags.last().expect("some");
        shelf.kept.untag("team/newest", newest);
        assert_eq!(told(&store).sequence, 4);

        // Something else under the tag.
        let (store, tags) = filled("team/exchanged");
        let other = artifact(Descriptor::new(OCI_LAYER, Digest::of(b"other"), 5));
        let put = store.registry.put_manifest("team/exchanged", &tags[2], OCI_MANIFEST, Bytes::copy_from_slice(&other.bytes));
        store.wait(put).expect("put");
        assert_eq!(told(&shelf.stores("team/exchanged")).sequence, 3);

        // A tag of ours over what is no sheet of ours.
        let (store, _) = filled("team/strange");
        shelf.put(&store, now(), b"no seal");
        let store = shelf.stores("team/strange");
        assert!(told(&store).why.contains("no sheet of the owner's"));
        assert_eq!(store.records(1).expect("the owner's").len(), 4);
    }

    #[test]
    fn strangers_who_may_push_are_named_and_keep_nobody_from_reading_and_writing() {
        let shelf = Shelf::new();
        let mut store = shelf.stores("team/ledger");
        store.append_all("run-1", TIME, samples::life(SERVICE, "production")).expect("appended");
        let own = shelf.kept.tags("team/ledger");
        // One who knows to whom records are sealed, one who seals to others, one who knows nothing, and one who copies a mark.
        let stranger = || Some(KeyRing::new([66; 32]));
        for recipients in [vec![store.recipients[0].clone()], vec![Identity::new([3; 32]).expect("a key").recipient().clone()]] {
            let forger = OciStore { ring: stranger().expect("one"), recipients, ..shelf.stores("team/ledger") };
            let sheet = Weave::new().sheet("forged".to_owned(), &[], Vec::new());
            shelf.put(&forger, now(), &forger.seal(&sheet).expect("sealed"));
        }
        shelf.kept.tag("team/ledger", "latest");
        let mark = own[0].rsplit_once(MARK).expect("marked").1;
        shelf.kept.tag("team/ledger", &format!("0193579bdf02-{}{MARK}{mark}", Digest::of(b"x").hex()));

        let mut fresh = shelf.stores("team/ledger");
        assert_eq!(fresh.records(1).expect("readable"), store.records(1).expect("readable"));
        assert_eq!(fresh.append("run-2", TIME, failed("after")).expect("appended").sequence, 7);
        assert_eq!(store.append("run-3", TIME, failed("and after that")).expect("appended").sequence, 8);
        assert_eq!(fresh.verify().expect("nothing of it is gone").records, 8);
        fresh.export(&mut Vec::new()).expect("written");
        let strangers = fresh.strangers().expect("readable");
        assert_eq!(strangers.len(), 4);
        assert!(strangers.contains(&"latest".to_owned()) && strangers.iter().all(|tag| !own.contains(tag)), "{strangers:?}");
        // Somebody with other keys is told that it is not theirs.
        let doors = shelf.doors(stranger());
        let error = OciStore::open(&shelf.repository("team/ledger"), &Doors { keys: Some(KeyRing::new([9; 32])), ..doors }, true, Arc::default());
        assert!(matches!(error.err(), Some(LedgerError::Sealed { .. })));
    }

    #[test]
    fn a_head_that_was_kept_is_there_later_and_missed_when_it_was_cut_off() {
        let shelf = Shelf::new();
        let mut store = shelf.stores("team/ledger");
        let heads = |store: &OciStore| store.verify().and_then(|summary| store.heads(&summary)).expect("whole");
        let nothing = heads(&store);
        store.append("run-1", TIME, failed("first")).expect("appended");
        let first = heads(&store);
        store.append("run-1", TIME, failed("second")).expect("appended");
        let second = heads(&store);
        assert_eq!((first.len(), second.len(), second != first), (1, 1, true));
        let hash = store.records(2).expect("readable")[0].hash.clone();
        for head in [&nothing[0], &first[0], &second[0], &hash] {
            assert!(shelf.stores("team/ledger").has_head(head).expect("readable"), "{head}");
        }
        shelf.kept.untag("team/ledger", &second[0]);
        let fresh = shelf.stores("team/ledger");
        assert_eq!(fresh.verify().expect("what is left holds").records, 1);
        assert!(fresh.has_head(&first[0]).expect("readable") && !fresh.has_head(&second[0]).expect("readable"));
    }

    #[test]
    fn many_records_are_read_in_few_requests_and_those_that_are_gone_are_missed_all_the_same() {
        let shelf = Shelf::new();
        let mut store = shelf.stores("team/ledger");
        for step in 0..MANY + 10 {
            store.append("run-1", TIME, failed(&format!("{step}"))).expect("appended");
        }
        let before = shelf.kept.requests();
        let fresh = shelf.stores("team/ledger");
        assert!(shelf.kept.requests() - before < 20, "{} requests", shelf.kept.requests() - before);
        assert_eq!(fresh.records(1).expect("readable"), store.records(1).expect("readable"));
        assert_eq!(fresh.verify().expect("whole").records, MANY as u64 + 10);
        shelf.kept.untag("team/ledger", &shelf.kept.tags("team/ledger")[100]);
        let fresh = shelf.stores("team/ledger");
        assert_eq!(fresh.records(1).expect("what is left").len(), MANY + 9);
        assert!(matches!(fresh.verify(), Err(LedgerError::Broken(_))));
    }

    #[test]
    fn a_clock_that_is_behind_puts_nothing_before_what_its_writer_has_seen() {
        let shelf = Shelf::new();
        let store = shelf.stores("team/ledger");
        let later = now() + LATE * 24;
        shelf.put(&store, later, &store.seal(&Weave::new().sheet("of a clock ahead".to_owned(), &[], Vec::new())).expect("sealed"));
        for mut writer in [store, shelf.stores("team/ledger")] {
            writer.append("run-1", TIME, failed("behind")).expect("appended");
        }
        let tags = shelf.kept.tags("team/ledger");
        assert!(tags.len() == 3 && tags.iter().all(|tag| *tag >= format!("{:012x}", later.as_millis())), "{tags:?}");
    }

    #[test]
    fn a_blob_that_nothing_leads_to_is_no_record() {
        let shelf = Shelf::new();
        let mut store = shelf.stores("team/ledger");
        store.append("run-1", TIME, failed("first")).expect("appended");
        let sheet = store.locked().weave.sheet("killed".to_owned(), &[], Vec::new());
        let sealed: Arc<[u8]> = store.seal(&sheet).expect("sealed").into();
        let blob = Descriptor::new(OCI_LAYER, Digest::of(&sealed), sealed.len() as u64);
        store.wait(store.registry.put_small_blob(&store.scope, &blob, sealed)).expect("put");
        assert_eq!(store.append("run-2", TIME, failed("second")).expect("appended").sequence, 2);
        assert_eq!(shelf.stores("team/ledger").verify().expect("whole").records, 2);
    }

    #[test]
    fn a_repository_of_images_is_no_ledger_and_a_missing_one_is_told() {
        let shelf = Shelf::new();
        shelf.kept.tag("team/shop", "latest");
        for writes in [true, false] {
            let error = shelf.apart("team/shop", &ring(), writes).err().expect("refused");
            assert!(matches!(error, LedgerError::NotALedger { .. }), "{error}");
        }
        let error = shelf.apart("team/none", &ring(), false).err().expect("nothing there");
        assert!(matches!(error, LedgerError::Missing { .. }), "{error}");
        assert_eq!(shelf.kept.tags("team/shop"), ["latest"]);
    }

    #[test]
    fn a_repository_that_everybody_reads_is_refused() {
        let shelf = Shelf::new();
        let mut store = shelf.stores("team/ledger");
        store.refuse_if_public(&shelf.kept.registry()).expect("there is nothing to read yet");
        store.append("run-1", TIME, failed("first")).expect("appended");
        let error = store.refuse_if_public(&shelf.kept.registry()).expect_err("everybody may");
        assert!(matches!(&error, LedgerError::Public { .. }) && error.hint().is_some(), "{error}");
    }

    #[test]
    fn what_was_read_once_is_not_fetched_again() {
        let shelf = Shelf::new();
        let mut store = shelf.stores("team/ledger");
        for step in 0..30 {
            store.append("run-1", TIME, failed(&format!("{step}"))).expect("appended");
        }
        let before = shelf.kept.requests();
        assert_eq!(store.records(1).expect("readable").len(), 30);
        assert_eq!(shelf.kept.requests() - before, 1, "the list alone");
    }

    #[test]
    fn tags_are_those_of_sheets_or_nobodys() {
        let digest = Digest::of(b"x");
        let tag = marked(&ring(), &format!("0193579bdf02-{}", digest.hex()));
        assert_eq!(blob_of(&tag), Some(digest.clone()));
        assert_eq!(marked(&ring().rotated([8; 32]).expect("epochs left"), tag.rsplit_once(MARK).expect("marked").0), tag, "whatever the newest key");
        for tag in ["latest", "0193579bdf02-abc", &format!("0193579bdf02-{}", digest.hex()), &tag[1..], &tag.to_uppercase(), &format!("{tag}0")] {
            assert_eq!(blob_of(tag), None, "{tag}");
        }
    }
}
