//! Resend's e-mail API (resend.com/docs/api-reference/emails/send-email), with its idempotency keys.

use http::{HeaderValue, header};
use serde_json::json;

use super::{Account, Cause, Outcome, Outgoing, bearer, json as body_of, no_answer, refusal, text};
use crate::net::{Answer, OutboundClient, OutboundError};

pub(super) const VENDOR: &str = "https://api.resend.com";

#[expect(
    clippy::indexing_slicing,
    reason = "a member of a JSON object: missing reads as null, writing makes it"
)]
pub(super) async fn send(client: &OutboundClient, account: &Account, outgoing: &Outgoing) -> Outcome {
    let mut headers = bearer(account.secret("apiKey"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(key) = HeaderValue::from_str(&outgoing.idem_key) {
        headers.insert("idempotency-key", key);
    }
    let mut body = json!({
        "from": account.from(),
        "to": [outgoing.to],
        "subject": outgoing.subject.as_ref().map_or("", |subject| subject.expose().as_str()),
        "text": outgoing.body,
        "tags": [{"name": "effect_id", "value": outgoing.effect_id}],
    });
    if let Some(html) = &outgoing.html {
        body["html"] = html.expose().as_str().into();
    }
    if let Some(url) = &outgoing.unsubscribe_url {
        body["headers"] = json!({
            "List-Unsubscribe": format!("<{url}>"),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        });
    }
    let target = format!("{}/emails", account.base(VENDOR));
    match client.post(&target, headers, body.to_string().into_bytes()).await {
        Ok(answer) => read(&answer),
        Err(error) => no_answer(&error),
    }
}

fn read(answer: &Answer) -> Outcome {
    let body = body_of(answer);
    match (answer.status, text(&body, "/id")) {
        (200..=299, Some(provider_ref)) => Outcome::Accepted { provider_ref },
        (200..=299, None) => Outcome::Ambiguous(Cause::new(
            "unreadable_answer",
            "The provider's answer has no id.",
            Some(answer.status),
        )),
        _ => {
            let code = text(&body, "/name");
            match (refusal(answer, code.clone(), text(&body, "/message")), code.as_deref()) {
                // The first try with this key is still under way.
                (Outcome::Rejected(_, cause), Some("concurrent_idempotent_requests")) => {
                    Outcome::Retry(None, cause)
                }
                (refused, _) => refused,
            }
        }
    }
}

pub(super) async fn probe(client: &OutboundClient, account: &Account) -> Result<Answer, OutboundError> {
    client.get(&format!("{}/domains", account.base(VENDOR)), bearer(account.secret("apiKey"))).await
}
