//! What values mean to a comparison.
//!
//! * A number is a JSON number, or a text of up to 18 digits with up to nine decimals; compared at nine decimals.
//! * An instant is a text in RFC 3339 with capital letters, or a day (`2026-03-01`), which means its first moment in UTC;
//!   compared in microseconds.
//! * Two values are equal when they are the same, the same number, or the same instant. In order, numbers come before
//!   instants before texts, which are ordered by their bytes.
//!
//! The functions `condition_…` of the database say the same.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate, NaiveTime, SubsecRound, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;

pub(super) fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(_), Value::String(_)) => {
            left == right || instant(left).is_some_and(|left| instant(right) == Some(left))
        }
        (Value::Number(_), _) | (_, Value::Number(_)) => {
            number(left).is_some_and(|left| number(right) == Some(left))
        }
        _ => left == right,
    }
}

pub(super) fn texts(field: &Value, value: &Value) -> Option<(String, String)> {
    Some((field.as_str()?.to_lowercase(), value.as_str()?.to_lowercase()))
}

pub(super) fn number(value: &Value) -> Option<Decimal> {
    let exact = match value {
        Value::Number(number) => {
            let text = number.to_string();
            let read = text.parse().or_else(|_| Decimal::from_scientific(&text));
            // What is too small for a decimal is nothing at nine decimals.
            read.ok().or_else(|| number.as_f64().filter(|n| n.abs() < 1e-9).map(|_| Decimal::ZERO))?
        }
        Value::String(text) if is_plain_number(text) => text.parse().ok()?,
        _ => return None,
    };
    let rounded = exact.round_dp_with_strategy(9, RoundingStrategy::MidpointAwayFromZero);
    (exact.abs() < Decimal::from(1_000_000_000_000_000_000_i64)).then_some(rounded)
}

fn is_plain_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let are_digits =
        |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole, 18) && are_digits(decimals, 9)
}

pub(crate) fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    let bytes = text.as_bytes();
    if !text.get(..4)?.bytes().all(|byte| byte.is_ascii_digit()) || text.starts_with("0000") {
        return None;
    }
    match bytes.get(10) {
        None if bytes.len() == 10 => Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc()),
        Some(b'T') if bytes.get(17..19)? < b"60".as_slice() && !text.contains('z') => {
            let instant = DateTime::parse_from_rfc3339(text).ok()?;
            let offset = instant.offset().local_minus_utc().abs();
            (offset < 15 * 3_600).then(|| instant.with_timezone(&Utc).trunc_subsecs(6))
        }
        _ => None,
    }
}

pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Some(left.cmp(&right));
    }
    if let (Some(left), Some(right)) = (instant(left), instant(right)) {
        return Some(left.cmp(&right));
    }
    Some(left.as_str()?.cmp(right.as_str()?))
}

pub(super) fn within(field: &Value, days: &Value, now: DateTime<Utc>) -> bool {
    let (Some(at), Some(days)) = (instant(field), number(days)) else { return false };
    let distance = Decimal::from((at - now.trunc_subsecs(6)).num_seconds().abs());
    // A number of days beyond a million is any distance.
    distance <= days.min(Decimal::from(1_000_000)) * Decimal::from(86_400)
}
