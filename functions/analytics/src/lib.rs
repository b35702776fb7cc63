//! Analytics: calls to action counted, summed up and exported.

mod cta;
mod export;
mod record;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(cta::list_cta_events, record::record_cta))
        .routes(routes!(cta::get_cta_summary))
        .routes(routes!(cta::get_cta_funnel))
        .routes(routes!(export::export_cta_events))
        .routes(routes!(cta::get_overview))
}
