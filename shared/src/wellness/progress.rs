//! How far a goal is. Pure: from a person's days to the current period, the streak and the periods that were met.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Aggregation,
    series::{Piece, Span, fold},
};

/// Streaks look back so far, and no further.
pub(super) const LOOK_BACK_DAYS: u64 = 800;

/// What is aimed at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    pub(super) target: f64,
    pub(super) at_least: bool,
    pub(super) period: Span,
    pub(super) aggregation: Aggregation,
    pub(super) starts_on: NaiveDate,
    pub(super) ends_on: Option<NaiveDate>,
}

/// Where the current period stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The period's value so far, in the goal's unit; null without a measurement.
    pub value: Option<f64>,
    /// The value in hundredths of the target.
    pub percent: Option<f64>,
    /// Whether the period has met the goal. At most so much of something that adds up is met only when the period is over.
    pub reached: bool,
    /// First day of the period.
    pub period_start: NaiveDate,
    /// The day after its last.
    pub period_end: NaiveDate,
}

/// A goal's state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) progress: Progress,
    pub(super) streak: i32,
    pub(super) best_streak: i32,
    /// First days of the periods that were met.
    pub(super) met: Vec<NaiveDate>,
    /// Whether the goal's last day has passed.
    pub(super) over: bool,
}

impl Aim {
    /// The first day that counts.
    pub(super) fn first_day(&self, today: NaiveDate) -> NaiveDate {
        self.starts_on.max(today - Days::new(LOOK_BACK_DAYS))
    }

    /// Judges by the days so far. `pieces` are days of one person and type.
    pub(super) fn judge(&self, pieces: &[Piece], priority: &[String], today: NaiveDate) -> Judgement {
        let first = self.first_day(today);
        let last = self.ends_on.map_or(today, |end| end.min(today)).max(first);
        let counted: Vec<Piece> =
            pieces.iter().filter(|piece| (first..=last).contains(&piece.local.date())).cloned().collect();
        let values: BTreeMap<NaiveDate, f64> = fold(&counted, priority, self.period)
            .iter()
            .map(|bucket| (bucket.local.date(), bucket.sums.value(self.aggregation)))
            .collect();
        let (mut met, mut run, mut best, mut before) = (Vec::new(), 0, 0, 0);
        let current = self.period.start_date(last);
        let mut period = self.period.start_date(first);
        while period <= current {
            before = run;
            let over = self.period.next_date(period) <= today || self.ends_on.is_some_and(|end| end < today);
            if values.get(&period).is_some_and(|value| self.is_met(*value, over)) {
                met.push(period);
                run += 1;
            } else {
                run = 0;
            }
            best = best.max(run);
            period = self.period.next_date(period);
        }
        let over = self.ends_on.is_some_and(|end| end < today);
        let reached = met.last() == Some(&current);
        let value = values.get(&current).copied();
        let progress = Progress {
            value,
            percent: value
                .filter(|_| self.target != 0.0)
                .map(|value| (value / self.target * 1e4).round() / 1e2),
            reached,
            period_start: current,
            period_end: self.period.next_date(current),
        };
        // The current period may still be met, so it does not end a streak while it lasts.
        let streak = if reached || over { run } else { before };
        Judgement { progress, streak, best_streak: best, met, over }
    }

    fn is_met(&self, value: f64, over: bool) -> bool {
        let grows = matches!(self.aggregation, Aggregation::Sum | Aggregation::Max | Aggregation::Count);
        if self.at_least { value >= self.target } else { value <= self.target && (over || !grows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wellness::series::Sums;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn pieces(days: &[(&str, f64)]) -> Vec<Piece> {
        days.iter()
            .map(|(text, value)| {
                let local = day(text).and_hms_opt(0, 0, 0).unwrap();
                let sums = Sums {
                    count: 1,
                    sum: *value,
                    min: *value,
                    max: *value,
                    last: *value,
                    last_at: local.and_utc(),
                };
                Piece { start: local.and_utc(), local, source: "watch".to_owned(), whole_day: false, sums }
            })
            .collect()
    }

    fn aim() -> Aim {
        Aim {
            target: 10.0,
            at_least: true,
            period: Span::Day,
            aggregation: Aggregation::Sum,
            starts_on: day("2026-03-01"),
            ends_on: None,
        }
    }

    #[test]
    fn a_streak_survives_today_until_today_is_over() {
        let days =
            pieces(&[("2026-02-28", 99.0), ("2026-03-01", 12.0), ("2026-03-02", 10.0), ("2026-03-03", 4.0)]);
        let judged = aim().judge(&days, &[], day("2026-03-03"));
        assert_eq!((judged.streak, judged.best_streak, judged.progress.reached), (2, 2, false));
        assert_eq!((judged.progress.value, judged.progress.percent), (Some(4.0), Some(40.0)));
        assert_eq!(judged.met, [day("2026-03-01"), day("2026-03-02")], "days before the goal do not count");
        assert_eq!(aim().judge(&days, &[], day("2026-03-04")).streak, 0);
        assert_eq!(aim().judge(&days, &[], day("2026-03-04")).best_streak, 2);
    }

    #[test]
    fn at_most_so_much_of_a_sum_is_known_at_the_end() {
        let days = pieces(&[("2026-03-01", 4.0)]);
        let most = Aim { at_least: false, ..aim() };
        assert!(!most.judge(&days, &[], day("2026-03-01")).progress.reached);
        assert_eq!(most.judge(&days, &[], day("2026-03-02")).met, [day("2026-03-01")]);
        let weight = Aim { aggregation: Aggregation::Last, ..most };
        assert!(weight.judge(&days, &[], day("2026-03-01")).progress.reached);
    }

    #[test]
    fn a_goal_with_an_end_is_judged_by_its_last_period() {
        let days = pieces(&[("2026-03-02", 6.0), ("2026-03-04", 5.0), ("2026-03-20", 50.0)]);
        let week = Aim { period: Span::Week, ends_on: Some(day("2026-03-08")), ..aim() };
        let judged = week.judge(&days, &[], day("2026-03-21"));
        assert!(judged.over && judged.progress.reached);
        assert_eq!((judged.progress.value, judged.progress.period_start), (Some(11.0), day("2026-03-02")));
    }
}
