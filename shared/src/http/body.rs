//! Bodies: read once and bounded, then parsed strictly into domain values.
//!
//! JSON that is no JSON is 400. JSON that says something else than the route understands is 422 with a pointer:
//! a wrong type, a value out of range, a field that nobody reads. Request types carry `deny_unknown_fields`, so a
//! typo is never ignored. A domain type may refuse with its own word by a message of the form `word: explanation`.

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{FieldError, FieldErrors, Problem};
use crate::json::{JsonRefusal, Shape, parse_strict};

/// The body's bytes, as they came. The outermost layer has read them.
#[derive(Clone, Debug, Default)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequestParts<S> for RawBody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Rules that concern several fields at once.
pub trait Check {
    /// Notes what is wrong.
    fn check(&self, _errors: &mut FieldErrors) {}
}

/// A JSON body, parsed and checked.
pub struct Valid<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Check> FromRequest<S> for Valid<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let RawBody(bytes) = request.extensions().get::<RawBody>().cloned().unwrap_or_default();
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out, which means the default.
pub struct ValidOrDefault<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Check + Default> FromRequest<S> for ValidOrDefault<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let empty = request.extensions().get::<RawBody>().is_none_or(|body| body.0.is_empty());
        if empty {
            Ok(Self(T::default()))
        } else {
            Valid::from_request(request, state).await.map(|body| Self(body.0))
        }
    }
}

/// Parses a body that is known to be JSON.
///
/// # Errors
/// 400 for what is no JSON, 422 with pointers for the rest.
pub fn parse<T: DeserializeOwned + Check>(bytes: &[u8]) -> Result<T, Problem> {
    parse_value(parse_strict(bytes).map_err(refuse)?)
}

/// Parses one item of a batch, so that a bad one fails alone. Pointers begin at the item.
///
/// # Errors
/// 422 with pointers.
pub fn parse_value<T: DeserializeOwned + Check>(value: Value) -> Result<T, Problem> {
    if !value.is_object() {
        return Err(Problem::invalid("", "wrong_type", "An object is expected."));
    }
    let body: T = serde_path_to_error::deserialize(Shape::of(value)).map_err(|error| locate(&error))?;
    let mut errors = FieldErrors::default();
    body.check(&mut errors);
    errors.into_result()?;
    Ok(body)
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the body as application/json.",
    ))
}

fn refuse(refusal: JsonRefusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        JsonRefusal::Syntax { .. } => Problem::bad_request("malformed_json", detail),
        JsonRefusal::TooDeep => Problem::bad_request("json_too_deep", detail),
        JsonRefusal::DuplicateKey { pointer } => Problem::invalid(pointer, "duplicate_field", detail),
        JsonRefusal::Nul => Problem::invalid("", "invalid_text", detail),
    }
}

/// Turns serde's error into a pointer, a word and a sentence.
fn locate(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    Problem::invalid_fields(vec![locate_field(error)])
}

/// The same as a field error, for values that are parsed within a body.
pub(crate) fn locate_field(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let message = error.inner().to_string();
    let mut pointer = pointer(error.path());
    let (code, detail) = classify(&message);
    if let ("required" | "unknown_field" | "duplicate_field", Some(field)) = (code.as_str(), quoted(&message))
    {
        let suffix = format!("/{}", escape(field));
        if !pointer.ends_with(&suffix) {
            pointer.push_str(&suffix);
        }
    }
    FieldError { pointer, code: code.into(), detail: detail.into() }
}

fn classify(message: &str) -> (String, String) {
    const KNOWN: [(&str, &str); 6] = [
        ("unknown field", "unknown_field"),
        ("missing field", "required"),
        ("duplicate field", "duplicate_field"),
        ("unknown variant", "unknown_value"),
        ("invalid type", "wrong_type"),
        ("invalid value", "out_of_range"),
    ];
    if let Some((_, code)) = KNOWN.iter().find(|(prefix, _)| message.starts_with(prefix)) {
        return ((*code).to_owned(), sentence(message));
    }
    match message.split_once(": ") {
        Some((word, detail)) if is_word(word) => (word.to_owned(), sentence(detail)),
        _ => ("invalid_value".to_owned(), sentence(message)),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn pointer(path: &Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(format!("/{}", escape(key))),
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}
