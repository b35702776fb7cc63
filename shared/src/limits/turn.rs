//! Turns: one worker looks at a row, the others leave word.
//!
//! A row is claimed in the database, by lease and epoch, and nothing here changes that: correctness stays there. But hints
//! come in duplicates, from queues and from the sweep, and each costs a transaction that finds the row taken. With Redis
//! the second worker learns so for the price of one small script. It leaves word, and whoever has the turn looks once
//! more at its end, so that a change that came with the second hint is not slept over. Without Redis everybody has
//! always the turn.

use std::time::Duration;

use super::{Limits, redis::Held};
use crate::queue::Hint;

/// How long a worker that died keeps the others away: far less than its lease does.
const LIMIT: Duration = Duration::from_secs(20);

/// The right to look at a row; ends by [`Limits::end_turn`], or by itself after twenty seconds.
pub struct Turn(Option<Held>);

impl Limits {
    /// Takes the turn at the row of a hint. `None` when somebody has it; they will look again.
    pub async fn take_turn(&self, hint: &Hint) -> Option<Turn> {
        let Some(redis) = self.redis() else { return Some(Turn(None)) };
        match redis.take_turn(hint.tenant, hint.id, LIMIT).await {
            Some(held) => held.map(|held| Turn(Some(held))),
            None => Some(Turn(None)),
        }
    }

    /// Ends a turn. True when somebody else came meanwhile: the row is to be looked at once more.
    pub async fn end_turn(&self, turn: Turn) -> bool {
        match (self.redis(), turn.0) {
            (Some(redis), Some(held)) => redis.end_turn(held).await,
            _ => false,
        }
    }
}
