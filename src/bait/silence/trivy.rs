//! Trivy: allow rules of its secret configuration. Of a rule with a path and a pattern either would do, and a path alone keeps the whole file
//! from being read, so each has a pattern alone. It is compared with all that a rule matched.

use std::fmt::Write as _;

use time::Date;

use crate::bait::silence::contract::{IgnoreList, Silenced, note};

pub struct Trivy;

impl IgnoreList for Trivy {
    fn id(&self) -> &'static str {
        "trivy"
    }

    fn usage(&self) -> &'static str {
        "trivy image --secret-config FILE IMAGE"
    }

    fn describe(&self) -> &'static str {
        "a secret configuration (where you have one, put its `allow-rules` into it; .trivyignore could name files only, and hide what else is in \
         them); shows the first 8 characters of each token"
    }

    fn write(&self, silenced: &[Silenced], until: Date) -> String {
        if silenced.is_empty() {
            return "allow-rules: []\n".to_owned();
        }
        let mut text = "allow-rules:\n".to_owned();
        for one in silenced {
            let _ = writeln!(text, "  {}", note(one, until));
            for (pattern, number) in one.patterns().zip(1..) {
                let _ = writeln!(text, "  - id: {}-{number}\n    regex: '{pattern}'", one.fingerprint);
            }
        }
        text
    }
}
