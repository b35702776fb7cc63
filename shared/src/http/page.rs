//! Pages by keyset: the cursor says where the last page ended, so rows that arrive meanwhile shift nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{FromQuery, Params};

/// The parameters that every list takes, for the description of the API.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that `PageRequest` reads")]
pub struct PageParams {
    /// Rows at most, 1–100; 25 when left out.
    limit: Option<i64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// The field to sort by; with a leading `-` the largest first.
    sort: Option<String>,
    /// `total` adds the number of all matching rows.
    include: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
    /// All rows that match, when asked for by `include=total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
}

/// A sort that a list offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortField {
    /// The word in `?sort=`.
    pub word: &'static str,
    /// The column, which must not be null.
    pub column: &'static str,
    /// How the cursor carries it.
    pub kind: SortKind,
}

/// The type of a sort column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKind {
    /// `timestamptz`
    Time,
    /// `text`
    Text,
    /// `bigint` or `int`
    Number,
}

/// A value of a sort column.
#[derive(Clone, Debug, PartialEq)]
pub enum KeysetValue {
    /// `timestamptz`
    Time(DateTime<Utc>),
    /// `text`
    Text(String),
    /// `bigint`
    Number(i64),
}

/// A position in a list: the sort column's value and the id that breaks ties.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyset {
    /// Value of the sort column.
    pub value: KeysetValue,
    /// Tie-break.
    pub id: Uuid,
}

/// Which page of a list is asked for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Rows at most, 1–100.
    pub limit: i64,
    /// The sort column.
    pub sort: SortField,
    /// Whether large values come first.
    pub descending: bool,
    /// Where the last page ended.
    pub after: Option<Keyset>,
    /// Whether the number of all matching rows is wanted.
    pub include_total: bool,
}

impl PageRequest {
    /// The first page in the default order, for expansions.
    #[must_use]
    pub fn first<F: FromQuery>() -> Self {
        Self { limit: 25, sort: default_sort(F::SORTS), descending: true, after: None, include_total: false }
    }

    pub(super) fn read<F: FromQuery>(params: &mut Params) -> Self {
        let usual = (default_sort(F::SORTS), F::LARGEST_FIRST);
        let (sort, descending) = read_sort(params, F::SORTS).unwrap_or(usual);
        let after = params.text("cursor").and_then(|text| {
            let keyset = decode(&text, sort, descending);
            if keyset.is_none() {
                params.refuse(
                    "cursor",
                    "invalid_cursor",
                    "Use `nextCursor` of the same list, sort included.",
                );
            }
            keyset
        });
        Self {
            limit: params.number("limit", 1..=100).unwrap_or(25),
            sort,
            descending,
            after,
            include_total: params.choices("include", &["total"]).iter().any(|word| word == "total"),
        }
    }

    /// Cuts the one row too many that says whether there is a next page.
    #[must_use]
    pub fn page<T>(&self, mut rows: Vec<T>, position: impl Fn(&T) -> Keyset) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or(25);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| self.encode(&position(row)));
        Page { items: rows, next_cursor, total: None }
    }

    fn encode(&self, keyset: &Keyset) -> String {
        let value = match &keyset.value {
            KeysetValue::Time(time) => time.timestamp_micros().to_string(),
            KeysetValue::Number(number) => number.to_string(),
            KeysetValue::Text(text) => text.clone(),
        };
        let text =
            format!("{}{}|{}|{value}", if self.descending { "-" } else { "" }, self.sort.word, keyset.id);
        URL_SAFE_NO_PAD.encode(text)
    }
}

impl<T> Page<T> {
    /// The same page in its wire form.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
            total: self.total,
        }
    }
}

fn default_sort(sorts: &'static [SortField]) -> SortField {
    const UNSORTED: SortField = SortField { word: "createdAt", column: "created_at", kind: SortKind::Time };
    sorts.first().copied().unwrap_or(UNSORTED)
}

fn read_sort(params: &mut Params, sorts: &'static [SortField]) -> Option<(SortField, bool)> {
    let text = params.text("sort")?;
    let (word, descending) = text.strip_prefix('-').map_or((text.as_str(), false), |word| (word, true));
    let found = sorts.iter().find(|sort| sort.word == word);
    if found.is_none() {
        let offered: Vec<_> = sorts.iter().map(|sort| sort.word).collect();
        params.refuse("sort", "unknown_value", format!("This list sorts by {}.", offered.join(", ")));
    }
    found.map(|sort| (*sort, descending))
}

/// Reads a cursor; one of another sort is as bad as a broken one.
fn decode(cursor: &str, sort: SortField, descending: bool) -> Option<Keyset> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let mut parts = text.splitn(3, '|');
    let (order, id, value) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    if order != format!("{}{}", if descending { "-" } else { "" }, sort.word) || value.contains('\0') {
        return None;
    }
    let value = match sort.kind {
        SortKind::Time => KeysetValue::Time(DateTime::from_timestamp_micros(value.parse().ok()?)?),
        SortKind::Number => KeysetValue::Number(value.parse().ok()?),
        SortKind::Text => KeysetValue::Text(value.to_owned()),
    };
    Some(Keyset { value, id })
}
