//! Signed deliveries of providers.

use futures::future::join_all;
use serde_json::{Value, json};
use shared::webhooks::verify;

use super::{Source, items, seconds, settled};
use crate::support::{Client, Tenant, eventually, tenant::unique_email};

const FORM: &str = "application/x-www-form-urlencoded";

fn payment(id: &str, email: &str) -> Vec<u8> {
    let object = json!({
        "id": format!("cs_{id}"), "object": "checkout.session", "payment_status": "paid", "payment_intent": format!("pi_{id}"),
        "amount_total": 4900, "currency": "eur", "customer_details": {"email": email, "name": "Petra Payer"},
    });
    let event = json!({
        "id": format!("evt_{id}"), "object": "event", "type": "checkout.session.completed", "created": seconds(),
        "data": {"object": object},
    });
    serde_json::to_vec_pretty(&event).unwrap()
}

async fn post_stripe(source: &Source, secret: &str, body: &[u8]) -> crate::support::Answer {
    let signature = verify::stripe::sign(seconds(), body, secret);
    source.post("application/json", &[("stripe-signature", &signature)], body).await
}

#[tokio::test]
async fn a_stripe_payment_becomes_a_lead_an_activity_and_an_event_once() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "stripe", json!({})).await;
    let email = unique_email("payer");
    let body = payment("once", &email.to_uppercase());

    let first = post_stripe(&source, source.secret(), &body).await.expect(200);
    assert_eq!(first["duplicate"], false);
    let again = post_stripe(&source, source.secret(), &body).await.expect(200);
    assert_eq!((&again["receiptId"], &again["duplicate"]), (&first["receiptId"], &json!(true)));

    let receipt = settled(&tenant, first["receiptId"].as_str().unwrap(), "processed").await;
    assert_eq!(receipt["providerEventId"], "evt_once");
    assert_eq!(receipt["canonical"][0]["kind"], "paymentReceived");
    let leads = items(&tenant, &format!("/api/leads?search={email}")).await;
    assert_eq!(
        (leads.len(), &leads[0]["email"], &leads[0]["name"]),
        (1, &json!(email), &json!("Petra Payer"))
    );
    let path = format!("/api/leads/{}/activities?kind=payment", leads[0]["id"].as_str().unwrap());
    let activities = items(&tenant, &path).await;
    assert_eq!((activities.len(), &activities[0]["title"]), (1, &json!("Payment of 49.00 EUR")));
    let events = items(&tenant, "/api/events?type=payment.received").await;
    assert_eq!((events.len(), &events[0]["source"]), (1, &json!("stripe")));
    assert_eq!(events[0]["leadId"], leads[0]["id"]);
}

#[tokio::test]
async fn a_hundred_parallel_deliveries_of_one_event_are_one_receipt() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "stripe", json!({})).await;
    let body = payment("parallel", &unique_email("payer"));
    let deliveries = (0..100).map(|_| post_stripe(&source, source.secret(), &body));
    let answers = join_all(deliveries).await;
    let fresh = answers.iter().filter(|answer| answer.expect(200)["duplicate"] == false).count();
    assert_eq!(fresh, 1);
    assert_eq!(items(&tenant, "/api/webhooks/receipts").await.len(), 1);
}

#[tokio::test]
async fn what_is_not_signed_by_the_sender_is_refused_and_leaves_no_trace() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "stripe", json!({})).await;
    let body = payment("forged", &unique_email("victim"));
    post_stripe(&source, "whsec_somebody_elses_secret", &body).await.expect_problem(401, "invalid_signature");
    let old = verify::stripe::sign(seconds() - 3600, &body, source.secret());
    source.post("application/json", &[("stripe-signature", &old)], body.clone()).await.expect(401);
    let good = verify::stripe::sign(seconds(), &body, source.secret());
    let altered = [body.as_slice(), b" "].concat();
    source.post("application/json", &[("stripe-signature", &good)], altered).await.expect(401);
    assert_eq!(items(&tenant, "/api/webhooks/receipts").await.len(), 0);

    // An unknown token, another provider's address and nonsense are one answer.
    let unknown = format!(
        "/api/webhooks/stripe/{}",
        shared::crypto::OpaqueToken::generate(shared::crypto::TokenKind::Webhook).unwrap().expose()
    );
    for path in
        [unknown, source.path.replace("/stripe/", "/twilio/"), "/api/webhooks/nobody/nothing".to_owned()]
    {
        Client::anonymous().post(&path, json!({})).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn both_secrets_are_good_while_one_replaces_the_other() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "stripe", json!({})).await;
    let rotate = format!("/api/webhooks/sources/{}/rotate", source.made["id"].as_str().unwrap());
    let rotated = tenant.post(&rotate, json!({"secret": "whsec_from_the_dashboard"})).await.expect(200);
    assert_eq!(rotated["secret"], "whsec_from_the_dashboard");
    let deliver = async |id: &str, secret: &str, status| {
        post_stripe(&source, secret, &payment(id, &unique_email("payer"))).await.expect(status);
    };
    deliver("old", source.secret(), 200).await;
    deliver("new", "whsec_from_the_dashboard", 200).await;
    tenant.post(&rotate, json!({"secret": "whsec_the_next_secret", "overlapSeconds": 0})).await.expect(200);
    deliver("older", source.secret(), 401).await;
    deliver("replaced", "whsec_from_the_dashboard", 401).await;
    deliver("newest", "whsec_the_next_secret", 200).await;
}

#[tokio::test]
async fn a_text_message_reaches_its_conversation_and_twilio_is_told_nothing() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "twilio", json!({})).await;
    let body = "MessageSid=SM1&From=%2B491712345678&To=%2B4930123456&Body=Hello+there&ProfileName=Tom+Texter";
    let signature = verify::twilio::sign(source.url(), body.as_bytes(), source.secret());
    for _ in 0..2 {
        let answer = source.post(FORM, &[("x-twilio-signature", &signature)], body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type"), answer.text.as_str()),
            (200, "text/xml", "<Response/>")
        );
    }
    let event = eventually("message.received", async || {
        items(&tenant, "/api/events?type=message.received").await.pop()
    })
    .await;
    assert_eq!((&event["data"]["body"], &event["data"]["channel"]), (&json!("Hello there"), &json!("sms")));
    let leads = items(&tenant, "/api/leads").await;
    assert_eq!(
        (leads.len(), &leads[0]["phone"], &leads[0]["name"]),
        (1, &json!("+491712345678"), &json!("Tom Texter"))
    );
    assert_eq!(items(&tenant, "/api/webhooks/receipts").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_quarantined_and_can_be_replayed() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "generic", json!({})).await;
    let body = b"{ this is no JSON";
    let signature = verify::generic::sign(None, body, source.secret());
    let answer = source.post("application/json", &[("x-signature", &signature)], *body).await.expect(200);
    let id = answer["receiptId"].as_str().unwrap();
    let receipt = settled(&tenant, id, "quarantined").await;
    assert_eq!((&receipt["attempts"], &receipt["body"]), (&json!(5), &json!("{ this is no JSON")));
    assert!(receipt["error"]["code"].is_string());
    assert_eq!(items(&tenant, "/api/webhooks/receipts?status=quarantined").await.len(), 1);

    let replay = tenant.post(&format!("/api/webhooks/receipts/{id}/replay"), Value::Null).await.expect(202);
    assert_eq!(replay["replayOfId"], json!(id));
    settled(&tenant, replay["id"].as_str().unwrap(), "quarantined").await;
}

#[tokio::test]
async fn a_replay_of_what_was_done_does_nothing_again() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "generic", json!({})).await;
    let body =
        json!({"type": "trial.started", "email": unique_email("trial"), "name": "Tara Trial"}).to_string();
    let signature = verify::generic::sign(None, body.as_bytes(), source.secret());
    let answer = source.post("application/json", &[("x-signature", &signature)], body).await.expect(200);
    let id = answer["receiptId"].as_str().unwrap();
    settled(&tenant, id, "processed").await;
    let before = items(&tenant, "/api/events").await;
    let told = before.iter().find(|event| event["type"] == "webhook.received").expect("the signal is told");
    assert_eq!(told["data"]["type"], "trial.started");
    assert!(told["leadId"].is_string(), "the signal is about the person in the same body: {told}");
    let replay = tenant.post(&format!("/api/webhooks/receipts/{id}/replay"), Value::Null).await.expect(202);
    settled(&tenant, replay["id"].as_str().unwrap(), "processed").await;
    let after = items(&tenant, "/api/events").await;
    assert_eq!(after.len(), before.len(), "the replay told something: {after:?}");
}

#[tokio::test]
async fn meta_and_slack_get_their_challenges_back() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "meta", json!({"verifyToken": "our-word"})).await;
    let ask = |token: &str| {
        format!("{}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444", source.path)
    };
    let answer = Client::anonymous().get(&ask("our-word")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "1158201444"));
    Client::anonymous().get(&ask("their-word")).await.expect(401);

    let source = Source::new(&tenant, "slack", json!({})).await;
    let body = br#"{"type":"url_verification","challenge":"3eZbrw1aB"}"#;
    let at = seconds();
    let headers = [
        ("x-slack-signature", verify::slack::sign(at, body, source.secret())),
        ("x-slack-request-timestamp", at.to_string()),
    ];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = source.post("application/json", &headers, *body).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "3eZbrw1aB"));
}

#[tokio::test]
async fn secrets_are_shown_once_and_sources_belong_to_admins() {
    let tenant = Tenant::new().await;
    let source = Source::new(&tenant, "stripe", json!({})).await;
    let path = format!("/api/webhooks/sources/{}", source.made["id"].as_str().unwrap());
    let answer = tenant.get(&path).await;
    answer.expect(200);
    assert!(
        !answer.text.contains(source.secret())
            && !answer.text.contains(source.made["token"].as_str().unwrap())
    );
    tenant.colleague("manager").await.get(&path).await.expect_problem(403, "role_required");
    Tenant::new().await.get(&path).await.expect_problem(404, "not_found");
    let sk = json!({"provider": "stripe", "name": "Wrong", "secret": "sk_live_0123456789abcdef"});
    tenant.post("/api/webhooks/sources", sk).await.expect_invalid("/secret", "invalid_secret");
    tenant.patch(&path, json!({"status": "disabled"})).await.expect(200);
    post_stripe(&source, source.secret(), b"{}").await.expect_problem(404, "not_found");
    tenant.delete(&path).await.expect(204);
    tenant.get(&path).await.expect(404);
}
