//! Documents that are final from the beginning: receipts of the till and credit notes.

use chrono::{DateTime, Datelike, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{draft::insert_lines, numbering};
use crate::{
    db::{DbResult, TenantTx},
    finance::{amount::Discount, calculate::Rounding},
};

/// A document that is about to be written with its number.
#[derive(Clone, Debug)]
pub(in crate::finance) struct Document {
    pub id: Uuid,
    /// `creditNote` or `receipt`: the kind, and the series of its numbers.
    pub kind: &'static str,
    pub lead_id: Option<Uuid>,
    pub credit_of_id: Option<Uuid>,
    pub currency: String,
    pub rounding: Rounding,
    pub terms: Option<Discount>,
    pub subtotal: i64,
    pub discount: i64,
    pub tax: i64,
    pub tip: i64,
    pub total: i64,
    /// Settled by itself: credit notes are, receipts wait for their payments.
    pub settled: bool,
    pub tax_summary: Value,
    pub memo: Option<String>,
    pub created_by: Option<Uuid>,
    /// As `jsonb_populate_recordset` reads them into `invoice_lines`.
    pub lines: Value,
}

/// Writes a document with the next number of its series. A credit note keeps the names of its invoice.
pub(in crate::finance) async fn insert_document(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    document: &Document,
) -> DbResult<()> {
    let today = now.with_timezone(&tx.zone()).date_naive();
    let numbering = numbering(tx, document.kind, today.year()).await?;
    let paid = if document.settled { document.total } else { 0 };
    sqlx::query!(
        "with taken as (
             insert into number_sequences (tenant_id, series, period, next_value) values ($1, $3, $4, 2)
             on conflict (tenant_id, series, period) do update set next_value = number_sequences.next_value + 1
             returning next_value - 1 as value
         )
         insert into invoices (tenant_id, id, kind, number, status, lead_id, credit_of_id, currency, rounding, discount_amount,
                               discount_percent, subtotal, discount_total, tax_total, tip, total, paid_total, tax_summary, memo,
                               created_by, issue_date, due_date, finalized_at, paid_at, created_at, updated_at, billing,
                               buyer_sealed)
         select $1, $2, $3, $5 || lpad(taken.value::text, greatest($6::int, length(taken.value::text)), '0') || $7,
                case when $8::bigint = $9::bigint then 'paid' else 'finalized' end, $10, $11, $12, $13, $14,
                $15::text::numeric, $16, $17, $18, $19, $8, $9, $20, $21, $22, $23::date, $23::date, $24::timestamptz,
                case when $8::bigint = $9::bigint then $24::timestamptz end, $24, $24,
                coalesce((select o.billing from invoices o where o.tenant_id = $1 and o.id = $11), jsonb_build_object(
                    'seller', jsonb_build_object('name', t.name, 'country', t.country),
                    'buyer', (select jsonb_build_object('name', nullif(concat_ws(' ', l.first_name, l.last_name), ''),
                                                        'email', l.email, 'phone', l.phone)
                                from leads l where l.tenant_id = $1 and l.id = $10))),
                (select o.buyer_sealed from invoices o where o.tenant_id = $1 and o.id = $11)
           from taken, tenants t where t.id = $1",
        tx.tenant(),
        document.id,
        document.kind,
        numbering.period,
        numbering.prefix,
        numbering.width,
        numbering.suffix,
        document.total,
        paid,
        document.lead_id,
        document.credit_of_id,
        document.currency,
        document.rounding.word(),
        document.terms.and_then(Discount::amount),
        document.terms.and_then(Discount::percent).map(|percent| percent.to_string()),
        document.subtotal,
        document.discount,
        document.tax,
        document.tip,
        document.tax_summary,
        document.memo,
        document.created_by,
        today,
        now,
    )
    .execute(tx.conn())
    .await?;
    insert_lines(tx, document.id, document.lines.clone()).await
}
