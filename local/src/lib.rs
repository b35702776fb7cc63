//! The laptop stack: every function in one process, behind one port.
//!
//! The routers, workers and schedules are the very libraries that Lambda runs; only the edges differ: a listener
//! instead of API Gateway, channels instead of SQS, timers instead of EventBridge. This is the one place where tasks
//! may be spawned, because here nothing is frozen between requests.

pub mod banner;
mod clients;
mod docs;
pub mod functions;
pub mod settings;
mod stack;
mod workers;

pub use stack::{Options, Stack, StackError};
