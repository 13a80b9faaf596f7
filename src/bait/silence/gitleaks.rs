//! gitleaks: a configuration that extends the built-in one by an allowlist. It is compared with the secret that a rule found.

use std::fmt::Write as _;

use time::Date;

use crate::bait::silence::contract::{IgnoreList, Silenced, note};

pub struct Gitleaks;

impl IgnoreList for Gitleaks {
    fn id(&self) -> &'static str {
        "gitleaks"
    }

    fn usage(&self) -> &'static str {
        "gitleaks dir --config FILE FOLDER"
    }

    fn describe(&self) -> &'static str {
        "a configuration on top of gitleaks' own (where you have one, put [[allowlists]] into it); shows the first 8 characters of each token"
    }

    fn write(&self, silenced: &[Silenced], until: Date) -> String {
        let mut text = "[extend]\nuseDefault = true\n".to_owned();
        if silenced.is_empty() {
            return text;
        }
        text += "\n[[allowlists]]\nregexes = [\n";
        for one in silenced {
            let _ = writeln!(text, "  {}", note(one, until));
            one.patterns().for_each(|pattern| {
                let _ = writeln!(text, "  '''{pattern}''',");
            });
        }
        text + "]\n"
    }
}
