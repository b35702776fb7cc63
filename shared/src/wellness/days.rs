//! The rollup of days, as pieces that [`fold`](super::series::fold) can take.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use super::series::{Piece, Sums};

/// What one source said about one day.
pub(super) struct DayRow {
    pub(super) lead_id: Uuid,
    pub(super) kind: String,
    pub(super) local_date: NaiveDate,
    pub(super) source: String,
    pub(super) grain: String,
    pub(super) count: i32,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) last: f64,
    pub(super) last_at: DateTime<Utc>,
}

impl DayRow {
    pub(super) fn piece(&self) -> Piece {
        let local = self.local_date.and_time(NaiveTime::MIN);
        Piece {
            start: local.and_utc(),
            local,
            source: self.source.clone(),
            whole_day: self.grain == "day",
            sums: Sums {
                count: i64::from(self.count),
                sum: self.sum,
                min: self.min,
                max: self.max,
                last: self.last,
                last_at: self.last_at,
            },
        }
    }
}

/// Which source is believed first, per type; a person's own rule goes before everybody's.
#[derive(Default)]
pub(super) struct Priorities(Vec<PriorityRow>);

pub(super) struct PriorityRow {
    pub(super) kind: String,
    pub(super) lead_id: Option<Uuid>,
    pub(super) priority: Vec<String>,
}

impl Priorities {
    /// The order of sources for a person and a type; empty without a rule.
    pub(super) fn of(&self, lead: Uuid, kind: &str) -> &[String] {
        let of_type = || self.0.iter().filter(|row| row.kind == kind);
        let rule = of_type()
            .find(|row| row.lead_id == Some(lead))
            .or_else(|| of_type().find(|row| row.lead_id.is_none()));
        rule.map_or(&[], |row| row.priority.as_slice())
    }
}

/// Every rule that concerns one of the types.
pub(super) async fn priorities(
    tx: &mut crate::db::TenantTx,
    kinds: &[String],
) -> crate::db::DbResult<Priorities> {
    let rows = sqlx::query_as!(
        PriorityRow,
        "select type as kind, lead_id, priority from metric_sources where tenant_id = $1 and type = any($2)",
        tx.tenant(),
        kinds,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Priorities(rows))
}
