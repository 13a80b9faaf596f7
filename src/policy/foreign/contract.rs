//! What an ignore file of another scanner is to us.

use crate::policy::exception::Exception;

/// A form of ignore files that can be taken over.
pub trait ForeignFile: Sync {
    /// What such a file is called, for help.
    fn id(&self) -> &'static str;

    /// One line for help.
    fn describe(&self) -> &'static str;

    /// Whether a file is called so.
    fn is_called(&self, name: &str) -> bool;

    /// Reads it; `name` is what reports call it.
    ///
    /// # Errors
    /// When it is not what its name says.
    fn read(&self, name: &str, text: &str) -> Result<Taken, String>;
}

/// What became of a file's entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub exceptions: Vec<Exception>,
    /// What is not, and why: a phrase for each entry.
    pub left_out: Vec<String>,
}

impl Taken {
    /// An entry that nothing here corresponds to.
    pub fn leave_out(&mut self, source: &str, what: &str, why: &str) {
        let what: String = what.chars().filter(|letter| !letter.is_control()).take(80).collect();
        self.left_out.push(format!("{source} `{what}`: {why}"));
    }

    /// An entry that stands for one exception for each of our rules.
    pub fn take(&mut self, rules: &[String], like: &Exception) {
        self.exceptions.extend(rules.iter().map(|rule| Exception { rule: Some(rule.clone()), is_taken_over: true, ..like.clone() }));
    }
}

/// A literal path as a pattern that matches it alone; `None` where a pattern cannot say it.
#[must_use]
pub fn pattern_of(path: &str) -> Option<String> {
    let path = from_root(path);
    (path.len() > 1 && !path.contains(['*', '?'])).then_some(path)
}

/// A path or pattern as one that begins at the root: without a slash a pattern of ours would match in every folder.
#[must_use]
pub fn from_root(path: &str) -> String {
    format!("/{}", path.trim_start_matches("./").trim_start_matches('/'))
}
