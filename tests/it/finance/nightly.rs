//! The night.

use futures::future::join_all;
use serde_json::json;
use shared::{
    app::App,
    config::{Config, Needs},
};

use super::{act, invoice, invoice_now, told};
use crate::support::{Tenant, stack};

#[tokio::test]
async fn five_schedulers_at_once_notice_an_overdue_invoice_once() {
    let tenant = Tenant::new().await;
    let late = invoice(&tenant, json!({"dueDate": "2026-01-01"})).await;
    let in_time = invoice(&tenant, json!({"dueDate": "2999-01-01"})).await;
    let apps: Vec<App> = (0..5)
        .map(|_| App::new(Config::from_values(stack().values.clone(), Needs::Worker).unwrap(), 1).unwrap())
        .collect();
    for result in join_all(apps.iter().map(nightly::tick)).await {
        result.unwrap();
    }
    assert_eq!(invoice_now(&tenant, &late).await["status"], "overdue");
    assert_eq!(invoice_now(&tenant, &in_time).await["status"], "finalized");
    assert_eq!(told(&tenant, "invoice.overdue").await, 1);
    act(&tenant, &late, "payments", json!({"amount": 1_000, "tender": "cash"})).await.expect(201);
    assert_eq!(invoice_now(&tenant, &late).await["status"], "overdue");
    act(&tenant, &late, "payments", json!({"amount": 9_000, "tender": "cash"})).await.expect(201);
    assert_eq!(invoice_now(&tenant, &late).await["status"], "paid");
}
