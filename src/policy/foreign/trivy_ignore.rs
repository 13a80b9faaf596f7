//! `.trivyignore`: an id a line, with an end date if it has one (`exp:2027-01-31`). Source: Trivy's documentation, "Filtering".

use crate::policy::exception::{Exception, parse_day};
use crate::policy::foreign::contract::{ForeignFile, Taken};
use crate::policy::foreign::rule_names::{Peer, ours};

#[derive(Debug)]
pub struct TrivyIgnore;

impl ForeignFile for TrivyIgnore {
    fn id(&self) -> &'static str {
        ".trivyignore"
    }

    fn describe(&self) -> &'static str {
        "Trivy: ids of secrets, with exp:DATE"
    }

    fn is_called(&self, name: &str) -> bool {
        name == ".trivyignore"
    }

    fn read(&self, name: &str, text: &str) -> Result<Taken, String> {
        let mut taken = Taken::default();
        for (number, entry) in text.lines().enumerate() {
            let source = format!("{name}:{}", number + 1);
            let entry = entry.split('#').next().unwrap_or_default().trim();
            let mut words = entry.split_whitespace();
            let Some(id) = words.next() else { continue };
            let end = words.find_map(|word| word.strip_prefix("exp:"));
            if let Some((rules, like)) = counterpart(&mut taken, &source, entry, (id, end)) {
                taken.take(&rules, &like);
            }
        }
        Ok(taken)
    }
}

/// The rules that an entry's id stands for, and an exception like those to be made for each. Without a rule or with an end that is no date,
/// the entry is left out.
pub(crate) fn counterpart(taken: &mut Taken, source: &str, entry: &str, (id, end): (&str, Option<&str>)) -> Option<(Vec<String>, Exception)> {
    let rules = ours(Peer::Trivy, id);
    if rules.is_empty() {
        taken.leave_out(source, entry, "no rule here corresponds to it");
        return None;
    }
    let expires = end.map(|end| parse_day(end.trim()));
    if expires == Some(None) {
        taken.leave_out(source, entry, "its end is no date");
        return None;
    }
    let like = Exception { expires: expires.flatten(), reason: "listed there".to_owned(), source: source.to_owned(), ..Exception::default() };
    Some((rules, like))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn ids_of_secrets_are_taken_over_and_all_others_told() {
        let text = "# accepted\nCVE-2022-3996\ngithub-pat exp:2027-01-31 # until then\n\naws-access-key-id\ngithub-pat exp:soon\n";
        let taken = TrivyIgnore.read(".trivyignore", text).expect("readable");
        let rows: Vec<_> = taken.exceptions.iter().map(|one| (one.rule.as_deref().unwrap_or_default(), one.expires)).collect();
        assert_eq!(rows[0], ("github-personal-token", Some(date!(2027 - 01 - 31))));
        assert!(rows[1..].contains(&("aws-access-key-id", None)), "{rows:?}");
        assert_eq!(
            taken.left_out,
            [".trivyignore:2 `CVE-2022-3996`: no rule here corresponds to it", ".trivyignore:6 `github-pat exp:soon`: its end is no date"]
        );
    }
}
