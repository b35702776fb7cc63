//! The tenant transaction: the only thing that can run a tenant's statement.

use chrono_tz::Tz;
use sqlx::{Executor, PgConnection};

use super::{DbResult, TenantSettings, connection::Lease};
use crate::{ids::TenantId, queue::Hint};

/// An open transaction in which `app.tenant_id` is set.
///
/// Dropping it abandons the transaction; see [`super::Db::settle`].
pub struct TenantTx {
    lease: Lease,
    tenant: TenantId,
    settings: TenantSettings,
    hints: Vec<Hint>,
}

impl TenantTx {
    pub(super) const fn new(lease: Lease, tenant: TenantId, settings: TenantSettings) -> Self {
        Self { lease, tenant, settings, hints: Vec::new() }
    }

    /// The tenant, which each statement names again for the index and the reader.
    #[must_use]
    pub const fn tenant(&self) -> uuid::Uuid {
        self.tenant.get()
    }

    /// The tenant as its own type, for hints and sealed secrets.
    #[must_use]
    pub const fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's time zone, in which days begin and end.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.settings.zone
    }

    /// What opening the transaction read of the tenant.
    #[must_use]
    pub const fn settings(&self) -> &TenantSettings {
        &self.settings
    }

    /// The connection, for the store functions of this crate.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.lease.conn()
    }

    /// Remembers that a worker should look at a row once it is committed.
    pub fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    /// Ends the transaction, keeps what it did and returns the hints that are owed to the queues.
    ///
    /// # Errors
    /// When a deferred constraint refuses, or the server is lost before it answers.
    pub async fn commit(mut self) -> DbResult<Vec<Hint>> {
        self.lease.conn().execute("commit").await?;
        self.lease.mark_in_transaction(false);
        Ok(std::mem::take(&mut self.hints))
    }

    /// Undoes everything so far and goes on in a new transaction of the same tenant: the way to ask a question after a
    /// constraint has refused a row.
    ///
    /// # Errors
    /// When the server is lost.
    pub async fn restart(&mut self) -> DbResult<()> {
        self.hints.clear();
        let begin = self.lease.begin();
        let batch = format!("rollback; {begin}; select set_config('app.tenant_id', '{}', true)", self.tenant);
        self.lease.conn().fetch_all(sqlx::raw_sql(&batch)).await?;
        Ok(())
    }
}
