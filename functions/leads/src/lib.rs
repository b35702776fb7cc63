//! Leads: the CRM's surface.

mod activities;
mod leads;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(leads::list_leads, leads::create_lead))
        .routes(routes!(leads::get_lead))
        .routes(routes!(activities::list_activities, activities::create_activity))
}
