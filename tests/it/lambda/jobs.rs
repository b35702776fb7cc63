//! Jobs under the real worker: killed in the middle, killed again and again, given a large file.

use serde_json::{Value, json};
use tests::lambda::{Body, Environment, batch_failures, http_v2, sqs_batch};

use super::world::World;
use crate::support::eventually;

struct Story {
    world: World,
    token: String,
    tenant: String,
}

impl Story {
    async fn begin(name: &str) -> Self {
        let world = World::new(name).await;
        let token = world.register().await;
        let me = world.call("auth", "GET", "/api/me", &token, "").await.json().unwrap();
        Self { tenant: me["tenantId"].as_str().unwrap().to_owned(), world, token }
    }

    /// Asks for the import of so many new people and returns the job's id.
    async fn import(&self, prefix: &str, rows: usize) -> String {
        let people: String =
            (0..rows).map(|n| format!("First{n},Last,{prefix}{n}@example.com,\"a, b\"\r\n")).collect();
        let authorization = format!("Bearer {}", self.token);
        let headers = [("content-type", "text/csv"), ("authorization", authorization.as_str())];
        let file = Body::Text(format!("firstName,lastName,email,tags\r\n{people}"));
        let answer = self.world.invoke("jobs", &http_v2("POST", "/api/leads/import", &headers, file)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json().unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn job(&self, id: &str) -> Value {
        self.world.call("jobs", "GET", &format!("/api/jobs/{id}"), &self.token, "").await.json().unwrap()
    }

    async fn leads(&self) -> Value {
        let path = "/api/leads?limit=1&include=total";
        self.world.call("leads", "GET", path, &self.token, "").await.json().unwrap()["total"].clone()
    }

    fn event(&self, id: &str) -> Value {
        sqs_batch("jobs", &[json!({"tenant": self.tenant, "kind": "job", "id": id}).to_string()])
    }

    /// What the passing of time would do.
    fn expire_leases(&self) {
        let expire =
            "update jobs set lease_until = now() - interval '1 second' where lease_until is not null";
        self.world.execute(&self.tenant, expire);
    }

    /// Lets every portion that makes leads take two seconds.
    fn dawdle(&self) {
        self.world.execute(
            &self.tenant,
            "create function dawdle() returns trigger language plpgsql as 'begin perform pg_sleep(2); return null; end';
             create trigger leads_dawdle after insert on leads for each statement execute function dawdle()",
        );
    }

    async fn finish(&self, worker: &Environment, id: &str) -> Value {
        let outcome = worker.invoke(&self.event(id)).await.unwrap();
        assert!(batch_failures(&outcome).unwrap().is_empty());
        self.job(id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_workers_are_killed_counts_and_makes_everybody_once() {
    let story = Story::begin("jobs_killed").await;
    let id = story.import("killed", 6_000).await;
    let mut seen = 0;
    for _ in 0..3 {
        let worker = story.world.launch("run-jobs");
        let invocation = worker.begin(&story.event(&id)).unwrap();
        seen = eventually("the next portion", async || {
            let created = story.job(&id).await["created"].as_i64().unwrap();
            (created > seen).then_some(created)
        })
        .await;
        worker.kill().unwrap();
        assert!(invocation.outcome().await.is_err(), "a killed worker answers nothing");
        assert_eq!(story.job(&id).await["status"], "running");
        story.expire_leases();
    }
    let due: Vec<String> = story.world.due().await.into_iter().map(|hint| hint.id.to_string()).collect();
    assert!(due.contains(&id), "the sweep finds what nobody holds: {due:?}");
    let job = story.finish(&story.world.launch("run-jobs"), &id).await;
    let counts = ["created", "updated", "skipped", "failed", "total"].map(|name| job[name].as_i64().unwrap());
    assert_eq!((&job["status"], counts), (&json!("completed"), [6_000, 0, 0, 0, 6_000]), "{job}");
    assert_eq!(story.leads().await, 6_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_lease_has_ended_writes_nothing_though_it_works_on() {
    let story = Story::begin("jobs_zombie").await;
    let id = story.import("zombie", 10).await;
    story.dawdle();
    let (slow, quick) = (story.world.launch("run-jobs"), story.world.launch("run-jobs"));
    quick.wait_ready().await.unwrap();
    let invocation = slow.begin(&story.event(&id)).unwrap();
    eventually("the portion", async || (story.job(&id).await["total"] == 10).then_some(())).await;
    story.expire_leases();
    let job = story.finish(&quick, &id).await;
    // To the slow one the message is done: somebody else holds the row.
    assert!(batch_failures(&invocation.outcome().await.unwrap()).unwrap().is_empty());
    assert_eq!(story.job(&id).await, job);
    assert_eq!(
        (&job["status"], &job["created"], story.leads().await),
        (&json!("completed"), &json!(10), json!(10)),
        "{job}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_worker_again_and_again_fails_with_a_word() {
    let story = Story::begin("jobs_stalled").await;
    let id = story.import("stalled", 10).await;
    // No portion comes to its end before its worker is dead.
    story.dawdle();
    // The first of them still reads the file, which is progress.
    for attempt in 0..=5 {
        let worker = story.world.launch("run-jobs");
        let invocation = worker.begin(&story.event(&id)).unwrap();
        eventually("the claim", async || {
            let job = story.job(&id).await;
            (job["total"] == 10 && job["attempts"] == attempt).then_some(())
        })
        .await;
        worker.kill().unwrap();
        assert!(invocation.outcome().await.is_err());
        story.expire_leases();
    }
    let job = story.finish(&story.world.launch("run-jobs"), &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("stalled")), "{job}");
    assert_eq!(story.leads().await, 0);
    assert!(
        story.world.due().await.iter().all(|hint| hint.id.to_string() != id),
        "what has ended is not due"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_file() {
    let story = Story::begin("jobs_memory").await;
    let worker = story.world.launch("run-jobs");
    let mut peaks = Vec::new();
    for (prefix, rows) in [("small", 2_000), ("large", 30_000)] {
        let id = story.import(prefix, rows).await;
        let mut job = story.finish(&worker, &id).await;
        while job["status"] == "running" {
            job = story.finish(&worker, &id).await;
        }
        assert_eq!(job["created"], rows, "{job}");
        peaks.push(worker.usage().unwrap().peak_rss);
    }
    // The file itself has 1.5 MB and is held once or twice, whatever its number of rows.
    assert!(peaks[1] < peaks[0] + 8 * 1024 * 1024, "{peaks:?}");
    assert!(peaks[1] < 64 * 1024 * 1024, "{peaks:?}");
}
