//! Callers that may be web pages: a site key, a signed-in user or a secret key.
//!
//! A site key stands in the source of a page and is no secret. It opens nothing but the routes that take a [`SiteCx`].
//! A real beacon (`navigator.sendBeacon`) cannot set headers, so a site key is also taken from `?key=`; a secret key
//! there would end in logs and histories and is refused.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header, request::Parts};

use super::{
    Actor, ApiResult, Cx, Meter, OpenCx, Problem,
    authenticate::{authenticate, bearer},
    cx::Refusal,
};
use crate::{
    app::App,
    auth::{Access, Scope, Surface, WriteAnalytics},
    clock,
    crypto::TokenKind,
};

/// A request of a page, a user or a program, with its open transaction.
pub struct SiteCx {
    /// The context as every other route has it.
    pub cx: Cx<WriteAnalytics>,
    /// Whether the caller showed a site key.
    pub by_site_key: bool,
}

impl SiteCx {
    /// Commits like [`Cx::commit`]. Any page may read the answer to a site key: the key says whose it is, not the origin.
    ///
    /// # Errors
    /// As of [`Cx::commit`].
    pub async fn commit(self, answer: impl IntoResponse) -> ApiResult {
        let mut response: Response = self.cx.commit(answer).await?;
        if self.by_site_key {
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        Ok(response)
    }
}

impl FromRequestParts<App> for SiteCx {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let now = clock::now();
        let (open, by_site_key) = match site_key(parts) {
            Some(key) => {
                let open = open(key.as_ref(), parts, app).await?;
                // Beside the key, a page may add what it likes to its own calls.
                Meter::of(parts)?.reads_query();
                (open, true)
            }
            None => (authenticate(parts, app, now).await?, false),
        };
        Ok(Self { cx: Cx::admit(parts, app, now, open).await?, by_site_key })
    }
}

/// The site key of the header or, without a header, of the query string.
fn site_key(parts: &Parts) -> Option<String> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return bearer(parts)
            .filter(|token| token.starts_with(TokenKind::SiteKey.prefix()))
            .map(str::to_owned);
    }
    let query = parts.uri.query().unwrap_or_default();
    let (_, key) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "key")?;
    key.starts_with(TokenKind::SiteKey.prefix()).then(|| key.into_owned())
}

/// Opens the tenant of a site key. The kind of the key is its permission; it needs no scope.
async fn open(key: &str, parts: &Parts, app: &App) -> Result<OpenCx, Problem> {
    let (tx, grant) = Meter::of(parts)?.open_site_key(app, key).await?.ok_or_else(Problem::unauthorized)?;
    if grant.kind != "site" {
        return Err(Problem::unauthorized());
    }
    let scopes = vec![Scope { surface: Surface::Analytics, access: Access::Write }];
    Ok(OpenCx { tx, actor: Actor::Key { id: grant.key_id, scopes } })
}
