//! What a host may do: no more than its user (P3).

use rustix::process::{Gid, Uid};

use super::error::HostError;
use crate::config::Config;

/// Becomes the configured user and group, if root started it and they are others, and gives up gaining anything.
pub fn drop_to(config: &Config) -> Result<(), HostError> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(config.umask));
    let failed = |user: &str| {
        let user = user.to_owned();
        move |source| HostError::Privileges { user, source }
    };
    if rustix::process::geteuid().is_root() {
        if let Some(group) = &config.group {
            let gid = Gid::from_raw(group.id);
            rustix::thread::set_thread_groups(&[gid]).map_err(failed(&group.name))?;
            rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed(&group.name))?;
        }
        if let Some(user) = &config.user {
            let uid = Uid::from_raw(user.id);
            rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed(&user.name))?;
        }
    }
    rustix::thread::set_no_new_privs(true).map_err(failed("itself"))
}
