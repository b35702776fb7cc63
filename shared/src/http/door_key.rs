//! `Idempotency-Key` before anybody is known: whoever founds a business, accepts an invitation or follows a link.
//!
//! What stands in for the caller is what the request proves: the token of the link, or, for a business that is being
//! founded, the address of its owner. The answer is kept with the business like any other.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use uuid::Uuid;

use super::{
    ApiResult, Problem, RawBody,
    cx::{Refusal, claim_key},
    idempotency::{Claim, in_flight},
};
use crate::{
    app::App,
    db::{DbError, DbResult, TenantTx},
    ids::TenantId,
};

/// The caller's key, if there is one.
pub struct DoorKey {
    key: Option<(String, String)>,
    body: RawBody,
}

/// A key that this request holds, or would hold if it had one.
pub struct DoorClaim(Option<Claim>);

/// What a key says of its request.
pub enum Claimed {
    /// It is to be done.
    Now(DoorClaim),
    /// It was done; this was the answer.
    Before(Response),
}

impl<S: Send + Sync> FromRequestParts<S> for DoorKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let body = parts.extensions.get::<RawBody>().cloned().unwrap_or_default();
        Ok(Self { key: claim_key(parts)?, body })
    }
}

impl DoorKey {
    /// Takes the key within the business that it belongs to.
    ///
    /// # Errors
    /// 409 `idempotency_in_flight`; 422 `idempotency_key_reused`.
    pub async fn claim(&self, tx: &mut TenantTx, app: &App, caller: &str) -> Result<Claimed, Problem> {
        let Some((route, key)) = self.key.clone() else { return Ok(Claimed::Now(DoorClaim(None))) };
        match Claim::take(tx, app, caller.to_owned(), route, key, ("", &self.body.0[..])).await {
            Ok(claim) => Ok(Claimed::Now(DoorClaim(Some(claim)))),
            Err(Refusal::Replay(response)) => Ok(Claimed::Before(response)),
            Err(Refusal::Problem(problem)) => Err(problem),
        }
    }

    /// The business that this key has founded already. Whoever founds one with the same key at the same moment is told to come again.
    ///
    /// # Errors
    /// 409 `idempotency_in_flight`.
    pub async fn founded(&self, tx: &mut TenantTx, caller: &str) -> Result<Option<TenantId>, Problem> {
        let Some((route, key)) = &self.key else { return Ok(None) };
        if !lock(tx, &format!("founding/{caller}/{route}/{key}")).await? {
            return Err(in_flight());
        }
        // Not a checked macro: checking asks for the plan, and the schema's owner may not execute what only the runtime may.
        let tenant: Option<Uuid> = sqlx::query_scalar("select tenant_of_visitor($1, $2, $3)")
            .bind(caller)
            .bind(route)
            .bind(key)
            .fetch_one(tx.conn())
            .await
            .map_err(DbError::from)?;
        Ok(tenant.map(TenantId::new))
    }
}

async fn lock(tx: &mut TenantTx, name: &str) -> DbResult<bool> {
    let locked = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "locked!""#,
        name
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(locked)
}

impl DoorClaim {
    /// Keeps the answer in the transaction of its effect.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn store(self, tx: &mut TenantTx, answer: impl IntoResponse) -> ApiResult {
        let response = answer.into_response();
        match self.0 {
            Some(claim) => claim.store(tx, response).await,
            None => Ok(response),
        }
    }
}
