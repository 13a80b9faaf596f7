//! Ignore files of other scanners, taken over on request: the table of their forms. What has no counterpart here is told, never dropped.

pub mod contract;
pub mod gitleaks_ignore;
pub mod gitleaks_report;
pub mod rule_names;
pub mod trivy_ignore;
pub mod trivy_ignore_yaml;

use crate::policy::foreign::contract::{ForeignFile, Taken};

/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 16 << 20;

/// All forms.
pub const TABLE: [&dyn ForeignFile; 4] =
    [&gitleaks_ignore::GitleaksIgnore, &gitleaks_report::GitleaksReport, &trivy_ignore::TrivyIgnore, &trivy_ignore_yaml::TrivyIgnoreYaml];

/// Reads a file by the form that its name says.
///
/// # Errors
/// When no form has such a name, or it is not what its name says.
pub fn read(name: &str, text: &str) -> Result<Taken, String> {
    let form = TABLE.iter().find(|form| form.is_called(name)).ok_or("no form of ignore files has this name")?;
    form.read(name, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_alone() {
        for (name, known) in [
            (".gitleaksignore", true),
            (".trivyignore", true),
            (".trivyignore.yaml", true),
            (".trivyignore.yml", true),
            ("gitleaks-baseline.json", true),
            (".gitignore", false),
            (".semgrepignore", false),
        ] {
            assert_eq!(TABLE.iter().filter(|form| form.is_called(name)).count(), usize::from(known), "{name}");
        }
        assert!(read(".gitignore", "").is_err());
    }
}
