//! Inbound sources: the addresses at which providers may post, each with its token, secrets and settings.
//!
//! The token in the address names tenant and source, and only its hash is kept. The secret proves the sender; two may
//! live at once, so that it can be changed on both sides without losing a delivery.

mod origins;
mod secrets;
mod settings;
mod store;

pub(crate) use origins::may_post;
pub use secrets::{MadeSecret, live_secrets, new_secret};
pub use settings::SourceSettings;
pub use store::{
    NewSource, Source, SourceFilter, SourcePatch, SourceRotation, delete, find, hold, insert, list, rotate,
    update,
};
