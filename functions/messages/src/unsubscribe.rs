//! Ending advertising by a link in a letter, without signing in.
//!
//! Programs that scan letters follow every link, so looking changes nothing; only POST does, which is also what mail
//! programs send for their own button (RFC 8058).

use axum::{
    Json,
    extract::{Path, State},
    response::{Html, IntoResponse},
};
use serde::Serialize;
use shared::{
    app::App,
    clock,
    http::{ApiResult, Problem},
    messages::unsubscribe as subscriptions,
};
use utoipa::ToSchema;

use crate::hasher;

/// That somebody unsubscribed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Unsubscribed {
    /// Always true.
    unsubscribed: bool,
}

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
    content=\"width=device-width\"><title>Unsubscribe</title><body style=\"font-family:sans-serif;margin:3rem auto;\
    max-width:30rem\"><h1>Unsubscribe</h1><p>You will receive no more advertising on this channel.</p>\
    <form method=\"post\"><button>Unsubscribe</button></form></body></html>";

/// A page with a button.
#[utoipa::path(get, path = "/api/public/unsubscribe/{token}", operation_id = "get_unsubscribe", tag = "messages",
    extensions(("x-role" = json!("public"))), params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(crate) async fn show_unsubscribe(State(app): State<App>, Path(token): Path<String>) -> ApiResult {
    subscriptions::read(&app, &token).ok_or_else(Problem::not_found)?;
    Ok(Html(PAGE).into_response())
}

/// Ends advertising on the channel that the letter came by. Again changes nothing.
#[utoipa::path(post, path = "/api/public/unsubscribe/{token}", operation_id = "unsubscribe", tag = "messages",
    extensions(("x-role" = json!("public"))), params(("token" = String, Path)),
    responses((status = 200, body = Unsubscribed)))]
pub(crate) async fn unsubscribe(State(app): State<App>, Path(token): Path<String>) -> ApiResult {
    let subscriber = subscriptions::read(&app, &token).ok_or_else(Problem::not_found)?;
    let mut tx = app.db.open_tenant(subscriber.tenant).await?.ok_or_else(Problem::not_found)?;
    let hasher = hasher(&app)?;
    if !subscriptions::unsubscribe(&mut tx, &hasher, clock::now(), subscriber).await? {
        return Err(Problem::not_found());
    }
    tx.commit().await?;
    Ok(Json(Unsubscribed { unsubscribed: true }).into_response())
}
