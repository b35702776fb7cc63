//! Automations: the surface on which they are written, published, started and watched, and on which is said what else happens by itself: who
//! gets a new lead, and what makes its score.

mod availability;
mod definitions;
mod execute;
mod life;
mod policies;
mod runs;
mod scoring;

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
        .routes(routes!(policies::list_assignment_policies, policies::create_assignment_policy))
        .routes(routes!(
            policies::get_assignment_policy,
            policies::update_assignment_policy,
            policies::delete_assignment_policy
        ))
        .routes(routes!(availability::get_availability, availability::set_availability))
        .routes(routes!(scoring::get_scoring, scoring::set_scoring))
}
