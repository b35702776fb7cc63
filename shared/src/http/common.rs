//! What every function answers: health, version and the description of the whole API.

use axum::{Json, extract::State, response::IntoResponse};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, ApiResult, Problem};
use crate::{app::App, db::SystemReason};

/// The OpenAPI document of all functions, as committed. A test holds it against the code.
pub const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

pub(super) fn routes() -> Api {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(version))
        .routes(routes!(document))
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`; a failing part answers 503 instead.
    status: &'static str,
    /// What works and will disappoint somebody: `no_platform_mail`, a business without an e-mail account at the vendor's own address can be sent no link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct Version {
    /// Name of the product.
    name: &'static str,
    /// Version of this build.
    version: &'static str,
}

/// Whether the process runs.
#[utoipa::path(get, path = "/api/health/live", operation_id = "get_liveness", tag = "operations",
    extensions(("x-role" = json!("public"))), responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health { status: "ok", warnings: Vec::new() })
}

/// Whether the parts that requests need are there; the failing one is named.
#[utoipa::path(get, path = "/api/health/ready", operation_id = "get_readiness", tag = "operations",
    extensions(("x-role" = json!("public"))), responses((status = 200, body = Health)))]
async fn ready(State(app): State<App>) -> ApiResult<Json<Health>> {
    let tx = app.db.system(SystemReason::Health).await.map_err(|error| {
        tracing::error!(%error, "not ready");
        Problem::unavailable("database")
    })?;
    tx.commit().await?;
    Ok(Json(Health { status: "ok", warnings: app.config.warnings() }))
}

/// The version of this build.
#[utoipa::path(get, path = "/api/version", operation_id = "get_version", tag = "operations",
    extensions(("x-role" = json!("public"))), responses((status = 200, body = Version)))]
async fn version() -> Json<Version> {
    Json(Version { name: "wellspring", version: env!("CARGO_PKG_VERSION") })
}

/// The description of the whole API (OpenAPI 3.1).
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "get_openapi", tag = "operations",
    extensions(("x-role" = json!("public"))), responses((status = 200, body = Object)))]
async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
