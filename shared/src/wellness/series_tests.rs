use proptest::prelude::*;

use super::*;

fn piece(at: &str, source: &str, whole_day: bool, values: &[f64]) -> Piece {
    let local: NaiveDateTime = at.parse().unwrap();
    let sums = values
        .iter()
        .map(|value| Sums {
            count: 1,
            sum: *value,
            min: *value,
            max: *value,
            last: *value,
            last_at: local.and_utc(),
        })
        .reduce(Sums::and)
        .unwrap();
    Piece { start: local.and_utc(), local, source: source.to_owned(), whole_day, sums }
}

fn sums_of(pieces: &[Piece], priority: &[&str], span: Span) -> Vec<f64> {
    let priority: Vec<String> = priority.iter().map(|&word| word.to_owned()).collect();
    fold(pieces, &priority, span).iter().map(|bucket| bucket.sums.sum).collect()
}

#[test]
fn two_sources_of_a_day_are_never_added_up() {
    let day = [
        piece("2026-03-01T08:00:00", "watch", false, &[100.0, 200.0]),
        piece("2026-03-01T09:00:00", "phone", false, &[999.0]),
    ];
    assert_eq!(sums_of(&day, &[], Span::Day), [300.0], "the one that measured more often");
    assert_eq!(sums_of(&day, &["phone", "watch"], Span::Day), [999.0], "the one that the business believes");
    assert_eq!(sums_of(&day, &["ring"], Span::Day), [300.0]);
}

#[test]
fn a_days_total_and_its_samples_are_never_added_up() {
    let day = [
        piece("2026-03-01T00:00:00", "watch", true, &[5000.0]),
        piece("2026-03-01T09:00:00", "watch", false, &[700.0, 800.0]),
    ];
    assert_eq!(sums_of(&day, &[], Span::Day), [5000.0]);
    assert_eq!(sums_of(&day, &[], Span::Hour), [1500.0]);
    assert_eq!(sums_of(&day[..1], &[], Span::Hour), [5000.0], "better than nothing");
}

#[test]
fn weeks_begin_on_monday_and_a_source_is_chosen_for_each_day() {
    let pieces = [
        piece("2026-03-01T08:00:00", "watch", false, &[1.0]), // a Sunday
        piece("2026-03-02T08:00:00", "watch", false, &[2.0]),
        piece("2026-03-08T08:00:00", "phone", false, &[4.0]),
    ];
    assert_eq!(sums_of(&pieces, &[], Span::Week), [1.0, 6.0]);
    assert_eq!(sums_of(&pieces, &[], Span::Month), [7.0]);
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_two_buckets() {
    let mut twice = [
        piece("2026-10-25T02:00:00", "watch", false, &[1.0]),
        piece("2026-10-25T02:00:00", "watch", false, &[2.0]),
    ];
    twice[0].start = "2026-10-25T00:00:00Z".parse().unwrap();
    twice[1].start = "2026-10-25T01:00:00Z".parse().unwrap();
    assert_eq!(sums_of(&twice, &[], Span::Hour), [1.0, 2.0]);
    assert_eq!(sums_of(&twice, &[], Span::Day), [3.0]);
}

/// (hour since the first of January 2026, value): the brute force below needs nothing else.
fn samples() -> impl Strategy<Value = Vec<(u32, f64)>> {
    proptest::collection::vec((0..24_u32 * 120, -1e3..1e3_f64), 1..60)
}

proptest! {
    #[test]
    fn buckets_equal_brute_force(samples in samples(), which in 0..4_usize) {
        let span = [Span::Hour, Span::Day, Span::Week, Span::Month][which];
        let origin: NaiveDateTime = "2026-01-01T00:00:00".parse().unwrap();
        let at = |hour: u32| origin + chrono::Duration::hours(i64::from(hour));
        let pieces: Vec<Piece> =
            samples.iter().map(|(hour, value)| piece(&at(*hour).format("%FT%T").to_string(), "watch", false, &[*value])).collect();
        let key = |hour: u32| match span {
            Span::Hour => at(hour).format("%F %H").to_string(),
            Span::Day => at(hour).format("%F").to_string(),
            Span::Week => at(hour).format("%G-%V").to_string(),
            Span::Month => at(hour).format("%Y-%m").to_string(),
        };
        let mut brute: BTreeMap<String, Vec<(u32, f64)>> = BTreeMap::new();
        for (hour, value) in samples {
            brute.entry(key(hour)).or_default().push((hour, value));
        }
        let folded = fold(&pieces, &[], span);
        prop_assert_eq!(folded.len(), brute.len());
        for (bucket, values) in folded.iter().zip(brute.values()) {
            let plain = || values.iter().map(|(_, value)| *value);
            prop_assert_eq!(bucket.sums.count, i64::try_from(values.len()).unwrap());
            prop_assert!((bucket.sums.sum - plain().sum::<f64>()).abs() < 1e-6);
            prop_assert_eq!(bucket.sums.min, plain().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(bucket.sums.max, plain().fold(f64::NEG_INFINITY, f64::max));
            let latest = values.iter().map(|(hour, _)| *hour).max().unwrap();
            prop_assert!(values.contains(&(latest, bucket.sums.last)));
            prop_assert_eq!(span.start(bucket.local), bucket.local);
        }
    }

    #[test]
    fn periods_tile_the_calendar(day in 0..3650_u64, which in 1..4_usize) {
        let span = [Span::Hour, Span::Day, Span::Week, Span::Month][which];
        let date = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + Days::new(day);
        let (start, next) = (span.start_date(date), span.next_date(span.start_date(date)));
        prop_assert!(start <= date && date < next);
        prop_assert_eq!(span.start_date(next), next);
        prop_assert_eq!(span.start_date(next - Days::new(1)), start);
    }
}
