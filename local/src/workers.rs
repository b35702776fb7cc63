//! Queue workers and schedules as tasks of this process.

use std::{sync::Arc, time::Duration};

use shared::{
    app::App,
    queue::{Hint, Inbox, QueueName},
    work,
};
use tokio::{sync::Semaphore, task::JoinSet, time};

/// How many rows of one queue are looked at together.
const CONCURRENCY: usize = 4;

/// Reads one queue until its senders are gone. Delays are kept here, as SQS would keep them.
pub(crate) async fn serve_queue(app: App, queue: QueueName, mut inbox: Inbox) {
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut looks = JoinSet::new();
    while let Some(hint) = inbox.recv().await {
        while looks.try_join_next().is_some() {}
        let (app, slots) = (app.clone(), Arc::clone(&slots));
        looks.spawn(async move {
            time::sleep(hint.delay).await;
            let Ok(_slot) = slots.acquire().await else { return };
            look(&app, queue, &hint).await;
        });
    }
    looks.join_all().await;
}

/// A failed look is not repeated from here: the row is still due and the next sweep finds it.
async fn look(app: &App, queue: QueueName, hint: &Hint) {
    let result = match queue {
        QueueName::Receipts => work::look(app, hint, ingest_receipts::handle).await,
        QueueName::Runs => work::look(app, hint, run_automations::handle).await,
        QueueName::Messages => work::look(app, hint, send_messages::handle).await,
        QueueName::Deliveries => work::look(app, hint, deliver_webhooks::handle).await,
        QueueName::Jobs => work::look(app, hint, run_jobs::handle).await,
    };
    drop(result);
}

/// Ticks a schedule for ever. A failed tick is logged and the next one comes.
pub(crate) async fn serve_schedule<F>(app: App, name: &'static str, every: Duration, tick: F)
where
    F: AsyncFn(&App) -> work::WorkResult,
{
    let mut clock = time::interval(every);
    clock.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = tick(&app).await {
            tracing::error!(%error, name, "schedule failed");
        }
        app.db.settle().await;
    }
}
