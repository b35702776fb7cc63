//! The `wellness` surface.

use shared::http::Api;
use utoipa_axum::router::OpenApiRouter;

/// The routes of this function.
#[must_use]
pub fn api() -> Api {
    OpenApiRouter::new()
}
