//! What a business decides for itself. Stored as JSON whose meaning and defaults live here.

use chrono::NaiveTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::finance::calculate::Rounding;

/// A business's settings; what was never set has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    /// When marketing messages wait, in the recipient's zone.
    pub quiet_hours: QuietHours,
    /// Where amounts of tax are rounded.
    pub rounding: Rounding,
    /// The business's own limits.
    pub limits: Limits,
}

/// The part of the day in which marketing messages wait. It may span midnight; equal ends mean never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuietHours {
    /// First minute, `HH:MM`.
    #[schema(value_type = String, example = "21:00")]
    pub start: TimeOfDay,
    /// First minute after, `HH:MM`.
    #[schema(value_type = String, example = "08:00")]
    pub end: TimeOfDay,
}

impl Default for QuietHours {
    /// From nine in the evening to eight in the morning, which the TCPA (47 CFR 64.1200(c)(1)) asks for in the USA.
    fn default() -> Self {
        Self { start: TimeOfDay::at(21), end: TimeOfDay::at(8) }
    }
}

impl QuietHours {
    /// Whether a local time is within them.
    #[must_use]
    pub fn contains(&self, local: NaiveTime) -> bool {
        let (start, end) = (self.start.0, self.end.0);
        if start <= end { start <= local && local < end } else { local >= start || local < end }
    }
}

/// A minute of the day, written `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(NaiveTime);

impl TimeOfDay {
    /// The full hour, from 0 to 23.
    fn at(hour: u32) -> Self {
        Self(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or(NaiveTime::MIN))
    }

    /// As a time.
    #[must_use]
    pub const fn time(self) -> NaiveTime {
        self.0
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        NaiveTime::parse_from_str(&text, "%H:%M")
            .map(Self)
            .map_err(|_| "invalid_time: A time like 21:00 is expected.")
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.0.format("%H:%M").to_string()
    }
}

/// Limits that a business sets for itself; none means that only the platform's apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Marketing messages that one person gets in seven days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marketing_messages_per_week: Option<u16>,
    /// Messages of the whole business in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_minute: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_span_midnight_and_may_be_none() {
        let time = |text: &str| TimeOfDay::try_from(text.to_owned()).unwrap();
        let quiet = QuietHours::default();
        assert!(quiet.contains(time("23:10").time()) && quiet.contains(time("07:59").time()));
        assert!(!quiet.contains(time("08:00").time()) && !quiet.contains(time("20:59").time()));
        let never = QuietHours { start: time("09:00"), end: time("09:00") };
        assert!(!never.contains(time("09:00").time()));
    }

    #[test]
    fn what_was_never_set_has_its_default_and_strangers_are_left_alone() {
        let stored = r#"{"rounding":"document","somethingElse":1}"#;
        let preferences: Preferences = serde_json::from_str(stored).unwrap();
        assert_eq!(preferences, Preferences { rounding: Rounding::Document, ..Preferences::default() });
        assert_eq!(
            serde_json::to_string(&Preferences::default()).unwrap(),
            r#"{"quietHours":{"start":"21:00","end":"08:00"},"rounding":"line","limits":{}}"#
        );
    }
}
