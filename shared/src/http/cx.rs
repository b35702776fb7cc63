//! The context of a request: who asks, for which tenant, within which transaction.
//!
//! A handler that takes `Cx<WriteLeads>` cannot forget to authenticate, to check the role or to set the tenant: the
//! extractor has done all three in one round trip, or the request has ended with 401, 403 or 423. The transaction is
//! part of the context, so nothing can be read or written outside it, and [`Cx::commit`] consumes the context: what is
//! answered is what was committed, and the answer is stored with the effect when the caller sent an idempotency key.

use std::marker::PhantomData;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use http::{Method, request::Parts};
use uuid::Uuid;

use super::{
    Meter, Problem, RawBody, RequestId, authenticate::authenticate, idempotency::Claim, meter::Unread,
};
use crate::{
    accounts,
    app::App,
    auth::{Access, Owners, Permission, RecordScope, Role, Scope, role::any_allows},
    clock,
    db::TenantTx,
    mask::{Masked, SearchFields},
    queue::Queue,
};

/// How long a password that was given counts as given just now.
pub const FRESHNESS: TimeDelta = TimeDelta::minutes(5);
/// The highest role that a key can stand for. What only an owner may do needs the owner.
const KEY_CEILING: Role = Role::Admin;

/// What a handler returns.
pub type ApiResult<T = Response> = Result<T, Problem>;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Actor {
    /// A signed-in user.
    User {
        /// The user.
        id: Uuid,
        /// The session, which can be revoked.
        session: Uuid,
        /// The role as it is now, not as the token says.
        role: Role,
        /// The owners whose records the user sees; none means all records.
        sees: Option<Vec<Uuid>>,
        /// When the password was last proved.
        authenticated_at: DateTime<Utc>,
    },
    /// A secret API key.
    Key {
        /// The key.
        id: Uuid,
        /// What it may do.
        scopes: Vec<Scope>,
    },
}

impl Actor {
    /// The user or key.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        match self {
            Self::User { id, .. } | Self::Key { id, .. } => *id,
        }
    }

    /// The user, when it is one: what `created_by` columns hold.
    #[must_use]
    pub const fn user_id(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Key { .. } => None,
        }
    }

    /// `user` or `apiKey`, for the audit log and activities.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::Key { .. } => "apiKey",
        }
    }

    /// The owners that records must have for this actor to see them, or `None` for all records.
    #[must_use]
    pub fn own_records_of(&self) -> Owners<'_> {
        match self {
            Self::User { sees, .. } => sees.as_deref(),
            Self::Key { .. } => None,
        }
    }

    /// Who owns what this actor makes without naming an owner: whoever does not see all records would lose it at once.
    #[must_use]
    pub const fn usual_owner(&self) -> Option<Uuid> {
        match self {
            Self::User { id, sees: Some(_), .. } => Some(*id),
            Self::User { .. } | Self::Key { .. } => None,
        }
    }

    /// Whether telephone numbers and e-mail addresses of people are shown in full. Who only looks sees a hint of them.
    #[must_use]
    pub fn sees_contacts(&self) -> bool {
        match self {
            Self::User { role, .. } => *role >= Role::Staff,
            Self::Key { .. } => true,
        }
    }

    /// What this actor's searches look through.
    #[must_use]
    pub fn searches(&self) -> SearchFields {
        if self.sees_contacts() { SearchFields::All } else { SearchFields::Names }
    }

    /// What this actor is shown of something: all of it, or the same with hints of the addresses.
    #[must_use]
    pub fn shown<T: Masked>(&self, what: T) -> T {
        if self.sees_contacts() { what } else { what.masked() }
    }

    /// Refuses whoever may not do what another surface's permission asks for.
    ///
    /// # Errors
    /// 403 naming the role or the scope.
    pub fn require<P: Permission>(&self) -> Result<(), Problem> {
        match self {
            Self::User { role, .. } if !role.allows(P::ROLE) => Err(Problem::role_required(P::ROLE)),
            Self::Key { scopes, .. } if !any_allows(scopes, P::SCOPE) => {
                Err(Problem::scope_required(P::SCOPE))
            }
            Self::User { .. } | Self::Key { .. } => Ok(()),
        }
    }

    /// Refuses a person who has not given the password just now: for what is dangerous in some cases only, which the
    /// body tells. A key has none; its scope stands for it.
    ///
    /// # Errors
    /// 401 `reauth_required`.
    pub fn require_fresh(&self, now: DateTime<Utc>) -> Result<(), Problem> {
        match self {
            Self::User { authenticated_at, .. } if now - *authenticated_at >= FRESHNESS => {
                Err(Problem::reauth_required())
            }
            Self::User { .. } | Self::Key { .. } => Ok(()),
        }
    }

    fn authorise<P: Permission>(&self, now: DateTime<Utc>) -> Result<(), Problem> {
        match self {
            Self::User { role, .. } if *role < P::ROLE => Err(Problem::role_required(P::ROLE)),
            Self::User { sees: Some(_), .. } if P::RECORDS == RecordScope::All => {
                Err(Problem::record_scope_required(P::RECORDS))
            }
            Self::User { .. } if P::PROOF.is_fresh() => self.require_fresh(now),
            Self::Key { .. } if P::PROOF.needs_session() => Err(Problem::user_required()),
            Self::Key { .. } if P::ROLE > KEY_CEILING => Err(Problem::role_required(P::ROLE)),
            Self::Key { scopes, .. } if !any_allows(scopes, P::SCOPE) => {
                Err(Problem::scope_required(P::SCOPE))
            }
            Self::User { .. } | Self::Key { .. } => Ok(()),
        }
    }
}

/// An authenticated, authorised request with its open transaction.
pub struct Cx<P> {
    /// The tenant's transaction.
    pub tx: TenantTx,
    /// Who asks.
    pub actor: Actor,
    now: DateTime<Utc>,
    request_id: String,
    queue: Queue,
    claim: Option<Claim>,
    unread: Unread,
    permission: PhantomData<fn() -> P>,
}

/// What a context is before its permission is known; for routes that accept several kinds of callers.
pub struct OpenCx {
    /// The tenant's transaction.
    pub tx: TenantTx,
    /// Who asks.
    pub actor: Actor,
}

impl<P: Permission> Cx<P> {
    /// The instant of this request.
    #[must_use]
    pub const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The id of this request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The tenant's zone.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.tx.zone()
    }

    /// Refuses parameters of the address that nobody has read. Whoever commits nothing and acts all the same asks first.
    ///
    /// # Errors
    /// 422 naming them.
    pub fn refuse_unread(&self) -> Result<(), Problem> {
        self.unread.refuse()
    }

    /// Holds the caller's own right until the transaction ends, and asks for it again: for what outlasts it, such as colleagues,
    /// roles and keys. After the rows of others, before anything is written.
    ///
    /// # Errors
    /// 401 when the user, the session or the key is no more, 403 when the role is too low by now.
    pub async fn hold_caller(&mut self) -> Result<(), Problem> {
        match &mut self.actor {
            Actor::User { id, session, role, .. } => {
                *role = accounts::hold_user(&mut self.tx, *id, *session)
                    .await?
                    .ok_or_else(Problem::unauthorized)?;
            }
            Actor::Key { id, .. } => {
                if !accounts::hold_key(&mut self.tx, *id).await? {
                    return Err(Problem::unauthorized());
                }
            }
        }
        self.actor.authorise::<P>(self.now)
    }

    /// Commits, stores the answer under the caller's idempotency key, and tells the queues what is owed.
    ///
    /// # Errors
    /// When the address has a parameter that nobody has read, a deferred constraint refuses or the database is lost; nothing is then kept.
    pub async fn commit(mut self, answer: impl IntoResponse) -> ApiResult {
        let mut response = answer.into_response();
        self.refuse_unread()?;
        if let Some(claim) = self.claim.take() {
            response = claim.store(&mut self.tx, response).await?;
        }
        let hints = self.tx.commit().await?;
        self.queue.nudge(hints).await;
        Ok(response)
    }
}

/// Why a context could not be made: an error, or an answer that was given before.
#[derive(Debug)]
pub enum Refusal {
    /// An error.
    Problem(Problem),
    /// The stored answer of an idempotency key.
    Replay(Response),
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Replay(response) => response,
        }
    }
}

impl<P: Permission> FromRequestParts<App> for Cx<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let now = clock::now();
        let open = authenticate(parts, app, now).await?;
        Self::admit(parts, app, now, open).await
    }
}

impl<P: Permission> Cx<P> {
    /// Lets an authenticated caller in: role or scope, suspension, idempotency key.
    pub(super) async fn admit(
        parts: &Parts,
        app: &App,
        now: DateTime<Utc>,
        OpenCx { mut tx, actor }: OpenCx,
    ) -> Result<Self, Refusal> {
        let meter = Meter::of(parts)?;
        meter.saw(tx.tenant_id());
        if P::SHOWS_PEOPLE && !actor.sees_contacts() {
            meter.hide_addresses();
        }
        actor.authorise::<P>(now)?;
        let reads = parts.method == Method::GET || P::SCOPE.access == Access::Read;
        if tx.settings().suspended && !reads && !P::WHEN_SUSPENDED {
            return Err(Refusal::Problem(Problem::tenant_suspended()));
        }
        let claim = match claim_key(parts)? {
            Some((route, key)) => {
                let body = parts.extensions.get::<RawBody>().cloned().unwrap_or_default();
                let caller = format!("{}:{}", actor.kind(), actor.id());
                let asked = (parts.uri.query().unwrap_or_default(), &body.0[..]);
                Some(Claim::take(&mut tx, app, caller, route, key, asked).await?)
            }
            None => None,
        };
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let (queue, unread) = (app.queue.clone(), Unread::of(parts)?);
        Ok(Self { tx, actor, now, request_id, queue, claim, unread, permission: PhantomData })
    }
}

pub(super) fn claim_key(parts: &Parts) -> Result<Option<(String, String)>, Problem> {
    let Some(header) = parts.headers.get("idempotency-key").filter(|_| parts.method == Method::POST) else {
        return Ok(None);
    };
    let key = header.to_str().ok().filter(|key| (1..=255).contains(&key.len())).ok_or_else(|| {
        Problem::bad_request(
            "invalid_idempotency_key",
            "Idempotency-Key takes 1 to 255 visible ASCII characters.",
        )
    })?;
    // The path itself, not its template: the same key on another resource is another request.
    Ok(Some((format!("POST {}", parts.uri.path()), key.to_owned())))
}
