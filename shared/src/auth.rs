//! Who is calling and what they may do: passwords, access and refresh tokens, roles and scopes.
//!
//! These modules are pure: keys, `now` and stored values come in, decisions go out.

pub mod password;
pub mod refresh;
pub mod role;
pub mod token;
