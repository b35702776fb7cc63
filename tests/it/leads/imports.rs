//! Imports: a file of people becomes leads, and the counts are what happened.

use reqwest::Method;
use serde_json::{Value, json};

use super::jobs::bound_to_own;
use crate::support::{Answer, Client, Tenant, eventually};

/// Sends a body as it is.
pub(super) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    client.send(client.request(method, path).header("content-type", kind).body(body)).await
}

/// The job, once it has ended.
pub(super) async fn done(client: &Client, job: &Value) -> Value {
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap_or_else(|| panic!("no job: {job}")));
    eventually("the end of the job", async || {
        let job = client.get(&path).await.expect(200);
        job["finishedAt"].is_string().then_some(job)
    })
    .await
}

/// Imports a file and waits for the end.
pub(super) async fn import(
    client: &Client,
    query: &str,
    kind: &str,
    file: impl Into<reqwest::Body>,
) -> Value {
    let answer = send(client, Method::POST, &format!("/api/leads/import{query}"), kind, file).await;
    let job = answer.expect(202);
    assert_eq!(answer.header("location"), format!("/api/jobs/{}", job["id"].as_str().unwrap()));
    done(client, &job).await
}

/// created, updated, skipped, failed
pub(super) fn counts(job: &Value) -> [i64; 4] {
    ["created", "updated", "skipped", "failed"].map(|name| job[name].as_i64().unwrap())
}

/// (line, column, code) of each error.
async fn errors(client: &Client, job: &Value) -> Vec<(i64, String, String)> {
    let page =
        client.get(&format!("/api/jobs/{}/errors?limit=100", job["id"].as_str().unwrap())).await.expect(200);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|error| (error["line"].as_i64().unwrap(), text(&error["column"]), text(&error["code"])))
        .collect()
}

pub(super) async fn total(client: &Client, filter: &str) -> i64 {
    client.get(&format!("/api/leads?limit=1&include=total{filter}")).await.expect(200)["total"]
        .as_i64()
        .unwrap()
}

#[tokio::test]
async fn a_thousand_rows_with_seven_bad_ones_count_as_the_database_does() {
    let tenant = Tenant::new().await;
    let known = tenant.lead(json!({"email": "row10@example.com", "firstName": "Old"})).await;
    let mut file = "Vorname;Nachname;E-Mail;Telefon;Tags;Herkunft\r\n".to_owned();
    for row in 0..1_000 {
        let (email, phone) = match row {
            7 | 77 => ("nobody".to_owned(), String::new()),
            307 | 377 => (format!("row{row}@example.com"), "12".to_owned()),
            _ => (format!("Row{row}@Example.com"), String::new()),
        };
        file.push_str(&match row {
            500 => "too;few\r\n".to_owned(),
            501 => "Vorname;Nachname;E-Mail;Telefon;Tags;Herkunft\r\n".to_owned(),
            502 => "a\0b;x;nul@example.com;;;\r\n".to_owned(),
            _ => format!("First{row};Last;{email};{phone};new, \"gym\";Instagram\r\n"),
        });
    }
    let job = import(&tenant, "", "text/csv", file.clone()).await;
    assert_eq!((&job["status"], &job["total"]), (&json!("completed"), &json!(1_000)), "{job}");
    assert_eq!(counts(&job), [992, 1, 0, 7], "{job}");
    assert_eq!(total(&tenant, "").await, 993);
    let expected = [
        (9, "E-Mail", "invalid_email"),
        (79, "E-Mail", "invalid_email"),
        (309, "Telefon", "invalid_phone"),
        (379, "Telefon", "invalid_phone"),
        (502, "", "wrong_cell_count"),
        (503, "", "repeated_header"),
        (504, "Vorname", "invalid_text"),
    ];
    let expected = expected.map(|(line, column, code)| (line, column.to_owned(), code.to_owned()));
    assert_eq!(errors(&tenant, &job).await, expected);
    let page = format!("/api/jobs/{}/errors?column=Telefon&limit=1", job["id"].as_str().unwrap());
    let page = tenant.get(&page).await.expect(200);
    assert_eq!((&page["items"][0]["value"], page["nextCursor"].is_string()), (&json!("12"), true));
    let changed = tenant.get(&super::path(&known)).await.expect(200);
    assert_eq!(
        (&changed["firstName"], &changed["tags"], &changed["source"]),
        (&json!("First10"), &json!(["\"gym\"", "new"]), &json!("instagram"))
    );

    // The same once more changes nothing.
    let again = import(&tenant, "", "text/csv", file).await;
    assert_eq!(counts(&again), [0, 0, 993, 7], "{again}");
    let mut unchanged = tenant.get(&super::path(&known)).await.expect(200);
    // Scores are a matter of the sweep.
    unchanged["score"] = changed["score"].clone();
    assert_eq!(unchanged, changed);
}

#[tokio::test]
async fn a_rehearsal_counts_what_the_real_import_then_does() {
    let tenant = Tenant::new().await;
    tenant.lead(json!({"email": "known@example.com", "phone": "0171 3920001", "tags": ["a"]})).await;
    tenant.lead(json!({"email": "other@example.com"})).await;
    // Twins stand portions apart.
    let filler: String = (0..700).map(|n| format!(",filler{n}@example.com,,\n")).collect();
    let file = format!(
        "firstName,email,phone,tags\n\
         Twin,twin@example.com,,a\n\
         Known,known@example.com,,a\n\
         Mixed,other@example.com,0171 3920001,\n\
         {filler}\
         Twin,TWIN@example.com,0171 3920002,a\n\
         Twin,,+49 171 3920002,a\n\
         Known,,0171 3920001,b\n\
         ,,,c\n"
    );
    for (mode, expected) in
        [("create", [702, 0, 3, 2]), ("update", [0, 2, 704, 1]), ("upsert", [701, 3, 1, 2])]
    {
        let rehearsed = import(&tenant, &format!("?dryRun=true&mode={mode}"), "text/csv", file.clone()).await;
        assert_eq!(
            (rehearsed["dryRun"].as_bool(), counts(&rehearsed)),
            (Some(true), expected),
            "{mode}: {rehearsed}"
        );
        assert_eq!(total(&tenant, "").await, 2, "a rehearsal wrote");
    }
    let real = import(&tenant, "", "text/csv", file).await;
    assert_eq!(counts(&real), [701, 3, 1, 2], "{real}");
    assert_eq!(total(&tenant, "").await, 703);
    assert_eq!(errors(&tenant, &real).await.len(), 2);
    let twin = tenant.get("/api/leads?search=twin").await.expect(200);
    assert_eq!(
        (&twin["items"][0]["phone"], twin["items"].as_array().unwrap().len()),
        (&json!("+491713920002"), 1)
    );
}

#[tokio::test]
async fn people_are_recognised_by_any_identity_and_get_further_ones() {
    let tenant = Tenant::new().await;
    let first = "firstName,email,otherEmails,phone,externalIds,consent.email.marketing,consent.health,cf.goal\n\
                 Ada,ada@example.com,\"ada2@example.com; ada3@example.com\",0171 3920003,shop:17,yes,granted,10k\n";
    assert_eq!(counts(&import(&tenant, "", "text/csv", first).await), [1, 0, 0, 0]);
    let lead = tenant.get("/api/leads").await.expect(200)["items"][0].clone();
    assert_eq!((&lead["email"], &lead["customFields"]), (&json!("ada@example.com"), &json!({"goal": "10k"})));
    for (file, query) in [
        ("email,lastName\nADA3@example.com,L1\n", ""),
        ("externalId,lastName\nshop:17,L2\n", "?mode=update"),
        ("Handy,lastName\n0171/3920003,L3\n", ""),
        ("Mein Kontakt,Nachname\nada2@example.com,L4\n", "?map.Mein%20Kontakt=email"),
    ] {
        let job = import(&tenant, query, "text/csv", file).await;
        assert_eq!(counts(&job), [0, 1, 0, 0], "{file}: {job}");
    }
    let by_id = format!("id,lastName,phone\n{},L5,0171 3920004\n", lead["id"].as_str().unwrap());
    assert_eq!(counts(&import(&tenant, "", "text/csv", by_id).await), [0, 1, 0, 0]);
    let now = tenant.get(&super::path(&lead)).await.expect(200);
    assert_eq!(
        (&now["lastName"], &now["phone"], &now["email"]),
        (&json!("L5"), &lead["phone"], &lead["email"])
    );
    let identities = tenant.get(&format!("{}/identities", super::path(&lead))).await.expect(200);
    assert_eq!(identities["items"].as_array().unwrap().len(), 6, "{identities}");
    let consents = tenant.get(&format!("{}/consents", super::path(&lead))).await.expect(200);
    assert_eq!(consents["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&consents["items"][0]["state"], &consents["items"][0]["source"]),
        (&json!("granted"), &json!("import"))
    );
}

#[tokio::test]
async fn cells_of_spreadsheets_are_read_as_they_were_meant() {
    let tenant = Tenant::new().await;
    let file = "firstName,lastName,phone,cf.note,email\n\
                \"'=1+1\",'tis,'+49 171 3920005,\"line\r\nbreak, \"\"quoted\"\"\",formula@example.com\n\
                '''-x,=2+2,,\"'@x\",second@example.com\n";
    assert_eq!(counts(&import(&tenant, "", "text/csv; charset=utf-8", file).await), [2, 0, 0, 0]);
    let leads = tenant.get("/api/leads?sort=createdAt").await.expect(200);
    let by =
        |email: &str| leads["items"].as_array().unwrap().iter().find(|lead| lead["email"] == email).unwrap();
    let first = by("formula@example.com");
    assert_eq!(
        (&first["firstName"], &first["lastName"], &first["phone"], &first["customFields"]["note"]),
        (&json!("=1+1"), &json!("'tis"), &json!("+491713920005"), &json!("line\r\nbreak, \"quoted\""))
    );
    let second = by("second@example.com");
    assert_eq!(
        (&second["firstName"], &second["lastName"], &second["customFields"]["note"]),
        (&json!("''-x"), &json!("=2+2"), &json!("@x"))
    );
}

#[tokio::test]
async fn rows_of_json_are_judged_one_by_one() {
    let tenant = Tenant::new().await;
    let file = json!([
        {"firstName": "Ada", "email": "ada@example.com", "tags": ["a", "b"], "customFields": {"n": 5, "when": {"a": [1]}}},
        {"firstName": "Bad", "emial": "x"},
        7,
        {"email": "b@example.com", "tags": "a,b", "value": 100, "createdAt": "2020-02-03"},
        {"email": "c@example.com", "currency": "EUR"},
    ]);
    let job = import(&tenant, "", "application/json", file.to_string().replace("},{", "},\n{")).await;
    assert_eq!(counts(&job), [2, 0, 0, 3], "{job}");
    let codes: Vec<(i64, String)> =
        errors(&tenant, &job).await.into_iter().map(|(line, _, code)| (line, code)).collect();
    assert_eq!(
        codes,
        [(2, "unknown_field".to_owned()), (2, "wrong_type".to_owned()), (3, "required".to_owned())]
    );
    let lines = "{\"email\":\"ada@example.com\",\"lastName\":\"L\"}\n\n{\"email\":\n";
    let job = import(&tenant, "", "application/x-ndjson", lines).await;
    assert_eq!(counts(&job), [0, 1, 0, 1], "{job}");
    let old = tenant.get("/api/leads?to=2021-01-01").await.expect(200);
    assert_eq!(
        (&old["items"][0]["email"], &old["items"][0]["currency"]),
        (&json!("b@example.com"), &json!("EUR"))
    );
}

#[tokio::test]
async fn whoever_sees_only_own_records_imports_into_their_own() {
    let tenant = Tenant::new().await;
    let own = bound_to_own(&tenant).await;
    let foreign = tenant.lead(json!({"email": "foreign@example.com"})).await;
    let file = "firstName,email\nMine,foreign@example.com\nNew,new@example.com\n";
    for query in ["?dryRun=true", ""] {
        let job = import(&own, query, "text/csv", file).await;
        assert_eq!(counts(&job), [1, 0, 0, 1], "{job}");
        assert_eq!(errors(&own, &job).await[0].2, "lead_exists");
    }
    assert_eq!(tenant.get(&super::path(&foreign)).await.expect(200)["firstName"], foreign["firstName"]);
    assert_eq!(total(&own, "").await, 1);
}

#[tokio::test]
async fn automations_begin_with_an_import_unless_it_is_to_be_silent() {
    let tenant = Tenant::new().await;
    let steps = json!([{"id": "tag", "type": "addTags", "tags": ["greeted"]}]);
    let automation = json!({"name": "Greet", "trigger": {"type": "lead.created"}, "steps": steps});
    let automation = tenant.post("/api/automations", automation).await.expect(201);
    tenant
        .post(&format!("/api/automations/{}/publish", automation["id"].as_str().unwrap()), json!({}))
        .await
        .expect(200);
    import(&tenant, "?automations=false", "text/csv", "email\nsilent@example.com\n").await;
    import(&tenant, "", "text/csv", "email\nloud1@example.com\nloud2@example.com\n").await;
    eventually("the greeting", async || (total(&tenant, "&tag=greeted").await == 2).then_some(())).await;
    let runs = tenant.get("/api/automations/runs?include=total").await.expect(200);
    assert_eq!(runs["items"].as_array().unwrap().len(), 2, "{runs}");
    let told = tenant.get("/api/events?type=lead.created").await.expect(200);
    assert_eq!(told["items"].as_array().unwrap().len(), 3, "webhooks hear a silent import too");
}

#[tokio::test]
async fn whoever_comes_in_silence_gets_a_colleague_in_silence() {
    let tenant = Tenant::new().await;
    let owner = tenant.registration["user"]["id"].clone();
    let policy = json!({"name": "Turns", "forNewLeads": true, "members": [{"userId": owner}]});
    tenant.post("/api/assignment-policies", policy).await.expect(201);
    let steps = json!([{"id": "tag", "type": "addTags", "tags": ["heard"]}]);
    let automation = json!({"name": "Hears", "trigger": {"type": "lead.updated"}, "steps": steps});
    let automation = tenant.post("/api/automations", automation).await.expect(201);
    let path = format!("/api/automations/{}/publish", automation["id"].as_str().unwrap());
    tenant.post(&path, json!({})).await.expect(200);
    import(&tenant, "?automations=false", "text/csv", "email\nsilent@example.com\n").await;
    import(&tenant, "", "text/csv", "email\nloud@example.com\n").await;
    eventually("the loud one", async || (total(&tenant, "&tag=heard").await > 0).then_some(())).await;
    let runs = tenant.get("/api/automations/runs").await.expect(200);
    assert_eq!(runs["items"].as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(total(&tenant, &format!("&ownerId={}", owner.as_str().unwrap())).await, 2);
}

#[tokio::test]
async fn a_consent_in_a_file_is_held_to_the_rules_of_every_other() {
    let tenant = Tenant::new().await;
    let granted = |more: Value| {
        let mut consent = json!({"channel": "email", "purpose": "marketing", "state": "granted"});
        consent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        consent
    };
    let lines = [
        json!([granted(json!({"effectiveAt": "2024-05-06T07:08:09Z"}))]),
        json!([granted(json!({"effectiveAt": "2999-01-01T00:00:00Z"}))]),
        json!([granted(json!({"channel": null}))]),
        json!([granted(json!({"purpose": "health"}))]),
        json!(vec![granted(json!({})); 21]),
    ];
    let file: String = lines
        .iter()
        .enumerate()
        .map(|(n, consents)| {
            format!("{}\n", json!({"email": format!("c{n}@example.com"), "consents": consents}))
        })
        .collect();
    let job = import(&tenant, "", "application/x-ndjson", file).await;
    assert_eq!(counts(&job), [1, 0, 0, 4], "{job}");
    let codes: Vec<(i64, String)> =
        errors(&tenant, &job).await.into_iter().map(|(line, _, code)| (line, code)).collect();
    let expected = [(2, "in_future"), (3, "required"), (4, "not_allowed"), (5, "too_many_values")];
    assert_eq!(codes, expected.map(|(line, code)| (line, code.to_owned())));
}

#[tokio::test]
async fn a_visit_of_which_a_file_tells_late_is_not_the_latest() {
    let tenant = Tenant::new().await;
    let told = |at: &str, source: &str| {
        json!({"email": "seen@example.com", "lastTouch": {"at": at, "source": source}}).to_string()
    };
    for (line, expected, source) in [
        (told("2026-03-01T09:00:00Z", "fair"), [1, 0, 0, 0], "fair"),
        (told("2026-03-01T09:59:00+01:00", "older"), [0, 0, 1, 0], "fair"),
        (told("2026-03-02", "newer"), [0, 1, 0, 0], "newer"),
    ] {
        let job = import(&tenant, "", "application/x-ndjson", line).await;
        assert_eq!(counts(&job), expected, "{job}");
        let lead = tenant.get("/api/leads").await.expect(200)["items"][0].clone();
        assert_eq!(lead["lastTouch"]["source"], source, "{lead}");
    }
}

#[tokio::test]
async fn custom_fields_are_checked_by_their_definitions() {
    let tenant = Tenant::new().await;
    for field in [
        json!({"entity": "lead", "key": "age", "label": "Alter", "type": "number", "required": true}),
        json!({"entity": "lead", "key": "sports", "label": "Sports", "type": "multiSelect", "options": ["yoga", "box"]}),
        json!({"entity": "lead", "key": "diet", "label": "Diet", "type": "text", "isHealthData": true}),
    ] {
        tenant.post("/api/custom-fields", field).await.expect(201);
    }
    let file = "email,Alter,cf.sports,Diet,consent.health\n\
                a@example.com,41,\"yoga, box\",vegan,yes\n\
                b@example.com,old,,,\n\
                c@example.com,,,,\n\
                d@example.com,7,chess,,\n\
                e@example.com,7,,vegan,\n";
    let job = import(&tenant, "", "text/csv", file).await;
    assert_eq!(counts(&job), [1, 0, 0, 4], "{job}");
    let expected = [
        (3, "Alter", "wrong_type"),
        (4, "cf.age", "required"),
        (5, "cf.sports", "unknown_value"),
        (6, "cf.diet", "health_consent_required"),
    ];
    assert_eq!(
        errors(&tenant, &job).await,
        expected.map(|(line, column, code)| (line, column.to_owned(), code.to_owned()))
    );
    let lead = tenant.get("/api/leads").await.expect(200)["items"][0].clone();
    assert_eq!(lead["customFields"], json!({"age": 41, "sports": ["yoga", "box"], "diet": "vegan"}));
}
