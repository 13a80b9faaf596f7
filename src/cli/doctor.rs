//! `honeycrate doctor`: whether what a later run needs is there, without doing any of it.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style};

use crate::cli::args::{Doctor, Global};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::providers;
use crate::cli::setup::Setup;
use crate::pipeline::error::PipelineError;
use crate::provider::contract::Checked;
use crate::provider::{self, PROVIDERS};
use crate::report::escape::{line, prose};

/// Runs one of the examinations.
///
/// # Errors
/// When a provider cannot be used, or a right is missing that is needed.
pub async fn doctor(command: &Doctor, global: &Global) -> Result<Exit, Failure> {
    let Doctor::Provider { id } = command;
    let setup = Setup::new(global)?;
    let ids = match id {
        Some(id) => vec![id.as_str()],
        None => configured(&setup),
    };
    let mut failed = Vec::new();
    for id in ids {
        if let Err(error) = examine(&setup, id).await {
            failed.push(error);
        }
    }
    failed.into_iter().next().map_or(Ok(Exit::Passed), Err)
}

/// The providers that the configuration names, in the order of the table.
fn configured(setup: &Setup) -> Vec<&'static str> {
    let choice = &setup.settings.providers;
    let by_surface = setup.settings.environments.values().flat_map(|environment| environment.providers.values());
    let named: BTreeSet<&str> = by_surface.chain(choice.settings.keys()).chain(&choice.fallback).map(String::as_str).collect();
    PROVIDERS.iter().map(|row| row.id).filter(|id| named.contains(id) || *id == choice.default_id()).collect()
}

async fn examine(setup: &Setup, id: &str) -> Result<(), Failure> {
    let made = providers::provider(setup, id)?;
    let row = provider::find(id);
    anstream::println!("{BOLD}{id}{BOLD:#}  {}", row.map(|row| row.describe).unwrap_or_default());
    let checked = match made.ready() {
        Ok(()) => made.check().await,
        Err(error) => Err(error),
    };
    let mut checked = checked.map_err(|error| Failure::from(PipelineError::from(error)))?;
    if checked.is_empty() {
        checked.push(Checked { what: "ready".to_owned(), passed: Some(true), detail: "nobody has to be asked".to_owned() });
    }
    let wide = checked.iter().map(|row| line(&row.what).chars().count()).max().unwrap_or_default();
    for Checked { what, passed, detail } in &checked {
        let (mark, colour) = match passed {
            Some(true) => ("ok", AnsiColor::Green),
            Some(false) => ("NO", AnsiColor::Red),
            None => ("-", AnsiColor::White),
        };
        let style = Style::new().fg_color(Some(colour.into()));
        anstream::println!("  {style}{mark:<2}{style:#}  {:<wide$}  {}", line(what), prose(detail));
    }
    match checked.iter().find(|row| row.passed == Some(false)) {
        Some(row) => Err(Failure::new(Exit::Provider, format!("provider `{id}`: {} is not as it has to be", line(&row.what)), prose(&row.detail))),
        None => Ok(()),
    }
}

const BOLD: Style = Style::new().bold();
