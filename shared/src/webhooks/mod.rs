//! Webhooks, both ways.
//!
//! Inbound, a delivery is verified on its raw bytes ([`verify`]), stored as a receipt under its delivery key
//! ([`receipts`]), answered, and only then read ([`normalise`]), so a body that we cannot read is kept and can be
//! replayed once we can. Who may post where is in [`sources`]. Outbound, an event owes one delivery ([`deliveries`]) to
//! each endpoint ([`endpoints`]) that listens.
//!
//! [`verify`] and [`normalise`] are pure: no database, no environment, no clock.

pub mod deliveries;
pub mod endpoints;
pub mod normalise;
mod provider;
pub mod receipts;
pub mod sources;
pub mod verify;

pub use provider::{Provider, UnknownProvider};
