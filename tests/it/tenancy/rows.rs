//! The matrix's rows: a valid body for each route, and where a foreign id goes.
//!
//! `$lead` and the like stand for the id of the neighbour's row of that kind (`neighbour.rs`), or for one that nobody has.

use serde_json::Value;

/// What the matrix needs to know of a route.
#[derive(Clone, Copy)]
pub struct Row {
    /// The route's operation id.
    pub operation: &'static str,
    /// Kinds of the ids in the path, outer first.
    pub path_ids: &'static [&'static str],
    /// A query string with a `$id` in it, and the kind that it stands for.
    pub query: &'static str,
    /// The kind of the query's `$id`.
    pub query_id: &'static str,
    body: &'static str,
}

impl Row {
    /// Whether a foreign id can be put anywhere.
    pub fn names_a_row(&self) -> bool {
        !self.path_ids.is_empty() || !self.query.is_empty() || self.body.contains('$')
    }

    /// The body with the ids put in.
    pub fn body_with(&self, id: &dyn Fn(&str) -> String) -> Option<Value> {
        if self.body.is_empty() {
            return None;
        }
        let mut parts = self.body.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let kind: String = part.chars().take_while(char::is_ascii_alphabetic).collect();
            text.push_str(&id(&kind));
            text.push_str(&part[kind.len()..]);
        }
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.operation)))
    }
}

const fn row(operation: &'static str, path_ids: &'static [&'static str], body: &'static str) -> Row {
    Row { operation, path_ids, query: "", query_id: "", body }
}

const fn query(operation: &'static str, query: &'static str, query_id: &'static str) -> Row {
    Row { operation, path_ids: &[], query, query_id, body: "" }
}

/// Every guarded route.
pub fn all() -> Vec<Row> {
    [ACCOUNTS, LEADS, MESSAGES, AUTOMATIONS, FINANCE, WELLNESS, WEBHOOKS, ANALYTICS].concat()
}

const ACCOUNTS: &[Row] = &[
    row("get_me", &[], ""),
    row("update_me", &[], r#"{"name":"Me"}"#),
    row("get_tenant", &[], ""),
    row("update_tenant", &[], r#"{"name":"Ours"}"#),
    row(
        "change_password",
        &[],
        r#"{"currentPassword":"not the password","newPassword":"a new one, and long"}"#,
    ),
    row("change_email", &[], r#"{"email":"changed@example.com"}"#),
    row("reauthenticate", &[], r#"{"password":"not the password"}"#),
    row("enrol_mfa", &[], ""),
    row("delete_mfa", &[], ""),
    row("renew_recovery_codes", &[], r#"{"code":"000000"}"#),
    row("delete_tenant", &[], ""),
    row("list_users", &[], ""),
    row("create_user", &[], r#"{"name":"New","email":"new@example.com","role":"staff"}"#),
    row("invite_user", &[], r#"{"email":"invited@example.com","role":"staff"}"#),
    row("update_user", &["user"], r#"{"name":"Changed"}"#),
    row("delete_user", &["user"], ""),
    row("resend_invite", &["user"], ""),
    row("delete_user_mfa", &["user"], ""),
    row("list_api_keys", &[], ""),
    row("create_api_key", &[], r#"{"name":"Key","kind":"secret","scopes":["leads:read"]}"#),
    row("delete_api_key", &["key"], ""),
    row("list_sessions", &[], ""),
    row("delete_session", &["session"], ""),
    row("logout_everywhere", &[], ""),
    row("list_audit", &[], ""),
    row("verify_audit", &[], ""),
];

const LEADS: &[Row] = &[
    query("list_leads", "segmentId=$id", "segment"),
    row("create_lead", &[], r#"{"firstName":"Foreign","ownerId":"$user"}"#),
    row("create_leads", &[], r#"{"items":[{"firstName":"Foreign","ownerId":"$user"}]}"#),
    row("upsert_lead", &[], r#"{"email":"foreign@example.com","ownerId":"$user"}"#),
    row("get_lead", &["lead"], ""),
    row("update_lead", &["lead"], r#"{"firstName":"Changed"}"#),
    row("delete_lead", &["lead"], ""),
    row("restore_lead", &["lead"], ""),
    row("export_lead", &["lead"], ""),
    row("erase_lead", &["lead"], ""),
    row("assign_lead", &["lead"], r#"{"ownerId":"$user"}"#),
    row("move_lead", &["lead"], r#"{"stageId":"$stage"}"#),
    row("add_tags", &["lead"], r#"{"tags":["changed"]}"#),
    row("remove_tags", &["lead"], r#"{"tags":["changed"]}"#),
    row("list_activities", &["lead"], ""),
    row("create_activity", &["lead"], r#"{"kind":"note","body":"Changed"}"#),
    query("list_all_activities", "leadId=$id", "lead"),
    row("get_activity", &["activity"], ""),
    row("update_activity", &["activity"], r#"{"body":"Changed"}"#),
    row("delete_activity", &["activity"], ""),
    row("list_timeline", &["lead"], ""),
    row("list_lead_conversations", &["lead"], ""),
    row("list_identities", &["lead"], ""),
    row("create_identity", &["lead"], r#"{"kind":"email","value":"second@example.com"}"#),
    row("update_identity", &["lead", "identity"], r#"{"verified":true}"#),
    row("delete_identity", &["lead", "identity"], ""),
    row("list_consents", &["lead"], ""),
    row("create_consent", &["lead"], r#"{"channel":"email","purpose":"marketing","state":"granted"}"#),
    row("list_pipelines", &[], ""),
    row("create_pipeline", &[], r#"{"name":"Sales","stages":[{"name":"First"}]}"#),
    row("get_pipeline", &["pipeline"], ""),
    row("update_pipeline", &["pipeline"], r#"{"name":"Changed"}"#),
    row("delete_pipeline", &["pipeline"], ""),
    row("get_board", &["pipeline"], ""),
    row("list_custom_fields", &[], ""),
    row("create_custom_field", &[], r#"{"entity":"lead","key":"nickname","label":"Nickname","type":"text"}"#),
    row("get_custom_field", &["customField"], ""),
    row("update_custom_field", &["customField"], r#"{"label":"Changed"}"#),
    row("delete_custom_field", &["customField"], ""),
    row("import_leads", &[], ""),
    query("export_leads", "segmentId=$id", "segment"),
    query("export_leads_as_job", "segmentId=$id", "segment"),
    row(
        "change_leads",
        &[],
        r#"{"op":"assignOwner","filter":{"segmentId":"$segment"},"params":{"ownerId":"$user"}}"#,
    ),
    row("list_jobs", &[], ""),
    row("get_job", &["job"], ""),
    row("list_job_errors", &["job"], ""),
    row("cancel_job", &["job"], ""),
    row("start_job", &["job"], ""),
    row("put_job_part", &["job"], ""),
    row("get_job_part", &["job"], ""),
    row("list_duplicates", &[], ""),
    row(
        "merge_leads",
        &[],
        r#"{"survivorId":"$lead","absorbedIds":["0198a000-0000-7000-8000-00000000beef"]}"#,
    ),
    row("unmerge_lead", &["lead"], r#"{"absorbedId":"$lead"}"#),
    row("list_segments", &[], ""),
    row("create_segment", &[], r#"{"name":"New","conditions":{"field":"status","op":"eq","value":"new"}}"#),
    row("preview_segment", &[], r#"{"conditions":{"field":"status","op":"eq","value":"new"}}"#),
    row("get_segment", &["segment"], ""),
    row("update_segment", &["segment"], r#"{"name":"Changed"}"#),
    row("delete_segment", &["segment"], ""),
    row("get_lead_score", &["lead"], ""),
];

const MESSAGES: &[Row] = &[
    row("send_message", &[], r#"{"leadId":"$lead","channel":"email","body":"Hello"}"#),
    row("preflight_message", &[], r#"{"leadId":"$lead","channel":"email","body":"Hello"}"#),
    query("list_messages", "leadId=$id", "lead"),
    row("list_sandbox_deliveries", &[], ""),
    row("get_message", &["message"], ""),
    row("reschedule_message", &["message"], r#"{"sendAt":"2199-01-01T00:00:00Z"}"#),
    row("cancel_message", &["message"], ""),
    row("retry_message", &["message"], ""),
    query("list_conversations", "leadId=$id", "lead"),
    row("get_conversation", &["conversation"], ""),
    row("update_conversation", &["conversation"], r#"{"status":"closed"}"#),
    row("list_conversation_messages", &["conversation"], ""),
    row("create_conversation_message", &["conversation"], r#"{"body":"Hello"}"#),
    row("create_conversation_note", &["conversation"], r#"{"body":"Hello"}"#),
    row("read_conversation", &["conversation"], ""),
    row("list_templates", &[], ""),
    row("create_template", &[], r#"{"name":"Hello","channel":"sms","body":"Hello"}"#),
    row("get_template", &["template"], ""),
    row("update_template", &["template"], r#"{"name":"Hello"}"#),
    row("delete_template", &["template"], ""),
    row("render_template", &["template"], "{}"),
    row("list_connections", &[], ""),
    row("create_connection", &[], r#"{"channel":"inApp","provider":"sandbox","name":"Ours"}"#),
    row("get_connection", &["connection"], ""),
    row("update_connection", &["connection"], r#"{"name":"Ours"}"#),
    row("delete_connection", &["connection"], ""),
    row("test_connection", &["connection"], ""),
    row("list_notifications", &[], ""),
    row("read_notifications", &[], "{}"),
];

const AUTOMATIONS: &[Row] = &[
    row("list_automations", &[], ""),
    row(
        "create_automation",
        &[],
        r#"{"name":"New","trigger":{"type":"manual"},"steps":[{"id":"end","type":"exit"}]}"#,
    ),
    row("get_automation", &["automation"], ""),
    row("update_automation", &["automation"], r#"{"name":"Changed"}"#),
    row("delete_automation", &["automation"], ""),
    row("validate_automation", &["automation"], ""),
    row("publish_automation", &["automation"], "{}"),
    row("pause_automation", &["automation"], "{}"),
    row("resume_automation", &["automation"], "{}"),
    row("execute_automation", &["automation"], r#"{"segmentId":"$segment"}"#),
    row("list_automation_versions", &["automation"], ""),
    row("get_automation_stats", &["automation"], ""),
    row("list_runs_of_automation", &["automation"], ""),
    row("get_automation_catalog", &[], ""),
    query("list_runs", "automationId=$id", "automation"),
    row("get_run", &["run"], ""),
    row("cancel_run", &["run"], "{}"),
    row("retry_run", &["run"], "{}"),
    row("list_assignment_policies", &[], ""),
    row("create_assignment_policy", &[], r#"{"name":"Turns","members":[{"userId":"$user"}]}"#),
    row("get_assignment_policy", &["policy"], ""),
    row("update_assignment_policy", &["policy"], r#"{"name":"Changed"}"#),
    row("delete_assignment_policy", &["policy"], ""),
    row("get_availability", &["user"], ""),
    row("set_availability", &["user"], r#"{"awayUntil":"2199-01-01T00:00:00Z"}"#),
    row("get_scoring", &[], ""),
    row(
        "set_scoring",
        &[],
        r#"{"rules":[{"reason":"New","points":1,"condition":{"field":"status","op":"eq","value":"new"}}]}"#,
    ),
];

const FINANCE: &[Row] = &[
    row("calculate_totals", &[], r#"{"lines":[{"itemId":"$item","quantity":"1","taxRateIds":["$tax"]}]}"#),
    row("list_tax_rates", &[], ""),
    row("create_tax_rate", &[], r#"{"name":"VAT","rate":"19"}"#),
    row("get_tax_rate", &["tax"], ""),
    row("update_tax_rate", &["tax"], r#"{"name":"Changed"}"#),
    row("delete_tax_rate", &["tax"], ""),
    row("list_catalog_items", &[], ""),
    row("create_catalog_item", &[], r#"{"name":"Foreign","unitPrice":100,"taxRateIds":["$tax"]}"#),
    row("get_catalog_item", &["item"], ""),
    row("update_catalog_item", &["item"], r#"{"name":"Changed"}"#),
    row("delete_catalog_item", &["item"], ""),
    row("list_invoices", &[], ""),
    row(
        "create_invoice",
        &[],
        r#"{"leadId":"$lead","lines":[{"description":"Foreign","quantity":"1","unitPrice":100}]}"#,
    ),
    row("get_invoice", &["invoice"], ""),
    row("update_invoice", &["draft"], r#"{"memo":"Changed"}"#),
    row("delete_invoice", &["draft"], ""),
    row("finalize_invoice", &["draft"], ""),
    row("void_invoice", &["invoice"], ""),
    row("get_invoice_buyer", &["invoice"], ""),
    row("create_credit_note", &["invoice"], r#"{"lines":[{"lineId":"$invoiceLine","quantity":"1"}]}"#),
    row("pay_invoice", &["invoice"], r#"{"amount":100,"tender":"cash"}"#),
    row("list_payments", &[], ""),
    row("create_payment", &[], r#"{"leadId":"$lead","amount":100,"tender":"cash"}"#),
    row("get_payment", &["payment"], ""),
    row("refund_payment", &["payment"], r#"{"amount":100}"#),
    row("allocate_payment", &["payment"], r#"{"allocations":[{"invoiceId":"$invoice","amount":100}]}"#),
    row("list_shifts", &[], ""),
    row("open_shift", &[], r#"{"registerKey":"front","openFloat":0}"#),
    row("get_shift", &["shift"], ""),
    row("create_movement", &["shift"], r#"{"kind":"paidIn","amount":100}"#),
    row("end_shift", &["shift"], ""),
    row("close_shift", &["shift"], r#"{"countedCash":0}"#),
    row("list_sales", &[], ""),
    row(
        "create_sale",
        &[],
        r#"{"shiftId":"$shift","lines":[{"description":"Foreign","quantity":"1","unitPrice":100}],"tenders":[{"tender":"cash","amount":100}]}"#,
    ),
    row("get_sale", &["sale"], ""),
    row("get_receipt", &["sale"], ""),
    row("return_sale", &["sale"], r#"{"lines":[{"lineId":"$saleLine","quantity":"1"}]}"#),
    row("get_takings", &[], ""),
    row("get_revenue", &[], ""),
    row("get_taxes", &[], ""),
    row("get_aging", &[], ""),
    row("list_ledger", &[], ""),
    row("check_integrity", &[], ""),
];

const WELLNESS: &[Row] = &[
    row("list_metric_types", &[], ""),
    row("get_wellness_summary", &[], ""),
    row("list_metrics", &[], ""),
    row(
        "create_metric",
        &[],
        r#"{"leadId":"$lead","type":"steps","value":1,"unit":"count","startAt":"2026-01-01T08:00:00Z"}"#,
    ),
    row(
        "create_metrics",
        &[],
        r#"{"items":[{"leadId":"$lead","type":"steps","value":1,"unit":"count","startAt":"2026-01-01T08:00:00Z"}]}"#,
    ),
    row("get_metric", &["metric"], ""),
    row("update_metric", &["metric"], r#"{"value":1}"#),
    row("delete_metric", &["metric"], ""),
    row("list_goals", &[], ""),
    row("create_goal", &[], r#"{"leadId":"$lead","type":"steps","target":1}"#),
    row("get_goal", &["goal"], ""),
    row("update_goal", &["goal"], r#"{"target":1}"#),
    row("delete_goal", &["goal"], ""),
];

const WEBHOOKS: &[Row] = &[
    row("list_events", &[], ""),
    row("list_webhook_sources", &[], ""),
    row("create_webhook_source", &[], r#"{"provider":"forms","name":"Form"}"#),
    row("get_webhook_source", &["source"], ""),
    row("update_webhook_source", &["source"], r#"{"name":"Changed"}"#),
    row("delete_webhook_source", &["source"], ""),
    row("rotate_webhook_source", &["source"], r#"{"secret":"whsec_0123456789abcdef0123456789abcdef"}"#),
    query("list_webhook_receipts", "sourceId=$id", "source"),
    row("get_webhook_receipt", &["receipt"], ""),
    row("replay_webhook_receipt", &["receipt"], ""),
    row("list_webhook_endpoints", &[], ""),
    row("create_webhook_endpoint", &[], r#"{"url":"https://example.com/hook","events":["lead.*"]}"#),
    row("get_webhook_endpoint", &["endpoint"], ""),
    row("update_webhook_endpoint", &["endpoint"], r#"{"description":"Changed"}"#),
    row("delete_webhook_endpoint", &["endpoint"], ""),
    row("list_webhook_deliveries", &["endpoint"], ""),
    row("redeliver_webhook_deliveries", &["endpoint"], r#"{}"#),
    row("rotate_webhook_endpoint", &["endpoint"], r#"{}"#),
    row("test_webhook_endpoint", &["endpoint"], ""),
];

const ANALYTICS: &[Row] = &[
    row("list_cta_events", &[], ""),
    row(
        "record_cta",
        &[],
        r#"{"eventId":"foreign","surface":"page","ctaId":"button","kind":"click","leadId":"$lead"}"#,
    ),
    row("get_cta_summary", &[], ""),
    row("get_cta_funnel", &[], ""),
    row("export_cta_events", &[], ""),
    row("get_overview", &[], ""),
];
