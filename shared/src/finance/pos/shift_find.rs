//! Reading shifts, and what should be in the drawer.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{Movement, Shift, ShiftDetail};
use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
};

/// What shifts can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct ShiftFilter {
    /// `open`, `ended`, `closed`.
    pub status: Vec<String>,
    /// Tills.
    pub register_key: Vec<String>,
    /// Opened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Opened before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for ShiftFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "openedAt", column: "opened_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        let status = params.choices("status", &["open", "ended", "closed"]);
        Self { status, register_key: params.words("registerKey"), from, to }
    }
}

/// One page of shifts.
///
/// # Errors
/// When the database refuses.
pub async fn list_shifts(tx: &mut TenantTx, query: &ListQuery<ShiftFilter>) -> DbResult<Page<Shift>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select s.id, s.register_key, s.status, s.currency::text as currency, s.open_float, s.expected_cash, s.counted_cash,
                s.over_short, s.z_report, s.opened_by, s.closed_by, s.opened_at, s.ended_at, s.closed_at, s.version
           from pos_shifts s where s.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "s.status", &query.filter.status);
        push_any(&mut select, "s.register_key", &query.filter.register_key);
        push_range(&mut select, "s.opened_at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "s", &query.page);
    let rows = select.build_query_as::<Shift>().fetch_all(tx.conn()).await?;
    let mut page =
        query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.opened_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// One shift with its movements; while it is not closed, with its totals as they are now.
///
/// # Errors
/// When the database refuses.
pub async fn find_shift(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<ShiftDetail>> {
    let shift = sqlx::query_as!(
        Shift,
        r#"select id, register_key, status, currency::text as "currency!", open_float, expected_cash, counted_cash, over_short,
                  z_report, opened_by, closed_by, opened_at, ended_at, closed_at, version
             from pos_shifts where tenant_id = $1 and id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(mut shift) = shift else { return Ok(None) };
    if shift.status != "closed" {
        let report = add_up(tx, id).await?;
        shift.expected_cash = Some(report.expected);
        shift.z_report = Some(report.report);
    }
    let movements = sqlx::query_as!(
        Movement,
        r#"select id, shift_id, kind, amount, currency::text as "currency!", reason, actor_id, at
             from pos_movements where tenant_id = $1 and shift_id = $2 order by at, id"#,
        tx.tenant(),
        id,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(Some(ShiftDetail { shift, movements }))
}

pub(super) struct ZReport {
    /// What should be in the drawer.
    pub expected: i64,
    pub report: Value,
}

/// Adds a shift up: expected = float + cash sales − change − cash refunds + paid in − paid out. Payments by cash are
/// recorded without the change that was given, so cash handed over is both together.
pub(super) async fn add_up(tx: &mut TenantTx, shift: Uuid) -> DbResult<ZReport> {
    let report = sqlx::query_as!(
        ZReport,
        r#"with money as (
               select p.tender, sum(p.amount) filter (where p.kind = 'payment') as received,
                      sum(p.amount) filter (where p.kind = 'refund') as refunded
                 from payments p where p.tenant_id = $1 and p.shift_id = $2 and p.status = 'succeeded' group by p.tender
           ), cash as (
               select coalesce(sum(received), 0) as received, coalesce(sum(refunded), 0) as refunded
                 from money where tender = 'cash'
           ), moved as (
               select coalesce(sum(amount) filter (where kind = 'paidIn'), 0) as paid_in,
                      coalesce(sum(amount) filter (where kind = 'paidOut'), 0) as paid_out,
                      count(*) filter (where kind = 'noSale') as no_sales
                 from pos_movements where tenant_id = $1 and shift_id = $2
           ), sold as (
               select count(*) filter (where s.kind = 'sale') as sales, count(*) filter (where s.kind = 'return') as returns,
                      coalesce(sum(s.total) filter (where s.kind = 'sale'), 0) as sales_total,
                      coalesce(sum(s.total) filter (where s.kind = 'return'), 0) as returns_total,
                      coalesce(sum(s.tip), 0) as tips, coalesce(sum(s.change_given), 0) as change,
                      coalesce(sum(i.tax_total * case s.kind when 'sale' then 1 else -1 end), 0) as tax
                 from pos_sales s join invoices i on i.tenant_id = s.tenant_id and i.id = s.invoice_id
                where s.tenant_id = $1 and s.shift_id = $2
           )
           select (shift.open_float + cash.received - cash.refunded + moved.paid_in - moved.paid_out)::bigint as "expected!",
                  jsonb_build_object(
                      'sales', jsonb_build_object('count', sold.sales, 'total', sold.sales_total),
                      'returns', jsonb_build_object('count', sold.returns, 'total', sold.returns_total),
                      'tips', sold.tips, 'tax', sold.tax,
                      'tenders', coalesce((select jsonb_agg(jsonb_build_object('tender', m.tender,
                          'received', coalesce(m.received, 0), 'refunded', coalesce(m.refunded, 0),
                          'net', coalesce(m.received, 0) - coalesce(m.refunded, 0)) order by m.tender) from money m), '[]'),
                      'cash', jsonb_build_object('openFloat', shift.open_float, 'sales', cash.received + sold.change,
                          'change', sold.change, 'refunds', cash.refunded, 'paidIn', moved.paid_in, 'paidOut', moved.paid_out,
                          'noSales', moved.no_sales,
                          'expected', shift.open_float + cash.received - cash.refunded + moved.paid_in - moved.paid_out)
                  ) as "report!"
             from pos_shifts shift, cash, moved, sold
            where shift.tenant_id = $1 and shift.id = $2"#,
        tx.tenant(),
        shift,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(report)
}
