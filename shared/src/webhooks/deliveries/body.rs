//! What is delivered.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// The version of the shape of bodies. It rises when a field changes its meaning, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// An event as endpoints and the journal show it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    /// The event; also the `webhook-id` header.
    pub id: Uuid,
    /// `lead.created`, `invoice.paid` …
    #[serde(rename = "type")]
    pub kind: String,
    /// [`SCHEMA_VERSION`]
    pub schema_version: u32,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// To which business.
    pub tenant_id: Uuid,
    /// The subject as the API shows it.
    pub data: Value,
    /// Changed fields with their former values.
    pub previous: Option<Value>,
}
