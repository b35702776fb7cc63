//! The automation engine: how fast one worker drains runs, and how fast a sweep finds what is due.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::lambda::{recorded, sqs_batch};

use crate::{
    Failure, data,
    table::{self, millis, say},
    world::{Business, LEADS, World},
};

/// Runs that wait in the large business while others are due.
const WAITING: u32 = 1_000_000;
/// Ticks of which the shortest is told: the first one reads cold pages.
const SWEEPS: usize = 5;
/// A worker gives up its place after some seconds; this many looks are more than enough.
const LOOKS: usize = 100;

/// Measures and prints.
pub(crate) async fn measure(world: &World) -> Result<(), Failure> {
    say("\n| engine | |\n|---|---|");
    table::note("engine: draining runs");
    let automation = make_due(world).await?;
    drain(world, &automation, "nothing else waits").await?;

    table::note("engine: seeding 1,000,000 waiting runs");
    let waiting = publish(world, &world.large).await?;
    world.execute_all(data::runs(&world.large.id, &waiting, WAITING, false))?;
    let automation = make_due(world).await?;
    sweep(world).await?;
    drain(world, &automation, "1,000,000 others wait").await
}

/// A due run for each lead of the usual business.
async fn make_due(world: &World) -> Result<String, Failure> {
    let automation = publish(world, &world.usual).await?;
    world.execute_all(data::runs(&world.usual.id, &automation, LEADS, true))?;
    // What autovacuum does within a minute: without it the plans are those of an empty table.
    world.execute_all(["analyze automation_runs".to_owned()].into_iter())?;
    Ok(automation)
}

/// Five steps that need the database alone.
async fn publish(world: &World, business: &Business) -> Result<String, Failure> {
    let definition = json!({"name": "Bench", "trigger": {"type": "manual"}, "reentry": {"mode": "always"}, "steps": [
        {"id": "tag", "type": "addTags", "tags": ["bench-run"]},
        {"id": "status", "type": "updateLead", "set": {"status": "contacted"}},
        {"id": "note", "type": "createActivity", "kind": "note", "title": "Seen"},
        {"id": "untag", "type": "removeTags", "tags": ["tag1"]},
        {"id": "tell", "type": "createActivity", "kind": "note", "title": "Done"},
    ]});
    let made = call(world, "POST", "/api/automations", business, Some(&definition)).await?;
    let id = made.get("id").and_then(Value::as_str).ok_or_else(|| format!("no automation: {made}"))?;
    let published =
        call(world, "POST", &format!("/api/automations/{id}/publish"), business, Some(&json!({}))).await?;
    if published.get("status").and_then(Value::as_str) != Some("active") {
        return Err(format!("not published: {published}").into());
    }
    Ok(id.to_owned())
}

async fn call(
    world: &World,
    method: &str,
    path: &str,
    business: &Business,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    Ok(world.once("automations", method, path, &business.token, body).await?.json()?)
}

/// One worker process and as many due runs as the business has leads.
async fn drain(world: &World, automation: &str, beside: &str) -> Result<(), Failure> {
    let worker = world.launch("run-automations")?;
    worker.wait_ready().await?;
    let (used, server_used, began) = (worker.usage()?, world.server_cpu()?, Instant::now());
    let path = format!("/api/automations/{automation}/stats");
    let mut took = Duration::ZERO;
    for look in 0..LOOKS {
        // Any hint of the tenant makes a worker take all that is due; this one names no run.
        let id = format!("0198a000-0000-7000-8000-{look:012}");
        let hint = json!({"tenant": world.usual.id, "kind": "run", "id": id}).to_string();
        worker.invoke(&sqs_batch("runs", &[hint])).await?;
        took = began.elapsed();
        let stats = call(world, "GET", &path, &world.usual, None).await?;
        if stats.pointer("/runs/completed").and_then(Value::as_u64) == Some(LEADS.into()) {
            break;
        }
    }
    let server = world.server_cpu()?.saturating_sub(server_used) / LEADS;
    let usage = worker.usage()?;
    let cpu = usage.cpu.saturating_sub(used.cpu) / LEADS;
    say(&format!(
        "| {LEADS} runs of five steps, one worker, {beside} | {:.0} runs/s; CPU per run: worker {:.3} ms, PostgreSQL {:.3} ms; peak {} MiB |",
        f64::from(LEADS) / took.as_secs_f64(),
        millis(cpu),
        millis(server),
        usage.peak_rss / (1024 * 1024),
    ));
    Ok(())
}

/// A tick with ten thousand due runs among those that wait. They stay due: nobody works.
async fn sweep(world: &World) -> Result<(), Failure> {
    table::note("engine: sweeping");
    let environment = world.launch("sweep")?;
    let mut shortest = Duration::MAX;
    for _ in 0..SWEEPS {
        shortest = shortest.min(environment.invoke(&recorded("sweep/schedule-sweep")?).await?.duration);
    }
    say(&format!("| sweep, {LEADS} due among {WAITING} that wait | {:.1} ms |", millis(shortest)));
    Ok(())
}
