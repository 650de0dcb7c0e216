//! The configuration of a node.
//!
//! # Where it is
//!
//! Root's is `/etc/archipelago/archipelago.toml`, anybody else's `archipelago/archipelago.toml` in
//! `$XDG_CONFIG_HOME` (`~/.config`). Files of `conf.d` beside it follow in the order of their names; the later one
//! wins. `--config FILE` replaces all of them. Without any file every setting has its default.
//!
//! # What it looks like
//!
//! ```toml
//! roles = ["blockerb", "blockerm", "mapperd", "vlmcd"]   # in the order in which they start
//!
//! [segment]
//! ports = 2048
//! size = "1 GiB"            # a bare number counts MiB
//!
//! [role.blockerb]
//! archip_dir = "/srv/archip/blocks"
//!
//! [hosts]                   # processes; without this one runs all roles
//! storage = ["blockerb", "blockerm"]
//! volumes = ["mapperd", "vlmcd"]
//! ```
//!
//! The admin guide's names in capitals (`SEGMENT_PORTS`, `XSEGBD_START` ...) are accepted at the top of a file as other
//! names of the same settings, and `roles` may hold the guide's pairs of name and type. Files of the historic system
//! are read by `archipelago config convert`. [`SETTINGS`] lists everything, and says which settings are *derived*:
//! checked and shown, while what happens follows from something else.
//!
//! # How it is read
//!
//! ```text
//! file --document--> entries --merge--> RawConfig --resolve--> Config
//!                                          (names are known)       (types, defaults, one setting against another)
//! ```
//! All mistakes of all files come out in one run, each with its line and the way out.

mod accounts;
mod check;
pub mod convert;
pub mod directories;
mod document;
mod environment;
mod load;
mod locate;
mod merge;
mod model;
mod place;
mod port_range;
mod problem;
mod reader;
mod resolve;
mod resolve_nbd;
mod resolve_roles;
mod role;
mod schema;
mod show;
#[cfg(test)]
mod tests;

pub use accounts::Account;
pub use environment::Environment;
pub use load::{load, load_text};
pub use locate::read_file;
pub use model::{Config, HostConfig, NbdConfig, SegmentConfig, TlsConfig};
pub use place::{Origin, Place};
pub use port_range::PortRange;
pub use problem::{ConfigError, Problem};
pub use role::{BackendLoss, RoleConfig, RoleKind, RoleSettings, SyncKind};
pub use schema::{Effect, SETTINGS, Setting};
pub use show::{show_json, show_toml};
