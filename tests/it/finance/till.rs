//! The till.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{adds_up, told};
use crate::support::Tenant;

async fn open(tenant: &Tenant, register: &str) -> String {
    let shift = json!({"registerKey": register, "openFloat": 5_000});
    tenant.post("/api/finance/pos/shifts", shift).await.expect(201)["id"].as_str().unwrap().to_owned()
}

fn sale(shift: &str, tenders: Value) -> Value {
    json!({"shiftId": shift, "tenders": tenders, "lines": [{"description": "Smoothie", "quantity": "7", "unitPrice": 500}]})
}

#[tokio::test]
async fn a_day_at_the_till_from_float_to_count() {
    let tenant = Tenant::new().await;
    let item = json!({"name": "Shake", "unitPrice": 350, "stock": "10"});
    let item = tenant.post("/api/finance/catalog", item).await.expect(201);
    let shift = open(&tenant, "front").await;
    let path = format!("/api/finance/pos/shifts/{shift}");
    tenant
        .post("/api/finance/pos/shifts", json!({"registerKey": "front", "openFloat": 0}))
        .await
        .expect_problem(409, "shift_open");

    // 35.00: 20 in cash and 15 by card.
    let split =
        sale(&shift, json!([{"tender": "cash", "amount": 2_000}, {"tender": "card", "amount": 1_500}]));
    let split = tenant.post("/api/finance/pos/sales", split).await.expect(201);
    assert_eq!(
        (&split["status"], &split["total"], &split["change"]),
        (&json!("completed"), &json!(3_500), &json!(0))
    );
    // 7.00 and a tip of 1.00, paid with 10.00.
    let tipped = json!({
        "shiftId": shift, "lines": [{"itemId": item["id"], "quantity": "2"}], "tip": 100,
        "tenders": [{"tender": "cash", "amount": 1_000}],
    });
    let tipped = tenant.post("/api/finance/pos/sales", tipped).await.expect(201);
    assert_eq!(
        (&tipped["total"], &tipped["change"], &tipped["receipt"]["subtotal"]),
        (&json!(800), &json!(200), &json!(700))
    );
    let receipt = format!("/api/finance/pos/sales/{}/receipt", tipped["id"].as_str().unwrap());
    let receipt = tenant.get(&receipt).await.expect(200);
    assert_eq!((&receipt["number"], &receipt["tip"]), (&json!("R-000002"), &json!(100)));

    for (tenders, code) in [
        (json!([{"tender": "cash", "amount": 3_499}]), "underpaid"),
        (json!([{"tender": "card", "amount": 3_600}]), "overpaid"),
        (json!([]), "underpaid"),
    ] {
        tenant.post("/api/finance/pos/sales", sale(&shift, tenders)).await.expect_invalid("/tenders", code);
    }

    // One shake comes back, in cash; the smoothies' card money goes back by card.
    let back = json!({"lines": [{"lineId": tipped["receipt"]["lines"][0]["id"], "quantity": "1", "restock": true}], "tender": "cash"});
    let give_back = format!("/api/finance/pos/sales/{}/return", tipped["id"].as_str().unwrap());
    let returned = tenant.post(&give_back, back.clone()).await.expect(201);
    assert_eq!((&returned["kind"], &returned["total"]), (&json!("return"), &json!(350)));
    let smoothies =
        json!({"lines": [{"lineId": split["receipt"]["lines"][0]["id"], "quantity": "3"}], "tender": "card"});
    let give_back = format!("/api/finance/pos/sales/{}/return", split["id"].as_str().unwrap());
    assert_eq!(tenant.post(&give_back, smoothies.clone()).await.expect(201)["total"], 1_500);
    let too_many = json!({"lines": [{"lineId": split["receipt"]["lines"][0]["id"], "quantity": "5"}]});
    tenant.post(&give_back, too_many).await.expect_invalid("/lines/0/quantity", "exceeds_quantity");
    let stock =
        tenant.get(&format!("/api/finance/catalog/{}", item["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(stock["stock"], "9");

    let movements = format!("{path}/movements");
    tenant.post(&movements, json!({"kind": "paidIn", "amount": 1_000, "reason": "coins"})).await.expect(201);
    tenant.post(&movements, json!({"kind": "paidOut", "amount": 300})).await.expect(201);
    tenant.post(&movements, json!({"kind": "noSale"})).await.expect(201);
    tenant.post(&movements, json!({"kind": "paidOut"})).await.expect_invalid("/amount", "invalid_amount");

    tenant.post(&format!("{path}/end"), json!({})).await.expect(200);
    tenant
        .post("/api/finance/pos/sales", sale(&shift, json!([{"tender": "cash", "amount": 3_500}])))
        .await
        .expect_problem(409, "no_open_shift");
    // 5,000 + (2,000 + 1,000) − 200 − 350 + 1,000 − 300
    let closed = tenant.post(&format!("{path}/close"), json!({"countedCash": 8_100})).await.expect(200);
    assert_eq!((&closed["expectedCash"], &closed["overShort"]), (&json!(8_150), &json!(-50)), "{closed:#}");
    assert_eq!(closed["zReport"]["cash"]["change"], 200);
    tenant
        .post(&format!("{path}/close"), json!({"countedCash": 0}))
        .await
        .expect_problem(409, "shift_closed");
    tenant.post(&movements, json!({"kind": "noSale"})).await.expect_problem(409, "shift_not_open");
    assert_eq!(told(&tenant, "sale.completed").await, 2);
    let ledger = tenant.get("/api/finance/ledger?account=overShort").await.expect(200);
    assert_eq!(ledger["items"][0]["debit"], 50);
    adds_up(&tenant).await;
}

#[tokio::test]
async fn a_sale_that_the_till_sends_many_times_is_one_sale() {
    let tenant = Tenant::new().await;
    let shift = open(&tenant, "front").await;
    let mut body = sale(&shift, json!([{"tender": "card", "amount": 3_500}]));
    body["clientSaleId"] = json!("till-1/0001");
    let answers = join_all((0..12).map(|_| tenant.post("/api/finance/pos/sales", body.clone()))).await;
    let sales: Vec<Value> = answers
        .iter()
        .map(|answer| {
            assert!(answer.status.is_success(), "{answer}");
            serde_json::from_str(&answer.text).unwrap()
        })
        .collect();
    assert!(sales.iter().all(|sale| *sale == sales[0]));
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(sales[0]["receipt"]["number"], "R-000001");
    assert_eq!(told(&tenant, "sale.completed").await, 1);
    adds_up(&tenant).await;
}

#[tokio::test]
async fn credit_is_spent_at_the_till_and_a_return_can_become_credit() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let shift = open(&tenant, "front").await;
    let money = json!({"leadId": lead["id"], "amount": 2_000, "tender": "bank"});
    tenant.post("/api/finance/payments", money).await.expect(201);
    let tenders = json!([{"tender": "credit", "amount": 2_000}, {"tender": "cash", "amount": 1_500}]);
    let mut body = sale(&shift, tenders);
    tenant
        .post("/api/finance/pos/sales", body.clone())
        .await
        .expect_invalid("/tenders/0/tender", "lead_required");
    body["leadId"] = lead["id"].clone();
    let sold = tenant.post("/api/finance/pos/sales", body.clone()).await.expect(201);
    tenant.post("/api/finance/pos/sales", body).await.expect_problem(409, "insufficient_credit");
    let back = json!({"lines": [{"lineId": sold["receipt"]["lines"][0]["id"], "quantity": "7"}], "tender": "credit"});
    let path = format!("/api/finance/pos/sales/{}", sold["id"].as_str().unwrap());
    tenant.post(&format!("{path}/return"), back).await.expect(201);
    assert_eq!(tenant.get(&path).await.expect(200)["status"], "returned");
    let credit = tenant.get("/api/finance/payments?unapplied=true").await.expect(200);
    let credit: i64 =
        credit["items"].as_array().unwrap().iter().map(|one| one["unapplied"].as_i64().unwrap()).sum();
    assert_eq!(credit, 3_500);
    adds_up(&tenant).await;
}
