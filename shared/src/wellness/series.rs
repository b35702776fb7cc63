//! Buckets: which rows count for a day, and how they make hours, days, weeks and months.
//!
//! Pure. The database hands over *pieces* – sums of one source over one hour or one day – and this module believes one
//! source per local day and folds its pieces. Believed is: the first in the business's order of sources; without one,
//! whoever measured most often that day, then latest, then by name. Of that source either the day's own total counts or
//! its samples, never both.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::Aggregation;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Span {
    /// An hour.
    Hour,
    /// A local day: 23, 24 or 25 hours.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

impl Span {
    /// Every word of it.
    pub const WORDS: &[&str] = &["hour", "day", "week", "month"];

    /// Reads a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// Where the bucket of a local time begins.
    #[must_use]
    pub fn start(self, local: NaiveDateTime) -> NaiveDateTime {
        match self {
            Self::Hour => {
                local.date().and_time(NaiveTime::from_hms_opt(local.hour(), 0, 0).unwrap_or_default())
            }
            Self::Day | Self::Week | Self::Month => self.start_date(local.date()).and_time(NaiveTime::MIN),
        }
    }

    /// The first day of the bucket of a day.
    #[must_use]
    pub fn start_date(self, date: NaiveDate) -> NaiveDate {
        match self {
            Self::Hour | Self::Day => date,
            Self::Week => date - Days::new(u64::from(date.weekday().num_days_from_monday())),
            Self::Month => date.with_day(1).unwrap_or(date),
        }
    }

    /// The first day of the next bucket.
    #[must_use]
    pub fn next_date(self, start: NaiveDate) -> NaiveDate {
        match self {
            Self::Hour | Self::Day => start + Days::new(1),
            Self::Week => start + Days::new(7),
            Self::Month => start + Months::new(1),
        }
    }
}

/// What a number of values add up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums {
    /// How many.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The latest.
    pub last: f64,
    /// When that was.
    pub last_at: DateTime<Utc>,
}

impl Sums {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (last, last_at) = if other.last_at > self.last_at {
            (other.last, other.last_at)
        } else {
            (self.last, self.last_at)
        };
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            last,
            last_at,
        }
    }

    /// The mean.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 measurements")]
    pub fn avg(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The one value that an aggregation makes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 measurements")]
    pub fn value(&self, aggregation: Aggregation) -> f64 {
        match aggregation {
            Aggregation::Sum => self.sum,
            Aggregation::Avg => self.avg(),
            Aggregation::Min => self.min,
            Aggregation::Max => self.max,
            Aggregation::Last => self.last,
            Aggregation::Count => self.count as f64,
        }
    }
}

/// What one source says about one hour or one day.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The instant at which the hour begins; of days it is not read.
    pub start: DateTime<Utc>,
    /// Where it begins on the local clock.
    pub local: NaiveDateTime,
    /// The source.
    pub source: String,
    /// Whether these are whole days' totals.
    pub whole_day: bool,
    /// The sums.
    pub sums: Sums,
}

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Of hours: the instant of the start.
    pub start: DateTime<Utc>,
    /// Where it begins on the local clock.
    pub local: NaiveDateTime,
    /// The sums.
    pub sums: Sums,
}

/// Believes one source per day and folds its pieces into buckets, earliest first. Empty buckets are left out.
#[must_use]
pub fn fold(pieces: &[Piece], priority: &[String], span: Span) -> Vec<Bucket> {
    let mut days: BTreeMap<NaiveDate, Vec<&Piece>> = BTreeMap::new();
    for piece in pieces {
        days.entry(piece.local.date()).or_default().push(piece);
    }
    let mut buckets: BTreeMap<(NaiveDateTime, DateTime<Utc>), Sums> = BTreeMap::new();
    for day in days.values() {
        for piece in believed(day, priority, span) {
            let local = span.start(piece.local);
            // An hour that the clock shows twice is two buckets; every longer one is known by its local start.
            let start = if span == Span::Hour { piece.start } else { local.and_utc() };
            buckets
                .entry((local, start))
                .and_modify(|sums| *sums = sums.and(piece.sums))
                .or_insert(piece.sums);
        }
    }
    let mut folded: Vec<Bucket> =
        buckets.into_iter().map(|((local, start), sums)| Bucket { start, local, sums }).collect();
    folded.sort_by_key(|bucket| (bucket.start, bucket.local));
    folded
}

/// The pieces of one day that count.
fn believed<'a>(day: &[&'a Piece], priority: &[String], span: Span) -> Vec<&'a Piece> {
    let mut sources: HashMap<&str, (i64, DateTime<Utc>)> = HashMap::new();
    for piece in day {
        let known = sources.entry(&piece.source).or_insert((0, DateTime::<Utc>::MIN_UTC));
        *known = (known.0 + piece.sums.count, known.1.max(piece.sums.last_at));
    }
    let place = |source: &str| priority.iter().position(|known| known == source).unwrap_or(usize::MAX);
    let best = sources.into_iter().min_by_key(|(source, (count, last))| {
        (place(source), std::cmp::Reverse(*count), std::cmp::Reverse(*last), *source)
    });
    let Some((source, _)) = best else { return Vec::new() };
    let of_source = || day.iter().copied().filter(|piece| piece.source == source);
    let has = |whole| of_source().any(|piece| piece.whole_day == whole);
    // A day's own total is better than the sum of samples; hours are only known from samples.
    let whole = if span == Span::Hour { !has(false) } else { has(true) };
    of_source().filter(|piece| piece.whole_day == whole).collect()
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
