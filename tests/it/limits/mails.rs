//! How many mails about accounts may leave, and to whom.

use serde_json::{Value, json};

use super::{Backend, World};
use crate::support::{
    Client, Tenant, stack,
    tenant::{PASSWORD, unique_email},
};

/// Runs SQL on the rows of one business.
fn on(tenant: &Value, sql: &str) {
    let tenant = tenant.as_str().unwrap();
    let statement = format!("begin; set local app.tenant_id = '{tenant}'; {sql}; commit");
    stack().execute(private_postgres::DATABASE, &statement);
}

fn require_resets(tenant: &Value, count: usize) {
    let found = "(select count(*) from one_time_tokens where kind = 'reset')";
    on(tenant, &format!("do $$ begin assert {found} = {count}, 'it has ' || {found}; end $$"));
}

async fn invite(tenant: &Tenant, email: &str) -> crate::support::Answer {
    tenant.post("/api/users/invite", json!({"email": email, "role": "staff"})).await
}

async fn mails_are_rationed(backend: Backend) {
    let world = World::new(backend, "mail=3/5").await;
    let client = Client::anonymous().on(&world.base);

    // A business that writes to whomever it likes: its own proof was the first mail.
    let spammer = Tenant::at(&client).await;
    for _ in 0..4 {
        invite(&spammer, &unique_email("anybody")).await.expect(201);
    }
    let last = unique_email("anybody");
    let refused = invite(&spammer, &last).await;
    refused.expect_problem(429, "too_many_mails");
    assert!((1..=3600).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    spammer.post("/api/me/email", json!({"email": last})).await.expect_problem(429, "too_many_mails");
    let users = spammer.get(&format!("/api/users?search={last}&include=total")).await.expect(200);
    assert_eq!(users["total"], 0, "an invitation that was refused has made a user");

    // Many businesses that write to one stranger.
    let stranger = unique_email("stranger");
    for count in 0..4 {
        let business = Tenant::at(&client).await;
        let answer = invite(&business, &stranger).await;
        if count < 3 {
            let path = format!("/api/users/{}/invite", answer.expect(201)["userId"].as_str().unwrap());
            if count == 2 {
                business.post(&path, json!({})).await.expect_problem(429, "too_many_mails");
            }
        } else {
            answer.expect_problem(429, "too_many_mails");
        }
    }

    // Somebody who asks and asks for another's password is answered alike, and the reader gets no more of it. Neither this nor
    // anything else uses up what warnings need.
    let victim = Tenant::at(&client).await;
    for count in 0..5 {
        let asked = client.post("/api/auth/forgot", json!({"email": victim.email})).await.expect(202);
        assert_eq!(asked["token"].is_string(), count < 3, "{asked}");
    }
    require_resets(&json!(victim.id), 3);
    let change = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
    let session = victim.post("/api/me/password", change).await.expect(200);
    let owner = client.with_token(session["accessToken"].as_str().unwrap());
    crate::support::eventually("the warning", async || {
        let page = owner.get(&format!("/api/messages/sandbox?recipient={}", victim.email)).await.expect(200);
        let mails = page["items"].as_array().unwrap();
        mails.iter().any(|mail| mail["subject"] == "Your password was changed").then_some(())
    })
    .await;
    world.stack.stop().await;
}

#[tokio::test]
async fn mails_about_accounts_are_rationed_by_recipient_and_business() {
    mails_are_rationed(Backend::Database).await;
}

#[tokio::test]
async fn mails_about_accounts_are_rationed_in_redis_as_well() {
    mails_are_rationed(Backend::Redis).await;
}

#[tokio::test]
async fn noise_in_a_strangers_business_keeps_no_mail_from_whoever_proved_the_address() {
    let world = World::new(Backend::Database, "mail=2/50").await;
    let client = Client::anonymous().on(&world.base);
    let victim = Tenant::at(&client).await;
    let asked = victim.post("/api/me/email", json!({"email": victim.email})).await.expect(202);
    client.post("/api/auth/verify-email", json!({"token": asked["token"]})).await.expect(200);
    let body = json!({"businessName": "Noise", "name": "N", "email": victim.email, "password": PASSWORD});
    let noise = client.post("/api/auth/register", body).await.expect(201)["tenant"]["id"].clone();

    let forgot = async |tenant: &Value| {
        let body = json!({"email": victim.email, "tenant": tenant});
        client.post("/api/auth/forgot", body).await.expect(202)["token"].is_string()
    };
    let told = [forgot(&noise).await, forgot(&noise).await, forgot(&noise).await];
    assert_eq!(told, [true, true, false]);
    let own = json!(victim.id);
    assert_eq!([forgot(&own).await, forgot(&own).await, forgot(&own).await], [true, true, false]);
    world.stack.stop().await;
}

#[tokio::test]
async fn an_address_that_many_businesses_claim_is_sent_a_few_resets_and_the_proved_one_first() {
    let email = unique_email("victim");
    let anonymous = Client::anonymous();
    let register = async |name: &str| {
        let body = json!({"businessName": name, "name": "V", "email": email, "password": PASSWORD});
        anonymous.post("/api/auth/register", body).await.expect(201)
    };
    let mut claimed = Vec::new();
    for _ in 0..6 {
        claimed.push(register("Claimed").await["tenant"]["id"].clone());
    }
    let own = register("Own").await;
    let owner = anonymous.with_token(own["accessToken"].as_str().unwrap());
    let proof = owner.post("/api/me/email", json!({"email": email})).await.expect(202);
    anonymous.post("/api/auth/verify-email", json!({"token": proof["token"]})).await.expect(200);

    anonymous.post("/api/auth/forgot", json!({"email": email})).await.expect(202);
    require_resets(&own["tenant"]["id"], 1);
    for (place, tenant) in claimed.iter().enumerate() {
        require_resets(tenant, usize::from(place < 4));
    }
    // Whoever names the business gets its mail, however many there are.
    let named = json!({"email": email, "tenant": claimed[5]});
    anonymous.post("/api/auth/forgot", named).await.expect(202);
    require_resets(&claimed[5], 1);
}
