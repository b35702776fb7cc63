//! Errors as `application/problem+json` (RFC 9457).
//!
//! A problem travels in the response's extensions and is rendered by the outermost layer, which alone knows the
//! request's id. `code` is a stable word that programs may rely on; `detail` is for people. Nothing internal leaks:
//! a defect is logged and answered as `internal_error`.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    auth::{RecordScope, Role, Scope},
    db::DbError,
};

/// One thing that is wrong with the input.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (`/lines/0/quantity`), or `?name` for a query parameter.
    pub pointer: String,
    /// Stable word.
    pub code: Cow<'static, str>,
    /// For people.
    pub detail: Cow<'static, str>,
}

/// Collects everything that is wrong with an input, so that a caller mends it in one go.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Notes one error.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(FieldError { pointer: pointer.into(), code: code.into(), detail: detail.into() });
    }

    /// A 422 with all errors, or nothing.
    ///
    /// # Errors
    /// When any error was noted.
    pub fn into_result(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(self.0)) }
    }
}

/// The wire form of a problem.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// URI of the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: &'static str,
    /// The status.
    pub status: u16,
    /// Stable word for programs.
    pub code: Cow<'static, str>,
    /// What happened, for people.
    pub detail: Cow<'static, str>,
    /// Also in the `x-request-id` header; quote it to support.
    pub request_id: String,
    /// What is wrong with the input, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Members that some codes add, such as `existingId`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    constraint: Option<String>,
}

impl Problem {
    /// A problem with its stable word.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            extra: Map::new(),
            headers: Vec::new(),
            constraint: None,
        }))
    }

    /// 400: not parsable at all.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: no credentials, or none that are good. Deliberately the same for every cause.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Valid credentials are required.")
            .header(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// 403: the role is too low.
    #[must_use]
    pub fn role_required(role: Role) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "role_required",
            format!("This needs the role {role} or a higher one."),
        )
        .with("requiredRole", role.to_string())
    }

    /// 403: the answer is about all records of the business, and the caller is bound to some.
    #[must_use]
    pub fn record_scope_required(records: RecordScope) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "record_scope_required",
            format!("This is about the whole business; it needs the record scope {records}."),
        )
        .with("requiredRecordScope", records.to_string())
    }

    /// 403: the API key lacks a scope.
    #[must_use]
    pub fn scope_required(scope: Scope) -> Self {
        Self::new(StatusCode::FORBIDDEN, "scope_required", format!("This API key needs the scope {scope}."))
            .with("requiredScope", scope.to_string())
    }

    /// 403: the route is about the person who is signed in, and a key is nobody.
    #[must_use]
    pub fn user_required() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "user_required",
            "This is about the user who is signed in; an API key is nobody.",
        )
    }

    /// 401: the session is good, but the password was given too long ago for this.
    #[must_use]
    pub fn reauth_required() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "reauth_required",
            "Give the password again (POST /api/auth/reauth) within five minutes before this.",
        )
    }

    /// 404: missing, or another tenant's. The two are never told apart.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such resource.")
    }

    /// 409: the request is fine, the state is not.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 423: writes of a suspended business; reading and exporting go on.
    #[must_use]
    pub fn tenant_suspended() -> Self {
        Self::new(
            StatusCode::LOCKED,
            "tenant_suspended",
            "This business is suspended: reading works, changes do not.",
        )
    }

    /// 409: somebody else's change came in between; whoever looks again may go on.
    #[must_use]
    pub fn concurrent_change() -> Self {
        Self::conflict("concurrent_change", "Another request changed the same data; try again.")
            .retry_after(1)
    }

    /// 422: one field is wrong.
    #[must_use]
    pub fn invalid(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid_fields(vec![FieldError {
            pointer: pointer.into(),
            code: code.into(),
            detail: detail.into(),
        }])
    }

    /// 422: several fields are wrong.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_input",
            "The input is not valid; see `errors`.",
        );
        problem.0.errors = errors;
        problem
    }

    /// 500: our defect. The cause is logged where it happened.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.")
    }

    /// 503: something that we need is down. `part` names it.
    #[must_use]
    pub fn unavailable(part: &'static str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "dependency_unavailable",
            format!("The {part} is not available."),
        )
        .with("part", part)
        .retry_after(2)
    }

    /// The same with what is wrong below another place of the body; a parameter becomes a member there.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        for error in &mut self.0.errors {
            let inner = error
                .pointer
                .strip_prefix('?')
                .map_or_else(|| error.pointer.clone(), |name| format!("/{name}"));
            error.pointer = format!("{parent}{inner}");
        }
        self
    }

    /// What is wrong with the input, by field.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header. A value that no header can carry is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// The constraint behind a problem that nobody has translated yet.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable word.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The wire form, for batch results and the outermost layer.
    #[must_use]
    pub fn into_body(self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:wellspring:problem:{}", self.0.code),
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            code: self.0.code,
            detail: self.0.detail,
            request_id: request_id.to_owned(),
            errors: self.0.errors,
            extra: self.0.extra,
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(cause) => {
                tracing::error!(cause, "database unavailable");
                Self::unavailable("database")
            }
            DbError::Contention(cause) => {
                tracing::warn!(cause, "transactions met");
                Self::concurrent_change()
            }
            DbError::OutOfRange(cause) => {
                tracing::warn!(cause, "a value that no check has refused");
                Self::invalid("", "out_of_range", "A number or a time is beyond what can be stored.")
            }
            DbError::UnsafeRole(cause) | DbError::Defect(cause) => {
                tracing::error!(cause, "database defect");
                Self::internal()
            }
            // Whoever asks, or the whole business, was removed while this was done.
            DbError::Constraint(name)
                if name.ends_with("_created_by_fkey") || name.ends_with("_tenant_id_fkey") =>
            {
                Self::unauthorized()
            }
            DbError::Constraint(name) => {
                let mut problem = Self::internal();
                problem.0.constraint = Some(name);
                problem
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(name) = self.constraint() {
            tracing::error!(constraint = name, "a constraint refused a row and no handler translated it");
        }
        let mut response = self.0.status.into_response();
        response.headers_mut().extend(self.0.headers.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}
