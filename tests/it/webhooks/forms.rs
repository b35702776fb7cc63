//! Website forms.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{Source, items, settled};
use crate::support::{Client, Tenant, eventually, tenant::unique_email};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn fifty_parallel_forms_of_one_new_person_in_mixed_spellings_are_one_lead() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "forms", json!({})).await;
    let email = unique_email("ada");
    let phones = ["0171 2345678", "+49 171 2345678", "0049-171-2345678", "(0171) 234 5678"];
    let posts = (0..50).map(|number| {
        let spelled = if number % 3 == 0 { email.to_uppercase() } else { email.clone() };
        let form = json!({
            "name": "Ada Lovelace", "message": format!("Question {number}"), "email": format!(" {spelled} "),
            "phone": phones[number % 4],
        });
        source.post(JSON, &[], form.to_string())
    });
    for answer in join_all(posts).await {
        assert_eq!(answer.expect(202)["duplicate"], false);
    }
    eventually("fifty processed receipts", async || {
        (items(&tenant, "/api/webhooks/receipts?status=processed&limit=100").await.len() == 50).then_some(())
    })
    .await;
    let leads = items(&tenant, "/api/leads").await;
    assert_eq!(leads.len(), 1, "{leads:?}");
    assert_eq!((&leads[0]["email"], &leads[0]["phone"]), (&json!(email), &json!("+491712345678")));
    let path = format!("/api/leads/{}/activities?kind=form&limit=100", leads[0]["id"].as_str().unwrap());
    assert_eq!(items(&tenant, &path).await.len(), 50);
    assert_eq!(items(&tenant, "/api/events?type=form.submitted&limit=100").await.len(), 50);
    assert_eq!(items(&tenant, "/api/events?type=lead.created").await.len(), 1);
}

#[tokio::test]
async fn a_form_brings_names_fields_campaign_and_consent() {
    let tenant = Tenant::new().await;
    let settings = json!({"map": {"goal": "customFields.goal"}, "source": "website"});
    let source = Source::new(&tenant, "forms", settings).await;
    let email = unique_email("form");
    let body = format!(
        "first_name=Fara&last_name=Form&email={}&goal=Run&utm_source=instagram&utm_campaign=spring&newsletter=yes\
         &cta_id=hero&message=Hi",
        email.replace('@', "%40")
    );
    let answer = source.post(FORM, &[], body).await.expect(202);
    settled(&tenant, answer["receiptId"].as_str().unwrap(), "processed").await;
    let lead = items(&tenant, &format!("/api/leads?search={email}")).await.remove(0);
    assert_eq!((&lead["name"], &lead["source"]), (&json!("Fara Form"), &json!("website")));
    assert_eq!(lead["customFields"], json!({"goal": "Run"}));
    assert_eq!(lead["firstTouch"]["utm"], json!({"source": "instagram", "campaign": "spring"}));
    assert_eq!(lead["firstTouch"]["ctaId"], "hero");
    let consents = items(&tenant, &format!("/api/leads/{}/consents", lead["id"].as_str().unwrap())).await;
    assert_eq!(
        (consents.len(), &consents[0]["channel"], &consents[0]["state"]),
        (1, &json!("email"), &json!("granted"))
    );
}

#[tokio::test]
async fn an_answer_that_a_lead_keeps_from_some_stands_with_the_lead_alone() {
    let tenant = Tenant::new().await;
    for (key, more) in [("injury", json!({"isHealthData": true})), ("plan", json!({}))] {
        let mut field = json!({"entity": "lead", "key": key, "label": key, "type": "text"});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tenant.post("/api/custom-fields", field).await.expect(201);
    }
    let settings = json!({"map": {"injury": "customFields.injury", "plan": "customFields.plan"}});
    let source = Source::new(&tenant, "forms", settings).await;
    let email = unique_email("patient");
    let body = json!({"email": email, "injury": "left knee", "plan": "gold", "note": "Tuesdays"});
    let answer = source.post(JSON, &[], body.to_string()).await.expect(202);
    settled(&tenant, answer["receiptId"].as_str().unwrap(), "processed").await;
    let lead = items(&tenant, &format!("/api/leads?search={email}")).await.remove(0);
    assert_eq!(lead["customFields"]["injury"], "left knee");
    let (viewer, of_lead) =
        (tenant.colleague("viewer").await, format!("/api/leads/{}", lead["id"].as_str().unwrap()));
    for path in ["activities?kind=form", "timeline"].map(|list| format!("{of_lead}/{list}")) {
        let seen = viewer.get(&path).await;
        seen.expect(200);
        assert!(
            !seen.text.contains("knee") && seen.text.contains("gold") && seen.text.contains("Tuesdays"),
            "{seen}"
        );
    }
    // What happened is told in full to whoever may read everything.
    let event = items(&tenant, "/api/events?type=form.submitted").await.remove(0);
    assert!(event.to_string().contains("left knee"), "{event}");
}

#[tokio::test]
async fn robots_get_an_answer_and_nothing_else() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "forms", json!({"honeypot": "website"})).await;
    let email = unique_email("robot");
    source.post(JSON, &[], json!({"email": email, "website": "https://spam"}).to_string()).await.expect(202);
    source
        .post("multipart/form-data; boundary=x", &[], "--x--")
        .await
        .expect_problem(415, "unsupported_media_type");
    source.post(JSON, &[], "{").await.expect_problem(400, "malformed_json");
    let human = source.post(JSON, &[], json!({"email": email, "website": ""}).to_string()).await.expect(202);
    settled(&tenant, human["receiptId"].as_str().unwrap(), "processed").await;
    assert_eq!(items(&tenant, "/api/webhooks/receipts").await.len(), 1);
}

#[tokio::test]
async fn only_the_pages_of_listed_websites_may_post() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "forms", json!({"allowedOrigins": ["https://studio.example"]})).await;
    let ask = async |origin: &str| {
        let client = Client::anonymous();
        let request = client
            .request(Method::OPTIONS, &source.path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        client.send(request).await.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(ask("https://studio.example").await, "https://studio.example");
    assert_eq!(ask("https://elsewhere.example").await, "");
    let form = json!({"email": unique_email("page")}).to_string();
    let theirs = source.post(JSON, &[("origin", "https://elsewhere.example")], form.clone()).await;
    theirs.expect_problem(403, "origin_not_allowed");
    let ours = source.post(JSON, &[("origin", "https://studio.example")], form).await;
    ours.expect(202);
    assert_eq!(ours.header("access-control-allow-origin"), "https://studio.example");
}

#[tokio::test]
async fn one_address_cannot_flood_a_form() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "forms", json!({})).await;
    let posts = (0..200).map(|number| {
        source.post(JSON, &[], json!({"email": format!("flood{number}@example.com")}).to_string())
    });
    let answers = join_all(posts).await;
    let refused = answers.iter().filter(|answer| answer.status == 429).inspect(|answer| {
        assert!(!answer.header("retry-after").is_empty());
    });
    assert!((1..=80).contains(&refused.count()));
}
