//! The command line of `vlmc`: the one definition behind parsing, help, completions and manual pages.

use std::path::PathBuf;

use archipelago_protocol::{ErrorCode, VolumeName, VolumeRef, VolumeSize, parse_bytes};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::complete::volume_candidates;

/// Volumes, their snapshots, clones and locks.
#[derive(Clone, Debug, Parser)]
#[command(name = "vlmc", version, after_help = ErrorCode::exit_code_help(), disable_help_subcommand = true)]
pub struct VlmcArgs {
    /// Configuration file instead of the usual ones
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object on stdout, errors included
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for an answer [default: the configuration's, 30]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,
    #[command(subcommand)]
    pub command: VlmcCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum VlmcCommand {
    /// Attach a volume as a block device, or show where it is exported
    Map(MapArgs),
    /// Detach a device
    Unmap {
        /// What `vlmc showmapped` shows: a device, or the address of an export
        device: String,
    },
    /// Show what is attached on this node
    Showmapped,
    /// Create a volume: blank, from a snapshot, or from the hash of its content
    Create(CreateArgs),
    /// Take a snapshot of a volume
    Snapshot {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        volume: VolumeName,
        /// Name of the snapshot
        snapshot: VolumeName,
    },
    /// Remove a volume or a snapshot, or the name of content
    #[command(visible_alias = "rm")]
    Remove {
        #[arg(required_unless_present = "hash", add = ArgValueCandidates::new(volume_candidates))]
        volume: Option<VolumeRef>,
        /// Content: what `vlmc hash` printed
        #[arg(long, value_name = "HASH", conflicts_with = "volume", value_parser = parse_hash)]
        hash: Option<String>,
    },
    /// List volumes and snapshots
    #[command(visible_alias = "ls")]
    List {
        /// Names only, one a line
        #[arg(short, long)]
        quiet: bool,
    },
    /// Show what is known about a volume
    Info {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        volume: VolumeRef,
    },
    /// Open a volume here: take its lock, load its map
    Open(OneVolume),
    /// Close a volume: finish what is in flight, give its lock back
    Close(OneVolume),
    /// Lock a volume for this node without opening it
    Lock(OneVolume),
    /// Unlock a volume
    Unlock {
        /// Break the lock of another owner, if no process of its node lives
        #[arg(short, long)]
        force: bool,
        /// Break it also if the owner lives, or may: its lease is taken away and waited for first
        ///
        /// That takes some seconds. By then the owner answers nothing any more that it does under the lock: nothing that it answered is
        /// lost. Its clients are refused from then on.
        #[arg(long)]
        fence: bool,
        /// The same, but at once
        ///
        /// An owner that lives may go on answering for some seconds, until it finds out, and what it answered meanwhile is lost. Only for a
        /// node that is off for certain, where the file system keeps its locks all the same.
        #[arg(long)]
        force_unsafe: bool,
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        volume: VolumeName,
    },
    /// Give a volume or a snapshot another name
    Rename {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        volume: VolumeName,
        new_name: VolumeName,
    },
    /// Change the size of a volume
    Resize {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        volume: VolumeName,
        /// New size: MiB, or with a unit such as 10G
        #[arg(short, long, allow_hyphen_values = true)]
        size: VolumeSize,
        /// Cut off what lies beyond a smaller size
        #[arg(long)]
        allow_shrink: bool,
    },
    /// Name a snapshot by the hash of its content
    Hash {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        snapshot: VolumeRef,
    },
    /// Copy a volume or a snapshot without copying data
    Clone {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        source: VolumeRef,
        /// Name of the new volume
        volume: VolumeName,
        /// Size of the new volume [default: the source's]
        #[arg(short, long, allow_hyphen_values = true)]
        size: Option<VolumeSize>,
    },
    /// Find what crashes and power loss left, and content that nothing needs any more, and give its space back
    Gc {
        /// Only tell what there is
        #[arg(long)]
        dry_run: bool,
    },
    /// Show who holds which lock, and whether he lives
    Locks,
    /// Break all locks of a node of which no process lives
    EvictNode {
        /// As `vlmc locks` shows it
        node: String,
    },
    /// Show what was made from a snapshot
    ///
    /// What was cloned directly from a volume hangs from a state of it that has no name: it has no parent to be shown with.
    /// Take a snapshot and clone that, if you want to see it.
    Children {
        #[arg(add = ArgValueCandidates::new(volume_candidates))]
        volume: VolumeRef,
    },
}

/// The volume that a command is about.
#[derive(Clone, Debug, Args)]
pub struct OneVolume {
    #[arg(add = ArgValueCandidates::new(volume_candidates))]
    pub volume: VolumeName,
}

/// How to attach.
#[derive(Clone, Debug, Args)]
pub struct MapArgs {
    #[arg(add = ArgValueCandidates::new(volume_candidates))]
    pub volume: VolumeRef,
    /// Refuse writes; also -ro
    #[arg(short, long)]
    pub read_only: bool,
    /// Kind of attachment
    #[arg(long = "type", value_enum, default_value_t = AttachKind::Auto, value_name = "TYPE")]
    pub kind: AttachKind,
    /// Attach it again after each start of this node, and each boot of the machine, until it is unmapped
    #[arg(long)]
    pub persist: bool,
    /// Print how to reach the volume in another form
    #[arg(long, value_enum, value_name = "FORM")]
    pub print: Option<PrintForm>,
}

/// Kinds of attachments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AttachKind {
    /// The best that this machine has: ublk, else nbd, else nbd-socket
    Auto,
    /// A block device of the kernel, served from user space; it waits while what serves it is restarted
    Ublk,
    /// A block device of the kernel's NBD client
    Nbd,
    /// The address of an NBD export, for programs that speak NBD
    NbdSocket,
    /// A unix socket for virtual machines: vhost-user-blk
    VhostUser,
}

impl AttachKind {
    /// Does it depend on what the kernel has?
    pub fn needs_machine(self) -> bool {
        !matches!(self, Self::NbdSocket | Self::VhostUser)
    }
}

/// Forms in which an attachment can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrintForm {
    /// Options for QEMU's command line
    Qemu,
    /// A disk for a libvirt domain
    LibvirtXml,
    /// The address of the NBD export
    #[value(alias = "nbd-uri")]
    Uri,
}

/// What to create; at least one of the sources of its size is there.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("source").args(["snap", "size", "from_hash"]).required(true).multiple(true))]
pub struct CreateArgs {
    /// Name of the new volume
    pub volume: VolumeName,
    /// Snapshot to begin with; SNAPSHOT or VOLUME@SNAPSHOT
    #[arg(long, value_name = "SNAPSHOT", add = ArgValueCandidates::new(volume_candidates))]
    pub snap: Option<VolumeRef>,
    /// Size: MiB, or with a unit such as 10G [default: the snapshot's]
    #[arg(short, long, allow_hyphen_values = true)]
    pub size: Option<VolumeSize>,
    /// Content to begin with: what `vlmc hash` printed
    #[arg(long, value_name = "HASH", conflicts_with = "snap", value_parser = parse_hash)]
    pub from_hash: Option<String>,
    /// Bytes of an object, a power of two from 64K to 64M
    #[arg(long, value_name = "SIZE", value_parser = parse_object_bytes)]
    pub object_size: Option<u64>,
}

fn parse_hash(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("a hash has 64 hexadecimal digits: copy it from `vlmc hash`".into())
}

fn parse_object_bytes(text: &str) -> Result<u64, String> {
    let bytes = parse_bytes(text).map_err(|error| error.to_string())?;
    if bytes.is_power_of_two() && (64 << 10..=64 << 20).contains(&bytes) {
        return Ok(bytes);
    }
    Err("an object has a power of two of bytes, from 64K to 64M: leave it out for 4M".into())
}
