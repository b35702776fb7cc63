//! Webhooks as bytes and values: is a delivery genuine ([`verify`]), and what does it say ([`normalise`]).
//!
//! Everything here is pure: no database, no environment, no clock. The life of a delivery is: verify the raw bytes,
//! store the receipt under its delivery key, answer, and only then normalise, so a body we cannot read is kept and can
//! be replayed once we can.

pub mod normalise;
mod provider;
pub mod verify;

pub use provider::{Provider, UnknownProvider};
