//! Who uses volumes of this node now: read from the segment, whoever hangs.

use std::time::{Duration, Instant};

use archipelago_protocol::{ErrorCode, User, VolumeRef, users};

use crate::cli::{Attachment, ErrorReport};
use crate::config::{Config, RoleSettings};
use crate::host;

/// How long clients are waited for that are taking their leave.
const GRACE: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The clients of all volumes.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    all: Vec<User>,
}

impl Clients {
    /// Of a node that does not run there are none.
    pub fn of(config: &Config) -> Self {
        let Ok(segment) = host::join(config) else {
            return Self::default();
        };
        let composers = config.roles.iter().filter_map(|role| match role.settings {
            RoleSettings::Vlmcd { .. } => segment.geometry().port(role.ports.start),
            _ => None,
        });
        let all = composers.flat_map(|composer| users(&segment, composer));
        Self { all: all.collect() }
    }

    /// The same, after those who are just taking their leave have done so. `None` means any volume.
    pub fn settled(config: &Config, volume: Option<&str>) -> Self {
        let begun = Instant::now();
        loop {
            let clients = Self::of(config);
            let is_used = match volume {
                Some(volume) => clients.count(volume) > 0,
                None => !clients.all.is_empty(),
            };
            if !is_used || begun.elapsed() > GRACE {
                return clients;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// How many use what is called so.
    pub fn count(&self, volume: &str) -> u32 {
        let Ok(name) = volume.parse::<VolumeRef>() else {
            return 0;
        };
        let count = self.all.iter().filter(|user| user.is_of(&name)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Fills in who uses it now.
    pub fn count_into(&self, attachment: Attachment) -> Attachment {
        Attachment {
            clients: self.count(&attachment.volume),
            ..attachment
        }
    }

    /// Refuses what would take a volume from its clients.
    pub fn check_unused(config: &Config, volume: &str) -> Result<(), ErrorReport> {
        match Self::settled(config, Some(volume)).count(volume) {
            0 => Ok(()),
            count => Err(ErrorReport::new(
                ErrorCode::Busy,
                format!("{volume} has {count} NBD clients"),
                "disconnect them, or stop the programs that use it",
            )),
        }
    }

    /// One of the volumes that have clients, and how many clients there are; those of some volumes do not count.
    pub fn any_but(&self, volumes: &[VolumeRef]) -> Option<(&str, usize)> {
        let counts = |user: &&User| !volumes.iter().any(|volume| user.is_of(volume));
        let mut others = self.all.iter().filter(counts);
        let first = others.next()?;
        Some((&first.target, 1 + others.count()))
    }
}
