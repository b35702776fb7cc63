//! Through whose account the product's own mails leave.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use local::{Options, Stack};
use serde_json::{Value, json};
use shared::{
    app::App,
    config::{Config, Needs},
    ids::TenantId,
    mails::{self, Letter, Mail, MailJob},
    providers::Provider,
};
use tokio::sync::mpsc::UnboundedReceiver;
use url::Url;

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
async fn links_leave_through_the_platforms_account_whatever_a_business_connects() {
    let (base, mut platform) = stand_in(vec![TAKEN, (500, "{}"), TAKEN, TAKEN, TAKEN, TAKEN]).await;
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

    // Whoever may change the connections would read the links that open everybody's accounts.
    let (base, mut own) = stand_in(vec![TAKEN]).await;
    let key = json!({"name": "Sender", "kind": "secret", "scopes": ["messages:write"]});
    let key = owner.post("/api/api-keys", key).await.expect(201);
    let connection = json!({"channel": "email", "provider": "resend", "name": "Ours", "secrets": {"apiKey": "re_ours"},
        "settings": {"from": "Studio <studio@example.com>", "baseUrl": base}, "isDefault": true});
    client.with_token(key["key"].as_str().unwrap()).post("/api/connections", connection).await.expect(201);
    forget(&client, &tenant).await;
    let (head, mail) = next(&mut platform).await;
    assert!(head.contains("Bearer re_platform"), "{head}");
    assert_eq!(mail["subject"], "Choose a new password");
    owner.post("/api/users/invite", json!({"email": "guest@example.com", "role": "staff"})).await.expect(201);
    assert_eq!(next(&mut platform).await.1["subject"], "You have been invited");
    assert!(own.try_recv().is_err(), "a link went through the business's account");
}

/// The variables of a deployment.
fn deployed(environment: &'static str) -> Vec<(&'static str, &'static str)> {
    let queues =
        ["SQS_RECEIPTS_URL", "SQS_RUNS_URL", "SQS_MESSAGES_URL", "SQS_DELIVERIES_URL", "SQS_JOBS_URL"];
    let mut real: Vec<(&str, &str)> = queues
        .into_iter()
        .map(|name| (name, "https://sqs.eu-central-1.amazonaws.com/000000000000/q"))
        .collect();
    real.extend([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    real.push(("APP_ENV", environment));
    real
}

/// A notice about an account, as far as to its provider.
async fn leaving(app: &App, tenant: &Tenant, letter: Letter<'_>) -> Option<MailJob> {
    let id = TenantId::new(tenant.id.parse().unwrap());
    let mut tx = app.db.open_tenant(id).await.unwrap().unwrap();
    let mail = Mail { to: &tenant.email, letter };
    assert!(mails::tell(&mut tx, app, mail).await.unwrap());
    let hints = tx.commit().await.unwrap();
    mails::mark(app, &hints[0]).await.unwrap()
}

#[tokio::test]
async fn without_a_platforms_account_a_link_leaves_by_the_vendor_itself_or_not_at_all() {
    const NAME: &str = "account_mails";
    stack().create_database(NAME).await;
    let mut values = stack().values.clone();
    values.insert("DATABASE_URL".to_owned(), stack().app_url_of(NAME));
    let mut owner_url = Url::parse(&stack().owner_url).unwrap();
    owner_url.set_path(NAME);
    // Nothing sweeps here: whatever is planned waits for this test.
    let hour = Duration::from_secs(3600);
    let own = Stack::start(Options {
        owner_url: owner_url.into(),
        values: values.clone(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        sweep_every: hour,
        nightly_every: hour,
    })
    .await
    .unwrap();
    let tenant = Tenant::at(&Client::anonymous().on(&format!("http://{}", own.address))).await;
    let apps = ["staging", "production"].map(|environment| {
        let mut values = values.clone();
        values.extend(
            deployed(environment).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        App::new(Config::from_values(values, Needs::Worker).unwrap(), 1).unwrap()
    });
    let connection = |provider: &str, base: Option<&str>| {
        let mut settings = json!({"from": "Studio <studio@example.com>"});
        if let Some(base) = base {
            settings["baseUrl"] = json!(base);
        }
        let mut body = json!({"channel": "email", "provider": provider, "name": "Ours", "settings": settings,
                              "isDefault": true});
        if provider != "sandbox" {
            body["secrets"] = json!({"apiKey": "ours"});
        }
        Some(body)
    };
    for (connection, through) in [
        (None, None),
        (connection("sandbox", None), None),
        (connection("resend", Some("https://mails.example.com")), None),
        (connection("resend", Some("https://api.resend.com.example.com")), None),
        (connection("sendgrid", Some("https://api.eu.sendgrid.com")), Some(Provider::Sendgrid)),
        (connection("resend", None), Some(Provider::Resend)),
    ] {
        if let Some(connection) = &connection {
            tenant.post("/api/connections", connection.clone()).await.expect(201);
        }
        // Two kinds of letters, since one address gets so many of each.
        for (app, letter) in apps.iter().zip([Letter::PasswordChanged, Letter::MfaAdded]) {
            let job = leaving(app, &tenant, letter).await;
            assert_eq!(job.map(|job| job.account.provider), through, "{connection:?}");
        }
    }
    let check = "do $$ begin assert (select count(*) from effects where error_code = 'no_account' and payload = '{}') = 8; end $$";
    stack().execute(NAME, &format!("begin; set local app.tenant_id = '{}'; {check}; commit", tenant.id));
    own.stop().await;
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
    let mut real = deployed("production");
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
