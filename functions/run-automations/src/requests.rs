//! Making the requests of `webhook` steps. Nothing here is inside a transaction but the settling.

use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use shared::{
    app::App,
    automations::engine::{Call, CallOutcome, settle_call},
    db::DbError,
    ids::TenantId,
    net::{OutboundClient, OutboundError},
};

/// Requests under way at once: two rounds of a full batch end before the lease does.
const AT_ONCE: usize = 50;

/// Makes the requests and settles each. True when a run is due at once.
///
/// # Errors
/// When the database is lost.
pub(crate) async fn make(app: &App, tenant: TenantId, calls: Vec<Call>) -> Result<bool, DbError> {
    if calls.is_empty() {
        return Ok(false);
    }
    let client = OutboundClient::new(&app.config).map_err(|error| DbError::Defect(error.to_string()))?;
    let client = &client;
    let mut answers = stream::iter(calls)
        .map(|call| async move { (make_one(client, &call).await, call) })
        .buffer_unordered(AT_ONCE);
    let mut again = false;
    while let Some((outcome, call)) = answers.next().await {
        again |= settle(app, tenant, &call, outcome).await?;
    }
    Ok(again)
}

async fn settle(app: &App, tenant: TenantId, call: &Call, outcome: CallOutcome) -> Result<bool, DbError> {
    let Some(mut tx) = app.db.open_tenant(tenant).await? else { return Ok(false) };
    let settled = match settle_call(&mut tx, call, outcome).await {
        Err(DbError::Constraint(_)) => {
            tx.restart().await?;
            let too_large = failure("response_too_large", "The answer is too large to be kept.", None, false);
            settle_call(&mut tx, call, too_large).await?
        }
        result => result?,
    };
    app.queue.nudge(tx.commit().await?).await;
    Ok(settled)
}

async fn make_one(client: &OutboundClient, call: &Call) -> CallOutcome {
    let request = &call.request;
    let Ok(method) = Method::from_bytes(request.method.as_bytes()) else {
        return failure("invalid_request", "There is no such method.", None, false);
    };
    let Some(headers) = headers(call) else {
        return failure("invalid_request", "A header holds what no header may hold.", None, false);
    };
    let body = request.body.clone().unwrap_or_default().into_bytes();
    match client.send(method, &request.url, headers, body).await {
        Ok(answer) if (200..300).contains(&answer.status) => {
            CallOutcome::Answered { status: answer.status, body: read(&answer.body) }
        }
        Ok(answer) => {
            let retryable = answer.status == 429 || answer.status >= 500;
            let message = format!("The target answered {}.", answer.status);
            let retry_after = answer.retry_after().and_then(|after| i64::try_from(after.as_secs()).ok());
            CallOutcome::Failed {
                status: Some(answer.status),
                code: "http_status",
                message,
                retryable,
                retry_after,
            }
        }
        Err(OutboundError::Refused(reason)) => failure("target_refused", reason, None, false),
        Err(OutboundError::NotSent(reason)) => failure("not_reached", reason, None, true),
        // The key makes a repetition harmless.
        Err(OutboundError::Ambiguous(reason)) => failure("answer_lost", reason, None, true),
    }
}

fn headers(call: &Call) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.request.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    if call.request.body.is_some() && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert("idempotency-key", HeaderValue::from_str(&call.idem_key).ok()?);
    Some(headers)
}

/// JSON where it is JSON, else the text. NUL has no place in the database.
fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body)
        .ok()
        .filter(|_| !body.windows(6).any(|part| part == b"\\u0000"))
        .unwrap_or_else(|| Value::String(String::from_utf8_lossy(body).replace('\0', "")))
}

fn failure(code: &'static str, message: &str, status: Option<u16>, retryable: bool) -> CallOutcome {
    CallOutcome::Failed { status, code, message: message.to_owned(), retryable, retry_after: None }
}
