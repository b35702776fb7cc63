//! First and last touch: where a person came from first, and where they came from now.

use serde_json::{Value, json};

use super::path;
use crate::support::{Client, Tenant, eventually, tenant::unique_email};

async fn touches(tenant: &Tenant, lead: &Value) -> (Value, Value) {
    let lead = tenant.get(&path(lead)).await.expect(200);
    (lead["firstTouch"].clone(), lead["lastTouch"].clone())
}

#[tokio::test]
async fn a_second_visit_changes_the_last_touch_and_never_the_first() {
    let tenant = Tenant::new().await;
    let source = tenant
        .post("/api/webhooks/sources", json!({"provider": "forms", "name": "Contact"}))
        .await
        .expect(201);
    let form = format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap());
    let email = unique_email("visitor");
    let visitor = email.replace('@', "-");
    let answers = json!({"email": email, "utm_source": "instagram", "utm_campaign": "spring", "gclid": "Cj0K", "visitor_id": visitor});
    Client::anonymous().post(&form, answers).await.expect(202);
    let lead = eventually("the lead", async || {
        let page = tenant.get("/api/leads").await.expect(200);
        page["items"].as_array().unwrap().first().cloned()
    })
    .await;
    let (first, last) = touches(&tenant, &lead).await;
    assert_eq!(
        (&first["utm"], &first["clickIds"]),
        (&json!({"source": "instagram", "campaign": "spring"}), &json!({"gclid": "Cj0K"}))
    );
    assert_eq!(first, last);

    // By an advertisement, known by the visitor's own id.
    let cta = |kind: &str, more: Value| {
        let mut event =
            json!({"eventId": unique_email("cta"), "surface": "landing", "ctaId": "hero", "kind": kind});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let by_ad = cta(
        "view",
        json!({"visitorId": visitor, "utm": {"source": "google", "medium": "cpc"}, "clickIds": {"gclid": "EAIa"}}),
    );
    tenant.post("/api/analytics/cta", by_ad).await.expect(202);
    let (kept, last) = touches(&tenant, &lead).await;
    assert_eq!(kept, first);
    assert_eq!(
        (&last["utm"]["source"], &last["clickIds"], &last["source"]),
        (&json!("google"), &json!({"gclid": "EAIa"}), &json!("google"))
    );

    // A page that is merely seen is part of that visit, and what is heard of late is not the latest.
    tenant.post("/api/analytics/cta", cta("view", json!({"leadId": lead["id"]}))).await.expect(202);
    let late = cta(
        "click",
        json!({"leadId": lead["id"], "occurredAt": "2026-10-01T00:00:00Z", "utm": {"source": "old"}}),
    );
    tenant.post("/api/analytics/cta", late).await.expect(202);
    assert_eq!(touches(&tenant, &lead).await, (first.clone(), last));

    let click = cta("click", json!({"leadId": lead["id"], "page": "https://example.com/prices"}));
    tenant.post("/api/analytics/cta", click).await.expect(202);
    let (kept, last) = touches(&tenant, &lead).await;
    assert_eq!(
        (&kept, &last["page"], &last["utm"]),
        (&first, &json!("https://example.com/prices"), &Value::Null)
    );

    // Another form, and the API.
    Client::anonymous().post(&form, json!({"email": email, "utm_source": "newsletter"})).await.expect(202);
    eventually("the second form", async || {
        let (kept, last) = touches(&tenant, &lead).await;
        assert_eq!(kept, first);
        (last["utm"] == json!({"source": "newsletter"})).then_some(())
    })
    .await;
    let upsert = json!({"email": email, "firstTouch": {"source": "fair"}});
    tenant.post("/api/leads/upsert", upsert).await.expect(200);
    assert_eq!(touches(&tenant, &lead).await, (first, json!({"source": "fair"})));
}

#[tokio::test]
async fn the_first_visit_of_a_lead_made_by_hand_is_its_first_touch() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    assert_eq!(touches(&tenant, &lead).await, (Value::Null, Value::Null));
    let event = |number: u32, at: &str| {
        json!({"eventId": format!("e{number}"), "surface": "landing", "ctaId": "hero", "kind": "click", "leadId": lead["id"],
        "occurredAt": at, "utm": {"source": format!("s{number}")}})
    };
    let events = json!({"events": [event(2, "2026-11-20T10:00:00Z"), event(1, "2026-11-19T10:00:00Z")]});
    tenant.post("/api/analytics/cta", events.clone()).await.expect(202);
    let (first, last) = touches(&tenant, &lead).await;
    assert_eq!((&first["utm"]["source"], &last["utm"]["source"]), (&json!("s1"), &json!("s2")));
    assert_eq!(first["at"], "2026-11-19T10:00:00.000000Z");
    // The same events again are no visit.
    let before = tenant.get(&path(&lead)).await.header("etag").to_owned();
    tenant.post("/api/analytics/cta", events).await.expect(202);
    assert_eq!(tenant.get(&path(&lead)).await.header("etag"), before);
}
