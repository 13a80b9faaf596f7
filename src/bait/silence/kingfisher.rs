//! Kingfisher: a project configuration with patterns that are compared with the secret that a rule found.

use std::fmt::Write as _;

use time::Date;

use crate::bait::silence::contract::{IgnoreList, Silenced, note};

pub struct Kingfisher;

impl IgnoreList for Kingfisher {
    fn id(&self) -> &'static str {
        "kingfisher"
    }

    fn usage(&self) -> &'static str {
        "kingfisher scan --config FILE FOLDER"
    }

    fn describe(&self) -> &'static str {
        "a project configuration (where you have one, put `skip_regex` into it); shows the first 8 characters of each token"
    }

    fn write(&self, silenced: &[Silenced], until: Date) -> String {
        if silenced.is_empty() {
            return "filters: {}\n".to_owned();
        }
        let mut text = "filters:\n  skip_regex:\n".to_owned();
        for one in silenced {
            let _ = writeln!(text, "  {}", note(one, until));
            one.patterns().for_each(|pattern| {
                let _ = writeln!(text, "  - '{pattern}'");
            });
        }
        text
    }
}
