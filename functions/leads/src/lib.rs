//! Leads: the CRM's surface.

mod activities;
mod assignment;
mod batch;
mod change;
mod consents;
mod custom_fields;
mod detail;
mod identities;
mod leads;
mod merge;
mod pipelines;
mod privacy;
mod scoring;
mod segments;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(leads::list_leads, leads::create_lead))
        .routes(routes!(batch::create_leads))
        .routes(routes!(batch::upsert_lead))
        .routes(routes!(merge::list_duplicates))
        .routes(routes!(merge::merge_leads))
        .routes(routes!(merge::unmerge_lead))
        .routes(routes!(detail::get_lead, change::update_lead, change::delete_lead))
        .routes(routes!(change::restore_lead))
        .routes(routes!(assignment::assign_lead))
        .routes(routes!(scoring::get_lead_score))
        .routes(routes!(change::move_lead))
        .routes(routes!(change::add_tags, change::remove_tags))
        .routes(routes!(activities::list_timeline))
        .routes(routes!(activities::list_conversations))
        .routes(routes!(activities::list_activities, activities::create_activity))
        .routes(routes!(activities::list_all_activities))
        .routes(routes!(activities::get_activity, activities::update_activity, activities::delete_activity))
        .routes(routes!(identities::list_identities, identities::create_identity))
        .routes(routes!(identities::update_identity, identities::delete_identity))
        .routes(routes!(consents::list_consents, consents::create_consent))
        .routes(routes!(privacy::export_lead))
        .routes(routes!(privacy::erase_lead))
        .routes(routes!(pipelines::list_pipelines, pipelines::create_pipeline))
        .routes(routes!(pipelines::get_pipeline, pipelines::update_pipeline, pipelines::delete_pipeline))
        .routes(routes!(pipelines::get_board))
        .routes(routes!(custom_fields::list_custom_fields, custom_fields::create_custom_field))
        .routes(routes!(
            custom_fields::get_custom_field,
            custom_fields::update_custom_field,
            custom_fields::delete_custom_field
        ))
        .routes(routes!(segments::list_segments, segments::create_segment))
        .routes(routes!(segments::preview_segment))
        .routes(routes!(segments::get_segment, segments::update_segment, segments::delete_segment))
}
