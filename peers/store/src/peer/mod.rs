//! The other side of a port: what answers the requests of [`crate::wire`].

mod answer;
mod store_peer;
mod waiting;

pub use answer::{
    answer_done, answer_error, answer_hash, answer_holder, answer_lock, answer_names, answer_stat,
    owner_of, refuse_lock,
};
pub use store_peer::StorePeer;
pub use waiting::{Leave, WaitingRoom};
