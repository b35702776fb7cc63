//! What jobs read and wrote about a person who is forgotten, and what stays whole beside it.

use reqwest::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{
    life::{id, traces},
    unique,
};
use crate::{
    leads::imports::{done, import, send},
    support::Tenant,
};

async fn export(tenant: &Tenant, query: &str) -> Value {
    let request = tenant.request(Method::POST, &format!("/api/leads/export?{query}"));
    let job = tenant.send(request).await.expect(202);
    done(tenant, &job).await
}

/// An upload in parts that nobody has begun to read.
async fn upload(tenant: &Tenant, parts: &[&str]) -> Value {
    let job = send(tenant, Method::POST, "/api/leads/import?upload=parts", "text/csv", "").await.expect(201);
    for (part, number) in parts.iter().zip(1..) {
        let path = format!("/api/jobs/{}/parts/{number}", id(&job));
        send(tenant, Method::PUT, &path, "text/csv", (*part).to_owned()).await.expect(200);
    }
    job
}

#[tokio::test]
async fn jobs_forget_a_person_and_keep_whole_what_is_about_others() {
    let tenant = Tenant::new().await;
    let (word, number) = unique("filed");
    tenant.lead(json!({"email": "other@example.com"})).await;
    let of_others = export(&tenant, "format=csv&search=other").await;
    let email = format!("{word}@example.com");
    let local = &number[2..];
    let lead = tenant.lead(json!({"email": email, "phone": format!("0171 {local}")})).await;
    let about = export(&tenant, &format!("format=ndjson&search={email}")).await;
    let all = export(&tenant, "format=csv").await;
    let rows = [
        format!("Tel. +49 (0)171 / {}-{}", &local[..3], &local[3..]),
        format!("0049171{local}"),
        format!("no. 5{number}"),
        format!("no. {number}5"),
    ];
    let bad = import(&tenant, "", "text/csv", format!("email\n{}\n", rows.join("\n"))).await;
    // Cut in the middle of the address.
    let theirs = upload(&tenant, &[&format!("email\na@example.com\n{}", &word[..9]), &email[9..]]).await;
    let foreign = upload(&tenant, &["email\nb@exam", "ple.com\nc@example.com\n"]).await;

    tenant.post(&format!("/api/leads/{}/privacy/erase", id(&lead)), json!({})).await.expect(200);

    assert_eq!(traces(&tenant, &[word]).await, [""; 0]);
    let listed = tenant.get("/api/jobs").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 6, "{listed:#}");
    for job in listed["items"].as_array().unwrap() {
        assert_eq!(&tenant.get(&format!("/api/jobs/{}", id(job))).await.expect(200), job);
        tenant.get(&format!("/api/jobs/{}/errors", id(job))).await.expect(200);
    }
    for job in [&about, &all] {
        let now = tenant.get(&format!("/api/jobs/{}", id(job))).await.expect(200);
        assert_eq!(
            (&now["status"], &now["error"]["code"], &now["request"]["format"], &now["result"]),
            (&json!("completed"), &json!("person_erased"), &job["request"]["format"], &json!(null))
        );
        tenant.get(&format!("/api/jobs/{}/parts/1", id(job))).await.expect_problem(410, "person_erased");
    }
    let file = tenant.get(&format!("/api/jobs/{}/parts/1", id(&of_others))).await;
    file.expect_status(200);
    let hash: String =
        digest(&SHA256, file.text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(of_others["result"]["parts"][0]["sha256"], hash);

    // A number is found however it was typed, and is no piece of a longer one.
    let errors = tenant.get(&format!("/api/jobs/{}/errors", id(&bad))).await.expect(200);
    let values: Vec<&Value> =
        errors["items"].as_array().unwrap().iter().map(|error| &error["value"]).collect();
    assert_eq!(values, [&json!(null), &json!(null), &json!(rows[2]), &json!(rows[3])], "{errors:#}");

    let path = format!("/api/jobs/{}", id(&theirs));
    let ended = tenant.get(&path).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("cancelled"), &json!("person_erased")),
        "{ended:#}"
    );
    tenant.post(&format!("{path}/start"), json!({})).await.expect_problem(409, "not_awaiting_parts");
    tenant.post(&format!("/api/jobs/{}/start", id(&foreign)), json!({})).await.expect(202);
    let read = done(&tenant, &foreign).await;
    assert_eq!((&read["status"], &read["created"]), (&json!("completed"), &json!(2)), "{read:#}");
}
