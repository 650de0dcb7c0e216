//! The resolved configuration as a file, with where each value comes from; or the same as JSON.
//!
//! # Invariants
//! * **CFG-4** What is shown loads again as the same configuration.

use serde_json::{Map, Value, json};

use super::model::{Config, NbdConfig, TlsConfig};
use super::role::{RoleConfig, RoleSettings};
use super::schema::{self, Effect};

/// A setting and its value, in the order of the schema.
type Entry = (String, Value);

/// As TOML, ready to be used as a configuration file.
pub fn show_toml(config: &Config) -> String {
    let mut text = String::new();
    let mut section = String::new();
    for (key, value) in entries(config) {
        let (table, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if table != section {
            text.push_str(&format!("\n[{table}]\n"));
            section = table.to_owned();
        }
        text.push_str(&format!(
            "{name} = {}  # {}\n",
            toml_value(&value),
            remark(config, &key)
        ));
    }
    text
}

/// As one JSON object: `{"segment.ports": {"value": ..., "origin": ...}, ...}`.
pub fn show_json(config: &Config) -> Value {
    let settings: Map<String, Value> = entries(config)
        .into_iter()
        .map(|(key, value)| {
            let origin = origin(config, &key);
            (key, json!({ "value": value, "origin": origin }))
        })
        .collect();
    json!({ "settings": settings })
}

fn origin(config: &Config, key: &str) -> String {
    let origin = config.origins.get(key);
    origin.map_or_else(|| "default: built in".into(), ToString::to_string)
}

fn remark(config: &Config, key: &str) -> String {
    // File names may hold anything but must not end the comment.
    let origin: String = origin(config, key)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    match schema::find(key) {
        Some((setting, _)) if setting.effect == Effect::Derived => {
            format!("{origin}; {}", setting.about)
        }
        _ => origin,
    }
}

/// JSON's texts are TOML's too, but for DEL, which TOML wants escaped.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_value).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string().replace('\u{7f}', "\\u007f"),
    }
}

fn entries(config: &Config) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut add = |key: &str, value: Value| entries.push((key.to_owned(), value));
    if let Some(user) = &config.user {
        add("user", json!(user.name));
    }
    if let Some(group) = &config.group {
        add("group", json!(group.name));
    }
    let roles: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
    add("umask", mode(config.umask));
    if let Some(node) = &config.node {
        add("node", json!(node));
    }
    add("run_dir", json!(config.run_dir));
    add("log_dir", json!(config.log_dir));
    add("state_dir", json!(config.state_dir));
    add("trash_ttl", json!(config.trash_ttl.as_secs()));
    add("timeout", json!(config.timeout.as_secs()));
    add("roles", json!(roles));
    add("segment.name", json!(config.segment.name));
    add("segment.ports", json!(config.segment.ports));
    add("segment.dynports", json!(config.segment.dynports));
    add(
        "segment.size",
        json!(archipelago_protocol::format_bytes(
            config.segment.size_bytes
        )),
    );
    // Built-in ranges stay built in: written down they would bind the roles.
    for (section, range) in [("bridges", config.bridges), ("tools", config.tools)] {
        let ends = [("start", range.start), ("end", range.end)];
        let keys = ends.map(|(end, port)| (format!("{section}.{end}"), port));
        let is_given = |key: &String| {
            let origin = config.origins.get(key);
            matches!(origin, Some(super::place::Origin::File { .. }))
        };
        if keys.iter().any(|(key, _)| is_given(key)) {
            keys.iter().for_each(|(key, port)| add(key, json!(port)));
        }
    }
    for role in &config.roles {
        add_role(role, &mut add);
    }
    if config.isolate {
        add("hosts.isolate", json!(true));
    } else {
        add("hosts.isolate", json!(false));
        for host in &config.hosts {
            add(&format!("hosts.{}", host.name), json!(host.roles));
        }
    }
    add("hosts.look_us", json!(config.look.as_micros() as u64));
    add_nbd(&config.nbd, &mut add);
    add("ublk.zero_copy", json!(config.ublk_zero_copy));
    entries
}

fn add_nbd(nbd: &NbdConfig, add: &mut dyn FnMut(&str, Value)) {
    add("nbd.socket", json!(nbd.socket));
    if let Some(listen) = nbd.listen {
        add("nbd.listen", json!(listen.to_string()));
    }
    add("nbd.connections_max", json!(nbd.connections_max));
    add("nbd.requests_max", json!(nbd.requests_max));
    add(
        "nbd.memory_max",
        json!(archipelago_protocol::format_bytes(nbd.memory_max)),
    );
    add(
        "nbd.handshake_timeout",
        json!(nbd.handshake_timeout.as_secs()),
    );
    add("nbd.stall_timeout", json!(nbd.stall_timeout.as_secs()));
    add("nbd.list", json!(nbd.list));
    match &nbd.tls {
        Some(TlsConfig::Certificates {
            certificate,
            key,
            client_authorities,
        }) => {
            add("nbd.tls_certificate", json!(certificate));
            add("nbd.tls_key", json!(key));
            if let Some(authorities) = client_authorities {
                add("nbd.tls_client_ca", json!(authorities));
            }
        }
        Some(TlsConfig::SharedKeys { file }) => add("nbd.tls_psk_file", json!(file)),
        None => {}
    }
    add("nbd.allow_plain", json!(nbd.allow_plain));
}

fn add_role(role: &RoleConfig, add: &mut dyn FnMut(&str, Value)) {
    let mut add =
        |setting: &str, value: Value| add(&format!("role.{}.{setting}", role.name), value);
    add("type", json!(role.kind().name()));
    add("portno_start", json!(role.ports.start));
    add("portno_end", json!(role.ports.end));
    add("log_level", json!(role.log_level));
    add("nr_ops", json!(role.nr_ops));
    add("nr_threads", json!(role.nr_threads));
    add("umask", mode(role.umask));
    add("logfile", json!(role.logfile));
    match &role.settings {
        RoleSettings::FileBlocker {
            archip_dir,
            lock_dir,
            fdcache,
            direct,
            sync,
            lease,
        } => {
            add("archip_dir", json!(archip_dir));
            add("lock_dir", json!(lock_dir));
            add("fdcache", json!(fdcache));
            add("direct", json!(direct));
            add("sync", json!(sync.name()));
            add("lease", json!(lease.as_secs()));
        }
        RoleSettings::RadosBlocker {
            pool,
            cephx_id,
            namespace,
            ceph_conf,
            on_backend_loss,
            backend_timeout,
        } => {
            add("pool", json!(pool));
            if let Some(id) = cephx_id {
                add("cephx_id", json!(id));
            }
            add("namespace", json!(namespace));
            if let Some(path) = ceph_conf {
                add("ceph_conf", json!(path));
            }
            add("on_backend_loss", json!(on_backend_loss.name()));
            add("backend_timeout", json!(backend_timeout.as_secs()));
        }
        RoleSettings::Mapperd {
            blockerb_port,
            blockerm_port,
        } => {
            add("blockerb_port", json!(blockerb_port));
            add("blockerm_port", json!(blockerm_port));
        }
        RoleSettings::Vlmcd {
            blocker_port,
            mapper_port,
        } => {
            add("blocker_port", json!(blocker_port));
            add("mapper_port", json!(mapper_port));
        }
    }
}

fn mode(mode: u32) -> Value {
    json!(format!("{mode:03o}"))
}
