//! A noisy neighbour: how much slower one business's list is while another business asks as often as it may, and more.
//!
//! Each business has an environment of its own, as on Lambda; what they share is the database. The limits are those of a
//! deployment, so the neighbour soon hears 429 and goes on asking.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::lambda::{Environment, parse_http};

use crate::{
    Failure,
    cases::quantile,
    table::{self, millis, say},
    world::{World, request},
};

/// Requests whose times are told, and those before.
const REQUESTS: usize = 1_000;
const WARM_UP: usize = 200;
/// What a deployment allows one caller and one business (docs/limits.md).
const LIMITS: &str = "read=1200/6000";
/// The measured business asks below its own limit.
const PAUSE: Duration = Duration::from_millis(60);
const LIST: &str = "/api/leads?status=new,contacted&source=form";

/// What the neighbour was told.
#[derive(Default)]
struct Heard {
    answered: Cell<u32>,
    refused: Cell<u32>,
}

/// Measures and prints.
pub(crate) async fn measure(world: &World) -> Result<(), Failure> {
    table::note("noisy neighbour");
    let [usual, large] = [sign_in(world, "usual").await?, sign_in(world, "large").await?];
    let [quiet, noisy] = [launch(world)?, launch(world)?];
    times(&quiet, &usual, WARM_UP).await?;
    let alone = p95(times(&quiet, &usual, REQUESTS).await?);

    let (heard, is_over) = (Heard::default(), Cell::new(false));
    let measured = async {
        let measured = times(&quiet, &usual, REQUESTS).await;
        is_over.set(true);
        measured
    };
    let (beside, hammered) = tokio::join!(measured, hammer(&noisy, &large, &heard, &is_over));
    hammered?;
    let beside = p95(beside?);
    say("\n| list, 25 of 10,000 | p95 ms |\n|---|---|");
    say(&format!("| alone | {:.2} |", millis(alone)));
    say(&format!(
        "| beside a business that asks without pause ({} answered, {} refused) | {:.2}, {:+.0} % |",
        heard.answered.get(),
        heard.refused.get(),
        millis(beside),
        (beside.as_secs_f64() / alone.as_secs_f64() - 1.0) * 100.0,
    ));
    Ok(())
}

fn launch(world: &World) -> Result<Environment, Failure> {
    world.launch_with("leads", &[("RATE_LIMITS", LIMITS)])
}

/// A fresh token: those from the registration may have ended by now.
async fn sign_in(world: &World, name: &str) -> Result<String, Failure> {
    let body = json!({"email": format!("{name}@example.com"), "password": "correct horse battery staple"});
    let answer: Value = world.once("auth", "POST", "/api/auth/login", "", Some(&body)).await?.json()?;
    let token = answer.get("accessToken").and_then(Value::as_str);
    Ok(token.ok_or_else(|| format!("nobody is signed in: {answer}"))?.to_owned())
}

async fn times(environment: &Environment, token: &str, count: usize) -> Result<Vec<Duration>, Failure> {
    let event = request("GET", LIST, token, None);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        let outcome = environment.invoke(&event).await?;
        times.push(outcome.duration);
        let answer = parse_http(&outcome)?;
        if answer.status != 200 {
            return Err(format!("the list answered {}: {}", answer.status, answer.text()).into());
        }
        tokio::time::sleep(PAUSE.saturating_sub(began.elapsed())).await;
    }
    Ok(times)
}

/// Asks until it is over.
async fn hammer(
    environment: &Environment,
    token: &str,
    heard: &Heard,
    is_over: &Cell<bool>,
) -> Result<(), Failure> {
    let event = request("GET", LIST, token, None);
    while !is_over.get() {
        let count = match parse_http(&environment.invoke(&event).await?)?.status {
            200 => &heard.answered,
            429 => &heard.refused,
            status => return Err(format!("the neighbour was answered {status}").into()),
        };
        count.set(count.get() + 1);
    }
    Ok(())
}

fn p95(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    quantile(&times, 950)
}
