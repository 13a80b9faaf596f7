//! Errors as people read them: what failed and why, then what to do, and an exit code.

use std::fmt;
use std::io::Write as _;

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
        match report.disclosed(disclosure).error.clone() {
            Some(error) => Self { exit: Exit::of(error.exit_code), what: error.message, hint: error.hint },
            None => Self::bug("the run ended without an error and without a verdict"),
        }
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Something that cannot happen did.
    #[must_use]
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Exit::Bug, what, "this is a bug in honeycrate; please report it with the command that you ran")
    }

    /// Says it and no more: the command goes on without what failed.
    pub fn warn(&self) {
        anstream::eprintln!("warning: {}", harmless(&self.what));
    }

    /// Prints to stderr. Text that came from an image or a registry cannot steer the terminal.
    pub fn print(&self) {
        let error = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let help = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
        let mut text = format!("{error}error{error:#}: {}\n", harmless(&self.what));
        if let Some(hint) = &self.hint {
            text += &format!("{help} help{help:#}: {}\n", harmless(hint));
        }
        // Where even this cannot be printed, the exit code tells it alone.
        let _ = writeln!(anstream::stderr(), "{text}       see `honeycrate explain exit-{}`", self.exit.code());
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

/// Lines stay lines, one below the other; nothing else in them is obeyed by a terminal, and none begins a command to GitHub's runner.
fn harmless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("::") {
        Some(rest) => format!("\\u{{3a}}:{}", prose(rest)),
        None => prose(line),
    });
    lines.collect::<Vec<_>>().join("\n       ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_quotes_an_image_gives_no_commands() {
        assert_eq!(harmless("no tag `a\n ::error::b\u{1b}[2J`"), "no tag `a\n       \\u{3a}:error::b\\u{1b}[2J`");
    }
}
