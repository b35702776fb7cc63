//! Wellness: health metrics, what they add up to, and goals.

mod batch;
mod goals;
mod metrics;
mod overview;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(overview::list_metric_types))
        .routes(routes!(overview::get_wellness_summary))
        .routes(routes!(metrics::list_metrics, metrics::create_metric))
        .routes(routes!(batch::create_metrics))
        .routes(routes!(metrics::get_metric, metrics::update_metric, metrics::delete_metric))
        .routes(routes!(goals::list_goals, goals::create_goal))
        .routes(routes!(goals::get_goal, goals::update_goal, goals::delete_goal))
}
