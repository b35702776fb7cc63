//! Strict reading of JSON from outside.
//!
//! `serde_json` keeps the last of two equal keys and nests 128 deep. Both are trouble at a border: two readers of one
//! body may disagree about which key counts, and depth costs stack. So every body is read here: nesting at most
//! [`MAX_DEPTH`], duplicate keys refused, and no NUL characters, which PostgreSQL can store neither in `text` nor in
//! `jsonb`.

mod shape;

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use shape::Shape;

/// The deepest nesting of arrays and objects that is read. The outermost one counts as 1.
pub const MAX_DEPTH: usize = 32;

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonRefusal {
    /// Not JSON (RFC 8259), not UTF-8, a number out of range, or something after the value. Line and column count from 1.
    #[error("invalid JSON at line {line}, column {column}")]
    Syntax {
        /// Line of the first offending byte.
        line: usize,
        /// Column of the first offending byte.
        column: usize,
    },
    /// Arrays and objects nested deeper than [`MAX_DEPTH`].
    #[error("JSON nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// One object names a key twice.
    #[error("duplicate key")]
    DuplicateKey {
        /// The JSON pointer (RFC 6901) of the key that was repeated.
        pointer: String,
    },
    /// A string holds U+0000, which cannot be stored.
    #[error("a string holds the NUL character")]
    Nul,
}

impl JsonRefusal {
    /// A stable word for the kind of refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "invalid_json",
            Self::TooDeep => "json_too_deep",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::Nul => "nul_character",
        }
    }
}

/// Reads one JSON value that fills `bytes`.
///
/// # Errors
/// The first [`JsonRefusal`] met.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, JsonRefusal> {
    parse(bytes, Nul::Refuse)
}

/// Like [`parse_strict`], but drops NUL characters instead of refusing them: for senders whose events must not be lost
/// over a character that nobody typed.
///
/// # Errors
/// The first [`JsonRefusal`] met, never [`JsonRefusal::Nul`].
pub fn parse_without_nul(bytes: &[u8]) -> Result<Value, JsonRefusal> {
    parse(bytes, Nul::Drop)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nul {
    Refuse,
    Drop,
}

fn parse(bytes: &[u8], nul: Nul) -> Result<Value, JsonRefusal> {
    let reading = Reading { nul, path: RefCell::default(), refusal: RefCell::default() };
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let outcome = Level { reading: &reading, depth: 0 }.deserialize(&mut source);
    let outcome = outcome.and_then(|value| source.end().map(|()| value));
    outcome.map_err(|error| {
        let refusal = reading.refusal.take();
        refusal.unwrap_or(JsonRefusal::Syntax { line: error.line(), column: error.column() })
    })
}

/// What one reading has learnt: serde's errors carry text only, so the typed refusal travels beside them.
struct Reading {
    nul: Nul,
    path: RefCell<Vec<String>>,
    refusal: RefCell<Option<JsonRefusal>>,
}

impl Reading {
    fn refuse<E: serde::de::Error>(&self, refusal: JsonRefusal) -> E {
        let error = E::custom(&refusal);
        self.refusal.borrow_mut().get_or_insert(refusal);
        error
    }

    fn text<E: serde::de::Error>(&self, text: &str) -> Result<String, E> {
        match self.nul {
            _ if !text.contains('\0') => Ok(text.to_owned()),
            Nul::Refuse => Err(self.refuse(JsonRefusal::Nul)),
            Nul::Drop => Ok(text.replace('\0', "")),
        }
    }

    fn pointer(&self, key: &str) -> String {
        let path = self.path.borrow();
        path.iter().map(String::as_str).chain([key]).fold(String::new(), |mut pointer, part| {
            pointer.push('/');
            pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
            pointer
        })
    }
}

#[derive(Clone, Copy)]
struct Level<'r> {
    reading: &'r Reading,
    depth: usize,
}

impl Level<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.reading.refuse(JsonRefusal::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.reading.text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        self.reading.path.borrow_mut().push("0".to_owned());
        while let Some(item) = source.next_element_seed(inner)? {
            items.push(item);
            self.step(items.len().to_string());
        }
        self.reading.path.borrow_mut().pop();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut entries = Map::new();
        self.reading.path.borrow_mut().push(String::new());
        while let Some(key) = source.next_key::<String>()? {
            let key = self.reading.text::<A::Error>(&key)?;
            if entries.contains_key(&key) {
                self.reading.path.borrow_mut().pop();
                let pointer = self.reading.pointer(&key);
                return Err(self.reading.refuse(JsonRefusal::DuplicateKey { pointer }));
            }
            self.step(key.clone());
            let value = source.next_value_seed(inner)?;
            entries.insert(key, value);
        }
        self.reading.path.borrow_mut().pop();
        Ok(Value::Object(entries))
    }
}

impl Level<'_> {
    fn step(self, to: String) {
        if let Some(last) = self.reading.path.borrow_mut().last_mut() {
            *last = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_refusal_is_told_apart() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_strict(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse_strict(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonRefusal::TooDeep));
        assert_eq!(parse_strict("[".repeat(1_000_000).as_bytes()), Err(JsonRefusal::TooDeep));
        assert_eq!(parse_strict(b"{\"a\":1,}"), Err(JsonRefusal::Syntax { line: 1, column: 8 }));
        for broken in [&b""[..], b"{} {}", b"\xff", b"\"\\ud800\"", b"1e999", b"nul", b"{\"a\" 1}", b"'a'"] {
            assert!(matches!(parse_strict(broken), Err(JsonRefusal::Syntax { .. })), "{broken:?}");
        }
        let twice = br#"{"a":[0,{"b/c":1,"x":{},"b/c":2}]}"#;
        assert_eq!(parse_strict(twice), Err(JsonRefusal::DuplicateKey { pointer: "/a/1/b~1c".into() }));
        assert_eq!(
            parse_strict(br#"{"a":1,"\u0061":2}"#),
            Err(JsonRefusal::DuplicateKey { pointer: "/a".into() })
        );
        assert_eq!(parse_strict(br#"["a\u0000b"]"#), Err(JsonRefusal::Nul));
        assert_eq!(parse_without_nul(br#"{"\u0000a":"a\u0000b"}"#), Ok(json!({"a": "ab"})));
        assert_eq!(parse_without_nul(br#"{"\u0000a":1,"a":2}"#).unwrap_err().code(), "duplicate_key");
    }

    #[test]
    fn a_good_value_is_what_serde_json_reads() {
        let text = br#" {"a":[1,-2,3.5,1e3,true,null,"x"],"b":{"c":{"c":18446744073709551615}}} "#;
        assert_eq!(parse_strict(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
    }

    proptest! {
        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = parse_strict(&bytes) {
                prop_assert_eq!(value, serde_json::from_slice::<Value>(&bytes).unwrap());
            }
        }

        #[test]
        fn reading_json_like_text_is_total(text in r#"[\[\]{}",:a0\\u ]{0,60}"#) {
            let _ = parse_strict(text.as_bytes());
            let _ = parse_without_nul(text.as_bytes());
        }
    }
}
