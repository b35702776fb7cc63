//! A TCP proxy before PostgreSQL that counts round trips.
//!
//! A round trip begins when the client speaks after the server has spoken. Pipelined messages are one; so the number is
//! what the distance between function and database is multiplied with.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    task::JoinHandle,
};

/// A running proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct CountingProxy {
    /// Where to connect instead.
    pub address: SocketAddr,
    trips: Arc<AtomicU64>,
    lost_from: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl CountingProxy {
    /// Listens on a free loopback port and forwards to `target`.
    ///
    /// # Errors
    /// When no port can be had.
    #[expect(clippy::disallowed_methods, reason = "a proxy of the tests, not a function that may be frozen")]
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let trips = Arc::new(AtomicU64::new(0));
        let lost_from = Arc::new(AtomicU64::new(u64::MAX));
        let (counter, limit) = (Arc::clone(&trips), Arc::clone(&lost_from));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, Arc::clone(&counter), Arc::clone(&limit)));
            }
        });
        Ok(Self { address, trips, lost_from, accepting })
    }

    /// Round trips so far.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.trips.load(Ordering::SeqCst)
    }

    /// Loses the answers from the given round trip on: the server has done what it was asked, and nobody hears of it.
    pub fn lose_answers_from(&self, trip: u64) {
        self.lost_from.store(trip, Ordering::SeqCst);
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(client: TcpStream, target: SocketAddr, trips: Arc<AtomicU64>, lost_from: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Nagle's algorithm would add delays that the real connection does not have.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let server_spoke = Arc::new(AtomicBool::new(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let (answered, counter) = (Arc::clone(&server_spoke), Arc::clone(&trips));
    let up = pump(client_read, server_write, move || {
        if answered.swap(false, Ordering::SeqCst) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        true
    });
    let down = pump(server_read, client_write, move || {
        server_spoke.store(true, Ordering::SeqCst);
        trips.load(Ordering::SeqCst) < lost_from.load(Ordering::SeqCst)
    });
    // Whichever side closes first ends both.
    tokio::select! { () = up => {}, () = down => {} }
}

/// Forwards what `passes` lets through.
async fn pump(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, passes: impl Fn() -> bool) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if !passes() {
            continue;
        }
        let Some(bytes) = buffer.get(..count) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
