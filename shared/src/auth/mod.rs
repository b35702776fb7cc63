//! Who is calling and what they may do: passwords, access and refresh tokens, roles and scopes.
//!
//! These modules are pure: keys, `now` and stored values come in, decisions go out.

pub mod password;
mod permission;
pub mod refresh;
pub mod role;
pub mod token;
pub mod totp;

pub use permission::*;
pub use role::{Access, Owners, RecordScope, Role, Scope, Surface};
pub use token::TokenKeys;
