//! The functions, by name: what the template deploys, what the laptop mounts, what the description describes.

use shared::{http::Api, queue::QueueName};

/// An API function and how its routes are made.
pub type ApiFunction = (&'static str, fn() -> Api);

/// The API functions.
pub const APIS: [ApiFunction; 9] = [
    ("auth", auth::api),
    ("leads", leads::api),
    ("jobs", jobs::api),
    ("messages", messages::api),
    ("automations", automations::api),
    ("finance", finance::api),
    ("wellness", wellness::api),
    ("webhooks", webhooks::api),
    ("analytics", analytics::api),
];

/// The queue workers.
pub const WORKERS: [(&str, QueueName); 5] = [
    ("ingest-receipts", QueueName::Receipts),
    ("run-automations", QueueName::Runs),
    ("send-messages", QueueName::Messages),
    ("deliver-webhooks", QueueName::Deliveries),
    ("run-jobs", QueueName::Jobs),
];

/// The scheduled functions.
pub const SCHEDULES: [&str; 2] = ["sweep", "nightly"];

/// Every function that is deployed.
pub fn names() -> impl Iterator<Item = &'static str> {
    let (apis, workers) = (APIS.iter().map(|(name, _)| *name), WORKERS.iter().map(|(name, _)| *name));
    apis.chain(workers).chain(SCHEDULES).chain(["migrate"])
}

/// The routes of all functions as one service.
#[must_use]
pub fn all() -> Api {
    APIS.iter().map(|(_, api)| api()).fold(Api::new(), Api::merge)
}

/// The description of the API, as it is committed in `docs/openapi.json`.
///
/// # Errors
/// When the description cannot be turned into JSON.
pub fn document() -> Result<String, serde_json::Error> {
    let document = shared::http::openapi::document(APIS.iter().map(|(_, api)| api()).collect())?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
