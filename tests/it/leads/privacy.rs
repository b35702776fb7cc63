//! A person's data: handed over whole, forgotten without a trace.

mod files;
mod life;
mod races;

use std::collections::BTreeSet;

use crate::support::{Client, Tenant, stack, tenant::PASSWORD};
use life::{Life, id, key_of, traces};
use serde_json::{Value, json};
use shared::{
    app::App,
    config::{Config, Needs},
    ids::new_id,
};

/// Tables whose rows change by themselves: asking is an entry of the log, and a dead endpoint is tried again and again.
const MOVING: [&str; 2] = ["audit_log", "webhook_deliveries"];

/// A word and nine digits that nobody else uses.
fn unique(name: &str) -> (String, String) {
    // The last 62 bits are chance.
    let bits = new_id().as_u128();
    let letters = (0..12).map(|place| char::from(b'a' + u8::try_from((bits >> (place * 5)) & 15).unwrap()));
    (
        letters.fold(name.to_owned(), |word, letter| format!("{word}{letter}")),
        format!("71{:07}", bits % 9_000_000 + 1_000_000),
    )
}

/// Scores follow the facts at a distance. Without rules they rest, so that nothing changes between two looks but by what the test does.
async fn rest_scores(tenant: &Tenant) {
    let rules = tenant.request(reqwest::Method::PUT, "/api/scoring").json(&json!({"rules": []}));
    tenant.send(rules).await.expect(200);
}

async fn archive(client: &Client, lead: &str) -> Value {
    client.post(&format!("/api/leads/{lead}/privacy/export"), json!({})).await.expect(200)
}

#[tokio::test]
async fn every_table_and_every_text_of_the_schema_has_been_decided_on() {
    Tenant::new().await;
    let violations = shared::privacy::violations(&stack().owner_url).await.unwrap();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[tokio::test]
async fn a_person_is_handed_over_whole_in_pieces_that_fit() {
    let tenant = Tenant::new().await;
    rest_scores(&tenant).await;
    let (word, number) = unique("copy");
    let other = tenant.lead(json!({"lastName": "Somebodyelse"})).await;
    let life = Life::of(&tenant, &word, &number).await;
    let whole = archive(&tenant, id(&life.lead)).await;
    let (tables, counted) =
        (whole["tables"].as_object().unwrap(), whole["manifest"]["tables"].as_object().unwrap());
    let filled: BTreeSet<&str> = tables
        .iter()
        .filter(|(_, rows)| !rows.as_array().unwrap().is_empty())
        .map(|(table, _)| table.as_str())
        .collect();
    for table in [
        "activities",
        "automation_run_steps",
        "automation_runs",
        "consents",
        "conversations",
        "cta_events",
        "effects",
        "events",
        "invoice_lines",
        "invoices",
        "lead_field_values",
        "lead_identities",
        "lead_merges",
        "leads",
        "ledger_entries",
        "messages",
        "metric_days",
        "metric_goals",
        "metrics",
        "notifications",
        "payment_allocations",
        "payments",
        "pos_sales",
        "segment_members",
        "webhook_deliveries",
        "webhook_receipt_leads",
        "webhook_receipts",
        "audit_log",
    ] {
        assert!(filled.contains(table), "{table} is empty: {filled:?}");
    }
    for (table, rows) in tables {
        assert_eq!(counted[table], rows.as_array().unwrap().len(), "{table}");
    }
    let text = whole.to_string();
    assert!(!text.contains("Somebodyelse") && !text.contains(other["email"].as_str().unwrap()));
    assert_eq!(whole["manifest"]["leftOut"]["leads"], json!(["searchText", "sortName", "activityAt"]));

    // The same in pieces.
    let mut pieces: Vec<Value> = Vec::new();
    let first = format!("/api/leads/{}/privacy/export?limit=7", id(&life.lead));
    let mut next = Some(first);
    while let Some(path) = next {
        let piece = tenant.post(&path, json!({})).await;
        next = piece.header("link").strip_prefix('<').map(|link| link.split('>').next().unwrap().to_owned());
        let piece = piece.expect(200);
        assert_eq!(piece["nextCursor"].is_null(), next.is_none());
        pieces.push(piece);
    }
    for (table, rows) in tables.iter().filter(|(table, _)| !MOVING.contains(&table.as_str())) {
        let together: Vec<&Value> =
            pieces.iter().filter_map(|piece| piece["tables"][table].as_array()).flatten().collect();
        assert_eq!(together, rows.as_array().unwrap().iter().collect::<Vec<_>>(), "{table}");
    }

    let export = life.path("/privacy/export");
    tenant
        .post(&format!("{export}?cursor=nonsense"), json!({}))
        .await
        .expect_invalid("?cursor", "invalid_cursor");
    tenant.colleague("manager").await.post(&export, json!({})).await.expect_problem(403, "role_required");
}

#[tokio::test]
async fn an_erased_person_leaves_no_trace_and_the_books_stay_whole() {
    let tenant = Tenant::new().await;
    rest_scores(&tenant).await;
    let ((word, number), (other_word, other_number)) = (unique("erased"), unique("spared"));
    let spared = Life::of(&tenant, &other_word, &other_number).await;
    let life = Life::of(&tenant, &word, &number).await;
    let named = traces(&tenant, &life.words).await;
    assert!(named.len() > 25, "the life fills too little: {named:#?}");
    let before = (archive(&tenant, id(&spared.lead)).await, overview(&tenant).await);

    let erase = life.path("/privacy/erase");
    tenant.post(&erase, json!({"why": 1})).await.expect_invalid("/why", "unknown_field");
    let answer =
        tenant.post(&erase, json!({"mode": "erase", "reason": format!("{word} asked")})).await.expect(200);
    assert_eq!(answer["id"], life.lead["id"]);

    assert_eq!(traces(&tenant, &life.words).await, [""; 0]);
    // Nobody else lost anything, and what is counted is counted still.
    let after = (archive(&tenant, id(&spared.lead)).await, overview(&tenant).await);
    for (table, rows) in before.0["tables"].as_object().unwrap() {
        if !MOVING.contains(&table.as_str()) {
            assert_eq!(&after.0["tables"][table], rows, "{table}");
        }
    }
    for counted in ["leads", "messages", "runs", "cta", "revenue"] {
        assert_eq!(after.1[counted], before.1[counted], "{counted}");
    }
    gone(&tenant, &life).await;
    kept_by_law(&tenant, &life, &word).await;
    left_alone(&tenant, &life.email).await;
}

/// Nothing leads to the person any more, and nothing of theirs goes on.
async fn gone(tenant: &Tenant, life: &Life) {
    for lead in [&life.lead, &life.absorbed] {
        let path = format!("/api/leads/{}", id(lead));
        tenant.get(&path).await.expect_problem(404, "not_found");
        tenant.get(&format!("{path}?deleted=true")).await.expect_problem(404, "not_found");
        tenant.post(&format!("{path}/restore"), json!({})).await.expect_problem(404, "not_found");
        tenant.post(&format!("{path}/privacy/erase"), json!({})).await.expect_problem(404, "not_found");
        tenant.post(&format!("{path}/privacy/export"), json!({})).await.expect_problem(404, "not_found");
    }
    let unmerge = json!({"absorbedId": life.absorbed["id"]});
    tenant.post(&life.path("/unmerge"), unmerge).await.expect_problem(404, "not_found");
    let listed = tenant.get("/api/leads?deleted=true").await.expect(200);
    assert_eq!(listed["items"], json!([]));
    let run = tenant.get(&format!("/api/automations/runs/{}", life.run)).await.expect(200);
    assert_eq!(run["status"], "cancelled");
    let message = tenant.get(&format!("/api/messages/{}", life.scheduled)).await.expect(200);
    assert_eq!((&message["status"], &message["body"]), (&json!("canceled"), &json!(null)));
    for receipt in &life.receipts {
        let receipt = tenant.get(&format!("/api/webhooks/receipts/{receipt}")).await.expect(200);
        assert_eq!((&receipt["body"], &receipt["canonical"]), (&json!(null), &json!(null)));
    }
    let told = tenant.get("/api/events?type=lead.erased").await.expect(200);
    let told = told["items"].as_array().unwrap();
    let of: BTreeSet<&str> = told.iter().map(|event| event["subjectId"].as_str().unwrap()).collect();
    assert_eq!((told.len(), of), (2, BTreeSet::from([id(&life.lead), id(&life.absorbed)])));
    for event in told {
        assert_eq!(event["leadId"], json!(null));
        assert_eq!(event["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["erasedAt", "id"]);
    }
    // The request that made them is remembered as done, so a late repeat makes nobody anew.
    let repeat = tenant.request(reqwest::Method::POST, "/api/leads");
    let repeat = repeat.header("idempotency-key", key_of(&life.words[0])).json(&json!({}));
    tenant.send(repeat).await.expect_problem(422, "idempotency_key_reused");
}

/// Number, dates and amounts stay; the buyer's name is sealed, and opening it is on the record.
async fn kept_by_law(tenant: &Tenant, life: &Life, word: &str) {
    tenant.get(&format!("/api/finance/invoices/{}", id(&life.draft))).await.expect_problem(404, "not_found");
    let path = format!("/api/finance/invoices/{}", id(&life.invoice));
    let invoice = tenant.get(&path).await.expect(200);
    for field in ["number", "total", "issueDate", "lines"] {
        assert_eq!(invoice[field], life.invoice[field], "{field}");
    }
    assert_eq!((&invoice["memo"], &invoice["billing"]["buyer"]), (&json!(null), &json!(null)));
    assert_eq!(invoice["billing"]["seller"], life.invoice["billing"]["seller"]);
    let buyer = tenant.get(&format!("{path}/buyer")).await.expect(200);
    assert!(buyer["buyer"]["name"].as_str().unwrap().contains(word), "{buyer}");
    assert_eq!((&buyer["sealed"], &buyer["buyer"]["email"]), (&json!(true), &json!(null)));
    tenant
        .colleague("manager")
        .await
        .get(&format!("{path}/buyer"))
        .await
        .expect_problem(403, "role_required");
    let credit = json!({"amount": 1_000, "settle": "credit"});
    let credit = tenant.post(&format!("{path}/credit-notes"), credit).await.expect(201);
    let on_note = tenant.get(&format!("/api/finance/invoices/{}/buyer", id(&credit))).await.expect(200);
    assert_eq!(on_note["buyer"], buyer["buyer"]);
    let integrity = tenant.get("/api/finance/integrity").await.expect(200);
    assert_eq!(integrity["ok"], true, "{integrity:#}");
    let log = tenant.get("/api/audit?action=lead.erased,invoice.buyer_opened").await.expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 3, "{log:#}");
    assert_eq!(tenant.get("/api/audit/verify").await.expect(200)["ok"], true);
}

/// The refusal outlives the ledger that it stood in: whoever comes back under the address hears no advertising.
async fn left_alone(tenant: &Tenant, email: &str) {
    let consents = json!([{"channel": "email", "purpose": "marketing", "state": "granted"}]);
    let body = json!({"firstName": "New", "email": email, "consents": consents});
    let again = tenant.post("/api/leads", body).await.expect(201);
    let message = json!({"leadId": again["id"], "channel": "email", "body": "Buy!", "purpose": "marketing"});
    let sending = tenant.post("/api/messages/send", message).await.expect(202);
    assert_eq!(sending["status"], "blocked", "{sending:#}");
    let verdicts = sending["verdicts"].as_array().unwrap();
    assert!(
        verdicts.iter().any(|verdict| verdict["rule"] == "suppression" && verdict["outcome"] == "blocked"),
        "{sending:#}"
    );
}

async fn overview(tenant: &Tenant) -> Value {
    tenant.get("/api/analytics/overview?from=2020-01-01&to=2199-01-01").await.expect(200)
}

#[tokio::test]
async fn erasing_wants_an_administrator_and_the_password_just_now() {
    let tenant = Tenant::new().await;
    let lead = tenant.lead(json!({})).await;
    let path = format!("/api/leads/{}/privacy", id(&lead));
    tenant
        .colleague("manager")
        .await
        .post(&format!("{path}/erase"), json!({}))
        .await
        .expect_problem(403, "role_required");
    stack().execute(
        private_postgres::DATABASE,
        &format!(
            "begin; set local app.tenant_id = '{}'; update sessions set authenticated_at = now() - interval '6 minutes'; commit",
            tenant.id
        ),
    );
    for what in ["erase", "export"] {
        tenant.post(&format!("{path}/{what}"), json!({})).await.expect_problem(401, "reauth_required");
    }
    tenant.post("/api/auth/reauth", json!({"password": PASSWORD})).await.expect(200);
    let request = tenant.request(reqwest::Method::POST, &format!("{path}/erase"));
    tenant.send(request).await.expect(200);
}

#[tokio::test]
async fn a_month_in_the_bin_is_the_end_and_a_day_less_is_not() {
    let (running, name) = (stack(), format!("bin_{}", std::process::id()));
    running.create_database(&name).await;
    let tenant = Tenant::at(&running.serve(&name)).await;
    let ((word, _), leads) = (unique("binned"), [tenant.lead(json!({})).await, tenant.lead(json!({})).await]);
    let words = [word];
    for (lead, days) in leads.iter().zip([31, 29]) {
        let path = format!("/api/leads/{}", id(lead));
        tenant
            .post(&format!("{path}/activities"), json!({"kind": "note", "body": words[0]}))
            .await
            .expect(201);
        tenant.delete(&path).await.expect(204);
        running.execute(
            &name,
            &format!(
                "begin; set local app.tenant_id = '{}'; update leads set deleted_at = now() - interval '{days} days' where id = '{}'; commit",
                tenant.id,
                id(lead)
            ),
        );
    }
    let mut values = running.values.clone();
    values.insert("DATABASE_URL".to_owned(), running.app_url_of(&name));
    let app = App::new(Config::from_values(values, Needs::Worker).unwrap(), 1).unwrap();
    nightly::tick(&app).await.unwrap();
    let paths = leads.each_ref().map(|lead| format!("/api/leads/{}/restore", id(lead)));
    tenant.post(&paths[0], json!({})).await.expect_problem(404, "not_found");
    let back = tenant.post(&paths[1], json!({})).await.expect(200);
    assert_eq!(back["email"], leads[1]["email"]);
    let notes = tenant.get(&format!("/api/leads/{}/activities?kind=note", id(&leads[1]))).await.expect(200);
    assert_eq!(notes["items"][0]["body"], words[0]);
    // The night's slot says how many they were.
    running.execute(
        &name,
        &format!(
            "begin; set local app.tenant_id = '{}'; do $$ begin
                 if not exists (select from cron_slots where name = 'nightly' and (detail ->> 'forgottenLeads')::int = 1) then
                     raise exception 'the slot does not tell'; end if;
             end $$; commit",
            tenant.id
        ),
    );
}
