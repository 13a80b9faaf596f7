//! Asks the ledger which image had each secret first, and says what it is to learn of this one.

use std::collections::BTreeMap;

use crate::ledger::error::LedgerError;
use crate::ledger::first_seen::{FirstSeen, first_seen};
use crate::ledger::record::{Event, MAX_SECRETS};
use crate::ledger::stores;
use crate::oci::digest::Digest;
use crate::pipeline::memory::Run;
use crate::pipeline::session::Session;
use crate::report::run_report::{ReportedFinding, RunReport};
use crate::scan::gap::GapKind;
use crate::secret::fingerprint::{Fingerprint, FingerprintSet};

/// What the ledger knows of these findings, in one look. Nothing where there is no ledger, or no key that its fingerprints could be under.
///
/// # Errors
/// When there is a ledger that cannot be read.
pub fn look_up(session: &Session, findings: &[ReportedFinding]) -> Result<BTreeMap<Fingerprint, FirstSeen>, LedgerError> {
    let (Some(ledger), Some(_)) = (&session.ledger, &session.fingerprint_key) else { return Ok(BTreeMap::new()) };
    let secrets: FingerprintSet = secrets(findings).map(|reported| reported.finding.fingerprint.clone()).collect();
    if secrets.is_empty() {
        return Ok(BTreeMap::new());
    }
    match stores::open_to_read(ledger) {
        Ok(store) => first_seen(&*store, &secrets),
        Err(LedgerError::Missing { .. }) => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// The secrets of an image that the ledger does not know yet, or knows only from images that were denied where this one was pushed. `None`
/// where there are none: whatever ships again adds nothing.
#[must_use]
pub fn news(session: &Session, report: &RunReport, image: &Digest, reference: &str, pushed: bool) -> Option<Event> {
    session.fingerprint_key.as_ref()?;
    let is_new = |reported: &&ReportedFinding| reported.first_seen.as_ref().is_none_or(|first| pushed && !first.pushed);
    let mut new = secrets(&report.findings).filter(is_new).map(|reported| reported.finding.fingerprint.clone());
    // Findings come the gravest first.
    let secrets: FingerprintSet = new.by_ref().take(MAX_SECRETS).collect();
    let untold = new.count() as u64;
    (!secrets.is_empty()).then(|| Event::Found {
        image: image.clone(),
        reference: reference.to_owned(),
        environment: report.environment.clone(),
        pushed,
        secrets,
        untold,
        context: report.context.clone(),
    })
}

/// Writes it down where there is a ledger: only planting makes one.
///
/// # Errors
/// When the ledger cannot be written.
pub fn remember(session: &Session, news: Event) -> Result<(), LedgerError> {
    match &session.ledger {
        Some(ledger) if ledger.is_begun() => Run::begin(ledger)?.found(news),
        _ => Ok(()),
    }
}

/// What could not be looked at is a finding and no secret.
fn secrets(findings: &[ReportedFinding]) -> impl Iterator<Item = &ReportedFinding> {
    findings.iter().filter(|reported| GapKind::with_id(&reported.finding.rule).is_none())
}
