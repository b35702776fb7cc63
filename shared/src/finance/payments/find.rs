//! Reading payments.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;
use utoipa::IntoParams;
use uuid::Uuid;

use super::Payment;
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    finance::{ledger::Tender, whose::push_visible_payments},
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
};

/// What payments can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct PaymentFilter {
    /// `payment`, `refund`.
    pub kind: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
    /// Tenders.
    pub tender: Vec<String>,
    /// Whose.
    pub lead_id: Vec<Uuid>,
    /// For which invoice.
    pub invoice_id: Vec<Uuid>,
    /// In which shift.
    pub shift_id: Vec<Uuid>,
    /// Only those with credit left, or only those without.
    pub unapplied: Option<bool>,
    /// Received at or after.
    pub from: Option<DateTime<Utc>>,
    /// Received before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for PaymentFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "receivedAt", column: "received_at", kind: SortKind::Time },
    ];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            kind: params.choices("kind", &["payment", "refund"]),
            status: params.choices("status", &["pending", "succeeded", "failed", "canceled"]),
            tender: params.choices("tender", Tender::WORDS),
            lead_id: params.ids("leadId"),
            invoice_id: params.ids("invoiceId"),
            shift_id: params.ids("shiftId"),
            unapplied: params.flag("unapplied"),
            from,
            to,
        }
    }
}

/// One payment or refund.
///
/// # Errors
/// When the database refuses.
pub async fn find_payment(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<Payment>> {
    let payment = sqlx::query_as!(
        Payment,
        r#"select id, kind, status, lead_id, invoice_id, refund_of_id, sale_id, shift_id, tender, amount,
                  currency::text as "currency!", applied_amount as applied, refunded_amount as refunded,
                  case when kind = 'payment' and status = 'succeeded' then unapplied_amount else 0 end as "unapplied!",
                  reference, reason, provider, provider_ref, received_at, created_at, version
             from payments where tenant_id = $1 and id = $2"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(payment)
}

/// One page of the payments and refunds that the caller sees.
///
/// # Errors
/// When the database refuses.
pub async fn list_payments(
    tx: &mut TenantTx,
    query: &ListQuery<PaymentFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Payment>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select p.id, p.kind, p.status, p.lead_id, p.invoice_id, p.refund_of_id, p.sale_id, p.shift_id, p.tender, p.amount,
                p.currency::text as currency, p.applied_amount as applied, p.refunded_amount as refunded,
                case when p.kind = 'payment' and p.status = 'succeeded' then p.unapplied_amount else 0 end as unapplied,
                p.reference, p.reason, p.provider, p.provider_ref, p.received_at, p.created_at, p.version
           from payments p where p.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "p.kind", &query.filter.kind);
        push_any(&mut select, "p.status", &query.filter.status);
        push_any(&mut select, "p.tender", &query.filter.tender);
        push_any(&mut select, "p.lead_id", &query.filter.lead_id);
        push_any(&mut select, "p.invoice_id", &query.filter.invoice_id);
        push_any(&mut select, "p.shift_id", &query.filter.shift_id);
        push_visible_payments(&mut select, own_records_of);
        push_range(&mut select, "p.received_at", (query.filter.from, query.filter.to));
        if let Some(wanted) = query.filter.unapplied {
            select
                .push(" and (p.kind = 'payment' and p.status = 'succeeded' and p.unapplied_amount > 0) = ")
                .push_bind(wanted);
        }
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "p", &query.page);
    let rows = select.build_query_as::<Payment>().fetch_all(tx.conn()).await?;
    let by_receipt = query.page.sort.word == "receivedAt";
    let mut page = query.page.page(rows, |row| Keyset {
        value: KeysetValue::Time(if by_receipt { row.received_at } else { row.created_at }),
        id: row.id,
    });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}
