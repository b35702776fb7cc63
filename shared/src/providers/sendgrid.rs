//! SendGrid's Mail Send API (twilio.com/docs/sendgrid/api-reference/mail-send). Our id comes back in `custom_args`.

use http::{HeaderValue, header};
use serde_json::json;

use super::{Account, Cause, Outcome, Outgoing, bearer, json as body_of, no_answer, refusal, text};
use crate::net::{Answer, OutboundClient, OutboundError};

pub(super) const VENDOR: &str = "https://api.sendgrid.com";
/// The same for accounts whose data stays in the European Union (docs.sendgrid.com, regional e-mail).
pub(super) const VENDOR_IN_EUROPE: &str = "https://api.eu.sendgrid.com";

#[expect(
    clippy::indexing_slicing,
    reason = "a member of a JSON object: missing reads as null, writing makes it"
)]
pub(super) async fn send(client: &OutboundClient, account: &Account, outgoing: &Outgoing) -> Outcome {
    let mut headers = bearer(account.secret("apiKey"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Plain text must come before HTML.
    let mut content = vec![json!({"type": "text/plain", "value": outgoing.body})];
    content.extend(outgoing.html.as_ref().map(|html| json!({"type": "text/html", "value": html})));
    let mut body = json!({
        "personalizations": [{
            "to": [{"email": outgoing.to}],
            "custom_args": {"effect_id": outgoing.effect_id},
        }],
        "from": {"email": account.from()},
        // An empty subject is refused.
        "subject": outgoing.subject.as_ref().map_or("(no subject)", |subject| subject.expose().as_str()),
        "content": content,
    });
    if let Some(url) = &outgoing.unsubscribe_url {
        body["headers"] = json!({
            "List-Unsubscribe": format!("<{url}>"),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        });
    }
    let target = format!("{}/v3/mail/send", account.base(VENDOR));
    match client.post(&target, headers, body.to_string().into_bytes()).await {
        Ok(answer) => read(&answer),
        Err(error) => no_answer(&error),
    }
}

fn read(answer: &Answer) -> Outcome {
    let id = answer.headers.get("x-message-id").and_then(|id| id.to_str().ok());
    match (answer.status, id) {
        (200..=299, Some(id)) => Outcome::Accepted { provider_ref: id.to_owned() },
        (200..=299, None) => Outcome::Ambiguous(Cause::new(
            "unreadable_answer",
            "The provider's answer has no id.",
            Some(answer.status),
        )),
        _ => {
            let body = body_of(answer);
            refusal(answer, text(&body, "/errors/0/field"), text(&body, "/errors/0/message"))
        }
    }
}

pub(super) async fn probe(client: &OutboundClient, account: &Account) -> Result<Answer, OutboundError> {
    client.get(&format!("{}/v3/scopes", account.base(VENDOR)), bearer(account.secret("apiKey"))).await
}
