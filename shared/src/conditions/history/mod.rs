//! What a person did, as conditions ask for it: events, activities, messages, purchases, measurements.
//!
//! A field is a source and what is made of it: `messages.count`, `purchases.sum`, `metrics.last`. `where` says which of the
//! source's entries are meant, `within` only those of the last so many days. What comes out is one number or one instant,
//! compared as any other field: nobody's count and sum are zero, everything else of nobody is null.
//!
//! There is one meaning, the statement in `sql`. A run that must know about its own person asks that very statement for this
//! person (`answers`) and goes on in memory with the answer.

mod answers;
mod sql;
mod test;
mod vocabulary;

use serde_json::Value;

pub use self::{
    answers::{History, Past},
    vocabulary::{HistoryField, history_fields},
};
pub(super) use self::{
    sql::push,
    vocabulary::{Source, is_field},
};
use self::{
    test::Test,
    vocabulary::{Aggregate, Key},
};
use super::Comparison;

/// Days that `within` may reach back: ten years.
const MAX_DAYS: f64 = 3_660.0;
/// Alternatives of one key in `where`.
const MAX_WORDS: usize = 50;
/// The longest of them.
const MAX_WORD: usize = 200;

/// What is wrong with a comparison: pointer below it, word, sentence.
type Wrong = (String, &'static str, &'static str);

/// A comparison over what a person did, understood.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) source: Source,
    pub(super) aggregate: Aggregate,
    pub(super) narrowed: Vec<(Key, Vec<String>)>,
    pub(super) within: Option<f64>,
    test: Test,
}

impl Asked {
    /// The only word of a key that takes one.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.words(name).first().map(String::as_str)
    }

    /// The words of a key, none when it is not narrowed by it.
    pub(super) fn words(&self, name: &str) -> &[String] {
        self.narrowed.iter().find(|(key, _)| key.name == name).map_or(&[], |(_, words)| words)
    }

    /// Whether the comparison holds for somebody who did nothing.
    fn holds_for_nothing(&self) -> bool {
        self.test.holds_for_nothing(self.aggregate.is_zero_of_nothing())
    }
}

/// Understands a comparison.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(comparison: &Comparison) -> Result<Asked, Vec<Wrong>> {
    let Some((source, aggregate)) = vocabulary::locate(&comparison.field) else {
        let detail = "There is no such field over what a person did; see the catalogue.";
        return Err(vec![("/field".to_owned(), "unknown_field", detail)]);
    };
    let mut wrong = Vec::new();
    let narrowed = read_where(source, comparison, &mut wrong);
    check_fit(source, aggregate, &narrowed, &mut wrong);
    if comparison.within.is_some_and(|days| !(days > 0.0 && days <= MAX_DAYS)) {
        let detail = "A number of days is expected, above 0 and up to 3,660.";
        wrong.push(("/within".to_owned(), "out_of_range", detail));
    }
    match Test::read(comparison, aggregate) {
        Ok(test) if wrong.is_empty() => {
            Ok(Asked { source, aggregate, narrowed, within: comparison.within, test })
        }
        Ok(_) => Err(wrong),
        Err((pointer, code, detail)) => {
            wrong.push((pointer.to_owned(), code, detail));
            Err(wrong)
        }
    }
}

fn read_where(source: Source, comparison: &Comparison, wrong: &mut Vec<Wrong>) -> Vec<(Key, Vec<String>)> {
    let mut narrowed = Vec::new();
    for (name, value) in comparison.narrowed.iter().flatten() {
        let pointer = format!("/where/{name}");
        let Some(key) = source.key(name) else {
            wrong.push((pointer, "unknown_field", "Entries of this kind are not narrowed by this."));
            continue;
        };
        match words(value) {
            Some(words) if key.takes_one && words.len() > 1 => {
                wrong.push((pointer, "too_many_values", "One word is expected here."));
            }
            Some(words) if words.iter().all(|word| key.takes(word)) => narrowed.push((key, words)),
            Some(_) => wrong.push((pointer, "unknown_value", "There is no such word; see the catalogue.")),
            None => wrong.push((pointer, "wrong_type", "A text or a list of 1 to 50 texts is expected.")),
        }
    }
    narrowed
}

/// What must be said, and what cannot be said together.
fn check_fit(source: Source, aggregate: Aggregate, narrowed: &[(Key, Vec<String>)], wrong: &mut Vec<Wrong>) {
    let words = |name: &str| narrowed.iter().find(|(key, _)| key.name == name).map(|(_, words)| words);
    let mut refuse = |name: &str, code, detail| wrong.push((format!("/where/{name}"), code, detail));
    if matches!(source, Source::Events | Source::Metrics) && words("type").is_none() {
        refuse("type", "required", "Say of which type.");
    }
    if source == Source::Purchases && aggregate.is_amount() {
        if words("currency").is_none() {
            refuse("currency", "required", "Amounts of two currencies do not compare: say which.");
        }
        if words("itemId").is_some() {
            refuse(
                "itemId",
                "unsupported_field",
                "An item is counted and dated; amounts are those of whole documents.",
            );
        }
    }
    if source == Source::Metrics && !aggregate.is_measured() && words("unit").is_some() {
        refuse("unit", "unsupported_field", "A count and a time have no unit.");
    }
    for (key, _) in narrowed {
        let fits = |kind: &String| key.types.is_empty() || key.types.contains(&kind.as_str());
        if source == Source::Events && words("type").is_some_and(|types| !types.iter().all(fits)) {
            refuse(&key.name, "unsupported_field", "Events of this type do not have it.");
        }
    }
}

fn words(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<String> = match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(ToOwned::to_owned)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let fits = (1..=MAX_WORDS).contains(&texts.len()) && texts.iter().all(|text| text.len() <= MAX_WORD);
    fits.then_some(texts)
}

#[cfg(test)]
mod tests;
