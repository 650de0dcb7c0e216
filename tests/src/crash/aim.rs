//! Which kill points a role can reach, and which one its next worker is to die at.

use std::collections::BTreeMap;

use crate::rng::Rng;
use crate::worker::{KillPoint, Role};

/// The points of a role and where in the list it stands: each start takes the next, so all get their turn.
#[derive(Debug, Default)]
pub(super) struct Aim {
    cursors: BTreeMap<Role, usize>,
}

/// Every named point of the library.
pub(super) fn all_points() -> &'static [&'static str] {
    xseg::kill::KILL_POINTS
}

/// Can a worker of this role come to this point?
fn is_reached_by(role: Role, point: &str) -> bool {
    let step = point.split('.').next().unwrap_or(point);
    match role {
        Role::ServerA | Role::ServerB | Role::ServerC | Role::Interposer => {
            matches!(step, "send" | "take" | "answer" | "bind")
                // An answer whose requester is dead is freed by whoever gives it.
                || (step == "free" && role != Role::Interposer)
        }
        Role::Composer => {
            matches!(step, "claim" | "send" | "take" | "answer" | "bind")
                && point != "claim.after-buffer"
        }
        Role::Client => matches!(step, "claim" | "send" | "take" | "free" | "bind" | "leave"),
        Role::Settler => {
            matches!(step, "settle" | "send" | "answer" | "free") && point != "send.before-wake"
        }
        Role::Inspector | Role::Flipper | Role::Member => false,
    }
}

impl Aim {
    /// The next point for a worker of this role, and at which passage.
    pub fn next(&mut self, role: Role, rng: &mut Rng) -> Option<KillPoint> {
        let points: Vec<&str> = all_points()
            .iter()
            .copied()
            .filter(|point| is_reached_by(role, point))
            .collect();
        let cursor = self.cursors.entry(role).or_default();
        let name = *points.get(*cursor % points.len().max(1))?;
        *cursor += 1;
        let step = name.split('.').next().unwrap_or(name);
        // So rare in these roles that more passages are hardly ever made.
        let is_rare = matches!(step, "bind" | "leave") || role == Role::Settler;
        let pass = match step {
            _ if is_rare => rng.magnitude(1),
            "free" => rng.magnitude(2),
            _ => rng.magnitude(9),
        };
        Some(KillPoint {
            name: name.into(),
            pass: if step == "bind" || step == "leave" {
                1
            } else {
                pass as u32
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_reached_by_some_role() {
        let roles = [
            Role::ServerA,
            Role::Composer,
            Role::Interposer,
            Role::Client,
            Role::Settler,
        ];
        for point in all_points() {
            assert!(
                roles.iter().any(|role| is_reached_by(*role, point)),
                "{point}: arrange for a role that comes there"
            );
        }
    }

    #[test]
    fn a_role_takes_its_points_in_turn() {
        let (mut aim, mut rng) = (Aim::default(), Rng::new(1));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..all_points().len() {
            seen.extend(aim.next(Role::Client, &mut rng).map(|point| point.name));
        }
        assert!(seen.contains("leave.before-life") && seen.contains("claim.after-buffer"));
        assert_eq!(aim.next(Role::Inspector, &mut rng), None);
    }
}
