//! Redis, when there is one: buckets, counters and turns that PostgreSQL is spared.
//!
//! One connection, made when it is first needed and made anew when it was idle for long, since a frozen environment wakes
//! up with dead sockets. A call that fails is tried once more on a new connection. When that fails too, Redis counts as away
//! for some seconds, PostgreSQL does the work, and the log says so once. Nobody's request fails for it.
//!
//! Keys are keyed hashes, so that a listing of Redis says nothing about anybody. What a script touches together shares a
//! hash tag: all keys of a tenant lie in one slot.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisResult, Script, ScriptInvocation,
    aio::MultiplexedConnection,
};
use uuid::Uuid;

use super::{Class, Reading, scripts, toll::Bucket};
use crate::{
    accounts::{self, Counted, Guard, NETWORK_LIMIT, PAIR_LIMIT, RATION},
    crypto::MacKeys,
    ids::TenantId,
};

/// The limits of connecting and of answering: far below what a caller would notice as a failure.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
const ANSWER_LIMIT: Duration = Duration::from_millis(250);
/// A connection that was idle for longer is not trusted.
const TRUST: Duration = Duration::from_secs(30);
/// For how long Redis counts as away after a failure.
const AWAY: Duration = Duration::from_secs(5);

/// A Redis server.
pub struct Redis {
    client: Client,
    macs: MacKeys,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    live: Option<(MultiplexedConnection, Instant)>,
    away_until: Option<Instant>,
}

/// A counter's count, and how long its window lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// What was counted.
    pub count: i32,
    /// Seconds until it is forgotten.
    pub seconds_left: f64,
}

/// The right to look at a row while others leave it alone.
pub(super) struct Held {
    keys: [String; 2],
    holder: String,
}

impl Redis {
    pub(super) fn new(client: Client, macs: MacKeys) -> Self {
        Self { client, macs, link: Mutex::default() }
    }

    /// False for some seconds after it could not be reached.
    pub(super) fn is_up(&self) -> bool {
        self.lock().away_until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) async fn warm_up(&self) {
        if let Err(error) = self.fresh().await {
            self.gone(&error);
        }
    }

    /// Takes a token of each bucket, the first being the caller's. `None` when Redis is away.
    pub(crate) async fn take(&self, class: Class, buckets: &[Bucket]) -> Option<Reading> {
        let mut script = scripts::TAKE.prepare_invoke();
        let tag = self.hash(&buckets.last()?.key);
        for bucket in buckets {
            script.key(format!("ws:{{{tag}}}:{}", self.hash(&bucket.key)));
            script.arg(bucket.quota).arg(bucket.span.as_secs());
        }
        let (place, quota, left, full_in, wait): (usize, i32, i32, f64, f64) = self.run(&script).await?;
        Some(Reading {
            class,
            of_caller: place == 1,
            quota,
            left,
            full_in: full_in / 1e6,
            wait: (wait >= 0.0).then_some(wait / 1e6),
        })
    }

    /// Raises a counter and reads it. `None` when Redis is away.
    pub(crate) async fn count(&self, name: &str, window: Duration) -> Option<Tally> {
        let mut script = scripts::COUNT.prepare_invoke();
        script.key(self.door_key(name)).arg(window.as_millis().to_string());
        let (count, left): (i32, f64) = self.run(&script).await?;
        Some(Tally { count, seconds_left: left / 1e3 })
    }

    /// Counts a guess, if its limits allow it. `None` when Redis is away.
    pub(crate) async fn take_guess(&self, guard: &Guard) -> Option<Counted> {
        let mut script = self.about(guard, &scripts::TAKE_GUESS);
        script.arg(PAIR_LIMIT).arg(NETWORK_LIMIT).arg(accounts::WINDOW.as_millis().to_string());
        let answer: Vec<i64> = self.run(&script).await?;
        let [wait, failures, spent, admitted @ ..] = answer.as_slice() else { return None };
        let seconds = |millis: &i64| u32::try_from(*millis).ok().map(|millis| f64::from(millis) / 1e3);
        Some(Counted {
            wait: seconds(wait),
            failures: i32::try_from(*failures).unwrap_or(i32::MAX),
            spent: seconds(spent),
            admitted: admitted.iter().map(|admitted| *admitted == 1).collect(),
        })
    }

    /// Forgets what failed before a guess that was right, or gives the accounts that it matched their try back. False when Redis is away.
    pub(crate) async fn give_guess_back(&self, guard: &Guard, forgive: bool) -> bool {
        let mut script = self.about(guard, &scripts::GIVE_GUESS_BACK);
        script.arg(i32::from(forgive));
        let done: Option<i32> = self.run(&script).await;
        done.is_some()
    }

    /// What both scripts of a guess are told: its counters, and who knows the network.
    fn about<'a>(&self, guard: &Guard, script: &'a Script) -> ScriptInvocation<'a> {
        let mut script = script.prepare_invoke();
        let counter = |kind: &str, key: &[u8; 32]| self.door_key(&format!("{kind}:{}", hex::encode(key)));
        let targets = std::iter::once(&guard.asked).chain(&guard.whole);
        let targets = targets.chain(guard.accounts.iter().map(|(_, target, _)| target));
        script
            .key(counter("login_network", &guard.network))
            .key(counter("login_account", &guard.asked.account));
        for target in targets {
            script.key(counter("login_pair", &target.pair)).key(self.door_key(&target.ration()));
        }
        let knows = |known: &bool| if *known { '1' } else { '0' };
        script.arg(i32::from(guard.whole.is_some()) + 1).arg(RATION.0).arg(RATION.1.as_secs());
        let knowns = std::iter::repeat_n(&guard.known, 1 + usize::from(guard.whole.is_some()));
        let knowns = knowns.chain(guard.accounts.iter().map(|(.., known)| known));
        script.arg(knowns.map(knows).collect::<String>());
        script
    }

    /// Takes the turn at a row of a tenant for at most `limit`. `Some(None)` when somebody has it, `None` when Redis is away.
    pub(super) async fn take_turn(
        &self,
        tenant: TenantId,
        row: Uuid,
        limit: Duration,
    ) -> Option<Option<Held>> {
        let (tag, row) = (self.hash(&tenant.to_string()), self.hash(&row.to_string()));
        let held = Held {
            keys: [format!("ws:{{{tag}}}:turn:{row}"), format!("ws:{{{tag}}}:word:{row}")],
            holder: crate::ids::new_id().to_string(),
        };
        let mut script = held.script(&scripts::TAKE_TURN);
        script.arg(limit.as_millis().to_string());
        let taken: i32 = self.run(&script).await?;
        Some((taken == 1).then_some(held))
    }

    /// Ends a turn. True when somebody else came meanwhile.
    pub(super) async fn end_turn(&self, held: Held) -> bool {
        let word: Option<i32> = self.run(&held.script(&scripts::END_TURN)).await;
        word == Some(1)
    }

    /// Runs a script, on a new connection if need be.
    async fn run<T: FromRedisValue + Send>(&self, script: &ScriptInvocation<'_>) -> Option<T> {
        if let Some(mut conn) = self.trusted()
            && let Ok(answer) = invoke(script, &mut conn).await
        {
            self.used(conn);
            return Some(answer);
        }
        match self.run_afresh(script).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.gone(&error);
                None
            }
        }
    }

    async fn run_afresh<T: FromRedisValue + Send>(&self, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        let mut conn = self.fresh().await?;
        invoke(script, &mut conn).await
    }

    fn trusted(&self) -> Option<MultiplexedConnection> {
        let link = self.lock();
        link.live.as_ref().filter(|(_, used)| used.elapsed() < TRUST).map(|(conn, _)| conn.clone())
    }

    fn used(&self, conn: MultiplexedConnection) {
        self.lock().live = Some((conn, Instant::now()));
    }

    async fn fresh(&self) -> RedisResult<MultiplexedConnection> {
        // A TLS address needs the process's provider; a second call finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let connecting: BoxFuture<'_, _> =
            Box::pin(self.client.get_multiplexed_async_connection_with_config(&config));
        let conn = connecting.await?;
        let mut link = self.lock();
        if link.away_until.take().is_some() {
            tracing::info!("redis is back");
        }
        link.live = Some((conn.clone(), Instant::now()));
        Ok(conn)
    }

    /// Said once, however long it lasts.
    fn gone(&self, error: &redis::RedisError) {
        let mut link = self.lock();
        link.live = None;
        if link.away_until.replace(Instant::now() + AWAY).is_none() {
            // The text of the error may hold the address with its password; the kind does not.
            tracing::warn!(kind = ?error.kind(), "redis is away; the database counts instead");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes before a tenant is known lies together.
    fn door_key(&self, name: &str) -> String {
        format!("ws:{{door}}:{}", self.hash(name))
    }

    fn hash(&self, name: &str) -> String {
        hex::encode(self.macs.mac(name.as_bytes()).get(..16).unwrap_or_default())
    }
}

/// Boxed: the library's futures are large, and every request's would contain them.
fn invoke<'a, T: FromRedisValue + Send + 'a>(
    script: &'a ScriptInvocation<'_>,
    conn: &'a mut MultiplexedConnection,
) -> BoxFuture<'a, RedisResult<T>> {
    Box::pin(script.invoke_async(conn))
}

impl Held {
    fn script<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut invocation = script.prepare_invoke();
        for key in &self.keys {
            invocation.key(key);
        }
        invocation.arg(&self.holder);
        invocation
    }
}
