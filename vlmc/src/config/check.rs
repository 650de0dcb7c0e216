//! Settings against each other: ports, neighbours, directories, hosts.
//!
//! # Invariants
//! * **CFG-2** In a configuration that loads, no port has two users (the NBD server is one), every role's ports are static ones of the segment,
//!   and every port that a role speaks to is one of a role of the right kind.
//! * **CFG-3** In a configuration that loads, each role is on exactly one host.

use std::collections::BTreeMap;
use std::path::Path;

use super::model::Config;
use super::port_range::PortRange;
use super::reader::Reader;
use super::role::{RoleConfig, RoleKind, RoleSettings};

/// Notes what is wrong in `reader`.
pub fn check(config: &Config, reader: &mut Reader) {
    for role in &config.roles {
        check_place(config, role, reader);
        check_neighbours(config, role, reader);
    }
    check_overlaps(config, reader);
    check_directories(config, reader);
    check_pools(config, reader);
    check_hosts(config, reader);
}

fn check_place(config: &Config, role: &RoleConfig, reader: &mut Reader) {
    let key = key(reader, &role.name);
    let (ports, dynports) = (config.segment.ports, config.segment.dynports);
    if role.ports.end >= ports {
        let what = format!(
            "ports {} are outside the segment, which has {ports}",
            role.ports
        );
        let remedy = format!("give ports below {dynports}, or raise segment.ports");
        reader.problem(&key, what, remedy);
    } else if role.ports.end >= dynports {
        let what = format!(
            "ports {} reach into the dynamic ones, which begin at {dynports}",
            role.ports
        );
        let remedy = format!("give ports below {dynports}, or raise segment.dynports");
        reader.problem(&key, what, remedy);
    }
}

/// The line to point at: where the role's ports are given, if they are.
fn key(reader: &Reader, role: &str) -> String {
    let [start, end] = ["portno_start", "portno_end"].map(|end| format!("role.{role}.{end}"));
    if !reader.has(&start) && reader.has(&end) {
        end
    } else {
        start
    }
}

fn check_overlaps(config: &Config, reader: &mut Reader) {
    for (index, role) in config.roles.iter().enumerate() {
        for other in &config.roles[..index] {
            if role.ports.overlaps(other.ports) {
                // Point at the one that is in a file, the later one if both are.
                let keys = [key(reader, &role.name), key(reader, &other.name)];
                let key = if reader.has(&keys[0]) {
                    &keys[0]
                } else {
                    &keys[1]
                };
                let what = format!(
                    "{} has ports {}, {} has ports {}: two roles cannot share one",
                    role.name, role.ports, other.name, other.ports
                );
                let free = free_port(config);
                let remedy = free.map_or("move one of them".into(), |port| {
                    format!("move one of them, for example to port {port}")
                });
                reader.problem(key, what, remedy);
            }
        }
        check_reserved(config.bridges, "bridges", role, reader);
        check_reserved(config.tools, "tools", role, reader);
    }
    check_nbd_port(config, reader);
    if config.bridges.overlaps(config.tools) {
        let given = ["tools.start", "tools.end", "bridges.end", "bridges.start"];
        let key = given
            .into_iter()
            .find(|key| reader.has(key))
            .unwrap_or("tools.start");
        let what = format!(
            "ports {} of bridges and {} of tools overlap",
            config.bridges, config.tools
        );
        reader.problem(key, what, "move one of the two ranges");
    }
    for (section, range) in [("bridges", config.bridges), ("tools", config.tools)] {
        let key = format!("{section}.end");
        // A small segment need not have the built-in ranges.
        if range.end >= config.segment.ports && reader.has(&key) {
            let what = format!(
                "port {} is outside the segment, which has {}",
                range.end, config.segment.ports
            );
            reader.problem(&key, what, "lower it, or raise segment.ports");
        }
    }
}

/// The ranges of bridges and tools bind roles only if somebody wrote them.
fn check_reserved(range: PortRange, section: &str, role: &RoleConfig, reader: &mut Reader) {
    let start = format!("{section}.start");
    let given = reader.has(&start) || reader.has(&format!("{section}.end"));
    if given && role.ports.overlaps(range) {
        let what = format!(
            "ports {range} are kept for {section}, but {} has {}",
            role.name, role.ports
        );
        reader.problem(&start, what, "move the range, or the role's ports");
    }
}

/// The first port of the bridges is the NBD server's, whether anybody wrote the range or not.
fn check_nbd_port(config: &Config, reader: &mut Reader) {
    if config.nbd_composer().is_none() {
        return;
    }
    let (start, dynports) = (config.bridges.start, config.segment.dynports);
    if start >= dynports {
        let what =
            format!("the NBD server has port {start}, and the dynamic ones begin at {dynports}");
        reader.problem("bridges.start", what, format!("give one below {dynports}"));
    }
    if reader.has("bridges.start") || reader.has("bridges.end") {
        return; // The whole range is kept free.
    }
    for role in config
        .roles
        .iter()
        .filter(|role| role.ports.contains(start))
    {
        let what = format!(
            "{} has ports {}, and port {start} is the NBD server's (bridges.start)",
            role.name, role.ports
        );
        let key = key(reader, &role.name);
        let remedy = match free_port(config) {
            Some(port) => {
                format!("move the role, for example to port {port}, or set bridges.start")
            }
            None => "move the role, or set bridges.start".into(),
        };
        reader.problem(&key, what, remedy);
    }
}

fn free_port(config: &Config) -> Option<u32> {
    let is_free = |port: &u32| {
        let mut taken = config.roles.iter().map(|role| role.ports);
        !taken.any(|range| range.contains(*port))
            && !config.bridges.contains(*port)
            && !config.tools.contains(*port)
    };
    (1..config.segment.dynports).rev().find(is_free)
}

/// Whom a role speaks to.
fn check_neighbours(config: &Config, role: &RoleConfig, reader: &mut Reader) {
    let is_blocker: fn(RoleKind) -> bool = RoleKind::is_blocker;
    let is_mapper: fn(RoleKind) -> bool = |kind| kind == RoleKind::Mapperd;
    let wanted = match &role.settings {
        RoleSettings::Mapperd {
            blockerb_port,
            blockerm_port,
        } => vec![
            ("blockerb_port", *blockerb_port, "blocker", is_blocker),
            ("blockerm_port", *blockerm_port, "blocker", is_blocker),
        ],
        RoleSettings::Vlmcd {
            blocker_port,
            mapper_port,
        } => vec![
            ("blocker_port", *blocker_port, "blocker", is_blocker),
            ("mapper_port", *mapper_port, "mapperd", is_mapper),
        ],
        RoleSettings::FileBlocker { .. } | RoleSettings::RadosBlocker { .. } => Vec::new(),
    };
    for (setting, port, kind_name, is_right) in wanted {
        let key = format!("role.{}.{setting}", role.name);
        // A default that found nobody has been reported.
        if !reader.has(&key) {
            continue;
        }
        let owner = config.roles.iter().find(|other| other.ports.contains(port));
        if owner.is_some_and(|owner| is_right(owner.kind())) {
            continue;
        }
        let what = match owner {
            Some(owner) => format!(
                "port {port} is {}'s, a {}, no {kind_name}",
                owner.name,
                owner.kind()
            ),
            None => format!("port {port} is no role's"),
        };
        let right: Vec<String> = config
            .roles
            .iter()
            .filter(|other| is_right(other.kind()))
            .map(|other| format!("{} ({})", other.ports.start, other.name))
            .collect();
        let remedy = if right.is_empty() {
            format!("add a {kind_name} to roles")
        } else {
            format!("give the port of a {kind_name}: {}", right.join(", "))
        };
        reader.problem(&key, what, remedy);
    }
}

/// Two blockers in one directory would take each other's objects for their own.
fn check_directories(config: &Config, reader: &mut Reader) {
    let mut owners: BTreeMap<&Path, &str> = BTreeMap::new();
    for role in &config.roles {
        let RoleSettings::FileBlocker { archip_dir, .. } = &role.settings else {
            continue;
        };
        if let Some(other) = owners.insert(archip_dir, &role.name) {
            let key = format!("role.{}.archip_dir", role.name);
            let what = format!("{} is {other}'s directory too", archip_dir.display());
            reader.problem(&key, what, "give each blocker a directory of its own");
        }
    }
}

/// The same in a pool.
fn check_pools(config: &Config, reader: &mut Reader) {
    let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for role in &config.roles {
        let RoleSettings::RadosBlocker {
            pool, namespace, ..
        } = &role.settings
        else {
            continue;
        };
        if let Some(other) = owners.insert((pool, namespace), &role.name) {
            let key = format!("role.{}.namespace", role.name);
            let what = format!("{namespace} of the pool {pool} is {other}'s namespace too");
            reader.problem(&key, what, "give each blocker a namespace of its own");
        }
    }
}

fn check_hosts(config: &Config, reader: &mut Reader) {
    if config.isolate {
        return;
    }
    for (index, host) in config.hosts.iter().enumerate() {
        let key = format!("hosts.{}", host.name);
        for (place, name) in host.roles.iter().enumerate() {
            if config.role(name).is_none() {
                let remedy = "name roles that are in roles";
                reader.problem(&key, format!("there is no role {name:?}"), remedy);
            }
            let before = config.hosts[..index]
                .iter()
                .find(|other| other.roles.contains(name));
            if host.roles[..place].contains(name) {
                reader.problem(&key, format!("{name} is there twice"), "name it once");
            } else if let Some(other) = before {
                let what = format!("{name} is on the host {} already", other.name);
                reader.problem(&key, what, "name each role on one host");
            }
        }
    }
    for role in &config.roles {
        if config.host_of(&role.name).is_none() {
            let key = format!("hosts.{}", config.hosts[0].name);
            let what = format!("no host runs the role {}", role.name);
            reader.problem(&key, what, "add it to a host, or remove all hosts");
        }
    }
}
