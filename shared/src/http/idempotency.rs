//! `Idempotency-Key`: the same request again gets the same answer and has no second effect.
//!
//! The answer is stored in the transaction of the effect, so either both exist or neither, whatever is killed when.
//! While the first request runs it holds an advisory lock; the second is told 409 instead of being kept waiting.
//! Failed requests store nothing and may be tried again. Keys live for 24 hours and are scoped to caller and route.
//!
//! Stored bodies are sealed, all of them: some answers carry a secret that is shown once (an API key, the secret of a
//! webhook), most carry personal data, and a rule without exceptions cannot be forgotten. A body whose sealing key is
//! gone is as good as lost, and the caller is told that the request was done.
//!
//! Whether a body is the same is told by a keyed hash: a plain one of a body that holds a password could be guessed at.

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::{Problem, cx::Refusal};
use crate::{
    app::App,
    crypto::Purpose,
    db::{DbResult, TenantTx},
};

/// The headers that belong to a stored answer.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// A key that this request holds.
pub(super) struct Claim {
    app: App,
    caller: String,
    route: String,
    key: String,
    /// Of query and body, under each live key, the newest first.
    hashes: Vec<[u8; 32]>,
}

struct Stored {
    body_hash: Vec<u8>,
    status: i16,
    headers: Value,
    body: Vec<u8>,
}

impl Claim {
    /// Takes the key, or answers for it: replay, other body, in flight.
    pub(super) async fn take(
        tx: &mut TenantTx,
        app: &App,
        caller: String,
        route: String,
        key: String,
        (query, body): (&str, &[u8]),
    ) -> Result<Self, Refusal> {
        // Some POSTs say in their query what they want (a rehearsal, a format).
        let macs = app.secret_box().mac_keys("idempotency").map_err(|_| Problem::internal())?;
        let hashes = macs.macs(&[query.as_bytes(), b"\n", body].concat()).collect();
        let claim = Self { app: app.clone(), caller, route, key, hashes };
        if !claim.lock(tx).await? {
            return Err(Refusal::Problem(in_flight()));
        }
        match claim.find(tx).await? {
            None => Ok(claim),
            Some(stored) if claim.hashes.iter().any(|hash| *hash == *stored.body_hash) => Err(claim
                .open(tx, &stored)
                .map_or_else(Refusal::Problem, |body| Refusal::Replay(stored.replay(body)))),
            Some(_) => Err(Refusal::Problem(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key was used with another body or query.",
            ))),
        }
    }

    async fn lock(&self, tx: &mut TenantTx) -> DbResult<bool> {
        let name = format!("{}/{}/{}/{}", tx.tenant(), self.caller, self.route, self.key);
        let locked = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "locked!""#,
            name
        )
        .fetch_one(tx.conn())
        .await?;
        Ok(locked)
    }

    async fn find(&self, tx: &mut TenantTx) -> DbResult<Option<Stored>> {
        let stored = sqlx::query_as!(
            Stored,
            r#"select body_hash, status as "status!", headers, body as "body!" from idempotency_keys
              where tenant_id = $1 and caller = $2 and route = $3 and key = $4
                and created_at > now() - interval '24 hours'"#,
            tx.tenant(),
            self.caller,
            self.route,
            self.key,
        )
        .fetch_optional(tx.conn())
        .await?;
        Ok(stored)
    }

    fn open(&self, tx: &TenantTx, stored: &Stored) -> Result<Vec<u8>, Problem> {
        self.app.secret_box().open(tx.tenant(), Purpose::StoredResponse, &stored.body).map_err(|error| {
            tracing::error!(%error, "a stored answer cannot be opened");
            Problem::conflict(
                "idempotency_answer_lost",
                "This request was done before; its answer is no longer readable.",
            )
        })
    }

    /// Stores a success in the transaction of its effect.
    pub(super) async fn store(self, tx: &mut TenantTx, response: Response) -> Result<Response, Problem> {
        if !response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
        let headers: Map<String, Value> = KEPT
            .iter()
            .filter_map(|name| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.into())))
            .collect();
        let sealed = self
            .app
            .secret_box()
            .seal(tx.tenant(), Purpose::StoredResponse, &bytes)
            .map_err(|_| Problem::internal())?;
        if !self.insert(tx, parts.status, Value::Object(headers), &sealed).await? {
            return Err(in_flight());
        }
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }

    /// An expired row under the same key is replaced. A live one means that a twin committed first: nothing is stored.
    async fn insert(
        &self,
        tx: &mut TenantTx,
        status: StatusCode,
        headers: Value,
        body: &[u8],
    ) -> DbResult<bool> {
        let inserted = sqlx::query!(
            "insert into idempotency_keys as k (tenant_id, caller, route, key, body_hash, status, headers, body)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict on constraint idempotency_keys_pkey do update
                set (body_hash, status, headers, body, created_at)
                  = (excluded.body_hash, excluded.status, excluded.headers, excluded.body, now())
              where k.tenant_id = $1 and k.created_at <= now() - interval '24 hours'",
            tx.tenant(),
            self.caller,
            self.route,
            self.key,
            self.hashes.first().map(<[u8; 32]>::as_slice).unwrap_or_default(),
            i16::try_from(status.as_u16()).unwrap_or(200),
            headers,
            body,
        )
        .execute(tx.conn())
        .await?;
        Ok(inserted.rows_affected() == 1)
    }
}

impl Stored {
    fn replay(&self, body: Vec<u8>) -> Response {
        let mut response = Response::new(Body::from(Bytes::from(body)));
        *response.status_mut() = u16::try_from(self.status)
            .ok()
            .and_then(|s| StatusCode::from_u16(s).ok())
            .unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        for name in KEPT {
            if let Some(value) = self.headers.get(name.as_str()).and_then(Value::as_str)
                && let Ok(value) = HeaderValue::from_str(value)
            {
                headers.insert(name, value);
            }
        }
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
        response
    }
}

pub(super) fn in_flight() -> Problem {
    Problem::conflict("idempotency_in_flight", "A request with this Idempotency-Key is still running.")
        .retry_after(1)
}
