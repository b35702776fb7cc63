//! Access tokens: EdDSA JWTs (RFC 8037, RFC 9068) that live for ten minutes.
//!
//! The library's defaults are too kind – a leeway of a minute, `nbf` and `typ` unread, a missing audience
//! accepted, the system clock – so the rules are spelled out here, and the library is left with what it is
//! good at: the signature. A token is refused unless its header has exactly `alg`, `typ` and `kid` (which
//! rules out `jku`, `x5u`, `jwk`, `crit` and whatever comes next), the algorithm is the one of our keys, the
//! kid is in a closed list, every claim is present once with its exact type, and the times agree with the
//! caller's `now`.
//!
//! To the client every refusal is the same 401; [`Refusal`] is for the log.

mod keys;
mod provider;
#[cfg(test)]
mod tests;

pub use keys::TokenKeys;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::role::Role;

/// How long an access token lives; a longer one is refused even with a good signature.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// How far the issuer's clock may run ahead of ours. It applies to `nbf` and `iat`; expiry has no leeway,
/// since losing a few seconds of a token's life costs one early refresh at most.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(5);
/// Longest token that is looked at, in bytes. Ours have about 600.
pub const MAX_BYTES: usize = 8 * 1024;

const TYPE: &str = "at+jwt";
const ALGORITHM: &str = "EdDSA";

/// What an access token says: who, of which tenant, by which login, with which role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// `sub`: the user.
    pub user_id: Uuid,
    /// `tenantId`.
    pub tenant_id: Uuid,
    /// `sid`: the session, whose row must still be valid; the token alone proves nothing after a revocation.
    pub session_id: Uuid,
    /// `role` at the time of issue. A hint for clients: the session's row decides.
    pub role: Role,
    /// `jti`: the token's own id.
    pub token_id: Uuid,
    /// `iat`, and `nbf`; whole seconds.
    pub issued_at: DateTime<Utc>,
    /// `exp`, whole seconds; the first moment at which the token is no longer good.
    pub expires_at: DateTime<Utc>,
}

/// Whom a token is for: the claims that do not depend on when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub user_id: Uuid,
    /// The user's tenant.
    pub tenant_id: Uuid,
    /// The session, a refresh family.
    pub session_id: Uuid,
    /// The user's role.
    pub role: Role,
}

impl Claims {
    /// Claims of a token made at `now` with the full lifetime. `token_id` is a fresh id.
    #[must_use]
    pub fn issue(now: DateTime<Utc>, token_id: Uuid, subject: Subject) -> Self {
        let Subject { user_id, tenant_id, session_id, role } = subject;
        let issued_at = now.trunc_subsecs(0);
        Self { user_id, tenant_id, session_id, role, token_id, issued_at, expires_at: issued_at + LIFETIME }
    }
}

/// Why a token was refused. For the log only: the client gets one and the same 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_BYTES`]; nothing was parsed.
    #[error("token too long")]
    TooLong,
    /// Not three parts of base64url, or not JSON.
    #[error("token malformed")]
    Malformed,
    /// The header lacks a member, repeats one, or has one beyond `alg`, `typ` and `kid`.
    #[error("token header has other members than alg, typ and kid")]
    Header,
    /// Another algorithm, `none` included.
    #[error("token algorithm is not EdDSA")]
    Algorithm,
    /// Not an access token.
    #[error("token type is not at+jwt")]
    Type,
    /// No key of that id is configured.
    #[error("token key is unknown")]
    UnknownKey,
    /// The signature is not ours.
    #[error("token signature is wrong")]
    Signature,
    /// A claim is missing, repeated or of another type.
    #[error("token claims are incomplete, repeated or of a wrong type")]
    Claims,
    /// Issued by someone else.
    #[error("token issuer is another")]
    Issuer,
    /// Meant for someone else.
    #[error("token audience is another")]
    Audience,
    /// `nbf` or `iat` is in the future.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// It would live longer than [`LIFETIME`], or ends before it begins.
    #[error("token lifetime is out of bounds")]
    Lifetime,
}

/// The library refused to sign: the claims are out of bounds or the key is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the access token cannot be signed")]
pub struct SignError;

/// The header on the wire: closed, so that no member can point the verification elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// The claims on the wire. serde refuses a repeated member, and `i64` takes integers only.
///
/// Unknown claims are ignored, so that one can be added without a break between deployments.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: Uuid,
    #[serde(rename = "tenantId")]
    tenant_id: Uuid,
    role: Role,
    sid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: Uuid,
}

impl WireClaims {
    /// Checks the times against `now` and gives the typed claims.
    fn check(self, now: DateTime<Utc>) -> Result<Claims, Refusal> {
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(Refusal::Claims);
        let (issued_at, not_before, expires_at) = (time(self.iat)?, time(self.nbf)?, time(self.exp)?);
        if not_before > now + LEEWAY || issued_at > now + LEEWAY {
            return Err(Refusal::NotYetValid);
        }
        if expires_at <= now {
            return Err(Refusal::Expired);
        }
        if expires_at - issued_at > LIFETIME || expires_at <= not_before {
            return Err(Refusal::Lifetime);
        }
        Ok(Claims {
            user_id: self.sub,
            tenant_id: self.tenant_id,
            session_id: self.sid,
            role: self.role,
            token_id: self.jti,
            issued_at,
            expires_at,
        })
    }
}
