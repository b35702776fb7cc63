//! Automations: the surface on which they are written, published, started and watched.

mod definitions;
mod execute;
mod life;
mod runs;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(definitions::list_automations, definitions::create_automation))
        .routes(routes!(definitions::get_catalog))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(runs::retry_run))
        .routes(routes!(
            definitions::get_automation,
            definitions::update_automation,
            definitions::delete_automation
        ))
        .routes(routes!(life::validate_automation))
        .routes(routes!(life::publish_automation))
        .routes(routes!(life::pause_automation))
        .routes(routes!(life::resume_automation))
        .routes(routes!(life::list_versions))
        .routes(routes!(execute::execute_automation))
        .routes(routes!(runs::list_runs_of_automation))
        .routes(routes!(runs::get_stats))
}
