//! `honeycrate baseline`: the findings that are known, written down and compared.

use std::path::Path;

use crate::cli::args::{Baseline as Command, Found, Global, Judging};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::read_baseline;
use crate::cli::ship::{look, setup};
use crate::cli::show::read_report;
use crate::cli::target::target;
use crate::cli::whole_file;
use crate::policy::baseline::Baseline;
use crate::policy::gate::{FailOn, Policy};
use crate::report::escape::line;
use crate::report::run_report::{ReportedFinding, RunReport};
use crate::report::words::{count, place, table};
use crate::secret::fingerprint::FingerprintKind;

/// Runs one of the baseline commands.
///
/// # Errors
/// When there is nothing to take findings from, or a file cannot be read or written.
pub async fn baseline(command: &Command, global: &Global) -> Result<Exit, Failure> {
    match command {
        Command::Write { found, out, unkeyed } => {
            let (report, _) = findings(found, *unkeyed, global).await?;
            write(&report, out.as_deref())
        }
        Command::Compare { found, baseline } => {
            let known = read_baseline(baseline)?;
            let (report, fail_on) = findings(found, false, global).await?;
            compare(&report, &known, fail_on, found.from.is_some())
        }
    }
}

/// A scan's report, or one from a file, and from which severity on findings deny. A baseline that is configured does not count here.
async fn findings(found: &Found, unkeyed: bool, global: &Global) -> Result<(RunReport, FailOn), Failure> {
    let judging = Judging { fail_on: found.fail_on.clone(), rules: found.rules.clone(), ..Judging::default() };
    let mut setup = setup(global, None, &judging, &found.registries)?;
    setup.settings.baseline = None;
    let fail_on = setup.settings.fail_on;
    if let Some(path) = &found.from {
        let report = read_report(path)?;
        if report.error.is_some() {
            return Err(Failure::usage(format!("the run of {} did not come to its end", path.display()), "take a report with a verdict"));
        }
        return Ok((report, fail_on));
    }
    let target = target(found.target.as_deref().unwrap_or_default(), &setup.settings.scratch)?;
    let (mut session, _scratch) = setup.session(&found.registries)?;
    if unkeyed {
        session.fingerprint_key = None;
    }
    let arrival = look(&session, target, false).await;
    if arrival.error.is_some() {
        return Err(Failure::of_report(&arrival.report, setup.disclosure()));
    }
    Ok((arrival.report, fail_on))
}

fn write(report: &RunReport, out: Option<&Path>) -> Result<Exit, Failure> {
    warn_of_blind_spots(report);
    let before = out.filter(|path| path.exists()).map(read_baseline).transpose()?;
    let known = Baseline::of(report.standing().map(|found| &found.finding), report.fingerprints, before.as_ref());
    let text = known.to_text().map_err(|error| Failure::bug(error.to_string()))?;
    let Some(path) = out else {
        anstream::print!("{text}");
        return Ok(Exit::Passed);
    };
    let failed = |cause| Failure::usage(format!("cannot write {}: {cause}", path.display()), "choose another place with --out");
    whole_file::replace(path, &text).map_err(failed)?;
    anstream::println!("wrote {} to {}", count(known.findings().len(), "known finding"), path.display());
    anstream::println!("next: say in it why each may stay, then scan or ship with --baseline {}", path.display());
    Ok(Exit::Passed)
}

fn compare(report: &RunReport, known: &Baseline, fail_on: FailOn, is_from_file: bool) -> Result<Exit, Failure> {
    // A scan has both kinds at hand where there is a key; a report has what it says.
    let is_comparable = report.fingerprints == known.kind() || (report.fingerprints == FingerprintKind::Keyed && !is_from_file);
    if !is_comparable && !known.findings().is_empty() {
        return Err(Failure::usage(
            format!("the fingerprints in {} are {} and the findings' are {}: none can match", known.source, known.kind(), report.fingerprints),
            "compare with the owner's key at hand, or write the baseline anew",
        ));
    }
    let found: Vec<&ReportedFinding> = report.standing().collect();
    let comparison = known.compare(found.iter().map(|found| &found.finding));
    let new: Vec<&ReportedFinding> = comparison.new.iter().map(|at| found[*at]).collect();
    let row = |word: &str, severity: String, rule: &str, place: String, fingerprint: &str| {
        [word.to_owned(), severity, line(rule), line(&place), fingerprint.to_owned()]
    };
    let rows = new.iter().map(|found| {
        let finding = &found.finding;
        row("new", finding.severity.to_string(), &finding.rule, place(finding), finding.fingerprint.as_str())
    });
    let gone = comparison
        .gone
        .iter()
        .map(|known| row("gone", known.severity.to_string(), &known.rule, known.path.clone().unwrap_or_default(), known.fingerprint.as_str()));
    let (gone_number, still_there) = (comparison.gone.len(), comparison.still_there.len());
    anstream::println!("{} new, {gone_number} gone, {still_there} still there{}", new.len(), table(rows.chain(gone)));
    warn_of_blind_spots(report);
    let policy = Policy { fail_on, ..Policy::default() };
    let denies = new.iter().any(|found| policy.would_deny(found.finding.severity, found.finding.confidence));
    let is_blind = !report.coverage.not_scanned.is_empty() && fail_on != FailOn::None;
    Ok(if denies || is_blind { Exit::Denied } else { Exit::Passed })
}

/// What was not looked at is neither known nor gone.
fn warn_of_blind_spots(report: &RunReport) {
    for blind in &report.coverage.not_scanned {
        anstream::eprintln!("warning: not scanned: {} ({})", line(&blind.what), line(&blind.why));
    }
}
