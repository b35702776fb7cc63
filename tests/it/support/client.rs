//! A caller of the API.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::stack;

/// What every page may read (<https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name>).
const READABLE: [&str; 7] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

/// What is for browsers and proxies, not for callers.
const PLUMBING: [&str; 6] =
    ["allow", "date", "transfer-encoding", "vary", "www-authenticate", "x-content-type-options"];

/// Somebody with or without a token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What came back, read to the end.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    request: String,
}

impl Client {
    /// Somebody without a token.
    pub fn anonymous() -> Self {
        Self::at(Ipv4Addr::LOCALHOST)
    }

    /// Somebody without a token at another loopback address: what is counted per address is counted apart.
    pub fn at(address: Ipv4Addr) -> Self {
        // The client is built without a TLS stack of its own; nothing here speaks TLS, but it asks for one. A second
        // call finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().local_address(IpAddr::V4(address));
        Self { http: builder.build().expect("a client is made"), base: stack().base.clone(), token: None }
    }

    /// The same with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same before another stack.
    pub fn on(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A request that a test completes itself; [`Client::send`] sends it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().expect("the request is complete");
        let line = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await.expect("the stack answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let hidden = hidden_from_pages(&headers);
        assert!(
            hidden.is_empty(),
            "{line}: pages of other origins cannot read {hidden:?}. Add them to the exposed headers in shared/src/http/service.rs"
        );
        Answer { status, headers, text: response.text().await.expect("the body arrives"), request: line }
    }

    /// GET
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST
    pub async fn post(&self, path: &str, body: impl Into<Value>) -> Answer {
        self.send(self.request(Method::POST, path).json(&body.into())).await
    }

    /// PATCH
    pub async fn patch(&self, path: &str, body: impl Into<Value>) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body.into())).await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }
}

/// Headers that say something to a caller and are kept from pages of other origins, on answers that such pages may read at all.
fn hidden_from_pages(headers: &HeaderMap) -> Vec<String> {
    let Some(exposed) = headers.get("access-control-expose-headers") else { return Vec::new() };
    let exposed: Vec<&str> = exposed.to_str().expect("names are ASCII").split(',').map(str::trim).collect();
    let says_something = |name: &&str| {
        !READABLE.contains(name) && !PLUMBING.contains(name) && !name.starts_with("access-control-")
    };
    let names = headers.keys().map(http::HeaderName::as_str);
    names.filter(says_something).filter(|name| !exposed.contains(name)).map(str::to_owned).collect()
}

impl Answer {
    /// The body as JSON, once the status is the expected one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self}");
        if self.text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&self.text).expect("the body is JSON")
        }
    }

    /// The problem, once status and code are the expected ones.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        assert_eq!(problem["code"], code, "{self}");
        problem
    }

    /// A 422 whose only error is at `pointer` with `code`.
    #[track_caller]
    pub fn expect_invalid(&self, pointer: &str, code: &str) {
        let problem = self.expect_problem(422, "invalid_input");
        let errors = problem["errors"].as_array().expect("errors are listed");
        assert!(
            errors.iter().any(|error| error["pointer"] == pointer && error["code"] == code),
            "no error {code} at {pointer}: {self}"
        );
    }

    /// A header's text, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered {}: {}", self.request, self.status, self.text)
    }
}
