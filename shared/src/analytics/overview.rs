//! The business in numbers, for a range.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::Owners,
    db::{DbResult, TenantTx},
};

/// New and won persons.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeadCounts {
    /// Made within the range.
    pub created: i64,
    /// Of these, customers by now.
    pub customers: i64,
}

/// Messages within the range.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageCounts {
    /// To people.
    pub outbound: i64,
    /// From people.
    pub inbound: i64,
    /// Of those to people, failed ones.
    pub failed: i64,
}

/// Automation runs that began within the range.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunCounts {
    /// All of them.
    pub started: i64,
    /// Of these, completed by now.
    pub completed: i64,
    /// Of these, failed or in need of attention.
    pub failed: i64,
}

/// Calls to action within the range, crawlers left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CtaCounts {
    /// Seen.
    pub views: i64,
    /// Clicked.
    pub clicks: i64,
    /// Sent.
    pub submits: i64,
}

/// Money of one currency, in its minor units.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoneyTaken {
    /// ISO 4217.
    pub currency: String,
    /// Payments that succeeded.
    pub received: i64,
    /// Refunds.
    pub refunded: i64,
    /// The difference.
    pub net: i64,
}

/// The business in numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Start of the range.
    pub from: DateTime<Utc>,
    /// End of the range, which is not in it.
    pub to: DateTime<Utc>,
    /// People.
    pub leads: LeadCounts,
    /// Messages.
    pub messages: MessageCounts,
    /// Automation runs.
    pub runs: RunCounts,
    /// Money, by currency.
    pub revenue: Vec<MoneyTaken>,
    /// Calls to action.
    pub cta: CtaCounts,
}

/// Reads the numbers of `[from, to)`.
///
/// # Errors
/// When the database refuses.
pub async fn read_overview(
    tx: &mut TenantTx,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    own_records_of: Owners<'_>,
) -> DbResult<Overview> {
    let n = sqlx::query!(
        r#"select l.created as "created!", l.customers as "customers!", m.outbound as "outbound!", m.inbound as "inbound!",
                  m.failed as "undelivered!", r.started as "started!", r.completed as "completed!", r.failed as "failed!",
                  c.views as "views!", c.clicks as "clicks!", c.submits as "submits!"
             from (select array(select id from leads where tenant_id = $1 and owner_id = any ($4)) as ids) as seen,
                  lateral (select count(*) as created, count(*) filter (where status = 'customer') as customers
                     from leads where tenant_id = $1 and created_at >= $2 and created_at < $3
                      -- Whoever was erased, and not thrown away before, is counted still.
                      and (deleted_at is null or deleted_at = erased_at) and ($4::uuid[] is null or owner_id = any ($4))) as l,
                  lateral (select count(*) filter (where direction = 'outbound') as outbound,
                          count(*) filter (where direction = 'inbound') as inbound,
                          count(*) filter (where direction = 'outbound' and status in ('failed', 'undelivered')) as failed
                     from messages where tenant_id = $1 and created_at >= $2 and created_at < $3
                      and ($4::uuid[] is null or lead_id = any (seen.ids))) as m,
                  lateral (select count(*) as started, count(*) filter (where status = 'completed') as completed,
                          count(*) filter (where status in ('failed', 'attention')) as failed
                     from automation_runs where tenant_id = $1 and created_at >= $2 and created_at < $3
                      and ($4::uuid[] is null or lead_id = any (seen.ids))) as r,
                  lateral (select count(*) filter (where kind = 'view') as views, count(*) filter (where kind = 'click') as clicks,
                          count(*) filter (where kind = 'submit') as submits
                     from cta_events where tenant_id = $1 and occurred_at >= $2 and occurred_at < $3 and not is_bot
                      and ($4::uuid[] is null or lead_id is null or lead_id = any (seen.ids))) as c"#,
        tx.tenant(),
        from,
        to,
        own_records_of,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Overview {
        from,
        to,
        leads: LeadCounts { created: n.created, customers: n.customers },
        messages: MessageCounts { outbound: n.outbound, inbound: n.inbound, failed: n.undelivered },
        runs: RunCounts { started: n.started, completed: n.completed, failed: n.failed },
        revenue: revenue(tx, from, to, own_records_of).await?,
        cta: CtaCounts { views: n.views, clicks: n.clicks, submits: n.submits },
    })
}

async fn revenue(
    tx: &mut TenantTx,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    own_records_of: Owners<'_>,
) -> DbResult<Vec<MoneyTaken>> {
    let rows = sqlx::query_as!(
        MoneyTaken,
        r#"select currency::text as "currency!", received as "received!", refunded as "refunded!", received - refunded as "net!"
             from (select currency, coalesce(sum(amount) filter (where kind = 'payment'), 0)::bigint as received,
                          coalesce(sum(amount) filter (where kind = 'refund'), 0)::bigint as refunded
                     from payments
                    where tenant_id = $1 and received_at >= $2 and received_at < $3 and status = 'succeeded'
                      and ($4::uuid[] is null or lead_id in (
                          select id from leads where tenant_id = $1 and owner_id = any ($4)))
                    group by currency) as sums
            order by 1"#,
        tx.tenant(),
        from,
        to,
        own_records_of,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}
