//! Custom fields in a cell of a table: out without loss, and back.
//!
//! A defined field says what its cell means. Without definitions a cell says it itself: one that is exactly how JSON writes a number, `true`, `false`, a
//! list, an object or a quoted text is that, everything else is the text that it looks like. A text that would be taken for one of those is
//! written in JSON's quotes, so it comes back as the text that it is; `0049` and `1.50` are no numbers of JSON's and stay as they are.

use serde_json::Value;

use super::{CustomField, values::Refusal};

/// The value as a cell shows it.
pub(in crate::leads) fn cell(field: Option<&CustomField>, value: &Value) -> String {
    match (field.map(|field| field.kind.as_str()), value) {
        (_, Value::Null) => String::new(),
        (Some("multiSelect"), Value::Array(choices)) => list_cell(choices),
        (Some(_), Value::String(text)) => text.clone(),
        (None, Value::String(text)) if loose(text) == *value => text.clone(),
        _ => value.to_string(),
    }
}

/// The value that a cell of a field without a definition stands for.
pub(in crate::leads) fn loose(cell: &str) -> Value {
    let value = serde_json::from_str::<Value>(cell).unwrap_or_default();
    let written = value.to_string();
    if written == cell && !value.is_null() { value } else { Value::String(cell.to_owned()) }
}

/// The value that a cell of a defined field stands for; whether it fits is another question.
pub(in crate::leads) fn typed(field: &CustomField, cell: &str) -> Result<Value, Refusal> {
    match field.kind.as_str() {
        "number" => match cell.trim().parse::<serde_json::Number>() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => Err(("wrong_type", "A number is expected.")),
        },
        "boolean" => match cell.trim().to_lowercase().as_str() {
            "true" | "yes" | "ja" | "1" => Ok(true.into()),
            "false" | "no" | "nein" | "0" => Ok(false.into()),
            _ => Err(("wrong_type", "true or false is expected.")),
        },
        "multiSelect" => Ok(words(cell).into()),
        "text" => Ok(cell.into()),
        _ => Ok(cell.trim().into()),
    }
}

/// Several words in a cell: separated by commas, or a JSON list where a word has one itself.
pub(in crate::leads) fn list_cell(words: &[Value]) -> String {
    let plain: Option<Vec<&str>> = words
        .iter()
        .map(|word| {
            word.as_str()
                .filter(|word| !word.contains([',', ';']) && word.trim() == *word && !word.starts_with('['))
        })
        .collect();
    plain.map_or_else(|| Value::Array(words.to_vec()).to_string(), |words| words.join(", "))
}

/// The way back. Semicolons separate too.
pub(in crate::leads) fn words(cell: &str) -> Vec<String> {
    if cell.trim_start().starts_with('[')
        && let Ok(words) = serde_json::from_str::<Vec<String>>(cell)
    {
        return words;
    }
    cell.split([',', ';']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_without_a_definition_is_what_json_would_write_or_a_text() {
        for value in [
            json!(5),
            json!(-1.5),
            json!(true),
            json!("5"),
            json!("true"),
            json!("0049"),
            json!("1.50"),
            json!([1, "a"]),
            json!({"a": {"b": null}}),
            json!("[1"),
            json!("\"5\""),
            json!("null"),
            json!(" x "),
        ] {
            assert_eq!(loose(&cell(None, &value)), value, "{}", cell(None, &value));
        }
        assert_eq!(
            (cell(None, &json!("0049")), cell(None, &json!("5"))),
            ("0049".to_owned(), "\"5\"".to_owned())
        );
    }

    proptest! {
        #[test]
        fn every_text_and_number_comes_back(text in "\\PC{0,12}|-?[0-9.e]{1,8}|[\\[\\]{}\"0-9a-z:,]{0,10}", number in any::<i64>()) {
            for value in [json!(text), json!(number), json!([text, number]), json!({"k": text})] {
                prop_assume!(value != json!(""));
                prop_assert_eq!(loose(&cell(None, &value)), value);
            }
        }

        #[test]
        fn lists_of_words_come_back(words_given in prop::collection::vec("[a-z,;\\[\\] ]{1,6}", 0..4)) {
            let given: Vec<Value> = words_given.iter().map(|word| json!(word)).collect();
            prop_assert_eq!(words(&list_cell(&given)), words_given);
        }
    }
}
