//! Reading sales.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::Sale;
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    finance::whose::push_visible_sales,
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
};

/// What sales can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct SaleFilter {
    /// `sale`, `return`.
    pub kind: Vec<String>,
    /// `completed`, `partiallyReturned`, `returned`.
    pub status: Vec<String>,
    /// Shifts.
    pub shift_id: Vec<Uuid>,
    /// Customers.
    pub lead_id: Vec<Uuid>,
    /// Sold at or after.
    pub from: Option<DateTime<Utc>>,
    /// Sold before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for SaleFilter {
    const SORTS: &'static [SortField] =
        &[SortField { word: "soldAt", column: "sold_at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            kind: params.choices("kind", &["sale", "return"]),
            status: params.choices("status", &["completed", "partiallyReturned", "returned"]),
            shift_id: params.ids("shiftId"),
            lead_id: params.ids("leadId"),
            from,
            to,
        }
    }
}

/// One page of the sales and returns that the caller sees.
///
/// # Errors
/// When the database refuses.
pub async fn list_sales(
    tx: &mut TenantTx,
    query: &ListQuery<SaleFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Sale>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select s.id, s.kind, s.status, s.shift_id, s.client_sale_id, s.return_of_id, s.invoice_id, s.lead_id,
                s.currency::text as currency, s.total, s.tip, s.change_given as change, s.tenders, s.sold_by, s.sold_at,
                receipt_shape(s) as receipt
           from pos_sales s where s.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "s.kind", &query.filter.kind);
        push_any(&mut select, "s.status", &query.filter.status);
        push_any(&mut select, "s.shift_id", &query.filter.shift_id);
        push_any(&mut select, "s.lead_id", &query.filter.lead_id);
        push_visible_sales(&mut select, own_records_of);
        push_range(&mut select, "s.sold_at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "s", &query.page);
    let rows = select.build_query_as::<Sale>().fetch_all(tx.conn()).await?;
    let mut page = query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.sold_at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}

/// One sale or return, by its id or by the till's own name for it.
///
/// # Errors
/// When the database refuses.
pub async fn find_sale(
    tx: &mut TenantTx,
    id: Option<Uuid>,
    client_sale_id: Option<&str>,
) -> DbResult<Option<Sale>> {
    let sale = sqlx::query_as!(
        Sale,
        r#"select s.id, s.kind, s.status, s.shift_id, s.client_sale_id, s.return_of_id, s.invoice_id, s.lead_id,
                  s.currency::text as "currency!", s.total, s.tip, s.change_given as change, s.tenders, s.sold_by, s.sold_at,
                  receipt_shape(s) as "receipt!: _"
             from pos_sales s where s.tenant_id = $1 and (s.id = $2 or s.client_sale_id = $3)"#,
        tx.tenant(),
        id,
        client_sale_id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(sale)
}
