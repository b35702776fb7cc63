//! Workers that are killed or stopped between the mark and the settling of a call.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tests::lambda::{batch_failures, sqs_batch};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use super::world::World;
use crate::support::eventually;

/// A target that takes every call down, keeps the first caller waiting until it is released, and answers the others.
struct Target {
    url: String,
    keys: Arc<Mutex<Vec<String>>>,
    release: Arc<Notify>,
}

impl Target {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (keys, release) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(Notify::new()));
        let (ledger, gate) = (Arc::clone(&keys), Arc::clone(&release));
        #[expect(clippy::disallowed_methods, reason = "a test's server ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, Arc::clone(&ledger), Arc::clone(&gate)));
            }
        });
        Self { url, keys, release }
    }

    fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }
}

async fn answer(mut socket: TcpStream, ledger: Arc<Mutex<Vec<String>>>, gate: Arc<Notify>) {
    let mut request = vec![0; 65_536];
    let count = socket.read(&mut request).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&request[..count]).to_lowercase();
    let key =
        text.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap_or_default().to_owned();
    let place = {
        let mut ledger = ledger.lock().unwrap();
        ledger.push(key);
        ledger.len()
    };
    if place == 1 {
        gate.notified().await;
    }
    let body = format!(r#"{{"call":{place}}}"#);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // A killed caller is no longer there to read it.
    drop(socket.write_all(answer.as_bytes()).await);
}

/// A world with one run whose only step calls the target.
struct Story {
    world: World,
    token: String,
    tenant: String,
    run: String,
    target: Target,
}

impl Story {
    async fn begin(name: &str) -> Self {
        let world = World::new(name).await;
        let token = world.register().await;
        let target = Target::start().await;
        let me = world.call("auth", "GET", "/api/me", &token, "").await.json().unwrap();
        let lead =
            world.call("leads", "POST", "/api/leads", &token, r#"{"firstName":"Kim"}"#).await.json().unwrap();
        let automation = json!({"name": "Call", "trigger": {"type": "manual"},
            "steps": [{"id": "call", "type": "webhook", "url": target.url, "saveAs": "answer"}]});
        let made =
            world.call("automations", "POST", "/api/automations", &token, &automation.to_string()).await;
        let id = made.json().unwrap()["id"].as_str().unwrap().to_owned();
        let path = format!("/api/automations/{id}");
        world.call("automations", "POST", &format!("{path}/publish"), &token, "{}").await;
        let started = json!({"leadIds": [lead["id"]]}).to_string();
        let started = world.call("automations", "POST", &format!("{path}/execute"), &token, &started).await;
        let run = started.json().unwrap()["runIds"][0].as_str().unwrap().to_owned();
        Self { world, token, tenant: me["tenantId"].as_str().unwrap().to_owned(), run, target }
    }

    /// The message that makes a worker look at the run.
    fn event(&self) -> Value {
        sqs_batch("runs", &[json!({"tenant": self.tenant, "kind": "run", "id": self.run}).to_string()])
    }

    async fn called(&self, times: usize) {
        eventually("the call", async || (self.target.keys().len() >= times).then_some(())).await;
    }

    /// What the passing of time would do.
    fn expire_leases(&self) {
        self.world.execute(
            &self.tenant,
            "update automation_runs set lease_until = now() - interval '1 second' where lease_until is not null;
             update automation_runs set wake_at = now() where status in ('queued', 'waiting') and finished_at is null;
             update effects set lease_until = now() - interval '1 second' where lease_until is not null;
             update effects set next_attempt_at = now() where state = 'planned'",
        );
    }

    async fn detail(&self) -> Value {
        let path = format!("/api/automations/runs/{}", self.run);
        self.world.call("automations", "GET", &path, &self.token, "").await.json().unwrap()
    }

    /// Lets fresh workers look until the run has ended.
    async fn finish(&self) -> Value {
        let worker = self.world.launch("run-automations");
        eventually("the end of the run", async || {
            self.expire_leases();
            let outcome = worker.invoke(&self.event()).await.unwrap();
            assert!(batch_failures(&outcome).unwrap().is_empty());
            let run = self.detail().await;
            (run["status"] == "completed").then_some(run)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_during_a_call_is_followed_by_one_that_repeats_it_under_the_same_key() {
    let story = Story::begin("killed").await;
    let worker = story.world.launch("run-automations");
    let invocation = worker.begin(&story.event()).unwrap();
    story.called(1).await;
    worker.kill().unwrap();
    assert!(invocation.outcome().await.is_err(), "a killed worker answers nothing");

    let run = story.finish().await;
    let keys = story.target.keys();
    assert_eq!(run["steps"][0]["status"], "completed", "{run}");
    assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "one call, one key: {keys:?}");
    assert_eq!(keys.len(), 2, "the call is repeated once, not more: {keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_up_after_its_lease_changes_nothing() {
    let story = Story::begin("zombie").await;
    let zombie = story.world.launch("run-automations");
    let invocation = zombie.begin(&story.event()).unwrap();
    story.called(1).await;
    zombie.stop().unwrap();

    let before = story.finish().await;
    let calls = story.target.keys().len();
    story.target.release.notify_one();
    zombie.resume().unwrap();
    // Its answer is that the message is done: somebody else holds the row.
    let outcome = tokio::time::timeout(Duration::from_secs(60), invocation.outcome()).await.unwrap().unwrap();
    assert!(batch_failures(&outcome).unwrap().is_empty());
    assert_eq!(story.detail().await, before);
    assert_eq!(story.target.keys().len(), calls);
}
