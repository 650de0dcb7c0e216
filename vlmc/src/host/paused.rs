//! Roles whose cluster does not answer: each says so in a file of the run directory, for `archipelago status` asks nobody who may hang.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use archipelago_radosd::Radosd;

use crate::config::Config;
use crate::supervisor::RunDir;

fn file(config: &Config, role: &str) -> PathBuf {
    RunDir::new(&config.run_dir).paused(role)
}

/// Keeps the file of a role true, for as long as the role runs.
pub(super) async fn tell(config: Config, role: String, store: Rc<Radosd>) {
    let file = file(&config, &role);
    loop {
        let told = match store.silent_since() {
            Some(since) => {
                let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
                fs::write(
                    &file,
                    format!("{} {}\n", std::process::id(), since.as_secs()),
                )
            }
            None => match fs::remove_file(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
        };
        if let Err(error) = told {
            tracing::warn!(file = %file.display(), %error, "`archipelago status` cannot be told whether the cluster answers");
        }
        store.silence_changed().await;
    }
}

/// Since when the cluster of a role has not answered, in seconds since 1970. What a process wrote that is gone says nothing.
pub(super) fn since(config: &Config, role: &str, pid: Option<u32>) -> Option<u64> {
    let text = fs::read_to_string(file(config, role)).ok()?;
    let (writer, seconds) = text.trim_end().split_once(' ')?;
    let is_of_now = pid.is_some_and(|pid| writer.parse() == Ok(pid));
    seconds.parse().ok().filter(|_| is_of_now)
}
