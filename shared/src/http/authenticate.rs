//! Who asks: an access token or an API key, checked by the statement that opens the transaction.

use chrono::{DateTime, Utc};
use http::{StatusCode, header, request::Parts};

use super::{Actor, Meter, OpenCx, Problem};
use crate::{
    app::App,
    auth::token::{self, Claims},
    ids::TenantId,
};

/// Opens the transaction that the `Authorization` header proves a right to.
pub(super) async fn authenticate(parts: &Parts, app: &App, now: DateTime<Utc>) -> Result<OpenCx, Problem> {
    let token = bearer(parts).ok_or_else(Problem::unauthorized)?;
    if token.starts_with("wsk_") || token.starts_with("wpk_") {
        by_key(token, parts, app).await
    } else {
        by_token(token, parts, app, now).await
    }
}

pub(super) fn bearer(parts: &Parts) -> Option<&str> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else { return None };
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A key that nobody here knows may be newer than what this process has read. Anybody can name one, so the keys are read again only once in a while.
async fn verify(token: &str, app: &App, now: DateTime<Utc>) -> Result<Claims, Problem> {
    let known = || app.token_keys().ok_or_else(Problem::internal);
    let mut verified = known()?.verify(token.as_bytes(), now);
    if verified == Err(token::Refusal::UnknownKey) && app.renew().await {
        verified = known()?.verify(token.as_bytes(), now);
    }
    verified.map_err(|refusal| {
        tracing::debug!(%refusal, "access token refused");
        Problem::unauthorized()
    })
}

async fn by_token(token: &str, parts: &Parts, app: &App, now: DateTime<Utc>) -> Result<OpenCx, Problem> {
    let claims = verify(token, app, now).await?;
    let tenant = TenantId::new(claims.tenant_id);
    let (tx, grant) = Meter::of(parts)?
        .open_session(app, tenant, claims.session_id, claims.user_id)
        .await?
        .ok_or_else(Problem::unauthorized)?;
    if grant.user_id != claims.user_id {
        return Err(Problem::unauthorized());
    }
    let actor = Actor::User {
        id: grant.user_id,
        session: claims.session_id,
        role: grant.role.parse().map_err(|_| Problem::internal())?,
        sees: grant.owners,
        authenticated_at: grant.authenticated_at,
    };
    Ok(OpenCx { tx, actor })
}

async fn by_key(key: &str, parts: &Parts, app: &App) -> Result<OpenCx, Problem> {
    let (tx, grant) = Meter::of(parts)?.open_key(app, key).await?.ok_or_else(Problem::unauthorized)?;
    if grant.kind != "secret" {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "site_key_not_allowed",
            "A site key may only send analytics events and public forms.",
        ));
    }
    let scopes = grant.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
    Ok(OpenCx { tx, actor: Actor::Key { id: grant.key_id, scopes } })
}
