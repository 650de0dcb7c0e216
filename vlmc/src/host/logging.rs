//! What a host logs: to stderr, which is its log file or the journal; how much, by the roles' levels.

use tracing::Level;

/// The historic levels.
pub fn level(number: u8) -> Level {
    match number {
        0 => Level::ERROR,
        1 => Level::WARN,
        2 => Level::INFO,
        _ => Level::DEBUG,
    }
}

/// Begins to log. The level is the most talkative of the host's roles.
pub fn begin(number: u8) {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level(number))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .finish();
    // A second host in one process (in tests) logs where the first does.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
