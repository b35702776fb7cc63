//! The law of the API, in types: what every route shares, so that no handler has to remember it.
//!
//! * [`Cx`] authenticates, authorises and owns the transaction; committing consumes it.
//! * [`Valid`] parses a body into domain values or answers with the pointer of what is wrong.
//! * [`QueryString`] reads filters, sort, limit and cursor in the one grammar of all lists.
//! * [`Problem`] is the one shape of errors (RFC 9457).
//! * [`Meter`] counts the request against the caller's and the business's quota.
//! * [`service`] puts the outermost layer around a function's routes: request id, body limit, rollback of abandoned
//!   transactions, rendering of problems, conditional answers, one log line.

mod answer;
mod authenticate;
mod body;
mod common;
mod cx;
mod door_key;
mod etag;
mod fields;
mod front_end;
mod idempotency;
mod law;
mod meter;
pub mod openapi;
mod page;
mod params;
mod patch;
mod path;
mod problem;
mod service;
mod site;

pub use answer::{Accepted, Created, Hashed, MultiStatus, NoContent, Together, Versioned};
pub(crate) use body::locate_field;
pub use body::{Check, RawBody, Valid, ValidOrDefault, parse as parse_body, parse_value};
pub use common::DOCUMENT;
pub use cx::{Actor, ApiResult, Cx, FRESHNESS, OpenCx, Refusal};
pub use door_key::{Claimed, DoorClaim, DoorKey};
pub use etag::IfMatch;
pub use front_end::FrontEnds;
pub use law::{ClientIp, RequestId};
pub use meter::Meter;
pub use page::{Keyset, KeysetValue, Page, PageParams, PageRequest, SortField, SortKind};
pub use params::{FromQuery, ListQuery, Params, QueryString};
pub use patch::Patch;
pub use path::{PathId, PathIds};
pub use problem::{FieldError, FieldErrors, Problem, ProblemBody};
pub use service::{Api, service};
pub use site::SiteCx;
