//! Ledgers end to end: moved between the three stores, and held against what the registries have.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::common::command::{Ran, run};
use crate::common::honeycrate::{Honeycrate, SERVICE, list};
use crate::common::images::Image;
use crate::common::postgres::{OWNER, PASSWORD, PostgresServer};
use crate::common::registry::{Auth, Registry};
use crate::common::skopeo;

/// An owner who has shipped the shop: its report.
fn shipped(owner: &Honeycrate, registry: &Registry, ledger: &str, environment: &str) -> Value {
    let built = tempdir().expect("scratch");
    let source = Image::shop().write(built.path());
    let image = registry.reference(&format!("acme/shop:{environment}"));
    let mut command = owner.command(&["ship", &source, "--to", &image, "--service", SERVICE, "--env", environment, "--decoy", "http://127.0.0.1:9"]);
    owner.access(&mut command, registry);
    let shipped = owner.reported(command.env("HONEYCRATE_LEDGER", ledger));
    assert_eq!(shipped.ran.code, 0, "{}", shipped.ran.all());
    shipped.report
}

fn digest(report: &Value) -> &str {
    report["pushed"][0]["digest"].as_str().expect("pushed")
}

fn fingerprints(report: &Value) -> Vec<&str> {
    list(report, "placements").iter().filter_map(|placement| placement["fingerprint"].as_str()).collect()
}

fn at(owner: &Honeycrate, ledger: &str, arguments: &[&str]) -> Ran {
    run(owner.command(arguments).env("HONEYCRATE_LEDGER", ledger).env("PGPASSWORD", PASSWORD))
}

fn good(owner: &Honeycrate, ledger: &str, arguments: &[&str]) -> String {
    let ran = at(owner, ledger, arguments);
    assert_eq!(ran.code, 0, "{arguments:?} with {ledger}: {}", ran.all());
    ran.out()
}

fn exported(owner: &Honeycrate, ledger: &str) -> String {
    good(owner, ledger, &["ledger", "export"])
}

/// The names of fresh ledgers, one in each store, in the order of files, databases and registries.
struct Stores {
    folder: tempfile::TempDir,
    postgres: PostgresServer,
    registry: Registry,
}

impl Stores {
    fn start() -> Self {
        Self { folder: tempdir().expect("scratch"), postgres: PostgresServer::start(), registry: Registry::plain(Auth::None) }
    }

    fn fresh(&self, owner: &Honeycrate, name: &str) -> [String; 3] {
        self.postgres.sql("postgres", &format!("CREATE DATABASE {name}"));
        let database = format!("postgres://{OWNER}@127.0.0.1:{}/{name}", self.postgres.port());
        good(owner, &database, &["ledger", "init"]);
        let file = self.folder.path().join(format!("{name}.sqlite")).display().to_string();
        [file, database, format!("oci://{}", self.registry.reference(&format!("memory/{name}")))]
    }
}

#[test]
fn a_ledger_moves_between_the_three_stores_to_the_byte_and_a_second_one_joins_it() {
    let (owner, registry, stores) = (Honeycrate::new(), Registry::plain(Auth::None), Stores::start());
    let own = owner.ledger_path().display().to_string();
    let first = shipped(&owner, &registry, &own, "production");
    let backup = owner.home().join("backup.jsonl").display().to_string();
    good(&owner, &own, &["ledger", "export", "--out", &backup]);
    let text = fs::read_to_string(&backup).expect("written");
    let records = text.lines().count();

    let imported = stores.fresh(&owner, "imported");
    for ledger in &imported {
        let said = good(&owner, ledger, &["ledger", "import", &backup]);
        assert!(said.contains(&format!("{records} records")), "{said}");
        assert_eq!(exported(&owner, ledger), text, "{ledger}");
        let again = at(&owner, ledger, &["ledger", "import", &backup]);
        assert!(again.code == 7 && again.all().contains(&format!("already holds {records} records")), "{}", again.all());
    }
    let copied = stores.fresh(&owner, "copied");
    for (from, into) in [(0, 1), (1, 2), (2, 0)] {
        good(&owner, &own, &["ledger", "copy", "--from", &imported[from], "--into", &copied[into]]);
        assert_eq!(exported(&owner, &copied[into]), text, "{into}");
        let said = good(&owner, &own, &["ledger", "copy", "--from", &imported[from], "--into", &copied[into]]);
        assert!(said.contains("0 records added"), "{said}");
    }

    // Another ledger of the same owner continues each of them.
    let other = owner.home().join("other.sqlite").display().to_string();
    let second = shipped(&owner, &registry, &other, "staging");
    let more = exported(&owner, &other).lines().count();
    for ledger in &copied {
        let said = good(&owner, &own, &["ledger", "copy", "--from", &other, "--into", ledger]);
        assert!(said.contains(&format!("{more} records added")), "{said}");
        let said = good(&owner, &own, &["ledger", "copy", "--from", &other, "--into", ledger]);
        assert!(said.contains("0 records added"), "{said}");
        let verified = good(&owner, ledger, &["ledger", "verify"]);
        assert!(verified.contains(&format!("{} records", records + more)), "{verified}");
        assert!(exported(&owner, ledger).starts_with(&text), "what was there stays as it was");
        for report in [&first, &second] {
            let traced = good(&owner, ledger, &["token", "trace", fingerprints(report)[0]]);
            assert!(traced.contains(digest(report)), "{traced}");
        }
    }
    // What it held all along goes into none of them twice.
    let said = good(&owner, &own, &["ledger", "copy", "--from", &copied[2], "--into", &copied[1]]);
    assert!(said.contains("0 records added"), "{said}");
}

#[test]
fn an_export_that_somebody_changed_or_cut_is_not_taken_for_the_ledger() {
    let (owner, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let own = owner.ledger_path().display().to_string();
    shipped(&owner, &registry, &own, "production");
    let text = exported(&owner, &own);
    let verified = good(&owner, &own, &["ledger", "verify"]);
    let head = verified.lines().find_map(|line| line.trim().strip_prefix("head ")).expect("a head is told").to_owned();
    good(&owner, &own, &["ledger", "verify", "--head", &head]);
    let write = |text: &str| {
        let path = owner.home().join("export.jsonl");
        fs::write(&path, text).expect("the home is writable");
        path.display().to_string()
    };
    let target = owner.home().join("target.sqlite").display().to_string();
    let changed = write(&text.replacen("production", "productiom", 1));
    let refused = at(&owner, &target, &["ledger", "import", &changed]);
    assert!(refused.code == 7 && refused.all().contains("chain breaks at record 1"), "{}", refused.all());
    assert!(!Path::new(&target).exists() || at(&owner, &target, &["ledger", "verify"]).code == 7);
    // One that lacks its end is a chain of its own, and only the head tells.
    let cut = write(&without_last(&text, 1));
    good(&owner, &own, &["ledger", "verify", "--file", &cut]);
    let missed = at(&owner, &own, &["ledger", "verify", "--file", &cut, "--head", &head]);
    assert!(missed.code == 7 && missed.all().contains(&head), "{}", missed.all());
    good(&owner, &target, &["ledger", "import", &cut]);
    assert_eq!(at(&owner, &target, &["ledger", "verify", "--head", &head]).code, 7);
}

fn without_last(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[..lines.len() - count].iter().map(|line| format!("{line}\n")).collect()
}

/// `ledger reconcile` with what the registry asks for.
fn reconciled(owner: &Honeycrate, ledger: &str, registry: &Registry, more: &[&str]) -> Ran {
    let mut command = owner.command(&[&["ledger", "reconcile"], more].concat());
    owner.access(&mut command, registry);
    run(command.env("HONEYCRATE_LEDGER", ledger))
}

/// The lines below a heading, up to the next blank one.
fn below<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    text.lines().skip_while(|line| !line.starts_with(heading)).skip(1).take_while(|line| line.starts_with("  ")).collect()
}

/// A ledger with the beginning of another.
fn beginning(owner: &Honeycrate, text: &str, name: &str) -> String {
    let (export, ledger) = (owner.home().join(format!("{name}.jsonl")), owner.home().join(format!("{name}.sqlite")));
    fs::write(&export, text).expect("the home is writable");
    let ledger = ledger.display().to_string();
    good(owner, &ledger, &["ledger", "import", &export.display().to_string()]);
    ledger
}

#[test]
fn an_image_whose_job_died_before_the_record_of_its_push_is_found_and_its_tokens_are_orphans_until_then() {
    let (owner, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let own = owner.ledger_path().display().to_string();
    let report = shipped(&owner, &registry, &own, "production");
    let text = exported(&owner, &own);
    assert!(text.lines().last().is_some_and(|line| line.contains("\"event\":\"pushed\"")), "{text}");
    let ledger = beginning(&owner, &without_last(&text, 1), "killed");

    // Nobody knows where to look.
    let lost = reconciled(&owner, &ledger, &registry, &[]);
    assert!(lost.code == 0 && lost.out().contains("in no repository that is known"), "{}", lost.all());
    let orphans = |ran: &Ran| below(&ran.out(), "orphans").iter().map(|line| line.trim()[..16].to_owned()).collect::<Vec<_>>();
    let mut tokens: Vec<&str> = fingerprints(&report);
    tokens.sort_unstable();
    let mut told = orphans(&lost);
    told.sort();
    assert_eq!(told, tokens, "{}", lost.all());

    let repository = registry.reference("acme/shop");
    let found = reconciled(&owner, &ledger, &registry, &["--in", &repository]);
    assert_eq!(found.code, 7, "{}", found.all());
    assert!(found.out().contains(digest(&report)) && found.out().contains("no record says that it arrived"), "{}", found.all());
    assert_eq!(orphans(&found), [""; 0], "{}", found.all());
    let written = reconciled(&owner, &ledger, &registry, &["--in", &repository, "--record"]);
    assert!(written.code == 0 && written.out().contains("1 missing record written"), "{}", written.all());
    let settled = reconciled(&owner, &ledger, &registry, &[]);
    assert!(settled.code == 0 && settled.out().contains("  there"), "{}", settled.all());
    assert!(good(&owner, &ledger, &["token", "trace", fingerprints(&report)[0]]).contains(digest(&report)));
    good(&owner, &ledger, &["ledger", "verify"]);

    // One that died right after it had minted.
    let minted = text.lines().take_while(|line| !line.contains("\"event\":\"planted\"")).map(|line| format!("{line}\n")).collect::<String>();
    let ledger = beginning(&owner, &minted, "early");
    let early = reconciled(&owner, &ledger, &registry, &["--in", &repository]);
    assert_eq!((early.code, orphans(&early).len()), (0, tokens.len()), "{}", early.all());
    // The next job takes them, and none is an orphan any more.
    shipped(&owner, &registry, &ledger, "production");
    let taken = reconciled(&owner, &ledger, &registry, &[]);
    assert_eq!((taken.code, orphans(&taken)), (0, Vec::new()), "{}", taken.all());
    assert_eq!(good(&owner, &ledger, &["token", "list", "--json"]).lines().count(), tokens.len());
}

#[test]
fn tokens_of_deleted_images_survive_and_revoked_ones_in_images_are_ghosts() {
    let (owner, registry) = (Honeycrate::new(), Registry::plain(Auth::None));
    let own = owner.ledger_path().display().to_string();
    let (kept, deleted) = (shipped(&owner, &registry, &own, "production"), shipped(&owner, &registry, &own, "staging"));
    let all = reconciled(&owner, &own, &registry, &[]);
    assert!(all.code == 0 && !["ghosts", "orphans", "survivors"].iter().any(|word| all.out().contains(word)), "{}", all.all());

    skopeo::delete(&registry, "acme/shop:staging");
    let after = reconciled(&owner, &own, &registry, &[]);
    assert_eq!(after.code, 0, "{}", after.all());
    assert!(after.out().contains(&format!("{}  gone: its tokens stay armed", digest(&deleted))), "{}", after.all());
    let out = after.out();
    let survivors = below(&out, "survivors");
    assert_eq!(survivors.len(), fingerprints(&deleted).len(), "{out}");
    assert!(fingerprints(&deleted).iter().all(|token| survivors.iter().any(|line| line.contains(token))), "{out}");
    let listed = good(&owner, &own, &["token", "list"]);
    assert!(fingerprints(&deleted).iter().all(|token| listed.contains(token)), "deleting an image disarms nothing: {listed}");

    let revoked = fingerprints(&kept)[0];
    good(&owner, &own, &["token", "revoke", revoked, "--reason", "a test"]);
    let out = reconciled(&owner, &own, &registry, &[]).out();
    let dead = below(&out, "ghosts");
    assert!(dead.len() == 1 && dead[0].contains(revoked), "{out}");

    // What cannot be asked is not taken for gone.
    let host = registry.host();
    drop(registry);
    let unknown = run(&mut owner.command(&["ledger", "reconcile", "--plain-http", &host]));
    assert_eq!(unknown.code, 5, "{}", unknown.all());
    assert!(unknown.out().contains("not known") && below(&unknown.out(), "survivors").is_empty(), "{}", unknown.all());
}
