//! `honeycrate token`: what the ledger knows of honeytokens.

use std::io::Read as _;

use anstyle::{AnsiColor, Style};
use zeroize::Zeroizing;

use crate::bait::own;
use crate::cli::args::{Global, Token};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::ledger::record::Context;
use crate::ledger::tokens::{TokenSummary, tokens};
use crate::ledger::trace::{Trace, find, trace};
use crate::report::escape::line as for_terminal;
use crate::secret::fingerprint::Fingerprint;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Runs one of the token commands.
///
/// # Errors
/// When the ledger cannot be read, or knows nothing of what was asked.
pub fn token(command: &Token, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    let store = setup.ledger_to_read()?;
    match command {
        Token::List { json } => list(&tokens(&store)?, *json),
        Token::Show { fingerprint } => {
            let fingerprint: Fingerprint =
                fingerprint.parse().map_err(|why: &str| Failure::usage(format!("`{fingerprint}`: {why}"), "see `honeycrate token list`"))?;
            print(&trace(&store, &fingerprint)?.ok_or_else(|| unknown(&setup))?);
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
            let found = match own::find(&ring, &text) {
                Some(opened) => trace(&store, &opened.fingerprint)?,
                None => find(&store, &ring, text.trim())?,
            };
            print(&found.ok_or_else(|| unknown(&setup))?);
        }
    }
    Ok(Exit::Passed)
}

fn unknown(setup: &Setup) -> Failure {
    let ledger = setup.settings.ledger().map_or_else(|_| String::new(), |path| format!(" {}", path.display()));
    Failure::usage(format!("the ledger{ledger} knows no such token"), "see `honeycrate token list`; another ledger is given with --ledger")
}

fn list(tokens: &[TokenSummary], json: bool) {
    if json {
        for token in tokens {
            anstream::println!("{}", serde_json::to_string(token).unwrap_or_default());
        }
        return;
    }
    if tokens.is_empty() {
        anstream::println!("no honeytokens yet: `honeycrate ship` plants the first");
        return;
    }
    anstream::println!("{DIM}{:<16}  {:<9}  {:<8}  {:<15}  {:<12}  service{DIM:#}", "fingerprint", "state", "surface", "kind", "environment");
    for token in tokens {
        let fingerprint = token.fingerprint.as_ref().map_or("-", |fingerprint| fingerprint.as_str());
        let claims = &token.claims;
        let state = if token.triggers > 0 { Style::new().bold().fg_color(Some(AnsiColor::Red.into())) } else { Style::new() };
        anstream::println!(
            "{fingerprint:<16}  {state}{:<9}{state:#}  {:<8}  {:<15}  {:<12}  {}",
            token.state,
            claims.surface,
            claims.kind,
            for_terminal(&claims.environment),
            for_terminal(&claims.service)
        );
    }
}

fn print(trace: &Trace) {
    let claims = &trace.claims;
    let row = |name: &str, value: &str| anstream::println!("{DIM}{name:>12}{DIM:#}  {}", for_terminal(value));
    anstream::println!("{BOLD}{} token on the {} surface{BOLD:#}", claims.kind, claims.surface);
    row("fingerprint", trace.fingerprint.as_str());
    row("service", &claims.service);
    row("environment", &claims.environment);
    row("epoch", &claims.epoch.to_string());
    row("means", claims.surface.meaning());
    if let Some(minted) = &trace.minted {
        row("minted", &format!("{} by {}, leads to {}", minted.time, minted.provider, minted.host));
    }
    for planting in &trace.placements {
        row("placed", &format!("{} in {} ({})", planting.placement.location, planting.placement.platform, planting.manifest));
    }
    for push in &trace.pushes {
        row("image", &format!("{}@{}", push.reference, push.digest));
        row("pushed", &format!("{}{}", push.time, context(&push.context)));
        for (platform, digest) in &push.platforms {
            row(platform, digest.as_str());
        }
    }
    for trigger in &trace.triggers {
        let agent = trigger.user_agent.as_deref().unwrap_or("no user agent");
        row("TRIGGERED", &format!("{} from {} ({agent}), {}", trigger.time, trigger.address, trigger.request));
    }
    if trace.triggers.is_empty() {
        row("triggered", "never");
    }
}

fn context(context: &Context) -> String {
    let parts = [("commit", &context.commit), ("of", &context.repository), ("job", &context.job)];
    parts.into_iter().filter_map(|(word, part)| part.as_ref().map(|part| format!(", {word} {part}"))).collect()
}
