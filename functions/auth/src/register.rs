//! Founding a business.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use shared::{
    accounts::{self, Guard, Knock, Registered, Registration, SignIn},
    app::App,
    config::AppEnv,
    db::{SystemReason, TenantSettings},
    http::{ApiResult, Check, Claimed, Created, DoorKey, Problem, RequestId, Valid},
    ids::{TenantId, new_id},
    mails::{self, Letter, Mail},
    private::Secret,
    values::{Country, Currency, Email, Line, Zone},
};
use utoipa::ToSchema;

use crate::{door::Visitor, note};

/// Registrations from one network in fifteen minutes. A developer's machine and the test suite make tenants by the hundred.
const LIMIT: i32 = 30;
const LOCAL_LIMIT: i32 = 2_000;

/// A business and its first user.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Register {
    /// Name of the business.
    business_name: Line,
    /// Name of its owner.
    name: Line,
    /// The owner's address. One that is known elsewhere is fine: it will choose a business at login.
    email: Email,
    /// At least eight characters that are not guessed first.
    password: Secret,
    /// IANA zone; UTC when left out.
    #[serde(default)]
    timezone: Option<Zone>,
    /// ISO 3166-1 country; US when left out.
    #[serde(default)]
    country: Option<Country>,
    /// ISO 4217 currency; USD when left out.
    #[serde(default)]
    currency: Option<Currency>,
}

impl Check for Register {}

/// Founds a business and signs its owner in.
#[utoipa::path(post, path = "/api/auth/register", operation_id = "register_tenant", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = Register, responses((status = 201, body = SignIn)))]
pub(crate) async fn register(
    State(app): State<App>,
    visitor: Visitor,
    key: DoorKey,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<Register>,
) -> ApiResult {
    accounts::refuse_weak(
        &body.password,
        &[body.email.as_str(), body.name.as_str(), body.business_name.as_str()],
    )?;
    count(&app, &visitor).await?;
    let password_hash = accounts::hash_password(&body.password).await?;
    let (session, token) = visitor.begin_session(app.secret_box())?;

    let caller = Guard::new(app.secret_box(), body.email.as_str(), visitor.address)
        .map_err(|_| Problem::internal())?
        .visitor();
    let mut tx = app.db.found_tenant(TenantId::new(new_id()), settings(&body)?).await?;
    if let Some(tenant) = key.founded(&mut tx, &caller).await? {
        drop(tx);
        app.db.settle().await;
        return answered(&app, tenant, &key, &caller).await;
    }
    let Claimed::Now(claim) = key.claim(&mut tx, &app, &caller).await? else {
        return Err(Problem::internal());
    };
    let registration = Registration {
        business_name: body.business_name,
        timezone: body.timezone,
        country: body.country,
        currency: body.currency,
        owner_id: new_id(),
        owner_name: body.name,
        email: body.email,
        password_hash,
    };
    let Registered { tenant, owner } =
        accounts::register(&mut tx, visitor.now, &registration, &session).await?;
    let email = registration.email.as_str();
    let proof = crate::recovery::open_proof(&mut tx, visitor.now, (owner.id, session.id), email).await?;
    mails::tell(&mut tx, &app, Mail { to: email, letter: Letter::Verify(&proof) }).await?;
    let (tenant_id, founder) = (tx.tenant(), owner.id);
    let answer = visitor.welcome(&app, owner, &session, &token)?.with_tenant(tenant);
    let answer = claim.store(&mut tx, created(answer)).await?;
    note::founded(&mut tx, tenant_id, founder, &request).await?;
    app.queue.nudge(tx.commit().await?).await;
    Ok(answer)
}

/// What the registration with this key was answered.
async fn answered(app: &App, tenant: TenantId, key: &DoorKey, caller: &str) -> ApiResult {
    let lapsed =
        || Problem::conflict("idempotency_answer_lost", "This registration's answer is no longer kept.");
    let mut tx = app.db.open_tenant(tenant).await?.ok_or_else(lapsed)?;
    match key.claim(&mut tx, app, caller).await? {
        Claimed::Before(answer) => Ok(answer),
        Claimed::Now(_) => Err(lapsed()),
    }
}

fn created(answer: SignIn) -> Response {
    Created { location: "/api/tenant".to_owned(), body: answer }.into_response()
}

async fn count(app: &App, visitor: &Visitor) -> ApiResult<()> {
    let is_relaxed = matches!(app.config.app_env, AppEnv::Local | AppEnv::Test);
    let limit = if is_relaxed { LOCAL_LIMIT } else { LIMIT };
    let key = accounts::network_key(app.secret_box(), visitor.address).map_err(|_| Problem::internal())?;
    let mut tx = app.db.system(SystemReason::Throttle).await?;
    let wait = accounts::count_call(&mut tx, &app.limits, Knock::Register, &key, limit).await?;
    tx.commit().await?;
    wait.map_or(Ok(()), |seconds| Err(crate::door::too_many(seconds)))
}

/// What the founding transaction knows of its tenant: the schema's defaults where nothing is said.
fn settings(body: &Register) -> ApiResult<TenantSettings> {
    let zone = body.timezone.as_ref().map_or("UTC", Zone::as_str);
    Ok(TenantSettings {
        suspended: false,
        zone: zone.parse().map_err(|_| Problem::internal())?,
        country: body.country.as_ref().map_or("US", Country::as_str).to_owned(),
        currency: body.currency.as_ref().map_or("USD", Currency::as_str).to_owned(),
    })
}
