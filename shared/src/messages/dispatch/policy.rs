//! How often and when: pure.

use std::time::Duration;

use crate::providers::Capability;

/// Tries of one message, the first included.
pub const MAX_TRIES: i32 = 8;
/// A held message looks again after this long; resuming the account wakes it at once.
pub(super) const HELD: Duration = Duration::from_mins(5);
/// How long a callback may take before the provider is asked. Longer than the function lives, plus the provider's lag.
pub(super) const SEARCH_AFTER: Duration = Duration::from_secs(90);
/// Providers keep keys for a day; an hour is left for clocks and queues.
const KEY_AGE: Duration = Duration::from_hours(23);
const BASE: Duration = Duration::from_secs(2);
const CAP: Duration = Duration::from_hours(1);

/// The wait before try `attempt + 1`: anywhere up to the doubled base (full jitter), or what the provider asks for.
/// `random` is any number.
#[must_use]
pub fn backoff(attempt: i32, asked: Option<Duration>, random: u64) -> Duration {
    if let Some(asked) = asked {
        return asked.min(Duration::from_hours(24));
    }
    let doublings = u32::try_from(attempt.clamp(1, 20) - 1).unwrap_or_default();
    let most = BASE.saturating_mul(2_u32.saturating_pow(doublings)).min(CAP);
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random % (millis + 1))
}

/// What follows when the answer to a send was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterLoss {
    /// The same again: the provider knows the key.
    Repeat,
    /// Wait for a callback, then ask.
    Search,
    /// Only a callback or a person can tell.
    Wait,
}

/// `age` is the time since the first try.
pub(super) fn after_loss(capability: Capability, attempt: i32, age: Duration) -> AfterLoss {
    match capability {
        Capability::Keyed if attempt < MAX_TRIES && age < KEY_AGE => AfterLoss::Repeat,
        Capability::Searchable => AfterLoss::Search,
        Capability::Keyed | Capability::Opaque => AfterLoss::Wait,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_keyed_provider_is_repeated_within_its_memory_and_no_other_ever() {
        let hour = Duration::from_hours(1);
        assert_eq!(after_loss(Capability::Keyed, 1, hour), AfterLoss::Repeat);
        assert_eq!(after_loss(Capability::Keyed, MAX_TRIES, hour), AfterLoss::Wait);
        assert_eq!(after_loss(Capability::Keyed, 1, hour * 24), AfterLoss::Wait);
        assert_eq!(after_loss(Capability::Searchable, 1, hour), AfterLoss::Search);
        assert_eq!(after_loss(Capability::Opaque, 1, hour), AfterLoss::Wait);
    }

    proptest! {
        #[test]
        fn waits_stay_under_the_doubling_bound_and_the_cap(attempt in 0_i32..100, random: u64) {
            let wait = backoff(attempt, None, random);
            prop_assert!(wait <= CAP);
            prop_assert!(attempt > 8 || wait.as_secs_f64() <= 2.0 * 2.0_f64.powi(attempt.max(1) - 1));
            prop_assert_eq!(backoff(attempt, Some(Duration::from_secs(90)), random), Duration::from_secs(90));
        }
    }
}
