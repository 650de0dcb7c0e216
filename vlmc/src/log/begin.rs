//! The one subscriber of a process.

use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, registry};

use super::levels::{Filter, Levels};
use super::outlets::{Outlets, Sink};

/// Begins to log. A second host in one process (in tests) logs where the first does.
pub fn begin(levels: &Arc<Levels>, outlets: &Arc<Outlets>) {
    let format = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        // Nobody is there to be told that a log cannot be written, least of all by a panic.
        .log_internal_errors(false)
        .with_writer(Sink(outlets.clone()));
    let filter = Filter(levels.clone());
    let layer = if outlets.is_journal() {
        // The journal has a time and a level of its own.
        format
            .without_time()
            .with_level(false)
            .with_filter(filter)
            .boxed()
    } else {
        format.with_filter(filter).boxed()
    };
    let _ = tracing::subscriber::set_global_default(registry().with(layer));
}
