//! Where each value of a YAML document stands. The YAML parser that reads the values forgets this.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

/// Counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One value of the document, by its place alone.
#[derive(Debug)]
pub struct Node {
    pub at: Position,
    pub children: Children,
}

/// What a value holds.
#[derive(Debug)]
pub enum Children {
    /// A scalar, or an alias of a value that stands elsewhere.
    None,
    List(Vec<Node>),
    /// Keys with their own places, in the order of the document.
    Map(Vec<(String, Position, Node)>),
}

/// Why a document has no index.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub at: Position,
    pub why: String,
}

/// Nesting that no honest document reaches; deeper ones are refused before anything recursive reads them.
const MAX_DEPTH: usize = 32;

/// More values than the largest honest document has.
const MAX_VALUES: usize = 20_000;

impl Node {
    /// Indexes the first document of `text`; `None` where it is empty.
    ///
    /// # Errors
    /// At the first place that is no YAML, is nested too deep, has too many values, begins a second document or has a key that is not a scalar.
    pub fn index(text: &str) -> Result<Option<Self>, Unreadable> {
        let mut open: Vec<Open> = Vec::new();
        let mut root = None;
        let mut values = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Unreadable { at: position(*error.marker()), why: error.info().to_owned() })?;
            let at = position(span.start);
            let refuse = |why: &str| Err(Unreadable { at, why: why.to_owned() });
            values += 1;
            if values > MAX_VALUES {
                return refuse("it has too many values");
            }
            let node = match event {
                Event::MappingStart(..) | Event::SequenceStart(..) if open.len() == MAX_DEPTH => return refuse("it is nested too deep"),
                Event::MappingStart(..) => {
                    open.push(Open { at, key: None, children: Children::Map(Vec::new()) });
                    continue;
                }
                Event::SequenceStart(..) => {
                    open.push(Open { at, key: None, children: Children::List(Vec::new()) });
                    continue;
                }
                Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                    Some(Open { at, children, .. }) => Node { at, children },
                    None => return refuse("it closes what was not opened"),
                },
                Event::Scalar(text, ..) => match open.last_mut() {
                    Some(Open { key: key @ None, children: Children::Map(_), .. }) => {
                        *key = Some((text.into_owned(), at));
                        continue;
                    }
                    _ => Node { at, children: Children::None },
                },
                Event::Alias(_) => Node { at, children: Children::None },
                Event::DocumentStart(_) if root.is_some() => return refuse("a second document begins here; only one is read"),
                _ => continue,
            };
            match open.last_mut() {
                None => root = Some(node),
                Some(Open { children: Children::List(list), .. }) => list.push(node),
                Some(Open { key, children: Children::Map(map), .. }) => match key.take() {
                    Some((key, key_at)) => map.push((key, key_at, node)),
                    None => return refuse("a key must be plain text"),
                },
                Some(Open { children: Children::None, .. }) => return refuse("a scalar cannot hold values"),
            }
        }
        Ok(root)
    }

    /// Every key that repeats one of its neighbours, with the place of the first.
    #[must_use]
    pub fn repeated_keys(&self) -> Vec<(&str, Position, Position)> {
        let mut found = Vec::new();
        let mut rest = vec![self];
        while let Some(node) = rest.pop() {
            match &node.children {
                Children::None => {}
                Children::List(list) => rest.extend(list),
                Children::Map(map) => {
                    let mut first = HashMap::new();
                    for (key, at, value) in map {
                        if let Some(earlier) = first.insert(key.as_str(), *at) {
                            found.push((key.as_str(), *at, earlier));
                        }
                        rest.push(value);
                    }
                }
            }
        }
        found
    }

    /// The place of a key and the value under it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<(Position, &Self)> {
        let Children::Map(map) = &self.children else { return None };
        map.iter().find(|(name, ..)| name == key).map(|(_, at, node)| (*at, node))
    }

    /// All entries by key, for whoever looks up many.
    #[must_use]
    pub fn entries(&self) -> HashMap<&str, (Position, &Self)> {
        let Children::Map(map) = &self.children else { return HashMap::new() };
        map.iter().map(|(key, at, node)| (key.as_str(), (*at, node))).collect()
    }

    #[must_use]
    pub fn item(&self, index: usize) -> Option<&Self> {
        if let Children::List(list) = &self.children { list.get(index) } else { None }
    }
}

struct Open {
    at: Position,
    key: Option<(String, Position)>,
    children: Children,
}

fn position(marker: saphyr_parser::Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let root = Node::index("a: 1\nlist:\n  - { b: é, c: 2 }\n").expect("YAML").expect("a document");
        let (key, list) = root.entry("list").expect("list");
        assert_eq!(key, at(2, 1));
        let (key, value) = list.item(0).expect("item").entry("c").expect("c");
        assert_eq!((key, value.at), (at(3, 13), at(3, 16)));
    }

    #[test]
    fn repeated_keys_are_told_with_both_places() {
        let root = Node::index("x:\n  a: 1\n  b: 2\n  a: 3\n").expect("YAML").expect("a document");
        assert_eq!(root.repeated_keys(), [("a", at(4, 3), at(2, 3))]);
    }

    #[test]
    fn deep_nesting_is_refused_at_once() {
        for text in ["[".repeat(40), "- ".repeat(40) + "x"] {
            assert_eq!(Node::index(&text).expect_err("too deep").why, "it is nested too deep");
        }
        assert!(Node::index(&"[".repeat(1_000_000)).is_err());
        assert!(Node::index(&"- ".repeat(500_000)).is_err());
    }

    #[test]
    fn more_values_than_anybody_writes_are_refused() {
        let text: String = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        assert_eq!(Node::index(&text).expect_err("too many").why, "it has too many values");
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let root = Node::index("a: &x { b: 1 }\nc: *x\n").expect("YAML").expect("a document");
        assert_eq!(root.entry("c").expect("c").1.at, at(2, 4));
    }
}
