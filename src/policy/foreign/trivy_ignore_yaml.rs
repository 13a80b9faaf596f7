//! `.trivyignore.yaml`: ids with paths, an end date and a statement. Source: Trivy's documentation, "Filtering".

use serde::Deserialize;
use serde_yaml::Value;

use crate::policy::exception::Exception;
use crate::policy::foreign::contract::{ForeignFile, Taken, from_root};
use crate::policy::foreign::trivy_ignore::counterpart;

#[derive(Debug)]
pub struct TrivyIgnoreYaml;

#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    secrets: Option<Vec<Entry>>,
    /// Vulnerabilities, misconfigurations, licences.
    #[serde(flatten)]
    others: std::collections::BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    expired_at: Option<String>,
    #[serde(default)]
    statement: Option<String>,
}

impl ForeignFile for TrivyIgnoreYaml {
    fn id(&self) -> &'static str {
        ".trivyignore.yaml"
    }

    fn describe(&self) -> &'static str {
        "Trivy: its secrets, by id and path, with end date and statement"
    }

    fn is_called(&self, name: &str) -> bool {
        matches!(name, ".trivyignore.yaml" | ".trivyignore.yml")
    }

    fn read(&self, name: &str, text: &str) -> Result<Taken, String> {
        let document: Option<Document> = serde_yaml::from_str(text).map_err(|error| format!("it is not what Trivy writes: {error}"))?;
        let Document { secrets, others } = document.unwrap_or_default();
        let mut taken = Taken::default();
        for (section, entries) in others.iter().filter(|(_, entries)| !entries.is_null()) {
            let number = entries.as_sequence().map_or(1, Vec::len);
            taken.leave_out(name, section, &format!("{number} entries that are no secrets"));
        }
        for (number, entry) in secrets.unwrap_or_default().iter().enumerate() {
            take(&mut taken, &format!("{name}#{}", number + 1), entry);
        }
        Ok(taken)
    }
}

fn take(taken: &mut Taken, source: &str, Entry { id, paths, expired_at, statement }: &Entry) {
    let Some((rules, mut like)) = counterpart(taken, source, id, (id, expired_at.as_deref())) else { return };
    if let Some(statement) = statement {
        like.reason.clone_from(statement);
    }
    if paths.is_empty() {
        return taken.take(&rules, &like);
    }
    for path in paths {
        if path.contains(['[', ']', '{', '}', '\\']) {
            taken.leave_out(source, path, "patterns here have *, ** and ? only");
            continue;
        }
        taken.take(&rules, &Exception { path: Some(from_root(path)), ..like.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn secrets_are_taken_over_with_paths_end_and_statement() {
        let text = "\
vulnerabilities:
  - id: CVE-2022-40897
  - id: CVE-2023-2650
secrets:
  - id: github-pat
    paths: ['foo/**/bar', 'top.env', 'a{b,c}']
    expired_at: 2027-01-31
    statement: a fixture
  - id: asana-client-id
";
        let taken = TrivyIgnoreYaml.read(".trivyignore.yaml", text).expect("readable");
        let paths: Vec<_> = taken.exceptions.iter().map(|one| one.path.as_deref().unwrap_or_default()).collect();
        assert_eq!(paths, ["/foo/**/bar", "/top.env"]);
        let first = &taken.exceptions[0];
        assert_eq!((first.expires, first.reason.as_str(), first.is_taken_over), (Some(date!(2027 - 01 - 31)), "a fixture", true));
        assert_eq!(
            taken.left_out,
            [
                ".trivyignore.yaml `vulnerabilities`: 2 entries that are no secrets",
                ".trivyignore.yaml#1 `a{b,c}`: patterns here have *, ** and ? only",
                ".trivyignore.yaml#2 `asana-client-id`: no rule here corresponds to it",
            ]
        );
        assert_eq!(TrivyIgnoreYaml.read("x", "").expect("empty"), Taken::default());
        assert!(TrivyIgnoreYaml.read("x", "secrets: 7").is_err());
    }
}
