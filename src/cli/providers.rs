//! From settings to providers: who mints for which surface of this run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::diagnose::Failure;
use crate::cli::setup::{Setup, vendors};
use crate::config::resolve::EnvironmentPlan;
use crate::pipeline::clock;
use crate::pipeline::error::PipelineError;
use crate::pipeline::minting::Mints;
use crate::provider;
use crate::provider::contract::{Provider, Wiring};

/// The provider with this id, as the settings describe it.
///
/// # Errors
/// When there is no such provider, or a setting that it needs is missing.
pub fn provider(setup: &Setup, id: &str) -> Result<Arc<dyn Provider>, Failure> {
    let unknown = || {
        let known: Vec<&str> = provider::PROVIDERS.iter().map(|row| row.id).collect();
        Failure::usage(format!("there is no provider `{id}`"), format!("these are: {}", known.join(", ")))
    };
    let row = provider::find(id).ok_or_else(unknown)?;
    let secrets = row.secrets.iter().filter_map(|(name, _)| Some(((*name).to_owned(), setup.secret(name)?)));
    let wiring = Wiring {
        settings: setup.settings.providers.settings.get(id).cloned().unwrap_or_default(),
        secrets: secrets.collect(),
        ring: setup.keys()?,
        decoy: setup.decoy()?,
        // The decoy may have a certificate of the owner's own authority; vendors have the world's.
        http: if id == provider::embedded::ROW.id { setup.http()? } else { vendors()? },
        clock: clock::now,
    };
    (row.make)(&wiring).map_err(|error| Failure::from(PipelineError::from(error)))
}

/// Who mints for the surfaces of this environment.
///
/// # Errors
/// As for [`provider`].
pub fn mints(setup: &Setup, plan: &EnvironmentPlan) -> Result<Mints, Failure> {
    let choice = &setup.settings.providers;
    let mut made: BTreeMap<&str, Arc<dyn Provider>> = BTreeMap::new();
    let mut get = |id| -> Result<Arc<dyn Provider>, Failure> {
        match made.get(id) {
            Some(provider) => Ok(Arc::clone(provider)),
            None => {
                let provider = provider(setup, id)?;
                made.insert(id, Arc::clone(&provider));
                Ok(provider)
            }
        }
    };
    let mut by_surface = BTreeMap::new();
    for surface in &plan.surfaces {
        by_surface.insert(*surface, get(plan.providers.get(surface).map_or(choice.default_id(), String::as_str))?);
    }
    let fallback = choice.fallback.as_deref().map(get).transpose()?;
    Ok(Mints::new(by_surface, fallback))
}
