//! Inbound sources.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::json;
use shared::{
    app::App,
    auth::{ReadWebhooks, WriteWebhooks},
    crypto::{OpaqueToken, TokenKind, random_bytes},
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
    webhooks::{
        Provider,
        sources::{self, NewSource, Source, SourceFilter, SourcePatch, SourceRotation},
    },
};
use utoipa::ToSchema;

/// A source that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewlyMadeSource {
    #[serde(flatten)]
    source: Source,
    /// The token in the address, shown this once.
    token: String,
    /// The address to give to the provider.
    url: String,
    /// The signing secret, shown this once; null for forms, which have none.
    secret: Option<String>,
}

/// A source with a new secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct RotatedSource {
    #[serde(flatten)]
    source: Source,
    /// The signing secret, shown this once.
    secret: String,
}

/// Sources, newest first.
#[utoipa::path(get, path = "/api/webhooks/sources", operation_id = "list_webhook_sources", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(SourceFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Source>)))]
pub(crate) async fn list_webhook_sources(mut cx: Cx<ReadWebhooks>, query: QueryString) -> ApiResult {
    let query: ListQuery<SourceFilter> = query.list(cx.zone())?;
    let page = sources::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes a source: an address for one provider, with its secret.
#[utoipa::path(post, path = "/api/webhooks/sources", operation_id = "create_webhook_source", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), request_body = NewSource,
    responses((status = 201, body = NewlyMadeSource)))]
pub(crate) async fn create_webhook_source(
    State(app): State<App>,
    mut cx: Cx<WriteWebhooks>,
    Valid(mut new): Valid<NewSource>,
) -> ApiResult {
    let secret = sources::new_secret(app.secret_box(), cx.tx.tenant(), new.provider, new.secret.as_ref())?;
    let token = OpaqueToken::generate(TokenKind::Webhook).map_err(|_| Problem::internal())?;
    if new.provider == Provider::Meta && new.settings.verify_token.is_none() {
        new.settings.verify_token = Some(random_word()?);
    }
    let source = sources::insert(&mut cx.tx, &new, &token, secret.as_ref()).await?;
    let after = json!({"provider": source.provider});
    cx.note("webhook_source.created", ("webhookSource", source.id), (None, Some(after))).await?;
    let answer = Created {
        location: format!("/api/webhooks/sources/{}", source.id),
        body: NewlyMadeSource {
            url: format!(
                "{}/api/webhooks/{}/{}",
                app.config.public_base_url,
                source.provider,
                token.expose()
            ),
            token: token.expose().to_owned(),
            secret: secret.map(|secret| secret.clear.expose().to_owned()),
            source,
        },
    };
    cx.commit(answer).await
}

fn random_word() -> ApiResult<shared::values::Line> {
    let bytes = random_bytes::<16>().map_err(|_| Problem::internal())?;
    let word: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    word.try_into().map_err(|_| Problem::internal())
}

/// One source.
#[utoipa::path(get, path = "/api/webhooks/sources/{id}", operation_id = "get_webhook_source", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 200, body = Source)))]
pub(crate) async fn get_webhook_source(mut cx: Cx<ReadWebhooks>, PathId(id): PathId) -> ApiResult {
    let source = sources::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: source.version, answer: Json(source) }).await
}

/// Changes name, status or settings of a source.
#[utoipa::path(patch, path = "/api/webhooks/sources/{id}", operation_id = "update_webhook_source", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), request_body = SourcePatch,
    responses((status = 200, body = Source)))]
pub(crate) async fn update_webhook_source(
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<SourcePatch>,
) -> ApiResult {
    let before = require_version(&mut cx, id, &if_match).await?;
    let source = sources::update(&mut cx.tx, id, patch).await?.ok_or_else(Problem::not_found)?;
    cx.note_change("webhook_source.updated", ("webhookSource", id), (&before, &source)).await?;
    cx.commit(Versioned { version: source.version, answer: Json(source) }).await
}

/// Deletes a source with its receipts.
#[utoipa::path(delete, path = "/api/webhooks/sources/{id}", operation_id = "delete_webhook_source", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_webhook_source(
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    require_version(&mut cx, id, &if_match).await?;
    if sources::delete(&mut cx.tx, id).await? {
        cx.note("webhook_source.deleted", ("webhookSource", id), (None, None)).await?;
        cx.commit(NoContent).await
    } else {
        Err(Problem::not_found())
    }
}

/// Puts a new secret in place; the former one is accepted as well for a while.
#[utoipa::path(post, path = "/api/webhooks/sources/{id}/rotate", operation_id = "rotate_webhook_source", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), request_body = SourceRotation,
    responses((status = 200, body = RotatedSource)))]
pub(crate) async fn rotate_webhook_source(
    State(app): State<App>,
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    Valid(rotation): Valid<SourceRotation>,
) -> ApiResult {
    let source = sources::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let provider: Provider = source.provider.parse().map_err(|_| Problem::internal())?;
    let made = sources::new_secret(app.secret_box(), cx.tx.tenant(), provider, rotation.secret.as_ref())?
        .ok_or_else(|| Problem::conflict("no_secret", "Website forms have no secret."))?;
    let source =
        sources::rotate(&mut cx.tx, id, &made, rotation.overlap()).await?.ok_or_else(Problem::not_found)?;
    cx.note("webhook_source.rotated", ("webhookSource", id), (None, None)).await?;
    cx.commit(Json(RotatedSource { source, secret: made.clear.expose().to_owned() })).await
}

async fn require_version(
    cx: &mut Cx<WriteWebhooks>,
    id: uuid::Uuid,
    if_match: &IfMatch,
) -> ApiResult<Source> {
    if_match.require(sources::hold(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?)?;
    sources::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)
}
