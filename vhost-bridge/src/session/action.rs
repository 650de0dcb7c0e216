use crate::message::{ConfigRange, InflightFacts, Region, Reply, RingAddresses};

/// A ring, as the front end has set it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSetup {
    pub size: u16,
    pub addresses: RingAddresses,
    pub next_available: u16,
    pub is_enabled: bool,
}

/// What is to be done for a message. Descriptors are those that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Nothing,
    SetMemory(Vec<Region>),
    AddMemory(Region),
    RemoveMemory(Region),
    Start(u16, RingSetup),
    /// The ring goes on with another descriptor.
    Kick(u16),
    /// Answered with where the ring stopped.
    Stop(u16),
    Enable(u16, bool),
    Call(u16),
    Err(u16),
    /// Answered with a new region.
    MakeInflight(InflightFacts),
    TakeInflight(InflightFacts),
    /// Answered with the configuration as it is now.
    TellConfig(ConfigRange),
    /// Where the front end wants to hear of changes.
    TakeChannel,
    /// All rings stop.
    StopAll,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Nothing,
    Now(Reply),
    /// What comes of the action.
    Result,
    /// Whether the action succeeded.
    Acknowledgement,
}

/// What a message makes happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    pub answer: Answer,
}
