//! Jobs: files of people that come and go, and changes of many leads at once. The work itself is done by `run-jobs`.

mod bulk;
mod export;
mod import;
mod jobs;
mod parts;

use shared::http::Api;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
        .routes(routes!(import::import_leads))
        .routes(routes!(export::export_leads, export::export_leads_as_job))
        .routes(routes!(bulk::change_leads))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(jobs::list_job_errors))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(parts::put_job_part, parts::get_job_part))
        .routes(routes!(parts::start_job))
}
