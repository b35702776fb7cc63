//! News of payments from a provider, in every order.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::{
    db::Db,
    finance::{PaymentNews, PaymentNewsKind, reconcile},
    ids::TenantId,
};

use super::{adds_up, invoice, invoice_now, told};
use crate::support::{Tenant, stack};

fn at() -> DateTime<Utc> {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

fn news(refs: &[&str], invoice: Option<&Value>, amount: i64, kind: PaymentNewsKind) -> PaymentNews {
    PaymentNews {
        provider: "stripe",
        provider_ref: refs[0].to_owned(),
        refs: refs.iter().map(|name| (*name).to_owned()).collect(),
        payment_intent: Some("pi_1".to_owned()),
        amount,
        currency: "EUR".to_owned(),
        invoice_id: invoice.map(|invoice| invoice["id"].as_str().unwrap().parse().unwrap()),
        lead_id: None,
        occurred_at: at(),
        kind,
    }
}

fn refunded(total: i64) -> PaymentNews {
    let kind = PaymentNewsKind::Refunded { refund_ref: None, total: Some(total) };
    news(&["pi_1", "ch_1"], None, 0, kind)
}

async fn tell(tenant: &Tenant, news: &PaymentNews) -> bool {
    let db = Db::new(&stack().app_url, 1).unwrap();
    let mut tx = db.open_tenant(TenantId::new(tenant.id.parse().unwrap())).await.unwrap().unwrap();
    let outcome = reconcile(&mut tx, at(), news).await.unwrap();
    tx.commit().await.unwrap();
    outcome.changed
}

/// Every order of what Stripe says about one payment of 100.00 of which 30.00 went back.
#[tokio::test]
async fn whatever_the_order_there_is_one_payment_with_one_refund() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let tenant = Tenant::new().await;
        let owed = invoice(&tenant, json!({})).await;
        let said = [
            news(&["pi_1", "cs_1"], Some(&owed), 10_000, PaymentNewsKind::Received),
            news(&["pi_1", "ch_1"], None, 10_000, PaymentNewsKind::Received),
            refunded(3_000),
        ];
        for which in order {
            tell(&tenant, &said[which]).await;
        }
        for again in &said {
            assert!(!tell(&tenant, again).await, "{order:?}");
        }
        let now = invoice_now(&tenant, &owed).await;
        assert_eq!((&now["paid"], &now["status"]), (&json!(7_000), &json!("partiallyPaid")), "{order:?}");
        let payments = tenant.get("/api/finance/payments").await.expect(200);
        let amounts: Vec<_> =
            payments["items"].as_array().unwrap().iter().map(|one| (&one["kind"], &one["amount"])).collect();
        assert_eq!(amounts.len(), 2, "{order:?}: {amounts:?}");
        assert_eq!(
            (told(&tenant, "payment.received").await, told(&tenant, "payment.refunded").await),
            (1, 1),
            "{order:?}"
        );
        assert!(tell(&tenant, &refunded(10_000)).await);
        assert_eq!(invoice_now(&tenant, &owed).await["status"], "finalized");
        adds_up(&tenant).await;
    }
}

#[tokio::test]
async fn a_failed_try_is_told_once_and_gives_way_to_the_payment() {
    let tenant = Tenant::new().await;
    let owed = invoice(&tenant, json!({})).await;
    let failed = || {
        news(
            &["pi_1"],
            Some(&owed),
            10_000,
            PaymentNewsKind::Failed { code: Some("card_declined".to_owned()) },
        )
    };
    assert!(tell(&tenant, &failed()).await);
    assert!(!tell(&tenant, &failed()).await);
    assert_eq!(invoice_now(&tenant, &owed).await["status"], "finalized");
    assert!(tell(&tenant, &news(&["pi_1"], Some(&owed), 10_000, PaymentNewsKind::Received)).await);
    assert!(!tell(&tenant, &failed()).await);
    assert_eq!(invoice_now(&tenant, &owed).await["status"], "paid");
    assert_eq!((told(&tenant, "payment.failed").await, told(&tenant, "invoice.paid").await), (1, 1));
    adds_up(&tenant).await;
}

#[tokio::test]
async fn the_same_news_ten_times_at_once_is_one_payment() {
    let tenant = Tenant::new().await;
    let owed = invoice(&tenant, json!({})).await;
    let said = news(&["pi_1", "cs_1"], Some(&owed), 12_000, PaymentNewsKind::Received);
    let changed = futures::future::join_all((0..10).map(|_| tell(&tenant, &said))).await;
    assert_eq!(changed.iter().filter(|changed| **changed).count(), 1);
    let payments = tenant.get("/api/finance/payments").await.expect(200);
    assert_eq!(payments["items"].as_array().unwrap().len(), 1);
    assert_eq!(payments["items"][0]["unapplied"], 2_000);
    adds_up(&tenant).await;
}
