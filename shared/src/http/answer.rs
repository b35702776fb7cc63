//! The successes, each with its status and headers.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Problem, etag};

/// 201 with the address of what was made.
pub struct Created<T> {
    /// Path of the new resource.
    pub location: String,
    /// Its wire form.
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        if let Ok(location) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// 202: durable, and done later.
pub struct Accepted<T>(pub T);

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

/// 207: a result per item.
pub struct MultiStatus<T>(pub T);

impl<T: Serialize> IntoResponse for MultiStatus<T> {
    fn into_response(self) -> Response {
        (StatusCode::MULTI_STATUS, Json(self.0)).into_response()
    }
}

/// 204.
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A resource without a version; its `ETag` is made of what it looks like.
pub struct Hashed<T>(pub T);

impl<T: Serialize> IntoResponse for Hashed<T> {
    fn into_response(self) -> Response {
        let Ok(content) = serde_json::to_vec(&self.0) else { return Problem::internal().into_response() };
        let tag = etag::of_content(&content);
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ([kind, (header::ETAG, tag)], content).into_response()
    }
}

/// A resource together with others that its version says nothing about: it is sent whatever the caller has seen.
pub struct Together<R>(pub R);

impl<R: IntoResponse> IntoResponse for Together<R> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(etag::HoldsMore);
        response
    }
}

/// An answer with the `ETag` of the row's version.
pub struct Versioned<R> {
    /// The row's version.
    pub version: i64,
    /// The rest of the answer.
    pub answer: R,
}

impl<R: IntoResponse> IntoResponse for Versioned<R> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        response.headers_mut().insert(header::ETAG, etag::value(self.version));
        response
    }
}
