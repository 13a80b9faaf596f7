//! What a report format is.

use std::io::{self, Write};

use crate::report::run_report::RunReport;

/// A way to write a run report.
pub trait Format: Sync {
    /// Its name in flags.
    fn id(&self) -> &'static str;

    /// Other names that it goes by.
    fn other_ids(&self) -> &'static [&'static str] {
        &[]
    }

    /// One line for help.
    fn describe(&self) -> &'static str;

    /// How file names end that ask for it without its name; the first format of the table that fits is taken.
    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Writes the report as it is: what may not be published was taken out before, see [`crate::report::disclosure`].
    ///
    /// # Errors
    /// When `out` cannot be written to.
    fn write(&self, report: &RunReport, out: &mut dyn Write, style: Style) -> io::Result<()>;
}

/// How text for people looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub colour: bool,
    /// Columns of the terminal; lines are not broken without it.
    pub width: Option<usize>,
}
