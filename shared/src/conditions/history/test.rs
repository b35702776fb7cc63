//! What the number or instant of a history is compared with.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use super::vocabulary::Aggregate;
use crate::conditions::{
    Comparison, Operator,
    values::{instant, number},
};

/// A value, in the type of the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operand {
    Number(Decimal),
    Instant(DateTime<Utc>),
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Greater,
    AtLeast,
    Less,
    AtMost,
}

impl Sign {
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
        }
    }
}

/// A comparison whose values are read.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// One of them.
    Any(Vec<Operand>),
    /// None of them.
    Not(Operand),
    /// Beyond a value.
    Order(Sign, Operand),
    /// From one to the other, both included.
    Range(Operand, Operand),
    /// An instant within so many days of now.
    Near(Decimal),
    /// Whether there is a value.
    Set(bool),
}

type Wrong = (&'static str, &'static str, &'static str);

impl Test {
    pub(super) fn read(comparison: &Comparison, aggregate: Aggregate) -> Result<Self, Wrong> {
        let value = &comparison.value;
        let operand = |value: &Value| operand(value, aggregate);
        let order = |sign| operand(value).map(|operand| Self::Order(sign, operand));
        let is_null = value.is_null() && !aggregate.is_zero_of_nothing();
        match comparison.op {
            Operator::Eq if is_null => Ok(Self::Set(false)),
            Operator::Ne if is_null => Ok(Self::Set(true)),
            Operator::Eq => Ok(Self::Any(vec![operand(value)?])),
            Operator::Ne => Ok(Self::Not(operand(value)?)),
            Operator::In => match value.as_array() {
                Some(items) => Ok(Self::Any(items.iter().map(operand).collect::<Result<_, _>>()?)),
                None => Err(("/value", "wrong_type", "`in` takes a list.")),
            },
            Operator::Gt => order(Sign::Greater),
            Operator::Gte => order(Sign::AtLeast),
            Operator::Lt => order(Sign::Less),
            Operator::Lte => order(Sign::AtMost),
            Operator::After if aggregate.is_time() => order(Sign::Greater),
            Operator::Before if aggregate.is_time() => order(Sign::Less),
            Operator::Between => match value.as_array().map(Vec::as_slice) {
                Some([low, high]) => Ok(Self::Range(operand(low)?, operand(high)?)),
                _ => Err(("/value", "wrong_type", "`between` takes a list of two values.")),
            },
            Operator::Within if aggregate.is_time() => match number(value) {
                Some(days) if days >= Decimal::ZERO => Ok(Self::Near(days.min(Decimal::from(1_000_000)))),
                _ => Err(("/value", "wrong_type", "`within` takes a number of days.")),
            },
            Operator::Exists if !aggregate.is_zero_of_nothing() => {
                Ok(Self::Set(value != &Value::Bool(false)))
            }
            _ => Err(("/op", "unsupported_operator", "This field is not compared like that.")),
        }
    }

    /// Whether it holds for zero, or for null.
    pub(super) fn holds_for_nothing(&self, is_zero: bool) -> bool {
        let zero = Operand::Number(Decimal::ZERO);
        match self {
            Self::Set(set) => !set,
            Self::Not(other) => !is_zero || *other != zero,
            Self::Any(others) => is_zero && others.contains(&zero),
            Self::Range(low, high) => is_zero && *low <= zero && zero <= *high,
            Self::Order(sign, other) => {
                is_zero
                    && match sign {
                        Sign::Greater => zero > *other,
                        Sign::AtLeast => zero >= *other,
                        Sign::Less => zero < *other,
                        Sign::AtMost => zero <= *other,
                    }
            }
            Self::Near(_) => false,
        }
    }
}

fn operand(value: &Value, aggregate: Aggregate) -> Result<Operand, Wrong> {
    if aggregate.is_time() {
        let at = instant(value).map(Operand::Instant);
        return at.ok_or(("/value", "invalid_time", "RFC 3339 or a date is expected."));
    }
    let number = number(value).filter(|_| value.is_number()).map(Operand::Number);
    number.ok_or(("/value", "wrong_type", "A number is expected."))
}
