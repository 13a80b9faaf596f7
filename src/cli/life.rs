//! `honeycrate token rotate|retire|revoke|drill`: what an owner does with tokens after they were planted.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::bait::honeytoken::Honeytoken;
use crate::cli::args::{Change, Chosen, Drill};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::providers::provider;
use crate::cli::setup::Setup;
use crate::ledger::editions;
use crate::ledger::mention::Mention;
use crate::ledger::record::Event;
use crate::ledger::stores;
use crate::ledger::stores::contract::Store;
use crate::ledger::tokens::{End, TokenSummary, tokens};
use crate::pipeline::clock;
use crate::pipeline::drill::{Drilled, drill};
use crate::pipeline::error::PipelineError;
use crate::pipeline::memory::{opened, run_id};
use crate::report::escape::line;
use crate::report::words::count;
use crate::secret::fingerprint::Fingerprint;

const GOOD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));

/// The next image of each token's place gets another edition; the tokens themselves stay armed.
///
/// # Errors
/// When nothing was chosen, a token is unknown, or the ledger does not take the record.
pub fn rotate(setup: &Setup, change: &Change) -> Result<Exit, Failure> {
    let (mut store, tokens) = choose(setup, &change.chosen)?;
    for (summary, fingerprint) in &tokens {
        if let Some(edition) = &summary.followed_by {
            anstream::println!("{fingerprint} was rotated before: edition {} takes its place", line(edition));
            continue;
        }
        let edition = editions::next(&summary.claims.edition);
        let (claims, reason) = (summary.claims.clone(), change.reason.clone());
        append(&mut *store, Event::Rotated { claims, fingerprint: fingerprint.clone(), edition: edition.clone(), reason })?;
        anstream::println!("{fingerprint} is followed by edition {}: {}", line(&edition), place(summary));
    }
    anstream::println!("\nthe old {} armed: a trigger tells that somebody read an image from before now", stay(tokens.len()));
    anstream::println!("next: ship the images again; the new tokens are planted then");
    Ok(Exit::Passed)
}

/// No image shall carry the tokens any more. They stay armed.
///
/// # Errors
/// As for [`rotate`].
pub fn retire(setup: &Setup, change: &Change) -> Result<Exit, Failure> {
    let (mut store, tokens) = choose(setup, &change.chosen)?;
    for (summary, fingerprint) in &tokens {
        let (claims, reason) = (summary.claims.clone(), change.reason.clone());
        append(&mut *store, Event::Retired { claims, fingerprint: fingerprint.clone(), reason })?;
        anstream::println!("{fingerprint} is retired: {}", place(summary));
    }
    anstream::println!("\n{} armed, because copies of an image outlive it; `honeycrate token revoke` disarms", stay(tokens.len()));
    Ok(Exit::Passed)
}

/// The tokens' providers answer for them no longer.
///
/// # Errors
/// As for [`rotate`], and when a provider refuses; what was revoked before that is in the ledger.
pub async fn revoke(setup: &Setup, change: &Change) -> Result<Exit, Failure> {
    let (mut store, tokens) = choose(setup, &change.chosen)?;
    for (summary, fingerprint) in &tokens {
        if summary.end == Some(End::Revoked) {
            anstream::println!("{fingerprint} was revoked before");
            continue;
        }
        let id = summary.provider.clone().unwrap_or_default();
        let token = sealed(setup, &*store, fingerprint)?;
        provider(setup, &id)?.revoke(&token).await.map_err(PipelineError::from)?;
        let (claims, reason) = (summary.claims.clone(), change.reason.clone());
        append(&mut *store, Event::Revoked { claims, fingerprint: fingerprint.clone(), provider: id, reason })?;
        anstream::println!("{fingerprint} is revoked: {}", place(summary));
    }
    anstream::println!("\nan image that still carries one of them has dead bait: ship it again, and another token is planted");
    Ok(Exit::Passed)
}

/// Uses the tokens on purpose, one after the other, and follows each alert to its end.
///
/// # Errors
/// When a token is unknown, cannot be used from here, or its alert did not arrive.
pub async fn drill_each(setup: &Setup, arguments: &Drill) -> Result<Exit, Failure> {
    let (store, tokens) = choose(setup, &arguments.chosen)?;
    let ledger = setup.ledger()?;
    let patience = Duration::from_secs(arguments.timeout);
    let mut failed = 0;
    for (summary, fingerprint) in &tokens {
        let token = sealed(setup, &*store, fingerprint)?;
        let provider = provider(setup, summary.provider.as_deref().unwrap_or_default())?;
        match drill(&ledger, &*provider, &token, &arguments.from, patience).await {
            Ok(Drilled { progress, took }) => {
                let end = progress.end.unwrap_or_else(|| crate::ledger::drills::End { passed: false, milliseconds: 0, detail: String::new() });
                let seen = progress.seen.map(|(_, face)| format!("seen by {}, ", line(&face))).unwrap_or_default();
                let (style, word) = if end.passed { (GOOD, "passed") } else { (BAD, "failed") };
                failed += usize::from(!end.passed);
                anstream::println!("{fingerprint} {style}{word}{style:#} after {} ms: {seen}{}", took.as_millis(), line(&end.detail));
            }
            Err(PipelineError::Provider(error)) => {
                failed += 1;
                anstream::println!("{fingerprint} {BAD}failed{BAD:#}: {}", line(&error.to_string()));
                if let Some(hint) = error.hint() {
                    anstream::println!("  {}", line(&hint));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    if failed == 0 {
        return Ok(Exit::Passed);
    }
    let hint = "does `honeycrate decoy`, or the watch over the provider, run with this ledger and with its sinks?";
    Err(Failure::new(Exit::Provider, format!("{} of {} failed: a thief would not have been noticed", failed, count(tokens.len(), "drill")), hint))
}

/// A token that has a fingerprint.
type Named = (TokenSummary, Fingerprint);

/// The tokens that somebody chose, with the ledger that has them.
fn choose(setup: &Setup, chosen: &Chosen) -> Result<(Box<dyn Store>, Vec<Named>), Failure> {
    let ledger = setup.ledger()?;
    // Opening to write makes a ledger where there is none.
    drop(stores::open_to_read(&ledger)?);
    let store = stores::open(&ledger)?;
    let known = tokens(&*store)?;
    let mut found = Vec::new();
    for text in &chosen.fingerprints {
        let fingerprint: Fingerprint = text.parse().map_err(|why: &str| Failure::usage(format!("`{text}`: {why}"), "see `honeycrate token list`"))?;
        let token = known.iter().find(|token| token.fingerprint.as_ref() == Some(&fingerprint));
        let unknown = || Failure::usage(format!("the ledger {ledger} knows no token {fingerprint}"), "see `honeycrate token list`");
        found.push((token.ok_or_else(unknown)?.clone(), fingerprint));
    }
    let is_wanted = |token: &&TokenSummary| {
        let fits = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        fits(&chosen.service, &token.claims.service)
            && fits(&chosen.environment, &token.claims.environment)
            && chosen.surface.is_none_or(|surface| surface == token.claims.surface)
            && token.is_in_use()
    };
    if chosen.fingerprints.is_empty() {
        if chosen.service.is_none() && chosen.environment.is_none() && chosen.surface.is_none() {
            return Err(Failure::usage("no token is named", "give fingerprints, or --service, --env and --surface"));
        }
        found.extend(known.iter().filter(is_wanted).filter_map(|token| Some((token.clone(), token.fingerprint.clone()?))));
        if found.is_empty() {
            return Err(Failure::usage("the ledger has no such token in use", "see `honeycrate token list`"));
        }
    }
    Ok((store, found))
}

/// A token with its values, which only the owner's key opens.
fn sealed(setup: &Setup, store: &dyn Store, fingerprint: &Fingerprint) -> Result<Honeytoken, Failure> {
    let ring = setup.keys()?;
    let records = store.mentioning(&Mention::Token(fingerprint.clone()))?;
    let unsealed = || {
        Failure::usage(
            format!("the value of {fingerprint} cannot be opened: it was sealed under another key, or its minting is not in this ledger"),
            "give the key ring that it was minted with",
        )
    };
    records.into_iter().find_map(|record| opened(record, &ring)).ok_or_else(unsealed)
}

fn append(store: &mut dyn Store, event: Event) -> Result<(), Failure> {
    store.append(&run_id(), &clock::timestamp(), event)?;
    Ok(())
}

fn place(token: &TokenSummary) -> String {
    let claims = &token.claims;
    format!("{} on the {} surface of {} ({})", line(&claims.kind), claims.surface, line(&claims.service), line(&claims.environment))
}

fn stay(tokens: usize) -> String {
    format!("{} {}", count(tokens, "token"), if tokens == 1 { "stays" } else { "stay" })
}
