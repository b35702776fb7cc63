//! Who may see whose leads.

use serde_json::{Value, json};

use super::path;
use crate::support::{
    Client, Tenant,
    tenant::{PASSWORD, unique_email},
};

#[tokio::test]
async fn a_colleague_bound_to_own_records_meets_no_other_lead() {
    let tenant = Tenant::new().await;
    let email = unique_email("own");
    let user = json!({"name": "Otto", "email": email, "role": "manager", "recordScope": "own", "password": PASSWORD});
    tenant.post("/api/users", user).await.expect(201);
    let login = json!({"email": email, "password": PASSWORD});
    let session = Client::anonymous().post("/api/auth/login", login).await.expect(200);
    let otto = Client::anonymous().with_token(session["accessToken"].as_str().unwrap());

    let foreign = tenant.lead(json!({"phone": "0171 2345678"})).await;
    let own =
        otto.post("/api/leads", json!({"firstName": "Ole", "email": unique_email("ole")})).await.expect(201);
    assert_eq!(own["ownerId"], session["user"]["id"]);
    let list = otto.get("/api/leads?include=total").await.expect(200);
    assert_eq!((&list["items"], &list["total"]), (&json!([own]), &json!(1)));

    let path = path(&foreign);
    for hidden in ["", "/activities", "/timeline", "/conversations", "/identities", "/consents"] {
        otto.get(&format!("{path}{hidden}")).await.expect_problem(404, "not_found");
    }
    let note = json!({"kind": "note", "body": "Mine"});
    let activity = tenant.post(&format!("{path}/activities"), note.clone()).await.expect(201);
    let activity = format!("/api/activities/{}", activity["id"].as_str().unwrap());
    let writes: [(&str, String, Value); 8] = [
        ("PATCH", path.clone(), json!({"firstName": "Mine"})),
        ("POST", format!("{path}/tags"), json!({"tags": ["mine"]})),
        ("POST", format!("{path}/assign"), json!({"ownerId": own["ownerId"]})),
        ("POST", format!("{path}/activities"), note),
        ("POST", format!("{path}/identities"), json!({"kind": "email", "value": unique_email("mine")})),
        ("PATCH", activity.clone(), json!({"title": "Mine"})),
        ("DELETE", activity, Value::Null),
        ("DELETE", path.clone(), Value::Null),
    ];
    for (method, path, body) in writes {
        let request = otto.request(method.parse().unwrap(), &path).json(&body);
        otto.send(request).await.expect_problem(404, "not_found");
    }
    for owner in [json!({}), json!({"ownerId": own["ownerId"]})] {
        let mut upsert = json!({"phone": "0171 2345678", "firstName": "Mine"});
        upsert.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
        otto.post("/api/leads/upsert", upsert).await.expect_problem(409, "lead_exists");
    }
    let after = tenant.get(&path).await.expect(200);
    for field in ["firstName", "tags", "ownerId", "email", "phone", "deletedAt"] {
        assert_eq!(after[field], foreign[field], "{field}");
    }
}
