//! `honeycrate ledger`: the memory itself.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::cli::args::{Global, Ledger, Registries as RegistryFlags};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::scratch::Scratch;
use crate::cli::setup::Setup;
use crate::ledger::chain::{self, ChainBreak, ChainSummary, Follower, Head};
use crate::ledger::error::LedgerError;
use crate::ledger::record::Record;
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::ledger::tokens::TokenSummary;
use crate::oci::digest::Digest;
use crate::oci::error::OciError;
use crate::oci::reference::Reference;
use crate::pipeline::reconcile::{self, Apart, Memory, State};
use crate::report::escape::line as for_terminal;
use crate::report::words::count;

/// Runs one of the ledger commands.
///
/// # Errors
/// When the ledger cannot be read, or its chain is broken.
pub async fn ledger(command: &Ledger, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    match command {
        Ledger::Init => {
            let ledger = setup.ledger()?;
            let left = stores::prepare(&ledger)?;
            anstream::println!("✔ {ledger} is ready");
            left.iter().for_each(|line| anstream::println!("  {line}"));
        }
        Ledger::Verify { file: None, heads } => verify(&*setup.ledger_to_read()?, heads)?,
        Ledger::Verify { file: Some(path), heads } => {
            let mut missing: Vec<&String> = heads.iter().filter(|head| **head != Head::genesis().hash).collect();
            let summary = verify_file(path, &mut |record| missing.retain(|head| record.hash != **head))?;
            report(&summary, std::slice::from_ref(&summary.head));
            refuse_cut(&summary, missing.first().copied())?;
        }
        Ledger::Export { out } => {
            let store = setup.ledger_to_read()?;
            match out {
                None => store.export(&mut std::io::stdout().lock())?,
                Some(path) => {
                    let failed = |cause| Failure::usage(format!("cannot write {}: {cause}", path.display()), "check that the folder may be written");
                    // It tells where bait lies.
                    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
                    store.export(&mut file)?;
                    file.flush().and_then(|()| file.sync_all()).map_err(failed)?;
                }
            }
        }
        Ledger::Import { file } => {
            verify_file(file, &mut |_| {})?;
            import(&mut *stores::open(&setup.ledger()?)?, file)?;
        }
        Ledger::Copy { from, into } => {
            let (from, into) = (setup.ledger_at(from)?, setup.ledger_at(into)?);
            copy(&setup, &*stores::open_to_read(&from)?, &mut *stores::open(&into)?)?;
        }
        Ledger::Reconcile { within, record, registries } => return compare(&setup, within, *record, registries).await,
    }
    Ok(Exit::Passed)
}

/// Checks a ledger, and whether heads that somebody kept are in it.
fn verify(store: &dyn Store, kept: &[String]) -> Result<(), Failure> {
    let summary = store.verify()?;
    report(&summary, &store.heads(&summary)?);
    let strangers = store.strangers()?;
    if let Some(first) = strangers.first() {
        let others = if strangers.len() > 1 { format!(" and {} more", strangers.len() - 1) } else { String::new() };
        anstream::eprintln!(
            "warning: {}{others} beside the ledger: nobody with your keys put it there, and nothing of it is read",
            for_terminal(first)
        );
        anstream::eprintln!("  whoever may push to this repository could; delete it, and look who may");
    }
    for head in kept {
        let has = store.has_head(head)?;
        refuse_cut(&summary, Some(head).filter(|_| !has))?;
    }
    Ok(())
}

fn refuse_cut(summary: &ChainSummary, missing: Option<&String>) -> Result<(), LedgerError> {
    let Some(head) = missing else { return Ok(()) };
    let why = format!("the head {head} was there once, and it is gone with all that came after what is left");
    Err(ChainBreak { sequence: summary.records + 1, why }.into())
}

fn verify_file(path: &Path, visit: &mut dyn FnMut(&Record)) -> Result<ChainSummary, Failure> {
    let mut follower = Follower::new();
    for line in BufReader::new(File::open(path).map_err(|cause| unreadable(path, &cause))?).lines() {
        visit(&follower.follow(&line.map_err(|cause| unreadable(path, &cause))?).map_err(LedgerError::from)?);
    }
    Ok(follower.summary())
}

fn unreadable(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {cause}", path.display()), "`honeycrate ledger export --out FILE` writes one")
}

/// Fills an empty store with the lines of a file.
fn import(store: &mut dyn Store, path: &Path) -> Result<(), Failure> {
    let lines = BufReader::new(File::open(path).map_err(|cause| unreadable(path, &cause))?).lines();
    let mut failed = None;
    // A line that cannot be read is no record: the chain breaks there, and nothing is added.
    let mut lines = lines.map(|line| line.unwrap_or_else(|cause| failed.insert(cause).to_string()));
    let restored = store.restore(&mut lines);
    drop(lines);
    if let Some(cause) = failed {
        return Err(unreadable(path, &cause));
    }
    let summary = restored?;
    report(&summary, &store.heads(&summary)?);
    Ok(())
}

/// Brings over what the other does not have.
fn copy(setup: &Setup, from: &dyn Store, into: &mut dyn Store) -> Result<(), Failure> {
    let mut there = HashSet::new();
    into.each(1, &mut |record| {
        there.insert(content(&record));
        Ok(())
    })?;
    if there.is_empty() {
        let unwritable = |cause: std::io::Error| {
            Failure::usage(format!("cannot use {}: {cause}", setup.settings.scratch.display()), "point TMPDIR to a folder that may be written")
        };
        let scratch = Scratch::new("honeycrate-", &setup.settings.scratch).map_err(unwritable)?;
        let path = scratch.path().join("ledger.jsonl");
        let mut file = BufWriter::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(unwritable)?);
        from.export(&mut file)?;
        return import(into, &path);
    }
    let mut added = 0;
    let mut batch: Vec<Record> = Vec::new();
    // What was told together stays together.
    let mut write = |batch: &mut Vec<Record>| -> Result<(), LedgerError> {
        let Some((run, time)) = batch.first().map(|record| (record.run.clone(), record.time.clone())) else { return Ok(()) };
        let records = into.append_all(&run, &time, batch.drain(..).map(|record| record.event).collect())?;
        added += records.iter().filter(|record| (&record.run, &record.time) == (&run, &time)).count();
        Ok(())
    };
    from.each(1, &mut |record| {
        if there.contains(&content(&record)) {
            return Ok(());
        }
        if batch.first().is_some_and(|first| (&first.run, &first.time) != (&record.run, &record.time)) {
            write(&mut batch)?;
        }
        batch.push(record);
        Ok(())
    })?;
    write(&mut batch)?;
    anstream::println!("✔ {} added at the end of the chain", count(added, "record"));
    Ok(())
}

/// What a record says, wherever in a chain it stands.
fn content(record: &Record) -> Digest {
    Digest::of(chain::line(&Head::genesis().link(&record.run, &record.time, record.event.clone())).as_bytes())
}

/// Prints how ledger and registries stand to each other.
async fn compare(setup: &Setup, within: &[String], record: bool, flags: &RegistryFlags) -> Result<Exit, Failure> {
    let ledger = setup.ledger()?;
    let more: Vec<Reference> = within
        .iter()
        .map(|text| text.trim_start_matches("docker://").parse())
        .collect::<Result<_, _>>()
        .map_err(|why: OciError| Failure::usage(why.to_string(), "name a repository, as ghcr.io/acme/shop"))?;
    let memory = Memory::read(&*stores::open_to_read(&ledger)?)?;
    let standings = memory.compare(&setup.registries(flags)?, &more).await;
    let width = standings.iter().map(|standing| standing.place.len()).max().unwrap_or(0);
    for standing in &standings {
        let word = match &standing.state {
            State::There => "there".to_owned(),
            State::Gone => "gone: its tokens stay armed".to_owned(),
            State::Unrecorded { .. } => "holds bait, and no record says that it arrived".to_owned(),
            State::Nowhere => "holds bait, and is in no repository that is known".to_owned(),
            State::Elsewhere => "is in no registry".to_owned(),
            State::Unknown(why) => format!("not known: {}", for_terminal(why)),
        };
        anstream::println!("{:<width$}  {}  {word}", for_terminal(&standing.place), standing.digest);
    }
    print_apart(&memory.apart(&standings));
    let unrecorded = standings.iter().filter(|standing| matches!(standing.state, State::Unrecorded { .. })).count();
    let unknown = standings.iter().any(|standing| matches!(standing.state, State::Unknown(_)));
    if unrecorded > 0 && record {
        let written = reconcile::record(&mut *stores::open(&ledger)?, &standings)?;
        anstream::println!("✔ {} written", count(written, "missing record"));
    } else if unrecorded > 0 {
        anstream::println!("{} missing: `honeycrate ledger reconcile --record` writes what is", count(unrecorded, "record"));
        return Ok(Exit::Ledger);
    }
    Ok(if unknown { Exit::Registry } else { Exit::Passed })
}

/// Prints the tokens without an image, and those that are no bait any more.
fn print_apart(apart: &[(Apart, &TokenSummary)]) {
    let mut before = None;
    for (how, token) in apart {
        if before != Some(how) {
            anstream::println!(
                "\n{}",
                match how {
                    Apart::Orphan => "orphans, tokens that are in no image: their runs ended before it arrived",
                    Apart::Ghost => "ghosts, revoked tokens in images that are there: ship these again",
                    Apart::Survivor => "survivors, tokens whose images are gone: they stay armed, because copies outlive an image",
                }
            );
            before = Some(how);
        }
        let fingerprint = token.fingerprint.as_ref().map_or("-", |fingerprint| fingerprint.as_str());
        let claims = &token.claims;
        let (service, environment) = (for_terminal(&claims.service), for_terminal(&claims.environment));
        anstream::println!("  {fingerprint}  {:<7}  {}  {environment}  {service}", claims.surface, claims.kind);
    }
}

fn report(summary: &ChainSummary, heads: &[String]) {
    let span = summary.span.as_ref().map(|(first, last)| format!(" from {first} to {last}")).unwrap_or_default();
    anstream::println!("✔ the chain holds: {}{span}", count(usize::try_from(summary.records).unwrap_or(usize::MAX), "record"));
    heads.iter().for_each(|head| anstream::println!("  head {head}"));
    anstream::println!("  keep the head elsewhere: `honeycrate ledger verify --head` then shows whether records were cut off the end");
}
