//! Logs: one JSON object a line, ids only, never personal data.
//!
//! A request writes exactly one line of its own. In Lambda that line is also a CloudWatch metric in the Embedded
//! Metric Format, so measuring costs no call.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::{clock, ids::TenantId};

/// The crates of this workspace that log.
const OURS: [&str; 12] = [
    "shared",
    "auth",
    "webhooks",
    "ingest_receipts",
    "run_automations",
    "send_messages",
    "deliver_webhooks",
    "run_jobs",
    "sweep",
    "nightly",
    "migrate",
    "local",
];

static EMF: AtomicBool = AtomicBool::new(false);

/// Starts logging for Lambda: JSON lines on standard output, requests as metrics.
pub fn init_lambda(level: &str) {
    EMF.store(true, Ordering::Relaxed);
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter(level));
    // A second call (a test that starts twice) keeps the first subscriber.
    drop(subscriber.try_init());
}

/// Starts logging for people at a terminal.
pub fn init_terminal(level: &str) {
    let subscriber = tracing_subscriber::fmt().compact().with_target(false).with_env_filter(filter(level));
    drop(subscriber.with_writer(std::io::stderr).try_init());
}

/// The level is for our own crates. Libraries write whole events and statements at theirs, and those tell of people.
fn filter(level: &str) -> EnvFilter {
    let ours = OURS.iter().map(|target| format!("{target}={level}"));
    EnvFilter::new(std::iter::once("warn".to_owned()).chain(ours).collect::<Vec<_>>().join(","))
}

/// What is said of a request.
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a str,
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    pub(crate) request_id: &'a str,
    pub(crate) tenant: Option<TenantId>,
}

/// Writes the request's line.
pub(crate) fn request_line(line: &RequestLine<'_>) {
    let millis = line.duration.as_secs_f64() * 1000.0;
    let tenant = line.tenant.map(|tenant| tenant.to_string());
    if !EMF.load(Ordering::Relaxed) {
        tracing::debug!(line.method, line.route, line.status, millis, line.request_id, tenant, "request");
        return;
    }
    let failed = u8::from(line.status >= 500);
    let text = json!({
        "_aws": {
            "Timestamp": clock::now().timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": "Wellspring",
                "Dimensions": [["route"]],
                "Metrics": [{"Name": "durationMs", "Unit": "Milliseconds"}, {"Name": "failed", "Unit": "Count"}],
            }],
        },
        "level": "INFO", "message": "request",
        "method": line.method, "route": format!("{} {}", line.method, line.route), "status": line.status,
        "durationMs": millis, "failed": failed, "requestId": line.request_id, "tenantId": tenant,
    });
    // Losing a log line must not fail the request.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
