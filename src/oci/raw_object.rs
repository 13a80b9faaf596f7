//! A JSON object whose members keep their exact text: what is not edited stays byte for byte.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Members in their order, each value as the text it had. A key that occurs twice is refused, since readers differ on which counts.
#[derive(Debug, Clone, Default)]
pub struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// The text of a member, `null` counting as absent.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(RawValue::get).filter(|text| *text != "null")
    }

    /// Refuses a member that only by letter case is one of `known`: some readers (Go's) take it for that one, others pass over it.
    ///
    /// # Errors
    /// With the member, in words.
    pub fn refuse_other_case(&self, known: &[&str]) -> Result<(), String> {
        let other = |name: &str| known.iter().find(|known| known.eq_ignore_ascii_case(name) && **known != name).copied();
        match self.0.iter().find_map(|(name, _)| Some((name, other(name)?))) {
            Some((name, known)) => Err(format!("`{name}` is `{known}` to some readers and nothing to others")),
            None => Ok(()),
        }
    }

    /// Replaces a member in its place, or adds it at the end.
    pub fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some(member) => member.1 = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut object = RawObject::default();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if object.get(&key).is_some() {
                        return Err(serde::de::Error::custom(format_args!("key `{key}` occurs twice")));
                    }
                    object.0.push((key, value));
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Any value as raw JSON text.
///
/// # Panics
/// Never for values made of strings, numbers, lists and maps with string keys, which is all this crate writes.
#[must_use]
pub fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("plain data is always valid JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_members_keep_their_text() {
        let text = r#"{"z":"\u003cA\u003e","n":1.50,"a":{"k": [1, 2]}}"#;
        let mut object: RawObject = serde_json::from_str(text).expect("valid");
        assert_eq!(serde_json::to_string(&object).expect("plain"), text);
        object.set("n", raw(&2));
        assert_eq!(serde_json::to_string(&object).expect("plain"), text.replace("1.50", "2"));
    }

    #[test]
    fn a_key_that_occurs_twice_is_refused() {
        assert!(serde_json::from_str::<RawObject>(r#"{"a":1,"a":2}"#).is_err());
    }
}
