//! Outbound endpoints: who is told what happens here, about what, under which secret.

mod patterns;
mod secrets;
mod store;

pub use patterns::EventPattern;
pub use secrets::{SignedWith, new_secret};
pub use store::{
    Endpoint, EndpointFilter, EndpointPatch, EndpointRotation, NewEndpoint, Ping, delete, find, find_ping,
    hold, insert, list, rotate, update,
};
