//! `honeycrate token`: what the ledger knows of honeytokens.

use std::io::Read as _;

use anstyle::{AnsiColor, Style};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::bait::claims::Claims;
use crate::bait::own;
use crate::bait::placement::Placement;
use crate::bait::stealth::{tells, verdict};
use crate::bait::surfaces::Surface;
use crate::cli::args::{Global, List, Only, Token};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::ignore_list::ignore_list;
use crate::cli::life;
use crate::cli::setup::Setup;
use crate::cli::simulate::simulate;
use crate::decoy::observer::Recognised;
use crate::ledger::record::Context;
use crate::ledger::seal;
use crate::ledger::tokens::{End, TokenSummary, tokens};
use crate::ledger::trace::{Change, Trace, find, trace};
use crate::pipeline::clock;
use crate::pipeline::trap::recogniser;
use crate::report::escape::line as for_terminal;
use crate::report::words::count;
use crate::secret::fingerprint::Fingerprint;
use crate::secret::key_ring::KeyRing;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Runs one of the token commands.
///
/// # Errors
/// When the ledger cannot be read, or knows nothing of what was asked.
pub async fn token(command: &Token, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    match command {
        Token::Drill(arguments) => return life::drill_each(&setup, arguments).await,
        Token::Rotate(chosen) => return life::rotate(&setup, chosen),
        Token::Retire(chosen) => return life::retire(&setup, chosen),
        Token::Revoke(chosen) => return life::revoke(&setup, chosen).await,
        Token::IgnoreList(arguments) => return ignore_list(arguments, global).await,
        Token::Simulate(arguments) => return simulate(arguments, global).await,
        Token::List(arguments) => list(tokens(&*setup.ledger_to_read()?)?, arguments),
        Token::Show { fingerprint } => {
            let fingerprint: Fingerprint =
                fingerprint.parse().map_err(|why: &str| Failure::usage(format!("`{fingerprint}`: {why}"), "see `honeycrate token list`"))?;
            let trace = trace(&*setup.ledger_to_read()?, &fingerprint)?.ok_or_else(|| unknown(&setup))?;
            print(&trace);
            row("recognisable offline", &stealth(&setup, &trace)?);
        }
        Token::Trace { token } => {
            let mut text = Zeroizing::new(token.clone());
            if *token == "-" {
                text.clear();
                let read = std::io::stdin().lock().take(64 << 10).read_to_string(&mut text);
                read.map_err(|cause| Failure::usage(format!("cannot read a token from stdin: {cause}"), "give it as text"))?;
            }
            let ring = setup.keys()?;
            // Whatever was found in whatever text: a token opens itself, so the ledger is asked by fingerprint.
            let opened = own::find(&ring, &text);
            let found = match (&opened, setup.ledger_to_read()) {
                (Some(opened), Ok(store)) => trace(&*store, &opened.fingerprint)?,
                (None, store) => find(&*store?, &ring, text.trim())?,
                // The token speaks for itself where there is no ledger.
                (Some(_), Err(error)) => {
                    error.warn();
                    None
                }
            };
            match (found, opened) {
                (Some(trace), _) => print(&trace),
                (None, Some(_)) => only_the_token(&setup, ring, &text)?,
                (None, None) => {
                    return Err(Failure::usage(
                        "this is no honeytoken of yours: neither the owner's key nor the ledger knows it",
                        "a token that another key sealed is traced with --key-file, one of another ledger with --ledger",
                    ));
                }
            }
        }
    }
    Ok(Exit::Passed)
}

/// The ledger has no record, but the token was sealed under the owner's key and says itself what it is.
fn only_the_token(setup: &Setup, ring: KeyRing, text: &str) -> Result<(), Failure> {
    let environments: Vec<String> = setup.settings.environments.keys().cloned().collect();
    let services: Vec<String> = setup.settings.service.iter().cloned().collect();
    let recognise = recogniser(ring, setup.ledger()?, &services, &environments);
    if let Some(Recognised { claims, fingerprint }) = recognise(text) {
        heading(&claims, &fingerprint);
        row("images", "the ledger has no record of it: it was planted with another one");
    }
    Ok(())
}

/// What a thief can tell of a token without using it.
fn stealth(setup: &Setup, trace: &Trace) -> Result<String, Failure> {
    let Some(ring) = setup.keys_if_any()? else { return Ok("the owner's key is needed to tell".to_owned()) };
    let Trace { claims, fingerprint, .. } = trace;
    let token = trace.minted.as_ref().and_then(|minted| seal::token(&ring, claims.clone(), fingerprint.clone(), minted.host.clone(), &minted.sealed));
    Ok(token.map_or_else(|| "it was sealed under a key that is not here".to_owned(), |token| verdict(&tells(&token))))
}

fn unknown(setup: &Setup) -> Failure {
    let ledger = setup.settings.ledger().map_or_else(|_| String::new(), |place| format!(" {place}"));
    Failure::usage(format!("the ledger{ledger} knows no such token"), "see `honeycrate token list`; another ledger is given with --ledger")
}

fn list(all: Vec<TokenSummary>, List { json, only, days }: &List) {
    let since = clock::now() - Duration::days((*days).into());
    let known = all.len();
    let tokens: Vec<TokenSummary> = all.into_iter().filter(|token| only.is_none_or(|only| is_one(token, only, since))).collect();
    if *json {
        for token in &tokens {
            anstream::println!("{}", serde_json::to_string(token).unwrap_or_default());
        }
        return;
    }
    if known == 0 {
        anstream::println!("no honeytokens yet: `honeycrate ship` plants the first");
        return;
    }
    if tokens.is_empty() {
        anstream::println!("none of {}", count(known, "honeytoken"));
        return;
    }
    let wide = |column: fn(&Claims) -> &str, least: usize| tokens.iter().map(|token| column(&token.claims).len()).max().unwrap_or(0).clamp(least, 40);
    let (kinds, environments) = (wide(|claims| &claims.kind, 4), wide(|claims| &claims.environment, 11));
    anstream::println!(
        "{DIM}{:<16}  {:<9}  {:<7}  {:<kinds$}  {:<environments$}  service{DIM:#}",
        "fingerprint",
        "state",
        "surface",
        "kind",
        "environment"
    );
    for token in &tokens {
        let fingerprint = token.fingerprint.as_ref().map_or("-", |fingerprint| fingerprint.as_str());
        let claims = &token.claims;
        let state = if token.triggers > 0 { Style::new().bold().fg_color(Some(AnsiColor::Red.into())) } else { Style::new() };
        anstream::println!(
            "{fingerprint:<16}  {state}{:<9}{state:#}  {:<7}  {:<kinds$}  {:<environments$}  {}",
            state_of(token),
            claims.surface,
            claims.kind,
            for_terminal(&claims.environment),
            for_terminal(&claims.service)
        );
    }
    let used = tokens.iter().filter(|token| token.triggers > 0).count();
    anstream::println!("\n{}, {used} of them used; `honeycrate token show FINGERPRINT` tells where one lies", count(tokens.len(), "honeytoken"));
    if only.is_none() {
        for which in [Only::Orphans, Only::Ghosts, Only::Undrilled] {
            let number = tokens.iter().filter(|token| is_one(token, which, since)).count();
            if number > 0 {
                anstream::println!("{}", needs(which, number, *days));
            }
        }
    }
}

fn is_one(token: &TokenSummary, which: Only, since: OffsetDateTime) -> bool {
    match which {
        Only::Orphans => token.is_orphan(),
        Only::Ghosts => token.is_ghost(),
        Only::Undrilled => token.is_undrilled(since),
    }
}

/// What a number of such tokens needs.
#[must_use]
pub fn needs(which: Only, number: usize, days: u16) -> String {
    match which {
        Only::Orphans => format!("{} in no image that arrived: `honeycrate token list --only orphans`", count(number, "token")),
        Only::Ghosts => format!("{} revoked, and still in images: `honeycrate token list --only ghosts`", count(number, "token")),
        Only::Undrilled => {
            format!("no drill for {}: {}, `honeycrate token list --only undrilled`", count(days.into(), "day"), count(number, "token"))
        }
    }
}

/// How far it has come, or how it was laid aside.
fn state_of(token: &TokenSummary) -> String {
    match (token.triggers, token.end, &token.followed_by) {
        (0, Some(End::Revoked), _) => "revoked".to_owned(),
        (0, Some(End::Retired), _) => "retired".to_owned(),
        (0, None, Some(_)) => "rotated".to_owned(),
        _ => token.state.to_string(),
    }
}

fn print(trace: &Trace) {
    heading(&trace.claims, &trace.fingerprint);
    if let Some(minted) = &trace.minted {
        row("minted", &format!("{} by {}, leads to {}", minted.time, minted.provider, minted.host));
    }
    for planting in &trace.placements {
        let Placement { location, platform, .. } = &planting.placement;
        let place = match (trace.claims.surface, location.split_once(' ')) {
            (Surface::History, Some((step, name))) => format!("{name}, in step {step} of the history"),
            _ => location.clone(),
        };
        row("placed", &format!("{place}; {platform}, {}", planting.manifest.short()));
    }
    for push in &trace.pushes {
        row("pushed", &format!("{}{}", push.time, context(&push.context)));
        row("as", &push.reference);
        row("digest", push.digest.as_str());
        for (platform, digest) in push.platforms.iter().filter(|(_, digest)| **digest != push.digest) {
            row(platform, digest.as_str());
        }
    }
    for trigger in trace.triggers.iter().filter(|trigger| trigger.drill.is_none()) {
        let agent = trigger.user_agent.as_deref().unwrap_or("no user agent");
        row("TRIGGERED", &format!("{} from {} ({agent}), {}", trigger.time, trigger.address, trigger.request));
    }
    if trace.triggers.iter().all(|trigger| trigger.drill.is_some()) {
        row("triggered", "never");
    }
    for (time, change) in &trace.life {
        match change {
            Change::Rotated { edition } => row("ROTATED", &format!("{time}; edition {edition} takes its place, this one stays armed")),
            Change::Retired { reason } => row("RETIRED", &format!("{time}, {reason}; it stays armed")),
            Change::Revoked { reason } => row("REVOKED", &format!("{time}, {reason}")),
            Change::Drilled { passed, milliseconds, detail } => {
                row("DRILL", &format!("{time} {} after {milliseconds} ms: {detail}", if *passed { "passed" } else { "failed" }));
            }
        }
    }
}

fn heading(claims: &Claims, fingerprint: &Fingerprint) {
    anstream::println!("{BOLD}{} token on the {} surface{BOLD:#}", claims.kind, claims.surface);
    row("fingerprint", fingerprint.as_str());
    row("service", &claims.service);
    row("environment", &claims.environment);
    row("epoch", &claims.epoch.to_string());
    if !claims.edition.is_empty() {
        row("edition", &claims.edition);
    }
    row("its use", claims.surface.meaning());
}

fn row(name: &str, value: &str) {
    anstream::println!("{DIM}{name:>12}{DIM:#}  {}", for_terminal(value));
}

fn context(context: &Context) -> String {
    let parts = [("commit", &context.commit), ("of", &context.repository), ("job", &context.job)];
    parts.into_iter().filter_map(|(word, part)| part.as_ref().map(|part| format!(", {word} {part}"))).collect()
}
