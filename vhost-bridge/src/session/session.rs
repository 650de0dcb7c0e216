//! One connection's state.

use super::action::{Action, Answer, RingSetup, Step};
use super::error::SessionError;
use crate::guest::SLOTS_MAX;
use crate::message::{Code, InflightFacts, Message, Reply, RingAddresses, RingState};
use crate::queue::Layout;
use crate::request::DeviceFeatures;

/// Among the device's features: there are protocol features.
const PROTOCOL_FEATURES: u64 = 1 << 30;

const MQ: u64 = 1 << 0;
const REPLY_ACK: u64 = 1 << 3;
const BACKEND_REQ: u64 = 1 << 5;
const CONFIG: u64 = 1 << 9;
const INFLIGHT_SHMFD: u64 = 1 << 12;
const RESET_DEVICE: u64 = 1 << 13;
const CONFIGURE_MEM_SLOTS: u64 = 1 << 15;
const PROTOCOL_OFFERED: u64 =
    MQ | REPLY_ACK | BACKEND_REQ | CONFIG | INFLIGHT_SHMFD | RESET_DEVICE | CONFIGURE_MEM_SLOTS;

/// What the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub features: u64,
    pub queues: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    size: Option<u16>,
    addresses: Option<RingAddresses>,
    next_available: u16,
    enabled: Option<bool>,
    is_running: bool,
}

/// What was agreed, and how far the rings are set up.
#[derive(Debug)]
pub struct Session {
    offer: Offer,
    features: u64,
    protocol: u64,
    rings: Vec<Ring>,
}

impl Session {
    pub fn new(offer: Offer) -> Self {
        Self {
            offer,
            features: 0,
            protocol: 0,
            rings: vec![Ring::default(); offer.queues.into()],
        }
    }

    /// What the driver accepted.
    pub fn features(&self) -> DeviceFeatures {
        DeviceFeatures::of_bits(self.features)
    }

    /// Is an acknowledgement awaited for messages that ask for one (SESSION-3)?
    pub fn acknowledges(&self) -> bool {
        self.protocol & REPLY_ACK != 0
    }

    pub fn step(&mut self, message: &Message) -> Result<Step, SessionError> {
        self.check_negotiated(message.code())?;
        let now = |reply| {
            Ok(Step {
                action: Action::Nothing,
                answer: Answer::Now(reply),
            })
        };
        match message {
            Message::GetFeatures => now(Reply::Number(self.offer.features | PROTOCOL_FEATURES)),
            Message::GetProtocolFeatures => now(Reply::Number(PROTOCOL_OFFERED)),
            Message::GetQueueNum => now(Reply::Number(self.offer.queues.into())),
            Message::GetMaxMemSlots => now(Reply::Number(SLOTS_MAX as u64)),
            Message::GetConfig(range) => Ok(Step {
                action: Action::TellConfig(range.clone()),
                answer: Answer::Result,
            }),
            Message::GetBase(state) => {
                let index = self.index(state.index)?;
                let ring = &mut self.rings[usize::from(index)];
                if !ring.is_running {
                    let value = ring.next_available.into();
                    let index = index.into();
                    return now(Reply::Ring(RingState { index, value }));
                }
                ring.is_running = false;
                Ok(Step {
                    action: Action::Stop(index),
                    answer: Answer::Result,
                })
            }
            Message::GetInflight(facts) => {
                self.check_inflight(facts)?;
                Ok(Step {
                    action: Action::MakeInflight(*facts),
                    answer: Answer::Result,
                })
            }
            _ => {
                let action = self.change(message)?;
                let answer = Answer::Acknowledgement;
                Ok(Step { action, answer })
            }
        }
    }

    /// A ring was stopped there: that is where it goes on, unless the front end says otherwise.
    pub fn stopped_at(&mut self, index: u16, next_available: u16) {
        if let Some(ring) = self.rings.get_mut(usize::from(index)) {
            ring.next_available = next_available;
        }
    }

    /// Where a ring goes on.
    pub fn base(&self, index: u16) -> u16 {
        let ring = self.rings.get(usize::from(index));
        ring.map_or(0, |ring| ring.next_available)
    }

    fn change(&mut self, message: &Message) -> Result<Action, SessionError> {
        let code = message.code();
        match message {
            Message::SetFeatures(bits) => {
                self.accept(*bits, self.offer.features | PROTOCOL_FEATURES)?;
                if self.is_running() && *bits != self.features {
                    return Err(SessionError::Running { code }); // SESSION-2
                }
                self.features = *bits;
            }
            Message::SetProtocolFeatures(bits) => {
                self.accept(*bits, PROTOCOL_OFFERED)?;
                self.protocol = *bits;
            }
            Message::ResetOwner => {
                let running = self.rings.iter_mut();
                running.for_each(|ring| ring.is_running = false);
                return Ok(Action::StopAll);
            }
            Message::ResetDevice => {
                self.rings.fill(Ring::default());
                return Ok(Action::StopAll);
            }
            Message::SetBackendFd => return Ok(Action::TakeChannel),
            Message::SetNum(state) => {
                let size = Layout::check_size(state.value)?;
                self.resting(state.index, code)?.size = Some(size);
            }
            Message::SetAddresses(addresses) => {
                self.resting(addresses.index, code)?.addresses = Some(*addresses);
            }
            Message::SetBase(state) => {
                let value = state.value;
                let base = u16::try_from(value).map_err(|_| SessionError::Base { value })?;
                self.resting(state.index, code)?.next_available = base;
            }
            Message::SetKick { index, has_fd } => return self.kick(*index, *has_fd),
            Message::SetCall { index, .. } => return Ok(Action::Call(self.index(*index)?)),
            Message::SetErr { index, .. } => return Ok(Action::Err(self.index(*index)?)),
            Message::SetEnable(state) => {
                let value = state.value;
                if value > 1 {
                    return Err(SessionError::Enable { value });
                }
                let index = self.index(state.index)?;
                self.rings[usize::from(index)].enabled = Some(value == 1);
                return Ok(Action::Enable(index, value == 1));
            }
            Message::SetMemory(regions) => return Ok(Action::SetMemory(regions.clone())),
            Message::AddMemory(region) => return Ok(Action::AddMemory(*region)),
            Message::RemoveMemory(region) => return Ok(Action::RemoveMemory(*region)),
            Message::SetInflight(facts) => {
                self.check_inflight(facts)?;
                return Ok(Action::TakeInflight(*facts));
            }
            Message::SetConfig(_) => return Err(SessionError::ReadOnlyConfig),
            _ => {}
        }
        Ok(Action::Nothing)
    }

    fn kick(&mut self, index: u32, has_fd: bool) -> Result<Action, SessionError> {
        let number = self.index(index)?;
        if !has_fd {
            return Err(SessionError::Polling { index });
        }
        // Without protocol features there is no message that enables rings.
        let by_itself = self.features & PROTOCOL_FEATURES == 0;
        let ring = &mut self.rings[usize::from(number)];
        if ring.is_running {
            return Ok(Action::Kick(number));
        }
        let (Some(size), Some(addresses)) = (ring.size, ring.addresses) else {
            return Err(SessionError::NotSetUp { index }); // SESSION-2
        };
        ring.is_running = true;
        let setup = RingSetup {
            size,
            addresses,
            next_available: ring.next_available,
            is_enabled: ring.enabled.unwrap_or(by_itself),
        };
        Ok(Action::Start(number, setup))
    }

    fn accept(&self, bits: u64, offered: u64) -> Result<(), SessionError> {
        match bits & !offered {
            0 => Ok(()),
            bits => Err(SessionError::NotOffered { bits }), // SESSION-1
        }
    }

    fn is_running(&self) -> bool {
        self.rings.iter().any(|ring| ring.is_running)
    }

    fn index(&self, index: u32) -> Result<u16, SessionError> {
        let queues = self.offer.queues;
        let number = u16::try_from(index).ok();
        let number = number.filter(|number| *number < queues);
        number.ok_or(SessionError::NoSuchRing { index, queues })
    }

    /// A ring that may be changed (SESSION-2).
    fn resting(&mut self, index: u32, code: Code) -> Result<&mut Ring, SessionError> {
        let index = self.index(index)?;
        let ring = &mut self.rings[usize::from(index)];
        match ring.is_running {
            true => Err(SessionError::Running { code }),
            false => Ok(ring),
        }
    }

    fn check_inflight(&self, facts: &InflightFacts) -> Result<(), SessionError> {
        let (queues, queue_size) = (facts.queues, facts.queue_size);
        if self.is_running() {
            let code = Code::SetInflightFd;
            return Err(SessionError::Running { code });
        }
        let is_good = (1..=self.offer.queues).contains(&queues)
            && Layout::check_size(queue_size.into()).is_ok();
        is_good
            .then_some(())
            .ok_or(SessionError::Inflight { queues, queue_size })
    }

    fn check_negotiated(&self, code: Code) -> Result<(), SessionError> {
        let needed = match code {
            Code::GetConfig | Code::SetConfig => CONFIG,
            Code::GetInflightFd | Code::SetInflightFd => INFLIGHT_SHMFD,
            Code::GetMaxMemSlots | Code::AddMemReg | Code::RemMemReg => CONFIGURE_MEM_SLOTS,
            Code::GetQueueNum => MQ,
            Code::SetBackendFd => BACKEND_REQ,
            Code::ResetDevice => RESET_DEVICE,
            _ => 0,
        };
        match self.protocol & needed == needed {
            true => Ok(()),
            false => Err(SessionError::NotNegotiated { code }), // SESSION-1
        }
    }
}
