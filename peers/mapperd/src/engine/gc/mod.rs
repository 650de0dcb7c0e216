//! Finding what nobody names: what deaths and power losses left, and content that no head reaches (M7).
//!
//! ```text
//! limits of all heads -> names of all objects -> all heads, again until there is no new one -> judgement, object by object
//! ```
//!
//! # Invariants
//! * **GC-1** Only what is older than the look is judged: its number is not above what its volume had given out, and named
//!   or given up, before the objects were listed. So nothing is judged that somebody is about to name.
//! * **GC-2** Heads are read after the objects are listed, and listed again until no new one has come: a new head names what
//!   an older one named when that was read, or what is too young to be judged.
//! * **GC-3** What was displaced and may come back by power loss is not judged: its volume gives it back (SPACE-1). Content,
//!   which no volume gives back, is judged when what displaced it is durable.
//! * **GC-4** Whatever cannot be read stops the collection of what it might name: nothing is given back on a guess.
//! * **GC-5** While somebody hashes, content is not judged, and who begins to hash waits till it has been.
//! * **GC-6** A head that has its name was never removed. If its entry is missing, and it is not in the trash, that is damage
//!   (F35, F43): it gets its entry again, and goes to nobody.

mod collect;
mod heads;
mod limits;
mod mark;
mod report;
mod sweep_data;
mod sweep_maps;
mod sweep_names;
mod unnamed;

pub use collect::Mode;
pub(super) use limits::Limit;
pub use report::{Orphan, Report};
