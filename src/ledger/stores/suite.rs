//! What every store passes, so that it does not matter which one a ledger lies in.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

use tokio::runtime::Handle;

use crate::bait::claims::Claims;
use crate::ledger::chain;
use crate::ledger::error::LedgerError;
use crate::ledger::mention::{ENVIRONMENTS, Mention, SERVICES};
use crate::ledger::place::Ledger;
use crate::ledger::record::{Event, Record, samples};
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::ledger::tokens;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::FingerprintSet;

/// Where a store's ledgers are made for its tests.
pub(crate) trait Site: Sync {
    /// An empty ledger at a place of its own, ready to be opened.
    fn fresh(&self) -> Ledger;

    /// Puts other words into the stored text of a record, past the store and whatever keeps honest programs from it.
    fn forge(&self, ledger: &Ledger, sequence: u64, old: &str, new: &str);

    /// Opens a ledger so that a few records more fit in, and three hundred do not.
    fn cramped(&self, ledger: &Ledger) -> Box<dyn Store>;
}

/// One test for each of this file's, in the tests of a store: `passes_the_suite!(a site)`. The site is made anew for each of them.
macro_rules! passes_the_suite {
    ($site:expr) => {
        crate::ledger::stores::suite::passes_the_suite! { $site;
            what_was_appended_is_there_when_the_ledger_is_opened_again
            an_append_that_fails_in_its_middle_adds_nothing
            a_trigger_that_is_delivered_twice_is_one_record
            what_is_known_and_what_is_new_may_come_in_one_append
            a_vendors_token_for_a_place_is_minted_once_and_the_second_job_gets_the_first_ones
            records_are_found_by_what_they_speak_of
            keys_are_told_by_their_beginning_each_once_and_in_order
            a_ledger_opened_to_read_is_not_written
            a_past_that_was_changed_is_seen
            an_export_restores_the_same_ledger_to_the_byte_and_nothing_else_does
            an_older_program_is_told_of_records_that_it_does_not_know
            jobs_that_race_neither_lose_nor_double_a_record
            of_thirty_two_jobs_that_mint_for_the_same_place_one_does
        }
    };
    ($site:expr; $($name:ident)+) => {
        #[test]
        #[ignore = "prints a figure"]
        fn how_many_mintings_become_durable_in_a_second() {
            crate::ledger::stores::suite::how_many_mintings_become_durable_in_a_second(&$site);
        }

        $(
            #[test]
            fn $name() {
                crate::ledger::stores::suite::$name(&$site);
            }
        )+
    };
}
pub(crate) use passes_the_suite;

pub(crate) const TIME: &str = "2026-11-22T04:00:00Z";

/// An event with nothing in it but what it is called.
pub(crate) fn failed(stage: &str) -> Event {
    Event::Failed { stage: stage.to_owned(), reason: "for a test".to_owned() }
}

/// The minting of a vendor's token. `value` tells it from others for the same place.
pub(crate) fn minted(claims: &Claims, value: &str) -> Event {
    Event::Minted {
        claims: claims.clone(),
        provider: "vendor".to_owned(),
        fingerprint: samples::fingerprint("value", value),
        host: "sts.example.net".to_owned(),
        sealed: Digest::of(value.as_bytes()).hex().to_owned(),
        values: [samples::fingerprint("part", value)].into_iter().collect(),
    }
}

/// A thread in which the store may wait for what the calling thread's runtime does.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    job: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let runtime = Handle::try_current().ok();
    scope.spawn(move || {
        let _entered = runtime.as_ref().map(Handle::enter);
        job()
    })
}

fn open(ledger: &Ledger) -> Box<dyn Store> {
    stores::open(ledger).unwrap_or_else(|error| panic!("{ledger} cannot be opened: {error}"))
}

fn all(store: &dyn Store) -> Vec<Record> {
    store.records(1).expect("readable")
}

fn exported(store: &dyn Store) -> String {
    let mut export = Vec::new();
    store.export(&mut export).expect("written");
    String::from_utf8(export).expect("JSON")
}

pub(crate) fn what_was_appended_is_there_when_the_ledger_is_opened_again(site: &impl Site) {
    let ledger = site.fresh();
    let written = open(&ledger).append_all("run-1", TIME, samples::life("shop", "production")).expect("appended");
    let store = stores::open_to_read(&ledger).expect("existing");
    assert_eq!(all(&*store), written);
    assert_eq!(store.records(6).expect("readable"), written[5..]);
    assert_eq!(store.records(7).expect("readable"), []);
    assert_eq!(store.verify().expect("whole").records, 6);
    let mut store = open(&ledger);
    assert_eq!(store.append_all("run-2", TIME, Vec::new()).expect("nothing to do"), []);
    let next = store.append("run-2", TIME, failed("next")).expect("appended");
    assert_eq!((next.sequence, &next.previous), (7, &written[5].hash));
    assert_eq!(store.verify().expect("whole").head, next.hash);
}

pub(crate) fn an_append_that_fails_in_its_middle_adds_nothing(site: &impl Site) {
    let ledger = site.fresh();
    open(&ledger).append("run-1", TIME, failed("first")).expect("appended");
    let many = (0..300).map(|step| failed(&format!("{step}"))).chain(samples::life("shop", "production")).collect();
    let mut store = site.cramped(&ledger);
    store.append_all("run-2", TIME, many).expect_err("no room");
    assert_eq!((store.verify().expect("whole").records, store.keys("").expect("readable").len()), (1, 0));
    assert_eq!(store.append("run-3", TIME, failed("after")).expect("there is room for one").sequence, 2);
    assert_eq!(stores::open_to_read(&ledger).expect("existing").verify().expect("whole").records, 2);
}

pub(crate) fn a_trigger_that_is_delivered_twice_is_one_record(site: &impl Site) {
    let ledger = site.fresh();
    let triggered = || Event::Triggered { trigger: Box::new(samples::trigger("shop", "production")) };
    let first = open(&ledger).append("run", TIME, triggered()).expect("appended");
    let mut store = open(&ledger);
    assert_eq!(store.append("later run", "2026-11-23T04:00:00Z", triggered()).expect("known"), first);
    assert_eq!(store.verify().expect("whole").records, 1);
}

pub(crate) fn what_is_known_and_what_is_new_may_come_in_one_append(site: &impl Site) {
    let mut store = open(&site.fresh());
    let claims = samples::claims("shop", "production");
    let known = store.append("run-1", TIME, minted(&claims, "first")).expect("appended");
    let next = Claims { epoch: 2, ..claims.clone() };
    let events = vec![failed("before"), minted(&claims, "second"), minted(&next, "third"), minted(&next, "fourth")];
    let records = store.append_all("run-2", TIME, events).expect("appended");
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [2, 1, 3, 3]);
    assert_eq!((&records[1], &records[2]), (&known, &records[3]));
    assert_eq!(all(&*store), [known, records[0].clone(), records[2].clone()]);
}

pub(crate) fn a_vendors_token_for_a_place_is_minted_once_and_the_second_job_gets_the_first_ones(site: &impl Site) {
    let ledger = site.fresh();
    let claims = samples::claims("shop", "production");
    let first = open(&ledger).append("run-1", TIME, minted(&claims, "first")).expect("appended");
    let mut store = open(&ledger);
    assert_eq!(store.append("run-2", TIME, minted(&claims, "second")).expect("known"), first);
    assert_eq!(store.mentioning(&Mention::place(&claims)).expect("readable"), [first]);
    // Another edition is another token, and so is one that tells itself, under another key.
    let next = Claims { edition: "3".to_owned(), ..claims.clone() };
    assert_eq!(store.append("run-3", TIME, minted(&next, "third")).expect("appended").sequence, 2);
    for (key, sequence) in [("old", 3), ("new", 4), ("old", 3)] {
        let Event::Minted { claims, provider, fingerprint, host, sealed, .. } = minted(&claims, key) else { unreachable!() };
        let own = Event::Minted { claims, provider, fingerprint, host, sealed, values: FingerprintSet::default() };
        assert_eq!(store.append("run-4", TIME, own).expect("appended").sequence, sequence, "{key}");
    }
    assert_eq!(store.mentioning(&Mention::place(&claims)).expect("readable").len(), 4);
}

pub(crate) fn records_are_found_by_what_they_speak_of(site: &impl Site) {
    let ledger = site.fresh();
    let mut store = open(&ledger);
    store.append_all("run-1", TIME, samples::life("shop", "production")).expect("appended");
    store.append_all("run-2", TIME, samples::life("shop", "staging")).expect("appended");
    let secret = samples::fingerprint("a", "b");
    store.append("run-3", TIME, samples::found("shop:1", true, std::slice::from_ref(&secret))).expect("appended");
    store.append_all("run-4", TIME, samples::later_life("mail", "production")).expect("appended");
    drop(store);

    let store = stores::open_to_read(&ledger).expect("existing");
    let sequences = |records: Vec<Record>| records.iter().map(|record| record.sequence).collect::<Vec<_>>();
    let index = Digest::of(b"shop/production/index");
    for (mention, expected) in [
        (Mention::Token(samples::fingerprint("shop", "production")), vec![2, 3, 4, 6]),
        (Mention::Token(samples::fingerprint("no", "such")), vec![]),
        (Mention::Manifest(index.clone()), vec![5]),
        (Mention::Trigger(samples::trigger("shop", "staging").id), vec![12]),
        // Of names the first record counts.
        (Mention::Service("shop".to_owned()), vec![1]),
        (Mention::Environment("staging".to_owned()), vec![7]),
        (Mention::Service("mail".to_owned()), vec![18]),
        (Mention::Secret(secret.clone()), vec![13]),
        (Mention::place(&samples::claims("mail", "production")), vec![17, 18, 19, 20]),
        (Mention::Drill("drill-1".to_owned()), vec![14, 15, 16]),
    ] {
        assert_eq!(sequences(store.mentioning(&mention).expect("readable")), expected, "{mention}");
    }
    let any = [Mention::Secret(secret), Mention::Manifest(index), Mention::Token(samples::fingerprint("shop", "production"))];
    assert_eq!(sequences(store.mentioning_any(&any).expect("readable")), [2, 3, 4, 5, 6, 13]);
    assert_eq!(store.mentioning_any(&[]).expect("readable"), []);
    let token = samples::fingerprint("shop", "staging");
    assert_eq!(store.minted_before(&token).expect("readable").map(|record| record.sequence), Some(8));
    assert_eq!(store.minted_before(&samples::fingerprint("no", "such")).expect("readable"), None);
}

pub(crate) fn keys_are_told_by_their_beginning_each_once_and_in_order(site: &impl Site) {
    let mut store = open(&site.fresh());
    for service in ["shop", "mail", "Zoo", "a%b", "a_b", "a\\b'\"", "caf\u{e9}", "shop", "a/b"] {
        store.append_all("run", TIME, samples::life(service, "production")).expect("appended");
    }
    let keys = |prefix: &str| store.keys(prefix).expect("readable");
    let services = ["Zoo", "a%b", "a/b", "a\\b'\"", "a_b", "caf\u{e9}", "mail", "shop"].map(|name| format!("{SERVICES}{name}"));
    assert_eq!(keys(SERVICES), services, "in the order of their bytes");
    assert_eq!(keys("service/a_"), ["service/a_b"]);
    assert_eq!(keys("service/a%"), ["service/a%b"]);
    assert_eq!(keys(ENVIRONMENTS), ["environment/production"]);
    assert_eq!(keys("none/"), [""; 0]);
    let all = keys("");
    assert!(all.is_sorted() && all.len() > services.len());
    let names = tokens::names(&*store).expect("readable");
    assert_eq!((names.services.len(), names.environments.len()), (services.len(), 1));
}

pub(crate) fn a_ledger_opened_to_read_is_not_written(site: &impl Site) {
    let ledger = site.fresh();
    open(&ledger).append("run", TIME, failed("x")).expect("appended");
    let mut reader = stores::open_to_read(&ledger).expect("existing");
    let refused = reader.append("run", TIME, failed("y"));
    assert!(matches!(refused, Err(LedgerError::ReadOnly { .. })), "{refused:?}");
    assert_eq!(reader.verify().expect("still readable").records, 1);
}

pub(crate) fn a_past_that_was_changed_is_seen(site: &impl Site) {
    let ledger = site.fresh();
    let mut store = open(&ledger);
    store.append_all("run-1", TIME, samples::life("shop", "production")).expect("appended");
    site.forge(&ledger, 2, "production", "preprod");
    let store = stores::open_to_read(&ledger).expect("existing");
    let broken = |result: Result<(), LedgerError>| assert!(matches!(&result, Err(LedgerError::Broken(broken)) if broken.sequence == 2), "{result:?}");
    broken(store.verify().map(drop));
    broken(store.mentioning(&Mention::Token(samples::fingerprint("shop", "production"))).map(drop));
    // A trigger is no less true for it.
    let trigger = Event::Triggered { trigger: Box::new(samples::trigger("shop", "staging")) };
    assert_eq!(open(&ledger).append("decoy", TIME, trigger).expect("appended").sequence, 7);
}

pub(crate) fn an_export_restores_the_same_ledger_to_the_byte_and_nothing_else_does(site: &impl Site) {
    let mut store = open(&site.fresh());
    let events = || samples::life("shop", "production").into_iter().chain(samples::later_life("shop", "production"));
    store.append_all("run-1", TIME, events().collect()).expect("appended");
    let export = exported(&*store);
    assert_eq!(chain::verify(export.lines()).expect("whole"), store.verify().expect("whole"));
    let mut lines = export.lines().map(str::to_owned);

    let other = site.fresh();
    let mut copy = open(&other);
    let changed = export.replace("acme", "acne");
    assert!(matches!(copy.restore(&mut changed.lines().map(str::to_owned)), Err(LedgerError::Broken(_))));
    assert_eq!((all(&*copy), copy.keys("").expect("readable")), (vec![], vec![]));
    assert_eq!(copy.restore(&mut lines).expect("restored"), store.verify().expect("whole"));
    drop(copy);

    let mut copy = open(&other);
    assert_eq!(exported(&*copy), export);
    assert_eq!(copy.keys("").expect("readable"), store.keys("").expect("readable"));
    let token = Mention::Token(samples::fingerprint("shop", "production"));
    assert_eq!(copy.mentioning(&token).expect("readable"), store.mentioning(&token).expect("readable"));
    let count = u64::try_from(export.lines().count()).expect("a few");
    assert!(matches!(copy.restore(&mut std::iter::empty()), Err(LedgerError::NotEmpty { records, .. }) if records == count));
    // What there can be only one of is known from the export alone, and the chain goes on from its end.
    let known = copy.append_all("run-2", TIME, events().collect()).expect("appended");
    assert_eq!((known[1].sequence, known[5].sequence, known[0].sequence), (2, 6, count + 1));
    assert_eq!(copy.verify().expect("whole").records, count * 2 - 5);
}

pub(crate) fn an_older_program_is_told_of_records_that_it_does_not_know(site: &impl Site) {
    let ledger = site.fresh();
    let mut store = open(&ledger);
    store.append("run-1", TIME, failed("first")).expect("appended");
    store.append_all("run-1", TIME, samples::life("shop", "production")).expect("appended");
    site.forge(&ledger, 1, "\"version\":1", "\"version\":9");
    let refused = stores::open_to_read(&ledger).expect("existing").records(1);
    assert!(matches!(&refused, Err(LedgerError::Broken(broken)) if broken.why.contains("format 9")), "{refused:?}");
}

pub(crate) fn jobs_that_race_neither_lose_nor_double_a_record(site: &impl Site) {
    const JOBS: usize = 4;
    const STEPS: usize = 15;
    let ledger = site.fresh();
    let mut written: Vec<Record> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..JOBS)
            .map(|job| {
                let ledger = &ledger;
                spawn(scope, move || {
                    let mut store = open(ledger);
                    let step = |step| store.append_all(&format!("run-{job}"), TIME, vec![failed(&format!("{job}/{step}/a")), failed("b")]);
                    (0..STEPS).map(step).flat_map(|records| records.expect("waits for its turn")).collect::<Vec<_>>()
                })
            })
            .collect();
        jobs.into_iter().flat_map(|job| job.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    written.sort_by_key(|record| record.sequence);
    let store = stores::open_to_read(&ledger).expect("existing");
    assert_eq!(all(&*store), written, "each job got what is in the ledger");
    assert_eq!(store.verify().expect("no gap").records, (JOBS * STEPS * 2) as u64);
}

pub(crate) fn of_thirty_two_jobs_that_mint_for_the_same_place_one_does(site: &impl Site) {
    let ledger = site.fresh();
    let claims = samples::claims("shop", "production");
    let records: Vec<Record> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..32)
            .map(|job| {
                let event = minted(&claims, &format!("job {job}"));
                let ledger = &ledger;
                spawn(scope, move || open(ledger).append(&format!("run-{job}"), TIME, event).expect("appended or known"))
            })
            .collect();
        jobs.into_iter().map(|job| job.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let store = stores::open_to_read(&ledger).expect("existing");
    assert_eq!(all(&*store), records[..1], "there is one");
    assert!(records.iter().all(|record| *record == records[0]), "and all have it");
}

pub(crate) fn how_many_mintings_become_durable_in_a_second(site: &impl Site) {
    const MINTINGS: u16 = 500;
    let ledger = site.fresh();
    let mut store = open(&ledger);
    let began = std::time::Instant::now();
    for epoch in 1..=MINTINGS {
        let claims = Claims { epoch, ..samples::claims("shop", "production") };
        store.append("run", TIME, minted(&claims, &format!("{epoch}"))).expect("appended");
    }
    println!("{ledger}: {:.0} mintings a second", f64::from(MINTINGS) / began.elapsed().as_secs_f64());
    assert_eq!(store.verify().expect("whole").records, u64::from(MINTINGS));
}
