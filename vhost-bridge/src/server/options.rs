use archipelago_front::FrontOptions;

/// How a disk is served to guests.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Rings that a front end may use.
    pub queues: u16,
    /// What the guest reads as the disk's name: 20 bytes of it.
    pub serial: String,
    pub front: FrontOptions,
}
