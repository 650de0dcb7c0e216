//! What a guest has as its disks.

use std::path::PathBuf;

/// A disk of a guest: /dev/vda, /dev/vdb, in the order in which they were given.
#[derive(Clone, Debug)]
pub struct Drive {
    pub(crate) behind: Behind,
    pub(crate) is_read_only: bool,
    /// More of QEMU's own options of the device, as `name=value`.
    pub(crate) options: Vec<String>,
    /// The same of what is behind it.
    pub(crate) back_options: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Behind {
    Raw(PathBuf),
    Nbd {
        socket: PathBuf,
        export: String,
        reconnect_delay_s: u32,
    },
    VhostUser {
        socket: PathBuf,
        reconnect_s: u32,
    },
}

impl Drive {
    fn new(behind: Behind) -> Self {
        Self {
            behind,
            is_read_only: false,
            options: Vec::new(),
            back_options: Vec::new(),
        }
    }

    /// The bytes of a file, which is there.
    pub fn raw(file: impl Into<PathBuf>) -> Self {
        Self::new(Behind::Raw(file.into()))
    }

    /// QEMU's own NBD client, at a unix socket.
    pub fn nbd(socket: impl Into<PathBuf>, export: &str) -> Self {
        Self::new(Behind::Nbd {
            socket: socket.into(),
            export: export.to_owned(),
            reconnect_delay_s: 0,
        })
    }

    /// A vhost-user-blk device at a unix socket; the guest's memory is shared with it.
    pub fn vhost_user(socket: impl Into<PathBuf>) -> Self {
        Self::new(Behind::VhostUser {
            socket: socket.into(),
            reconnect_s: 0,
        })
    }

    /// For a server that goes away: NBD's requests wait so long for its return; a vhost-user device is asked for again each
    /// so many seconds. A file has no server.
    #[must_use]
    pub fn reconnecting(mut self, seconds: u32) -> Self {
        match &mut self.behind {
            Behind::Raw(_) => {}
            Behind::Nbd {
                reconnect_delay_s, ..
            } => *reconnect_delay_s = seconds,
            Behind::VhostUser { reconnect_s, .. } => *reconnect_s = seconds,
        }
        self
    }

    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    /// One more of QEMU's options of the device: `num-queues=2`.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// One more of what is behind it: `file.aio=io_uring`.
    #[must_use]
    pub fn back_option(mut self, option: &str) -> Self {
        self.back_options.push(option.to_owned());
        self
    }

    pub(crate) fn shares_memory(&self) -> bool {
        matches!(self.behind, Behind::VhostUser { .. })
    }

    /// QEMU's arguments for the `index`-th of them. Its place on the bus says which name it gets in the guest.
    pub(crate) fn arguments(&self, index: usize) -> Vec<String> {
        let (id, slot) = (format!("drive{index}"), 0x10 + index);
        let joined = |options: &[String]| -> String {
            let options = options.iter().map(|option| format!(",{option}"));
            options.collect()
        };
        let (options, back_options) = (joined(&self.options), joined(&self.back_options));
        let read_only = if self.is_read_only {
            ",read-only=on"
        } else {
            ""
        };
        let (kind, value) = match &self.behind {
            Behind::Raw(file) => {
                let file = escaped(&file.display().to_string());
                let value = format!(
                    "driver=raw,node-name={id},discard=unmap,file.driver=file,file.filename={file}{read_only}"
                );
                ("-blockdev", value)
            }
            Behind::Nbd {
                socket,
                export,
                reconnect_delay_s,
            } => {
                let socket = escaped(&socket.display().to_string());
                let export = escaped(export);
                let value = format!(
                    "driver=nbd,node-name={id},discard=unmap,server.type=unix,server.path={socket},\
                     export={export},reconnect-delay={reconnect_delay_s}{read_only}"
                );
                ("-blockdev", value)
            }
            Behind::VhostUser {
                socket,
                reconnect_s,
            } => {
                let socket = escaped(&socket.display().to_string());
                let value = format!("socket,id={id},path={socket},reconnect={reconnect_s}");
                ("-chardev", value)
            }
        };
        let device = match self.behind {
            Behind::VhostUser { .. } => format!("vhost-user-blk-pci,chardev={id}"),
            _ => format!("virtio-blk-pci,drive={id}"),
        };
        let device = format!("{device},addr={slot:#x}{options}");
        let value = value + &back_options;
        vec![kind.to_owned(), value, "-device".to_owned(), device]
    }
}

/// QEMU takes a comma for the end of a value unless there are two.
fn escaped(text: &str) -> String {
    text.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_comma_stays_one_value() {
        let arguments = Drive::raw("/tmp/a,b").read_only().arguments(1);
        assert_eq!(
            arguments,
            [
                "-blockdev",
                "driver=raw,node-name=drive1,discard=unmap,file.driver=file,file.filename=/tmp/a,,b,read-only=on",
                "-device",
                "virtio-blk-pci,drive=drive1,addr=0x11",
            ]
        );
    }

    #[test]
    fn options_go_to_the_device_or_to_what_is_behind_it() {
        let drive = Drive::raw("/r")
            .option("iothread=one")
            .back_option("cache.direct=on");
        let arguments = drive.arguments(0);
        assert!(
            arguments[1].ends_with("=/r,cache.direct=on"),
            "{arguments:?}"
        );
        assert!(
            arguments[3].ends_with("addr=0x10,iothread=one"),
            "{arguments:?}"
        );
    }

    #[test]
    fn servers_that_go_away_are_asked_for_again() {
        let nbd = Drive::nbd("/n", "v").reconnecting(30).arguments(0);
        assert!(nbd[1].ends_with("export=v,reconnect-delay=30"), "{nbd:?}");
        let vhost = Drive::vhost_user("/v")
            .reconnecting(1)
            .option("num-queues=2");
        let vhost = vhost.arguments(0);
        assert_eq!(vhost[1], "socket,id=drive0,path=/v,reconnect=1");
        assert!(vhost[3].ends_with("addr=0x10,num-queues=2"), "{vhost:?}");
    }
}
