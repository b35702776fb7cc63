//! Opening, ending and closing shifts.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    CloseShift, Movement, NewMovement, NewShift, ShiftDetail, find_shift, model::MovementKind,
    shift_find::add_up,
};
use crate::{
    db::{DbError, DbResult, OnConstraint, TenantTx},
    finance::{
        amount::Amount,
        ledger::{About, Account, Posting, post},
    },
    http::Problem,
    ids::new_id,
    values::{Currency, Line},
};

/// A shift whose row is locked: shared while it sells, alone while its state changes.
pub(super) struct LockedShift {
    pub id: Uuid,
    pub status: String,
    pub currency: String,
}

/// Opens a shift. A till has one open shift.
///
/// # Errors
/// 409 `shift_open`.
pub async fn open_shift(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    new: NewShift,
    opened_by: Option<Uuid>,
) -> Result<ShiftDetail, Problem> {
    let id = new_id();
    let currency = new.currency.map_or_else(|| tx.settings().currency.clone(), Currency::into_string);
    sqlx::query!(
        "insert into pos_shifts (tenant_id, id, register_key, currency, open_float, opened_by, opened_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7, $7)",
        tx.tenant(),
        id,
        new.register_key.as_str(),
        currency,
        new.open_float.get(),
        opened_by,
        now,
    )
    .execute(tx.conn())
    .await
    .map_err(DbError::from)
    .on_constraint("pos_shifts_tenant_id_register_key_open_key", || {
        Problem::conflict("shift_open", "This till has an open shift already.")
    })?;
    find_shift(tx, id).await?.ok_or_else(Problem::internal)
}

/// Locks a shift that something is sold or given back in, so that it cannot be closed meanwhile. Without an id: the open
/// shift of the till, or the only open one.
///
/// # Errors
/// 409 `no_open_shift`; 422 `required` when several are open.
pub(super) async fn join_shift(
    tx: &mut TenantTx,
    id: Option<Uuid>,
    register_key: Option<&str>,
) -> Result<LockedShift, Problem> {
    let mut open = sqlx::query_as!(
        LockedShift,
        r#"select id, status, currency::text as "currency!" from pos_shifts
            where tenant_id = $1 and status = 'open' and ($2::uuid is null or id = $2)
              and ($3::text is null or register_key = $3)
            order by id limit 2 for share"#,
        tx.tenant(),
        id,
        register_key,
    )
    .fetch_all(tx.conn())
    .await
    .map_err(DbError::from)?;
    if open.len() > 1 {
        return Err(Problem::invalid("/shiftId", "required", "Several shifts are open; say which one."));
    }
    open.pop()
        .ok_or_else(|| Problem::conflict("no_open_shift", "There is no such open shift; open one first."))
}

async fn lock_alone(tx: &mut TenantTx, id: Uuid) -> DbResult<Option<LockedShift>> {
    let shift = sqlx::query_as!(
        LockedShift,
        r#"select id, status, currency::text as "currency!" from pos_shifts
            where tenant_id = $1 and id = $2 for update"#,
        tx.tenant(),
        id,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(shift)
}

/// Records cash put in or taken out, or the drawer opened without a sale.
///
/// # Errors
/// 404; 409 `shift_not_open`.
pub async fn insert_movement(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    shift: Uuid,
    new: NewMovement,
    actor: Option<Uuid>,
) -> Result<Movement, Problem> {
    let shift = lock_alone(tx, shift).await?.ok_or_else(Problem::not_found)?;
    require_open(&shift)?;
    let amount = new.amount.map_or(0, Amount::get);
    let movement = sqlx::query_as!(
        Movement,
        r#"insert into pos_movements (tenant_id, id, shift_id, kind, amount, currency, reason, actor_id, at, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
           returning id, shift_id, kind, amount, currency::text as "currency!", reason, actor_id, at"#,
        tx.tenant(),
        new_id(),
        shift.id,
        new.kind.word(),
        amount,
        shift.currency,
        new.reason.map(Line::into_string),
        actor,
        now,
    )
    .fetch_one(tx.conn())
    .await
    .map_err(DbError::from)?;
    let signed = if new.kind == MovementKind::PaidOut { -amount } else { amount };
    let about = About { shift_id: Some(shift.id), ..About::default() };
    let posting = Posting::new(&shift.currency, "drawer", about)
        .debit(Account::Cash, signed)
        .credit(Account::PettyCash, signed);
    post(tx, now, &[posting]).await?;
    Ok(movement)
}

fn require_open(shift: &LockedShift) -> Result<(), Problem> {
    match shift.status.as_str() {
        "open" => Ok(()),
        _ => Err(Problem::conflict("shift_not_open", "The shift has ended.")),
    }
}

/// Ends sales; the drawer is still to be counted.
///
/// # Errors
/// 404; 409 `shift_not_open`.
pub async fn end_shift(tx: &mut TenantTx, now: DateTime<Utc>, id: Uuid) -> Result<ShiftDetail, Problem> {
    let shift = lock_alone(tx, id).await?.ok_or_else(Problem::not_found)?;
    require_open(&shift)?;
    sqlx::query!(
        "update pos_shifts set status = 'ended', ended_at = $3 where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
        now,
    )
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    find_shift(tx, id).await?.ok_or_else(Problem::internal)
}

/// Closes a shift for good: what was counted against what should be there, and the difference in the ledger.
///
/// # Errors
/// 404; 409 `shift_closed`.
pub async fn close_shift(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    id: Uuid,
    count: &CloseShift,
    closed_by: Option<Uuid>,
) -> Result<ShiftDetail, Problem> {
    let shift = lock_alone(tx, id).await?.ok_or_else(Problem::not_found)?;
    if shift.status == "closed" {
        return Err(Problem::conflict("shift_closed", "The shift is closed for good."));
    }
    let report = add_up(tx, id).await?;
    let counted = count.counted_cash.get();
    sqlx::query!(
        "update pos_shifts
            set status = 'closed', ended_at = coalesce(ended_at, $3), closed_at = $3, closed_by = $4, counted_cash = $5,
                expected_cash = $6, z_report = $7 || jsonb_build_object('countedCash', $5::bigint,
                                                                        'overShort', $5::bigint - $6::bigint)
          where tenant_id = $1 and id = $2",
        tx.tenant(),
        id,
        now,
        closed_by,
        counted,
        report.expected,
        report.report,
    )
    .execute(tx.conn())
    .await
    .map_err(DbError::from)?;
    let about = About { shift_id: Some(id), ..About::default() };
    let difference = Posting::new(&shift.currency, "drawer counted", about)
        .debit(Account::Cash, counted - report.expected)
        .credit(Account::OverShort, counted - report.expected);
    post(tx, now, &[difference]).await?;
    find_shift(tx, id).await?.ok_or_else(Problem::internal)
}
