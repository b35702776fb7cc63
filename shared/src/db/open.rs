//! Opening a transaction for whoever a credential proves.
//!
//! `begin` and the check of the credential travel as one batch of the simple protocol: one round trip. The check is a
//! definer function that sets `app.tenant_id` for this transaction alone and answers what the request needs to know
//! about the caller, so revoking a session or a key takes effect on the next request and costs nothing extra. Only
//! UUIDs, hex digits and numbers are ever placed in the batch's text.
//!
//! A request's [`Toll`] is taken in the same batch, by a transaction of its own before the request's: counted whatever
//! becomes of the request, and never locked while it is served.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::{Executor, Row, postgres::PgRow};
use uuid::Uuid;

use super::{Db, DbError, DbResult, TenantTx, connection::Lease, toll};
use crate::{
    ids::TenantId,
    limits::{Reading, Toll},
};

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
    /// The owners whose records the user sees; none means all records.
    pub owners: Option<Vec<Uuid>>,
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

/// What a refresh token is to the session that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshMatch {
    /// The live one.
    Current,
    /// The parent of the live one.
    Previous,
    /// An older one: a copy is about.
    Spent,
}

/// The session that a refresh token belongs to.
#[derive(Clone, Debug)]
pub struct RefreshGrant {
    /// The session.
    pub session_id: Uuid,
    /// Which of the session's tokens it is.
    pub matched: RefreshMatch,
    /// Whether session, user and tenant may still sign in.
    pub live: bool,
}

/// What a one-time token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// Joining a tenant.
    Invite,
    /// Choosing a new password.
    Reset,
    /// Proving an e-mail address.
    Verify,
    /// The second step of a login.
    Mfa,
    /// Opting out of messages.
    Unsubscribe,
    /// Choosing which messages to get.
    Preferences,
    /// Looking at one invoice.
    Invoice,
}

impl TokenUse {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Reset => "reset",
            Self::Verify => "verify",
            Self::Mfa => "mfa",
            Self::Unsubscribe => "unsubscribe",
            Self::Preferences => "preferences",
            Self::Invoice => "invoice",
        }
    }
}

/// The row behind a one-time token.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// The token's row.
    pub token_id: Uuid,
    /// Invitations, resets, verifications: whose.
    pub user_id: Option<Uuid>,
    /// Unsubscribe links: whose.
    pub lead_id: Option<Uuid>,
    /// Document links: which.
    pub subject_id: Option<Uuid>,
    /// What the kind adds.
    pub payload: serde_json::Value,
    /// Whether it was used before.
    pub used: bool,
    /// Whether its time has passed.
    pub expired: bool,
}

/// A transaction with what its credential grants, and what was counted on the way.
pub struct Opened<G> {
    /// `None` when the credential opens nothing.
    pub granted: Option<(TenantTx, G)>,
    /// What the counters say, when a toll was taken.
    pub reading: Option<Reading>,
}

impl Db {
    /// Opens a transaction for a session; nothing is granted when the session is over.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_session(
        &self,
        tenant: TenantId,
        session: Uuid,
        toll: Option<&Toll>,
    ) -> DbResult<Opened<SessionGrant>> {
        let query = format!("select * from open_session('{tenant}', '{session}')");
        self.open_at_a_toll(&query, toll, |lease, row| {
            let grant = SessionGrant {
                user_id: row.try_get("user_id")?,
                role: row.try_get("role")?,
                owners: row.try_get("owners")?,
                authenticated_at: row.try_get("authenticated_at")?,
            };
            Ok((TenantTx::new(lease, tenant, settings(&row)?), grant))
        })
        .await
    }

    /// Opens a transaction for an API key by the SHA-256 of the key; nothing is granted when there is no live one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_api_key(&self, hash: &[u8; 32], toll: Option<&Toll>) -> DbResult<Opened<KeyGrant>> {
        let query = format!("select * from open_api_key('\\x{}')", hex::encode(hash));
        self.open_at_a_toll(&query, toll, |lease, row| {
            let grant = KeyGrant {
                key_id: row.try_get("key_id")?,
                kind: row.try_get("kind")?,
                scopes: row.try_get("scopes")?,
            };
            Ok((TenantTx::new(lease, tenant(&row)?, settings(&row)?), grant))
        })
        .await
    }

    /// Opens a transaction for the source behind a webhook URL, by the SHA-256 of its token.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_webhook_source(
        &self,
        provider: crate::webhooks::Provider,
        token_hash: &[u8; 32],
        toll: Option<&Toll>,
    ) -> DbResult<Opened<SourceGrant>> {
        let query =
            format!("select * from open_webhook_source('{provider}', '\\x{}')", hex::encode(token_hash));
        self.open_at_a_toll(&query, toll, |lease, row| {
            let grant = SourceGrant {
                source_id: row.try_get("source_id")?,
                secret_sealed: row.try_get("secret_sealed")?,
                previous_secret_sealed: row.try_get("previous_secret_sealed")?,
                settings: row.try_get("settings")?,
            };
            Ok((TenantTx::new(lease, tenant(&row)?, settings(&row)?), grant))
        })
        .await
    }

    /// Opens a transaction for the session behind a refresh token, by the token's SHA-256. A token that is no longer
    /// good opens it too, marked, so that reuse can end the family.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_refresh(&self, hash: &[u8; 32], toll: Option<&Toll>) -> DbResult<Opened<RefreshGrant>> {
        let query = format!("select * from open_refresh('\\x{}')", hex::encode(hash));
        self.open_at_a_toll(&query, toll, |lease, row| {
            let matched = match row.try_get("matched")? {
                "current" => RefreshMatch::Current,
                "previous" => RefreshMatch::Previous,
                _ => RefreshMatch::Spent,
            };
            let grant =
                RefreshGrant { session_id: row.try_get("session_id")?, matched, live: row.try_get("live")? };
            Ok((TenantTx::new(lease, tenant(&row)?, settings(&row)?), grant))
        })
        .await
    }

    /// Opens a transaction for the tenant of a one-time token, by its SHA-256. One that was used or has expired
    /// opens it too, marked: the answer to it is 410, not 404.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_one_time_token(
        &self,
        kind: TokenUse,
        hash: &[u8; 32],
    ) -> DbResult<Option<(TenantTx, TokenGrant)>> {
        let query =
            format!("select * from open_one_time_token('{}', '\\x{}')", kind.word(), hex::encode(hash));
        let Some((lease, row)) = self.open(&query).await? else { return Ok(None) };
        let used_at: Option<DateTime<Utc>> = row.try_get("used_at")?;
        let grant = TokenGrant {
            token_id: row.try_get("token_id")?,
            user_id: row.try_get("user_id")?,
            lead_id: row.try_get("lead_id")?,
            subject_id: row.try_get("subject_id")?,
            payload: row.try_get("payload")?,
            used: used_at.is_some(),
            expired: row.try_get("expired")?,
        };
        Ok(Some((TenantTx::new(lease, tenant(&row)?, settings(&row)?), grant)))
    }

    /// Opens a transaction for the tenant that a queue message or a token look-up named.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_tenant(&self, tenant: TenantId) -> DbResult<Option<TenantTx>> {
        let query = format!("select * from open_tenant('{tenant}')");
        let Some((lease, row)) = self.open(&query).await? else { return Ok(None) };
        Ok(Some(TenantTx::new(lease, tenant, settings(&row)?)))
    }

    /// Opens a transaction for a tenant that is being deleted, for the worker that removes it: every other door is closed.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open_ended_tenant(&self, tenant: TenantId) -> DbResult<Option<TenantTx>> {
        let query = format!("select * from open_ended_tenant('{tenant}')");
        let Some((lease, row)) = self.open(&query).await? else { return Ok(None) };
        Ok(Some(TenantTx::new(lease, tenant, settings(&row)?)))
    }

    /// Opens a transaction for a tenant that does not exist yet, so that registration can write its first rows.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn found_tenant(&self, tenant: TenantId, settings: TenantSettings) -> DbResult<TenantTx> {
        let query = format!("select set_config('app.tenant_id', '{tenant}', true)");
        match self.open(&query).await? {
            Some((lease, _)) => Ok(TenantTx::new(lease, tenant, settings)),
            None => Err(DbError::Defect("set_config answered no row".to_owned())),
        }
    }

    /// Begins a transaction with a query, and with the toll's statement and its commit in front.
    async fn open_at_a_toll<G>(
        &self,
        query: &str,
        toll: Option<&Toll>,
        grant: impl FnOnce(Lease, PgRow) -> DbResult<(TenantTx, G)>,
    ) -> DbResult<Opened<G>> {
        let Some(toll) = toll else {
            let opened = self.open(query).await?;
            let granted = opened.map(|(lease, row)| grant(lease, row)).transpose()?;
            return Ok(Opened { granted, reading: None });
        };
        let (lease, mut rows) =
            self.begin(&format!("begin; {}; commit; {}; {query}", toll.sql(), self.beginning())).await?;
        let reading = rows.first().and_then(|row| toll::reading(toll.class(), row));
        // The toll's row comes first, if the credential is known at all.
        let own = rows.split_off(usize::from(reading.is_some())).pop();
        let granted = own.map(|row| grant(lease, row)).transpose()?;
        Ok(Opened { granted, reading })
    }

    /// Begins a transaction with a query that answers one row or none.
    async fn open(&self, query: &str) -> DbResult<Option<(Lease, PgRow)>> {
        let (lease, mut rows) = self.begin(&format!("{}; {query}", self.beginning())).await?;
        Ok(rows.pop().map(|row| (lease, row)))
    }

    /// A connection found dead is replaced once, as nothing has happened yet.
    async fn begin(&self, batch: &str) -> DbResult<(Lease, Vec<PgRow>)> {
        let mut lease = self.lease().await?;
        lease.mark_in_transaction(true);
        let rows = match fetch(&mut lease, batch).await {
            Ok(rows) => rows,
            Err(error) => {
                lease = self.replace(lease, error).await?;
                lease.mark_in_transaction(true);
                fetch(&mut lease, batch).await?
            }
        };
        Ok((lease, rows))
    }

    /// A fresh connection in place of one that was lost, or the error when it was not lost.
    pub(super) async fn replace(&self, lease: Lease, error: DbError) -> DbResult<Lease> {
        if error.is_connection_loss() { self.fresh_lease(lease).await } else { Err(error) }
    }
}

async fn fetch(lease: &mut Lease, batch: &str) -> DbResult<Vec<PgRow>> {
    Ok(lease.conn().fetch_all(sqlx::raw_sql(batch)).await?)
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
