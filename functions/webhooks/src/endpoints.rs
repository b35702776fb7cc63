//! Outbound endpoints.

use axum::{Json, extract::State};
use serde::Serialize;
use shared::{
    app::App,
    auth::{ReadWebhooks, WriteWebhooks},
    clock,
    http::{
        ApiResult, Created, Cx, IfMatch, ListQuery, NoContent, Page, PathId, Problem, QueryString, Valid,
        Versioned,
    },
    ids::new_id,
    net::OutboundClient,
    private::Private,
    webhooks::{
        deliveries::{self, Body, SCHEMA_VERSION},
        endpoints::{self, Endpoint, EndpointFilter, EndpointPatch, EndpointRotation, NewEndpoint},
    },
};
use utoipa::ToSchema;

/// An endpoint with a secret that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointWithSecret {
    #[serde(flatten)]
    endpoint: Endpoint,
    /// `whsec_…`, shown this once. It verifies deliveries by Standard Webhooks.
    secret: String,
}

/// What a test delivery showed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TestResult {
    /// Whether the endpoint answered 2xx.
    delivered: bool,
    /// The answer's status, when there was one.
    status: Option<u16>,
    /// How long it took.
    ms: u64,
    /// The beginning of the answer.
    response_excerpt: Option<Private<String>>,
    /// What went wrong.
    error: Option<TestError>,
}

/// Why a test delivery failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestError {
    /// Stable word.
    code: &'static str,
    /// For people.
    detail: String,
}

/// Endpoints, newest first.
#[utoipa::path(get, path = "/api/webhook-endpoints", operation_id = "list_webhook_endpoints", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(EndpointFilter, shared::http::PageParams),
    responses((status = 200, body = Page<Endpoint>)))]
pub(crate) async fn list_webhook_endpoints(mut cx: Cx<ReadWebhooks>, query: QueryString) -> ApiResult {
    let query: ListQuery<EndpointFilter> = query.list(cx.zone())?;
    let page = endpoints::list(&mut cx.tx, &query).await?;
    cx.commit(Json(page)).await
}

/// Makes an endpoint.
#[utoipa::path(post, path = "/api/webhook-endpoints", operation_id = "create_webhook_endpoint", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), request_body = NewEndpoint,
    responses((status = 201, body = EndpointWithSecret)))]
pub(crate) async fn create_webhook_endpoint(
    State(app): State<App>,
    mut cx: Cx<WriteWebhooks>,
    Valid(new): Valid<NewEndpoint>,
) -> ApiResult {
    check_target(&app, &new.url)?;
    let (secret, sealed) = endpoints::new_secret(app.secret_box(), cx.tx.tenant())?;
    let endpoint = endpoints::insert(&mut cx.tx, &new, &sealed).await?;
    cx.note("webhook_endpoint.created", ("webhookEndpoint", endpoint.id), (None, None)).await?;
    let location = format!("/api/webhook-endpoints/{}", endpoint.id);
    let body = EndpointWithSecret { endpoint, secret: secret.expose().to_owned() };
    cx.commit(Created { location, body }).await
}

/// One endpoint.
#[utoipa::path(get, path = "/api/webhook-endpoints/{id}", operation_id = "get_webhook_endpoint", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 200, body = Endpoint)))]
pub(crate) async fn get_webhook_endpoint(mut cx: Cx<ReadWebhooks>, PathId(id): PathId) -> ApiResult {
    let endpoint = endpoints::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    cx.commit(Versioned { version: endpoint.version, answer: Json(endpoint) }).await
}

/// Changes an endpoint. Activating a disabled one forgives its failures; what it missed is delivered by `redeliver`.
#[utoipa::path(patch, path = "/api/webhook-endpoints/{id}", operation_id = "update_webhook_endpoint", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), request_body = EndpointPatch,
    responses((status = 200, body = Endpoint)))]
pub(crate) async fn update_webhook_endpoint(
    State(app): State<App>,
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    if_match: IfMatch,
    Valid(patch): Valid<EndpointPatch>,
) -> ApiResult {
    if let Some(url) = &patch.url {
        check_target(&app, url)?;
    }
    let before = require_version(&mut cx, id, &if_match).await?;
    let endpoint = endpoints::update(&mut cx.tx, id, patch).await?.ok_or_else(Problem::not_found)?;
    cx.note_change("webhook_endpoint.updated", ("webhookEndpoint", id), (&before, &endpoint)).await?;
    cx.commit(Versioned { version: endpoint.version, answer: Json(endpoint) }).await
}

/// Deletes an endpoint with its deliveries.
#[utoipa::path(delete, path = "/api/webhook-endpoints/{id}", operation_id = "delete_webhook_endpoint", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 204)))]
pub(crate) async fn delete_webhook_endpoint(
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    if_match: IfMatch,
) -> ApiResult {
    require_version(&mut cx, id, &if_match).await?;
    if endpoints::delete(&mut cx.tx, id).await? {
        cx.note("webhook_endpoint.deleted", ("webhookEndpoint", id), (None, None)).await?;
        cx.commit(NoContent).await
    } else {
        Err(Problem::not_found())
    }
}

/// Puts a new secret in place; the former one signs as well for a while.
#[utoipa::path(post, path = "/api/webhook-endpoints/{id}/rotate", operation_id = "rotate_webhook_endpoint",
    tag = "webhooks", extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)),
    request_body = EndpointRotation, responses((status = 200, body = EndpointWithSecret)))]
pub(crate) async fn rotate_webhook_endpoint(
    State(app): State<App>,
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
    Valid(rotation): Valid<EndpointRotation>,
) -> ApiResult {
    let (secret, sealed) = endpoints::new_secret(app.secret_box(), cx.tx.tenant())?;
    let endpoint = endpoints::rotate(&mut cx.tx, id, &sealed, rotation.overlap())
        .await?
        .ok_or_else(Problem::not_found)?;
    cx.note("webhook_endpoint.rotated", ("webhookEndpoint", id), (None, None)).await?;
    cx.commit(Json(EndpointWithSecret { endpoint, secret: secret.expose().to_owned() })).await
}

/// Sends a test delivery of type `webhook.test` and says how it went. It is not stored.
#[utoipa::path(post, path = "/api/webhook-endpoints/{id}/test", operation_id = "test_webhook_endpoint", tag = "webhooks",
    extensions(("x-role" = json!("admin")), ("x-record-scope" = json!("all"))), params(("id" = Uuid, Path)), responses((status = 200, body = TestResult)))]
pub(crate) async fn test_webhook_endpoint(
    State(app): State<App>,
    mut cx: Cx<WriteWebhooks>,
    PathId(id): PathId,
) -> ApiResult<Json<TestResult>> {
    let ping = endpoints::find_ping(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?;
    let tenant_id = cx.tx.tenant();
    cx.refuse_unread()?;
    // Nothing outside is called within a transaction, and this one has changed nothing.
    drop(cx);
    app.db.settle().await;
    let now = clock::now();
    let body = Body {
        id: new_id(),
        kind: "webhook.test".to_owned(),
        schema_version: SCHEMA_VERSION,
        occurred_at: now,
        tenant_id,
        data: serde_json::json!({"endpointId": id, "message": "This is a test delivery."}),
        previous: None,
    };
    let client = OutboundClient::new(&app.config).map_err(|_| Problem::internal())?;
    let target = (ping.url.as_str(), &ping.signed_with);
    let (made, result) = deliveries::attempt(&client, app.secret_box(), target, now, &body).await;
    Ok(Json(TestResult {
        delivered: result.is_ok(),
        status: made.status,
        ms: u64::try_from(made.took.as_millis()).unwrap_or(u64::MAX),
        response_excerpt: made.excerpt,
        error: result
            .err()
            .map(|refused| TestError { code: refused.failure.code, detail: refused.failure.detail }),
    }))
}

fn check_target(app: &App, url: &str) -> ApiResult<()> {
    if url.len() > 2000 {
        return Err(Problem::invalid("/url", "too_long", "An address has at most 2,000 characters."));
    }
    match OutboundClient::check_target(url, app.config.allow_private_targets) {
        Ok(_) => Ok(()),
        Err(refused) => Err(Problem::invalid(
            "/url",
            "target_not_allowed",
            format!("Deliveries cannot go there: {refused}."),
        )),
    }
}

async fn require_version(
    cx: &mut Cx<WriteWebhooks>,
    id: uuid::Uuid,
    if_match: &IfMatch,
) -> ApiResult<Endpoint> {
    if_match.require(endpoints::hold(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)?)?;
    endpoints::find(&mut cx.tx, id).await?.ok_or_else(Problem::not_found)
}
