//! From what the files say to a [`Config`]: defaults, types, and then the checks of one setting against another.

use std::time::Duration;

use xseg::{Geometry, PORTS_MAX};

use super::accounts::{self, Account, Database};
use super::check;
use super::environment::Environment;
use super::merge::RawConfig;
use super::model::{Config, HostConfig, SegmentConfig};
use super::port_range::PortRange;
use super::problem::{ConfigError, Problem};
use super::reader::Reader;
use super::resolve_nbd;
use super::resolve_roles;
use super::role::RoleConfig;

const MIB: u64 = 1 << 20;
const SEGMENT_BYTES_DEFAULT: u64 = 256 * MIB;
/// Requests that a segment has room for whatever its size is: what the tables must leave room for.
const REQUESTS_LEAST: u32 = 1024;

const NODE_BYTES_MAX: usize = 255;

const DAY_S: u64 = 86400;
const HOSTS_ISOLATE: &str = "hosts.isolate";
const HOSTS_LOOK: &str = "hosts.look_us";

/// A host of all roles waits for clients and disks: they take that long, mostly, and nobody here waits for its processor.
const LOOK_OF_ALL_ROLES_US: u32 = 50;

/// Hosts wait for each other: who looks longer takes the processor from whom it waits for.
const LOOK_OF_SOME_ROLES_US: u32 = 5;
const HOST_DEFAULT: &str = "main";

/// Makes the configuration, or says everything that is wrong with it.
pub fn resolve(raw: RawConfig, environment: &Environment) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(raw);
    let (user, group) = accounts(&mut reader, environment);
    let primary_group = primary_group(&mut reader, environment, user.as_ref());
    let umask = reader.mode_or("umask", 0o007);
    let node = node(&mut reader);
    let run_dir = reader.path_or("run_dir", environment.run_dir());
    let log_dir = reader.path_or("log_dir", environment.log_dir());
    let state_dir = reader.path_or("state_dir", environment.state_dir());
    let trash_ttl = reader.duration_or("trash_ttl", 0..=3650 * DAY_S, 0);
    let timeout = reader.duration_or("timeout", 1..=DAY_S, 30);
    let segment = segment(&mut reader, environment);
    let bridges = reserved(&mut reader, "bridges", PortRange { start: 0, end: 499 });
    let tools = reserved(
        &mut reader,
        "tools",
        PortRange {
            start: 1003,
            end: 1022,
        },
    );
    let roles = resolve_roles::roles(&mut reader, environment, &log_dir);
    let (isolate, hosts) = hosts(&mut reader, &roles);
    let look = look(&mut reader, &hosts);
    let nbd = resolve_nbd::nbd(&mut reader, &run_dir);
    let ublk_zero_copy = reader.boolean_or("ublk.zero_copy", true);
    let mut config = Config {
        user,
        group,
        primary_group,
        umask,
        node,
        run_dir,
        log_dir,
        state_dir,
        trash_ttl,
        timeout,
        segment,
        bridges,
        tools,
        roles,
        isolate,
        hosts,
        look,
        nbd,
        ublk_zero_copy,
        origins: reader.origins.clone(),
    };
    check::check(&config, &mut reader);
    resolve_roles::report_unused(&config.roles, &mut reader);
    if !reader.problems.is_empty() {
        let mut problems = reader.problems;
        in_order(&mut problems);
        return Err(ConfigError::Invalid { problems });
    }
    config.origins = reader.origins;
    Ok(config)
}

/// By file as the files came, then by line; what no file says comes last.
fn in_order(problems: &mut [Problem]) {
    problems.sort_by(|left, right| {
        let line = |problem: &Problem| problem.place.as_ref().map(|place| place.line);
        let file = |problem: &Problem| problem.place.as_ref().map(|place| place.file.clone());
        let left_key = (left.place.is_none(), file(left), line(left));
        left_key.cmp(&(right.place.is_none(), file(right), line(right)))
    });
}

/// It stands in locks, on one line, with room for 255 bytes.
fn node(reader: &mut Reader) -> Option<String> {
    let node = reader.text("node")?;
    if node.len() > NODE_BYTES_MAX {
        let what = format!("has {} bytes", node.len());
        reader.problem("node", what, "give a name of at most 255 bytes");
    }
    Some(node)
}

/// Root gives up its rights if there is somebody to become; anybody else stays who they are.
fn accounts(reader: &mut Reader, environment: &Environment) -> (Option<Account>, Option<Account>) {
    let user = account(reader, environment, "user", Database::Users);
    let group = account(reader, environment, "group", Database::Groups);
    if let (Some(user), false) = (&user, environment.is_root())
        && user.id != environment.uid
    {
        let what = format!("only root may start peers as {}", user.name);
        reader.problem("user", what, "start as root, or remove the setting");
    }
    (user, group)
}

fn primary_group(
    reader: &mut Reader,
    environment: &Environment,
    user: Option<&Account>,
) -> Option<u32> {
    let user = user?;
    let group = accounts::primary_group(&environment.passwd_file, &user.name);
    if group.is_none() {
        let what = format!("the user {} has no group", user.name);
        reader.problem("user", what, "give the user one, or name another user");
    }
    group
}

fn account(
    reader: &mut Reader,
    environment: &Environment,
    key: &str,
    database: Database,
) -> Option<Account> {
    const USUAL: &str = "archipelago";
    let file = match database {
        Database::Users => &environment.passwd_file,
        Database::Groups => &environment.group_file,
    };
    if let Some(name) = reader.text(key) {
        let account = accounts::find(database, file, &name);
        if account.is_none() {
            let remedy = format!("create the {key}, or name one that exists");
            reader.problem(key, format!("there is no {key} {name:?}"), remedy);
        }
        return account;
    }
    let usual = environment
        .is_root()
        .then(|| accounts::find(database, file, USUAL))
        .flatten();
    let why = match (&usual, environment.is_root()) {
        (Some(_), _) => "the usual account",
        (None, true) => "there is no account archipelago: rights are kept",
        (None, false) => "not root: stays as it is",
    };
    reader.note_default(key, why);
    usual
}

fn segment(reader: &mut Reader, environment: &Environment) -> SegmentConfig {
    let name = reader.text_or(
        "segment.name",
        &environment.segment_name(),
        "the usual name",
    );
    if let Err(error) = xseg::Place::named(&name) {
        reader.problem("segment.name", error.to_string(), "give a plain file name");
    }
    let ports = reader.number_or("segment.ports", 16..=PORTS_MAX, 2048, "built in");
    let dynports = reader.number_or(
        "segment.dynports",
        1..=PORTS_MAX,
        ports / 2,
        "half of the ports",
    );
    let size_bytes = reader.size_or(
        "segment.size",
        16 * MIB..=1 << 40,
        SEGMENT_BYTES_DEFAULT,
        "built in",
    );
    if dynports >= ports {
        let what = format!("{dynports} leaves no dynamic port among {ports}");
        let remedy = "give less than segment.ports: tools and clients bind the ports from it on";
        reader.problem("segment.dynports", what, remedy);
    } else if let Err(error) = Geometry::fitting(size_bytes, ports, dynports, REQUESTS_LEAST) {
        let remedy = "enlarge it, or lower segment.ports";
        reader.problem("segment.size", error.to_string(), remedy);
    }
    SegmentConfig {
        name,
        ports,
        dynports,
        size_bytes,
    }
}

fn reserved(reader: &mut Reader, section: &str, default: PortRange) -> PortRange {
    let [start_key, end_key] = ["start", "end"].map(|end| format!("{section}.{end}"));
    let all = || 0..=PortRange::LAST;
    let given = reader.number(&start_key, all());
    let start = given.unwrap_or(default.start);
    let end = reader
        .number(&end_key, all())
        .unwrap_or(default.end.max(start));
    reader.note_default(&start_key, "built in");
    reader.note_default(&end_key, "built in");
    if start > end {
        let what = format!("the range ends at {end}, before it starts at {start}");
        reader.problem(&end_key, what, format!("give {start} or more"));
        return PortRange { start, end: start };
    }
    PortRange { start, end }
}

fn look(reader: &mut Reader, hosts: &[HostConfig]) -> Duration {
    let (default_us, why) = match hosts {
        [_] => (LOOK_OF_ALL_ROLES_US, "one process for all roles"),
        _ => (LOOK_OF_SOME_ROLES_US, "roles in several processes"),
    };
    let look_us = reader.number_or(HOSTS_LOOK, 0..=1000, default_us, why);
    Duration::from_micros(look_us.into())
}

fn hosts(reader: &mut Reader, roles: &[RoleConfig]) -> (bool, Vec<HostConfig>) {
    let isolate = reader.boolean_or(HOSTS_ISOLATE, false);
    let mut hosts = Vec::new();
    for name in reader.names_below("hosts") {
        let key = format!("hosts.{name}");
        if [HOSTS_ISOLATE, HOSTS_LOOK].contains(&key.as_str()) {
            continue;
        }
        if !resolve_roles::is_plain_name(&name) {
            let remedy = "use small letters, digits, '-' and '_', at most 32";
            reader.problem(&key, "is no name for a host", remedy);
        }
        let roles = reader.words(&key).unwrap_or_default();
        if roles.is_empty() {
            reader.problem(&key, "runs no role", "name its roles, or remove it");
        }
        hosts.push(HostConfig { name, roles });
    }
    if isolate {
        if let Some(host) = hosts.first() {
            let key = format!("hosts.{}", host.name);
            let remedy = "remove the hosts, or hosts.isolate";
            reader.problem(
                &key,
                "hosts.isolate already gives each role a process",
                remedy,
            );
        }
        let own = |role: &RoleConfig| HostConfig {
            name: role.name.clone(),
            roles: vec![role.name.clone()],
        };
        return (true, roles.iter().map(own).collect());
    }
    if hosts.is_empty() {
        let key = format!("hosts.{HOST_DEFAULT}");
        reader.note_default(&key, "one process for all roles");
        hosts.push(HostConfig {
            name: HOST_DEFAULT.into(),
            roles: roles.iter().map(|role| role.name.clone()).collect(),
        });
    }
    // A host starts when the first of its roles does.
    let position = |host: &HostConfig| {
        let is_here = |role: &RoleConfig| host.roles.contains(&role.name);
        roles.iter().position(is_here).unwrap_or(usize::MAX)
    };
    hosts.sort_by_key(position);
    (false, hosts)
}
