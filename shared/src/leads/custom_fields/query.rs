//! `cf.key[op]=value` in the query string of a list.

use chrono_tz::Tz;
use serde_json::{Number, Value};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    CustomField, Definitions,
    model::is_key,
    values::{chosen, day},
};
use crate::{
    conditions::{Comparison, Condition, Operator, instant},
    http::{Params, Problem},
};

/// A filter by a custom field, as it was written.
#[derive(Clone, Debug)]
pub struct FieldQuery {
    /// The parameter's whole name.
    name: String,
    key: String,
    op: Operator,
    values: Vec<String>,
}

/// A look into the index that narrows the leads to a few before their values are compared.
#[derive(Clone, Debug)]
pub(in crate::leads) struct Probe {
    key: String,
    column: &'static str,
    low: Option<Value>,
    high: Option<Value>,
}

impl FieldQuery {
    /// The field's key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Takes all parameters of this form.
    pub fn take(params: &mut Params) -> Vec<Self> {
        let mut found = Vec::new();
        for (name, values) in params.take_prefixed("cf.") {
            let written = name.strip_prefix("cf.").unwrap_or_default();
            let (key, op) = match written.split_once('[').map(|(key, rest)| (key, rest.strip_suffix(']'))) {
                Some((key, op)) => (key, op.and_then(operator)),
                None => (written, Some(Operator::Eq)),
            };
            match op {
                Some(op) if is_key(key) && !values.is_empty() => {
                    found.push(Self { key: key.to_owned(), op, values, name: name.clone() });
                }
                Some(_) if values.is_empty() => params.refuse(&name, "required", "Say what to compare with."),
                Some(_) => params.refuse(&name, "invalid_key", "The name of a custom field is expected."),
                None => params.refuse(&name, "unknown_operator", "There is no such comparison."),
            }
        }
        found
    }

    /// The condition that it means, with what an index can do for it.
    ///
    /// # Errors
    /// 422 naming the parameter, when nobody defined the field or the value does not fit its type.
    pub(in crate::leads) fn read(
        &self,
        definitions: &Definitions,
        zone: Tz,
    ) -> Result<(Condition, Option<Probe>), Problem> {
        let refuse = |(code, detail): (&'static str, &'static str)| {
            Problem::invalid(format!("?{}", self.name), code, detail)
        };
        let field = match definitions.get(&self.key) {
            None if !definitions.is_free_form() => {
                return Err(refuse(("unknown_parameter", "Nobody has defined this field.")));
            }
            field => field,
        };
        let values: Result<Vec<Value>, _> =
            self.values.iter().map(|text| self.value(field, text, zone)).collect();
        let values = values.map_err(refuse)?;
        let condition = self.condition(&values).map_err(refuse)?;
        let probe = field.and_then(|field| self.probe(field, &values));
        Ok((condition, probe))
    }

    fn value(
        &self,
        field: Option<&CustomField>,
        text: &str,
        zone: Tz,
    ) -> Result<Value, (&'static str, &'static str)> {
        match self.op {
            Operator::Exists => return flag(text),
            Operator::Within => return number(text),
            Operator::Contains | Operator::StartsWith => return Ok(text.into()),
            _ => {}
        }
        match field.map(|field| (field, field.kind.as_str())) {
            Some((_, "number")) => number(text),
            Some((_, "boolean")) => flag(text),
            Some((_, "date")) => day(text).map(Value::from),
            Some((_, "datetime")) => moment(text, zone),
            Some((field, "select" | "multiSelect")) if self.op == Operator::Eq => {
                chosen(field, text).map(Value::from)
            }
            _ => Ok(text.into()),
        }
    }

    /// Several values of `eq` are alternatives, as everywhere; so are those of other operators that take one.
    fn condition(&self, values: &[Value]) -> Result<Condition, (&'static str, &'static str)> {
        let compare =
            |op, value| Condition::Compare(Comparison::new(format!("customFields.{}", self.key), op, value));
        Ok(match self.op {
            Operator::Between if values.len() != 2 => return Err(("wrong_type", "Give two values: 1,5.")),
            Operator::Between => compare(Operator::Between, values.to_vec().into()),
            Operator::In => compare(Operator::In, values.to_vec().into()),
            // A list of choices is equal to a choice when it has it.
            Operator::Eq => Condition::Any {
                any: values
                    .iter()
                    .flat_map(|value| {
                        [compare(Operator::Eq, value.clone()), compare(Operator::Includes, value.clone())]
                    })
                    .collect(),
            },
            Operator::Ne => Condition::Not {
                not: values
                    .iter()
                    .flat_map(|value| {
                        [compare(Operator::Eq, value.clone()), compare(Operator::Includes, value.clone())]
                    })
                    .collect(),
            },
            op => Condition::Any { any: values.iter().map(|value| compare(op, value.clone())).collect() },
        })
    }

    /// Only a single value of a type that the index holds whole is looked up.
    fn probe(&self, field: &CustomField, values: &[Value]) -> Option<Probe> {
        let column = match field.kind.as_str() {
            "number" => "number_value",
            "date" | "datetime" => "time_value",
            "select" | "multiSelect" | "email" | "phone" => "text_value",
            _ => return None,
        };
        let (low, high) = match (self.op, values) {
            (Operator::Eq | Operator::Includes, [value]) => (Some(value), Some(value)),
            (Operator::Gt | Operator::Gte | Operator::After, [value]) => (Some(value), None),
            (Operator::Lt | Operator::Lte | Operator::Before, [value]) => (None, Some(value)),
            (Operator::Between, [low, high]) => (Some(low), Some(high)),
            _ => return None,
        };
        let is_range = low.is_none() || high.is_none() || low != high;
        if column == "text_value" && is_range {
            return None;
        }
        Some(Probe { key: self.key.clone(), column, low: low.cloned(), high: high.cloned() })
    }
}

impl Probe {
    /// Appends the look into the index.
    pub(in crate::leads) fn push(&self, query: &mut QueryBuilder<'_, Postgres>, tenant: Uuid) {
        query
            .push(" and l.id in (select v.lead_id from lead_field_values v where v.tenant_id = ")
            .push_bind(tenant);
        query.push(" and v.key = ").push_bind(self.key.clone());
        for (sign, bound) in [(" >= ", &self.low), (" <= ", &self.high)] {
            let Some(bound) = bound else { continue };
            query.push(format!(" and v.{}{sign}", self.column));
            match self.column {
                "number_value" => query.push_bind(bound.as_f64().unwrap_or_default()),
                "time_value" => query.push_bind(instant(bound).unwrap_or_default()),
                _ => query.push_bind(bound.as_str().map(|text| text.chars().take(200).collect::<String>())),
            };
        }
        query.push(")");
    }
}

fn operator(word: &str) -> Option<Operator> {
    serde_json::from_value(word.into()).ok()
}

fn flag(text: &str) -> Result<Value, (&'static str, &'static str)> {
    text.parse::<bool>().map(Value::from).map_err(|_| ("wrong_type", "Say true or false."))
}

fn number(text: &str) -> Result<Value, (&'static str, &'static str)> {
    text.parse::<Number>().map(Value::Number).map_err(|_| ("wrong_type", "A number is expected."))
}

/// RFC 3339, or a day, which begins when it begins where the business is.
fn moment(text: &str, zone: Tz) -> Result<Value, (&'static str, &'static str)> {
    let value = Value::from(text);
    if text.len() > 10 && instant(&value).is_some() {
        return Ok(value);
    }
    let day = text.parse().ok().and_then(|day| crate::time::start_of_day(day, zone));
    day.map(|instant| instant.to_rfc3339().into()).ok_or(("invalid_time", "RFC 3339 or a date is expected."))
}
