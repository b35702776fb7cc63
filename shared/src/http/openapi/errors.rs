//! The statuses that the law gives to whole kinds of operations, each with an answer as it comes.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value never panics here: a missing member of an object reads as null and is made when written"
)]

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    auth::Role,
    http::{FieldError, Problem, etag},
};

/// Name of each shared answer, its status, and what it means.
const ANSWERS: [(&str, &str, &str); 7] = [
    ("Unauthorized", "401", "No credentials, or none that are good. Always the same, whatever the cause."),
    ("Forbidden", "403", "The role is too low, or the API key lacks the scope."),
    ("NotFound", "404", "There is no such resource, or it belongs to another business."),
    ("Conflict", "409", "The state does not allow it, or a twin of this request is still running."),
    ("Stale", "412", "Somebody changed it meanwhile; the current `ETag` is in the headers."),
    ("Invalid", "422", "The input is not valid; every error is listed with a pointer to it."),
    ("TooMany", "429", "Too many requests; `Retry-After` says how many seconds to wait."),
];

/// Adds the shared answers, so that operations can refer to them.
pub(super) fn describe(document: &mut Value) {
    for (name, status, description) in ANSWERS {
        let mut answer = json!({"description": description, "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"}, "example": example(status),
        }}});
        let header = |text: &str| json!({"description": text, "schema": {"type": "string"}});
        match status {
            "412" => answer["headers"]["ETag"] = header("The current version."),
            "429" => answer["headers"]["Retry-After"] = header("Seconds to wait."),
            _ => {}
        }
        document["components"]["responses"][name] = answer;
    }
}

/// Refers to the answers that an operation of this kind can give.
pub(super) fn refer(path: &str, method: &str, operation: &mut Value) {
    let guarded = !operation["security"].is_null();
    let signs_in = !guarded && method == "post" && operation["tags"][0] == "auth";
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let has = |key: &str, value: &str| parameters.iter().any(|parameter| parameter[key] == value);
    let takes_input = !operation["requestBody"].is_null() || has("in", "query");
    let can_be = |status: &str| match status {
        "401" => guarded || signs_in,
        "403" => guarded,
        "404" => path.contains('{'),
        "409" => guarded && method == "post",
        "412" => has("name", "If-Match"),
        "422" => takes_input,
        _ => signs_in,
    };
    for (name, status, _) in ANSWERS {
        if can_be(status) && operation["responses"][status].is_null() {
            operation["responses"][status] = json!({"$ref": format!("#/components/responses/{name}")});
        }
    }
}

/// An answer as the code gives it.
fn example(status: &str) -> Value {
    let problem = match status {
        "401" => Problem::unauthorized(),
        "403" => Problem::role_required(Role::Manager),
        "404" => Problem::not_found(),
        "409" => Problem::conflict(
            "idempotency_in_flight",
            "A request with this Idempotency-Key is still running.",
        ),
        "412" => etag::stale(&etag::value(7)),
        "422" => Problem::invalid_fields(vec![FieldError {
            pointer: "/email".to_owned(),
            code: "invalid_email".into(),
            detail: "An address like name@example.com is expected.".into(),
        }]),
        _ => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "Too many attempts from here; try again later.",
        ),
    };
    json!(problem.into_body("019b76da-a800-7000-8000-000000000000"))
}
