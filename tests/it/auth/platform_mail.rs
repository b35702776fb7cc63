//! Mails of the product for businesses that have no e-mail account of their own.

use std::collections::HashMap;

use serde_json::{Value, json};
use shared::config::{Config, Needs};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    messages::stand_in,
    support::{Client, Tenant, stack, tenant::PASSWORD},
};

const TAKEN: (u16, &str) = (200, r#"{"id":"re_0001"}"#);

/// The next mail that a stand-in was given: its head and its JSON.
async fn next(mails: &mut UnboundedReceiver<String>) -> (String, Value) {
    let request = mails.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap())
}

fn token_of(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    text.split("?token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

async fn forget(client: &Client, tenant: &Tenant) {
    client.post("/api/auth/forgot", json!({"email": tenant.email})).await.expect(202);
}

#[tokio::test]
async fn links_leave_through_the_platforms_account_until_a_business_has_its_own() {
    let (base, mut platform) = stand_in(vec![TAKEN, (500, "{}"), TAKEN, TAKEN]).await;
    stack().create_database("platform_mail").await;
    let client = stack().serve_with(
        "platform_mail",
        &[
            ("PLATFORM_MAIL_PROVIDER", "resend"),
            ("PLATFORM_MAIL_FROM", "Wellspring <hello@example.com>"),
            ("PLATFORM_MAIL_API_KEY", "re_platform"),
            ("PLATFORM_MAIL_BASE_URL", &base),
        ],
    );
    let tenant = Tenant::at(&client).await;
    let (head, mail) = next(&mut platform).await;
    assert!(head.starts_with("POST /emails ") && head.contains("Bearer re_platform"), "{head}");
    assert_eq!(
        (&mail["from"], &mail["to"], &mail["subject"]),
        (
            &json!("Wellspring <hello@example.com>"),
            &json!([tenant.email]),
            &json!("Confirm your e-mail address")
        )
    );
    let proof = json!({"token": token_of(&mail)});
    client.post("/api/auth/verify-email", proof).await.expect(200);

    // An answer that is lost is no lost mail: it is tried again under the same key.
    forget(&client, &tenant).await;
    let ((first, _), (second, mail)) = (next(&mut platform).await, next(&mut platform).await);
    let key = |head: &str| head.lines().find(|line| line.starts_with("idempotency-key")).unwrap().to_owned();
    assert_eq!(key(&first), key(&second));
    let reset = json!({"token": token_of(&mail), "password": "another horse, another battery"});
    client.post("/api/auth/reset", reset).await.expect(204);
    assert_eq!(next(&mut platform).await.1["subject"], "Your password was changed");

    let login = json!({"email": tenant.email, "password": "another horse, another battery"});
    let session = client.post("/api/auth/login", login).await.expect(200);
    let owner = client.with_token(session["accessToken"].as_str().unwrap());
    assert_eq!(owner.get("/api/messages/sandbox").await.expect(200)["items"], json!([]));
    let (base, mut own) = stand_in(vec![TAKEN]).await;
    let connection = json!({"channel": "email", "provider": "resend", "name": "Ours", "secrets": {"apiKey": "re_ours"},
        "settings": {"from": "Studio <studio@example.com>", "baseUrl": base}});
    owner.post("/api/connections", connection).await.expect(201);
    forget(&client, &tenant).await;
    let (head, mail) = next(&mut own).await;
    assert!(head.contains("Bearer re_ours"), "{head}");
    assert_eq!(mail["subject"], "Choose a new password");
    assert!(platform.try_recv().is_err(), "the platform was asked although the business has an account");
}

#[tokio::test]
async fn the_platforms_account_is_checked_when_the_configuration_is_read() {
    let read = |own: &[(&str, &str)]| {
        let mut values: HashMap<String, String> = stack().values.clone();
        values.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Config::from_values(values, Needs::Worker)
    };
    assert!(read(&[]).unwrap().warnings().is_empty(), "a laptop has the sandbox");
    for (own, named) in [
        (
            vec![("PLATFORM_MAIL_PROVIDER", "pigeon")],
            "PLATFORM_MAIL_PROVIDER: `pigeon` is not resend or sendgrid",
        ),
        (vec![("PLATFORM_MAIL_PROVIDER", "sandbox")], "PLATFORM_MAIL_PROVIDER: `sandbox` is not"),
        (vec![("PLATFORM_MAIL_PROVIDER", "twilio")], "PLATFORM_MAIL_PROVIDER: `twilio` is not"),
        (
            vec![("PLATFORM_MAIL_PROVIDER", "resend"), ("PLATFORM_MAIL_FROM", "a@example.com")],
            "PLATFORM_MAIL_API_KEY",
        ),
        (vec![("PLATFORM_MAIL_PROVIDER", "resend"), ("PLATFORM_MAIL_API_KEY", "k")], "PLATFORM_MAIL_FROM"),
        (vec![("PLATFORM_MAIL_API_KEY", "k")], "PLATFORM_MAIL_PROVIDER: is not set"),
    ] {
        let problems = read(&own).unwrap_err().to_string();
        assert!(problems.contains(named), "{own:?}: {problems}");
        assert!(!problems.contains(PASSWORD));
    }
    let queues =
        ["SQS_RECEIPTS_URL", "SQS_RUNS_URL", "SQS_MESSAGES_URL", "SQS_DELIVERIES_URL", "SQS_JOBS_URL"];
    let mut real: Vec<(&str, &str)> = queues
        .into_iter()
        .map(|name| (name, "https://sqs.eu-central-1.amazonaws.com/000000000000/q"))
        .collect();
    real.extend([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    real.push(("APP_ENV", "production"));
    assert_eq!(read(&real).unwrap().warnings(), ["no_platform_mail"]);
    real.extend([
        ("PLATFORM_MAIL_PROVIDER", "sendgrid"),
        ("PLATFORM_MAIL_FROM", "a@example.com"),
        ("PLATFORM_MAIL_API_KEY", "k"),
    ]);
    assert!(read(&real).unwrap().warnings().is_empty());
    real.push(("PLATFORM_MAIL_BASE_URL", "http://169.254.169.254/latest"));
    assert!(read(&real).unwrap_err().to_string().contains("PLATFORM_MAIL_BASE_URL"));
}
