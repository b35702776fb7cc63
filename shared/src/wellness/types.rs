//! Types as a business sees them: the built-in ones, its own, and its changes to the built-in ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::catalogue::{Aggregation, BUILT_IN, MetricType, built_in};
use crate::db::{DbResult, TenantTx};

/// How a unit becomes the canonical one: canonical = value × factor + offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Conversion {
    /// Canonical units in one of it.
    #[serde(default = "one")]
    pub factor: f64,
    /// Canonical value of its zero.
    #[serde(default)]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

/// A kind of measurement.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeOut {
    /// The word that metrics name it by.
    pub key: String,
    /// What people call it.
    pub title: String,
    /// The unit in which values are stored and answered (UCUM).
    pub unit: String,
    /// Every unit that is taken, the canonical one first.
    pub accepted_units: Vec<String>,
    /// How each accepted unit becomes the canonical one.
    pub conversions: BTreeMap<String, Conversion>,
    /// How the values of a day make one.
    pub aggregation: Aggregation,
    /// Least plausible value, in the canonical unit.
    pub min: Option<f64>,
    /// Largest plausible value, in the canonical unit.
    pub max: Option<f64>,
    /// LOINC code.
    pub loinc: Option<String>,
    /// Whether the business added or changed it.
    pub own: bool,
}

impl TypeOut {
    /// The value in the canonical unit, or `None` for a unit that the type does not take.
    #[must_use]
    pub fn convert(&self, value: f64, unit: &str) -> Option<f64> {
        if unit == self.unit {
            return Some(value);
        }
        self.conversions.get(unit).map(|to| value * to.factor + to.offset)
    }

    /// Whether a canonical value is plausible.
    #[must_use]
    pub fn holds(&self, canonical: f64) -> bool {
        canonical.is_finite()
            && self.min.is_none_or(|min| canonical >= min)
            && self.max.is_none_or(|max| canonical <= max)
    }
}

impl From<&MetricType> for TypeOut {
    fn from(known: &MetricType) -> Self {
        let conversions = known
            .units
            .iter()
            .map(|unit| (unit.name.to_owned(), Conversion { factor: unit.factor, offset: unit.offset }))
            .collect();
        Self {
            key: known.key.to_owned(),
            title: known.title.to_owned(),
            unit: known.unit.to_owned(),
            accepted_units: accepted(known.unit, known.units.iter().map(|unit| unit.name)),
            conversions,
            aggregation: known.aggregation,
            min: Some(known.range.0),
            max: Some(known.range.1),
            loinc: known.loinc.map(str::to_owned),
            own: false,
        }
    }
}

fn accepted<'a>(canonical: &'a str, others: impl Iterator<Item = &'a str>) -> Vec<String> {
    std::iter::once(canonical).chain(others.filter(|unit| *unit != canonical)).map(str::to_owned).collect()
}

struct Row {
    key: String,
    title: String,
    unit: String,
    accepted_units: Value,
    aggregation: String,
    min_value: Option<f64>,
    max_value: Option<f64>,
    loinc: Option<String>,
}

impl From<Row> for TypeOut {
    fn from(row: Row) -> Self {
        let conversions: BTreeMap<String, Conversion> =
            serde_json::from_value(row.accepted_units).unwrap_or_default();
        Self {
            accepted_units: accepted(&row.unit, conversions.keys().map(String::as_str)),
            key: row.key,
            title: row.title,
            unit: row.unit,
            conversions,
            // A CHECK holds the word.
            aggregation: Aggregation::parse(&row.aggregation).unwrap_or(Aggregation::Last),
            min: row.min_value,
            max: row.max_value,
            loinc: row.loinc,
            own: true,
        }
    }
}

/// The types that a set of metrics names.
#[derive(Clone, Debug, Default)]
pub struct OwnTypes(BTreeMap<String, TypeOut>);

impl OwnTypes {
    /// The type of a key; the business's own before the built-in one.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<TypeOut> {
        self.0.get(key).cloned().or_else(|| built_in(key).map(TypeOut::from))
    }
}

/// The business's own types among some keys; every one when no keys are given.
///
/// # Errors
/// When the database refuses.
pub async fn types_of(tx: &mut TenantTx, keys: Option<&[String]>) -> DbResult<OwnTypes> {
    let rows = sqlx::query_as!(
        Row,
        "select key, title, unit, accepted_units, aggregation, min_value, max_value, loinc from metric_types
          where tenant_id = $1 and archived_at is null and ($2::text[] is null or key = any($2))",
        tx.tenant(),
        keys,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(OwnTypes(rows.into_iter().map(|row| (row.key.clone(), row.into())).collect()))
}

/// Every type that the business may record, by key.
///
/// # Errors
/// When the database refuses.
pub async fn list_types(tx: &mut TenantTx) -> DbResult<Vec<TypeOut>> {
    let mut all: BTreeMap<String, TypeOut> =
        BUILT_IN.iter().map(|known| (known.key.to_owned(), TypeOut::from(known))).collect();
    all.extend(types_of(tx, None).await?.0);
    Ok(all.into_values().collect())
}
