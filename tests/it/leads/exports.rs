//! Exports: complete, safe to open, and read back by the import without loss.

use serde_json::{Value, json};
use shared::export::csv::restore;

use super::{
    imports::{counts, done, import},
    jobs::bound_to_own,
};
use crate::support::{Client, Tenant};

/// All chunks of an export, one behind the other.
async fn export(client: &Client, query: &str) -> String {
    let (mut path, mut file, mut chunks) = (format!("/api/leads/export?{query}"), String::new(), 0);
    loop {
        let chunk = client.get(&path).await;
        chunk.expect_status(200);
        file.push_str(&chunk.text);
        chunks += 1;
        assert!(chunks < 100, "the chain does not end");
        let link = chunk.header("link").to_owned();
        assert_eq!(link.is_empty(), chunk.header("x-next-cursor").is_empty());
        match link.strip_prefix('<').and_then(|link| link.split_once('>')) {
            Some((next, rest)) => {
                assert_eq!(rest, "; rel=\"next\"");
                path = next.to_owned();
            }
            None => return file,
        }
    }
}

/// The rows by e-mail address and column, without what the system itself writes.
fn rows(file: &str) -> Vec<Vec<(String, String)>> {
    const OWN: [&str; 3] = ["id", "updatedAt", "score"];
    let mut reader = csv::ReaderBuilder::new().from_reader(file.as_bytes());
    let header = reader.headers().unwrap().clone();
    let mut rows: Vec<Vec<(String, String)>> = reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let live = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
            assert!(record.iter().all(|cell| !live(cell)), "a spreadsheet would run {record:?}");
            let cells = header.iter().zip(record.iter()).filter(|(name, _)| !OWN.contains(name));
            cells.map(|(name, cell)| (name.to_owned(), restore(cell).to_owned())).collect()
        })
        .collect();
    rows.sort();
    rows
}

async fn fill(tenant: &Tenant) {
    for (n, fields) in [
        json!({"firstName": "=1+1", "lastName": "O'Neil, \"Bo\"", "phone": "0171 3920010", "tags": ["a;b", "vip"], "value": 1250, "source": "instagram"}),
        json!({"firstName": "'quoted", "lastName": "@x", "status": "contacted", "firstTouch": {"utmSource": "ig", "n": 1},
               "customFields": {"goal": "10k", "n": 5, "text5": "5", "yes": true, "list": [1, "a"], "deep": {"a": {"b": null}}, "zero": "007"}}),
        json!({"firstName": "Zo\u{eb} \u{1f600}", "customFields": {"note": "two\r\nlines; and, \"more\"", "-key": "-2"}, "consents": [
            {"channel": "email", "purpose": "marketing", "state": "granted", "proof": {"text": "yes"}}, {"purpose": "health", "state": "denied"}]}),
        json!({"lastName": "Nameless", "email": Value::Null}),
    ].into_iter().enumerate() {
        let mut fields = fields;
        if fields.get("email").is_none() {
            fields["email"] = format!("round{n}@example.com").into();
        }
        let lead = tenant.post("/api/leads", fields).await.expect(201);
        if n == 1 {
            for (kind, value) in [("email", "second@example.com"), ("phone", "+49 171 3920011"), ("external", "shop:1,2")] {
                tenant.post(&format!("{}/identities", super::path(&lead)), json!({"kind": kind, "value": value})).await.expect(201);
            }
            tenant.patch(&super::path(&lead), json!({"timezone": "Europe/Paris", "locale": "fr", "lostReason": "Too far"})).await.expect(200);
        }
    }
}

#[tokio::test]
async fn what_is_exported_is_imported_elsewhere_without_loss() {
    let nord = Tenant::new().await;
    fill(&nord).await;
    let gone = nord.lead(json!({})).await;
    nord.delete(&super::path(&gone)).await.expect_status(204);
    let file = export(&nord, "format=csv").await;
    assert_eq!(rows(&file).len(), 4, "{file}");
    for (format, kind) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
        let sued = Tenant::new().await;
        let file = export(&nord, &format!("format={format}")).await;
        let job = import(&sued, "", kind, file.clone()).await;
        assert_eq!(
            counts(&job),
            [4, 0, 0, 0],
            "{format}: {job} {:?}",
            sued.get(&format!("/api/jobs/{}/errors", job["id"].as_str().unwrap())).await.text
        );
        assert_eq!(
            rows(&export(&sued, "format=csv").await),
            rows(&export(&nord, "format=csv").await),
            "{format}"
        );
        let again = import(&sued, "", kind, file).await;
        assert_eq!(counts(&again), [1, 0, 3, 0], "who has no identity is new again: {again}");
    }
    // At home each row names its lead.
    assert_eq!(counts(&import(&nord, "", "text/csv", file).await), [0, 0, 4, 0]);
}

#[tokio::test]
async fn defined_fields_come_back_as_what_they_are() {
    let (nord, sued) = (Tenant::new().await, Tenant::new().await);
    for tenant in [&nord, &sued] {
        for (key, kind) in [
            ("age", "number"),
            ("member", "boolean"),
            ("born", "date"),
            ("sports", "multiSelect"),
            ("code", "text"),
        ] {
            let options = if kind == "multiSelect" { json!(["yoga", "box, fit"]) } else { json!([]) };
            let field = json!({"entity": "lead", "key": key, "label": key, "type": kind, "options": options});
            tenant.post("/api/custom-fields", field).await.expect(201);
        }
    }
    let fields = json!({"age": 41.5, "member": true, "born": "1990-02-03", "sports": ["yoga", "box, fit"], "code": "0049"});
    nord.lead(json!({"customFields": fields})).await;
    let file = export(&nord, "").await;
    assert!(file.lines().next().unwrap().contains("cf.age,cf.born"), "{file}");
    assert_eq!(counts(&import(&sued, "", "text/csv", file).await), [1, 0, 0, 0]);
    assert_eq!(sued.get("/api/leads").await.expect(200)["items"][0]["customFields"], fields);
}

#[tokio::test]
async fn chunks_follow_each_other_and_the_filter_holds() {
    let tenant = Tenant::new().await;
    for n in 0..7 {
        tenant.lead(json!({"firstName": format!("N{n}"), "status": if n < 5 { "new" } else { "lost" }, "customFields": {"n": n}})).await;
    }
    let whole = export(&tenant, "format=csv&status=new").await;
    assert_eq!(whole.lines().count(), 6);
    assert_eq!(export(&tenant, "format=csv&status=new&limit=2").await, whole);
    assert_eq!(rows(&export(&tenant, "cf.n[gte]=5").await).len(), 2);
    let lines = export(&tenant, "format=ndjson&limit=3").await;
    assert_eq!(
        lines.lines().filter(|line| serde_json::from_str::<Value>(line).unwrap()["id"].is_string()).count(),
        7
    );
    let page = tenant.get("/api/leads/export?format=json&limit=4").await.expect(200);
    assert_eq!((page["items"].as_array().unwrap().len(), page["nextCursor"].is_string()), (4, true));
    for (query, name, code) in [
        ("deleted=true", "?deleted", "not_allowed"),
        ("format=xml", "?format", "unknown_value"),
        ("cursor=x", "?cursor", "invalid_cursor"),
        ("stats=new", "?stats", "unknown_parameter"),
    ] {
        tenant.get(&format!("/api/leads/export?{query}")).await.expect_invalid(name, code);
    }
    let own = bound_to_own(&tenant).await;
    own.post("/api/leads", json!({"firstName": "Mine"})).await.expect(201);
    assert_eq!(rows(&export(&own, "").await).len(), 1);
}

#[tokio::test]
async fn an_export_as_a_job_is_a_file_with_a_manifest() {
    let tenant = Tenant::new().await;
    fill(&tenant).await;
    let request = tenant.request(reqwest::Method::POST, "/api/leads/export?format=csv&status=new,contacted");
    let job = tenant.send(request).await.expect(202);
    let job = done(&tenant, &job).await;
    let result = &job["result"];
    assert_eq!(
        (&job["status"], &result["rows"], &job["total"]),
        (&json!("completed"), &json!(4), &json!(4)),
        "{job}"
    );
    let part = tenant.get(&format!("/api/jobs/{}/parts/1", job["id"].as_str().unwrap())).await;
    part.expect_status(200);
    let digest = ring::digest::digest(&ring::digest::SHA256, part.text.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&result["sha256"], &result["parts"][0]["sha256"]), (&json!(digest), &json!(digest)));
    assert_eq!(part.text, export(&tenant, "status=new,contacted").await);
    tenant
        .get(&format!("/api/jobs/{}/parts/2", job["id"].as_str().unwrap()))
        .await
        .expect_problem(404, "not_found");
    let request = tenant.request(reqwest::Method::POST, "/api/leads/export?format=json");
    tenant.send(request).await.expect_invalid("?format", "unknown_value");
}
