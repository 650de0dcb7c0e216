//! What a store in a pool can be told.

use std::path::PathBuf;
use std::time::Duration;

use archipelago_store::LockOwner;

/// Parts of an index unless something else is said: enough for a million names in a group.
const INDEX_PARTS: u32 = 4;

/// A machine that is busy answers within that.
const NAMESAKE_PATIENCE: Duration = Duration::from_secs(2);

/// Options of a store in a pool. The defaults suit most.
#[derive(Clone, Debug)]
pub struct RadosdOptions {
    pub pool: String,
    /// Keeps this store apart from others in the pool.
    pub namespace: String,
    /// Who we are to Ceph, without `client.`; `admin` if nothing is said.
    pub cephx_id: Option<String>,
    /// Ceph's configuration file; where Ceph looks for it if nothing is said.
    pub conf: Option<PathBuf>,
    /// After which an operation that the cluster does not answer fails; never if nothing is said.
    pub operation_timeout: Option<Duration>,
    /// Whose instance serves the store.
    pub owner: LockOwner,
    /// Which of the owner's. The successor of a role has it fenced; two that serve at the same time have different ones.
    pub role: String,
    /// The time of the owner's from one moment at which no process of its lives to the next: a number that is never used again.
    pub tenure: u128,
    /// The one before, of which nobody lives; 0 if it is not known.
    pub tenure_before: u128,
    /// Another deployment of our name that does not say within that that it lives is taken for dead.
    pub namesake_patience: Duration,
    /// Where those who rely on locks of this store write too: whose lock is broken here is fenced there before.
    pub companions: Vec<RadosdOptions>,
    /// What the cluster refuses since we were fenced is not answered: our process is about to end.
    pub is_quiet_when_fenced: bool,
    /// In how many parts the indexes of a new store are.
    pub index_parts: u32,
    /// Requests at a time.
    pub nr_ops: u32,
}

impl RadosdOptions {
    /// The defaults, for this namespace of this pool.
    pub fn new(pool: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            pool: pool.into(),
            namespace: namespace.into(),
            cephx_id: None,
            conf: None,
            operation_timeout: None,
            owner: LockOwner {
                node: "one".into(),
                deployment: "one".into(),
            },
            role: "blocker".into(),
            tenure: 0,
            tenure_before: 0,
            namesake_patience: NAMESAKE_PATIENCE,
            companions: Vec::new(),
            is_quiet_when_fenced: false,
            index_parts: INDEX_PARTS,
            nr_ops: 128,
        }
    }

    /// One connection serves both.
    pub(crate) fn is_connected_like(&self, other: &Self) -> bool {
        self.conf == other.conf
            && self.cephx_id == other.cephx_id
            && self.operation_timeout == other.operation_timeout
    }
}
