//! Query strings: the one filter grammar of all lists.
//!
//! Repeated or comma-separated values are alternatives. A parameter that the route does not read, or a value that it
//! cannot read, is refused with its name: silently ignoring a filter shows people rows that they asked not to see.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use http::request::Parts;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{FieldErrors, Meter, PageRequest, Problem, SortField};
use crate::time;

/// The raw query string; [`QueryString::list`] and [`QueryString::read`] parse it once the tenant's zone is known.
#[derive(Clone, Debug, Default)]
pub struct QueryString(String);

impl<S: Send + Sync> FromRequestParts<S> for QueryString {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Ok(meter) = Meter::of(parts) {
            meter.reads_query();
        }
        Ok(Self(parts.uri.query().unwrap_or_default().to_owned()))
    }
}

/// What a list can be narrowed by.
pub trait FromQuery: Sized {
    /// The sorts that this list offers; the first is the default, newest first.
    const SORTS: &'static [SortField];
    /// Whether a list without `sort` begins with the largest value.
    const LARGEST_FIRST: bool = true;

    /// Reads the filters, noting what is wrong.
    fn read(params: &mut Params) -> Self;
}

/// A list request: filters and the page that is asked for.
#[derive(Clone, Debug)]
pub struct ListQuery<F> {
    /// The resource's own filters.
    pub filter: F,
    /// Sort, limit, position.
    pub page: PageRequest,
}

impl QueryString {
    /// Parses a list request.
    ///
    /// # Errors
    /// 422 naming every bad or unknown parameter.
    pub fn list<F: FromQuery>(&self, zone: Tz) -> Result<ListQuery<F>, Problem> {
        let mut params = Params::parse(&self.0, zone);
        let filter = F::read(&mut params);
        let page = PageRequest::read::<F>(&mut params);
        params.finish()?;
        Ok(ListQuery { filter, page })
    }

    /// Parses the parameters of a route that is no list.
    ///
    /// # Errors
    /// 422 naming every bad or unknown parameter.
    pub fn read<T>(&self, zone: Tz, read: impl FnOnce(&mut Params) -> T) -> Result<T, Problem> {
        let mut params = Params::parse(&self.0, zone);
        let value = read(&mut params);
        params.finish()?;
        Ok(value)
    }
}

/// Parameters that are taken one by one; what is left at the end is unknown.
pub struct Params {
    values: BTreeMap<String, Vec<String>>,
    errors: FieldErrors,
    zone: Tz,
}

impl Params {
    /// Splits a query string.
    #[must_use]
    pub fn parse(query: &str, zone: Tz) -> Self {
        let mut params = Self { values: BTreeMap::new(), errors: FieldErrors::default(), zone };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.contains('\0') {
                params.refuse(&name, "invalid_text", "Text may not hold the NUL character.");
            }
            params.values.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        params
    }

    /// The same grammar out of a JSON object: a member is a parameter, a list is its alternatives.
    #[must_use]
    pub fn of_json(members: &Map<String, Value>, zone: Tz) -> Self {
        let mut params = Self { values: BTreeMap::new(), errors: FieldErrors::default(), zone };
        for (name, value) in members {
            let given = match value {
                Value::Array(given) => given.as_slice(),
                single => std::slice::from_ref(single),
            };
            let mut words = Vec::new();
            for value in given {
                match value {
                    Value::String(text) => words.push(text.clone()),
                    Value::Number(number) => words.push(number.to_string()),
                    Value::Bool(flag) => words.push(flag.to_string()),
                    Value::Null | Value::Array(_) | Value::Object(_) => {
                        params.refuse(
                            name,
                            "wrong_type",
                            "A text, a number, true or false, or a list of them is expected.",
                        );
                    }
                }
            }
            // In a query string a parameter without a value is none. Here somebody left a list empty, and means nobody rather than everybody.
            let says_nothing = words.iter().all(|text| text.split(',').all(|word| word.trim().is_empty()));
            if says_nothing && given.len() == words.len() {
                params.refuse(name, "required", "Give a value, or leave the filter out.");
            }
            params.values.insert(name.clone(), words);
        }
        params
    }

    /// Notes an error at a parameter.
    pub fn refuse(
        &mut self,
        name: &str,
        code: &'static str,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        self.errors.add(format!("?{name}"), code, detail);
    }

    /// A single text; given twice it is refused.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut given = self.values.remove(name)?;
        if given.len() > 1 {
            self.refuse(name, "duplicate_parameter", "This parameter may be given once.");
        }
        given.pop().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Alternatives: repeated or comma-separated, without repetition.
    pub fn words(&mut self, name: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for given in self.values.remove(name).unwrap_or_default() {
            for word in given.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                if !words.iter().any(|known| known == word) {
                    words.push(word.to_owned());
                }
            }
        }
        if words.len() > 50 {
            self.refuse(name, "too_many_values", "At most 50 values may be given.");
        }
        words
    }

    /// All parameters whose names begin alike, each with its alternatives.
    pub fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, Vec<String>)> {
        let names: Vec<String> =
            self.values.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        names
            .into_iter()
            .map(|name| {
                let words = self.words(&name);
                (name, words)
            })
            .collect()
    }

    /// Alternatives out of a closed list.
    pub fn choices(&mut self, name: &str, known: &[&str]) -> Vec<String> {
        let words = self.words(name);
        if let Some(bad) = words.iter().find(|word| !known.contains(&word.as_str())) {
            self.refuse(name, "unknown_value", format!("`{bad}` is none of {}.", known.join(", ")));
        }
        words
    }

    /// Alternatives that are ids.
    pub fn ids(&mut self, name: &str) -> Vec<Uuid> {
        let words = self.words(name);
        let ids: Vec<Uuid> = words.iter().filter_map(|word| word.parse().ok()).collect();
        if ids.len() < words.len() {
            self.refuse(name, "invalid_id", "Not an id.");
        }
        ids
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.refuse(name, "wrong_type", "Say true or false.");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn number(&mut self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let text = self.text(name)?;
        match text.parse::<i64>() {
            Ok(number) if bounds.contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                let detail =
                    format!("A whole number from {} to {} is expected.", bounds.start(), bounds.end());
                self.refuse(name, "out_of_range", detail);
                None
            }
        }
    }

    /// An instant: RFC 3339, or a plain date, which means its first moment in the tenant's zone.
    pub fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        let exact = DateTime::parse_from_rfc3339(&text).map(|instant| instant.with_timezone(&Utc)).ok();
        let day = || text.parse::<NaiveDate>().ok().and_then(|date| time::start_of_day(date, self.zone));
        match exact.or_else(day).filter(|instant| time::is_tellable(*instant)) {
            Some(instant) => Some(instant),
            None => {
                self.refuse(
                    name,
                    "invalid_time",
                    "RFC 3339 (2026-03-01T09:00:00Z) or a date (2026-03-01) is expected.",
                );
                None
            }
        }
    }

    /// The half-open range `[from, to)`.
    pub fn range(&mut self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let (from, to) = (self.instant("from"), self.instant("to"));
        if let (Some(start), Some(end)) = (from, to)
            && start > end
        {
            self.refuse("from", "range_reversed", "`from` is later than `to`.");
        }
        (from, to)
    }

    /// All errors, with those of unknown parameters.
    ///
    /// # Errors
    /// 422 when anything was wrong.
    pub fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.values).into_keys() {
            self.refuse(&name, "unknown_parameter", "This route has no such parameter.");
        }
        self.errors.into_result()
    }
}
