//! What changed in a range since a snapshot was made, in runs.

/// A run of bytes that all may have changed, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    pub len_bytes: u64,
    /// Somebody wrote or trimmed it since, or may have. What is not changed reads as it does in the snapshot.
    pub is_changed: bool,
}
