//! Writes whose time was over: when the cluster answers again, it is found out that nothing of them is still to come.

use std::time::Duration;

use archipelago_store::StoreError;

use super::core::{Engine, Failure};

/// Between tries, each of which waits for an answer as long as any operation does.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Engine {
    /// Asks for each object to which a write was late, behind that write (LATE-1). `Late`: it cannot be told yet.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let late = &self.pool.late;
        if late.is_empty() {
            return Ok(());
        }
        let _turn = self.settling.lock().await;
        while let Some((object, count)) = late.first() {
            let asking = self.pool.asking().stat();
            let looked = self.pool.look_behind_writes(&object, asking).await;
            // Whatever else it says, it was answered.
            if looked.result == Err(rustix::io::Errno::TIMEDOUT) {
                return Err(StoreError::Late);
            }
            late.settle(&object, count);
        }
        let mut failed = self.failed.borrow_mut();
        let scopes = failed.len();
        failed.retain(|_, why| *why != Failure::Late);
        let healed = scopes - failed.len();
        tracing::info!(healed, "nothing that was late is still to come");
        Ok(())
    }

    /// Settles by itself what is late.
    pub async fn keep_settling(&self) {
        loop {
            self.pool.late.told().await;
            while self.settle().await.is_err() {
                self.handle.sleep(AGAIN_AFTER).await;
            }
        }
    }
}
