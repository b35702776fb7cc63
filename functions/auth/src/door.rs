//! What the routes share that are called before anybody is known.

use axum::{extract::FromRequestParts, response::Response};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, request::Parts};
use shared::{
    accounts::{self, Account, Admission, Credentials, Device, Guard, Hold, NewSession, Pass, SignIn},
    app::App,
    auth::{Access, Permission, Proof, Role, Scope, Surface, password::Verdict, refresh},
    crypto::{OpaqueToken, SecretBoxKeys, TokenKind},
    db::{SystemReason, SystemTx, TenantTx, TokenGrant, TokenUse},
    http::{Actor, ApiResult, Claimed, ClientIp, DoorClaim, DoorKey, Problem},
    ids::{TenantId, new_id},
    private::Secret,
};
use uuid::Uuid;

/// One's own sessions are one's own affair, also while the business is suspended.
pub(crate) struct OwnSession;

impl Permission for OwnSession {
    const ROLE: Role = Role::Viewer;
    const SCOPE: Scope = Scope { surface: Surface::Admin, access: Access::Write };
    const PROOF: Proof = Proof::Session;
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
        Actor::Key { .. } => Err(Problem::user_required()),
    }
}

/// The rank with which a caller manages others. A key that may write here does what an administrator may.
pub(crate) const fn rank(actor: &Actor) -> Role {
    match actor {
        Actor::User { role, .. } => *role,
        Actor::Key { .. } => Role::Admin,
    }
}

/// Opens the tenant of a token from a mail. Unknown: 404; used before or too late: 410.
pub(crate) async fn open_token(
    app: &App,
    kind: TokenUse,
    text: &Secret,
) -> ApiResult<(TenantTx, TokenGrant)> {
    let (tx, grant) = open_any_token(app, kind, text).await?;
    require_unused(&grant)?;
    Ok((tx, grant))
}

/// The same with a key: whoever used the token with this key is answered as then.
pub(crate) async fn open_token_once(
    app: &App,
    kind: TokenUse,
    text: &Secret,
    key: &DoorKey,
) -> ApiResult<Result<(TenantTx, TokenGrant, DoorClaim), Response>> {
    let (mut tx, grant) = open_any_token(app, kind, text).await?;
    match key.claim(&mut tx, app, &bearer_of(&grant)).await? {
        Claimed::Before(answer) => Ok(Err(answer)),
        Claimed::Now(claim) => {
            require_unused(&grant)?;
            Ok(Ok((tx, grant, claim)))
        }
    }
}

/// What stands in for a caller who has shown a token.
pub(crate) fn bearer_of(grant: &TokenGrant) -> String {
    format!("token:{}", grant.token_id)
}

async fn open_any_token(app: &App, kind: TokenUse, text: &Secret) -> ApiResult<(TenantTx, TokenGrant)> {
    let token = OpaqueToken::parse(TokenKind::OneTime, text.expose()).ok_or_else(Problem::not_found)?;
    app.db.open_one_time_token(kind, &token.hash()).await?.ok_or_else(Problem::not_found)
}

fn require_unused(grant: &TokenGrant) -> ApiResult<()> {
    if grant.used || grant.expired { Err(gone()) } else { Ok(()) }
}

/// 410.
pub(crate) fn gone() -> Problem {
    Problem::new(StatusCode::GONE, "token_used", "This link was used before or has expired.")
}

/// Verifies the password of somebody who is signed in: as slowly and as seldom as at the door, since a stolen token must
/// not become a place to guess at. No transaction may be open meanwhile. Answers the hash that it was verified against.
pub(crate) async fn prove_password(
    app: &App,
    visitor: &Visitor,
    known: &Credentials,
    password: &Secret,
) -> ApiResult<Secret> {
    let guard = Guard::new(app.secret_box(), known.email.expose(), visitor.address)
        .map_err(|_| Problem::internal())?
        .naming(&known.tenant.to_string());
    let mut tx = app.db.system(SystemReason::Throttle).await?;
    let at_home = accounts::knows_network(&mut tx, &guard, known.tenant, known.user).await?;
    let guard = guard.compared_with([(known.user, at_home)]);
    let pass = knock(app, tx, &guard).await?;
    let hashes: Vec<Secret> =
        known.password_hash.iter().filter(|_| pass.admitted.contains(&known.user)).cloned().collect();
    let (verdicts, hold) = accounts::check_password(&hashes, password).await?;
    match (verdicts.first(), hashes.into_iter().next()) {
        (Some(Verdict::Match { .. }), Some(hash)) => {
            let mut tx = app.db.open_tenant(known.tenant).await?.ok_or_else(Problem::unauthorized)?;
            accounts::forgive(&mut tx, &app.limits, &guard, Some(known.user)).await?;
            tx.commit().await?;
            Ok(hash)
        }
        _ => Err(refuse(hold, &pass).await),
    }
}

/// Counts a guess at somebody's codes, and waits as long as the counters say.
pub(crate) async fn knock_with_code(
    app: &App,
    visitor: &Visitor,
    tenant: TenantId,
    user: Uuid,
) -> ApiResult<(Guard, Hold)> {
    let guard = Guard::of_codes(app.secret_box(), user, visitor.address).map_err(|_| Problem::internal())?;
    let mut tx = app.db.system(SystemReason::Throttle).await?;
    let at_home = accounts::knows_network(&mut tx, &guard, tenant, user).await?;
    let guard = guard.at_home(at_home);
    knock(app, tx, &guard).await?;
    Ok((guard, Hold::begin()))
}

/// Counts a guess before it is verified, and waits as long as the counters say.
pub(crate) async fn knock(app: &App, mut tx: SystemTx, guard: &Guard) -> ApiResult<Pass> {
    let admission = accounts::admit(&mut tx, &app.limits, guard).await?;
    tx.commit().await?;
    match admission {
        Admission::Go(pass) => {
            tokio::time::sleep(pass.delay).await;
            Ok(pass)
        }
        Admission::Wait(seconds) => Err(too_many(seconds)),
    }
}

/// Gives accounts their try back that a guess matched without opening one.
pub(crate) async fn give_back(app: &App, guard: &Guard, matched: &[Uuid]) -> ApiResult<()> {
    let mut tx = app.db.system(SystemReason::Throttle).await?;
    accounts::give_back(&mut tx, &app.limits, guard, matched).await?;
    Ok(tx.commit().await?)
}

/// Waits until every failure is answered. The guess was counted before it was verified.
pub(crate) async fn refuse(hold: Hold, pass: &Pass) -> Problem {
    hold.wait().await;
    pass.spent.map_or_else(
        || {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "invalid_credentials",
                "E-mail address and password do not open an account.",
            )
        },
        too_many,
    )
}

/// 429 with the time to wait.
pub(crate) fn too_many(seconds: u64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_attempts",
        "Too many attempts from here; try again later.",
    )
    .retry_after(seconds)
}
