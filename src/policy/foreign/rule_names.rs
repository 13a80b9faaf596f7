//! What other scanners call the rules that are here: ids to ids, from a table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// A scanner whose ids are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Gitleaks,
    Trivy,
}

/// Ids of theirs, and of ours that find the same.
type Names = BTreeMap<String, Vec<String>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    gitleaks: Names,
    trivy: Names,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| serde_yaml::from_str(include_str!("rule_names.yaml")).unwrap_or_default());

/// The rules here that find what a rule of theirs finds; empty where there is none.
#[must_use]
pub fn ours(peer: Peer, theirs: &str) -> Vec<String> {
    let names = match peer {
        Peer::Gitleaks => &TABLE.gitleaks,
        Peer::Trivy => &TABLE.trivy,
    };
    names.get(theirs).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rule_set::RuleSet;

    #[test]
    fn every_id_in_the_table_is_a_rules() {
        for (theirs, ours) in TABLE.gitleaks.iter().chain(&TABLE.trivy) {
            assert!(!ours.is_empty(), "{theirs}");
            for id in ours {
                assert!(RuleSet::builtin().get(id).is_some(), "{theirs}: {id} is no rule");
            }
        }
        assert!(TABLE.gitleaks.len() > 80 && TABLE.trivy.len() > 30);
        assert_eq!(ours(Peer::Gitleaks, "github-pat"), ["github-personal-token"]);
    }
}
