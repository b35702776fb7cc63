//! Documents.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{act, adds_up, draft, invoice, invoice_now, told};
use crate::support::Tenant;

async fn tax(tenant: &Tenant, rate: &str, inclusive: bool) -> Value {
    let body = json!({"name": format!("VAT {rate}"), "rate": rate, "inclusive": inclusive});
    tenant.post("/api/finance/tax-rates", body).await.expect(201)["id"].clone()
}

#[tokio::test]
async fn a_document_costs_the_same_in_the_preview_as_a_draft_and_as_an_invoice() {
    let tenant = Tenant::new().await;
    let (on_top, within) = (tax(&tenant, "7.5", false).await, tax(&tenant, "19", true).await);
    let item =
        json!({"name": "Water", "unitPrice": 119, "taxRateIds": [within], "sku": "W-1", "stock": "10"});
    let item = tenant.post("/api/finance/catalog", item).await.expect(201);
    let document = json!({
        "lines": [
            {"description": "Hours", "quantity": "2.5", "unitPrice": 3_333, "discount": {"percent": "10"}, "taxRateIds": [on_top]},
            {"itemId": item["id"], "quantity": "3"},
        ],
        "discount": {"amount": 100},
    });
    let preview = tenant.post("/api/finance/calculate", document.clone()).await.expect(200);
    let draft = tenant.post("/api/finance/invoices", document).await.expect(201);
    let sealed = act(&tenant, &draft, "finalize", json!({})).await.expect(200);
    for field in ["subtotal", "discount", "tax", "total", "taxSummary"] {
        assert_eq!(preview[field], draft[field], "{field}");
        assert_eq!(preview[field], sealed[field], "{field}");
    }
    // 8,333 − 833 = 7,500 and 357 with 57 of tax within: 300.
    assert_eq!((&preview["subtotal"], &preview["discount"]), (&json!(7_800), &json!(100)));
    assert_eq!(preview["lines"][1]["description"], "Water");
    let sum = |part: &str| -> i64 {
        draft["lines"].as_array().unwrap().iter().map(|line| line[part].as_i64().unwrap()).sum()
    };
    assert_eq!((sum("net"), sum("tax")), (7_800, draft["tax"].as_i64().unwrap()));
    assert_eq!(draft["lines"][0]["quantity"], "2.5");
    adds_up(&tenant).await;

    let yen =
        json!({"currency": "JPY", "lines": [{"description": "Tea", "quantity": "1", "unitPrice": 1_000}]});
    let yen = tenant.post("/api/finance/calculate", yen).await.expect(200);
    assert_eq!((&yen["total"], &yen["exponent"]), (&json!(1_000), &json!(0)));
}

#[tokio::test]
async fn nonsense_is_named_and_nothing_is_half_done() {
    let tenant = Tenant::new().await;
    let line = |change: Value| {
        let mut line = json!({"description": "X", "quantity": "1", "unitPrice": 100});
        line.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"lines": [line]})
    };
    let nobody = "0198a000-0000-7000-8000-00000000dead";
    for (body, pointer, code) in [
        (line(json!({"quantity": "-1"})), "/lines/0/quantity", "invalid_quantity"),
        (line(json!({"quantity": "0"})), "/lines/0/quantity", "invalid_quantity"),
        (line(json!({"quantity": 1.5})), "/lines/0/quantity", "wrong_type"),
        (line(json!({"unitPrice": -1})), "/lines/0/unitPrice", "invalid_amount"),
        (line(json!({"unitPrice": 9_999_999_999_999_i64, "quantity": "2"})), "/lines/0", "amount_too_large"),
        (line(json!({"discount": {"amount": 101}})), "/lines/0/discount", "discount_too_large"),
        (line(json!({"discount": {"amount": 1, "percent": "1"}})), "/lines/0/discount", "invalid_discount"),
        (line(json!({"taxRateIds": [nobody]})), "/lines/0/taxRateIds/0", "unknown_tax_rate"),
        (line(json!({"itemId": nobody})), "/lines/0/itemId", "unknown_item"),
        (json!({"lines": []}), "/lines", "required"),
        (
            json!({"lines": [{"description": "X", "quantity": "1", "unitPrice": 1}], "currency": "EURO"}),
            "/currency",
            "unknown_currency",
        ),
    ] {
        for path in ["/api/finance/calculate", "/api/finance/invoices"] {
            tenant.post(path, body.clone()).await.expect_invalid(pointer, code);
        }
    }
    let mut foreign = super::hundred();
    foreign[0]["itemId"] = Value::Null;
    let body = json!({"lines": foreign, "leadId": nobody});
    tenant.post("/api/finance/invoices", body).await.expect_invalid("/leadId", "unknown_lead");
    assert_eq!(tenant.get("/api/finance/invoices").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_draft_changes_until_it_is_finalized_and_then_no_more() {
    let tenant = Tenant::new().await;
    let made = draft(&tenant, json!({"memo": "First"})).await;
    assert_eq!((&made["status"], &made["number"]), (&json!("draft"), &Value::Null));
    let path = format!("/api/finance/invoices/{}", made["id"].as_str().unwrap());
    let stale =
        tenant.request(Method::PATCH, &path).header("if-match", "\"v99\"").json(&json!({"memo": "Lost"}));
    tenant.send(stale).await.expect_problem(412, "stale_version");
    let changed = tenant.patch(&path, json!({"discount": {"percent": "50"}, "memo": null})).await.expect(200);
    assert_eq!((&changed["total"], &changed["memo"]), (&json!(5_000), &Value::Null));
    assert_eq!(changed["lines"].as_array().unwrap().len(), 1);
    act(&tenant, &made, "payments", json!({"amount": 1, "tender": "cash"}))
        .await
        .expect_problem(409, "not_finalized");

    let sealed = act(&tenant, &made, "finalize", json!({})).await.expect(200);
    assert_eq!((&sealed["number"], &sealed["status"]), (&json!("INV-000001"), &json!("finalized")));
    tenant.patch(&path, json!({"memo": "Late"})).await.expect_problem(409, "immutable");
    tenant.delete(&path).await.expect_problem(409, "immutable");
    act(&tenant, &made, "finalize", json!({})).await.expect_problem(409, "immutable");
    let voided = act(&tenant, &made, "void", json!({})).await.expect(200);
    assert_eq!((&voided["status"], &voided["number"]), (&json!("void"), &json!("INV-000001")));
    assert_eq!(told(&tenant, "invoice.finalized").await, 1);
    adds_up(&tenant).await;
}

#[tokio::test]
async fn two_hundred_invoices_finalized_at_once_get_two_hundred_numbers_in_a_row() {
    let tenant = Tenant::new().await;
    let mut drafts = Vec::new();
    for _ in 0..20 {
        drafts.extend(join_all((0..10).map(|_| draft(&tenant, json!({})))).await);
    }
    let finalized = join_all(drafts.iter().map(|draft| act(&tenant, draft, "finalize", json!({})))).await;
    let numbers: BTreeSet<u32> = finalized
        .iter()
        .map(|answer| {
            answer.expect(200)["number"].as_str().unwrap().trim_start_matches("INV-").parse().unwrap()
        })
        .collect();
    assert_eq!(numbers, (1..=200).collect());
    adds_up(&tenant).await;
}

#[tokio::test]
async fn the_list_is_narrowed_by_status_person_number_and_due_date() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({"firstName": "Zenobia"})).await;
    let hers = invoice(&tenant, json!({"leadId": lead["id"], "dueDate": "2030-01-31"})).await;
    draft(&tenant, json!({})).await;
    let lead_id = lead["id"].as_str().unwrap();
    for (query, count) in [
        (String::new(), 2),
        ("?status=draft".to_owned(), 1),
        (format!("?leadId={lead_id}"), 1),
        (format!("?search={}", hers["number"].as_str().unwrap()), 1),
        ("?search=zenob".to_owned(), 1),
        ("?dueBefore=2030-02-01".to_owned(), 1),
        ("?dueBefore=2030-01-31".to_owned(), 0),
        ("?from=2099-01-01".to_owned(), 0),
        ("?kind=creditNote".to_owned(), 0),
    ] {
        let page = tenant.get(&format!("/api/finance/invoices{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    tenant.get("/api/finance/invoices?status=sent").await.expect_invalid("?status", "unknown_value");
    let shown = invoice_now(&tenant, &hers).await;
    assert_eq!(shown["billing"]["buyer"]["name"], "Zenobia");
}

#[tokio::test]
async fn a_credit_note_takes_back_to_the_cent_and_the_tax_report_agrees() {
    let tenant = Tenant::new().await;
    let rate = tax(&tenant, "19", false).await;
    let lines = json!([
        {"description": "Course", "quantity": "3", "unitPrice": 3_333, "taxRateIds": [rate]},
        {"description": "Book", "quantity": "1", "unitPrice": 1_000},
    ]);
    let sold = invoice(&tenant, json!({"lines": lines})).await;
    let total = sold["total"].as_i64().unwrap();
    act(&tenant, &sold, "payments", json!({"amount": total, "tender": "card"})).await.expect(201);
    let course = sold["lines"][0]["id"].clone();
    let one = json!({"lines": [{"lineId": course, "quantity": "1"}], "settle": "refund"});
    let note = act(&tenant, &sold, "credit-notes", one).await.expect(201);
    assert_eq!((&note["number"], &note["kind"]), (&json!("CN-000001"), &json!("creditNote")));
    let too_many = json!({"lines": [{"lineId": course, "quantity": "2.5"}]});
    act(&tenant, &sold, "credit-notes", too_many)
        .await
        .expect_invalid("/lines/0/quantity", "exceeds_quantity");
    let rest = total - note["total"].as_i64().unwrap();
    let too_much = json!({"amount": rest + 1});
    act(&tenant, &sold, "credit-notes", too_much).await.expect_invalid("/amount", "exceeds_creditable");
    act(&tenant, &sold, "credit-notes", json!({"amount": rest, "settle": "refund"})).await.expect(201);

    let taxes = tenant.get("/api/finance/reports/tax").await.expect(200);
    assert_eq!((&taxes["items"][0]["net"], &taxes["items"][0]["tax"]), (&json!(0), &json!(0)), "{taxes}");
    let revenue = tenant.get("/api/finance/reports/revenue?groupBy=month").await.expect(200);
    assert_eq!(revenue["items"][0]["gross"], 0, "{revenue}");
    let takings = tenant.get("/api/finance/reports/takings").await.expect(200);
    assert_eq!((&takings["items"][0]["received"], &takings["items"][0]["net"]), (&json!(total), &json!(0)));
    assert_eq!(told(&tenant, "payment.refunded").await, 2);
    adds_up(&tenant).await;
}

#[tokio::test]
async fn what_is_owed_ages_by_due_date_and_the_buckets_are_the_whole() {
    let tenant = Tenant::new().await;
    for due in ["2026-05-31", "2026-05-01", "2026-03-15", "2025-01-01"] {
        invoice(&tenant, json!({"dueDate": due})).await;
    }
    let aging = tenant.get("/api/finance/reports/aging?asOf=2026-05-31").await.expect(200);
    let total = &aging["totals"][0];
    assert_eq!(
        ["current", "days1To30", "days31To60", "days61To90", "over90", "total"]
            .map(|bucket| total[bucket].as_i64().unwrap()),
        [10_000, 10_000, 0, 10_000, 10_000, 40_000],
        "{aging}"
    );
}
