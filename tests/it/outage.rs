//! The database goes away in the middle of the day and comes back.

use std::path::PathBuf;

use local::settings;
use private_postgres::{Cluster, DATABASE, Durability, Options};
use serde_json::{Value, json};

use crate::support::{Client, Tenant, eventually, serve, stack, tenant::unique_email};

/// A server that keeps its data while it is down.
struct Server {
    options: Options,
    running: Option<Cluster>,
}

impl Server {
    fn start() -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("outage-{}", std::process::id()));
        let mut options = Options { dir, port: None, durability: Durability::Keep, pg_bin_dir: None };
        let cluster = Cluster::start(&options).unwrap();
        options.port = Some(cluster.port());
        Self { options, running: Some(cluster) }
    }

    fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    fn start_again(&mut self) {
        self.running = Some(Cluster::start(&self.options).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(cluster) = self.running.take() else { return };
        let dir = cluster.dir().to_owned();
        // What cannot be removed lies in the build folder.
        let _ = cluster.stop();
        let _ = std::fs::remove_dir_all(dir);
    }
}

/// Tags a new lead, waits across the outage, greets, and waits for nothing else.
fn automation() -> Value {
    json!({"name": "Welcome", "trigger": {"type": "lead.created"}, "steps": [
        {"id": "first", "type": "addTags", "tags": ["seen"]},
        {"id": "rest", "type": "wait", "for": "PT2S"},
        {"id": "greet", "type": "sendMessage", "channel": "email", "subject": "Welcome", "body": "Hello"},
    ]})
}

async fn items(tenant: &Tenant, path: &str) -> Vec<Value> {
    tenant.get(path).await.expect(200)["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_an_outage_is_done_after_it_and_nothing_twice() {
    let mut server = Server::start();
    let owner_url = server.running.as_ref().unwrap().owner_url(DATABASE);
    let mut values = stack().values.clone();
    let app_url = settings::as_role(&owner_url, "wellspring_app", None).unwrap();
    values.insert("DATABASE_URL".to_owned(), app_url);
    let served = serve(owner_url, values);
    let client = Client::anonymous().on(&served.base);
    let tenant = Tenant::at(&client).await;
    let made = tenant.post("/api/automations", automation()).await.expect(201);
    let automation = format!("/api/automations/{}", made["id"].as_str().unwrap());
    tenant.post(&format!("{automation}/publish"), json!({})).await.expect(200);
    let source =
        tenant.post("/api/webhooks/sources", json!({"provider": "forms", "name": "Site"})).await.expect(201);
    let form = format!("/api/webhooks/forms/{}", source["token"].as_str().unwrap());
    let (before, during) =
        (json!({"email": unique_email("before")}), json!({"email": unique_email("during")}));

    client.post(&form, before.clone()).await.expect(202);
    eventually("the wait", async || {
        let runs = items(&tenant, &format!("{automation}/runs?status=waiting")).await;
        (runs.len() == 1).then_some(())
    })
    .await;
    server.stop();
    // The sender is told to come again, and everybody else which part is missing.
    let refused = client.post(&form, during.clone()).await.expect_problem(503, "dependency_unavailable");
    assert_eq!(refused["part"], "database");
    tenant.get("/api/leads").await.expect_problem(503, "dependency_unavailable");
    client.get("/api/health/live").await.expect(200);
    client.get("/api/health/ready").await.expect_problem(503, "dependency_unavailable");
    server.start_again();

    let (again, replay) = (client.post(&form, during).await, client.post(&form, before).await);
    again.expect(202);
    replay.expect(202);
    eventually("two finished runs", async || {
        let runs = items(&tenant, &format!("{automation}/runs?status=completed")).await;
        (runs.len() == 2).then_some(())
    })
    .await;
    assert_eq!(items(&tenant, "/api/leads?tag=seen").await.len(), 2, "one lead for each person");
    let sent = items(&tenant, "/api/messages?direction=outbound").await;
    assert_eq!(sent.len(), 2, "one greeting for each person: {sent:?}");
    assert!(
        sent.iter().all(|message| message["status"] == "delivered" || message["status"] == "sent"),
        "{sent:?}"
    );
}
