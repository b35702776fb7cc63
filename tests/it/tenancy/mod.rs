//! The walls between tenants, and the roles within one.
//!
//! The matrix is driven by the description of the API, so a route that nobody thought of is called all the same, and one
//! without a row fails the suite.

mod catalogue;
mod matrix;
mod neighbour;
pub mod routes;
mod rows;
mod sources;

pub use neighbour::Neighbour;
pub use rows::{Row, all as rows};
