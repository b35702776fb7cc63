//! Opening a transaction for whoever a credential proves.
//!
//! `begin` and the check of the credential travel as one batch of the simple protocol: one round trip. The check is a
//! definer function that sets `app.tenant_id` for this transaction alone and answers what the request needs to know
//! about the caller, so revoking a session or a key takes effect on the next request and costs nothing extra. Only
//! UUIDs and hex digits are ever placed in the batch's text.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::{Executor, Row, postgres::PgRow};
use uuid::Uuid;

use super::{Db, DbError, DbResult, TenantTx, connection::Lease};
use crate::ids::TenantId;

/// What every transaction knows about its tenant.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// Whether writes are refused (423) because the tenant is suspended.
    pub suspended: bool,
    /// IANA zone in which the tenant's days begin.
    pub zone: Tz,
    /// ISO 3166-1 alpha-2 country, the default for phone numbers.
    pub country: String,
    /// ISO 4217 currency, the default for money.
    pub currency: String,
}

/// A signed-in user, as the database knows them now.
#[derive(Clone, Debug)]
pub struct SessionGrant {
    /// The user.
    pub user_id: Uuid,
    /// Role word; parsed by `auth`.
    pub role: String,
    /// Record scope word; parsed by `auth`.
    pub record_scope: String,
    /// When the user last proved the password, for step-up checks.
    pub authenticated_at: DateTime<Utc>,
}

/// An API key.
#[derive(Clone, Debug)]
pub struct KeyGrant {
    /// The key.
    pub key_id: Uuid,
    /// `secret` or `site`.
    pub kind: String,
    /// Granted scopes, as words.
    pub scopes: Vec<String>,
}

/// The source that an inbound webhook's URL token names.
#[derive(Clone, Debug)]
pub struct SourceGrant {
    /// The source.
    pub source_id: Uuid,
    /// Sealed signing secret; forms have none.
    pub secret_sealed: Option<Vec<u8>>,
    /// The secret before the last rotation, while it is still accepted.
    pub previous_secret_sealed: Option<Vec<u8>>,
    /// Provider-specific settings.
    pub settings: serde_json::Value,
}

impl Db {
    /// Opens a transaction for a session, or `None` when the session is over.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_session(
        &self,
        tenant: TenantId,
        session: Uuid,
    ) -> DbResult<Option<(TenantTx, SessionGrant)>> {
        let batch = format!("begin; select * from open_session('{tenant}', '{session}')");
        let Some((lease, row)) = self.open(&batch).await? else { return Ok(None) };
        let grant = SessionGrant {
            user_id: row.try_get("user_id")?,
            role: row.try_get("role")?,
            record_scope: row.try_get("record_scope")?,
            authenticated_at: row.try_get("authenticated_at")?,
        };
        Ok(Some((TenantTx::new(lease, tenant, settings(&row)?), grant)))
    }

    /// Opens a transaction for an API key by the SHA-256 of the key, or `None` when there is no live one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_api_key(&self, hash: &[u8; 32]) -> DbResult<Option<(TenantTx, KeyGrant)>> {
        let batch = format!("begin; select * from open_api_key('\\x{}')", hex::encode(hash));
        let Some((lease, row)) = self.open(&batch).await? else { return Ok(None) };
        let grant = KeyGrant {
            key_id: row.try_get("key_id")?,
            kind: row.try_get("kind")?,
            scopes: row.try_get("scopes")?,
        };
        Ok(Some((TenantTx::new(lease, tenant(&row)?, settings(&row)?), grant)))
    }

    /// Opens a transaction for the source behind a webhook URL, by the SHA-256 of its token.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_webhook_source(
        &self,
        provider: crate::webhooks::Provider,
        token_hash: &[u8; 32],
    ) -> DbResult<Option<(TenantTx, SourceGrant)>> {
        let batch = format!(
            "begin; select * from open_webhook_source('{provider}', '\\x{}')",
            hex::encode(token_hash)
        );
        let Some((lease, row)) = self.open(&batch).await? else { return Ok(None) };
        let grant = SourceGrant {
            source_id: row.try_get("source_id")?,
            secret_sealed: row.try_get("secret_sealed")?,
            previous_secret_sealed: row.try_get("previous_secret_sealed")?,
            settings: row.try_get("settings")?,
        };
        Ok(Some((TenantTx::new(lease, tenant(&row)?, settings(&row)?), grant)))
    }

    /// Opens a transaction for the tenant that a queue message or a token look-up named.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_tenant(&self, tenant: TenantId) -> DbResult<Option<TenantTx>> {
        let batch = format!("begin; select * from open_tenant('{tenant}')");
        let Some((lease, row)) = self.open(&batch).await? else { return Ok(None) };
        Ok(Some(TenantTx::new(lease, tenant, settings(&row)?)))
    }

    /// Opens a transaction for a tenant that does not exist yet, so that registration can write its first rows.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn found_tenant(&self, tenant: TenantId, settings: TenantSettings) -> DbResult<TenantTx> {
        let batch = format!("begin; select set_config('app.tenant_id', '{tenant}', true)");
        match self.open(&batch).await? {
            Some((lease, _)) => Ok(TenantTx::new(lease, tenant, settings)),
            None => Err(DbError::Defect("set_config answered no row".to_owned())),
        }
    }

    /// Runs a batch that begins a transaction; a connection found dead is replaced once, as nothing has happened yet.
    async fn open(&self, batch: &str) -> DbResult<Option<(Lease, PgRow)>> {
        let mut lease = self.lease().await?;
        lease.mark_in_transaction(true);
        let row = match fetch(&mut lease, batch).await {
            Ok(row) => row,
            Err(error) => {
                lease = self.replace(lease, error).await?;
                lease.mark_in_transaction(true);
                fetch(&mut lease, batch).await?
            }
        };
        Ok(row.map(|row| (lease, row)))
    }

    /// A fresh connection in place of one that was lost, or the error when it was not lost.
    pub(super) async fn replace(&self, lease: Lease, error: DbError) -> DbResult<Lease> {
        if error.is_connection_loss() { self.fresh_lease(lease).await } else { Err(error) }
    }
}

async fn fetch(lease: &mut Lease, batch: &str) -> DbResult<Option<PgRow>> {
    let mut rows = lease.conn().fetch_all(sqlx::raw_sql(batch)).await?;
    Ok(rows.pop())
}

fn tenant(row: &PgRow) -> DbResult<TenantId> {
    Ok(TenantId::new(row.try_get("tenant_id")?))
}

fn settings(row: &PgRow) -> DbResult<TenantSettings> {
    let zone: String = row.try_get("timezone")?;
    let status: String = row.try_get("tenant_status")?;
    Ok(TenantSettings {
        suspended: status == "suspended",
        zone: zone.parse().map_err(|_| DbError::Defect("the tenant's time zone is unknown".to_owned()))?,
        country: row.try_get("country")?,
        currency: row.try_get("currency")?,
    })
}
