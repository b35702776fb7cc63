//! Counting events: from a page with its site key, from a signed-in user, from a program.

use axum::Extension;
use http::{HeaderMap, header};
use serde::Serialize;
use serde_json::Value;
use shared::{
    analytics::{self, CtaBody, NewCta},
    events::emit,
    http::{
        Accepted, ApiResult, Check, ClientIp, FieldErrors, Problem, RawBody, SiteCx, parse_body, parse_value,
    },
};
use utoipa::ToSchema;

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CtaResult {
    /// How many were counted.
    accepted: usize,
    /// How many had been counted before.
    duplicates: usize,
    /// Which were refused.
    rejected: Vec<RejectedCta>,
}

/// An event that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejectedCta {
    /// Its place in `events`.
    index: usize,
    /// Stable word.
    code: String,
    /// For people.
    detail: String,
}

/// One event, or the events of a batch, not read yet.
enum Given {
    One(Value),
    Many(Vec<Value>),
}

impl<'de> serde::Deserialize<'de> for Given {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        match value
            .as_object_mut()
            .and_then(|object| object.remove("events").map(|events| (events, object.is_empty())))
        {
            None => Ok(Self::One(value)),
            Some((Value::Array(events), true)) => Ok(Self::Many(events)),
            Some((_, true)) => Err(serde::de::Error::custom("wrong_type: `events` is a list.")),
            Some((_, false)) => {
                Err(serde::de::Error::custom("unknown_field: Beside `events` there is nothing else."))
            }
        }
    }
}

impl Check for Given {
    fn check(&self, errors: &mut FieldErrors) {
        match self {
            Self::Many(events) if events.is_empty() => {
                errors.add("/events", "required", "Send at least one event.");
            }
            Self::Many(events) if events.len() > 50 => {
                errors.add("/events", "too_many_values", "At most 50 events are taken at once.");
            }
            Self::One(_) | Self::Many(_) => {}
        }
    }
}

/// Counts one event or up to 50, each once by its `eventId`. Beacons may send JSON as `text/plain` and the site key as `?key=`.
#[utoipa::path(post, path = "/api/analytics/cta", operation_id = "record_cta", tag = "analytics",
    extensions(("x-role" = json!("viewer"))),
    params(("key" = Option<String>, Query, description = "A site key (wpk_…), for beacons, which cannot set headers.")),
    request_body = CtaBody, responses((status = 202, body = CtaResult)))]
pub(crate) async fn record_cta(
    mut site: SiteCx,
    Extension(ClientIp(address)): Extension<ClientIp>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> ApiResult {
    require_text(&headers)?;
    let now = site.cx.now();
    let (events, single) = match parse_body::<Given>(&body)? {
        Given::One(event) => (vec![event], true),
        Given::Many(events) => (events, false),
    };
    let (mut places, mut read, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for (index, event) in events.into_iter().enumerate() {
        let event = parse_value::<NewCta>(event);
        match event.and_then(|event| {
            event.time(now).map(|at| (event, at)).map_err(|(code, why)| untimely(code, why))
        }) {
            Ok(event) => {
                places.push(index);
                read.push(event);
            }
            // The only event of a request is answered like every other bad body.
            Err(problem) if single => return Err(problem),
            Err(problem) => rejected.push(refused(index, problem)),
        }
    }
    let user_agent =
        headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = analytics::read_agent(user_agent);
    let own = site.cx.actor.own_records_of();
    let recorded = analytics::record(&mut site.cx.tx, now, read, agent, (address, user_agent), own).await?;
    for place in &recorded.unknown_leads {
        if single {
            return Err(unknown_lead());
        }
        rejected.extend(places.get(*place).map(|index| refused(*index, unknown_lead())));
    }
    emit(&mut site.cx.tx, &recorded.events()).await?;
    rejected.sort_by_key(|event| event.index);
    let result = CtaResult { accepted: recorded.accepted.len(), duplicates: recorded.duplicates, rejected };
    site.commit(Accepted(result)).await
}

fn untimely(code: &'static str, detail: &'static str) -> Problem {
    Problem::invalid("/occurredAt", code, detail)
}

fn unknown_lead() -> Problem {
    Problem::invalid("/leadId", "unknown_lead", "There is no such lead.")
}

fn refused(index: usize, problem: Problem) -> RejectedCta {
    let body = problem.into_body("");
    let (code, detail) = match body.errors.into_iter().next() {
        Some(error) => (error.code, error.detail),
        None => (body.code, body.detail),
    };
    RejectedCta { index, code: code.into_owned(), detail: detail.into_owned() }
}

/// A beacon is `text/plain`, whatever it holds; a `Blob` without a type has none.
fn require_text(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(essence.as_str(), "" | "text/plain" | "application/json") {
        return Ok(());
    }
    Err(Problem::new(
        http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send JSON as application/json or text/plain.",
    ))
}
