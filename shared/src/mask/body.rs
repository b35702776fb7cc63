//! The last look at an answer: addresses in any of its strings.
//!
//! It works on the text of the JSON. Only a string that holds an address is written anew; every other byte, the order of members and
//! the look of numbers stay as they are.

use std::borrow::Cow;

use super::text::anywhere;

/// The body with its addresses replaced; nothing when it holds none. What is no JSON is not looked at.
#[must_use]
pub fn body(json: &[u8]) -> Option<Vec<u8>> {
    let (mut masked, mut kept, mut at) = (Vec::new(), 0, 0);
    while let Some(start) = find(json, at, |byte| byte == b'"') {
        let end = end_of_string(json, start)?;
        if let Some(hint) = json.get(start..end).and_then(mask) {
            masked.extend_from_slice(json.get(kept..start)?);
            masked.extend_from_slice(&hint);
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return None;
    }
    masked.extend_from_slice(json.get(kept..)?);
    Some(masked)
}

fn find(json: &[u8], from: usize, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    json.get(from..)?.iter().position(|byte| is_it(*byte)).map(|place| from + place)
}

/// Behind the closing quotation mark.
fn end_of_string(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let mark = find(json, at, |byte| matches!(byte, b'"' | b'\\'))?;
        if json.get(mark) == Some(&b'"') {
            return Some(mark + 1);
        }
        at = mark + 2;
    }
}

/// The string with its quotation marks, if an address stands in it. Without one of these characters none can.
fn mask(literal: &[u8]) -> Option<Vec<u8>> {
    find(literal, 0, |byte| matches!(byte, b'@' | b'+' | b'%' | b'&' | b'\\'))?;
    let text: String = serde_json::from_slice(literal).ok()?;
    match anywhere(&text) {
        Cow::Owned(masked) => serde_json::to_vec(&masked).ok(),
        Cow::Borrowed(_) => None,
    }
}
