//! Whose turn it is: smooth weighted round robin, as nginx does it.
//!
//! With each turn everybody who can take one gains their weight; whoever then has most takes it and pays what all have gained
//! together. Over a cycle everyone gets exactly their share, and shares are spread rather than dealt in blocks. Nobody pays
//! for turns at which they could not be asked.

use uuid::Uuid;

/// Somebody who takes turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Player {
    pub(super) user: Uuid,
    pub(super) weight: i64,
    /// What is owed to them; negative when they are ahead.
    pub(super) owed: i64,
    /// How many more they can take; none means any number.
    pub(super) room: Option<i64>,
}

/// Takes a turn; none when nobody has room.
pub(super) fn next(players: &mut [Player]) -> Option<Uuid> {
    let can = |player: &Player| player.room.is_none_or(|room| room > 0);
    let total: i64 = players.iter().filter(|player| can(player)).map(|player| player.weight).sum();
    for player in players.iter_mut().filter(|player| can(player)) {
        player.owed += player.weight;
    }
    // Of several the first.
    let chosen = players.iter_mut().rev().filter(|player| can(player)).max_by_key(|player| player.owed)?;
    chosen.owed -= total;
    chosen.room = chosen.room.map(|room| room - 1);
    Some(chosen.user)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn player(user: u128, weight: i64) -> Player {
        Player { user: Uuid::from_u128(user), weight, owed: 0, room: None }
    }

    #[test]
    fn shares_are_spread_and_not_dealt_in_blocks() {
        let mut players = vec![player(1, 2), player(2, 1), player(3, 1)];
        let turns: Vec<u128> = (0..8).map(|_| next(&mut players).unwrap().as_u128()).collect();
        assert_eq!(turns, [1, 2, 3, 1, 1, 2, 3, 1]);
        assert!(players.iter().all(|player| player.owed == 0));
    }

    proptest! {
        #[test]
        fn over_a_cycle_everyone_gets_exactly_their_share(weights in prop::collection::vec(1..20_i64, 1..8), cycles in 1..4_i64) {
            let mut players: Vec<Player> = weights.iter().zip(1..).map(|(weight, user)| player(user, *weight)).collect();
            let mut got: HashMap<Uuid, i64> = HashMap::new();
            for _ in 0..weights.iter().sum::<i64>() * cycles {
                *got.entry(next(&mut players).unwrap()).or_default() += 1;
            }
            for player in &players {
                prop_assert_eq!(got[&player.user], player.weight * cycles);
            }
        }

        #[test]
        fn nobody_gets_more_than_they_have_room_for(rooms in prop::collection::vec(0..9_i64, 1..6), turns in 0..60_usize) {
            let mut players: Vec<Player> =
                rooms.iter().zip(1..).map(|(room, user)| Player { room: Some(*room), ..player(user, 1 + room % 3) }).collect();
            let taken = (0..turns).filter(|_| next(&mut players).is_some()).count();
            let room: i64 = rooms.iter().sum();
            prop_assert_eq!(taken, turns.min(usize::try_from(room).unwrap()));
            prop_assert!(players.iter().all(|player| player.room >= Some(0)));
        }
    }
}
