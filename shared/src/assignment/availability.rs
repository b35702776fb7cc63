//! When a colleague can be given leads: working hours on their own clock, and an absence with an end.

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    accounts::TimeOfDay,
    automations::steps::Day,
    db::{DbResult, TenantTx},
    http::{Check, FieldErrors},
};

/// When a colleague can be given leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Availability {
    /// Working hours in the colleague's own zone; none means always.
    pub working_hours: Vec<WorkingHours>,
    /// On leave until then.
    pub away_until: Option<DateTime<Utc>>,
}

/// A stretch of working hours. One that ends before it begins ends on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkingHours {
    /// `mon` to `sun`.
    #[schema(value_type = String, example = "mon")]
    pub day: Day,
    /// First minute, `HH:MM`.
    #[schema(value_type = String, example = "09:00")]
    pub from: TimeOfDay,
    /// First minute after, `HH:MM`.
    #[schema(value_type = String, example = "17:00")]
    pub to: TimeOfDay,
}

impl Check for Availability {
    fn check(&self, errors: &mut FieldErrors) {
        if self.working_hours.len() > 50 {
            errors.add("/workingHours", "too_many_values", "At most 50 stretches are taken.");
        }
        for (index, shift) in self.working_hours.iter().enumerate() {
            if shift.from == shift.to {
                errors.add(format!("/workingHours/{index}/to"), "out_of_range", "A stretch has a length.");
            }
        }
    }
}

impl Availability {
    /// Why the colleague cannot be given leads now, if they cannot.
    #[must_use]
    pub fn absence(&self, now: DateTime<Utc>, zone: Tz, working_hours: bool) -> Option<&'static str> {
        if self.away_until.is_some_and(|until| now < until) {
            return Some("away");
        }
        let local = now.with_timezone(&zone);
        let (day, time) = (local.weekday(), local.time());
        let contains = |shift: &WorkingHours| {
            let (from, to) = (shift.from.time(), shift.to.time());
            let (today, yesterday) = (shift.day.weekday() == day, shift.day.weekday().succ() == day);
            if from < to {
                today && from <= time && time < to
            } else {
                today && time >= from || yesterday && time < to
            }
        };
        let off_duty =
            working_hours && !self.working_hours.is_empty() && !self.working_hours.iter().any(contains);
        off_duty.then_some("offDuty")
    }
}

/// When a colleague can be given leads; none when there is no such colleague.
///
/// # Errors
/// When the database refuses.
pub async fn find_availability(tx: &mut TenantTx, user: Uuid) -> DbResult<Option<Availability>> {
    let found = sqlx::query_scalar!(
        "select settings -> 'availability' from users where tenant_id = $1 and id = $2",
        tx.tenant(),
        user,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.map(|stored| stored.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default()))
}

/// Says when a colleague can be given leads. False when there is no such colleague.
///
/// # Errors
/// When the database refuses.
pub async fn set_availability(tx: &mut TenantTx, user: Uuid, availability: &Availability) -> DbResult<bool> {
    let changed = sqlx::query!(
        "update users set settings = settings || jsonb_build_object('availability', $3::jsonb)
          where tenant_id = $1 and id = $2",
        tx.tenant(),
        user,
        serde_json::to_value(availability).unwrap_or_default(),
    )
    .execute(tx.conn())
    .await?;
    Ok(changed.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hours_are_those_of_the_colleagues_clock_and_may_span_midnight() {
        let hours = json!({"workingHours": [{"day": "mon", "from": "09:00", "to": "17:00"}, {"day": "fri", "from": "22:00", "to": "02:00"}]});
        let hours: Availability = serde_json::from_value(hours).unwrap();
        for (now, zone, absence) in [
            ("2026-11-30T08:00:00Z", Tz::Europe__Berlin, None),
            ("2026-11-30T07:59:00Z", Tz::Europe__Berlin, Some("offDuty")),
            ("2026-11-30T16:00:00Z", Tz::Europe__Berlin, Some("offDuty")),
            ("2026-11-30T16:00:00Z", Tz::America__New_York, None),
            ("2026-11-28T00:30:00Z", Tz::Europe__Berlin, None),
            ("2026-11-28T01:30:00Z", Tz::Europe__Berlin, Some("offDuty")),
        ] {
            assert_eq!(hours.absence(now.parse().unwrap(), zone, true), absence, "{now}");
            assert_eq!(hours.absence(now.parse().unwrap(), zone, false), None, "{now}");
        }
        let away = Availability {
            away_until: Some("2026-12-01T00:00:00Z".parse().unwrap()),
            ..Availability::default()
        };
        assert_eq!(away.absence("2026-11-30T23:59:59Z".parse().unwrap(), Tz::UTC, false), Some("away"));
        assert_eq!(away.absence("2026-12-01T00:00:00Z".parse().unwrap(), Tz::UTC, true), None);
    }
}
