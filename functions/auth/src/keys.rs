//! API keys.

use axum::Json;
use serde_json::{Value, json};
use shared::{
    accounts::{self, ApiKey, IssuedKey, KeyFilter, NewKey},
    auth::{MakeKeys, Permission, ReadAdmin, WriteAdmin},
    http::{
        ApiResult, Created, Cx, ListQuery, NoContent, Page, PageParams, PathId, Problem, QueryString, Valid,
    },
};

/// Keys that were not revoked, with their makers, newest first.
#[utoipa::path(get, path = "/api/api-keys", operation_id = "list_api_keys", tag = "auth",
    extensions(("x-role" = json!("admin"))), params(KeyFilter, PageParams),
    responses((status = 200, body = Page<ApiKey>)))]
pub(crate) async fn list_api_keys(mut cx: Cx<ReadAdmin>, query: QueryString) -> ApiResult {
    let query: ListQuery<KeyFilter> = query.list(cx.zone())?;
    let page = accounts::list_keys(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes a key. Its text is in this answer and nowhere else. It wants the password within the last five minutes, and ends when
/// its maker is disabled, removed or no administrator any more. A key makes no keys.
#[utoipa::path(post, path = "/api/api-keys", operation_id = "create_api_key", tag = "auth",
    extensions(("x-role" = json!("admin")), ("x-step-up" = json!(true)), ("x-scope" = json!("none"))), request_body = NewKey, responses((status = 201, body = IssuedKey)))]
pub(crate) async fn create_api_key(mut cx: Cx<MakeKeys>, Valid(new): Valid<NewKey>) -> ApiResult {
    let now = cx.now();
    if new.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid("/expiresAt", "in_the_past", "A key ends in the future."));
    }
    let token = new.kind.generate().map_err(|_| Problem::internal())?;
    cx.hold_caller().await?;
    let created_by = cx.actor.user_id();
    let key = accounts::insert_key(&mut cx.tx, now, &new, &token, created_by).await?;
    cx.note("api_key.created", ("apiKey", key.id), (None, Some(facts(&key)))).await?;
    let location = format!("/api/api-keys/{}", key.id);
    cx.commit(Created { location, body: IssuedKey { key: token.expose().to_owned(), about: key } }).await
}

/// Ends a key; its next request is refused.
#[utoipa::path(delete, path = "/api/api-keys/{id}", operation_id = "delete_api_key", tag = "auth",
    extensions(("x-role" = json!("admin"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_api_key(mut cx: Cx<WriteAdmin>, PathId(id): PathId) -> ApiResult {
    let key = accounts::revoke_key(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.note("api_key.revoked", ("apiKey", id), (Some(facts(&key)), None)).await?;
    cx.commit(NoContent).await
}

/// Notes that keys ended because of their maker: whoever works with one finds out why.
pub(crate) async fn note_ended<P: Permission>(
    cx: &mut Cx<P>,
    keys: &[ApiKey],
    reason: &str,
) -> ApiResult<()> {
    for key in keys {
        let states = (Some(facts(key)), Some(json!({"reason": reason})));
        cx.note("api_key.revoked", ("apiKey", key.id), states).await?;
    }
    Ok(())
}

/// What the audit log keeps of a key.
fn facts(key: &ApiKey) -> Value {
    json!({"kind": key.kind, "prefix": key.prefix, "scopes": key.scopes, "expiresAt": key.expires_at})
}
