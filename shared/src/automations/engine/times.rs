//! When a wait ends.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::automations::steps::Wait;

/// The end of a wait for a time. `None` when the calendar has no such time.
#[must_use]
pub(super) fn wake_at(wait: &Wait, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    if let Some(span) = &wait.span {
        return span.after(now, zone);
    }
    if let Some(local) = wait.until_local {
        return local.next(&wait.days, now, zone);
    }
    wait.until
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(wait: serde_json::Value, now: &str, zone: Tz) -> String {
        let wait: Wait = serde_json::from_value(wait).unwrap();
        wake_at(&wait, now.parse().unwrap(), zone).unwrap().to_rfc3339()
    }

    #[test]
    fn a_local_time_is_met_on_the_day_that_the_clock_changes_too() {
        let nine = json!({"untilLocal": "09:00"});
        assert_eq!(
            end(nine.clone(), "2026-03-28T10:00:00Z", Tz::Europe__Berlin),
            "2026-03-29T07:00:00+00:00"
        );
        assert_eq!(
            end(nine.clone(), "2026-10-24T10:00:00Z", Tz::Europe__Berlin),
            "2026-10-25T08:00:00+00:00"
        );
        assert_eq!(end(nine, "2026-06-01T06:59:59Z", Tz::Europe__Berlin), "2026-06-01T07:00:00+00:00");
        // 02:30 does not exist on that day: the end of the gap stands for it.
        assert_eq!(
            end(json!({"untilLocal": "02:30"}), "2026-03-29T00:00:00Z", Tz::Europe__Berlin),
            "2026-03-29T01:00:00+00:00"
        );
    }

    #[test]
    fn only_the_wanted_days_count() {
        // 2026-06-01 is a Monday.
        let friday = json!({"untilLocal": "09:00", "days": ["fri"]});
        assert_eq!(end(friday.clone(), "2026-06-01T12:00:00Z", Tz::UTC), "2026-06-05T09:00:00+00:00");
        assert_eq!(end(friday, "2026-06-05T09:00:00Z", Tz::UTC), "2026-06-12T09:00:00+00:00");
    }
}
