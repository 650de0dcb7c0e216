//! What may be configured, and is not in this program: such a configuration is shown and converted, and does not start.

use super::model::Config;
use super::problem::{Problem, place_of};
use super::role::RoleKind;

/// The roles of kinds that cannot run here.
pub fn check(config: &Config) -> Vec<Problem> {
    let unbuilt = config
        .roles
        .iter()
        .filter(|role| role.kind() == RoleKind::RadosBlocker);
    let problem = |role: &super::role::RoleConfig| {
        let key = format!("role.{}.type", role.name);
        Problem {
            place: place_of(config, &key).or_else(|| place_of(config, "roles")),
            key,
            what: format!("{} is not built into this program", role.kind()),
            remedy: "use a file_blocker".into(),
        }
    };
    unbuilt.map(problem).collect()
}
