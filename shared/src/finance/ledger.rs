//! The ledger: every movement of money twice, once where it came from and once where it went.
//!
//! A posting adds to accounts (debit) and takes from accounts (credit) and must come out even; the database checks that
//! again when the transaction commits. Rows are never changed: a correction is another posting.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, QueryBuilder};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::{
        DbResult, TenantTx,
        keyset::{push_any, push_page, push_range, total},
    },
    http::{FromQuery, Keyset, KeysetValue, ListQuery, Page, Params, SortField, SortKind},
    ids::new_id,
};

/// How somebody pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tender {
    /// Coins and notes.
    Cash,
    /// A card, at the terminal or through a provider.
    Card,
    /// A transfer.
    Bank,
    /// A voucher.
    Voucher,
    /// Money that the customer has with the business.
    Credit,
    /// Something else.
    Other,
}

impl Tender {
    /// Every tender's word.
    pub const WORDS: &'static [&'static str] = &["cash", "card", "bank", "voucher", "credit", "other"];

    /// The word in the database and on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Card => "card",
            Self::Bank => "bank",
            Self::Voucher => "voucher",
            Self::Credit => "credit",
            Self::Other => "other",
        }
    }

    /// Reads the word of a row; the table's check knows no others.
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "cash" => Self::Cash,
            "card" => Self::Card,
            "bank" => Self::Bank,
            "voucher" => Self::Voucher,
            "credit" => Self::Credit,
            _ => Self::Other,
        }
    }

    pub(super) const fn account(self) -> Account {
        match self {
            Self::Cash => Account::Cash,
            Self::Card => Account::Card,
            Self::Bank => Account::Bank,
            Self::Voucher => Account::Voucher,
            Self::Credit => Account::CustomerCredit,
            Self::Other => Account::Other,
        }
    }
}

/// Where money is, or what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Account {
    Receivable,
    Revenue,
    Tax,
    Tips,
    Cash,
    Card,
    Bank,
    Voucher,
    Other,
    CustomerCredit,
    OverShort,
    /// Cash that went into or came out of a drawer without a sale.
    PettyCash,
}

impl Account {
    const fn word(self) -> &'static str {
        match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::Tax => "tax",
            Self::Tips => "tips",
            Self::Cash => "cash",
            Self::Card => "card",
            Self::Bank => "bank",
            Self::Voucher => "voucher",
            Self::Other => "other",
            Self::CustomerCredit => "customerCredit",
            Self::OverShort => "overShort",
            Self::PettyCash => "pettyCash",
        }
    }
}

/// What a posting is about.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub lead_id: Option<Uuid>,
    pub invoice_id: Option<Uuid>,
    pub payment_id: Option<Uuid>,
    pub sale_id: Option<Uuid>,
    pub shift_id: Option<Uuid>,
}

/// One movement of money.
#[derive(Clone, Debug)]
pub(super) struct Posting {
    currency: String,
    memo: &'static str,
    about: About,
    /// Debits are positive. One sum per account: what cancels out needs no rows.
    sums: BTreeMap<Account, i64>,
}

impl Posting {
    pub(super) fn new(currency: &str, memo: &'static str, about: About) -> Self {
        Self { currency: currency.to_owned(), memo, about, sums: BTreeMap::new() }
    }

    /// Adds to an account.
    pub(super) fn debit(mut self, account: Account, amount: i64) -> Self {
        *self.sums.entry(account).or_default() += amount;
        self
    }

    /// Takes from an account.
    pub(super) fn credit(self, account: Account, amount: i64) -> Self {
        self.debit(account, -amount)
    }
}

/// Writes postings.
///
/// # Errors
/// `ledger_entries_balance` at the commit when one is uneven, which would be a defect.
pub(super) async fn post(tx: &mut TenantTx, now: DateTime<Utc>, postings: &[Posting]) -> DbResult<()> {
    let rows: serde_json::Value = postings
        .iter()
        .flat_map(|posting| {
            let txn = new_id();
            let about = &posting.about;
            posting.sums.iter().filter(|(_, sum)| **sum != 0).map(move |(account, sum)| {
                serde_json::json!({
                    "id": new_id(), "txn_id": txn, "account": account.word(), "debit": sum.max(&0), "credit": (-sum).max(0),
                    "currency": posting.currency, "memo": posting.memo, "lead_id": about.lead_id,
                    "invoice_id": about.invoice_id, "payment_id": about.payment_id, "sale_id": about.sale_id,
                    "shift_id": about.shift_id,
                })
            })
        })
        .collect();
    if rows.as_array().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    sqlx::query!(
        "insert into ledger_entries (tenant_id, id, txn_id, account, debit, credit, currency, lead_id, invoice_id, payment_id,
                                     sale_id, shift_id, memo, at)
         select $1, e.id, e.txn_id, e.account, e.debit, e.credit, e.currency, e.lead_id, e.invoice_id, e.payment_id,
                e.sale_id, e.shift_id, e.memo, $3
           from jsonb_to_recordset($2) as e (id uuid, txn_id uuid, account text, debit bigint, credit bigint, currency text,
                    lead_id uuid, invoice_id uuid, payment_id uuid, sale_id uuid, shift_id uuid, memo text)",
        tx.tenant(),
        rows,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One side of a movement.
#[derive(Clone, Debug, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// The entry.
    pub id: Uuid,
    /// The movement; its entries come out even.
    pub txn_id: Uuid,
    /// `receivable`, `revenue`, `tax`, `tips`, `cash`, `card`, `bank`, `voucher`, `other`, `customerCredit`, `overShort`,
    /// `pettyCash`.
    pub account: String,
    /// Added to the account, minor units.
    pub debit: i64,
    /// Taken from the account, minor units.
    pub credit: i64,
    /// ISO 4217.
    pub currency: String,
    /// The person.
    pub lead_id: Option<Uuid>,
    /// The document.
    pub invoice_id: Option<Uuid>,
    /// The payment or refund.
    pub payment_id: Option<Uuid>,
    /// The sale.
    pub sale_id: Option<Uuid>,
    /// The shift.
    pub shift_id: Option<Uuid>,
    /// What happened.
    pub memo: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What the ledger can be narrowed by.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct LedgerFilter {
    /// Accounts.
    pub account: Vec<String>,
    /// Movements.
    pub txn_id: Vec<Uuid>,
    /// People.
    pub lead_id: Vec<Uuid>,
    /// Documents.
    pub invoice_id: Vec<Uuid>,
    /// Payments.
    pub payment_id: Vec<Uuid>,
    /// Shifts.
    pub shift_id: Vec<Uuid>,
    /// At or after.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for LedgerFilter {
    const SORTS: &'static [SortField] = &[SortField { word: "at", column: "at", kind: SortKind::Time }];

    fn read(params: &mut Params) -> Self {
        let (from, to) = params.range();
        Self {
            account: params.words("account"),
            txn_id: params.ids("txnId"),
            lead_id: params.ids("leadId"),
            invoice_id: params.ids("invoiceId"),
            payment_id: params.ids("paymentId"),
            shift_id: params.ids("shiftId"),
            from,
            to,
        }
    }
}

/// One page of the ledger.
///
/// # Errors
/// When the database refuses.
pub async fn list_entries(tx: &mut TenantTx, query: &ListQuery<LedgerFilter>) -> DbResult<Page<LedgerEntry>> {
    let tenant = tx.tenant();
    let filtered = |head: &str| {
        let mut select = QueryBuilder::new(head);
        select.push("select e.id, e.txn_id, e.account, e.debit, e.credit, e.currency::text, e.lead_id, e.invoice_id, e.payment_id,
                e.sale_id, e.shift_id, e.memo, e.at
           from ledger_entries e where e.tenant_id = ");
        select.push_bind(tenant);
        push_any(&mut select, "e.account", &query.filter.account);
        push_any(&mut select, "e.txn_id", &query.filter.txn_id);
        push_any(&mut select, "e.lead_id", &query.filter.lead_id);
        push_any(&mut select, "e.invoice_id", &query.filter.invoice_id);
        push_any(&mut select, "e.payment_id", &query.filter.payment_id);
        push_any(&mut select, "e.shift_id", &query.filter.shift_id);
        push_range(&mut select, "e.at", (query.filter.from, query.filter.to));
        select
    };
    let mut select = filtered("");
    push_page(&mut select, "e", &query.page);
    let rows = select.build_query_as::<LedgerEntry>().fetch_all(tx.conn()).await?;
    let mut page = query.page.page(rows, |row| Keyset { value: KeysetValue::Time(row.at), id: row.id });
    page.total = total(tx, &query.page, filtered).await?;
    Ok(page)
}
