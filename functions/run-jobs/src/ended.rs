//! The end of a large business: its rows, a portion per transaction, those that refer before those that are referred to.
//!
//! Nothing is remembered between portions that the tables do not say themselves: a worker that dies leaves what it has
//! committed, and the next one begins at the first table that has a row. What requests that were under way at the end have still
//! written goes with the business itself.

use std::time::{Duration, Instant};

use shared::{
    accounts::{self, ErasedTable},
    app::App,
    db::DbError,
    ids::TenantId,
    work::{WorkError, WorkResult},
};

/// No portion is begun later than this: the function may live for sixty seconds.
const TIME: Duration = Duration::from_secs(40);
/// What a portion should take at most, and below which the next one is larger.
const SPAN: Duration = Duration::from_secs(1);
/// Rows of the first portion, and of the smallest and the largest.
const ROWS: (i32, i32, i32) = (1_000, 100, 20_000);

/// Continues the removal of a business, unless another worker is at it.
///
/// # Errors
/// When the database cannot be reached or refuses; what has been removed stays removed.
pub(crate) async fn remove(app: &App, tenant: TenantId) -> WorkResult {
    let Some(mut tx) = app.db.open_ended_tenant(tenant).await? else { return Ok(()) };
    if !accounts::claim_ended(&mut tx).await? {
        return Ok(());
    }
    let tables = accounts::erasure_order(&mut tx).await?;
    tx.commit().await?;
    let mut removal = Removal { app, tenant, began: Instant::now(), most: ROWS.0 };
    for table in &tables {
        if !removal.empty(table).await? {
            return removal.release().await;
        }
    }
    removal.finish().await
}

struct Removal<'a> {
    app: &'a App,
    tenant: TenantId,
    began: Instant,
    most: i32,
}

impl Removal<'_> {
    /// Empties a table; false when time is up. A table is empty when a whole pass has found nothing: rows that others of the same table
    /// hold come in a later pass.
    async fn empty(&mut self, table: &ErasedTable) -> Result<bool, DbError> {
        let (mut after, mut removed) = (Vec::new(), 0);
        // Rows of one table may go a hundred times as fast as those of the next one, to which many refer.
        self.most = ROWS.0;
        while self.began.elapsed() < TIME {
            let began = Instant::now();
            let Some(mut tx) = self.app.db.open_ended_tenant(self.tenant).await? else { return Ok(false) };
            let portion = accounts::erase_rows(&mut tx, table, &after, self.most).await?;
            tx.commit().await?;
            removed += portion.removed;
            self.pace(began.elapsed(), portion.removed);
            match portion.reached {
                Some(key) => after = key,
                None if removed == 0 => return Ok(true),
                None => (after, removed) = (Vec::new(), 0),
            }
        }
        Ok(false)
    }

    /// Others wait for a portion's locks and its log is replayed in one piece, so none should take long.
    fn pace(&mut self, took: Duration, removed: i64) {
        let (_, least, most) = ROWS;
        if took > SPAN {
            self.most = (self.most / 2).max(least);
        } else if took < SPAN / 4 && removed == i64::from(self.most) {
            self.most = (self.most * 2).min(most);
        }
    }

    async fn release(self) -> WorkResult {
        let Some(mut tx) = self.app.db.open_ended_tenant(self.tenant).await? else { return Ok(()) };
        accounts::release_ended(&mut tx).await?;
        self.app.queue.nudge(tx.commit().await?).await;
        Ok(())
    }

    async fn finish(self) -> WorkResult {
        let Some(mut tx) = self.app.db.open_ended_tenant(self.tenant).await? else { return Ok(()) };
        let removed = accounts::erased_rows(&mut tx).await?;
        accounts::erase_tenant(&mut tx).await?;
        let remaining = accounts::count_rows(&mut tx).await?;
        if !remaining.is_empty() {
            tracing::error!(tenant = %self.tenant, "a business was not removed wholly");
            return Err(WorkError::Database(DbError::Defect("a business has rows left".to_owned())));
        }
        tx.commit().await?;
        tracing::warn!(tenant = %self.tenant, %removed, "a business was removed");
        Ok(())
    }
}
