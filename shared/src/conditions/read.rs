//! Reading a tree from JSON, with a pointer for everything that is wrong.
//!
//! A tree that an outsider sends is read by hand: to serde a node with both `all` and `any` would be an `all`, and what the
//! caller meant by the rest would be ignored.

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Comparison, Condition, MAX_DEPTH, lead_problems, unknown_names};
use crate::{
    auth::{Permission, ReadFinance, ReadMessages, ReadWellness},
    db::TenantTx,
    http::{Cx, FieldErrors, Problem, locate_field},
    json::Shape,
};

/// What every reader that knows no pointers says.
const NO_CONDITION: &str =
    "invalid_condition: A condition is {field, op, value} or {all|any|not: [conditions]}.";

/// By its words, not by trial: what is tried as one of several shapes also takes lists for objects.
impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        type Make = fn(Vec<Condition>) -> Condition;
        const WORDS: [(&str, Make); 3] = [
            ("all", |all| Condition::All { all }),
            ("any", |any| Condition::Any { any }),
            ("not", |not| Condition::Not { not }),
        ];
        let mut node = Value::deserialize(source)?;
        let parts = WORDS.iter().find_map(|(word, make)| Some((node.as_object_mut()?.remove(*word)?, make)));
        let read = match parts {
            Some((parts, make)) => Vec::deserialize(Shape::of(parts)).map(make),
            None => Comparison::deserialize(Shape::of(node)).map(Self::Compare),
        };
        read.map_err(|_| D::Error::custom(NO_CONDITION))
    }
}

/// Reads a tree that a caller wants asked of all leads. Whoever asks what people wrote, bought or measured must be allowed to read
/// that.
///
/// # Errors
/// 422 for each part that is no condition or asks what leads do not have, 403 for what the caller may not read.
pub async fn read_asked<P: Permission>(
    cx: &mut Cx<P>,
    value: &Value,
    pointer: &str,
) -> Result<Condition, Problem> {
    let condition = read_for_leads(&mut cx.tx, value, pointer).await?;
    if condition.asks_about("messages") {
        cx.actor.require::<ReadMessages>()?;
    }
    if condition.asks_about("purchases") {
        cx.actor.require::<ReadFinance>()?;
    }
    if condition.asks_about("metrics") {
        cx.actor.require::<ReadWellness>()?;
    }
    Ok(condition)
}

/// Reads a tree that is to be asked of all leads.
///
/// # Errors
/// 422 below `pointer` for each part that is no condition, for each field that leads do not have, and for what a
/// comparison names and the business does not know.
async fn read_for_leads(tx: &mut TenantTx, value: &Value, pointer: &str) -> Result<Condition, Problem> {
    let mut errors = FieldErrors::default();
    let read = read(value, pointer, 1, &mut errors);
    errors.into_result()?;
    let Some(condition) = read else { return Err(Problem::internal()) };
    let mut errors = FieldErrors::default();
    for (below, code, detail) in condition.problems().into_iter().chain(lead_problems(&condition)) {
        errors.add(format!("{pointer}{below}"), code, detail);
    }
    errors.into_result()?;
    let mut errors = FieldErrors::default();
    for (below, code, detail) in unknown_names(tx, &[&condition]).await?.into_iter().flatten() {
        errors.add(format!("{pointer}{below}"), code, detail);
    }
    errors.into_result()?;
    Ok(condition)
}

fn read(value: &Value, pointer: &str, depth: usize, errors: &mut FieldErrors) -> Option<Condition> {
    let Some(node) = value.as_object() else {
        errors.add(pointer, "wrong_type", "A condition is an object.");
        return None;
    };
    if depth > MAX_DEPTH {
        errors.add(pointer, "too_deep", "Conditions nest at most eight deep.");
        return None;
    }
    let word = ["all", "any", "not"].into_iter().find(|word| node.contains_key(*word));
    let Some(word) = word else { return read_comparison(value, pointer, errors) };
    let parts = read_parts(node, word, pointer, depth, errors)?;
    Some(match word {
        "all" => Condition::All { all: parts },
        "any" => Condition::Any { any: parts },
        _ => Condition::Not { not: parts },
    })
}

fn read_parts(
    node: &Map<String, Value>,
    word: &str,
    pointer: &str,
    depth: usize,
    errors: &mut FieldErrors,
) -> Option<Vec<Condition>> {
    for stray in node.keys().filter(|key| *key != word) {
        errors.add(format!("{pointer}/{stray}"), "unknown_field", format!("This stands beside `{word}`."));
    }
    let Some(parts) = node.get(word).and_then(Value::as_array) else {
        errors.add(format!("{pointer}/{word}"), "wrong_type", "A list of conditions is expected.");
        return None;
    };
    let read = parts
        .iter()
        .enumerate()
        .map(|(index, part)| read(part, &format!("{pointer}/{word}/{index}"), depth + 1, errors));
    // All parts are read before one that is missing counts, so that a caller hears of every mistake.
    let read: Vec<Option<Condition>> = read.collect();
    read.into_iter().collect()
}

fn read_comparison(value: &Value, pointer: &str, errors: &mut FieldErrors) -> Option<Condition> {
    match serde_path_to_error::deserialize::<_, Comparison>(Shape::of(value.clone())) {
        Ok(comparison) => Some(Condition::Compare(comparison)),
        Err(error) => {
            let found = locate_field(&error);
            errors.add(format!("{pointer}{}", found.pointer), found.code, found.detail);
            None
        }
    }
}
