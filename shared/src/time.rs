//! Days in a zone, with the days that are 23 or 25 hours long.

use chrono::{DateTime, Datelike, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Whether an instant can be stored and told again: RFC 3339 has years of four digits, and the database's own bounds lie far beyond.
#[must_use]
pub fn is_tellable(instant: DateTime<Utc>) -> bool {
    (1..=9_999).contains(&instant.year())
}

/// The first moment of a local day. In zones that skip midnight it is the first moment that exists.
#[must_use]
pub fn start_of_day(date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    resolve(date.and_time(NaiveTime::MIN), zone)
}

/// A local wall-clock time as an instant: the earlier one where the clock shows it twice, the end of the gap where it
/// never does.
#[must_use]
pub fn resolve(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
            Some(instant.with_timezone(&Utc))
        }
        // No gap of any zone in the tz database is longer than a day; steps of a minute find its end.
        LocalResult::None => (1..=24 * 60).find_map(|minutes| {
            let later = local.checked_add_signed(Duration::minutes(minutes))?;
            zone.from_local_datetime(&later).earliest().map(|instant| instant.with_timezone(&Utc))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str, zone: Tz) -> String {
        start_of_day(text.parse().unwrap(), zone).unwrap().to_rfc3339()
    }

    #[test]
    fn an_instant_has_a_year_of_four_digits() {
        let tellable = |text: &str| is_tellable(text.parse().unwrap());
        assert!(tellable("0001-01-01T00:00:00Z") && tellable("9999-12-31T23:59:59Z"));
        assert!(!tellable("0000-12-31T23:59:59Z") && !tellable("-4713-01-01T00:00:00Z"));
        assert!(!tellable("9999-12-31T23:59:59-23:59"));
    }

    #[test]
    fn a_day_begins_at_local_midnight_or_where_the_gap_ends() {
        assert_eq!(day("2026-07-01", Tz::Europe__Berlin), "2026-06-30T22:00:00+00:00");
        // Beirut's clocks go from 00:00 to 01:00.
        assert_eq!(day("2026-03-29", Tz::Asia__Beirut), "2026-03-28T22:00:00+00:00");
        // Havana's clocks go from 01:00 back to 00:00: midnight comes twice, the day begins at the first.
        assert_eq!(day("2026-11-01", Tz::America__Havana), "2026-11-01T04:00:00+00:00");
    }
}
