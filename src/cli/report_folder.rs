//! The files that a CI step leaves: every report of a run in one folder, and the outputs that later steps read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::cli::diagnose::Failure;
use crate::cli::whole_file;
use crate::config::vars::{self, Variables};
use crate::forge::ci::ForgeKind;
use crate::policy::baseline::Baseline;
use crate::report::disclosure::Disclosure;
use crate::report::formats::contract::Style;
use crate::report::outputs::{self, Files};
use crate::report::render::render;
use crate::report::run_report::RunReport;

/// The reports of a job on GitHub, by format: later steps and people read them.
const REPORTS: &[(&str, &str)] = &[("json", "report.json"), ("sarif", "report.sarif"), ("summary", "summary.md")];

/// What GitLab takes from a job besides.
const OF_GITLAB: &[(&str, &str)] = &[
    ("gitlab-code-quality", "gl-code-quality-report.json"),
    ("gitlab-secret-detection", "gl-secret-detection-report.json"),
    ("junit", "junit.xml"),
    ("gitlab-links", "gl-annotations.json"),
];

const DOTENV: &str = "honeycrate.env";

/// The folder of a step's reports.
pub struct ReportFolder {
    path: PathBuf,
    forge: Option<ForgeKind>,
    /// The file in which GitHub's runner looks for outputs.
    outputs: Option<PathBuf>,
}

impl ReportFolder {
    /// The folder that is asked for, or a new one where the forge keeps such things.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(variables: &Variables, forge: Option<ForgeKind>) -> Result<Self, Failure> {
        let asked = variables.get(vars::HONEYCRATE_REPORT_DIR).map(PathBuf::from);
        let within = |variable| variables.get(variable).map(PathBuf::from);
        let place = match (forge, within(vars::RUNNER_TEMP), within(vars::CI_PROJECT_DIR)) {
            (Some(ForgeKind::GitHub), Some(temporary), _) => Ok(temporary),
            (Some(ForgeKind::GitLab), _, Some(project)) => Err(project.join("honeycrate-reports")),
            _ => Err(PathBuf::from("honeycrate-reports")),
        };
        let failed = |path: &Path, cause: io::Error| {
            Failure::usage(format!("cannot make the folder {} for the reports: {cause}", path.display()), "name another with report-dir")
        };
        let path = match (asked, place) {
            (Some(path), _) | (None, Err(path)) => {
                let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
                if path.components().any(|part| part == Component::ParentDir) {
                    return Err(failed(&path, io::Error::other("`..` is not taken")));
                }
                // A link that the tree holds would lead the reports elsewhere.
                if let Some(link) = path
                    .ancestors()
                    .take(if path.is_absolute() { 1 } else { usize::MAX })
                    .find(|above| above.symlink_metadata().is_ok_and(|there| there.is_symlink()))
                {
                    return Err(failed(&path, io::Error::other(format!("{} is a symbolic link", link.display()))));
                }
                std::fs::create_dir_all(&path).map_err(|cause| failed(&path, cause))?;
                // What an earlier run left, or the tree holds, must not be taken for this run's.
                for name in REPORTS.iter().chain(OF_GITLAB).map(|(_, name)| *name).chain([DOTENV, "baseline.yaml"]) {
                    let stale = path.join(name);
                    let _ = std::fs::remove_file(&stale).or_else(|_| std::fs::remove_dir_all(&stale));
                }
                path
            }
            (None, Ok(within)) => {
                let folder = tempfile::Builder::new().prefix("honeycrate-").tempdir_in(&within).map_err(|cause| failed(&within, cause))?;
                folder.keep()
            }
        };
        Ok(Self { path, forge, outputs: within(vars::GITHUB_OUTPUT) })
    }

    /// Writes every report. On GitLab they are artifacts, which others may download: there all of them are as they may be published.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, report: &RunReport, disclosure: Disclosure) -> Result<(), Failure> {
        let of_gitlab = if self.forge == Some(ForgeKind::GitLab) { OF_GITLAB } else { &[] };
        for (format, name) in REPORTS.iter().chain(of_gitlab) {
            let is_owners = *format == "json" && self.forge != Some(ForgeKind::GitLab);
            let disclosure = if is_owners { Disclosure::Everything } else { disclosure };
            let mut text = Vec::new();
            render(report, format, disclosure, Style::default(), &mut text).map_err(|error| Failure::bug(error.to_string()))?;
            self.put(name, &text)?;
        }
        let known = Baseline::of(report.standing().map(|found| &found.finding), report.fingerprints, None);
        self.put("baseline.yaml", known.to_text().map_err(|error| Failure::bug(error.to_string()))?.as_bytes())
    }

    /// Tells later steps what the run came to.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn tell(&self, report: &RunReport, exit_code: u8, comment: Option<&str>) -> Result<(), Failure> {
        let at = |name: &str| self.path.join(name).display().to_string();
        let files = Files { report: at("report.json"), sarif: at("report.sarif"), summary: at("summary.md"), baseline: at("baseline.yaml") };
        let outputs = outputs::outputs(report, &files, exit_code, comment);
        if self.forge == Some(ForgeKind::GitLab) {
            self.put(DOTENV, outputs::dotenv(&outputs).as_bytes())?;
        }
        let Some(file) = &self.outputs else { return Ok(()) };
        let text = outputs::lines(&outputs);
        let failed = |cause| Failure::usage(format!("cannot write the outputs of the step to {}: {cause}", file.display()), "");
        OpenOptions::new().append(true).create(true).open(file).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(name);
        let failed = |cause: io::Error| {
            Failure::usage(format!("cannot write the report {}: {cause}", path.display()), "choose another folder with report-dir")
        };
        let text = std::str::from_utf8(bytes).map_err(|error| Failure::bug(error.to_string()))?;
        whole_file::replace(&path, text).map_err(failed)
    }
}
