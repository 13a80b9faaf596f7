//! Announced uses of tokens: which drill a use belongs to, and how each ended.

use crate::ledger::error::LedgerError;
use crate::ledger::mention::Mention;
use crate::ledger::record::{Drill, Event};
use crate::ledger::stores::contract::Store;
use crate::oci::digest::Digest;
use crate::secret::fingerprint::Fingerprint;

/// A mark is so many hexadecimal digits, in lower case.
pub const MARK: usize = 32;

/// What records tell of a mark.
#[must_use]
pub fn sealed(mark: &str) -> String {
    Digest::of(mark.as_bytes()).hex().to_owned()
}

/// The parts of a visitor's text that could be marks. Almost all visitors have none, which spares a look into the ledger.
pub fn marks(text: &str) -> impl Iterator<Item = &str> {
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    text.split(move |c| !is_digit(c)).filter(|run| run.len() == MARK)
}

/// The drill that announced this use of a token: its mark is in what the visitor says of itself, and its time is not over.
///
/// `now` is RFC 3339, UTC, to the second.
///
/// # Errors
/// When the ledger cannot be read.
pub fn announced(store: &dyn Store, fingerprint: &Fingerprint, text: &str, now: &str) -> Result<Option<String>, LedgerError> {
    let marks: Vec<String> = marks(text).map(sealed).collect();
    if marks.is_empty() {
        return Ok(None);
    }
    let drills = store.mentioning(&Mention::Token(fingerprint.clone()))?.into_iter().filter_map(|record| match record.event {
        Event::DrillBegun { drill } => Some(drill),
        _ => None,
    });
    let fits = |drill: &Drill| marks.contains(&drill.mark) && *now <= *drill.until;
    Ok(drills.map(|drill| *drill).find(fits).map(|drill| drill.id))
}

/// How far a drill has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// When the use was seen (RFC 3339, UTC), and by whom.
    pub seen: Option<(String, String)>,
    pub end: Option<End>,
}

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub passed: bool,
    /// From the sight of the use to the last sink's acceptance.
    pub milliseconds: u64,
    pub detail: String,
}

/// What the ledger tells of a drill.
///
/// # Errors
/// When the ledger cannot be read.
pub fn progress(store: &dyn Store, id: &str) -> Result<Progress, LedgerError> {
    let mut progress = Progress::default();
    for record in store.mentioning(&Mention::Drill(id.to_owned()))? {
        match record.event {
            Event::Triggered { trigger } => progress.seen = Some((trigger.time, trigger.face)),
            Event::DrillEnded { passed, milliseconds, detail, .. } => progress.end = Some(End { passed, milliseconds, detail }),
            _ => {}
        }
    }
    Ok(progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::samples;
    use crate::ledger::stores::sqlite::SqliteStore;

    #[test]
    fn only_the_announced_token_with_its_mark_and_within_its_time_is_a_drill() {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        let (mark, fingerprint) = ("0123456789abcdef".repeat(2), samples::fingerprint("shop", "production"));
        let drill = Drill {
            id: "drill-1".to_owned(),
            claims: samples::claims("shop", "production"),
            fingerprint: fingerprint.clone(),
            place: "laptop".to_owned(),
            mark: sealed(&mark),
            until: "2026-11-22T05:00:00Z".to_owned(),
        };
        store.append("run", "2026-11-22T04:00:00Z", Event::DrillBegun { drill: Box::new(drill) }).expect("appended");
        let ask = |token: &Fingerprint, text: &str, now: &str| announced(&store, token, text, now).expect("readable");
        let agent = format!("curl/8.14.1 ({mark})");
        assert_eq!(ask(&fingerprint, &agent, "2026-11-22T04:59:59Z").as_deref(), Some("drill-1"));
        assert_eq!(ask(&fingerprint, &agent, "2026-11-22T05:00:01Z"), None);
        assert_eq!(ask(&samples::fingerprint("mail", "production"), &agent, "2026-11-22T04:30:00Z"), None);
        // What the ledger says of the mark is no mark, and neither is another's.
        for text in ["curl/8.14.1", &"0".repeat(32), &sealed(&mark), &mark[..31], &mark.to_uppercase()] {
            assert_eq!(ask(&fingerprint, text, "2026-11-22T04:30:00Z"), None, "{text}");
        }
    }

    #[test]
    fn a_drill_is_followed_from_its_announcement_to_its_end() {
        let mut store = SqliteStore::open_in_memory().expect("memory");
        let mut seen = Vec::new();
        for event in samples::later_life("shop", "production").into_iter().take(3) {
            store.append("run", "2026-11-22T04:00:00Z", event).expect("appended");
            let progress = progress(&store, "drill-1").expect("readable");
            seen.push((progress.seen.is_some(), progress.end.is_some_and(|end| end.passed)));
        }
        assert_eq!(seen, [(false, false), (true, false), (true, true)]);
        // The second end of a drill, by another watch, is not written.
        let again = Event::DrillEnded {
            id: "drill-1".to_owned(),
            fingerprint: samples::fingerprint("shop", "production"),
            passed: false,
            milliseconds: 1,
            detail: String::new(),
        };
        assert_eq!(store.append("run", "2026-11-22T04:00:00Z", again).expect("known").sequence, 3);
    }
}
