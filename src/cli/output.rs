//! Run reports on their way out: printed, and written to the files that were asked for.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::cli::args::Judging;
use crate::cli::diagnose::Failure;
use crate::cli::terminal;
use crate::cli::whole_file::folder_of;
use crate::report::disclosure::Disclosure;
use crate::report::error::ReportError;
use crate::report::formats::contract::{Format, Style};
use crate::report::formats::gitlab::GitLab;
use crate::report::formats::json::Json;
use crate::report::formats::terminal::Terminal;
use crate::report::render::{find as find_format, for_file, render};
use crate::report::run_report::RunReport;

/// Whether reports can be printed and written as they are asked for.
///
/// # Errors
/// When there is no such format, or a file cannot be written.
pub fn check(judging: &Judging) -> Result<(), Failure> {
    find_format(&judging.format).map_err(unusable)?;
    for (_, path) in reports(judging)? {
        if !is_device(path) {
            tempfile::NamedTempFile::new_in(folder_of(path)).map_err(|cause| unwritable_report(path, &cause))?;
        }
    }
    Ok(())
}

/// Writes the reports that were asked for.
///
/// # Errors
/// As for [`check`].
pub fn write(report: &RunReport, judging: &Judging, disclosure: Disclosure) -> Result<(), Failure> {
    for (format, path) in reports(judging)? {
        // The JSON report is the owner's own record; the other formats are made to be handed on.
        let disclosure = if format.id() == Json.id() { Disclosure::Everything } else { disclosure };
        write_report(&report.disclosed(disclosure), format, path)?;
    }
    Ok(())
}

/// Renders a report to stdout.
///
/// # Errors
/// When there is no such format.
pub fn print(report: &RunReport, format: &str, disclosure: Disclosure) -> Result<(), Failure> {
    find_format(format).map_err(unusable)?;
    // Sections are marked by what elsewhere is a colour, and a job has no terminal.
    let stdout: Box<dyn Write> = if is_of_gitlab(format) { Box::new(std::io::stdout()) } else { Box::new(anstream::stdout()) };
    let mut out = BufWriter::new(stdout);
    // A reader that has seen enough is no failure.
    let _ = render(report, format, disclosure, terminal::style(), &mut out).is_ok_and(|()| out.flush().is_ok());
    Ok(())
}

/// Whether a format is text that people read as it is printed, so that more of it may stand beside.
#[must_use]
pub fn is_for_people(format: &str) -> bool {
    format == Terminal.id() || is_of_gitlab(format)
}

fn is_of_gitlab(format: &str) -> bool {
    format == GitLab.id()
}

/// The reports that were asked for.
fn reports(judging: &Judging) -> Result<Vec<(&'static dyn Format, &Path)>, Failure> {
    judging
        .report
        .iter()
        .map(|text| {
            let (format, file) = for_file(text).map_err(unusable)?;
            Ok((format, Path::new(file)))
        })
        .collect()
}

fn unusable(error: ReportError) -> Failure {
    Failure::usage(error.to_string(), error.hint().unwrap_or_default())
}

/// Written beside and renamed: a reader meets a whole report or none.
fn write_report(report: &RunReport, format: &dyn Format, path: &Path) -> Result<(), Failure> {
    let failed = |cause: std::io::Error| unwritable_report(path, &cause);
    let write = |to: &mut dyn Write| {
        let mut out = BufWriter::new(to);
        format.write(report, &mut out, Style::default())?;
        out.flush()
    };
    if is_device(path) {
        return OpenOptions::new().write(true).open(path).and_then(|mut device| write(&mut device)).map_err(failed);
    }
    let mut file = tempfile::NamedTempFile::new_in(folder_of(path)).map_err(failed)?;
    write(&mut file).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Whether a path is a device or a pipe, which is written to: renaming would put a file in its place.
fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// The folder is named and not the temporary file in it, which would only confuse.
fn unwritable_report(path: &Path, cause: &std::io::Error) -> Failure {
    let folder = folder_of(path);
    let why = if folder.is_dir() { cause.kind().to_string() } else { format!("there is no folder {}", folder.display()) };
    Failure::usage(format!("cannot write the report {}: {why}", path.display()), "choose another place with --report")
}
