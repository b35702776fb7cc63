//! A small AWS Lambda: it runs the real `bootstrap` binaries as Lambda runs them, on this machine.
//!
//! A function that passes its unit tests can still fail in Lambda: it may need a variable that only a shell has, take
//! longer to start than Lambda allows, answer in a shape that API Gateway drops, let one bad record fail a batch, or
//! lose work when it is killed between two statements. None of this is visible from inside the process. So the tests
//! start the binary that is deployed, give it nothing but Lambda's environment, feed it over the Runtime API with the
//! events that API Gateway, SQS and EventBridge send, and stop or kill it whenever they like. The benchmarks measure
//! through the same door: start → first poll → first response, and CPU time per request.
//!
//! The Runtime API is documented at <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>, the environment at
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>. Kept to the letter: one invocation at a
//! time per environment, 10 s for INIT, 6 MB payloads, SIGKILL at the function's timeout, state errors of the API. Not
//! emulated: memory and CPU limits, the freeze between invocations (use [`Environment::stop`]), response streaming,
//! restarting an environment after a crash (launch another one), and any retry by the event source.

mod binaries;
mod emulator;
mod environment;
mod http;
mod logs;
mod outcome;
mod process;
mod recorded;
mod runtime_api;
mod schedule;
mod session;
mod sqs;

#[cfg(test)]
mod proofs;

pub use binaries::{MissingBinary, find_binary};
pub use emulator::{ACCOUNT_ID, Emulator, Function, REGION};
pub use environment::{ColdStart, Environment, Invocation};
pub use http::{Body, HttpAnswer, http_v2, parse_http};
pub use logs::{Line, Stream};
pub use outcome::{Answer, AnswerError, ErrorReport, Fault, Outcome, Tail};
pub use process::{Exit, Usage};
pub use recorded::{RecordingError, recorded, recordings, set_header, set_path};
pub use schedule::schedule;
pub use sqs::{batch_failures, sqs_batch};
