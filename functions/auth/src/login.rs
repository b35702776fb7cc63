//! Signing in with an e-mail address and a password.
//!
//! Unknown address, wrong password, disabled user, open invitation: the answer is the same, and so is its time. Nobody
//! learns which businesses know an address before the password has opened them.

use axum::{Extension, Json, extract::State, response::IntoResponse};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Admission, Candidate, Guard, Proof, SignIn},
    app::App,
    auth::password::Verdict,
    crypto::{OpaqueToken, TokenKind},
    db::SystemReason,
    http::{ApiResult, Check, Problem, RequestId, Valid},
    private::Secret,
    values::{Email, Line},
};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{
    door::{Visitor, refuse},
    note,
};

/// Businesses of one address that a password is compared with. Whoever is in more of them names the business.
const MOST_CANDIDATES: usize = 20;

/// Credentials.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    /// The address, in any case.
    email: Email,
    /// The password.
    password: Secret,
    /// Id or slug of the business, for those who work in several.
    #[serde(default)]
    tenant: Option<Line>,
}

impl Check for Login {}

/// A candidate whose password it was, and whether its hash is of an old kind.
struct Opened {
    candidate: Candidate,
    needs_rehash: bool,
}

/// What a password opens.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LoginAnswer {
    /// A session.
    SignedIn(Box<SignIn>),
    /// The second step.
    #[serde(rename_all = "camelCase")]
    SecondStep {
        /// True.
        mfa_required: bool,
        /// What `POST /api/auth/mfa/verify` takes together with a code, within ten minutes.
        challenge_id: String,
    },
}

/// Signs in, or opens the second step for those who have one. Several businesses with this password: 409 `tenant_required` with the choices.
#[utoipa::path(post, path = "/api/auth/login", operation_id = "login", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = Login,
    responses((status = 200, body = LoginAnswer)))]
pub(crate) async fn login(
    State(app): State<App>,
    visitor: Visitor,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<Login>,
) -> ApiResult {
    let refuse_at = Instant::now() + accounts::FAILURE_FLOOR;
    let guard = Guard::new(app.secret_box(), body.email.as_str(), visitor.address)
        .map_err(|_| Problem::internal())?;
    let candidates = knock(&app, &guard, &body).await?;

    let tried = note::tried(&candidates);
    let mut opened = verify(candidates, &body.password).await?;
    for (tenant, user) in tried {
        if !opened.iter().any(|one| one.candidate.tenant == tenant && one.candidate.user_id == user) {
            note::failed(&app, tenant, user, "user.sign_in_failed", &request).await?;
            app.db.settle().await;
        }
    }
    if opened.len() > 1 {
        return Err(tenant_required(&opened));
    }
    let answer = match opened.pop() {
        Some(opened) => enter(&app, (&visitor, &request), &guard, opened, &body.password).await?,
        None => None,
    };
    match answer {
        Some(answer) => Ok(Json(answer).into_response()),
        None => Err(refuse(&app, &guard, refuse_at).await?),
    }
}

/// Asks the counters, waits as long as they say, and finds whom the address may open.
async fn knock(app: &App, guard: &Guard, body: &Login) -> ApiResult<Vec<Candidate>> {
    let mut tx = app.db.system(SystemReason::Login).await?;
    let admission = accounts::admit(&mut tx, &app.limits, guard).await?;
    let delay = match admission {
        Admission::Go(delay) => delay,
        Admission::Wait(seconds) => return Err(too_many(seconds)),
    };
    let mut candidates = accounts::find_logins(&mut tx, body.email.as_str()).await?;
    tx.commit().await?;
    tokio::time::sleep(delay).await;
    if let Some(tenant) = &body.tenant {
        candidates
            .retain(|one| one.tenant_slug == tenant.as_str() || one.tenant.to_string() == tenant.as_str());
    }
    candidates.truncate(MOST_CANDIDATES);
    Ok(candidates)
}

/// The candidates whose password it is. No connection is held meanwhile.
async fn verify(candidates: Vec<Candidate>, password: &Secret) -> ApiResult<Vec<Opened>> {
    let hashes: Vec<Option<Secret>> = candidates.iter().map(|one| one.password_hash.clone()).collect();
    let verdicts = accounts::check_password(&hashes, password).await?;
    let opened = candidates.into_iter().zip(verdicts).filter_map(|(candidate, verdict)| match verdict {
        Verdict::Match { needs_rehash } if candidate.active => Some(Opened { candidate, needs_rehash }),
        Verdict::Match { .. } | Verdict::Mismatch => None,
    });
    Ok(opened.collect())
}

/// Begins the session or opens the second step. `None` when the account changed since its password was verified.
async fn enter(
    app: &App,
    (visitor, request): (&Visitor, &str),
    guard: &Guard,
    opened: Opened,
    password: &Secret,
) -> ApiResult<Option<LoginAnswer>> {
    let Opened { candidate, needs_rehash } = opened;
    let Some(verified) = candidate.password_hash else { return Ok(None) };
    let rehashed = if needs_rehash { Some(accounts::hash_password(password).await?) } else { None };
    let (session, token) = visitor.begin_session(app.secret_box())?;
    let Some(mut tx) = app.db.open_tenant(candidate.tenant).await? else { return Ok(None) };
    let proof = Proof { verified, rehashed };
    let user = candidate.user_id;
    let answer = match accounts::sign_in(&mut tx, visitor.now, user, &proof, &session, guard).await? {
        Some(account) => {
            note::came_in(&mut tx, user, session.id, None, request).await?;
            LoginAnswer::SignedIn(Box::new(visitor.welcome(app, account, &session, &token)?))
        }
        None => {
            let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
            if accounts::open_challenge(&mut tx, visitor.now, user, &proof, &token).await?.is_none() {
                return Ok(None);
            }
            LoginAnswer::SecondStep { mfa_required: true, challenge_id: token.expose().to_owned() }
        }
    };
    tx.commit().await?;
    accounts::forgive(&app.limits, guard).await;
    Ok(Some(answer))
}

fn tenant_required(opened: &[Opened]) -> Problem {
    let tenants: Vec<_> = opened
        .iter()
        .map(|one| {
            json!({"id": one.candidate.tenant, "name": one.candidate.tenant_name, "slug": one.candidate.tenant_slug})
        })
        .collect();
    Problem::conflict(
        "tenant_required",
        "This password opens several businesses: name one of them as `tenant`.",
    )
    .with("tenants", tenants)
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
