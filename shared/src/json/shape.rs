//! Objects that are objects.
//!
//! What `derive(Deserialize)` makes of a struct also takes a list, and reads it as the fields in the order in which they happen to be declared.
//! At a border that would make the order of fields a part of the API, and let past whoever looks for a member by its name. So what comes from
//! outside is read through a [`Shape`], which reads like the [`Value`] within, at every depth, but never a list for a struct.

use serde::{
    Deserializer,
    de::{
        Error as _, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Value};

/// What is said of a list in place of an object, in the form that the bodies' errors are read in.
const NO_OBJECT: &str = "wrong_type: An object is expected.";

/// A value that is read strictly.
pub struct Shape(Value);

impl Shape {
    /// Reads a value of JSON.
    #[must_use]
    pub const fn of(value: Value) -> Self {
        Self(value)
    }
}

impl<'de> Deserializer<'de> for Shape {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let given = items.len();
                let mut items = SeqDeserializer::new(items.into_iter().map(Self));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map_err(|_: Error| Error::invalid_length(given, &"fewer elements in array"))?;
                Ok(read)
            }
            Value::Object(members) => read_members(members, visitor),
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.0.is_array() {
            return Err(Error::custom(NO_OBJECT));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// The choices of the API are words; what they would carry is read as `serde_json` reads it.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Shape {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn read_members<'de, V: Visitor<'de>>(members: Map<String, Value>, visitor: V) -> Result<V::Value, Error> {
    let members = members.into_iter().map(|(name, value)| (Shape(Value::String(name)), Shape(value)));
    let mut members = MapDeserializer::new(members);
    let read = visitor.visit_map(&mut members)?;
    members.end().map(|()| read)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Name(String);

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Part {
        name: Option<Name>,
        word: Option<Word>,
        number: Option<i16>,
        real: f64,
        flag: bool,
        pair: Option<(u8, String)>,
        free: Value,
        parts: Vec<Part>,
        by_name: BTreeMap<String, Box<Part>>,
        part: Option<Box<Part>>,
    }

    fn read(value: Value) -> Result<Part, String> {
        serde_path_to_error::deserialize(Shape::of(value)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_no_object_at_any_depth() {
        for (value, path) in [
            (json!([]), "."),
            (json!({"part": ["Ada"]}), "part"),
            (json!({"parts": [{}, {"part": {"parts": [[]]}}]}), "parts[1].part.parts[0]"),
            (json!({"by_name": {"a": {"by_name": {"b": [null, "one"]}}}}), "by_name.a.by_name.b"),
        ] {
            let plain: Result<Part, _> = serde_json::from_value(value.clone());
            assert!(plain.is_ok(), "it would have been taken");
            let said = read(value).unwrap_err();
            let place = if path == "." { String::new() } else { format!("{path}: ") };
            assert_eq!(said, format!("{place}{NO_OBJECT}"));
        }
    }

    /// Anything but lists, so that none stands where an object belongs.
    fn anything() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-300_i64..300).prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            "one|two|three|[a-z]{0,3}".prop_map(Value::from),
            Just(json!({"one": null})),
            Just(json!({"a": 1, "b": {}})),
        ]
    }

    fn members() -> impl Strategy<Value = Value> {
        let plain = prop::sample::select(vec![
            "name", "word", "number", "real", "flag", "pair", "free", "parts", "part", "odd",
        ]);
        let leaf = prop::collection::btree_map(plain, anything(), 0..4).prop_map(|members| json!(members));
        leaf.prop_recursive(3, 24, 4, |inner| {
            let pair = prop_oneof![
                Just(json!([1, "x"])),
                Just(json!([1])),
                Just(json!([1, "x", 2])),
                Just(json!([300, "x"])),
            ];
            (
                prop::option::of(inner.clone()),
                prop::collection::vec(inner.clone(), 0..3),
                prop::collection::btree_map("[a-z]{0,2}", inner, 0..3),
                pair,
                anything(),
            )
                .prop_map(|(part, parts, by_name, pair, number)| {
                    json!({"part": part, "parts": parts, "by_name": by_name, "pair": pair, "free": [[], {}], "number": number})
                })
        })
    }

    proptest! {
        #[test]
        fn all_else_is_read_and_refused_as_serde_json_does_it(value in members()) {
            let plain = serde_path_to_error::deserialize::<_, Part>(value.clone()).map_err(|error| error.to_string());
            prop_assert_eq!(read(value), plain);
        }
    }
}
