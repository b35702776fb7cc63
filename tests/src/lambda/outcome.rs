//! What an invocation can end in: an answer of the function, or a fault of its environment.

use std::{fmt, io, time::Duration};

use serde_json::Value;

use super::process::Exit;

/// The end of an invocation that the function itself has answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The id that the function saw as `Lambda-Runtime-Aws-Request-Id`.
    pub request_id: String,
    /// What the function posted.
    pub answer: Answer,
    /// From handing the event to the process until its answer was read, measured outside the process.
    pub duration: Duration,
}

/// What the function posted: `…/response` or `…/error`.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The payload of `…/response`.
    Payload(Value),
    /// The report of `…/error`, or the reason why Lambda refuses the response.
    Error(ErrorReport),
}

/// A function error as Lambda shows it to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct ErrorReport {
    /// `errorType`, for example `Runtime.ExitError` or the type of a Rust error.
    pub error_type: String,
    /// `errorMessage`.
    pub message: String,
}

impl ErrorReport {
    pub(crate) fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self { error_type: error_type.to_owned(), message: message.into() }
    }

    /// Reads the body of an error request; `fallback` is the type named by its header. A body of another shape is kept
    /// as the message, since Lambda does not insist on one.
    pub(crate) fn from_body(body: &[u8], fallback: &str) -> Self {
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| parsed.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            error_type: text("errorType").unwrap_or_else(|| fallback.to_owned()),
            message: text("errorMessage").unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
        }
    }
}

/// The answer is not what the caller of the function accepts.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The function failed where a payload was expected.
    #[error("the function answered with an error: {0}")]
    Function(ErrorReport),
    /// The payload has a shape that the event source refuses.
    #[error("the event source would refuse this answer ({problem}): {payload}")]
    Shape {
        /// What is wrong with it.
        problem: &'static str,
        /// The payload as it was answered.
        payload: Value,
    },
}

impl Outcome {
    /// The payload, or the function's error.
    pub fn payload(&self) -> Result<&Value, AnswerError> {
        match &self.answer {
            Answer::Payload(payload) => Ok(payload),
            Answer::Error(report) => Err(AnswerError::Function(report.clone())),
        }
    }

    /// The error, if the function answered with one.
    pub fn error(&self) -> Option<&ErrorReport> {
        match &self.answer {
            Answer::Payload(_) => None,
            Answer::Error(report) => Some(report),
        }
    }
}

/// The environment could not carry an invocation to an answer. `logs` is the end of what the process has written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The listener or the process could not be started.
    #[error("cannot launch {name}: {source}")]
    Launch {
        /// The function.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// An environment takes one invocation at a time; Lambda would start a second environment.
    #[error("this environment is still busy with an invocation: wait for it, or launch a second environment")]
    Busy,
    /// The event is larger than Lambda accepts.
    #[error("the event has {0} bytes, Lambda takes 6 MB")]
    EventTooLarge(usize),
    /// No poll for the first event within the time that Lambda gives to INIT.
    #[error("the process did not poll for an event within {limit:?}{logs}")]
    NotReady {
        /// The limit that passed.
        limit: Duration,
        /// The end of its output.
        logs: Tail,
    },
    /// The process reported that it cannot start.
    #[error("the process reported a failed start: {report}{logs}")]
    InitFailed {
        /// What it reported.
        report: ErrorReport,
        /// The end of its output.
        logs: Tail,
    },
    /// The process ended while it had an invocation to answer (`Runtime.ExitError` in Lambda).
    #[error("the process ended in the middle of an invocation ({exit}){logs}")]
    Crashed {
        /// How it ended.
        exit: Exit,
        /// The end of its output.
        logs: Tail,
    },
    /// The process had ended before it could be given the invocation, the signal or the question.
    #[error("the process has ended ({exit}){logs}")]
    Ended {
        /// How it ended.
        exit: Exit,
        /// The end of its output.
        logs: Tail,
    },
    /// The function's timeout passed; the process was killed, as Lambda does.
    #[error("the invocation was not answered within {limit:?}; the process was killed{logs}")]
    TimedOut {
        /// The function's timeout.
        limit: Duration,
        /// The end of its output.
        logs: Tail,
    },
    /// Something awaited did not happen in the time given.
    #[error("{what} did not happen within {within:?}{logs}")]
    NotSeen {
        /// What was awaited.
        what: String,
        /// How long.
        within: Duration,
        /// The end of its output.
        logs: Tail,
    },
    /// The operating system refused to signal or measure the process.
    #[error("cannot reach process {pid}: {source}")]
    System {
        /// The process.
        pid: i32,
        /// Why.
        source: io::Error,
    },
}

/// The last lines of a process, shown below the fault that they explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail(pub(crate) Vec<String>);

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, "; it has written nothing");
        }
        write!(f, "; its last lines:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
