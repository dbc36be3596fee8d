//! Whether the database takes a group of writes again, after it refused one.

use sqlx::{AssertSqlSafe, query};

use crate::{StoreError, Writer};

/// What has to fit: about what a group of 512 messages takes. On a disk that is as good as full a small write may pass
/// where the next group does not, and the gateway would call itself ready again and again.
const ROOM_BYTES: u32 = 256 * 1024;

impl Writer {
    /// Writes as much as a group of messages might, commits it, and takes it back. For a store that refused a write: it
    /// costs a sync or two and two changes of the schema.
    ///
    /// # Errors
    /// `Unavailable` while the disk is full, read-only or failing, or while another program writes.
    pub async fn probe(&mut self) -> Result<(), StoreError> {
        // What a probe before this one left behind goes first: its room is this one's.
        let clear = "DROP TABLE IF EXISTS write_probe";
        let fill = "CREATE TABLE write_probe AS SELECT zeroblob($1) AS room";
        let fill = fill.replace("$1", &ROOM_BYTES.to_string());
        self.commit_each(&[clear, &fill]).await?;
        self.commit_each(&[clear]).await
    }

    /// One transaction of these statements, which hold nothing that came from outside.
    async fn commit_each(&mut self, statements: &[&str]) -> Result<(), StoreError> {
        let mut group = self.begin().await?;
        for statement in statements {
            let statement = query(AssertSqlSafe((*statement).to_owned())).persistent(false);
            let done = statement.execute(group.enter()?).await;
            group.leave(done)?;
        }
        group.commit().await
    }
}
