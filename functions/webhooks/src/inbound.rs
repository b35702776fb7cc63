//! Where providers and websites post.
//!
//! Verified on the raw bytes, stored, committed, and only then answered. Nothing is read beyond what the answer needs:
//! the worker does that.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Serialize;
use shared::{
    app::App,
    clock,
    crypto::{OpaqueToken, TokenKind},
    db::{SourceGrant, TenantTx},
    http::{ApiResult, ClientIp, Meter, Problem, RawBody},
    private::Secret,
    webhooks::{
        Provider,
        receipts::{self, Arrival, Taken},
        sources,
        verify::{self, Delivery, Refusal, Verified},
    },
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::forms;

/// The receipt of a delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptAnswer {
    /// What it was stored as.
    pub(crate) receipt_id: Uuid,
    /// Whether it was here before; then nothing happens again.
    pub(crate) duplicate: bool,
}

/// A request to a public address, with the source that its token names.
struct Call<'a> {
    app: &'a App,
    provider: Provider,
    grant: SourceGrant,
    headers: &'a HeaderMap,
    uri: &'a Uri,
    body: &'a [u8],
}

/// Takes a delivery of a provider or a website form.
#[utoipa::path(post, path = "/api/webhooks/{provider}/{token}", operation_id = "receive_webhook", tag = "webhooks",
    extensions(("x-role" = json!("public"))), params(("provider" = String, Path), ("token" = String, Path)),
    request_body(content = String, content_type = "*/*", description = "Whatever the provider signs and sends."),
    responses((status = 200, body = ReceiptAnswer), (status = 202, body = ReceiptAnswer, description = "A form.")))]
pub(crate) async fn receive_webhook(
    State(app): State<App>,
    address: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
    meter: Meter,
    Extension(client): Extension<ClientIp>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> ApiResult {
    let (provider, mut tx, grant) = open(&app, &meter, address).await?;
    let call = Call { app: &app, provider, grant, headers: &headers, uri: &uri, body: &body };
    let verified = call.verify(&tx)?;
    if let Some(challenge) = call.slack_challenge() {
        return Ok(plain(challenge));
    }
    let limit = if provider == Provider::Forms {
        forms::require_readable(&headers, &body)?;
        if forms::is_trapped(&headers, &body, &call.grant.settings) {
            return Ok(call.answer(shared::ids::new_id(), false));
        }
        Some(forms::limit(&app, tx.tenant(), call.grant.source_id, client)?)
    } else {
        None
    };
    let arrival = Arrival {
        source_id: call.grant.source_id,
        provider,
        verified: &verified,
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
        limit,
    };
    let (receipt, duplicate) = match receipts::take(&mut tx, &arrival).await? {
        Taken::New(id) => (id, false),
        Taken::Duplicate(id) => (id, true),
        Taken::Limited => return Err(too_many()),
    };
    let hints = tx.commit().await?;
    app.queue.nudge(hints).await;
    Ok(call.answer(receipt, duplicate))
}

/// Answers the question by which Meta makes sure that an address is ours.
#[utoipa::path(get, path = "/api/webhooks/{provider}/{token}", operation_id = "answer_webhook_challenge", tag = "webhooks",
    extensions(("x-role" = json!("public"))), params(("provider" = String, Path), ("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn answer_webhook_challenge(
    State(app): State<App>,
    address: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
    meter: Meter,
) -> ApiResult {
    let (provider, _tx, grant) = open(&app, &meter, address).await?;
    if provider != Provider::Meta {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This route has no such method.",
        ));
    }
    verify::meta::challenge(uri.query().unwrap_or_default(), &grant.settings)
        .map(plain)
        .map_err(|refusal| refused(refusal, grant.source_id))
}

/// The tenant behind a token. Unknown provider, unknown token and disabled source are one answer.
async fn open(
    app: &App,
    meter: &Meter,
    address: Result<Path<(String, String)>, PathRejection>,
) -> ApiResult<(Provider, TenantTx, SourceGrant)> {
    let Ok(Path((provider, token))) = address else { return Err(Problem::not_found()) };
    let provider: Provider = provider.parse().map_err(|_| Problem::not_found())?;
    let token = OpaqueToken::parse(TokenKind::Webhook, &token).ok_or_else(Problem::not_found)?;
    let (tx, grant) =
        meter.open_source(app, provider, &token.hash()).await?.ok_or_else(Problem::not_found)?;
    Ok((provider, tx, grant))
}

impl Call<'_> {
    fn verify(&self, tx: &TenantTx) -> ApiResult<Verified> {
        let secrets = sources::live_secrets(self.app.secret_box(), tx.tenant(), &self.grant)?;
        let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        // The address as the provider knows it. The Host header is the sender's to choose.
        let path = self.uri.path_and_query().map_or_else(|| self.uri.path(), http::uri::PathAndQuery::as_str);
        let url = format!("{}{path}", self.app.config.public_base_url);
        let delivery = Delivery { url: &url, headers: self.headers, body: self.body };
        verify::verify(self.provider, &delivery, &secrets, &self.grant.settings, clock::now())
            .map_err(|refusal| refused(refusal, self.grant.source_id))
    }

    /// Slack asks once, signed like everything else, whether the address answers.
    fn slack_challenge(&self) -> Option<String> {
        (self.provider == Provider::Slack).then(|| verify::slack::challenge(self.body))?
    }

    fn answer(&self, receipt_id: Uuid, duplicate: bool) -> Response {
        let answer = Json(ReceiptAnswer { receipt_id, duplicate });
        match self.provider {
            // Twilio takes an answer for instructions, and JSON for an error (its warning 12300).
            Provider::Twilio => ([(header::CONTENT_TYPE, "text/xml")], "<Response/>").into_response(),
            Provider::Forms => (StatusCode::ACCEPTED, answer).into_response(),
            _ => answer.into_response(),
        }
    }
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// One answer for every reason; the reason is for our own log.
fn refused(refusal: Refusal, source: Uuid) -> Problem {
    tracing::warn!(reason = refusal.code(), %source, "delivery refused");
    if refusal == Refusal::Origin {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "This website may not post to this form.",
        );
    }
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid_signature",
        "The delivery is not signed by the sender of this source.",
    )
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_requests",
        "Too many forms came from this address; try later.",
    )
    .retry_after(10)
}
