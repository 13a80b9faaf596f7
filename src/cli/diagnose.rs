//! Errors as people read them: what failed and why, then what to do, and an exit code.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::cli::exit::Exit;
use crate::config::error::ConfigError;
use crate::ledger::error::LedgerError;
use crate::pipeline::error::PipelineError;
use crate::report::disclosure::Disclosure;
use crate::report::escape::prose;
use crate::report::run_report::RunReport;

/// The end of a command that could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// One line, or one for each problem of a configuration.
    what: String,
    hint: Option<String>,
}

impl Failure {
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: Some(hint.into()).filter(|hint| !hint.is_empty()) }
    }

    /// The command line asks for something that makes no sense.
    #[must_use]
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, hint)
    }

    /// The error that a report ends with, as far as it may be told here.
    #[must_use]
    pub fn of_report(report: &RunReport, disclosure: Disclosure) -> Self {
        match report.disclosed(disclosure).error {
            Some(error) => Self { exit: Exit::of(error.exit_code), what: error.message, hint: error.hint },
            None => Self::bug("the run ended without an error and without a verdict"),
        }
    }

    /// Something that cannot happen did.
    #[must_use]
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Exit::Bug, what, "this is a bug in honeycrate; please report it with the command that you ran")
    }

    /// Prints to stderr. Text that came from an image or a registry cannot steer the terminal.
    pub fn print(&self) {
        let error = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let help = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
        anstream::eprintln!("{error}error{error:#}: {}", harmless(&self.what));
        if let Some(hint) = &self.hint {
            anstream::eprintln!("{help} help{help:#}: {}", harmless(hint));
        }
        anstream::eprintln!("       see `honeycrate explain exit-{}`", self.exit.code());
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        Self { exit: Exit::of(error.exit_code()), what: error.to_string(), hint: error.hint() }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self { exit: Exit::Ledger, what: error.to_string(), hint: error.hint().map(Into::into) }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { exit: Exit::Usage, what: error.to_string(), hint: error.hint() }
    }
}

/// Lines stay lines, one below the other; nothing else in them is obeyed by a terminal.
fn harmless(text: &str) -> String {
    text.lines().map(prose).collect::<Vec<_>>().join("\n       ")
}
