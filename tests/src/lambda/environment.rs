//! One execution environment: a process, its Runtime API, and the handles to drive, disturb and measure it.

use std::{io, process::ExitStatus, sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::Child,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{
    logs::{Line, Logs, Stream},
    outcome::{Fault, Outcome},
    process::{Exit, Usage, measure, send},
    runtime_api::{MAX_PAYLOAD, serve},
    session::{Session, State},
};

/// How long Lambda lets INIT take (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// How long an ended process may keep us reading what it has sent. Its sockets and pipes are closed, so reading ends
/// by itself unless a grandchild has inherited them.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// A running environment. Dropping it kills the process.
#[derive(Debug)]
pub struct Environment {
    handle: Handle,
    spawned: Instant,
    /// Aborted on drop.
    _supervisor: JoinSet<()>,
}

/// How long the start took, from just before the process was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdStart {
    /// Until the first poll for an event, the end of INIT.
    pub first_poll: Option<Duration>,
    /// Until the first answer. Give the event right after launching, so that it waits for the process as in Lambda.
    pub first_response: Option<Duration>,
}

impl Environment {
    pub(crate) fn new(
        mut child: Child,
        listener: TcpListener,
        session: Arc<Session>,
        spawned: Instant,
    ) -> io::Result<Self> {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| io::Error::other("the process has no id"))?;
        let logs = Arc::new(Logs::default());
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            let logs = Arc::clone(&logs);
            readers.spawn(async move { logs.collect(Stream::Out, stdout).await });
        }
        if let Some(stderr) = child.stderr.take() {
            let logs = Arc::clone(&logs);
            readers.spawn(async move { logs.collect(Stream::Err, stderr).await });
        }
        let mut supervisor = JoinSet::new();
        supervisor.spawn(supervise(child, listener, Arc::clone(&session), readers));
        Ok(Self { handle: Handle { pid, session, logs }, spawned, _supervisor: supervisor })
    }

    /// The id of the process.
    pub fn pid(&self) -> i32 {
        self.handle.pid
    }

    /// Gives the process one event and waits for its answer, at most INIT's limit (before the first poll) and then the
    /// function's timeout.
    pub async fn invoke(&self, event: &Value) -> Result<Outcome, Fault> {
        self.begin(event)?.outcome().await
    }

    /// Gives the process one event without waiting, so that it can be disturbed in the middle of it.
    pub fn begin(&self, event: &Value) -> Result<Invocation, Fault> {
        self.begin_raw(event.to_string().into_bytes())
    }

    /// Like [`Self::begin`], with the bytes of the event as they are.
    pub fn begin_raw(&self, event: Vec<u8>) -> Result<Invocation, Fault> {
        if event.len() > MAX_PAYLOAD {
            return Err(Fault::EventTooLarge(event.len()));
        }
        self.handle.check_usable()?;
        let request_id = self.handle.session.submit(event.into()).ok_or(Fault::Busy)?;
        Ok(Invocation { handle: self.handle.clone(), request_id })
    }

    /// Waits for the first poll and returns how long it took from the spawn.
    pub async fn wait_ready(&self) -> Result<Duration, Fault> {
        let ready = |state: &State| state.first_poll.is_some() || state.is_dead();
        if timeout(INIT_LIMIT, self.handle.session.until(ready)).await.is_err() {
            return Err(Fault::NotReady { limit: INIT_LIMIT, logs: self.handle.logs.tail() });
        }
        match self.cold_start().first_poll {
            Some(first_poll) => Ok(first_poll),
            None => Err(self.handle.fault_of_the_dead()),
        }
    }

    /// How long the start took, as far as it has come.
    pub fn cold_start(&self) -> ColdStart {
        let since_spawn = |instant: Instant| instant.duration_since(self.spawned);
        self.handle.session.read(|state| ColdStart {
            first_poll: state.first_poll.map(since_spawn),
            first_response: state.first_response.map(since_spawn),
        })
    }

    /// Ends the process with SIGKILL: no destructor runs, no connection is closed in order.
    pub fn kill(&self) -> Result<(), Fault> {
        self.handle.signal(Signal::SIGKILL)
    }

    /// Freezes the process with SIGSTOP, as Lambda does between invocations and a stalled machine does in one. The
    /// timeout of an invocation goes on.
    pub fn stop(&self) -> Result<(), Fault> {
        self.handle.signal(Signal::SIGSTOP)
    }

    /// Thaws the process with SIGCONT.
    pub fn resume(&self) -> Result<(), Fault> {
        self.handle.signal(Signal::SIGCONT)
    }

    /// Waits for the end of the process and of its output.
    pub async fn wait_exit(&self, within: Duration) -> Result<Exit, Fault> {
        let _ = timeout(within, self.handle.session.until(|state| state.drained)).await;
        let missing = || Fault::NotSeen {
            what: "the end of the process".to_owned(),
            within,
            logs: self.handle.logs.tail(),
        };
        self.handle.session.read(|state| state.exit.filter(|_| state.drained)).ok_or_else(missing)
    }

    /// Everything the process has written so far. A line may arrive shortly after the answer it precedes, since pipe
    /// and socket are read independently; [`Self::wait_log`] waits for one.
    pub fn logs(&self) -> Vec<Line> {
        self.handle.logs.lines()
    }

    /// Waits for a line that contains `needle`; one written before counts too.
    pub async fn wait_log(&self, needle: &str, within: Duration) -> Result<Line, Fault> {
        let missing = || Fault::NotSeen {
            what: format!("a line with {needle:?}"),
            within,
            logs: self.handle.logs.tail(),
        };
        self.handle.logs.wait_for(needle, within).await.ok_or_else(missing)
    }

    /// What the process has used since its start. Two readings around a number of invocations give the CPU time of one.
    pub fn usage(&self) -> Result<Usage, Fault> {
        self.handle.check_alive()?;
        measure(self.handle.pid).map_err(|source| self.handle.system_fault(source))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill.
        let _ = self.handle.signal(Signal::SIGKILL);
    }
}

/// An invocation under way. Dropping it abandons the answer, not the work: the environment stays busy until the
/// process has answered.
#[derive(Debug)]
pub struct Invocation {
    handle: Handle,
    request_id: String,
}

impl Invocation {
    /// The id that the function sees.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Waits until the process has been given the event.
    pub async fn handed(&self) -> Result<(), Fault> {
        let id = self.request_id.as_str();
        let done =
            |state: &State| state.handed(id).is_some() || state.outcome(id).is_some() || state.is_dead();
        match timeout(INIT_LIMIT, self.handle.session.until(done)).await {
            Ok(()) if self.handle.session.read(|s| s.handed(id).is_none() && s.outcome(id).is_none()) => {
                Err(self.handle.fault_of_the_dead())
            }
            Ok(()) => Ok(()),
            Err(_) => Err(Fault::NotReady { limit: INIT_LIMIT, logs: self.handle.logs.tail() }),
        }
    }

    /// Waits for the answer. When the function's timeout passes, the process is killed, as Lambda does.
    pub async fn outcome(self) -> Result<Outcome, Fault> {
        self.handed().await?;
        let Handle { session, logs, .. } = &self.handle;
        let id = self.request_id.as_str();
        if let Some(handed) = session.read(|state| state.handed(id)) {
            let over = |state: &State| state.outcome(id).is_some() || state.drained;
            if timeout_at(handed + session.timeout, session.until(over)).await.is_err() {
                // If it ended just now, there is nothing to kill.
                let _ = self.handle.signal(Signal::SIGKILL);
                let _ = timeout(DRAIN_LIMIT * 3, session.until(|state| state.drained)).await;
                return Err(Fault::TimedOut { limit: session.timeout, logs: logs.tail() });
            }
        }
        let (outcome, exit) = session.read(|state| (state.outcome(id).cloned(), state.exit));
        outcome.ok_or_else(|| Fault::Crashed { exit: exit.unwrap_or_default(), logs: logs.tail() })
    }
}

/// What an environment and its invocations share.
#[derive(Debug, Clone)]
struct Handle {
    pid: i32,
    session: Arc<Session>,
    logs: Arc<Logs>,
}

impl Handle {
    fn signal(&self, signal: Signal) -> Result<(), Fault> {
        self.check_alive()?;
        send(self.pid, signal).map_err(|source| self.system_fault(source))
    }

    /// The process id is still ours: an ended process that has not been waited for keeps it.
    fn check_alive(&self) -> Result<(), Fault> {
        if self.session.read(|state| state.exit.is_some()) { Err(self.ended()) } else { Ok(()) }
    }

    fn check_usable(&self) -> Result<(), Fault> {
        if self.session.read(State::is_dead) { Err(self.fault_of_the_dead()) } else { self.check_alive() }
    }

    fn fault_of_the_dead(&self) -> Fault {
        match self.session.read(|state| state.init_error.clone()) {
            Some(report) => Fault::InitFailed { report, logs: self.logs.tail() },
            None => self.ended(),
        }
    }

    fn ended(&self) -> Fault {
        let exit = self.session.read(|state| state.exit).unwrap_or_default();
        Fault::Ended { exit, logs: self.logs.tail() }
    }

    fn system_fault(&self, source: io::Error) -> Fault {
        Fault::System { pid: self.pid, source }
    }
}

/// Accepts the connections of the process and watches for its end. What it managed to send before its end counts: an
/// answer in the socket of a killed process has been given.
async fn supervise(mut child: Child, listener: TcpListener, session: Arc<Session>, mut readers: JoinSet<()>) {
    let mut connections = JoinSet::new();
    let status: io::Result<ExitStatus> = loop {
        tokio::select! {
            status = child.wait() => break status,
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve(stream, Arc::clone(&session)));
            }
            Some(_) = connections.join_next() => {}
        }
    };
    session.mark_exited(Exit::from_status(status));
    while let Ok(Ok((stream, _))) = timeout(Duration::from_millis(5), listener.accept()).await {
        connections.spawn(serve(stream, Arc::clone(&session)));
    }
    let drain = async {
        while connections.join_next().await.is_some() {}
        while readers.join_next().await.is_some() {}
    };
    let _ = timeout(DRAIN_LIMIT, drain).await;
    session.mark_drained();
}
