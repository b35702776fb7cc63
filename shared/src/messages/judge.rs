//! Whether a message may be sent, and when: a pure function of what is known.
//!
//! Every rule says what it found, so that "why was this not sent?" and "why was it?" have the same answer: the list of
//! verdicts on the message. Advertising that meets quiet hours is held until they end, never dropped; what has no
//! consent or must not be written to is blocked and stays visible.

use chrono::{DateTime, Days, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Channel, Purpose, Status};
use crate::{accounts::QuietHours, time::resolve};

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// `address`, `suppression`, `consent`, `connection`, `quietHours` or `schedule`.
    pub rule: String,
    /// `passed`, `deferred` (until `sendAt`), `held` (until somebody acts) or `blocked`.
    pub outcome: String,
    /// For people.
    pub reason: String,
}

impl Verdict {
    fn new(rule: &str, outcome: &str, reason: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), outcome: outcome.to_owned(), reason: reason.into() }
    }
}

/// The first instant at or after `at` that is not quiet in `zone`.
#[must_use]
pub fn next_allowed(quiet: QuietHours, at: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let quiet_ends = quiet.end.time();
    let mut at = at;
    // Once is enough on ordinary days; a clock that is put back can lead into the quiet hour a second time.
    for _ in 0..3 {
        let local = at.with_timezone(&zone);
        if !quiet.contains(local.time()) {
            return at;
        }
        let today = local.date_naive();
        let day = if local.time() < quiet_ends { Some(today) } else { today.checked_add_days(Days::new(1)) };
        let Some(end) = day.map(|day| day.and_time(quiet_ends)) else { return at };
        at = match resolve(end, zone).filter(|instant| *instant > at) {
            Some(instant) => instant,
            // The end comes twice that day and the first is over.
            None => match zone.from_local_datetime(&end).latest() {
                Some(instant) => instant.with_timezone(&Utc),
                None => return at,
            },
        };
    }
    at
}

/// Whether the account with the provider can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionState {
    /// It can.
    #[default]
    Active,
    /// Held after an error of the account, until somebody mends it.
    Paused,
    /// Switched off.
    Disabled,
}

impl ConnectionState {
    /// Reads the word of the database; no connection is the sandbox, which is always there.
    #[must_use]
    pub fn read(word: Option<&str>) -> Self {
        match word {
            Some("paused") => Self::Paused,
            Some("disabled") => Self::Disabled,
            _ => Self::Active,
        }
    }
}

/// What is known about a message that somebody wants sent.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The instant of the decision.
    pub now: DateTime<Utc>,
    /// When the sender wants it sent; at once when left out.
    pub send_at: Option<DateTime<Utc>>,
    /// How it travels.
    pub channel: Channel,
    /// Why it is sent.
    pub purpose: Purpose,
    /// Whether there is an address to send it to.
    pub has_address: bool,
    /// Whether the person was moved to the bin or erased.
    pub person_gone: bool,
    /// Why the address must not be written to.
    pub suppression: Option<&'a str>,
    /// The latest word on consent for this channel and purpose: `granted`, `denied`, `revoked`.
    pub consent: Option<&'a str>,
    /// The account with the provider.
    pub connection: ConnectionState,
    /// The recipient's zone, or else the business's.
    pub zone: Tz,
    /// The business's quiet hours.
    pub quiet: QuietHours,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Queued, scheduled, deferred or blocked.
    pub status: Status,
    /// When it will be sent; at once when none.
    pub send_at: Option<DateTime<Utc>>,
    /// What each rule found.
    pub verdicts: Vec<Verdict>,
}

/// Decides.
#[must_use]
pub fn judge(case: &Case<'_>) -> Ruling {
    let mut verdicts = vec![address(case), suppression(case), consent(case), connection(case)];
    if verdicts.iter().any(|verdict| verdict.outcome == "blocked") {
        return Ruling { status: Status::Blocked, send_at: None, verdicts };
    }
    let wanted = case.send_at.filter(|at| *at > case.now);
    let from = wanted.unwrap_or(case.now);
    let allowed = match case.purpose {
        Purpose::Marketing => next_allowed(case.quiet, from, case.zone),
        Purpose::Transactional => from,
    };
    if allowed > from {
        let reason = format!("It is quiet time in {}; advertising waits until it ends.", case.zone);
        verdicts.push(Verdict::new("quietHours", "deferred", reason));
        return Ruling { status: Status::Deferred, send_at: Some(allowed), verdicts };
    }
    if wanted.is_some() {
        verdicts.push(Verdict::new("schedule", "deferred", "The sender chose a later time."));
        return Ruling { status: Status::Scheduled, send_at: wanted, verdicts };
    }
    Ruling { status: Status::Queued, send_at: None, verdicts }
}

fn address(case: &Case<'_>) -> Verdict {
    match (case.person_gone, case.has_address) {
        (true, _) => Verdict::new("address", "blocked", "The person was removed."),
        (false, true) => Verdict::new("address", "passed", "There is an address for this channel."),
        (false, false) => Verdict::new("address", "blocked", "The person has no address for this channel."),
    }
}

fn suppression(case: &Case<'_>) -> Verdict {
    match (case.suppression, case.purpose) {
        (None, _) => Verdict::new(
            "suppression",
            "passed",
            "The address is not on the list of addresses to be left alone.",
        ),
        // Unsubscribing is about advertising; everything else concerns the address itself.
        (Some("unsubscribe"), Purpose::Transactional) => {
            Verdict::new("suppression", "passed", "The person unsubscribed from advertising; this is none.")
        }
        (Some(reason), _) => {
            Verdict::new("suppression", "blocked", format!("The address must be left alone since: {reason}."))
        }
    }
}

fn consent(case: &Case<'_>) -> Verdict {
    match (case.purpose, case.consent) {
        (_, Some("granted")) => Verdict::new("consent", "passed", "The person agreed."),
        (_, Some(state)) => Verdict::new("consent", "blocked", format!("The person's consent is {state}.")),
        (Purpose::Marketing, None) => {
            Verdict::new("consent", "blocked", "The person has not agreed to advertising on this channel.")
        }
        (Purpose::Transactional, None) => {
            Verdict::new("consent", "passed", "None is needed for what the person expects.")
        }
    }
}

fn connection(case: &Case<'_>) -> Verdict {
    match case.connection {
        ConnectionState::Active => {
            Verdict::new("connection", "passed", "The provider's account is in order.")
        }
        ConnectionState::Paused => {
            Verdict::new("connection", "held", "The provider's account is paused; the message waits.")
        }
        ConnectionState::Disabled => {
            Verdict::new("connection", "blocked", "The provider's account is switched off.")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn case(now: &str) -> Case<'static> {
        Case {
            now: at(now),
            send_at: None,
            channel: Channel::Sms,
            purpose: Purpose::Marketing,
            has_address: true,
            person_gone: false,
            suppression: None,
            consent: Some("granted"),
            connection: ConnectionState::Active,
            zone: Tz::Europe__Berlin,
            quiet: QuietHours::default(),
        }
    }

    fn outcome<'a>(ruling: &'a Ruling, rule: &str) -> &'a str {
        &ruling.verdicts.iter().find(|verdict| verdict.rule == rule).unwrap().outcome
    }

    #[test]
    fn advertising_late_in_the_evening_waits_for_the_recipients_morning() {
        let ruling = judge(&case("2026-06-01T21:10:00Z"));
        assert_eq!((ruling.status, ruling.send_at), (Status::Deferred, Some(at("2026-06-02T06:00:00Z"))));
        let business = Case { purpose: Purpose::Transactional, ..case("2026-06-01T21:10:00Z") };
        assert_eq!(judge(&business).status, Status::Queued);
        assert_eq!(judge(&case("2026-06-01T10:00:00Z")).status, Status::Queued);
    }

    #[test]
    fn the_morning_after_the_clocks_change_is_the_new_times_morning() {
        assert_eq!(judge(&case("2026-03-28T22:00:00Z")).send_at, Some(at("2026-03-29T06:00:00Z")));
        assert_eq!(judge(&case("2026-10-24T21:00:00Z")).send_at, Some(at("2026-10-25T07:00:00Z")));
    }

    #[test]
    fn what_must_not_be_sent_is_blocked_with_its_reason() {
        let noon = "2026-06-01T10:00:00Z";
        for (case, rule) in [
            (Case { has_address: false, ..case(noon) }, "address"),
            (Case { person_gone: true, ..case(noon) }, "address"),
            (Case { suppression: Some("stop"), ..case(noon) }, "suppression"),
            (Case { suppression: Some("unsubscribe"), ..case(noon) }, "suppression"),
            (
                Case { suppression: Some("stop"), purpose: Purpose::Transactional, ..case(noon) },
                "suppression",
            ),
            (Case { consent: None, ..case(noon) }, "consent"),
            (Case { consent: Some("revoked"), ..case(noon) }, "consent"),
            (Case { connection: ConnectionState::Disabled, ..case(noon) }, "connection"),
        ] {
            let ruling = judge(&case);
            assert_eq!((ruling.status, outcome(&ruling, rule)), (Status::Blocked, "blocked"), "{case:?}");
        }
        let expected = Case {
            suppression: Some("unsubscribe"),
            consent: None,
            purpose: Purpose::Transactional,
            ..case(noon)
        };
        assert_eq!(judge(&expected).status, Status::Queued);
        let held = judge(&Case { connection: ConnectionState::Paused, ..case(noon) });
        assert_eq!((held.status, outcome(&held, "connection")), (Status::Queued, "held"));
    }

    #[test]
    fn a_chosen_time_is_kept_and_judged_by_its_own_hour() {
        let chosen = Case { send_at: Some(at("2026-06-02T10:00:00Z")), ..case("2026-06-01T21:10:00Z") };
        assert_eq!((judge(&chosen).status, judge(&chosen).send_at), (Status::Scheduled, chosen.send_at));
        let night = Case { send_at: Some(at("2026-06-01T23:00:00Z")), ..case("2026-06-01T10:00:00Z") };
        assert_eq!(
            (judge(&night).status, judge(&night).send_at),
            (Status::Deferred, Some(at("2026-06-02T06:00:00Z")))
        );
        let past = Case { send_at: Some(at("2026-05-01T10:00:00Z")), ..case("2026-06-01T10:00:00Z") };
        assert_eq!(judge(&past).status, Status::Queued);
    }

    fn quiet(start: &str, end: &str) -> QuietHours {
        serde_json::from_value(serde_json::json!({"start": start, "end": end})).unwrap()
    }

    #[test]
    fn a_business_chooses_its_own_quiet_hours_or_none() {
        let lunch = next_allowed(quiet("12:00", "13:30"), at("2026-06-01T10:15:00Z"), Tz::Europe__Berlin);
        assert_eq!(lunch, at("2026-06-01T11:30:00Z"));
        let never = Case { quiet: quiet("08:00", "08:00"), ..case("2026-06-01T21:10:00Z") };
        assert_eq!(judge(&never).status, Status::Queued);
    }

    proptest! {
        #[test]
        fn the_next_allowed_instant_is_never_early_never_quiet_and_never_further_than_the_quiet_lasts(
            seconds in 1_767_225_600_i64..1_830_297_600,
            start in 0_u32..1440,
            length in 1_u32..1200,
            zone in prop::sample::select(vec![
                Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::America__Havana, Tz::Asia__Beirut,
                Tz::Pacific__Chatham, Tz::America__St_Johns, Tz::Asia__Kathmandu, Tz::UTC,
            ]),
        ) {
            let time = |minutes: u32| format!("{:02}:{:02}", minutes % 1440 / 60, minutes % 60);
            let quiet = quiet(&time(start), &time(start + length));
            let from = DateTime::from_timestamp(seconds, 0).unwrap();
            let next = next_allowed(quiet, from, zone);
            prop_assert!(next >= from);
            prop_assert!(!quiet.contains(next.with_timezone(&zone).time()), "{from} {next}");
            prop_assert!((next - from).num_minutes() <= i64::from(length) + 121);
        }
    }
}
