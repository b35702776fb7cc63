//! News of refunds, which may come before their payment.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    RefundOrder, carry_out,
    reconcile::{Known, PaymentNews, Reconciled, best_name, names, tell, unchanged},
    refund::{lock_for_refund, part_of},
};
use crate::{
    db::{DbResult, TenantTx},
    events::EventKind,
};

pub(super) async fn refunded(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    known: Option<Known>,
    refund_ref: Option<&str>,
    total: Option<i64>,
) -> DbResult<Reconciled> {
    let name = refund_name(news, refund_ref, total);
    match known {
        Some(known) if known.status == "succeeded" => {
            let changed = give_back(tx, now, news, known.id, &name, (news.amount, total)).await?;
            Ok(Reconciled { changed, ..unchanged(Some(&known)) })
        }
        known => {
            let kept = keep_for_later(tx, now, news, &name, total).await?;
            Ok(Reconciled { changed: kept, ..unchanged(known.as_ref()) })
        }
    }
}

/// The provider's name for the refund; else the total that it reached, which is as good a name.
fn refund_name(news: &PaymentNews, refund_ref: Option<&str>, total: Option<i64>) -> String {
    match refund_ref {
        Some(name) => name.to_owned(),
        None => format!("{}#refunded:{}", best_name(news), total.unwrap_or(news.amount)),
    }
}

/// With a total, what is missing up to it; without one, the amount unless a refund of this name is known.
async fn give_back(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    payment: Uuid,
    name: &str,
    (amount, total): (i64, Option<i64>),
) -> DbResult<bool> {
    let Some((payment, held)) = lock_for_refund(tx, payment).await? else { return Ok(false) };
    let taken = sqlx::query_scalar!(
        r#"select exists (select from payments where tenant_id = $1 and provider = $2 and provider_ref = $3) as "taken!""#,
        tx.tenant(),
        news.provider,
        name,
    )
    .fetch_one(tx.conn())
    .await?;
    let missing = match total {
        Some(total) => total - payment.refunded,
        None if taken => 0,
        None => amount,
    };
    let missing = missing.min(payment.amount - payment.refunded);
    if missing <= 0 {
        return Ok(false);
    }
    // Several refunds can come with one name when the provider sends only the latest: the first keeps it.
    let provider_ref = if taken { format!("{name}#{}", payment.refunded + missing) } else { name.to_owned() };
    let order = RefundOrder {
        provider: Some(news.provider),
        provider_ref: Some(provider_ref.clone()),
        reason: Some("refunded at the provider".to_owned()),
        ..RefundOrder::by(None)
    };
    for refund in carry_out(tx, now, &[part_of(payment, &held, missing)], &order).await? {
        tell(tx, news, EventKind::PaymentRefunded, refund, format!("refunded:{provider_ref}")).await?;
    }
    Ok(true)
}

/// The refund came before its payment: it waits as a pending row that moves no money, found by the payment's name in
/// `reference`. `reason` says whether its amount is a total.
async fn keep_for_later(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    name: &str,
    total: Option<i64>,
) -> DbResult<bool> {
    let amount = total.unwrap_or(news.amount);
    if amount <= 0 {
        return Ok(false);
    }
    let kept = sqlx::query!(
        "insert into payments (tenant_id, id, kind, status, tender, amount, currency, reference, reason, provider, provider_ref,
                               received_at, created_at, updated_at)
         values ($1, $2, 'refund', 'pending', 'card', $3, $4, $5, $6, $7, $8, $9, $10, $10)
         on conflict (tenant_id, provider, provider_ref) do nothing",
        tx.tenant(),
        crate::ids::new_id(),
        amount,
        news.currency,
        best_name(news),
        if total.is_some() { "total" } else { "part" },
        news.provider,
        name,
        news.occurred_at,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(kept.rows_affected() == 1)
}

pub(super) async fn refund_what_came_early(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    payment: Uuid,
) -> DbResult<()> {
    let early = sqlx::query!(
        r#"delete from payments
            where tenant_id = $1 and provider = $2 and kind = 'refund' and status = 'pending' and reference = any($3)
           returning amount, reason as "reason!", provider_ref as "name!""#,
        tx.tenant(),
        news.provider,
        &names(news),
    )
    .fetch_all(tx.conn())
    .await?;
    // As many as the provider told before the payment: one, as a rule.
    for refund in early {
        let total = (refund.reason == "total").then_some(refund.amount);
        give_back(tx, now, news, payment, &refund.name, (refund.amount, total)).await?;
    }
    Ok(())
}
