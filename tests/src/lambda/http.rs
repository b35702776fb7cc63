//! API Gateway: events of an HTTP API in payload format 2.0, and what it makes of the answer
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{
    emulator::ACCOUNT_ID,
    outcome::{AnswerError, Outcome},
};

const DOMAIN: &str = "api.example.com";

/// Numbers the requests of this test process, so that each has its own request id.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// The body of a request as the gateway passes it on. The gateway decides by content type: text and JSON come as they
/// are, everything else comes base64 encoded, among it `application/x-www-form-urlencoded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// No body: the event has no `body` field.
    None,
    /// The body as it is.
    Text(String),
    /// The bytes to be encoded, with `isBase64Encoded: true`.
    Base64(Vec<u8>),
}

impl Body {
    /// A JSON body; set the content type yourself.
    pub fn json(value: &Value) -> Self {
        Self::Text(value.to_string())
    }
}

/// An event of the `$default` stage and route. As the gateway does: header names are lower-cased and repeated ones
/// joined with commas, so are repeated query parameters; `rawPath` is decoded, `rawQueryString` is not; headers that
/// the gateway adds are there unless given. There are no `cookies`, since the API uses none.
pub fn http_v2(method: &str, path_and_query: &str, headers: &[(&str, &str)], body: Body) -> Value {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let path = percent_decode_str(path).decode_utf8_lossy();
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let headers = gateway_headers(headers, &body, number);
    let user_agent = headers.get("user-agent").cloned().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": "emulated00",
            "domainName": DOMAIN,
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.10",
                "userAgent": user_agent,
            },
            "requestId": format!("Emulated{number:07x}="),
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "isBase64Encoded": matches!(body, Body::Base64(_)),
    });
    if let Some(fields) = event.as_object_mut() {
        if !query.is_empty() {
            fields.insert("queryStringParameters".to_owned(), json!(query_parameters(query)));
        }
        match body {
            Body::None => {}
            Body::Text(text) => drop(fields.insert("body".to_owned(), text.into())),
            Body::Base64(bytes) => drop(fields.insert("body".to_owned(), STANDARD.encode(bytes).into())),
        }
    }
    event
}

fn gateway_headers(given: &[(&str, &str)], body: &Body, number: u64) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        join(&mut headers, name.to_ascii_lowercase(), value);
    }
    let length = match body {
        Body::None => 0,
        Body::Text(text) => text.len(),
        Body::Base64(bytes) => bytes.len(),
    };
    let added = [
        ("accept", "*/*".to_owned()),
        ("content-length", length.to_string()),
        ("host", DOMAIN.to_owned()),
        ("user-agent", "emulated-client/1.0".to_owned()),
        ("x-amzn-trace-id", format!("Root=1-69560c00-{number:024x}")),
        ("x-forwarded-for", "192.0.2.10".to_owned()),
        ("x-forwarded-port", "443".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
    ];
    for (name, value) in added {
        headers.entry(name.to_owned()).or_insert(value);
    }
    headers
}

fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        join(&mut parameters, name.into_owned(), &value);
    }
    parameters
}

fn join(map: &mut BTreeMap<String, String>, name: String, value: &str) {
    map.entry(name)
        .and_modify(|known| {
            known.push(',');
            known.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

/// What the client of the gateway gets.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The headers, and each cookie as a `set-cookie`.
    pub headers: HeaderMap,
    /// The body, decoded if it was base64.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads the answer of an HTTP function. Stricter than the gateway, which turns a payload without `statusCode` into a
/// 200 with that payload: no function of ours means that.
pub fn parse_http(outcome: &Outcome) -> Result<HttpAnswer, AnswerError> {
    let payload = outcome.payload()?;
    let shape = |problem| AnswerError::Shape { problem, payload: payload.clone() };
    let status = payload.get("statusCode").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let text = payload.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = match payload.get("isBase64Encoded").and_then(Value::as_bool) {
        Some(true) => STANDARD.decode(text).map_err(|_| shape("the body is no base64"))?,
        _ => text.as_bytes().to_vec(),
    };
    Ok(HttpAnswer {
        status: status.ok_or_else(|| shape("there is no statusCode"))?,
        headers: answered_headers(payload).ok_or_else(|| shape("a header is no text"))?,
        body,
    })
}

/// Format 2.0 has `headers` and `cookies`; `multiValueHeaders` belongs to format 1.0 and the gateway ignores it here.
fn answered_headers(payload: &Value) -> Option<HeaderMap> {
    let empty = Map::new();
    let mut headers = HeaderMap::new();
    for (name, value) in payload.get("headers").and_then(Value::as_object).unwrap_or(&empty) {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        headers.append(name, HeaderValue::try_from(value.as_str()?).ok()?);
    }
    for cookie in payload.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        headers.append(http::header::SET_COOKIE, HeaderValue::try_from(cookie.as_str()?).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use lambda_http::RequestExt;

    use super::*;
    use crate::lambda::outcome::{Answer, ErrorReport};

    fn outcome(answer: Answer) -> Outcome {
        Outcome { request_id: "id".to_owned(), answer, duration: std::time::Duration::ZERO }
    }

    #[test]
    fn the_event_becomes_the_request_it_describes() {
        let headers = [("X-Tag", "a"), ("x-tag", "b"), ("Content-Type", "application/json")];
        let body = Body::json(&json!({ "name": "Anna" }));
        let event = http_v2("POST", "/api/leads?tag=vip&tag=new&search=an%20na", &headers, body);
        assert_eq!(event["rawQueryString"], "tag=vip&tag=new&search=an%20na");
        assert_eq!(event["queryStringParameters"], json!({ "tag": "vip,new", "search": "an na" }));
        assert_eq!(event["headers"]["x-tag"], "a,b");
        assert_eq!(event["isBase64Encoded"], false);
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri().path(), "/api/leads");
        assert_eq!(request.raw_http_path(), "/api/leads");
        assert_eq!(request.uri().query(), Some("tag=vip&tag=new&search=an%20na"));
        assert_eq!(request.body().as_ref(), br#"{"name":"Anna"}"#);
    }

    #[test]
    fn a_base64_body_arrives_as_its_bytes() {
        let event = http_v2("POST", "/api/webhooks/forms/t", &[], Body::Base64(vec![0, 255, 10]));
        assert_eq!(event["body"], "AP8K");
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        assert_eq!(request.body().as_ref(), [0, 255, 10]);
    }

    #[test]
    fn an_event_without_body_and_query_has_neither_field() {
        let event = http_v2("GET", "/api/leads/caf%C3%A9", &[], Body::None);
        assert!(event.get("body").is_none() && event.get("queryStringParameters").is_none());
        assert!(event.get("cookies").is_none());
        assert_eq!(event["rawPath"], "/api/leads/café");
    }

    #[test]
    fn an_answer_is_decoded() {
        let payload = json!({
            "statusCode": 200, "headers": { "Content-Type": "application/pdf" }, "multiValueHeaders": {},
            "body": "AP8K", "isBase64Encoded": true, "cookies": ["a=1"],
        });
        let answer = parse_http(&outcome(Answer::Payload(payload))).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, [0_u8, 255, 10].as_slice()));
        assert_eq!(answer.header("content-type"), Some("application/pdf"));
        assert_eq!(answer.header("set-cookie"), Some("a=1"));
    }

    #[test]
    fn an_answer_of_another_shape_is_named() {
        let refused = parse_http(&outcome(Answer::Payload(json!({ "ok": true })))).unwrap_err();
        assert!(refused.to_string().contains("statusCode"), "{refused}");
        let failed = Answer::Error(ErrorReport::new("Boom", "it broke"));
        assert!(matches!(parse_http(&outcome(failed)), Err(AnswerError::Function(_))));
    }
}
