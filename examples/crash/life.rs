//! One life of the gateway, from its start to its kill.

use std::process::{ExitStatus, Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use super::{Failure, Order, Word};

/// A running child. Killed when dropped.
pub(super) struct Life {
    child: Child,
    orders: Option<ChildStdin>,
    words: mpsc::UnboundedReceiver<Word>,
}

impl Life {
    pub(super) fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the child has no output")?;
        let (sender, words) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // Other lines are a test runner's.
                let word = line.strip_prefix('@').map(serde_json::from_str);
                if let Some(Ok(word)) = word
                    && sender.send(word).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self {
            orders: child.stdin.take(),
            child,
            words,
        })
    }

    pub(super) async fn tell(&mut self, order: &Order) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let orders = self.orders.as_mut().ok_or("the child takes no orders any more")?;
        Ok(orders.write_all(&line).await?)
    }

    /// What the child says next.
    ///
    /// # Errors
    /// When it ended by itself.
    pub(super) async fn hear(&mut self) -> Result<Word, Failure> {
        match self.words.recv().await {
            Some(word) => Ok(word),
            None => Err(format!("the gateway ended by itself: {}", self.child.wait().await?).into()),
        }
    }

    /// SIGKILL. Answers what it had still said.
    pub(super) async fn kill(mut self) -> Result<Vec<Word>, Failure> {
        self.child.start_kill()?;
        self.child.wait().await?;
        self.last_words().await
    }

    /// The end of its input: it stops as at SIGTERM.
    pub(super) async fn stop(mut self) -> Result<ExitStatus, Failure> {
        drop(self.orders.take());
        let status = self.child.wait().await?;
        self.last_words().await?;
        Ok(status)
    }

    async fn last_words(&mut self) -> Result<Vec<Word>, Failure> {
        let mut words = Vec::new();
        while let Some(word) = self.words.recv().await {
            words.push(word);
        }
        Ok(words)
    }
}
