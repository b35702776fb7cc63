//! The outermost layer of every function.
//!
//! It gives the request an id and a meter, bounds and reads the body, catches a panic, rolls back what the handler left open,
//! renders problems, answers conditional reads, hides addresses from those who see hints of them and writes one log line.

use std::{
    net::{IpAddr, Ipv4Addr},
    panic::AssertUnwindSafe,
    time::Instant,
};

use axum::{
    Json,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lambda_http::request::RequestContext;

use super::{Problem, RawBody, etag, fields::Fields, meter::Meter};
use crate::{app::App, limits::Class, logging, mask};

/// The most bytes that a body may have.
const BODY_LIMIT: usize = 1024 * 1024;
/// The routes that take files, which may have as many bytes as a part of an upload. The platform takes 6 MB, a third of it for its own encoding.
const FILES: [&str; 2] = ["/api/leads/import", "/api/jobs/{id}/parts/{n}"];

/// The id of this request, in every answer and log line.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The caller's address, as the gateway saw it or a front end that is believed has named it.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub IpAddr);

/// Upholds the law around `next`.
pub(super) async fn uphold(
    State((app, fields)): State<(App, Fields)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    app.catch_up().await;
    let request_id = request_id(request.headers());
    let method = request.method().clone();
    let route = template(&request);
    let asked = (method == Method::GET).then(|| fields.take(&route, request.uri_mut())).flatten();
    let query = request.uri().query().filter(|_| method == Method::GET).map(str::to_owned);
    let if_none_match = request.headers().get(header::IF_NONE_MATCH).cloned();
    let (address, named) = match client_address(&app, &request) {
        Ok(address) => (address, Ok(())),
        Err(problem) => (gateway_address(&request), Err(problem)),
    };
    let meter = Meter::new(Class::of(&method, &route, request.uri().path()), address);
    request.extensions_mut().insert(RequestId(request_id.clone()));
    request.extensions_mut().insert(meter.clone());
    request.extensions_mut().insert(address);

    let admitted = match named {
        Ok(()) => admit(&app, &meter, &mut request, &route).await,
        Err(problem) => Err(problem),
    };
    let mut response = match admitted {
        Ok(()) => handle(next, request, &request_id, &route).await,
        Err(problem) => problem.into_response(),
    };
    app.db.settle().await;
    if response.status().is_success()
        && let Err(problem) = meter.refuse_unread(query.as_deref())
    {
        response = problem.into_response();
    }
    if let Some(asked) = asked {
        response = asked.narrow(response).await.unwrap_or_else(IntoResponse::into_response);
    }
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = render(problem, &request_id);
    }
    if meter.hides_addresses() {
        response = hide_addresses(response, &request_id).await;
    }
    response = if_changed(response, &method, if_none_match.as_ref());
    finish_headers(&mut response, &request_id);
    if let Some(reading) = meter.reading() {
        reading.write(response.headers_mut());
    }
    logging::request_line(&logging::RequestLine {
        method: method.as_str(),
        route: &route,
        status: response.status().as_u16(),
        duration: started.elapsed(),
        request_id: &request_id,
        tenant: meter.tenant(),
    });
    response
}

/// The route's template.
fn template(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned())
}

/// What the handler answers, also when it panics.
async fn handle(next: Next, request: Request, request_id: &str, route: &str) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(request_id, route, "handler panicked");
        Problem::internal().into_response()
    })
}

/// Answers a conditional read.
fn if_changed(response: Response, method: &Method, if_none_match: Option<&HeaderValue>) -> Response {
    let unchanged = method == Method::GET
        && response.status() == StatusCode::OK
        && response.extensions().get::<etag::HoldsMore>().is_none()
        && etag::not_modified(if_none_match, response.headers());
    if unchanged { strip_body(response) } else { response }
}

/// What comes before the handler: the count of visitors, an address without stray parameters, the body.
async fn admit(app: &App, meter: &Meter, request: &mut Request, route: &str) -> Result<(), Problem> {
    meter.count_visitor(app).await?;
    meter.refuse_at_door(route, request.uri().query())?;
    read_body(request, route).await
}

/// The caller's own id when it is a plain word, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (8..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    headers
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .filter(plain)
        .map_or_else(|| crate::ids::new_id().to_string(), str::to_owned)
}

/// Whoever a front end calls for, or whoever calls.
fn client_address(app: &App, request: &Request) -> Result<ClientIp, Problem> {
    let named = app.config.front_ends.named_address(request.headers())?;
    Ok(named.map_or_else(|| gateway_address(request), ClientIp))
}

/// From the gateway's request context; the laptop's server inserts the peer's address itself.
fn gateway_address(request: &Request) -> ClientIp {
    if let Some(known) = request.extensions().get::<ClientIp>() {
        return *known;
    }
    let from_gateway = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok())
        }
        Some(_) | None => None,
    };
    ClientIp(from_gateway.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

async fn read_body(request: &mut Request, route: &str) -> Result<(), Problem> {
    let takes_files = FILES.contains(&route);
    let limit = if takes_files { crate::jobs::PART_BYTES } else { BODY_LIMIT };
    let body = std::mem::take(request.body_mut());
    let bytes = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = if takes_files {
                "At most 4 MB are taken at once. Send a larger file in parts: POST /api/leads/import?upload=parts makes a job, PUT \
                 /api/jobs/{id}/parts/{n} takes each part (4 MB at most, 100 MB together), POST /api/jobs/{id}/start begins."
            } else {
                "A body may have 1 MB at most."
            };
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
        }
        Err(_) => {
            return Err(Problem::bad_request("body_unreadable", "The body ended before it was complete."));
        }
    };
    request.extensions_mut().insert(RawBody(bytes));
    Ok(())
}

fn render(problem: Problem, request_id: &str) -> Response {
    let shape = problem.clone().into_response();
    let mut response = (problem.status(), Json(problem.into_body(request_id))).into_response();
    response.headers_mut().extend(shape.headers().clone());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn strip_body(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, axum::body::Body::empty())
}

/// The same answer with hints of the addresses in it, whoever wrote them wherever. What was changed for the eyes of some is the same
/// resource: its `ETag` stays.
async fn hide_addresses(response: Response, request_id: &str) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.contains("json")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return render(Problem::internal(), request_id);
    };
    match mask::body(&body) {
        Some(masked) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            // A tag of what is hidden would tell it to whoever tries all that it may be.
            if parts.headers.get(header::ETAG).is_some_and(etag::is_of_content) {
                parts.headers.insert(header::ETAG, etag::of_content(&masked));
            }
            Response::from_parts(parts, masked.into())
        }
        None => Response::from_parts(parts, body.into()),
    }
}

fn finish_headers(response: &mut Response, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
