//! What the process writes: in Lambda, the log group.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::watch,
};

use super::outcome::Tail;

/// How many lines a fault shows.
const TAIL: usize = 20;

/// Which stream a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was written.
    pub stream: Stream,
    /// The line without its end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Logs(watch::Sender<Vec<Line>>);

impl Logs {
    /// Collects lines until the process closes the stream.
    pub(crate) async fn collect(&self, stream: Stream, source: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(source);
        let mut bytes = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut bytes).await {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
            self.0.send_modify(|lines| lines.push(Line { stream, text }));
            bytes.clear();
        }
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.0.borrow().clone()
    }

    pub(crate) fn tail(&self) -> Tail {
        let lines = self.0.borrow();
        let skipped = lines.len().saturating_sub(TAIL);
        Tail(lines.iter().skip(skipped).map(|line| line.text.clone()).collect())
    }

    /// The first line that contains `needle`, as soon as it is written.
    pub(crate) async fn wait_for(&self, needle: &str, within: Duration) -> Option<Line> {
        let find = |lines: &Vec<Line>| lines.iter().find(|line| line.text.contains(needle)).cloned();
        let mut receiver = self.0.subscribe();
        let seen = tokio::time::timeout(within, receiver.wait_for(|lines| find(lines).is_some())).await;
        seen.ok()?.ok().and_then(|lines| find(&lines))
    }
}
