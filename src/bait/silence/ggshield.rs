//! ggshield: paths that it leaves out. It knows findings by the value, or by a plain hash of it and of words that only the server has.

use std::fmt::Write as _;

use time::Date;

use crate::bait::silence::contract::{IgnoreList, Silenced, note};

pub struct Ggshield;

impl IgnoreList for Ggshield {
    fn id(&self) -> &'static str {
        "ggshield"
    }

    fn usage(&self) -> &'static str {
        "ggshield --config-path FILE secret scan docker IMAGE"
    }

    fn describe(&self) -> &'static str {
        "a configuration that leaves out the files that bait was planted in; it shows these places, and does not silence variables and history, \
         which ggshield would know by their values or plain hashes alone: mark those in its dashboard"
    }

    fn write(&self, silenced: &[Silenced], until: Date) -> String {
        let mut text = "version: 2\n".to_owned();
        let mut entries = String::new();
        for one in silenced {
            let _ = writeln!(entries, "    {}", note(one, until));
            one.files.iter().for_each(|file| {
                let _ = writeln!(entries, "    - {}", serde_json::Value::from(format!("**/{file}")));
            });
        }
        if silenced.iter().any(|one| !one.files.is_empty()) {
            let _ = write!(text, "secret:\n  ignored_paths:\n{entries}");
        } else {
            text += &entries;
        }
        text
    }
}
