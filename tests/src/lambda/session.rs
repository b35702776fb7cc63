//! The state of one execution environment. The Runtime API writes it from the side of the process, [`super::Environment`]
//! from the side of the caller; both wait on the same watch, so there is one truth and nothing to keep in step.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use super::{
    outcome::{Answer, ErrorReport, Outcome},
    process::Exit,
};

/// Numbers the invocations of this test process, so that no two share an id.
static INVOCATIONS: AtomicU64 = AtomicU64::new(1);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) first_poll: Option<Instant>,
    pub(crate) first_response: Option<Instant>,
    pub(crate) init_error: Option<ErrorReport>,
    /// Set as soon as the process is gone, so that its id is not used any more.
    pub(crate) exit: Option<Exit>,
    /// Set once everything that the process sent before its end has been read.
    pub(crate) drained: bool,
    current: Option<Current>,
    finished: Option<Outcome>,
}

#[derive(Debug)]
struct Current {
    request_id: String,
    event: Bytes,
    handed: Option<Instant>,
}

/// An event on its way to the process.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) request_id: String,
    pub(crate) event: Bytes,
}

/// A request that does not fit the state of the environment; Lambda's own words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: an answer to an invocation that is not the current one, or has been answered.
    InvalidRequestId,
    /// 403: a poll in the middle of an invocation, or an init error after the start.
    InvalidStateTransition,
}

impl State {
    /// When the invocation was given to the process.
    pub(crate) fn handed(&self, request_id: &str) -> Option<Instant> {
        self.current.as_ref().filter(|current| current.request_id == request_id)?.handed
    }

    /// The outcome, if the invocation was the last one to be answered.
    pub(crate) fn outcome(&self, request_id: &str) -> Option<&Outcome> {
        self.finished.as_ref().filter(|outcome| outcome.request_id == request_id)
    }

    /// Nothing more will come from this process.
    pub(crate) fn is_dead(&self) -> bool {
        self.drained || self.init_error.is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    state: watch::Sender<State>,
    pub(crate) arn: String,
    pub(crate) timeout: Duration,
}

impl Session {
    pub(crate) fn new(arn: String, timeout: Duration) -> Self {
        Self { state: watch::Sender::default(), arn, timeout }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.borrow())
    }

    /// Waits until `done`; the sender lives in `self`, so the wait cannot fail.
    pub(crate) async fn until(&self, done: impl FnMut(&State) -> bool) {
        let _ = self.state.subscribe().wait_for(done).await;
    }

    /// Queues an event for the next poll and returns its request id; `None` while another one is unanswered.
    pub(crate) fn submit(&self, event: Bytes) -> Option<String> {
        let number = INVOCATIONS.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("00000000-0000-4000-8000-{number:012x}");
        let accepted = self.state.send_if_modified(|state| {
            let idle = state.current.is_none();
            if idle {
                state.current = Some(Current { request_id: request_id.clone(), event, handed: None });
            }
            idle
        });
        accepted.then_some(request_id)
    }

    /// The long poll: waits for an event and hands it out exactly once.
    pub(crate) async fn next(&self) -> Result<Handed, Refusal> {
        let in_the_middle = |state: &State| state.current.as_ref().is_some_and(|c| c.handed.is_some());
        if self.read(in_the_middle) {
            return Err(Refusal::InvalidStateTransition);
        }
        let now = Instant::now();
        self.state.send_if_modified(|state| {
            let first = state.first_poll.is_none();
            state.first_poll.get_or_insert(now);
            first
        });
        loop {
            self.until(|state| state.current.as_ref().is_some_and(|current| current.handed.is_none())).await;
            if let Some(handed) = self.take() {
                return Ok(handed);
            }
        }
    }

    fn take(&self) -> Option<Handed> {
        let mut taken = None;
        self.state.send_if_modified(|state| {
            if let Some(current) = state.current.as_mut().filter(|current| current.handed.is_none()) {
                current.handed = Some(Instant::now());
                taken = Some(Handed { request_id: current.request_id.clone(), event: current.event.clone() });
            }
            taken.is_some()
        });
        taken
    }

    /// Settles the current invocation.
    pub(crate) fn answer(&self, request_id: &str, answer: Answer) -> Result<(), Refusal> {
        let settled = self.state.send_if_modified(|state| {
            let Some(handed) = state.handed(request_id) else { return false };
            let now = Instant::now();
            let duration = now.duration_since(handed);
            state.first_response.get_or_insert(now);
            state.current = None;
            state.finished = Some(Outcome { request_id: request_id.to_owned(), answer, duration });
            true
        });
        if settled { Ok(()) } else { Err(Refusal::InvalidRequestId) }
    }

    pub(crate) fn fail_init(&self, report: ErrorReport) -> Result<(), Refusal> {
        let accepted = self.state.send_if_modified(|state| {
            let starting = state.first_poll.is_none() && state.init_error.is_none();
            if starting {
                state.init_error = Some(report);
            }
            starting
        });
        if accepted { Ok(()) } else { Err(Refusal::InvalidStateTransition) }
    }

    pub(crate) fn mark_exited(&self, exit: Exit) {
        self.state.send_modify(|state| state.exit = Some(exit));
    }

    pub(crate) fn mark_drained(&self) {
        self.state.send_modify(|state| state.drained = true);
    }
}
