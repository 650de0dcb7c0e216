//! How much each role logs, changed while it runs.
//!
//! # Invariants
//! * **LEVEL-1** An event is logged iff the level of the role that it belongs to allows it, whatever the levels of the
//!   other roles in the process are; what belongs to no role is logged at the most talkative level.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use archipelago_runtime::{LogLevels, Tenant};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{self, Context};
use xseg::PortId;

use crate::config::PortRange;

/// Levels are the historic numbers: 0 errors, 1 warnings, 2 information, 3 everything.
const LEVEL_MAX: u8 = 3;

fn filter_of(number: u8) -> LevelFilter {
    LevelFilter::from_level(match number {
        0 => Level::ERROR,
        1 => Level::WARN,
        2 => Level::INFO,
        _ => Level::DEBUG,
    })
}

/// A role of the process: its ports and the level that it begins with.
#[derive(Clone, Debug)]
pub struct RoleLevel {
    pub name: String,
    pub ports: PortRange,
    pub level: u8,
}

/// The levels of a process. The tenant of its first role is 1, of the second 2, and so on.
#[derive(Debug)]
pub struct Levels {
    /// Of what belongs to no role while there is no role at all.
    own: u8,
    roles: Vec<(RoleLevel, AtomicU8)>,
}

impl Levels {
    pub fn new(own: u8, roles: Vec<RoleLevel>) -> Arc<Self> {
        let live = |role: RoleLevel| {
            let level = AtomicU8::new(role.level);
            (role, level)
        };
        let roles = roles.into_iter().map(live).collect();
        Arc::new(Self { own, roles })
    }

    /// The tenant as which the role in this place works.
    pub fn tenant(index: usize) -> Tenant {
        Tenant(u16::try_from(index + 1).expect("a node has 256 roles at most"))
    }

    fn most(&self) -> u8 {
        // Relaxed, as everywhere here: a level stands for itself, and no other memory depends on it.
        let levels = self.roles.iter();
        let levels = levels.map(|(_, level)| level.load(Ordering::Relaxed));
        levels.max().unwrap_or(self.own)
    }

    /// What is logged for this tenant (LEVEL-1).
    fn of(&self, tenant: Tenant) -> u8 {
        let index = usize::from(tenant.0).checked_sub(1);
        let role = index.and_then(|index| self.roles.get(index));
        role.map_or_else(|| self.most(), |(_, level)| level.load(Ordering::Relaxed))
    }

    fn at(&self, port: PortId) -> Option<&(RoleLevel, AtomicU8)> {
        let mut roles = self.roles.iter();
        roles.find(|(role, _)| role.ports.contains(port.get()))
    }
}

/// As the runtime asks.
#[derive(Debug)]
pub struct LiveLevels(pub Arc<Levels>);

impl LogLevels for LiveLevels {
    fn level(&self, port: PortId) -> Option<u64> {
        let (_, level) = self.0.at(port)?;
        Some(level.load(Ordering::Relaxed).into())
    }

    fn change(&self, port: PortId, wanted: u64) -> bool {
        let wanted = u8::try_from(wanted)
            .ok()
            .filter(|level| *level <= LEVEL_MAX);
        let (Some((role, level)), Some(wanted)) = (self.0.at(port), wanted) else {
            return false;
        };
        let before = level.swap(wanted, Ordering::Relaxed);
        // What was found to be too much for everybody may not be any more.
        tracing::callsite::rebuild_interest_cache();
        tracing::info!(
            role = role.name,
            before,
            level = wanted,
            "the log level was changed"
        );
        true
    }
}

/// Asks [`Levels`] about each event.
#[derive(Debug)]
pub(super) struct Filter(pub Arc<Levels>);

impl<S> layer::Filter<S> for Filter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= filter_of(self.0.of(Tenant::present()))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= filter_of(self.0.most()) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter_of(self.0.most()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, port: u32, level: u8) -> RoleLevel {
        let ports = PortRange {
            start: port,
            end: port + 1,
        };
        RoleLevel {
            name: name.into(),
            ports,
            level,
        }
    }

    /// LEVEL-1
    #[test]
    fn each_role_has_its_own_level_and_the_host_the_most_talkative() {
        let levels = Levels::new(2, vec![role("a", 0, 1), role("b", 10, 0)]);
        let of = |levels: &Levels| [0, 1, 2, 9].map(|tenant| levels.of(Tenant(tenant)));
        assert_eq!(of(&levels), [1, 1, 0, 1]);
        let geometry = xseg::Geometry::new(16, 8, 64).expect("a good size");
        let port = |number| geometry.port(number).expect("a port");
        let live = LiveLevels(levels.clone());
        assert!(live.change(port(11), 3));
        assert_eq!(of(&levels), [3, 1, 3, 3]);
        assert_eq!(live.level(port(10)), Some(3));
        assert_eq!(live.level(port(1)), Some(1));
        assert_eq!(live.level(port(5)), None);
        assert!(!live.change(port(5), 1) && !live.change(port(0), 4) && !live.change(port(0), 256));
        assert_eq!(of(&levels), [3, 1, 3, 3]);
        assert_eq!(of(&Levels::new(2, Vec::new())), [2; 4]);
    }
}
