//! From a function's routes to a service: the law around them, health beside them.

use axum::Router;
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

use super::{Problem, common, fields::Fields, law};
use crate::{app::App, webhooks::sources::may_post};

/// What pages of other origins may read beside the headers that every page may. The tests look at each answer that they get: one with another
/// header fails.
const EXPOSED: [HeaderName; 13] = [
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("idempotency-replayed"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    HeaderName::from_static("x-next-cursor"),
    HeaderName::from_static("x-request-id"),
];

/// A function's routes together with their description.
pub type Api = OpenApiRouter<App>;

/// Completes a function's routes into the service that Lambda or the laptop runs.
pub fn service(api: Api, app: App) -> Router {
    let (router, description) = api.merge(common::routes()).split_for_parts();
    let cors = cors(&app);
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "no_such_route", "There is no such route."))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This route has no such method.",
            )
        })
        .layer(axum::middleware::from_fn_with_state((app.clone(), Fields::new(description)), law::uphold))
        .layer(cors)
        .with_state(app)
}

/// Browsers may call from the configured origins, and post forms from those of the form. No cookies anywhere, so no
/// credentials mode.
fn cors(app: &App) -> CorsLayer {
    let origins: Vec<HeaderValue> =
        app.config.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let app = app.clone();
    let allowed = move |origin: HeaderValue, request: &Parts| {
        let listed = origins.contains(&origin);
        let (app, path) = (app.clone(), request.uri.path().to_owned());
        let preflight = request.method == Method::OPTIONS;
        async move { listed || may_post(&app, &path, &origin, preflight).await }
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::async_predicate(allowed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers(EXPOSED)
        .max_age(std::time::Duration::from_hours(2))
}
