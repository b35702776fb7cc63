//! What a client gets when it has proved who it is.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Tenant;
use crate::{
    app::App,
    auth::{
        Role,
        token::{Claims, Subject},
    },
    crypto::OpaqueToken,
    http::Problem,
    ids::new_id,
    private::Private,
};

/// A user as a session shows it, in the names that NextAuth uses.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The user.
    pub id: Uuid,
    /// The user's name.
    pub name: Private<String>,
    /// The address that the user signs in with.
    pub email: Private<String>,
    /// A picture.
    pub image: Option<Private<String>>,
    /// What the user may do.
    pub role: Role,
    /// The user's business.
    pub tenant_id: Uuid,
}

/// Selects the columns of [`Account`] from a row that is called `u`, with the checked macro.
macro_rules! query_account {
    ($head:literal, $tail:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::accounts::Account,
            $head + r#" select u.id as "id!", u.name as "name!: _", u.email as "email!: _", u.image_url as "image: _",
                               u.role as "role!: _", u.tenant_id as "tenant_id!" "# + $tail
            $(, $argument)*
        )
    };
}
pub(super) use query_account;

/// The answer to a login: everything that a client needs to call the API and to stay signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// Who signed in.
    pub user: Account,
    /// The business, when it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Bearer token for the API, an EdDSA JWT.
    pub access_token: String,
    /// Exchanged for new tokens before the access token expires; good once.
    pub refresh_token: String,
    /// When the access token expires.
    pub expires_at: DateTime<Utc>,
}

impl SignIn {
    /// Mints the access token that goes with a session and its refresh token.
    ///
    /// # Errors
    /// 500 when the process has no signing key, which its configuration forbids.
    pub fn new(
        app: &App,
        now: DateTime<Utc>,
        user: Account,
        session: Uuid,
        refresh: &OpaqueToken,
    ) -> Result<Self, Problem> {
        let keys = app.token_keys().ok_or_else(Problem::internal)?;
        let subject =
            Subject { user_id: user.id, tenant_id: user.tenant_id, session_id: session, role: user.role };
        let claims = Claims::issue(now, new_id(), subject);
        let access_token = keys.mint(&claims).map_err(|error| {
            tracing::error!(%error, "access token not minted");
            Problem::internal()
        })?;
        Ok(Self {
            user,
            tenant: None,
            access_token,
            refresh_token: refresh.expose().to_owned(),
            expires_at: claims.expires_at,
        })
    }

    /// The same answer with the business that was made.
    #[must_use]
    pub fn with_tenant(self, tenant: Tenant) -> Self {
        Self { tenant: Some(tenant), ..self }
    }
}

/// The public keys of access tokens (RFC 7517).
#[must_use]
pub fn jwks(app: &App) -> Value {
    app.token_keys().map_or_else(|| serde_json::json!({"keys": []}), crate::auth::TokenKeys::jwks)
}
