//! Accounts with providers.

use axum::{Json, extract::State, response::IntoResponse};
use serde::Serialize;
use serde_json::json;
use shared::{
    app::App,
    auth::{AdministerMessages, Permission, ReadConnections, TestConnections},
    db::OnConstraint,
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
    messages::{self, CONNECTION_IS_DEFAULT, Connection, ConnectionFilter, ConnectionPatch, NewConnection},
    providers,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// Connections, the newest first.
#[utoipa::path(get, path = "/api/connections", operation_id = "list_connections", tag = "messages",
    extensions(("x-role" = json!("admin"))), params(ConnectionFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Connection>)))]
pub(crate) async fn list_connections(mut cx: Cx<ReadConnections>, query: QueryString) -> ApiResult {
    let query: ListQuery<ConnectionFilter> = query.list(cx.zone())?;
    let page = messages::list_connections(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Connects an account. Its secrets are sealed and never come back.
#[utoipa::path(post, path = "/api/connections", operation_id = "create_connection", tag = "messages",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), request_body = NewConnection,
    responses((status = 201, body = Connection)))]
pub(crate) async fn create_connection(
    mut cx: Cx<AdministerMessages>,
    State(app): State<App>,
    Valid(new): Valid<NewConnection>,
) -> ApiResult {
    let now = cx.now();
    let connection = messages::insert_connection(&mut cx.tx, &app, now, new)
        .await
        .on_constraint(CONNECTION_IS_DEFAULT, Problem::concurrent_change)?;
    let after = json!({"channel": connection.channel, "provider": connection.provider});
    cx.note("connection.created", ("connection", connection.id), (None, Some(after))).await?;
    let created = Created { location: format!("/api/connections/{}", connection.id), body: &connection };
    cx.commit(Versioned { version: connection.version, answer: created }).await
}

/// One connection.
#[utoipa::path(get, path = "/api/connections/{id}", operation_id = "get_connection", tag = "messages",
    extensions(("x-role" = json!("admin"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = Connection)))]
pub(crate) async fn get_connection(mut cx: Cx<ReadConnections>, PathId(id): PathId) -> ApiResult {
    let connection = find(&mut cx, id).await?;
    cx.commit(Versioned { version: connection.version, answer: Json(connection) }).await
}

/// Changes a connection. `status: "active"` resumes a paused one and everything that waits for it.
#[utoipa::path(patch, path = "/api/connections/{id}", operation_id = "update_connection", tag = "messages",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)), request_body = ConnectionPatch,
    responses((status = 200, body = Connection)))]
pub(crate) async fn update_connection(
    mut cx: Cx<AdministerMessages>,
    PathId(id): PathId,
    if_match: IfMatch,
    State(app): State<App>,
    Valid(patch): Valid<ConnectionPatch>,
) -> ApiResult {
    let before = find(&mut cx, id).await?;
    if_match.require(before.version)?;
    let renewed = patch.secrets.is_some().then_some("secrets");
    let connection = messages::update_connection(&mut cx.tx, &app, &before, patch)
        .await
        .on_constraint(CONNECTION_IS_DEFAULT, Problem::concurrent_change)?
        .ok_or_else(Problem::concurrent_change)?;
    cx.note_hidden_change("connection.updated", ("connection", id), (&before, &connection), renewed).await?;
    cx.commit(Versioned { version: connection.version, answer: Json(connection) }).await
}

/// Removes a connection, unless messages still wait for it.
#[utoipa::path(delete, path = "/api/connections/{id}", operation_id = "delete_connection", tag = "messages",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_connection(
    mut cx: Cx<AdministerMessages>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    let before = find(&mut cx, id).await?;
    if_match.require(before.version)?;
    if !messages::delete_connection(&mut cx.tx, &before).await? {
        return Err(if find(&mut cx, id).await?.version == before.version {
            let detail = "Messages still wait for this connection; cancel or send them first.";
            Problem::conflict("in_use", detail)
        } else {
            Problem::concurrent_change()
        });
    }
    cx.note("connection.deleted", ("connection", id), (None, None)).await?;
    cx.commit(NoContent).await
}

/// What a test of an account found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectionTest {
    /// Whether the provider knows the account.
    ok: bool,
    /// Why not, as a stable word or the provider's code.
    code: Option<String>,
    /// Why not, for people.
    detail: Option<String>,
}

/// Asks the provider whether it knows the account. Nothing is sent.
#[utoipa::path(post, path = "/api/connections/{id}/test", operation_id = "test_connection", tag = "messages",
    extensions(("x-role" = json!("admin"))), params(("id" = Uuid, Path)),
    responses((status = 200, body = ConnectionTest)))]
pub(crate) async fn test_connection(
    mut cx: Cx<TestConnections>,
    PathId(id): PathId,
    State(app): State<App>,
) -> ApiResult {
    let connection = find(&mut cx, id).await?;
    let account = messages::open_account(&mut cx.tx, &app, &connection).await?;
    cx.refuse_unread()?;
    // Nothing was written, and no transaction may wait for somebody else's server.
    drop(cx);
    app.db.settle().await;
    let answer = match providers::test(&app, &account).await {
        Ok(()) => ConnectionTest { ok: true, code: None, detail: None },
        Err(cause) => ConnectionTest { ok: false, code: Some(cause.code), detail: Some(cause.reason) },
    };
    Ok(Json(answer).into_response())
}

async fn find<P: Permission>(cx: &mut Cx<P>, id: Uuid) -> ApiResult<Connection> {
    messages::find_connection(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)
}
