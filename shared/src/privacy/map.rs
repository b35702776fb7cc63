//! The map: of every table, whose its rows are and what becomes of them.
//!
//! It is the one place that knows. The archive and the erasure both walk it, and [`super::violations`] holds it against the
//! schema: a table that is missing here, or a column that can hold text and is not spoken of, fails a test until somebody
//! has decided. The order matters where rows go: what is found through a row comes before it.
//!
//! Conditions and expressions have six parameters: `$1` the tenant, `$2` the leads, `$3` the needles (addresses in lower case, for
//! text that no reference leads to), `$4` the visitors, `$5` the sealed answer that says "gone", `$6` the telephone numbers as
//! text may spell them (see [`super::subject`]).

/// What erasure does to a row.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// It goes.
    Removed,
    /// It stays to be counted, or because the law wants it: these columns become these expressions.
    Emptied(&'static [(&'static str, &'static str)]),
    /// It stays as it is.
    Kept,
}

/// Rows of one table that share a fate.
pub(super) struct Part {
    /// The table.
    pub(super) table: &'static str,
    /// Which rows are a person's, as a condition over `t`.
    pub(super) rows: &'static str,
    /// What becomes of them.
    pub(super) end: End,
    /// Columns that can hold text and stay as they are: words of ours, of the business or of a program, or kept by law.
    pub(super) stays: &'static [&'static str],
    /// Columns that the archive leaves out: secrets, and what may tell of other people.
    pub(super) hidden: &'static [&'static str],
    /// Whether the rows are in the archive at all.
    pub(super) archived: bool,
}

const fn removed(table: &'static str, rows: &'static str) -> Part {
    Part { table, rows, end: End::Removed, stays: &[], hidden: &[], archived: true }
}

const fn emptied(
    table: &'static str,
    rows: &'static str,
    columns: &'static [(&'static str, &'static str)],
    stays: &'static [&'static str],
) -> Part {
    Part { table, rows, end: End::Emptied(columns), stays, hidden: &[], archived: true }
}

const fn kept(table: &'static str, rows: &'static str, stays: &'static [&'static str]) -> Part {
    Part { table, rows, end: End::Kept, stays, hidden: &[], archived: true }
}

impl Part {
    const fn hiding(self, hidden: &'static [&'static str]) -> Self {
        Self { hidden, ..self }
    }

    const fn unarchived(self) -> Self {
        Self { archived: false, ..self }
    }
}

const OF_LEAD: &str = "t.lead_id = any($2)";
const OF_INVOICE: &str =
    "t.invoice_id in (select i.id from invoices i where i.tenant_id = $1 and i.lead_id = any($2))";
const OF_RUN: &str =
    "t.run_id in (select r.id from automation_runs r where r.tenant_id = $1 and r.lead_id = any($2))";
/// Nothing but its text says whose the row is: an address stands in it, or a number with whatever people put between its digits. The
/// text is read once, and a number looked at closely only where its last digits follow each other.
macro_rules! names {
    ($text:literal) => {
        concat!(
            "exists (select from (select s.text, translate(replace(s.text, '%20', ''), ' -+()/.', '') as digits
                                    from (select lower(",
            $text,
            ") as text offset 0) s offset 0) s
                      where exists (select from unnest($3) as n (needle) where strpos(s.text, n.needle) > 0)
                         or exists (select from unnest($6) as n (number)
                                     where strpos(s.digits, split_part(n.number, ' ', 1)) > 0
                                       and s.text ~ split_part(n.number, ' ', 2)))"
        )
    };
}
/// The row hangs on a job that was ended because it named the person, or whose file did.
macro_rules! of_ended_job {
    () => {
        "t.job_id in (select j.id from jobs j where j.tenant_id = $1 and j.error_code = 'person_erased')"
    };
}
/// A draft is nobody's document yet; a till receipt needs no buyer (§ 33 UStDV). The other documents keep theirs, sealed.
const MONEY: &[(&str, &str)] = &[("memo", "null"), ("billing", "t.billing - 'buyer'")];

/// Every part of every table that is about people who are leads; the rest is in [`super::others`].
pub(super) const PARTS: &[Part] = &[
    // What is found through something that goes, or through text.
    removed(
        "sandbox_deliveries",
        concat!(
            "t.idem_key in (select e.idem_key from effects e join messages m on m.tenant_id = $1 and m.id = e.message_id
                             where e.tenant_id = $1 and m.lead_id = any($2)) or ",
            names!("t.recipient")
        ),
    ),
    removed(
        "effects",
        "t.message_id in (select m.id from messages m where m.tenant_id = $1 and m.lead_id = any($2))
         or t.run_id in (select r.id from automation_runs r where r.tenant_id = $1 and r.lead_id = any($2))",
    )
    .hiding(&["payload", "request_sha256"]),
    emptied(
        "webhook_deliveries",
        "t.event_id in (select e.id from events e where e.tenant_id = $1 and e.lead_id = any($2))",
        &[
            ("response_excerpt", "null"),
            ("error_detail", "null"),
            ("history", "'[]'"),
            ("error_code", "case when t.state in ('pending', 'delivering') then 'person_erased' else t.error_code end"),
            ("state", "case when t.state in ('pending', 'delivering') then 'failed' else t.state end"),
            ("lease_epoch", "t.lease_epoch + 1"),
            ("lease_until", "null"),
        ],
        &[],
    )
    .hiding(&["response_excerpt"]),
    // Answers are sealed, so nobody can look whom they name: all of the last day are gone, but for those about accounts. A repeat has no
    // second effect all the same.
    emptied(
        "idempotency_keys",
        "t.route !~ '^POST /api/(auth|me|users|api-keys|tenant)'",
        &[("status", "410"), ("headers", r#"'{"content-type": "application/problem+json"}'"#), ("body", "$5")],
        &["caller", "route", "key", "body_hash"],
    )
    .unarchived(),
    // A file cannot be read on when a part of it is gone, so a job with such a file ends, and a written one goes whole. Uploads are cut
    // anywhere, hence the look into the next part.
    emptied(
        "jobs",
        concat!(
            names!("concat_ws(' ', t.params, t.cursor, t.result, t.error_detail)"),
            " or exists (select from job_parts p
                          left join job_parts n on n.tenant_id = $1 and n.job_id = p.job_id and n.role = p.role and n.part = p.part + 1
                         where p.tenant_id = $1 and p.job_id = t.id and ",
            names!("encode(p.content || coalesce(substr(n.content, 1, 400), ''), 'escape')"),
            ")"
        ),
        &[
            ("params", "jsonb_build_object('actor', t.params -> 'actor', 'request', jsonb_strip_nulls(jsonb_build_object(
                            'format', t.params -> 'request' -> 'format', 'dryRun', t.params -> 'request' -> 'dryRun')))"),
            ("cursor", "null"),
            ("result", "null"),
            ("checksum", "null"),
            ("error_code", "case when t.finished_at is null or (t.kind = 'export' and t.status = 'completed') then 'person_erased'
                                 else t.error_code end"),
            ("error_detail", "case when t.finished_at is null then 'The job named a person who has been erased, so it was ended.'
                                   when t.kind = 'export' and t.status = 'completed'
                                   then 'The file was about a person who has been erased, so it is no longer kept.' end"),
            ("status", "case when t.finished_at is null then 'cancelled' else t.status end"),
            ("finished_at", "coalesce(t.finished_at, now())"),
            ("lease_epoch", "t.lease_epoch + 1"),
        ],
        &["kind"],
    )
    .unarchived(),
    removed("job_parts", concat!(of_ended_job!(), " or ", names!("encode(t.content, 'escape')"))).unarchived(),
    emptied("job_errors", names!("concat_ws(' ', t.value, t.detail)"), &[("value", "null"), ("detail", "null")], &["column_name", "code"])
        .unarchived(),
    // A rehearsed import remembers whom it would have made; the others of the file are none of this person's business.
    removed("job_drafts", concat!("t.lead_id = any($2) or ", of_ended_job!(), " or ", names!("concat_ws(' ', t.key, t.state)")))
        .unarchived(),
    removed("job_leads", concat!("t.lead_id = any($2) or ", of_ended_job!())).unarchived(),
    emptied(
        "webhook_receipts",
        concat!(
            "t.id in (select r.receipt_id from webhook_receipt_leads r where r.tenant_id = $1 and r.lead_id = any($2))
             or ((t.raw is not null or t.canonical is not null) and ",
            names!("concat_ws(' ', encode(t.raw, 'escape'), t.canonical, t.query)"),
            ")"
        ),
        &[
            ("raw", "null"),
            ("raw_purged_at", "coalesce(t.raw_purged_at, now())"),
            ("body_sha256", "''"),
            ("canonical", "null"),
            ("headers", "'{}'"),
            ("query", "''"),
            ("error_detail", "null"),
            ("error_code", "case when t.status = 'received' then 'person_erased' else t.error_code end"),
            ("status", "case when t.status = 'received' then 'ignored' else t.status end"),
            ("lease_epoch", "t.lease_epoch + 1"),
        ],
        // Ids that the provider gave: a second delivery must still be known as one.
        &["provider", "provider_event_id", "delivery_key"],
    )
    // One body may tell of several people. What it said about this one stands in activities, messages and payments.
    .hiding(&["raw", "headers", "query", "canonical", "body_sha256", "error_detail"]),
    removed("webhook_receipt_leads", OF_LEAD),
    // What automations did and what was told.
    emptied(
        "automation_run_steps",
        OF_RUN,
        &[("input", "null"), ("output", "null"), ("error_message", "null"),
          ("status", "case when t.status in ('pending', 'running', 'waiting') then 'skipped' else t.status end")],
        &["step_id", "type", "error_code"],
    ),
    emptied(
        "automation_runs",
        OF_LEAD,
        &[
            ("context", "'{}'"),
            ("error_message", "null"),
            ("entry_key", "'erased:' || t.id"),
            ("finished_at", "coalesce(t.finished_at, now())"),
            ("wake_at", "null"),
            ("wait_event", "null"),
            ("lease_epoch", "t.lease_epoch + 1"),
            ("lease_until", "null"),
            ("status", "case when t.status in ('queued', 'running', 'waiting', 'attention') then 'cancelled' else t.status end"),
        ],
        &["current_step", "wake_kind", "error_code", "error_step", "skip_reason", "exit_reason"],
    ),
    emptied(
        "events",
        concat!("t.lead_id = any($2) or (t.lead_id is null and ", names!("concat_ws(' ', t.payload, t.previous)"), ")"),
        &[("payload", "'{}'"), ("previous", "null"), ("dedupe_key", "t.id::text")],
        &["type", "subject_kind", "source"],
    ),
    removed("notifications", OF_LEAD),
    // What was said.
    emptied(
        "messages",
        OF_LEAD,
        &[
            ("to_address", "null"),
            ("from_address", "null"),
            ("subject", "null"),
            ("body", "null"),
            ("html_body", "null"),
            ("attachments", "'[]'"),
            ("provider_ref", "null"),
            ("email_message_id", "null"),
            ("in_reply_to", "null"),
            ("dedupe_key", "null"),
            ("verdicts", "'[]'"),
            ("history", "'[]'"),
            ("failure", "null"),
            ("body_purged_at", "now()"),
            ("status", "case when t.status in ('scheduled', 'deferred', 'queued', 'sending') then 'canceled' else t.status end"),
        ],
        &["direction", "channel", "purpose", "provider"],
    ),
    emptied(
        "conversations",
        OF_LEAD,
        &[
            ("thread_key", "t.id::text"),
            ("reply_token", "null"),
            ("subject", "null"),
            ("unread_count", "0"),
            ("snoozed_until", "null"),
            ("first_response_due_at", "null"),
            ("status", "'closed'"),
        ],
        &["channel", "priority"],
    )
    .hiding(&["reply_token"]),
    emptied(
        "activities",
        OF_LEAD,
        &[("title", "null"), ("body", "null"), ("data", "'{}'"), ("dedupe_key", "null")],
        &["kind", "actor_kind"],
    ),
    removed("consents", OF_LEAD),
    // Health.
    removed("metric_days", OF_LEAD),
    removed("metrics", OF_LEAD),
    removed("metric_goals", OF_LEAD),
    removed("metric_sources", OF_LEAD),
    // The website. The counts stay, without a way back to whoever was counted.
    emptied(
        "cta_events",
        "t.lead_id = any($2) or (t.lead_id is null and t.visitor_id = any($4))",
        &[("visitor_id", "null"), ("visitor_hash", "null"), ("page", "null"), ("referrer", "null"), ("utm", "'{}'"), ("click_ids", "'{}'")],
        // `event_id` is chosen by the sender's program to recognise the event when it comes again.
        &["event_id", "surface", "cta_id", "kind", "variant", "device"],
    ),
    // Money. What § 14 UStG wants on a document stays: number, dates, amounts, taxes, what was sold.
    removed("one_time_tokens", "t.lead_id = any($2) or t.subject_id in (select i.id from invoices i where i.tenant_id = $1 and i.lead_id = any($2))")
        .hiding(&["hash", "payload"]),
    kept("invoice_lines", OF_INVOICE, &["description", "taxes"]),
    removed("invoices", "t.lead_id = any($2) and t.status = 'draft'").unarchived(),
    emptied(
        "invoices",
        OF_LEAD,
        MONEY,
        &["kind", "number", "status", "dedupe_key", "currency", "rounding", "tax_summary", "buyer_sealed"],
    )
    .hiding(&["buyer_sealed"]),
    emptied(
        "subscriptions",
        OF_LEAD,
        &[("name", "''"), ("next_invoice_on", "null"), ("canceled_at", "coalesce(t.canceled_at, now())"),
          ("status", "case when t.status = 'expired' then t.status else 'canceled' end")],
        &["interval_unit", "currency"],
    ),
    emptied("packs", OF_LEAD, &[("name", "''"), ("expired_at", "coalesce(t.expired_at, now())")], &[]),
    kept("pos_sales", OF_LEAD, &["kind", "client_sale_id", "currency", "tenders", "status"]),
    emptied(
        "payments",
        OF_LEAD,
        &[("reference", "null"), ("reason", "null"), ("failure", "null")],
        // The provider's id of a payment is the voucher of its entry.
        &["kind", "status", "tender", "currency", "provider", "provider_ref"],
    ),
    kept(
        "payment_allocations",
        OF_INVOICE,
        &[],
    ),
    // Append-only; its memos are words of ours.
    kept("ledger_entries", OF_LEAD, &["account", "currency", "memo"]),
    // The person.
    removed("segment_members", OF_LEAD),
    removed("lead_field_values", OF_LEAD),
    removed("lead_identities", OF_LEAD),
    // A snapshot of a merge that was undone tells of another person.
    removed("lead_merges", "t.survivor_id = any($2) or t.absorbed_id = any($2)").hiding(&["snapshot"]),
    emptied(
        "leads",
        "t.id = any($2)",
        &[
            ("first_name", "null"),
            ("last_name", "null"),
            ("email", "null"),
            ("phone", "null"),
            ("won_reason", "null"),
            ("lost_reason", "null"),
            ("tags", "'{}'"),
            ("custom_fields", "'{}'"),
            ("score", "0"),
            ("score_given", "0"),
            ("score_parts", "'[]'"),
            ("timezone", "null"),
            ("locale", "null"),
            ("first_touch", "null"),
            ("last_touch", "null"),
            ("merged_into_id", "null"),
            ("deleted_at", "coalesce(t.deleted_at, now())"),
            ("erased_at", "coalesce(t.erased_at, now())"),
        ],
        &["status", "source", "currency"],
    )
    .hiding(&["search_text", "sort_name", "activity_at"]),
    // Entries hold ids and hashes, so that the chain outlives the person.
    kept(
        "audit_log",
        "t.object_kind = 'lead' and t.object_id = any($2::text[])",
        &["actor_kind", "action", "object_kind", "object_id", "before", "after", "request_id", "prev_hash", "hash"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emptied_does_not_stay() {
        for part in PARTS {
            if let End::Emptied(columns) = part.end {
                for (column, _) in columns {
                    assert!(!part.stays.contains(column), "{}.{column} is emptied and stays", part.table);
                }
            }
        }
    }
}
