//! What there is, and why it is not opened.

/// A disk in a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub description: String,
}

/// Why a disk that a client chose is not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefusal {
    #[error("there is no such volume")]
    Unknown,
    /// It exists, but not for this client or not now. The reason goes to the client.
    #[error("{reason}")]
    Denied { reason: String },
    #[error("this node is shutting down")]
    Shutdown,
}
