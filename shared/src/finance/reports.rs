//! What came in, what was earned, what is owed to the tax office, and what is still owed to the business.
//!
//! Days are the tenant's. Takings and revenue differ on purpose: one counts money when it moves, the other claims when
//! they arise. Currencies are never added up.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::read_date;
use crate::{
    db::{DbResult, TenantTx},
    http::Params,
};

/// The time that a report is about.
#[derive(Clone, Copy, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct Span {
    /// At or after.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
}

impl Span {
    /// Reads `from` and `to`.
    pub fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self { from, to }
    }
}

/// The length of a report's periods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// Days.
    #[default]
    Day,
    /// Calendar months.
    Month,
}

impl Period {
    /// Reads `groupBy`.
    pub fn read(params: &mut Params) -> Self {
        let words = params.choices("groupBy", &["day", "month"]);
        if words.iter().any(|word| word == "month") { Self::Month } else { Self::Day }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// A report: its rows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report<T> {
    /// The rows.
    pub items: Vec<T>,
}

/// Money that moved in one day by one tender.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Takings {
    /// The tenant's day.
    pub day: NaiveDate,
    /// `cash`, `card`, `bank`, `voucher`, `other`. Credit is money that came earlier.
    pub tender: String,
    /// ISO 4217.
    pub currency: String,
    /// Minor units that came in.
    pub received: i64,
    /// Minor units that went back.
    pub refunded: i64,
    /// `received` − `refunded`.
    pub net: i64,
    /// How many payments and refunds.
    pub count: i64,
}

/// Takings by day and tender.
///
/// # Errors
/// When the database refuses.
pub async fn takings(tx: &mut TenantTx, span: Span) -> DbResult<Report<Takings>> {
    let zone = tx.zone().name();
    let items = sqlx::query_as!(
        Takings,
        r#"select (p.received_at at time zone $4)::date as "day!", p.tender, p.currency::text as "currency!",
                  coalesce(sum(p.amount) filter (where p.kind = 'payment'), 0)::bigint as "received!",
                  coalesce(sum(p.amount) filter (where p.kind = 'refund'), 0)::bigint as "refunded!",
                  sum(case p.kind when 'payment' then p.amount else -p.amount end)::bigint as "net!", count(*) as "count!"
             from payments p
            where p.tenant_id = $1 and p.status = 'succeeded' and p.tender <> 'credit'
              and ($2::timestamptz is null or p.received_at >= $2) and ($3::timestamptz is null or p.received_at < $3)
            group by 1, 2, 3 order by 1 desc, 3, 2"#,
        tx.tenant(),
        span.from,
        span.to,
        zone,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Report { items })
}

/// What was earned in one period.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revenue {
    /// First day of the period.
    pub period: NaiveDate,
    /// ISO 4217.
    pub currency: String,
    /// Net of taxes, credit notes and voided invoices taken off.
    pub net: i64,
    /// Taxes on it.
    pub tax: i64,
    /// `net` + `tax`.
    pub gross: i64,
    /// Given on top at the till.
    pub tips: i64,
}

/// Revenue by day or month.
///
/// # Errors
/// When the database refuses.
pub async fn revenue(tx: &mut TenantTx, span: Span, period: Period) -> DbResult<Report<Revenue>> {
    let zone = tx.zone().name();
    let items = sqlx::query_as!(
        Revenue,
        r#"select date_trunc($5, e.at at time zone $4)::date as "period!", e.currency::text as "currency!",
                  coalesce(sum(e.credit - e.debit) filter (where e.account = 'revenue'), 0)::bigint as "net!",
                  coalesce(sum(e.credit - e.debit) filter (where e.account = 'tax'), 0)::bigint as "tax!",
                  coalesce(sum(e.credit - e.debit) filter (where e.account in ('revenue', 'tax')), 0)::bigint as "gross!",
                  coalesce(sum(e.credit - e.debit) filter (where e.account = 'tips'), 0)::bigint as "tips!"
             from ledger_entries e
            where e.tenant_id = $1 and e.account in ('revenue', 'tax', 'tips')
              and ($2::timestamptz is null or e.at >= $2) and ($3::timestamptz is null or e.at < $3)
            group by 1, 2 order by 1 desc, 2"#,
        tx.tenant(),
        span.from,
        span.to,
        zone,
        period.word(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Report { items })
}

/// One rate's taxes.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaxTotal {
    /// The rate.
    pub rate_id: Uuid,
    /// Its name as documents show it.
    pub name: String,
    /// Per cent, as decimal text.
    pub rate: String,
    /// ISO 4217.
    pub currency: String,
    /// What it was computed on, credit notes taken off.
    pub net: i64,
    /// The tax, credit notes taken off.
    pub tax: i64,
}

/// Taxes by rate: the sums of the documents' own, so that they agree to the cent. Void documents count nothing.
///
/// # Errors
/// When the database refuses.
pub async fn taxes(tx: &mut TenantTx, span: Span) -> DbResult<Report<TaxTotal>> {
    let items = sqlx::query_as!(
        TaxTotal,
        r#"select (s ->> 'rateId')::uuid as "rate_id!", s ->> 'name' as "name!", s ->> 'rate' as "rate!",
                  i.currency::text as "currency!",
                  sum((s ->> 'net')::bigint * case i.kind when 'creditNote' then -1 else 1 end)::bigint as "net!",
                  sum((s ->> 'tax')::bigint * case i.kind when 'creditNote' then -1 else 1 end)::bigint as "tax!"
             from invoices i cross join lateral jsonb_array_elements(i.tax_summary) s
            where i.tenant_id = $1 and i.status not in ('draft', 'void')
              and ($2::timestamptz is null or i.finalized_at >= $2) and ($3::timestamptz is null or i.finalized_at < $3)
            group by 1, 2, 3, 4 order by 4, 2, 3, 1"#,
        tx.tenant(),
        span.from,
        span.to,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Report { items })
}

/// What one customer owes, by how long it is due.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aged {
    /// The customer; null for invoices without one, and in the totals.
    pub lead_id: Option<Uuid>,
    /// ISO 4217.
    pub currency: String,
    /// Not due yet.
    pub current: i64,
    /// Due for up to 30 days.
    pub days1_to30: i64,
    /// Due for 31 to 60 days.
    pub days31_to60: i64,
    /// Due for 61 to 90 days.
    pub days61_to90: i64,
    /// Due for longer.
    pub over90: i64,
    /// All of it.
    pub total: i64,
}

/// Aged receivables.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aging {
    /// The day that ages are counted to.
    pub as_of: NaiveDate,
    /// By customer and currency, the largest first.
    pub items: Vec<Aged>,
    /// By currency.
    pub totals: Vec<Aged>,
}

/// Reads `asOf`; today when left out.
pub fn read_as_of(params: &mut Params) -> Option<NaiveDate> {
    read_date(params, "asOf")
}

/// What is owed now, by how long it is due on `as_of`.
///
/// # Errors
/// When the database refuses.
pub async fn aging(tx: &mut TenantTx, as_of: NaiveDate) -> DbResult<Aging> {
    let rows = sqlx::query!(
        r#"with open as (
               select i.lead_id, i.currency::text as currency, i.balance, $2::date - coalesce(i.due_date, i.issue_date) as days
                 from invoices i
                where i.tenant_id = $1 and i.kind = 'invoice' and i.status in ('finalized', 'partiallyPaid', 'overdue')
           )
           select grouping(lead_id) = 1 as "is_total!", lead_id, currency as "currency!",
                  coalesce(sum(balance) filter (where days <= 0 or days is null), 0)::bigint as "current!",
                  coalesce(sum(balance) filter (where days between 1 and 30), 0)::bigint as "days1_to30!",
                  coalesce(sum(balance) filter (where days between 31 and 60), 0)::bigint as "days31_to60!",
                  coalesce(sum(balance) filter (where days between 61 and 90), 0)::bigint as "days61_to90!",
                  coalesce(sum(balance) filter (where days > 90), 0)::bigint as "over90!",
                  sum(balance)::bigint as "total!"
             from open group by grouping sets ((lead_id, currency), (currency))
            order by 9 desc, currency, lead_id"#,
        tx.tenant(),
        as_of,
    )
    .fetch_all(tx.conn())
    .await?;
    let (mut items, mut totals) = (Vec::new(), Vec::new());
    for row in rows {
        let aged = Aged {
            lead_id: row.lead_id,
            currency: row.currency,
            current: row.current,
            days1_to30: row.days1_to30,
            days31_to60: row.days31_to60,
            days61_to90: row.days61_to90,
            over90: row.over90,
            total: row.total,
        };
        if row.is_total { totals.push(aged) } else { items.push(aged) }
    }
    Ok(Aging { as_of, items, totals })
}
