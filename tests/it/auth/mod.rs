//! Coming in, staying in, being let out; colleagues and keys; the end of a business.

mod colleagues;
mod credentials;
mod doors;
mod keys;
pub mod mfa;
mod platform_mail;
mod sessions;
mod settings;
mod standing;
mod step_up;
mod takeover;
mod tenant_life;
mod tokens;

use std::net::Ipv4Addr;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Tenant, eventually, stack, tenant::PASSWORD};

async fn login(body: Value) -> Answer {
    Client::anonymous().post("/api/auth/login", body).await
}

async fn refresh(token: &str) -> Answer {
    Client::anonymous().post("/api/auth/refresh", json!({"refreshToken": token})).await
}

/// A login from another place than where all other tests sit.
async fn login_from(last: u8, email: &str, password: &str) -> Answer {
    let client = Client::at(Ipv4Addr::new(127, 9, 9, last));
    client.post("/api/auth/login", json!({"email": email, "password": password})).await
}

/// The session of an address with the usual password.
pub async fn sign_in(email: &str) -> Value {
    login(json!({"email": email, "password": PASSWORD})).await.expect(200)
}

/// Whoever a login or a registration answered.
pub fn client(session: &Value) -> Client {
    Client::anonymous().with_token(text(&session["accessToken"]))
}

/// Runs SQL on the rows of one business.
pub fn alter(tenant: &Tenant, sql: &str) {
    stack().execute(
        private_postgres::DATABASE,
        &format!("begin; set local app.tenant_id = '{}'; {sql}; commit", tenant.id),
    );
}

/// The mail to an address, once it has left, as an administrator sees it in the sandbox.
async fn mail(admin: &Client, recipient: &str, subject: &str) -> Value {
    eventually(&format!("the mail `{subject}`"), async || {
        let request = admin.request(Method::GET, "/api/messages/sandbox");
        let page = admin.send(request.query(&[("recipient", recipient)])).await.expect(200);
        page["items"].as_array().unwrap().iter().find(|mail| mail["subject"] == subject).cloned()
    })
    .await
}

/// The token of a mail's link.
fn token_of(mail: &Value) -> &str {
    text(&mail["body"]).split("?token=").nth(1).unwrap().split_whitespace().next().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
