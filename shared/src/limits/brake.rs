//! What an environment remembers of refusals.
//!
//! Until an empty bucket has a token again, whoever asks for one is refused here, and neither PostgreSQL nor Redis hears of
//! it: a program that asks on without pause costs the other businesses its quota, not all that it can send.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Reading;

/// The most buckets that are remembered. What is forgotten is asked for again.
const MOST: usize = 1_000;

/// The empty buckets by their names.
#[derive(Default)]
pub(super) struct Brake(Mutex<HashMap<String, Empty>>);

struct Empty {
    reading: Reading,
    since: Instant,
    wait: Duration,
}

impl Empty {
    fn lasts(&self, now: Instant) -> bool {
        now.duration_since(self.since) < self.wait
    }
}

impl Brake {
    /// Remembers a refusal that was asked for at `since`.
    pub(super) fn remember(&self, bucket: String, reading: Reading, since: Instant) {
        let Some(wait) = reading.wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
            return;
        };
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, empty| empty.lasts(since));
        }
        if known.len() < MOST {
            known.insert(bucket, Empty { reading, since, wait });
        }
    }

    /// The refusal of a bucket that is still empty, with the time that is left of it.
    pub(super) fn refusal(&self, bucket: &str, now: Instant) -> Option<Reading> {
        let mut known = self.lock();
        let empty = known.get(bucket)?;
        if !empty.lasts(now) {
            known.remove(bucket);
            return None;
        }
        let (passed, reading) = (now.duration_since(empty.since).as_secs_f64(), empty.reading);
        let left = |seconds: f64| (seconds - passed).max(0.001);
        Some(Reading { full_in: left(reading.full_in), wait: reading.wait.map(left), ..reading })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Empty>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Class, *};

    fn refused(wait: f64) -> Reading {
        Reading { class: Class::Read, of_caller: true, quota: 60, left: 0, full_in: 60.0, wait: Some(wait) }
    }

    #[test]
    fn a_bucket_is_empty_until_it_has_a_token_again() {
        let (brake, start) = (Brake::default(), Instant::now());
        brake.remember("a".to_owned(), refused(2.0), start);
        let half = brake.refusal("a", start + Duration::from_secs(1)).unwrap();
        assert_eq!((half.wait, half.full_in, half.left), (Some(1.0), 59.0, 0));
        assert!(brake.refusal("b", start).is_none());
        assert!(brake.refusal("a", start + Duration::from_secs(2)).is_none());
        assert!(brake.lock().is_empty());
    }

    #[test]
    fn only_so_many_are_remembered_and_those_that_ended_make_room() {
        let (brake, start) = (Brake::default(), Instant::now());
        let fill = |from: usize, at: Instant| {
            (from..from + MOST).for_each(|number| brake.remember(number.to_string(), refused(2.0), at));
        };
        fill(0, start);
        brake.remember("late".to_owned(), refused(2.0), start);
        assert!(brake.refusal("late", start).is_none() && brake.refusal("0", start).is_some());
        fill(MOST, start + Duration::from_secs(3));
        assert_eq!(brake.lock().len(), MOST);
        assert!(brake.refusal(&MOST.to_string(), start + Duration::from_secs(4)).is_some());
    }

    #[test]
    fn an_allowed_call_is_no_refusal() {
        let (brake, start) = (Brake::default(), Instant::now());
        brake.remember("a".to_owned(), Reading { wait: None, ..refused(1.0) }, start);
        assert!(brake.refusal("a", start).is_none());
    }
}
