//! TruffleHog: it takes no list of findings, in August 2026 as before, so its JSON goes through jq.

use time::Date;

use crate::bait::silence::contract::{IgnoreList, SHOWN, Silenced, note};

pub struct TruffleHog;

impl IgnoreList for TruffleHog {
    fn id(&self) -> &'static str {
        "trufflehog"
    }

    fn usage(&self) -> &'static str {
        "trufflehog filesystem FOLDER --no-verification --json | jq --compact-output --from-file FILE"
    }

    fn describe(&self) -> &'static str {
        "a program for jq that drops findings from its JSON, as TruffleHog has no list of its own; it does not keep TruffleHog from trying the \
         tokens, which sets off an alarm, unless --no-verification does; shows the first 8 characters of each token"
    }

    fn write(&self, silenced: &[Silenced], until: Date) -> String {
        let entries = silenced.iter().flat_map(|one| {
            let heads = one.heads.iter().zip(0..);
            heads.map(
                move |(head, number)| if number == 0 { format!("  {}\n  \"{head}\": true", note(one, until)) } else { format!("  \"{head}\": true") },
            )
        });
        // A look-up, not a pattern: jq would read a thousand patterns anew for every finding.
        let bait = entries.collect::<Vec<_>>().join(",\n");
        format!(
            "{{\n{bait}\n}} as $bait |\n([.Raw, .RawV2] | map(strings) | join(\" \")) as $found |\n\
             select(any(range(0; $found | length); $bait[$found[.:. + {SHOWN}]]) | not)\n"
        )
    }
}
