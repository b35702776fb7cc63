//! Refreshing, listing and ending sessions.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{alter, client, login, refresh, text};
use crate::support::{Client, Tenant, tenant::PASSWORD};

#[tokio::test]
async fn parallel_refreshes_of_one_token_get_one_successor() {
    let tenant = Tenant::new().await;
    let first = text(&tenant.registration["refreshToken"]);
    let answers = join_all((0..200).map(|_| refresh(first))).await;
    let successors: Vec<Value> =
        answers.iter().map(|answer| answer.expect(200)["refreshToken"].clone()).collect();
    assert!(successors.windows(2).all(|pair| pair[0] == pair[1]));
    let next = refresh(text(&successors[0])).await.expect(200);
    // One session, one successor: nobody was signed out, and nothing forked.
    let client = client(&next);
    let live = client.get("/api/auth/sessions").await.expect(200);
    assert_eq!(live["items"].as_array().unwrap().len(), 1);
    client.get("/api/me").await.expect(200);

    // The first token is now the grandparent: whoever has it is not the one who has the session.
    refresh(first).await.expect_problem(401, "unauthorized");
    refresh(text(&next["refreshToken"])).await.expect_problem(401, "unauthorized");
    client.get("/api/me").await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_parent_that_comes_back_after_its_grace_ends_the_family() {
    let tenant = Tenant::new().await;
    let first = text(&tenant.registration["refreshToken"]);
    let next = refresh(first).await.expect(200);
    alter(&tenant, "update sessions set rotated_at = rotated_at - interval '11 seconds'");
    refresh(first).await.expect_problem(401, "unauthorized");
    refresh(text(&next["refreshToken"])).await.expect_problem(401, "unauthorized");
    let session = login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200);
    let owner = Client::anonymous().with_token(text(&session["accessToken"]));
    let audit = owner.get("/api/audit?action=session.reuse_detected").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_and_end_with_their_next_request() {
    let tenant = Tenant::new().await;
    let sign_in = || async { login(json!({"email": tenant.email, "password": PASSWORD})).await.expect(200) };
    let (one, two) = (sign_in().await, sign_in().await);

    let page = tenant.get("/api/auth/sessions").await.expect(200);
    let sessions = page["items"].as_array().unwrap();
    assert_eq!(
        (sessions.len(), sessions.iter().filter(|session| session["current"] == true).count()),
        (3, 1)
    );
    let latest = format!("/api/auth/sessions/{}", text(&sessions[0]["id"]));
    Tenant::new().await.delete(&latest).await.expect_problem(404, "not_found");
    tenant.delete(&latest).await.expect(204);
    client(&two).get("/api/me").await.expect_problem(401, "unauthorized");

    let logout = json!({"refreshToken": one["refreshToken"]});
    Client::anonymous().post("/api/auth/logout", logout).await.expect(204);
    client(&one).get("/api/me").await.expect_problem(401, "unauthorized");
    let three = sign_in().await;
    let bare = client(&three).request(Method::POST, "/api/auth/logout");
    Client::anonymous().send(bare).await.expect(204);
    client(&three).get("/api/me").await.expect_problem(401, "unauthorized");
    tenant.post("/api/auth/logout-all", json!({})).await.expect(204);
    tenant.get("/api/me").await.expect_problem(401, "unauthorized");
}
