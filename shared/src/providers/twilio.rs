//! Twilio's Messages API (twilio.com/docs/messaging/api/message-resource).
//!
//! There is no request key. The effect's id travels in the address of the status callback, so a callback finds a message
//! whose answer was lost; without one, the list of messages to the recipient is searched for the same text.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use url::Url;

use super::{Account, FailureClass, Outcome, Outgoing, Search, json, no_answer, refusal, text};
use crate::{
    messages::Channel,
    net::{Answer, OutboundClient, OutboundError},
};

pub(super) const VENDOR: &str = "https://api.twilio.com";

pub(super) async fn send(client: &OutboundClient, account: &Account, outgoing: &Outgoing) -> Outcome {
    let body = form(account, outgoing);
    let mut headers = authorization(account);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match client.post(&messages_url(account), headers, body.into_bytes()).await {
        Ok(answer) => read(&answer),
        Err(error) => no_answer(&error),
    }
}

fn read(answer: &Answer) -> Outcome {
    let body = json(answer);
    match (answer.status, text(&body, "/sid")) {
        (200..=299, Some(provider_ref)) => Outcome::Accepted { provider_ref },
        (200..=299, None) => Outcome::Ambiguous(super::Cause::new(
            "unreadable_answer",
            "The provider's answer has no id.",
            Some(answer.status),
        )),
        _ => {
            let code = text(&body, "/code");
            let refused = refusal(answer, code.clone(), text(&body, "/message"));
            match (refused, code.as_deref()) {
                // The person opted out with the provider, or the region is not allowed: no fault of the address.
                (Outcome::Rejected(_, cause), Some("21610" | "21408" | "63016")) => {
                    Outcome::Rejected(FailureClass::Policy, cause)
                }
                (refused, _) => refused,
            }
        }
    }
}

fn form(account: &Account, outgoing: &Outgoing) -> String {
    let from = account.from().unwrap_or_default();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("To", &address(outgoing.channel, outgoing.to.expose()));
    if from.starts_with("MG") {
        form.append_pair("MessagingServiceSid", from);
    } else {
        form.append_pair("From", &address(outgoing.channel, from));
    }
    form.append_pair("Body", outgoing.body.expose());
    if let Some(mut callback) = account.setting("statusCallback").and_then(|url| Url::parse(url).ok()) {
        callback.query_pairs_mut().append_pair("effect", &outgoing.effect_id.to_string());
        form.append_pair("StatusCallback", callback.as_str());
    }
    form.finish()
}

fn address(channel: Channel, number: &str) -> String {
    if channel == Channel::Whatsapp && !number.starts_with("whatsapp:") {
        format!("whatsapp:{number}")
    } else {
        number.to_owned()
    }
}

/// Looks through the latest messages to the recipient. The list shows a message as soon as it is made.
pub(super) async fn search(client: &OutboundClient, account: &Account, outgoing: &Outgoing) -> Search {
    let since = outgoing.first_tried_at - Duration::minutes(1);
    let to = address(outgoing.channel, outgoing.to.expose());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("To", &to)
        .append_pair("DateSent>", &since.format("%Y-%m-%d").to_string())
        .append_pair("PageSize", "100")
        .finish();
    let target = format!("{}?{query}", messages_url(account));
    let Ok(answer) = client.get(&target, authorization(account)).await else { return Search::Unclear };
    let body = json(&answer);
    let Some(listed) = body.get("messages").and_then(Value::as_array).filter(|_| answer.status == 200) else {
        return Search::Unclear;
    };
    let found = listed.iter().find(|message| {
        let made = text(message, "/date_created").and_then(|date| DateTime::parse_from_rfc2822(&date).ok());
        text(message, "/body").as_deref() == Some(outgoing.body.expose())
            && text(message, "/to").is_none_or(|listed| listed == to)
            && made.is_none_or(|made| made >= since)
    });
    match found.and_then(|message| text(message, "/sid")) {
        Some(provider_ref) => Search::Found { provider_ref },
        // A full page may have pushed it out.
        None if listed.len() >= 100 => Search::Unclear,
        None => Search::Absent,
    }
}

pub(super) async fn probe(client: &OutboundClient, account: &Account) -> Result<Answer, OutboundError> {
    let target = format!("{}/2010-04-01/Accounts/{}.json", account.base(VENDOR), sid(account));
    client.get(&target, authorization(account)).await
}

fn messages_url(account: &Account) -> String {
    format!("{}/2010-04-01/Accounts/{}/Messages.json", account.base(VENDOR), sid(account))
}

/// The account's number stands in a path, where nothing but letters and digits belongs.
fn sid(account: &Account) -> String {
    account.setting("accountSid").unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect()
}

fn authorization(account: &Account) -> HeaderMap {
    let pair = format!("{}:{}", sid(account), account.secret("authToken"));
    let mut headers = HeaderMap::new();
    if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}
