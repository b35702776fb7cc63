//! Payments, credit and refunds.

use futures::future::join_all;
use serde_json::json;

use super::{act, adds_up, invoice, invoice_now, told};
use crate::support::Tenant;

#[tokio::test]
async fn an_invoice_is_paid_in_parts_and_what_is_too_much_is_credit_for_the_next() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let first = invoice(&tenant, json!({"leadId": lead["id"]})).await;
    let part = act(&tenant, &first, "payments", json!({"amount": 6_000, "tender": "bank"})).await.expect(201);
    assert_eq!((&part["applied"], &part["unapplied"]), (&json!(6_000), &json!(0)));
    let now = invoice_now(&tenant, &first).await;
    assert_eq!((&now["status"], &now["balance"]), (&json!("partiallyPaid"), &json!(4_000)));
    act(&tenant, &first, "void", json!({})).await.expect_problem(409, "has_payments");
    let over = act(&tenant, &first, "payments", json!({"amount": 9_000, "tender": "card"})).await.expect(201);
    assert_eq!((&over["applied"], &over["unapplied"]), (&json!(4_000), &json!(5_000)));
    assert_eq!(invoice_now(&tenant, &first).await["status"], "paid");
    assert_eq!((told(&tenant, "invoice.paid").await, told(&tenant, "payment.received").await), (1, 2));

    let second = invoice(&tenant, json!({"leadId": lead["id"]})).await;
    let third = invoice(&tenant, json!({"leadId": lead["id"]})).await;
    let share = |amount: i64| json!({"allocations": [{"invoiceId": second["id"], "amount": amount}]});
    act(&tenant, &over, "allocate", share(5_001))
        .await
        .expect_invalid("/allocations/0/amount", "exceeds_unapplied");
    let left = act(&tenant, &over, "allocate", share(2_000)).await.expect(200);
    assert_eq!(left["unapplied"], 3_000);
    let credit = |amount: i64| json!({"amount": amount, "tender": "credit"});
    act(&tenant, &third, "payments", credit(3_001)).await.expect_problem(409, "insufficient_credit");
    act(&tenant, &third, "payments", credit(3_000)).await.expect(201);
    assert_eq!(invoice_now(&tenant, &third).await["balance"], 7_000);

    let unapplied = json!({"leadId": lead["id"], "amount": 500, "tender": "cash", "currency": "EUR"});
    let unapplied = tenant.post("/api/finance/payments", unapplied).await.expect(201);
    assert_eq!((&unapplied["unapplied"], &unapplied["invoiceId"]), (&json!(500), &json!(null)));
    let back = act(&tenant, &unapplied, "refund", json!({})).await.expect(201);
    assert_eq!(
        (&back["kind"], &back["amount"], &back["tender"]),
        (&json!("refund"), &json!(500), &json!("cash"))
    );
    act(&tenant, &second, "payments", json!({"amount": 1, "currency": "USD", "tender": "cash"}))
        .await
        .expect_invalid("/currency", "currency_mismatch");
    for amount in [0, -5] {
        act(&tenant, &second, "payments", json!({"amount": amount, "tender": "cash"}))
            .await
            .expect_invalid("/amount", "invalid_amount");
    }
    adds_up(&tenant).await;
}

#[tokio::test]
async fn refunds_at_once_never_give_back_more_than_was_paid() {
    let tenant = Tenant::new().await;
    let owed = invoice(&tenant, json!({})).await;
    let paid = act(&tenant, &owed, "payments", json!({"amount": 10_000, "tender": "card"})).await.expect(201);
    let refunds = join_all((0..10).map(|_| act(&tenant, &paid, "refund", json!({"amount": 3_000})))).await;
    let given = refunds.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(given, 3, "{:?}", refunds.iter().map(|answer| answer.text.clone()).collect::<Vec<_>>());
    for refused in refunds.iter().filter(|answer| answer.status != 201) {
        refused.expect_invalid("/amount", "exceeds_refundable");
    }
    let now = invoice_now(&tenant, &owed).await;
    assert_eq!((&now["status"], &now["balance"]), (&json!("partiallyPaid"), &json!(9_000)));
    adds_up(&tenant).await;
}

#[tokio::test]
async fn payments_refunds_and_notes_about_one_invoice_at_once_still_add_up() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let owed = invoice(&tenant, json!({"leadId": lead["id"]})).await;
    let first = act(&tenant, &owed, "payments", json!({"amount": 8_000, "tender": "card"})).await.expect(201);
    let requests = (0..24).map(async |turn| match turn % 4 {
        0 => act(&tenant, &owed, "payments", json!({"amount": 1_700, "tender": "cash"})).await,
        1 => act(&tenant, &first, "refund", json!({"amount": 900})).await,
        2 => act(&tenant, &owed, "credit-notes", json!({"amount": 1_100, "settle": "credit"})).await,
        _ => act(&tenant, &owed, "credit-notes", json!({"amount": 700, "settle": "refund"})).await,
    });
    for answer in join_all(requests).await {
        assert!([201, 409, 422].contains(&answer.status.as_u16()), "{answer}");
    }
    adds_up(&tenant).await;
}
