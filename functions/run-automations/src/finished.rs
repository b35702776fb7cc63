//! Runs that this process has seen to their end.
//!
//! A batch takes many runs with one look, and the hints of all but one of them are still on their way. Nothing can make a completed run due
//! again, so a hint that names one needs no look at the database.

use std::{
    collections::{HashSet, VecDeque},
    sync::{LazyLock, Mutex, PoisonError},
};

use uuid::Uuid;

/// How many are remembered: more than hints can be on their way to one process.
const KEPT: usize = 20_000;

#[derive(Default)]
struct Finished {
    known: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

static FINISHED: LazyLock<Mutex<Finished>> = LazyLock::new(Mutex::default);

/// Whether the run was completed by this process.
pub(crate) fn knows(run: Uuid) -> bool {
    FINISHED.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&run)
}

/// Remembers runs whose completion is committed.
pub(crate) fn remember(runs: &[Uuid]) {
    let mut finished = FINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for run in runs {
        if finished.known.insert(*run) {
            finished.order.push_back(*run);
        }
        while finished.order.len() > KEPT {
            let Some(oldest) = finished.order.pop_front() else { break };
            finished.known.remove(&oldest);
        }
    }
}
