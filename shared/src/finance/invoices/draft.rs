//! Drafts: made, changed and thrown away as anybody likes.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Invoice, InvoicePatch, NewInvoice, find_invoice, lock_one};
use crate::{
    db::{DbError, DbResult, OnConstraint, TenantTx},
    finance::{
        amount::{Amount, Discount, Quantity},
        calculate::Rounding,
        pricing::{Calculation, NewLine, Priced, price},
    },
    http::{FieldErrors, IfMatch, Patch, Problem},
    ids::new_id,
    values::{Currency, Line, Prose},
};

/// Makes a draft.
///
/// # Errors
/// 422 for what cannot be priced and for an unknown lead.
pub async fn insert_draft(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewInvoice,
    created_by: Option<Uuid>,
) -> Result<Invoice, Problem> {
    let asked =
        Calculation { currency: new.currency, lines: new.lines, discount: new.discount, rounding: None };
    let priced = price(tx, &asked, &[]).await?;
    let id = new_id();
    sqlx::query!(
        "with document as (
             insert into invoices (tenant_id, id, lead_id, currency, rounding, discount_amount, discount_percent, subtotal,
                                   discount_total, tax_total, total, tax_summary, memo, issue_date, due_date, created_by,
                                   created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)
         )
         insert into invoice_lines (tenant_id, id, invoice_id, position, description, item_id, quantity, unit_price,
                                    discount_amount, discount_percent, tax_rate_ids, taxes, net, tax, gross, discount_share)
         select $1, l.id, $2, l.position, l.description, l.item_id, l.quantity, l.unit_price, l.discount_amount,
                l.discount_percent, l.tax_rate_ids, l.taxes, l.net, l.tax, l.gross, l.discount_share
           from jsonb_populate_recordset(null::invoice_lines, $18) l",
        tx.tenant(),
        id,
        new.lead_id,
        priced.currency,
        priced.rounding.word(),
        priced.terms.and_then(Discount::amount),
        priced.terms.and_then(Discount::percent).map(|percent| percent.to_string()),
        priced.subtotal,
        priced.discount,
        priced.tax,
        priced.total,
        tax_summary(&priced),
        new.memo.map(Prose::into_string),
        new.issue_date,
        new.due_date,
        created_by,
        now,
        priced.rows(),
    )
    .execute(tx.conn())
    .await
    .map_err(DbError::from)
    .on_constraint("invoices_lead_id_fkey", unknown_lead)?;
    find_invoice(tx, id).await?.ok_or_else(Problem::internal)
}

/// Changes a draft.
///
/// # Errors
/// 404, 409 `immutable` once it is finalized, 412, 422 for what cannot be priced and for an unknown lead.
pub async fn update_draft(
    tx: &mut TenantTx,
    id: Uuid,
    seen: &IfMatch,
    patch: InvoicePatch,
) -> Result<Invoice, Problem> {
    require_draft(tx, id, seen).await?;
    let draft = find_invoice(tx, id).await?.ok_or_else(Problem::not_found)?;
    let stored = stored_lines(&draft)?;
    let kept: Vec<Uuid> = stored.iter().flat_map(|line| line.tax_rate_ids.iter().copied()).collect();
    let asked = asked_anew(&draft, &patch, stored)?;
    let priced = price(tx, &asked, &kept).await?;
    replace_lines(tx, id, &priced).await?;
    write_header(tx, id, patch, &priced).await.on_constraint("invoices_lead_id_fkey", unknown_lead)?;
    find_invoice(tx, id).await?.ok_or_else(Problem::internal)
}

/// Throws a draft away.
///
/// # Errors
/// 404, 409 `immutable` once it is finalized, 412.
pub async fn delete_draft(tx: &mut TenantTx, id: Uuid, seen: &IfMatch) -> Result<(), Problem> {
    require_draft(tx, id, seen).await?;
    sqlx::query!(
        "delete from invoices where tenant_id = $1 and id = $2 and status = 'draft'",
        tx.tenant(),
        id
    )
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    Ok(())
}

async fn require_draft(tx: &mut TenantTx, id: Uuid, seen: &IfMatch) -> Result<(), Problem> {
    let locked = lock_one(tx, id).await?.ok_or_else(Problem::not_found)?;
    seen.require(locked.version)?;
    if locked.status == "draft" {
        return Ok(());
    }
    Err(Problem::conflict(
        "immutable",
        "A finalized document changes only by payments, credit notes and voiding.",
    ))
}

/// The part of a stored line that pricing needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredLine {
    description: Line,
    item_id: Option<Uuid>,
    quantity: Quantity,
    unit_price: Amount,
    discount: Option<Discount>,
    tax_rate_ids: Vec<Uuid>,
}

fn stored_lines(draft: &Invoice) -> Result<Vec<StoredLine>, Problem> {
    Vec::deserialize(draft.lines.expose()).map_err(|error| {
        tracing::error!(%error, invoice = %draft.id, "stored lines cannot be read");
        Problem::internal()
    })
}

/// The whole document as it would have been written at once: a changed discount or currency prices every line anew.
fn asked_anew(
    draft: &Invoice,
    patch: &InvoicePatch,
    stored: Vec<StoredLine>,
) -> Result<Calculation, Problem> {
    let lines = match &patch.lines {
        Patch::Set(lines) => lines.clone(),
        Patch::Keep | Patch::Clear => stored.into_iter().map(StoredLine::into_new).collect(),
    };
    let discount = match patch.discount {
        Patch::Keep => draft.document_discount.as_ref().and_then(|terms| Discount::deserialize(terms).ok()),
        Patch::Clear => None,
        Patch::Set(discount) => Some(discount),
    };
    let currency = match &patch.currency {
        Patch::Set(currency) => currency.clone(),
        Patch::Keep | Patch::Clear => {
            Currency::try_from(draft.currency.clone()).map_err(|_| Problem::internal())?
        }
    };
    let mut errors = FieldErrors::default();
    let issue = merged(patch.issue_date, draft.issue_date);
    let due = merged(patch.due_date, draft.due_date);
    if issue.is_some() && due.is_some() && due < issue {
        errors.add("/dueDate", "due_before_issue", "It would be due before it is issued.");
    }
    errors.into_result()?;
    Ok(Calculation {
        currency: Some(currency),
        lines,
        discount,
        rounding: Some(Rounding::from_word(&draft.rounding)),
    })
}

fn merged<T>(patch: Patch<T>, stored: Option<T>) -> Option<T> {
    match patch {
        Patch::Keep => stored,
        Patch::Clear => None,
        Patch::Set(value) => Some(value),
    }
}

impl StoredLine {
    fn into_new(self) -> NewLine {
        NewLine {
            description: Some(self.description),
            item_id: self.item_id,
            quantity: self.quantity,
            unit_price: Some(self.unit_price),
            discount: self.discount,
            tax_rate_ids: Some(self.tax_rate_ids),
        }
    }
}

/// Two statements, because a row inserted by the statement that deletes its twin would meet it in the index.
async fn replace_lines(tx: &mut TenantTx, id: Uuid, priced: &Priced) -> DbResult<()> {
    sqlx::query!("delete from invoice_lines where tenant_id = $1 and invoice_id = $2", tx.tenant(), id)
        .execute(tx.conn())
        .await?;
    insert_lines(tx, id, priced.rows()).await
}

/// Inserts rows as [`Priced::rows`] makes them.
pub(in crate::finance) async fn insert_lines(tx: &mut TenantTx, id: Uuid, rows: Value) -> DbResult<()> {
    sqlx::query!(
        "insert into invoice_lines (tenant_id, id, invoice_id, position, description, item_id, quantity, unit_price,
                                    discount_amount, discount_percent, tax_rate_ids, taxes, net, tax, gross, discount_share)
         select $1, l.id, $2, l.position, l.description, l.item_id, l.quantity, l.unit_price, l.discount_amount,
                l.discount_percent, l.tax_rate_ids, l.taxes, l.net, l.tax, l.gross, l.discount_share
           from jsonb_populate_recordset(null::invoice_lines, $3) l",
        tx.tenant(),
        id,
        rows,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn write_header(tx: &mut TenantTx, id: Uuid, patch: InvoicePatch, priced: &Priced) -> DbResult<()> {
    let (moves, lead) = patch.lead_id.into_parts();
    let (tells, memo) = patch.memo.into_parts();
    let (dates, issue) = patch.issue_date.into_parts();
    let (terms, due) = patch.due_date.into_parts();
    sqlx::query!(
        "update invoices
            set lead_id = case when $3 then $4 else lead_id end, memo = case when $5 then $6 else memo end,
                issue_date = case when $7 then $8 else issue_date end, due_date = case when $9 then $10 else due_date end,
                currency = $11, discount_amount = $12, discount_percent = $13::text::numeric, subtotal = $14,
                discount_total = $15, tax_total = $16, total = $17, tax_summary = $18
          where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
        moves,
        lead,
        tells,
        memo.map(Prose::into_string),
        dates,
        issue,
        terms,
        due,
        priced.currency,
        priced.terms.and_then(Discount::amount),
        priced.terms.and_then(Discount::percent).map(|percent| percent.to_string()),
        priced.subtotal,
        priced.discount,
        priced.tax,
        priced.total,
        tax_summary(priced),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(in crate::finance) fn tax_summary(priced: &Priced) -> Value {
    priced.tax_summary.iter().map(|rate| serde_json::json!(rate)).collect()
}

fn unknown_lead() -> Problem {
    Problem::invalid("/leadId", "unknown_lead", "There is no such lead.")
}
