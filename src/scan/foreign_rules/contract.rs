//! What a rule file of another scanner is to us.

use crate::scan::rule_text::RuleText;

/// Rules that a line of a summary names.
const NAMED: usize = 5;

/// A form of rule files that can be taken over.
pub trait ForeignForm: Sync {
    /// What such a file is called, for help.
    fn id(&self) -> &'static str;

    /// One line for help.
    fn describe(&self) -> &'static str;

    /// Whether a text is of this form, by lines that only it has.
    fn is_form_of(&self, text: &str) -> bool;

    /// Reads it; `file` is what messages call it.
    ///
    /// # Errors
    /// When it cannot be read at all, and where.
    fn read(&self, file: &str, text: &str) -> Result<Taken, String>;
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Taken {
    pub rules: Vec<RuleText>,
    pub left_out: Vec<LeftOut>,
}

/// Something that a file says and we do not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub file: String,
    /// The rule that it is about, by our id for it.
    pub rule: Option<String>,
    /// What, and why.
    pub what: String,
}

impl Taken {
    /// A rule of ours that came of one of theirs; `is_cut`: its matches may be longer than what is looked at.
    pub fn take(&mut self, file: &str, rule: RuleText, is_cut: bool) {
        if is_cut {
            let what = format!("its pattern repeats without end, and is looked for in {} bytes", rule.before + rule.after);
            self.leave_out(file, Some(&rule.id), what);
        }
        self.rules.push(rule);
    }

    /// Something that is not taken over.
    pub fn leave_out(&mut self, file: &str, rule: Option<&str>, what: impl Into<String>) {
        self.left_out.push(LeftOut { file: file.to_owned(), rule: rule.map(str::to_owned), what: what.into() });
    }
}

/// One line for each thing that is not taken over, with the rules that it is about, most frequent first.
#[must_use]
pub fn summary(left_out: &[LeftOut]) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&LeftOut>)> = Vec::new();
    for one in left_out {
        match groups.iter_mut().find(|(what, _)| *what == one.what) {
            Some((_, all)) => all.push(one),
            None => groups.push((&one.what, vec![one])),
        }
    }
    groups.sort_by_key(|(_, all)| std::cmp::Reverse(all.len()));
    let line = |(what, all): &(&str, Vec<&LeftOut>)| {
        let name = |one: &&LeftOut| one.rule.clone().unwrap_or_else(|| one.file.clone());
        let mut named: Vec<String> = all.iter().take(NAMED).map(name).collect();
        if let Some(more) = all.len().checked_sub(NAMED).filter(|more| *more > 0) {
            named.push(format!("{more} more"));
        }
        format!("{what}: {}", named.join(", "))
    };
    groups.iter().map(line).collect()
}
