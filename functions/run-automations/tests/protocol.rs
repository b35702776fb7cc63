//! A check of the protocol by which a run's effect is claimed, marked, made and settled.
//!
//! Every state that two workers can reach is visited: each may be hinted at any time, crash between any two points, and outlive its lease. The
//! rules are those of the engine: a claim raises the epoch and the count of claims, the mark and the settling are refused
//! under an older epoch, an effect found marked is handled by what its provider can promise. Taking one rule away must break what the rule is for;
//! otherwise the model would prove nothing.

use std::collections::{HashSet, VecDeque};

const MAX_CLAIMS: u8 = 5;

/// What a provider can promise about a request whose answer was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// The same key is the same request: webhook targets, Stripe.
    Keyed,
    /// It can be asked whether it has the request: Twilio.
    Searchable,
    /// Neither: such an effect is left to a person.
    Opaque,
}

/// The rules, each of which can be taken away.
#[derive(Clone, Copy)]
struct Rules {
    class: Class,
    mark: bool,
    fence: bool,
    /// A worker is dead before its lease ends.
    lease_outlives_worker: bool,
    limit_claims: bool,
}

impl Rules {
    const fn all(class: Class) -> Self {
        Self { class, mark: true, fence: true, lease_outlives_worker: true, limit_claims: true }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Run {
    Due,
    Running { leased: bool },
    Ended,
    Attention,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Effect {
    Planned,
    Dispatching,
    Settled,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Worker {
    Idle,
    Claimed(u8),
    Marked(u8),
    Called(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    run: Run,
    epoch: u8,
    claims: u8,
    effect: Effect,
    /// How often the outside saw it.
    made: u8,
    /// How often the run was moved past it.
    moved: u8,
    workers: [Worker; 2],
}

const START: State = State {
    run: Run::Due,
    epoch: 0,
    claims: 0,
    effect: Effect::Planned,
    made: 0,
    moved: 0,
    workers: [Worker::Idle; 2],
};

#[expect(
    clippy::indexing_slicing,
    reason = "a member of a JSON object: missing reads as null, writing makes it"
)]
fn next(state: State, rules: Rules) -> Vec<State> {
    let mut found = Vec::new();
    if state.run == (Run::Running { leased: true }) {
        let mut expired = State { run: Run::Running { leased: false }, ..state };
        if rules.lease_outlives_worker {
            expired.workers = expired
                .workers
                .map(|worker| if epoch(worker) == Some(state.epoch) { Worker::Idle } else { worker });
        }
        found.push(expired);
    }
    for place in 0..state.workers.len() {
        let with = |changed: State, worker: Worker| {
            let mut after = changed;
            after.workers[place] = worker;
            after
        };
        if state.workers[place] != Worker::Idle {
            found.push(with(state, Worker::Idle));
        }
        found.extend(act(state, rules, state.workers[place]).map(|(changed, worker)| with(changed, worker)));
    }
    found
}

fn epoch(worker: Worker) -> Option<u8> {
    match worker {
        Worker::Idle => None,
        Worker::Claimed(epoch) | Worker::Marked(epoch) | Worker::Called(epoch) => Some(epoch),
    }
}

/// What a worker does next, if it can.
fn act(state: State, rules: Rules, worker: Worker) -> Option<(State, Worker)> {
    let holds =
        |epoch: u8| !rules.fence || (epoch == state.epoch && matches!(state.run, Run::Running { .. }));
    match worker {
        Worker::Idle => match state.run {
            Run::Due | Run::Running { leased: false } => {
                if rules.limit_claims && state.claims >= MAX_CLAIMS {
                    return Some((State { run: Run::Attention, ..state }, Worker::Idle));
                }
                let epoch = state.epoch + 1;
                let run = Run::Running { leased: true };
                Some((State { run, epoch, claims: state.claims + 1, ..state }, Worker::Claimed(epoch)))
            }
            Run::Running { leased: true } | Run::Ended | Run::Attention => None,
        },
        Worker::Claimed(epoch) if !holds(epoch) => Some((state, Worker::Idle)),
        Worker::Claimed(epoch) => match (state.effect, rules.class) {
            (Effect::Planned, _) => {
                let effect = if rules.mark { Effect::Dispatching } else { Effect::Planned };
                Some((State { effect, ..state }, Worker::Marked(epoch)))
            }
            (Effect::Dispatching, Class::Searchable) if state.made > 0 => {
                Some((state, Worker::Called(epoch)))
            }
            (Effect::Dispatching, Class::Keyed | Class::Searchable) => Some((state, Worker::Marked(epoch))),
            (Effect::Dispatching, Class::Opaque) => {
                Some((State { run: Run::Attention, ..state }, Worker::Idle))
            }
            (Effect::Settled, _) => Some((state, Worker::Idle)),
        },
        Worker::Marked(epoch) => {
            let made = if rules.class == Class::Keyed { 1 } else { state.made + 1 };
            Some((State { made, ..state }, Worker::Called(epoch)))
        }
        Worker::Called(epoch) if !holds(epoch) => Some((state, Worker::Idle)),
        Worker::Called(_) => {
            let moved = state.moved + 1;
            Some((State { run: Run::Ended, effect: Effect::Settled, moved, ..state }, Worker::Idle))
        }
    }
}

/// All states that can be reached, up to eight claims.
fn reachable(rules: Rules) -> HashSet<State> {
    let mut seen = HashSet::from([START]);
    let mut open = VecDeque::from([START]);
    while let Some(state) = open.pop_front() {
        for after in next(state, rules) {
            if after.epoch <= 8 && after.made <= 3 && after.moved <= 3 && seen.insert(after) {
                open.push_back(after);
            }
        }
    }
    seen
}

fn made_at_most_once(rules: Rules) -> bool {
    reachable(rules).iter().all(|state| state.made <= 1)
}

fn moved_at_most_once(rules: Rules) -> bool {
    reachable(rules).iter().all(|state| state.moved <= 1)
}

const CLASSES: [Class; 3] = [Class::Keyed, Class::Searchable, Class::Opaque];

#[test]
fn with_all_rules_an_effect_is_made_once_and_a_run_moves_once() {
    for class in CLASSES {
        let rules = Rules::all(class);
        assert!(made_at_most_once(rules) && moved_at_most_once(rules), "{class:?}");
    }
}

#[test]
fn every_state_leads_to_an_end() {
    for class in CLASSES {
        let rules = Rules::all(class);
        for state in reachable(rules) {
            let mut seen = HashSet::from([state]);
            let mut open = vec![state];
            let mut ends = false;
            while let Some(at) = open.pop() {
                ends |= matches!(at.run, Run::Ended | Run::Attention);
                open.extend(next(at, rules).into_iter().filter(|after| seen.insert(*after)));
            }
            assert!(ends, "{class:?} is stuck at {state:?}");
        }
    }
}

#[test]
fn an_end_means_that_the_effect_was_made() {
    for class in CLASSES {
        assert!(
            reachable(Rules::all(class)).iter().all(|state| state.run != Run::Ended || state.made == 1),
            "{class:?}"
        );
    }
}

#[test]
fn a_worker_that_outlives_its_lease_harms_only_what_must_be_asked() {
    let zombies = |class| made_at_most_once(Rules { lease_outlives_worker: false, ..Rules::all(class) });
    assert!(zombies(Class::Keyed) && zombies(Class::Opaque));
    assert!(!zombies(Class::Searchable), "the lease must be longer than the function may live");
}

#[test]
fn without_the_mark_effects_are_made_twice() {
    let unmarked = |class| made_at_most_once(Rules { mark: false, ..Rules::all(class) });
    assert!(unmarked(Class::Keyed));
    assert!(!unmarked(Class::Searchable) && !unmarked(Class::Opaque));
}

#[test]
fn without_the_fence_a_run_is_moved_twice() {
    let unfenced = Rules { fence: false, lease_outlives_worker: false, ..Rules::all(Class::Keyed) };
    assert!(!moved_at_most_once(unfenced));
    assert!(moved_at_most_once(Rules { fence: true, ..unfenced }));
}

#[test]
fn without_the_limit_a_crash_repeats_for_ever() {
    let claims = |limit_claims| {
        reachable(Rules { limit_claims, ..Rules::all(Class::Keyed) }).iter().map(|state| state.claims).max()
    };
    assert_eq!(claims(true), Some(MAX_CLAIMS));
    assert!(claims(false) > Some(MAX_CLAIMS));
}
