//! A private Redis on a free loopback port.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running server without disk. It ends with this value, or with the process that holds it.
pub struct Redis {
    supervisor: Child,
    port: u16,
}

impl Redis {
    /// Starts a server and waits until it listens.
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The shell waits for the end of its input, which comes with the end of this process, however it ends.
        let script = format!(
            "redis-server --port {port} --bind 127.0.0.1 --save '' --appendonly no --loglevel warning >/dev/null & \
             read -r _; kill $!; wait $!"
        );
        let supervisor = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts redis-server; scripts/setup.sh test installs it");
        let redis = Self { supervisor, port };
        super::eventually("redis listens", async || redis.ask("PING").await).await;
        redis
    }

    /// What `REDIS_URL` says.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The lines of the answer to a plain command, `None` while nobody listens.
    pub async fn ask(&self, command: &str) -> Option<Vec<String>> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.ok()?.ok()?;
        Some(answer.lines().map(str::to_owned).collect())
    }

    /// Ends the server and waits until it is gone.
    pub fn stop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().expect("the supervisor ends");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
