//! What a host may do: no more than its user (P3).

use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::error::HostError;
use crate::config::Config;

/// What memory we ask for does not wait for write-back: it could be to a file system on a device that we serve, and so to ourselves.
/// Threads, and the kernel's workers, inherit it. For who may (CAP_SYS_RESOURCE), and so before rights are given up.
pub fn become_flusher() -> Result<(), Errno> {
    rustix::process::configure_io_flusher_behavior(true)
}

/// Becomes the configured user and group, if root started it and they are others, and gives up gaining anything. A user without a
/// configured group has the primary one: nothing of root's groups is left.
pub fn drop_to(config: &Config) -> Result<(), HostError> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(config.umask));
    let failed = |user: &str| {
        let user = user.to_owned();
        move |source| HostError::Privileges { user, source }
    };
    if rustix::process::geteuid().is_root() {
        let group = config.group.as_ref();
        let group = group.map(|group| (group.id, group.name.as_str()));
        let primary = config.primary_group.zip(config.user.as_ref());
        let primary = primary.map(|(id, user)| (id, user.name.as_str()));
        if let Some((id, name)) = group.or(primary) {
            let gid = Gid::from_raw(id);
            rustix::thread::set_thread_groups(&[gid]).map_err(failed(name))?;
            rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed(name))?;
        }
        if let Some(user) = &config.user {
            let uid = Uid::from_raw(user.id);
            rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed(&user.name))?;
        }
    }
    rustix::thread::set_no_new_privs(true).map_err(failed("itself"))
}
