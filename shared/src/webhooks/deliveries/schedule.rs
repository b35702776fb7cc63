//! When a failed delivery is tried again.

use std::time::Duration;

/// Tries of one delivery (github.com/standard-webhooks, spec, "Deliverability and reliability"): about 75 hours in all.
pub const ATTEMPTS: i32 = 10;

/// The pauses after the first, second … try, in seconds: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
const PAUSES: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The longest pause that a receiver may ask for.
const LONGEST: Duration = Duration::from_hours(24);

/// The pause after the `attempt`th try (from 1), or `None` when it was the last. What the receiver asks for by
/// `Retry-After` counts when it is longer. `spread` (0 to 255) lengthens the pause by up to a tenth, so that the tries of
/// many deliveries that failed together do not come together.
#[must_use]
pub fn next_delay(attempt: i32, retry_after: Option<Duration>, spread: u8) -> Option<Duration> {
    let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let pause = Duration::from_secs(*PAUSES.get(index)?);
    let pause = pause + pause.mul_f64(f64::from(spread) / 2550.0);
    Some(retry_after.map_or(pause, |asked| pause.max(asked.min(LONGEST))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_over_three_days() {
        let pauses: Vec<Duration> = (1..).map_while(|attempt| next_delay(attempt, None, 0)).collect();
        assert_eq!(i32::try_from(pauses.len()).unwrap() + 1, ATTEMPTS);
        let hours = pauses.iter().sum::<Duration>().as_secs() / 3600;
        assert_eq!(hours, 75);
        assert_eq!(next_delay(ATTEMPTS, None, 0), None);
        assert_eq!(next_delay(0, None, 0), None);
    }

    #[test]
    fn a_receiver_may_ask_for_longer_pauses_but_not_for_shorter_ones() {
        let asked = |seconds| next_delay(1, Some(Duration::from_secs(seconds)), 0).unwrap().as_secs();
        assert_eq!((asked(1), asked(60), asked(1_000_000)), (5, 60, 86_400));
        assert_eq!(next_delay(2, None, 255).unwrap().as_secs(), 330);
    }
}
