use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

#[test]
fn a_hint_recognises_and_does_not_reach_anybody() {
    for (full, hint) in [
        ("ada@example.com", "a•••••@example.com"),
        ("+491712345612", "+49•••••12"),
        ("12345", "•••••"),
        ("", "•••••"),
    ] {
        assert_eq!(address(Private::new(full.to_owned())).expose(), hint);
    }
}

#[test]
fn what_can_be_told_from_all_else_is_replaced_wherever_it_stands() {
    for (text, masked) in [
        ("Write to ada@example.com.", "Write to a•••••@example.com."),
        ("<mailto:O'Neil@ex-ample.co.uk>,+1@x.org", "<mailto:O•••••@ex-ample.co.uk>,+•••••@x.org"),
        ("https://x.org/?email=ada%40example.com&a=1", "https://x.org/?email=a•••••%40example.com&a=1"),
        ("?phone=%2B491712345699", "?phone=%2B•••••99"),
        ("?phone=+49+171+2345699", "?phone=+49•••••99"),
        ("ada&#64;example.com &#43;49 171 2345699", "a•••••&#64;example.com &#4•••••99"),
        ("+49 (0) 171 - 2345699 or +1-415-555-0199", "+49•••••99 or +1-•••••99"),
        ("+1234567", "•••••"),
        ("a@b.com@c.com, d@e.com.@f.com", "a•••••@c.com, d•••••@e•••••@f.com"),
        ("grüße@münchen.de", "g•••••@münchen.de"),
    ] {
        assert_eq!(anywhere(text), masked);
    }
    for plain in [
        "2026-11-28T10:00:00+01:00",
        "2026-11-28 10:00:00.123456+00",
        "0198a000-0000-7000-8000-00000000beef",
        "01712345699",
        "1,234,567.89",
        "a @ b, x@localhost, @handle, 5 + 3",
        "LTF8MTcwMDAwMDAwMDAwMDAwMA",
    ] {
        assert!(matches!(anywhere(plain), Cow::Borrowed(_)), "{plain}");
    }
}

#[test]
fn in_texts_digits_are_numbers_unless_they_are_something_else() {
    for (text, masked) in [
        ("Call 0171 2345699 or (415) 555-0199!", "Call 017•••••99 or (415•••••99!"),
        ("415-555-0199, 030/1234567, 06 12 34 56 78", "415•••••99, 030•••••67, 06 •••••78"),
        ("on 2026-11-28 at 0171 2345699", "on 2026-11-28 at 017•••••99"),
        ("01.02.2026 10:30 and 2026-11-28 10:30", "01.02.2026 10:30 and 2026-11-28 10:30"),
        ("01.02.2026.55", "01.•••••55"),
        ("INV-2026-000012 and INV-000012", "INV-2026-000012 and INV-000012"),
        ("+49 171 2345699", "+49•••••99"),
        ("id 0198a000-0000-7000-8000-00000000beef", "id 0198a000-0000-7000-8000-00000000beef"),
        ("12 weeks, 345 people, 123456 steps", "12 weeks, 345 people, 123456 steps"),
    ] {
        assert_eq!(prose(text), masked);
        assert_eq!(holds_address(text), text != masked);
    }
    assert_eq!(page("https://x.org/p/1234567?tel=0171-2345699"), "https://x.org/p/1234567?tel=017•••••99");
}

#[test]
fn answers_of_forms_are_numbers_from_seven_digits_on() {
    let given = json!({
        "mobile": "0171 2345699", "raw": 1_712_345_699, "odd": "0171, then 23456", "list": ["ada@example.com", 42, true],
        "born": "1990-05-17", "id": "0198a000-0000-7000-8000-00000000beef", "age": 41, "ada@example.com": null,
    });
    assert_eq!(
        answers(given),
        json!({
            "mobile": "017•••••99", "raw": "171•••••99", "odd": "017•••••56", "list": ["a•••••@example.com", 42, true],
            "born": "1990-05-17", "id": "0198a000-0000-7000-8000-00000000beef", "age": 41, "a•••••@example.com": null,
        })
    );
    assert_eq!(
        values::within(json!({"n": 1_712_345_699, "t": "0171 2345699"})),
        json!({"n": 1_712_345_699, "t": "017•••••99"})
    );
}

/// Texts that are made of what addresses are made of, and of what JSON writes in its own way.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => r#"[ a-c@.+%&;#0-9"\\/\n\t()•äé😀-]{0,6}"#,
        1 => Just("ada@example.com".to_owned()),
        1 => Just("ada%40example.com".to_owned()),
        1 => Just("+49 171 2345699".to_owned()),
        1 => Just("0171-2345699".to_owned()),
        1 => Just("2026-11-28".to_owned()),
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        (-9_999..9_999_i32).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn string_by_string(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(anywhere(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(string_by_string).collect(),
        Value::Object(members) => {
            let member =
                |(name, value): (String, Value)| (anywhere(&name).into_owned(), string_by_string(value));
            Value::Object(members.into_iter().map(member).collect())
        }
        other => other,
    }
}

/// JSON that says the same with escapes that no program of ours would write.
fn escaped(value: &Value) -> String {
    let mut raw = String::new();
    let mut inside = false;
    let mut after_backslash = false;
    for character in value.to_string().chars() {
        match character {
            '"' if !after_backslash => inside = !inside,
            '@' | '+' if inside && !after_backslash => {
                raw.push_str(&format!("\\u{:04x}", u32::from(character)));
                continue;
            }
            _ => {}
        }
        after_backslash = inside && character == '\\' && !after_backslash;
        raw.push(character);
    }
    raw
}

proptest! {
    #[test]
    fn a_body_is_masked_string_by_string_and_otherwise_untouched(given in value()) {
        let expected = string_by_string(given.clone());
        for raw in [given.to_string(), escaped(&given), serde_json::to_string_pretty(&given).unwrap()] {
            match body(raw.as_bytes()) {
                None => prop_assert_eq!(&expected, &given),
                Some(masked) => {
                    let read: Value = serde_json::from_slice(&masked).unwrap();
                    prop_assert_eq!(&read, &expected);
                    prop_assert_eq!(body(&masked), None);
                }
            }
        }
    }

    #[test]
    fn masking_leaves_no_address_and_changes_nothing_twice(given in text()) {
        for mask in [anywhere, prose, page] {
            let masked = mask(&given).into_owned();
            prop_assert_eq!(mask(&masked), masked.as_str());
            prop_assert!(!masked.contains("ada@example.com") && !masked.contains("ada%40example.com"));
            prop_assert!(!masked.contains("+49 171 2345699"));
        }
        prop_assert!(!prose(&given).contains("0171-2345699"));
        prop_assert_eq!(answers(answers(given.clone().into())), answers(given.into()));
    }

    #[test]
    fn any_bytes_are_survived(given in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = body(&given);
    }
}
