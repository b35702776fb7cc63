//! ISO 8601 durations, in the sense that people mean: a day is a day of the calendar, an hour is sixty minutes.

use std::fmt;

use chrono::{DateTime, Days, Duration, Months, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::{
    __dev::ComposeSchema,
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::time::resolve;

/// The longest span: nobody waits for more than ten years.
const MAX_DAYS: i64 = 3_660;

/// A duration like `PT30M`, `P1DT2H` or `P3M`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    text: String,
    months: u32,
    days: u32,
    seconds: i64,
}

impl Span {
    /// The instant that lies this span after `from`. Months and days move the calendar date and keep the wall-clock time of `zone`, hours,
    /// minutes and seconds are exact.
    #[must_use]
    pub fn after(&self, from: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut at = from;
        if self.months > 0 || self.days > 0 {
            let local = from.with_timezone(&zone).naive_local();
            let moved = local
                .checked_add_months(Months::new(self.months))?
                .checked_add_days(Days::new(self.days.into()))?;
            at = resolve(moved, zone)?;
        }
        at.checked_add_signed(Duration::seconds(self.seconds))
    }
}

impl Span {
    /// Whether it is a matter of seconds.
    #[must_use]
    pub const fn is_shorter_than_a_minute(&self) -> bool {
        self.months == 0 && self.days == 0 && self.seconds < 60
    }
}

impl TryFrom<String> for Span {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const REFUSED: &str = "invalid_duration: An ISO 8601 duration like PT30M or P2D is expected.";
        let (months, days, seconds) = parse(&text).ok_or(REFUSED)?;
        let total = i64::from(months) * 31 + i64::from(days) + seconds / 86_400;
        match (months, days, seconds) {
            (0, 0, 0) => Err("invalid_duration: A wait takes at least a second."),
            _ if total > MAX_DAYS => Err("invalid_duration: Nothing takes more than ten years."),
            _ => Ok(Self { text, months, days, seconds }),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.text
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ComposeSchema for Span {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        String::compose(generics)
    }
}

impl ToSchema for Span {
    fn name() -> std::borrow::Cow<'static, str> {
        String::name()
    }
}

/// (months, days, seconds); each unit once, in order, with a whole number.
fn parse(text: &str) -> Option<(u32, u32, i64)> {
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let [years, months, weeks, days] = units(date, ['Y', 'M', 'W', 'D'])?;
    let [hours, minutes, seconds] = units(time, ['H', 'M', 'S'])?;
    let months = years.checked_mul(12)?.checked_add(months)?;
    let days = weeks.checked_mul(7)?.checked_add(days)?;
    Some((months, days, i64::from(hours) * 3_600 + i64::from(minutes) * 60 + i64::from(seconds)))
}

fn units<const N: usize>(mut text: &str, letters: [char; N]) -> Option<[u32; N]> {
    let mut values = [0; N];
    for (value, letter) in values.iter_mut().zip(letters) {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at_checked(end)?;
        if let Some(rest) = rest.strip_prefix(letter) {
            *value = digits.parse().ok()?;
            text = rest;
        }
    }
    text.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(span: &str, from: &str, zone: Tz) -> String {
        let span = Span::try_from(span.to_owned()).unwrap();
        span.after(from.parse().unwrap(), zone).unwrap().to_rfc3339()
    }

    #[test]
    fn a_day_keeps_the_wall_clock_and_an_hour_does_not() {
        // Berlin loses an hour on 29 March 2026.
        let eve = "2026-03-28T09:00:00Z";
        assert_eq!(after("P1D", eve, Tz::Europe__Berlin), "2026-03-29T08:00:00+00:00");
        assert_eq!(after("PT24H", eve, Tz::Europe__Berlin), "2026-03-29T09:00:00+00:00");
        assert_eq!(after("P1M", "2026-01-31T12:00:00Z", Tz::UTC), "2026-02-28T12:00:00+00:00");
        assert_eq!(after("P1W2DT3M4S", "2026-01-01T00:00:00Z", Tz::UTC), "2026-01-10T00:03:04+00:00");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "PT0S",
            "1D",
            "P-1D",
            "P1H",
            "PT1D",
            "P1D2W",
            "P1.5D",
            "P999999999999D",
            "P11Y",
            "PT1S1",
        ] {
            assert!(Span::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
