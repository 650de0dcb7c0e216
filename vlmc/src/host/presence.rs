//! This deployment lives: said by each of its hosts to the stores in which its mappers keep locks (L1).
//!
//! As long as one host lives, whether or not the one with the blocker does, the others may write by what they were told.

use archipelago_filed::Presence;
use xseg::Segment;

use super::error::HostError;
use super::identity;
use super::roles::{keeps_maps, lock_dir};
use crate::config::{Config, RoleSettings};

/// Refused if another deployment has the same name, and lives (F52).
pub(super) fn announce(config: &Config, segment: &Segment) -> Result<Vec<Presence>, HostError> {
    let owner = identity::owner(config);
    // Of its hosts all are in one segment, and no other deployment is.
    let [high, low] = segment.identity();
    let instance = u128::from(high) << 64 | u128::from(low);
    let mut presences = Vec::new();
    for role in config.roles.iter().filter(|role| keeps_maps(config, role)) {
        if let RoleSettings::FileBlocker { archip_dir, .. } = &role.settings {
            let announced = Presence::announce(archip_dir, lock_dir(role), &owner, instance);
            presences.push(announced?);
        }
    }
    Ok(presences)
}
