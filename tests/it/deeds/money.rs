//! Money: what was paid and what was voided does not come back, so each deed has a document of its own.

use serde_json::json;

use super::{Body, Deed, text, word};
use crate::tenancy::Neighbour;

/// The same for money: what was paid and what was voided do not come back.
pub async fn complete(business: &Neighbour, operation: &str, deed: &mut Deed) {
    let tenant = business.business();
    match operation {
        "update_invoice" => deed.path = draft(business).await,
        "finalize_invoice" => deed.path = format!("{}/finalize", draft(business).await),
        "void_invoice" => deed.path = format!("{}/void", claim(business).await),
        "pay_invoice" => deed.path = format!("{}/payments", claim(business).await),
        "create_credit_note" => {
            deed.path = format!("{}/credit-notes", claim(business).await);
            deed.body = Body::Json(json!({"amount": 100}));
        }
        "refund_payment" | "allocate_payment" => {
            let paid = json!({"leadId": business.id("lead"), "amount": 100, "tender": "card"});
            let paid = tenant.post("/api/finance/payments", paid).await.expect(201);
            let path = format!("/api/finance/payments/{}", text(&paid["id"]));
            if operation == "refund_payment" {
                deed.path = format!("{path}/refund");
                return;
            }
            let invoice = claim(business).await;
            let invoice = invoice.rsplit('/').next().expect("a path ends");
            deed.path = format!("{path}/allocate");
            deed.body = Body::Json(json!({"allocations": [{"invoiceId": invoice, "amount": 100}]}));
        }
        "create_movement" | "end_shift" | "close_shift" => {
            let shift = json!({"registerKey": word(), "openFloat": 0});
            let shift = tenant.post("/api/finance/pos/shifts", shift).await.expect(201);
            let verb = match operation {
                "create_movement" => "movements",
                "end_shift" => "end",
                _ => "close",
            };
            deed.path = format!("/api/finance/pos/shifts/{}/{verb}", text(&shift["id"]));
        }
        _ => {}
    }
}

async fn draft(business: &Neighbour) -> String {
    let lines = json!([{"description": "Deed", "quantity": "2", "unitPrice": 500}]);
    let document = json!({"leadId": business.id("lead"), "lines": lines});
    let made = business.business().post("/api/finance/invoices", document).await.expect(201);
    format!("/api/finance/invoices/{}", text(&made["id"]))
}

/// An invoice that nobody has paid.
async fn claim(business: &Neighbour) -> String {
    let path = draft(business).await;
    business.business().post(&format!("{path}/finalize"), json!({})).await.expect(200);
    path
}
