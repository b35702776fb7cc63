//! Signing in with an e-mail address and a password.
//!
//! Unknown address, wrong password, disabled user, open invitation: the answer is the same, and so is its time. Nobody
//! learns which businesses know an address before the password has opened them, and whoever founds one with somebody else's
//! address learns nothing about theirs: each login without a business is a guess at all of them, and counted as that.

use axum::{Extension, Json, extract::State, response::IntoResponse};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    accounts::{self, Candidate, Guard, Hold, Pass, Proof, SignIn},
    app::App,
    auth::password::{self, Verdict},
    crypto::{OpaqueToken, TokenKind},
    db::SystemReason,
    http::{ApiResult, Check, Problem, RequestId, Valid},
    private::Secret,
    values::{Email, Line},
};
use utoipa::ToSchema;

use crate::{
    door::{Visitor, give_back, knock, refuse},
    note,
};

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
    let (guard, pass, candidates) = find(&app, &visitor, &body).await?;
    let tried = note::tried(&candidates);
    let (mut opened, hold) = verify(candidates, &body.password).await?;
    // Whoever got in elsewhere has failed nowhere: the log of a business tells nothing of its people's other ones.
    for (tenant, user) in tried.into_iter().filter(|_| opened.is_empty()) {
        note::failed(&app, tenant, user, "user.sign_in_failed", &request).await?;
        app.db.settle().await;
    }
    if opened.len() > 1 {
        let matched: Vec<_> = opened.iter().map(|one| one.candidate.user_id).collect();
        // It stays counted for the address: whoever founds many businesses could have all their hashes computed for ever.
        give_back(&app, &guard, &matched).await?;
        hold.wait().await;
        return Err(tenant_required(&opened));
    }
    let answer = match opened.pop() {
        Some(opened) => enter(&app, (&visitor, &request), &guard, opened, &body.password).await?,
        None => None,
    };
    let Some(answer) = answer else { return Err(refuse(hold, &pass).await) };
    // Who names no business is compared with all of the address: how long that took is nobody's business either.
    if body.tenant.is_none() {
        hold.wait().await;
    }
    Ok(Json(answer).into_response())
}

/// Finds whom the address may open, counts the guess at each of them, and waits as long as the counters say. An account whose
/// guesses are used up is left out.
async fn find(app: &App, visitor: &Visitor, body: &Login) -> ApiResult<(Guard, Pass, Vec<Candidate>)> {
    let mut guard = Guard::new(app.secret_box(), body.email.as_str(), visitor.address)
        .map_err(|_| Problem::internal())?;
    let tenant = body.tenant.as_ref().map(Line::as_str);
    if let Some(tenant) = tenant {
        guard = guard.naming(tenant);
    }
    let mut tx = app.db.system(SystemReason::Login).await?;
    let mut found = accounts::find_candidates(&mut tx, &guard, body.email.as_str(), tenant).await?;
    bound(&mut found);
    let guard = guard.compared_with(found.iter().map(|(one, known)| (one.user_id, *known)));
    let pass = knock(app, tx, &guard).await?;
    let admitted = found.into_iter().map(|(one, _)| one).filter(|one| pass.admitted.contains(&one.user_id));
    let candidates = admitted.collect();
    Ok((guard, pass, candidates))
}

/// Cuts the candidates where their hashes would take longer than a failure does.
fn bound(found: &mut Vec<(Candidate, bool)>) {
    let mut left = accounts::MOST_WORK;
    let affordable = found.iter().take_while(|(candidate, _)| {
        let work = password::work(&candidate.password_hash);
        let rest = left.checked_sub(work);
        left = rest.unwrap_or(left);
        rest.is_some()
    });
    let kept = affordable.count();
    found.truncate(kept);
}

/// The candidates whose password it is. No connection is held meanwhile.
async fn verify(candidates: Vec<Candidate>, password: &Secret) -> ApiResult<(Vec<Opened>, Hold)> {
    let hashes: Vec<Secret> = candidates.iter().map(|one| one.password_hash.clone()).collect();
    let (verdicts, hold) = accounts::check_password(&hashes, password).await?;
    let opened = candidates.into_iter().zip(verdicts).filter_map(|(candidate, verdict)| match verdict {
        Verdict::Match { needs_rehash } => Some(Opened { candidate, needs_rehash }),
        Verdict::Mismatch => None,
    });
    Ok((opened.collect(), hold))
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
    let rehashed = if needs_rehash { Some(accounts::hash_password(password).await?) } else { None };
    let (session, token) = visitor.begin_session(app.secret_box())?;
    let Some(mut tx) = app.db.open_tenant(candidate.tenant).await? else { return Ok(None) };
    let proof = Proof { verified: candidate.password_hash, rehashed };
    let user = candidate.user_id;
    let account = accounts::sign_in(&mut tx, visitor.now, user, &proof, &session).await?;
    let is_in = account.is_some();
    let answer = match account {
        Some(account) => LoginAnswer::SignedIn(Box::new(visitor.welcome(app, account, &session, &token)?)),
        None => {
            let token = OpaqueToken::generate(TokenKind::OneTime).map_err(|_| Problem::internal())?;
            if accounts::open_challenge(&mut tx, visitor.now, user, &proof, &token).await?.is_none() {
                return Ok(None);
            }
            LoginAnswer::SecondStep { mfa_required: true, challenge_id: token.expose().to_owned() }
        }
    };
    // The counters first and the log last, in the order of everybody: its head is one for the whole business.
    accounts::forgive(&mut tx, &app.limits, guard, Some(user)).await?;
    if is_in {
        note::came_in(&mut tx, user, session.id, None, request).await?;
    }
    tx.commit().await?;
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
