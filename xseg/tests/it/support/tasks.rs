//! Everything that a worker can be told to do.

use super::worker::Parent;

type Task = fn(&mut Parent);

pub const TASKS: &[(&str, Task)] = &[];
