//! What the routes share that are called before anybody is known.

use axum::extract::FromRequestParts;
use chrono::{DateTime, Utc};
use http::{HeaderMap, request::Parts};
use shared::{
    accounts::{Account, Device, NewSession, SignIn},
    app::App,
    auth::{Access, Permission, Role, Scope, Surface, refresh},
    crypto::{OpaqueToken, SecretBoxKeys},
    http::{Actor, ApiResult, ClientIp, Problem},
    ids::new_id,
};
use uuid::Uuid;

/// Ending sessions is one's own affair, and it works while the business is suspended.
pub(crate) struct EndSession;

impl Permission for EndSession {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Scope = Scope { surface: Surface::Admin, access: Access::Write };
    const WHEN_SUSPENDED: bool = true;
}

/// Who stands at the door: the address, the device.
pub(crate) struct Visitor {
    /// The instant of this request.
    pub(crate) now: DateTime<Utc>,
    /// The network address, for the counters alone.
    pub(crate) address: std::net::IpAddr,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let ClientIp(address) = parts.extensions.get::<ClientIp>().copied().ok_or_else(Problem::internal)?;
        Ok(Self { now: shared::clock::now(), address, headers: parts.headers.clone() })
    }
}

impl Visitor {
    /// A session that begins now, and its first refresh token.
    pub(crate) fn begin_session(&self, keys: &SecretBoxKeys) -> ApiResult<(NewSession, OpaqueToken)> {
        let token = refresh::generate().map_err(|_| Problem::internal())?;
        let session = NewSession {
            id: new_id(),
            refresh_hash: token.hash(),
            expires_at: refresh::expires_at(self.now, self.now),
            device: Device::read(keys, &self.headers, self.address).map_err(|_| Problem::internal())?,
        };
        Ok((session, token))
    }

    /// The answer to whoever has just proved who they are.
    pub(crate) fn welcome(
        &self,
        app: &App,
        account: Account,
        session: &NewSession,
        token: &OpaqueToken,
    ) -> ApiResult<SignIn> {
        SignIn::new(app, self.now, account, session.id, token)
    }
}

/// User and session of a caller who is a person; a key has neither.
pub(crate) fn person(actor: &Actor) -> ApiResult<(Uuid, Uuid)> {
    match actor {
        Actor::User { id, session, .. } => Ok((*id, *session)),
        Actor::Key { .. } => Err(Problem::new(
            http::StatusCode::FORBIDDEN,
            "user_required",
            "An API key is nobody: this is about the user who is signed in.",
        )),
    }
}

/// The rank with which a caller manages others. A key that may write here does what an administrator may.
pub(crate) const fn rank(actor: &Actor) -> Role {
    match actor {
        Actor::User { role, .. } => *role,
        Actor::Key { .. } => Role::Admin,
    }
}
