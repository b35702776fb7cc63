//! News of payments from providers, in whatever order and however often they come.
//!
//! A provider tells one payment several times (a checkout session and its intent), repeats itself, and may tell the refund
//! first. All news of one payment are therefore taken one after the other, under a lock on the provider's name for it,
//! and each is compared with what the rows say already: the outcome depends on what is known, not on the order.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    Incoming, Payment, find_payment,
    receive::take,
    reconcile_refund::{refund_what_came_early, refunded},
};
use crate::{
    db::{DbResult, TenantTx},
    events::{Cause, EventKind, NewEvent, emit},
    finance::{
        invoices::{Allocation, Locked, emit_paid, lock_one, settle},
        ledger::{About, Account, Posting, Tender, post},
    },
};

/// What a provider says about a payment.
#[derive(Clone, Debug)]
pub struct PaymentNews {
    /// The provider's word, as in `webhooks::Provider::as_str`.
    pub provider: &'static str,
    /// The provider's best name for the payment: the same in all news of it.
    pub provider_ref: String,
    /// Every name of the payment; it is the same payment when any of them is known.
    pub refs: Vec<String>,
    /// Stripe's payment intent, which is then the best name.
    pub payment_intent: Option<String>,
    /// Minor units. For a refund: of this refund, 0 when only the total is known.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Our invoice, as the provider was told it. One that does not exist counts as none.
    pub invoice_id: Option<Uuid>,
    /// The person, who must exist.
    pub lead_id: Option<Uuid>,
    /// When it happened, by the provider's clock.
    pub occurred_at: DateTime<Utc>,
    /// What happened.
    pub kind: PaymentNewsKind,
}

/// What happened to a payment at a provider.
#[derive(Clone, Debug)]
pub enum PaymentNewsKind {
    /// The money came.
    Received,
    /// Money went back.
    Refunded {
        /// The provider's name for the refund, which makes one without a total countable once.
        refund_ref: Option<String>,
        /// Everything refunded of the payment so far.
        total: Option<i64>,
    },
    /// It was tried and failed.
    Failed {
        /// The provider's word for the reason.
        code: Option<String>,
    },
}

/// What became of the news.
#[derive(Clone, Debug, Default)]
pub struct Reconciled {
    /// The payment, once there is one.
    pub payment_id: Option<Uuid>,
    /// The invoice that it is for.
    pub invoice_id: Option<Uuid>,
    /// Whether anything changed: false when all of it was known.
    pub changed: bool,
}

/// Takes news of a payment: records it, settles its invoice, gives back what was given back. The same news again changes
/// nothing.
///
/// # Errors
/// When the database refuses; `payments_lead_id_fkey` for a lead that does not exist.
pub async fn reconcile(tx: &mut TenantTx, now: DateTime<Utc>, news: &PaymentNews) -> DbResult<Reconciled> {
    lock_name(tx, news).await?;
    let known = find_known(tx, news).await?;
    match &news.kind {
        PaymentNewsKind::Received if news.amount > 0 => received(tx, now, news, known).await,
        PaymentNewsKind::Refunded { refund_ref, total } => {
            refunded(tx, now, news, known, refund_ref.as_deref(), *total).await
        }
        PaymentNewsKind::Failed { code } if news.amount > 0 && known.is_none() => {
            failed(tx, now, news, code.as_deref()).await
        }
        // Nothing was paid, or the failure of a try whose payment is known.
        PaymentNewsKind::Received | PaymentNewsKind::Failed { .. } => Ok(unchanged(known.as_ref())),
    }
}

pub(super) fn best_name(news: &PaymentNews) -> &str {
    news.payment_intent.as_deref().unwrap_or(&news.provider_ref)
}

pub(super) fn names(news: &PaymentNews) -> Vec<String> {
    let mut names = news.refs.clone();
    names.extend([news.provider_ref.clone(), best_name(news).to_owned()]);
    names.sort();
    names.dedup();
    names
}

pub(super) fn unchanged(known: Option<&Known>) -> Reconciled {
    Reconciled {
        payment_id: known.map(|known| known.id),
        invoice_id: known.and_then(|known| known.invoice_id),
        changed: false,
    }
}

async fn lock_name(tx: &mut TenantTx, news: &PaymentNews) -> DbResult<()> {
    let name = format!("payment/{}/{}/{}", tx.tenant(), news.provider, best_name(news));
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", name).execute(tx.conn()).await?;
    Ok(())
}

pub(super) struct Known {
    pub(super) id: Uuid,
    pub(super) status: String,
    lead_id: Option<Uuid>,
    invoice_id: Option<Uuid>,
    currency: String,
    unapplied: i64,
}

async fn find_known(tx: &mut TenantTx, news: &PaymentNews) -> DbResult<Option<Known>> {
    let known = sqlx::query_as!(
        Known,
        r#"select id, status, lead_id, invoice_id, currency::text as "currency!", unapplied_amount as "unapplied!"
             from payments
            where tenant_id = $1 and provider = $2 and provider_ref = any($3) and kind = 'payment'
            order by id limit 1"#,
        tx.tenant(),
        news.provider,
        &names(news),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(known)
}

async fn received(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    known: Option<Known>,
) -> DbResult<Reconciled> {
    let invoice = match news.invoice_id.or_else(|| known.as_ref().and_then(|known| known.invoice_id)) {
        Some(id) => lock_one(tx, id).await?,
        None => None,
    };
    match known {
        Some(known) if known.status == "succeeded" => complete(tx, now, news, known, invoice).await,
        known => {
            if let Some(failed) = &known {
                remove_try(tx, failed.id).await?;
            }
            let id = record(tx, now, news, invoice.as_ref()).await?;
            refund_what_came_early(tx, now, news, id).await?;
            Ok(Reconciled {
                payment_id: Some(id),
                invoice_id: invoice.map(|invoice| invoice.id),
                changed: true,
            })
        }
    }
}

/// A failed try moved no money; the payment that succeeds takes its name.
async fn remove_try(tx: &mut TenantTx, id: Uuid) -> DbResult<()> {
    sqlx::query!(
        "delete from payments where tenant_id = $1 and id = $2 and status <> 'succeeded'",
        tx.tenant(),
        id
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn incoming(news: &PaymentNews, invoice: Option<&Locked>) -> Incoming {
    let mut incoming = Incoming::new(Tender::Card, news.amount, &news.currency, news.occurred_at);
    incoming.lead_id = invoice.and_then(|invoice| invoice.lead_id).or(news.lead_id);
    incoming.invoice_id = invoice.map(|invoice| invoice.id);
    incoming.provider = Some(news.provider);
    incoming.provider_ref = Some(best_name(news).to_owned());
    incoming
}

/// The invoice, when this money can settle it. Otherwise the money stays the customer's credit, for people to see.
fn settleable<'i>(invoice: Option<&'i Locked>, currency: &str) -> Option<&'i Locked> {
    invoice.filter(|invoice| invoice.require_payable().is_ok() && invoice.currency == currency)
}

async fn record(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    invoice: Option<&Locked>,
) -> DbResult<Uuid> {
    let incoming = incoming(news, invoice);
    take(tx, now, &incoming, settleable(invoice, &news.currency)).await?;
    tell(tx, news, EventKind::PaymentReceived, incoming.id, format!("received:{}", best_name(news))).await?;
    Ok(incoming.id)
}

/// The payment is known, but perhaps not yet whose it is or what it is for.
async fn complete(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    known: Known,
    invoice: Option<Locked>,
) -> DbResult<Reconciled> {
    let lead = known.lead_id.or(invoice.as_ref().and_then(|invoice| invoice.lead_id)).or(news.lead_id);
    let attached = invoice.as_ref().filter(|_| known.invoice_id.is_none());
    if attached.is_none() && lead == known.lead_id {
        return Ok(unchanged(Some(&known)));
    }
    let unapplied = sqlx::query_scalar!(
        r#"update payments set lead_id = $3, invoice_id = coalesce(invoice_id, $4) where tenant_id = $1 and id = $2
           returning unapplied_amount as "unapplied!""#,
        tx.tenant(),
        known.id,
        lead,
        attached.map(|invoice| invoice.id),
    )
    .fetch_one(tx.conn())
    .await?;
    if let Some(invoice) = settleable(attached, &known.currency) {
        let amount = unapplied.min(known.unapplied).min(invoice.balance);
        let about = About {
            lead_id: lead,
            invoice_id: Some(invoice.id),
            payment_id: Some(known.id),
            ..About::default()
        };
        let posting = Posting::new(&known.currency, "credit allocated", about)
            .debit(Account::CustomerCredit, amount)
            .credit(Account::Receivable, amount);
        post(tx, now, &[posting]).await?;
        let settled = settle(tx, now, &[Allocation::of_payment(known.id, invoice.id, amount)]).await?;
        emit_paid(tx, now, &settled).await?;
    }
    let invoice_id = known.invoice_id.or(attached.map(|invoice| invoice.id));
    Ok(Reconciled { payment_id: Some(known.id), invoice_id, changed: true })
}

async fn failed(
    tx: &mut TenantTx,
    now: DateTime<Utc>,
    news: &PaymentNews,
    code: Option<&str>,
) -> DbResult<Reconciled> {
    let invoice = match news.invoice_id {
        Some(id) => lock_one(tx, id).await?,
        None => None,
    };
    let mut tried = incoming(news, invoice.as_ref());
    tried.status = "failed";
    super::insert_payments(tx, now, std::slice::from_ref(&tried)).await?;
    sqlx::query!(
        "update payments set failure = $3 where tenant_id = $1 and id = $2",
        tx.tenant(),
        tried.id,
        json!({"code": code}),
    )
    .execute(tx.conn())
    .await?;
    tell(tx, news, EventKind::PaymentFailed, tried.id, format!("failed:{}", best_name(news))).await?;
    Ok(Reconciled { payment_id: Some(tried.id), invoice_id: tried.invoice_id, changed: true })
}

pub(super) async fn tell(
    tx: &mut TenantTx,
    news: &PaymentNews,
    kind: EventKind,
    payment: Uuid,
    key: String,
) -> DbResult<()> {
    let Some(payment) = find_payment(tx, payment).await? else { return Ok(()) };
    emit(tx, &[event(news, kind, &payment, key)]).await
}

fn event(news: &PaymentNews, kind: EventKind, payment: &Payment, dedupe_key: String) -> NewEvent {
    NewEvent {
        kind,
        subject_id: payment.id,
        lead_id: payment.lead_id,
        payload: serde_json::to_value(payment).unwrap_or_default(),
        previous: None,
        source: news.provider,
        dedupe_key,
        cause: Cause::default(),
        occurred_at: news.occurred_at,
    }
}
