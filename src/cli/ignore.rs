//! `honeycrate ignore`: writes an exception into `.honeycrateignore`.

use std::io::ErrorKind;

use serde::Serialize;

use crate::cli::args::{Global, Ignore};
use crate::cli::diagnose::Failure;
use crate::cli::exit::Exit;
use crate::cli::setup::Setup;
use crate::cli::whole_file;
use crate::config::reader::parse_exceptions;
use crate::config::resolve::EXCEPTIONS_FILE;
use crate::pipeline::clock;
use crate::policy::exception::{Exception, MAX_DAYS, parse_day};
use crate::secret::fingerprint::Fingerprint;

const HEADING: &str = "# Findings that may pass for a while: see `honeycrate ignore --help`.\n";

/// An exception as it is written.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    reason: &'a str,
    owner: &'a str,
    expires: String,
}

/// Adds one exception to the end of the file. What stands there stays as it is.
///
/// # Errors
/// When the exception would not count, is there already, or the file cannot be written.
pub fn ignore(arguments: &Ignore, global: &Global) -> Result<Exit, Failure> {
    let setup = Setup::new(global)?;
    let exception = exception(arguments, setup.user())?;
    let path = &setup.settings.exceptions_file;
    if let Some(there) = setup.settings.exceptions.iter().find(|there| there.is_same_as(&exception)) {
        return Err(Failure::usage(format!("there is an {there} already"), "change its reason or its date there"));
    }
    let failed = |cause: std::io::Error| Failure::usage(format!("cannot write {}: {cause}", path.display()), "check that its folder may be written");
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == ErrorKind::NotFound => HEADING.to_owned(),
        Err(cause) => return Err(failed(cause)),
    };
    let (owner, expires) = (exception.owner.as_deref().unwrap_or_default(), exception.expires.map(|date| date.to_string()).unwrap_or_default());
    let fingerprint = exception.fingerprint.as_ref().map(Fingerprint::as_str);
    let (rule, place, reason) = (exception.rule.as_deref(), exception.path.as_deref(), exception.reason.as_str());
    let entry = [Entry { fingerprint, rule, path: place, reason, owner, expires }];
    let entry = serde_yaml::to_string(&entry).map_err(|error| Failure::bug(error.to_string()))?;
    let text = format!("{}{}{entry}", before, if before.ends_with('\n') || before.is_empty() { "" } else { "\n" });
    // The file may be written in a style that cannot be added to.
    let known = parse_exceptions(&before, EXCEPTIONS_FILE).map_or(0, |known| known.len());
    if parse_exceptions(&text, EXCEPTIONS_FILE).map_or(true, |all| all.len() != known + 1) {
        return Err(Failure::usage(
            format!("{} is not written as a list with one entry under another", path.display()),
            format!("add it by hand:\n{entry}"),
        ));
    }
    whole_file::replace(path, &text).map_err(failed)?;
    anstream::println!("wrote the {exception} to {}", path.display());
    Ok(Exit::Passed)
}

/// The exception that is asked for, if it would count today.
fn exception(arguments: &Ignore, user: Option<String>) -> Result<Exception, Failure> {
    let fingerprint = arguments.fingerprint.as_deref().map(str::parse::<Fingerprint>).transpose();
    let fingerprint = fingerprint.map_err(|why| Failure::usage(why, "take it from a report: it is the `id` of a finding"))?;
    let until = parse_day(&arguments.until)
        .ok_or_else(|| Failure::usage(format!("--until: `{}` is not a date", arguments.until), "write year-month-day, such as 2027-01-31"))?;
    let owner = arguments.owner.clone().or(user);
    if owner.is_none() {
        return Err(Failure::usage("nobody answers for the exception: USER is not set", "add --owner NAME"));
    }
    let exception = Exception {
        rule: arguments.rule.clone(),
        fingerprint,
        path: arguments.path.clone(),
        reason: arguments.reason.clone(),
        owner,
        expires: Some(until),
        ..Exception::default()
    };
    let today = clock::now().date();
    if exception.has_expired(today) {
        return Err(Failure::usage(format!("--until: {until} is past"), format!("choose a day within {MAX_DAYS} days from today")));
    }
    match exception.problems(today).first() {
        Some(problem) => Err(Failure::usage(format!("the exception would not count: {problem}"), problem.hint())),
        None => Ok(exception),
    }
}
