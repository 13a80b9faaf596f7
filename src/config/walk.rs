//! A walk over a YAML document that collects every problem instead of stopping at the first.

use std::fmt::Display;
use std::str::FromStr;

use serde_yaml::{Mapping, Value};

use crate::config::error::{Place, Problem};
use crate::config::positions::{Node, Position};

/// A value, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    value: &'a Value,
    node: Option<&'a Node>,
    at: Position,
}

/// A mapping whose keys were checked.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    map: &'a Mapping,
    node: Option<&'a Node>,
    /// Where the mapping begins.
    pub at: Position,
}

/// The problems met so far.
#[derive(Debug)]
pub struct Walk {
    file: String,
    problems: Vec<Problem>,
}

impl<'a> Cursor<'a> {
    /// The whole document.
    #[must_use]
    pub fn root(value: &'a Value, node: &'a Node) -> Self {
        Self { value, node: Some(node), at: node.at }
    }

    #[must_use]
    pub fn at(&self) -> Position {
        self.at
    }

    /// Whether the key has no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_null()
    }
}

impl<'a> Fields<'a> {
    /// The value under `key`; a key without a value counts as not written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cursor<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        let node = self.node.and_then(|node| node.entry(key)).map(|(_, node)| node);
        Some(Cursor { value, node, at: node.map_or(self.at, |node| node.at) })
    }
}

impl Walk {
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), problems: Vec::new() }
    }

    /// The problems, in the order of the document.
    #[must_use]
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        self.problems
    }

    /// Notes a problem.
    pub fn problem(&mut self, at: Position, what: String, suggestion: Option<String>) {
        let place = Place::File { file: self.file.clone(), line: at.line, column: at.column };
        self.problems.push(Problem { place, what, suggestion });
    }

    /// A mapping with no keys but `known` ones.
    pub fn fields<'a>(&mut self, cursor: Cursor<'a>, what: &str, known: &[&str]) -> Option<Fields<'a>> {
        for (key, at, _) in self.entries(cursor, what)? {
            if !known.contains(&key) {
                let suggestion = nearest(key, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
                let suggestion = suggestion.unwrap_or_else(|| format!("{what} has {}", known.join(", ")));
                self.problem(at, format!("unknown key `{}`", shown(key)), Some(suggestion));
            }
        }
        let Value::Mapping(map) = untagged(cursor.value) else { return None };
        Some(Fields { map, node: cursor.node, at: cursor.at })
    }

    /// A mapping with keys of the user's own: each key, its place and its value.
    pub fn entries<'a>(&mut self, cursor: Cursor<'a>, what: &str) -> Option<Vec<(&'a str, Position, Cursor<'a>)>> {
        let Value::Mapping(map) = untagged(cursor.value) else {
            self.wrong_type(cursor, what, "a mapping of keys to values");
            return None;
        };
        let places = cursor.node.map(Node::entries).unwrap_or_default();
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let Some(key) = key.as_str() else {
                self.problem(cursor.at, format!("a key of {what} is {}", kind_of(key)), Some("put it in quotes".to_owned()));
                continue;
            };
            let (key_at, node) = match places.get(key).copied() {
                Some((at, node)) => (at, Some(node)),
                None => (cursor.at, None),
            };
            entries.push((key, key_at, Cursor { value, node, at: node.map_or(key_at, |node| node.at) }));
        }
        Some(entries)
    }

    /// A list of values.
    pub fn items<'a>(&mut self, cursor: Cursor<'a>, what: &str) -> Vec<Cursor<'a>> {
        let Value::Sequence(list) = untagged(cursor.value) else {
            self.wrong_type(cursor, what, "a list");
            return Vec::new();
        };
        let place = |index| {
            let node = cursor.node.and_then(|node: &Node| node.item(index));
            (node, node.map_or(cursor.at, |node| node.at))
        };
        list.iter()
            .enumerate()
            .map(|(index, value)| {
                let (node, at) = place(index);
                Cursor { value, node, at }
            })
            .collect()
    }

    /// Text that is not empty.
    pub fn text<'a>(&mut self, cursor: Cursor<'a>, what: &str) -> Option<&'a str> {
        match untagged(cursor.value) {
            Value::String(text) if text.trim().is_empty() => {
                self.problem(cursor.at, format!("{what} is empty"), None);
                None
            }
            Value::String(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => {
                self.problem(cursor.at, format!("{what} must be text, not {}", kind_of(cursor.value)), Some("put it in quotes".to_owned()));
                None
            }
            _ => {
                self.wrong_type(cursor, what, "text");
                None
            }
        }
    }

    /// Text that `T` can be read from.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, cursor: Cursor<'_>, what: &str) -> Option<T> {
        let text = self.text(cursor, what)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(cursor.at, format!("{what}: {error}"), None);
                None
            }
        }
    }

    /// One of the `known` words.
    pub fn word<'a>(&mut self, cursor: Cursor<'a>, what: &str, known: &[&str]) -> Option<&'a str> {
        let text = self.text(cursor, what)?;
        if known.contains(&text) {
            return Some(text);
        }
        let suggestion = nearest(text, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        let suggestion = suggestion.unwrap_or_else(|| format!("one of {}", known.join(", ")));
        self.problem(cursor.at, format!("{what} `{}` does not exist", shown(text)), Some(suggestion));
        None
    }

    fn wrong_type(&mut self, cursor: Cursor<'_>, what: &str, wanted: &str) {
        self.problem(cursor.at, format!("{what} must be {wanted}, not {}", kind_of(cursor.value)), None);
    }
}

/// The known name that `text` most likely means: at most a third of it differs.
#[must_use]
pub fn nearest<'n>(text: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let text = text.to_lowercase().replace('_', "-");
    let ranked = known.map(|name| (distance(&text, name), name)).min()?;
    (ranked.0 <= ranked.1.chars().count().div_ceil(3)).then_some(ranked.1)
}

/// Edits of one character that turn `a` into `b`; neighbours that changed places count as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

fn untagged(value: &Value) -> &Value {
    if let Value::Tagged(tagged) = value { &tagged.value } else { value }
}

fn kind_of(value: &Value) -> &'static str {
    match untagged(value) {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) | Value::Tagged(_) => "a mapping",
    }
}

/// Text from the document as it may stand in a message.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["environments", "exceptions", "decoy", "fail-on"];
        for (text, expected) in [
            ("enviroment", Some("environments")),
            ("fail_on", Some("fail-on")),
            ("dceoy", Some("decoy")),
            ("Decoy", Some("decoy")),
            ("webhook", None),
        ] {
            assert_eq!(nearest(text, known.into_iter()), expected, "{text}");
        }
    }
}
