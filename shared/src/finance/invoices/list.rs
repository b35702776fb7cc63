//! The list of documents, narrowed by the one filter grammar.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Postgres, QueryBuilder};
use utoipa::IntoParams;
use uuid::Uuid;

use super::Invoice;
use crate::{
    auth::Owners,
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range},
    },
    finance::read_date,
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    leads::READABLE_NAME,
    mask::SearchFields,
};

/// The row as [`Invoice`] reads it.
pub(super) const COLUMNS: &str = "i.id, i.kind, i.number, i.status, i.lead_id, i.credit_of_id, i.currency::text as currency,
    i.rounding, invoice_lines_shape(i.tenant_id, i.id) as lines, i.subtotal, i.discount_total as discount,
    case when i.discount_amount is not null then jsonb_build_object('amount', i.discount_amount)
         when i.discount_percent is not null then jsonb_build_object('percent', trim_scale(i.discount_percent)::text)
    end as document_discount,
    i.tax_total as tax, i.tip, i.total, i.paid_total as paid, i.balance, i.tax_summary, i.billing, i.memo, i.issue_date,
    i.due_date, i.finalized_at, i.paid_at, i.overdue_at, i.voided_at, i.created_at, i.updated_at, i.version";

const STATUSES: &[&str] = &["draft", "finalized", "partiallyPaid", "paid", "overdue", "void"];

/// What documents can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct InvoiceFilter {
    /// `invoice`, `creditNote`, `receipt`; invoices when left out.
    pub kind: Vec<String>,
    /// Statuses.
    pub status: Vec<String>,
    /// Who owes.
    pub lead_id: Vec<Uuid>,
    /// Currencies.
    pub currency: Vec<String>,
    /// A fragment of the number or memo, or of the person's name, e-mail address or telephone number; not of the latter two for
    /// those who see only hints of them, nor of memos that hold one.
    pub search: Option<String>,
    /// What the search looks through; see [`crate::http::Actor::searches`].
    #[param(ignore)]
    pub search_fields: SearchFields,
    /// Due before this day.
    pub due_before: Option<NaiveDate>,
    /// Due on this day or after.
    pub due_from: Option<NaiveDate>,
    /// Made at or after.
    pub from: Option<DateTime<Utc>>,
    /// Made before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for InvoiceFilter {
    const SORTS: &'static [SortField] = &[
        SortField { word: "createdAt", column: "created_at", kind: SortKind::Time },
        SortField { word: "total", column: "total", kind: SortKind::Number },
    ];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        let kind = params.choices("kind", &["invoice", "creditNote", "receipt"]);
        Self {
            kind: if kind.is_empty() { vec!["invoice".to_owned()] } else { kind },
            status: params.choices("status", STATUSES),
            lead_id: params.ids("leadId"),
            currency: params.words("currency"),
            search: params.text("search"),
            search_fields: SearchFields::default(),
            due_before: read_date(params, "dueBefore"),
            due_from: read_date(params, "dueFrom"),
            from,
            to,
        }
    }
}

/// One page of documents.
///
/// # Errors
/// When the database refuses.
pub async fn list_invoices(
    tx: &mut TenantTx,
    query: &ListQuery<InvoiceFilter>,
    own_records_of: Owners<'_>,
) -> DbResult<Page<Invoice>> {
    let mut select = QueryBuilder::new(format!("select {COLUMNS} from invoices i"));
    push_filter(&mut select, tx.tenant(), &query.filter, own_records_of);
    push_page(&mut select, "i", &query.page);
    let rows = select.build_query_as::<Invoice>().fetch_all(tx.conn()).await?;
    let by_total = query.page.sort.word == "total";
    let mut page = query.page.page(rows, |row| Keyset {
        value: if by_total { KeysetValue::Number(row.total) } else { KeysetValue::Time(row.created_at) },
        id: row.id,
    });
    if query.page.include_total {
        let mut count = QueryBuilder::new("select count(*) from invoices i");
        push_filter(&mut count, tx.tenant(), &query.filter, own_records_of);
        page.total = Some(count.build_query_scalar().fetch_one(tx.conn()).await?);
    }
    Ok(page)
}

fn push_filter(
    query: &mut QueryBuilder<'_, Postgres>,
    tenant: Uuid,
    filter: &InvoiceFilter,
    own_records_of: Owners<'_>,
) {
    query.push(" where i.tenant_id = ").push_bind(tenant);
    if let Some(owners) = own_records_of {
        query.push(" and i.lead_id in (select l.id from leads l where l.tenant_id = i.tenant_id and l.owner_id = any (");
        query.push_bind(owners.to_vec()).push("))");
    }
    push_any(query, "i.kind", &filter.kind);
    push_any(query, "i.status", &filter.status);
    push_any(query, "i.lead_id", &filter.lead_id);
    push_any(query, "i.currency::text", &filter.currency);
    push_range(query, "i.created_at", (filter.from, filter.to));
    if let Some(day) = filter.due_before {
        query.push(" and i.due_date < ").push_bind(day);
    }
    if let Some(day) = filter.due_from {
        query.push(" and i.due_date >= ").push_bind(day);
    }
    if let Some(text) = &filter.search {
        query.push(match filter.search_fields {
            SearchFields::All => " and (strpos(lower(concat_ws(' ', i.number, i.memo)), ",
            SearchFields::Names => {
                " and (strpos(lower(concat_ws(' ', i.number, case when not holds_address(i.memo) then i.memo end)), "
            }
        });
        query.push_bind(text.to_lowercase());
        // The definer function finds people by index; under row-level security a direct ILIKE would scan them.
        query.push(") > 0 or i.lead_id = any (array(select f.id from search_leads(").push_bind(text.clone());
        query.push(", 10000, ").push_bind(filter.search_fields.word()).push(") as f (id)");
        if filter.search_fields == SearchFields::Names {
            query.push(" join leads l on l.id = f.id and l.tenant_id = ").push_bind(tenant);
            query.push(format!(" where {READABLE_NAME}"));
        }
        query.push(")))");
    }
}
