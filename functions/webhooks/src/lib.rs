//! Webhooks: where providers post, and who is told what happens here.

mod deliveries;
mod endpoints;
mod forms;
mod inbound;
mod receipts;
mod sources;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(inbound::receive_webhook, inbound::answer_webhook_challenge))
        .routes(routes!(sources::list_webhook_sources, sources::create_webhook_source))
        .routes(routes!(
            sources::get_webhook_source,
            sources::update_webhook_source,
            sources::delete_webhook_source
        ))
        .routes(routes!(sources::rotate_webhook_source))
        .routes(routes!(receipts::list_webhook_receipts))
        .routes(routes!(receipts::get_webhook_receipt))
        .routes(routes!(receipts::replay_webhook_receipt))
        .routes(routes!(endpoints::list_webhook_endpoints, endpoints::create_webhook_endpoint))
        .routes(routes!(
            endpoints::get_webhook_endpoint,
            endpoints::update_webhook_endpoint,
            endpoints::delete_webhook_endpoint
        ))
        .routes(routes!(endpoints::rotate_webhook_endpoint))
        .routes(routes!(endpoints::test_webhook_endpoint))
        .routes(routes!(deliveries::list_webhook_deliveries))
        .routes(routes!(deliveries::redeliver_webhook_deliveries))
        .routes(routes!(deliveries::list_events))
}
