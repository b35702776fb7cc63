//! Work that no tenant's credential has authorised yet.
//!
//! The runtime role sees no tenant row without `app.tenant_id`, so a system transaction can do only what the
//! definer functions of the schema offer: find a login by e-mail, list ids of due rows, list tenants. Each use names
//! its reason, and a test keeps the call sites on a golden list.

use sqlx::{Executor, PgConnection};

use super::{Db, DbResult, connection::Lease};

/// Why a statement runs outside a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemReason {
    /// An e-mail address must be matched with the accounts that it may open.
    Login,
    /// A refresh or one-time token must be matched with its tenant.
    Token,
    /// Calls that come before a tenant is known are counted.
    Throttle,
    /// Due rows of all tenants are listed, ids only.
    Sweep,
    /// The nightly schedule lists the tenants that it visits.
    Nightly,
    /// The health check asks whether the database answers.
    Health,
}

/// A transaction without a tenant.
pub struct SystemTx {
    lease: Lease,
}

impl SystemTx {
    /// The connection, for the store functions of this crate.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.lease.conn()
    }

    /// Ends the transaction and keeps what it did.
    ///
    /// # Errors
    /// When the server is lost before it answers.
    pub async fn commit(mut self) -> DbResult<()> {
        self.lease.conn().execute("commit").await?;
        self.lease.mark_in_transaction(false);
        Ok(())
    }
}

impl Db {
    /// Opens a transaction outside any tenant.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn system(&self, reason: SystemReason) -> DbResult<SystemTx> {
        tracing::trace!(?reason, "system transaction");
        let mut lease = self.lease().await?;
        // Marked first: whoever drops this future half-way leaves a connection that must be rolled back.
        lease.mark_in_transaction(true);
        if let Err(error) = lease.conn().execute(self.beginning()).await {
            lease = self.replace(lease, error.into()).await?;
            lease.mark_in_transaction(true);
            lease.conn().execute(self.beginning()).await?;
        }
        Ok(SystemTx { lease })
    }
}
