//! Exchanging a refresh token.

use axum::{Extension, Json, extract::State, response::IntoResponse};
use serde::Deserialize;
use shared::{
    accounts::{self, Rotation, SignIn},
    app::App,
    audit,
    auth::refresh::{self, RefreshKeys},
    crypto::OpaqueToken,
    http::{ApiResult, Check, Meter, Problem, RequestId, Valid},
    private::Secret,
};
use utoipa::ToSchema;

use crate::door::Visitor;

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refresh {
    /// The token of the last answer.
    refresh_token: Secret,
}

impl Check for Refresh {}

/// Renews both tokens. The same token within ten seconds gets the same successor; later it ends the session.
#[utoipa::path(post, path = "/api/auth/refresh", operation_id = "refresh_session", tag = "auth",
    extensions(("x-role" = json!("public"))), request_body = Refresh, responses((status = 200, body = SignIn)))]
pub(crate) async fn refresh(
    State(app): State<App>,
    visitor: Visitor,
    meter: Meter,
    Extension(RequestId(request)): Extension<RequestId>,
    Valid(body): Valid<Refresh>,
) -> ApiResult {
    let token = refresh::parse(body.refresh_token.expose());
    let opened = meter.open_refresh(&app, token.as_ref().map(OpaqueToken::hash)).await?;
    let (Some(token), Some((mut tx, grant))) = (token, opened) else { return Err(Problem::unauthorized()) };
    let keys = RefreshKeys::new(app.secret_box()).map_err(|_| Problem::internal())?;
    match accounts::rotate(&mut tx, visitor.now, &keys, &grant, &token).await? {
        Rotation::Issued(account, successor) => {
            let answer = SignIn::new(&app, visitor.now, account, grant.session_id, &successor)?;
            tx.commit().await?;
            Ok(Json(answer).into_response())
        }
        Rotation::Reused => {
            tracing::warn!(tenant = %tx.tenant_id(), session = %grant.session_id, "a spent refresh token came back");
            let user = accounts::revoke_family(&mut tx, grant.session_id, "reuse").await?;
            let entry = audit::Entry {
                actor: ("user", user),
                action: "session.reuse_detected",
                object_kind: "session",
                object_id: Some(grant.session_id),
                before: None,
                after: None,
                request_id: Some(&request),
            };
            audit::append(&mut tx, &entry).await?;
            tx.commit().await?;
            Err(Problem::unauthorized())
        }
        Rotation::Over => Err(Problem::unauthorized()),
    }
}
