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
        let counter = Arc::clone(&trips);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, Arc::clone(&counter)));
            }
        });
        Ok(Self { address, trips, accepting })
    }

    /// Round trips so far.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.trips.load(Ordering::SeqCst)
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(client: TcpStream, target: SocketAddr, trips: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Nagle's algorithm would add delays that the real connection does not have.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let server_spoke = Arc::new(AtomicBool::new(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let answered = Arc::clone(&server_spoke);
    let up = pump(client_read, server_write, move || {
        if answered.swap(false, Ordering::SeqCst) {
            trips.fetch_add(1, Ordering::SeqCst);
        }
    });
    let down = pump(server_read, client_write, move || server_spoke.store(true, Ordering::SeqCst));
    // Whichever side closes first ends both.
    tokio::select! { () = up => {}, () = down => {} }
}

async fn pump(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, spoke: impl Fn()) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        spoke();
        let Some(bytes) = buffer.get(..count) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
