//! Arguments of the commands about segments and ports.

use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::units;

#[derive(Debug, Args)]
pub struct Create {
    /// How large; a bare number is in MiB
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = units::parse_mebibytes, conflicts_with = "buffers")]
    pub size: u64,
    /// How many buffers of which size, as in 4K=128,64K=64; the segment becomes as large as that needs
    #[arg(long, value_name = "SIZE=COUNT,...", value_delimiter = ',')]
    pub buffers: Vec<Buffers>,
    /// Ports in all
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub ports: u32,
    /// How many of the ports have fixed owners; the others are given out to clients
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub static_ports: u32,
    /// Requests that can be under way at a time
    #[arg(long, value_name = "N", default_value_t = 8192)]
    pub requests: u32,
    /// Who may use it, in octal: bits for user and group only
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = parse_mode)]
    pub mode: u32,
    /// The group whose members may use it
    #[arg(long, value_name = "GROUP|GID")]
    pub group: Option<String>,
    /// Whether to use huge pages
    #[arg(long, value_enum, default_value_t = Huge::Auto)]
    pub huge: Huge,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Huge {
    Auto,
    Never,
}

/// So many buffers of such a size.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    pub bytes: u64,
    pub count: u32,
}

impl FromStr for Buffers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bytes, count) = text
            .split_once('=')
            .ok_or("expected SIZE=COUNT, as in 64K=32")?;
        Ok(Self {
            bytes: units::parse_bytes(bytes)?,
            count: count
                .parse()
                .map_err(|error| format!("{count:?}: {error}"))?,
        })
    }
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).map_err(|error| error.to_string())?;
    if mode & !0o660 == 0 {
        Ok(mode)
    } else {
        Err("only reading and writing by user and group (0660) can be granted".into())
    }
}

#[derive(Debug, Args)]
pub struct Port {
    /// The port's number
    pub port: u32,
}

#[derive(Debug, Args)]
pub struct Route {
    /// The port that requests are for
    pub port: u32,
    /// The port that they go through from now on; its owner must forward them
    #[arg(long, value_name = "PORT", conflicts_with = "direct")]
    pub via: Option<u32>,
    /// From now on they go straight there
    #[arg(long)]
    pub direct: bool,
}
