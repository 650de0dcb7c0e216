//! Looking at a segment from outside: without asking any of its peers, and without changing anything but for the two
//! acts by hand, `ring` and `fail_request`.

use crate::delivery::{self, slots_where};
use crate::error::PortError;
use crate::geometry::{BUFFER_CLASSES, Slot};
use crate::layout::{LANES, LaneKind};
use crate::mapping::Mapping;
use crate::name::{Life, Name, Owner, PortId};
use crate::op::OpCode;
use crate::port::owner_of;
use crate::process::ProcessId;
use crate::records::Records;
use crate::segment::Segment;
use crate::stats::PortStats;
use crate::sync::Ordering;

/// A segment as a whole.
#[derive(Clone, Debug)]
pub struct SegmentReport {
    pub identity: [u64; 2],
    pub created_unix_ns: u64,
    pub size_bytes: u64,
    pub destroyed: bool,
    /// How many settlements there have been.
    pub deaths: u64,
    pub requests_free: u32,
    pub requests_owned: u32,
    pub requests_sent: u32,
    pub requests_held: u32,
    /// Owner words that no process of this code wrote.
    pub requests_damaged: u32,
    /// For each size, smallest first: how many buffers are free.
    pub buffers_free: [u32; BUFFER_CLASSES],
    pub ports: Vec<PortReport>,
}

/// One port.
#[derive(Clone, Debug)]
pub struct PortReport {
    pub port: PortId,
    pub is_static: bool,
    pub life: Life,
    pub process: ProcessId,
    /// Its gate lock is held: its owner lives, or its I/O has not ended.
    pub lock_held: bool,
    pub process_alive: bool,
    pub label: String,
    pub bound_unix_ns: u64,
    pub asleep: bool,
    /// Where requests for it go first.
    pub via: Option<PortId>,
    /// Requests under its names: at home, away, held.
    pub owned: u32,
    pub sent: u32,
    pub held: u32,
    pub buffers: u32,
    pub lanes: [LaneReport; 3],
    pub stats: PortStats,
}

/// One lane of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneReport {
    pub name: &'static str,
    /// Records that lie in it, oldest first. A live receiver may have taken some by the time you read this.
    pub records: Vec<u32>,
    /// Its links do not lead where they should.
    pub broken: bool,
}

/// One request.
#[derive(Clone, Debug)]
pub struct RecordReport {
    pub slot: u32,
    pub owner: Option<Owner>,
    pub owner_word: u64,
    pub serial: u64,
    pub op: OpCode,
    pub flags: u32,
    pub offset: u64,
    pub length: u64,
    pub target: String,
    pub snapshot: String,
    pub data_at: u64,
    pub data_len: u64,
    pub buffer: Option<u32>,
    pub done: u64,
    pub errno: u32,
    pub deadline_ns: u64,
    pub path: Vec<String>,
    pub stamps_ns: [u64; crate::layout::STAMPS],
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Its process is dead and its leftovers are not settled.
    DeadPort {
        port: PortId,
        pid: u32,
    },
    /// Its process is dead, its I/O has not ended.
    DrainingPort {
        port: PortId,
        pid: u32,
    },
    BrokenLane {
        port: PortId,
        lane: &'static str,
    },
    DamagedLife {
        port: PortId,
        word: u64,
    },
    DamagedOwner {
        slot: u32,
        word: u64,
    },
    DamagedBufferOwner {
        buffer: u32,
        word: u64,
    },
    /// Held by a dead incarnation: waits for its port's next one.
    WaitingRequest {
        slot: u32,
        port: PortId,
    },
    /// At home with a dead incarnation, or lying in the inbox of a port that nobody has.
    LostRequest {
        slot: u32,
        port: PortId,
    },
    LostBuffer {
        buffer: u32,
        port: PortId,
    },
}

impl Finding {
    /// Does settlement remove it?
    pub fn is_mended_by_settling(&self) -> bool {
        matches!(
            self,
            Self::DeadPort { .. } | Self::LostRequest { .. } | Self::LostBuffer { .. }
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DeadPort { port, pid } => {
                write!(f, "{port:?}: process {pid} is dead and not settled")
            }
            Self::DrainingPort { port, pid } => {
                write!(f, "{port:?}: process {pid} is dead, its I/O has not ended")
            }
            Self::BrokenLane { port, lane } => {
                write!(f, "{port:?}: the links of its {lane} lane are damaged")
            }
            Self::DamagedLife { port, word } => {
                write!(f, "{port:?}: its life word is damaged ({word:#018x})")
            }
            Self::DamagedOwner { slot, word } => write!(
                f,
                "request {slot}: its owner word is damaged ({word:#018x})"
            ),
            Self::DamagedBufferOwner { buffer, word } => write!(
                f,
                "buffer {buffer}: its owner word is damaged ({word:#018x})"
            ),
            Self::WaitingRequest { slot, port } => {
                write!(f, "request {slot} waits for the next owner of {port:?}")
            }
            Self::LostRequest { slot, port } => {
                write!(f, "request {slot} was left behind at {port:?}")
            }
            Self::LostBuffer { buffer, port } => {
                write!(f, "buffer {buffer} was left behind by {port:?}")
            }
        }
    }
}

impl Segment {
    /// The segment and all its ports that were ever used.
    pub fn report(&self) -> SegmentReport {
        let mapping = &self.shared().mapping;
        let header = mapping.header();
        let mut report = SegmentReport {
            identity: self.identity(),
            created_unix_ns: header.created_unix_ns.load(Ordering::Relaxed),
            size_bytes: self.geometry().size_bytes(),
            destroyed: self.is_destroyed(),
            deaths: header.deaths.load(Ordering::Relaxed),
            requests_free: 0,
            requests_owned: 0,
            requests_sent: 0,
            requests_held: 0,
            requests_damaged: 0,
            buffers_free: [0; BUFFER_CLASSES],
            ports: Vec::new(),
        };
        for slot in all_slots(mapping) {
            let word = mapping.request(slot).owner.load(Ordering::Relaxed);
            *match Owner::unpack(word) {
                Some(Owner::Free) => &mut report.requests_free,
                Some(Owner::Owned(_)) => &mut report.requests_owned,
                Some(Owner::Sent { .. }) => &mut report.requests_sent,
                Some(Owner::Held(_)) => &mut report.requests_held,
                None => &mut report.requests_damaged,
            } += 1;
        }
        for (class, free) in report.buffers_free.iter_mut().enumerate() {
            *free = self
                .geometry()
                .class_buffers(class)
                .filter(|index| buffer_word(mapping, *index) == Owner::FREE)
                .count() as u32;
        }
        let tally = Tally::of(mapping);
        report.ports = (0..self.geometry().ports())
            .filter_map(|number| self.geometry().port(number))
            .filter(|port| was_used(mapping, *port))
            .map(|port| self.port_report(port, &tally))
            .collect();
        report
    }

    /// One port.
    pub fn report_port(&self, number: u32) -> Result<PortReport, PortError> {
        let port = self.existing_port(number)?;
        Ok(self.port_report(port, &Tally::of(&self.shared().mapping)))
    }

    fn port_report(&self, port: PortId, tally: &Tally) -> PortReport {
        let mapping = &self.shared().mapping;
        let record = mapping.port(port);
        let process = owner_of(self.shared(), port);
        let mut label = Vec::new();
        for word in &record.label {
            label.extend(word.load(Ordering::Relaxed).to_ne_bytes());
        }
        let label = String::from_utf8_lossy(&label);
        let via = record.via.load(Ordering::Relaxed);
        let number = port.get() as usize;
        PortReport {
            port,
            is_static: self.geometry().is_static(port),
            life: delivery::life_of(mapping, port),
            process,
            lock_held: self.shared().gate.is_taken(port).unwrap_or(true),
            process_alive: process.is_alive(),
            label: label.trim_end_matches('\0').into(),
            bound_unix_ns: record.bound_unix_ns.load(Ordering::Relaxed),
            asleep: record.bell.load(Ordering::Relaxed) & 1 != 0,
            via: via
                .checked_sub(1)
                .and_then(|number| self.geometry().port(number)),
            owned: tally.owned[number],
            sent: tally.sent[number],
            held: tally.held[number],
            buffers: tally.buffers[number],
            lanes: LANES.map(|kind| lane_report(mapping, port, kind)),
            stats: mapping.stats(port).read(),
        }
    }

    /// The counters of every port that was ever used: cheap enough to call many times a second.
    pub fn stats(&self) -> Vec<(PortId, PortStats)> {
        let mapping = &self.shared().mapping;
        (0..self.geometry().ports())
            .filter_map(|number| self.geometry().port(number))
            .filter(|port| was_used(mapping, *port))
            .map(|port| (port, mapping.stats(port).read()))
            .collect()
    }

    /// The requests that concern a port: in its inbox, held by it, or sent by it.
    pub fn inspect(&self, number: u32) -> Result<Vec<RecordReport>, PortError> {
        let port = self.existing_port(number)?;
        let mapping = &self.shared().mapping;
        let concerns = |owner: Owner| match owner {
            Owner::Free => false,
            Owner::Owned(name) | Owner::Held(name) => name.port == port,
            Owner::Sent { by, to } => by.port == port || to == port,
        };
        Ok(slots_where(mapping, concerns)
            .filter(|(_, owner)| !matches!(owner, Owner::Owned(_)))
            .map(|(slot, _)| record_report(mapping, slot))
            .collect())
    }

    /// One request by its index.
    pub fn inspect_request(&self, index: u32) -> Option<RecordReport> {
        let slot = self.geometry().slot(index)?;
        Some(record_report(&self.shared().mapping, slot))
    }

    /// All that is not as it should be. Live peers move on while this looks, so a finding about a live port may be
    /// over already; findings about dead ones stay until they are settled.
    pub fn verify(&self) -> Vec<Finding> {
        let mapping = &self.shared().mapping;
        let mut findings = Vec::new();
        for number in 0..self.geometry().ports() {
            if let Some(port) = self.geometry().port(number) {
                self.verify_port(port, &mut findings);
            }
        }
        for slot in all_slots(mapping) {
            findings.extend(verify_request(mapping, slot));
        }
        for index in 0..self.geometry().buffers() {
            let word = buffer_word(mapping, index);
            match Owner::unpack(word).map(Owner::name) {
                None => findings.push(Finding::DamagedBufferOwner {
                    buffer: index,
                    word,
                }),
                Some(Some(name)) if delivery::is_gone(mapping, name) => {
                    findings.push(Finding::LostBuffer {
                        buffer: index,
                        port: name.port,
                    });
                }
                Some(_) => {}
            }
        }
        findings
    }

    fn verify_port(&self, port: PortId, findings: &mut Vec<Finding>) {
        let mapping = &self.shared().mapping;
        let word = mapping.port(port).life.load(Ordering::Relaxed);
        let Some(life) = Life::unpack(word) else {
            findings.push(Finding::DamagedLife { port, word });
            return;
        };
        if life.is_owned() {
            let process = owner_of(self.shared(), port);
            let pid = process.pid;
            if !self.shared().gate.is_taken(port).unwrap_or(true) {
                findings.push(Finding::DeadPort { port, pid });
            } else if !process.is_alive() {
                findings.push(Finding::DrainingPort { port, pid });
            }
        }
        for kind in LANES {
            let lane = lane_report(mapping, port, kind);
            if lane.broken {
                findings.push(Finding::BrokenLane {
                    port,
                    lane: lane.name,
                });
            }
        }
    }
}

/// By hand, for tools.
impl Segment {
    /// Ends the wait of a port's owner, or the next one. Tells whether he sleeps.
    pub fn ring(&self, number: u32) -> Result<bool, PortError> {
        let port = self.existing_port(number)?;
        Ok(delivery::ring_anyway(&self.shared().mapping, port))
    }

    /// Requests of a port, of whichever incarnation, that others still have (S7).
    pub fn away_from(&self, number: u32) -> Result<Vec<u32>, PortError> {
        let port = self.existing_port(number)?;
        let mapping = &self.shared().mapping;
        let is_elsewhere = |owner: Owner| match owner {
            Owner::Sent { to, .. } => to != port,
            Owner::Held(name) => name.port != port,
            Owner::Owned(_) | Owner::Free => false,
        };
        let requester = |slot: Slot| mapping.request(slot).path[0].load(Ordering::Relaxed);
        Ok(slots_where(mapping, is_elsewhere)
            .filter(|(slot, _)| Name::unpack(requester(*slot)).is_some_and(|n| n.port == port))
            .map(|(slot, _)| slot.get())
            .collect())
    }

    /// Fails one request that a dead incarnation of a static port holds, in its successor's place; the others wait
    /// on. `false` if no dead incarnation of a static port holds it.
    pub fn fail_request(&self, index: u32, errno: crate::Errno) -> Result<bool, PortError> {
        let Some(slot) = self.geometry().slot(index) else {
            return Ok(false);
        };
        let record = self.shared().mapping.request(slot);
        let owner = Owner::unpack(record.owner.load(Ordering::Acquire));
        let Some(Owner::Held(holder)) = owner else {
            return Ok(false);
        };
        let port = self.existing_port(holder.port.get())?;
        if !self.geometry().is_static(port) {
            return Ok(false); // settled as a whole: it has no successor
        }
        crate::settle::fail_held(self.shared(), slot, holder, errno)
    }
}

fn verify_request(mapping: &Mapping, slot: Slot) -> Option<Finding> {
    let word = mapping.request(slot).owner.load(Ordering::Relaxed);
    let slot = slot.get();
    let Some(owner) = Owner::unpack(word) else {
        return Some(Finding::DamagedOwner { slot, word });
    };
    let is_static = |port: PortId| mapping.geometry().is_static(port);
    match owner {
        Owner::Owned(name) if delivery::is_gone(mapping, name) => Some(Finding::LostRequest {
            slot,
            port: name.port,
        }),
        Owner::Held(name) if delivery::is_gone(mapping, name) => Some(if is_static(name.port) {
            Finding::WaitingRequest {
                slot,
                port: name.port,
            }
        } else {
            Finding::LostRequest {
                slot,
                port: name.port,
            }
        }),
        Owner::Sent { to, .. } if mapping.geometry().port(to.get()).is_none() => {
            Some(Finding::DamagedOwner { slot, word })
        }
        Owner::Sent { to, .. } if matches!(delivery::life_of(mapping, to), Life::Free { .. }) => {
            Some(Finding::LostRequest { slot, port: to })
        }
        _ => None,
    }
}

/// Counts by port, made in one pass over the tables.
struct Tally {
    owned: Vec<u32>,
    sent: Vec<u32>,
    held: Vec<u32>,
    buffers: Vec<u32>,
}

impl Tally {
    fn of(mapping: &Mapping) -> Self {
        let zeroes = || vec![0; mapping.geometry().ports() as usize];
        let mut tally = Self {
            owned: zeroes(),
            sent: zeroes(),
            held: zeroes(),
            buffers: zeroes(),
        };
        for (_, owner) in slots_where(mapping, |owner| owner != Owner::Free) {
            let (row, name) = match owner {
                Owner::Owned(name) => (&mut tally.owned, name),
                Owner::Sent { by, .. } => (&mut tally.sent, by),
                Owner::Held(name) => (&mut tally.held, name),
                Owner::Free => continue,
            };
            if let Some(count) = row.get_mut(name.port.get() as usize) {
                *count += 1;
            }
        }
        for index in 0..mapping.geometry().buffers() {
            let owner = Owner::unpack(buffer_word(mapping, index));
            if let Some(name) = owner.and_then(Owner::name)
                && let Some(count) = tally.buffers.get_mut(name.port.get() as usize)
            {
                *count += 1;
            }
        }
        tally
    }
}

fn all_slots(mapping: &Mapping) -> impl Iterator<Item = Slot> + '_ {
    (0..mapping.count()).filter_map(|index| mapping.geometry().slot(index))
}

fn buffer_word(mapping: &Mapping, index: u32) -> u64 {
    let buffer = mapping.geometry().buffer(index);
    buffer.map_or(Owner::FREE, |buffer| {
        mapping.buffer_owner(buffer).load(Ordering::Relaxed)
    })
}

fn was_used(mapping: &Mapping, port: PortId) -> bool {
    mapping.port(port).life.load(Ordering::Relaxed) != 0
}

/// Walks a lane as its receiver would, without claiming.
fn lane_report(mapping: &Mapping, port: PortId, kind: LaneKind) -> LaneReport {
    let name = match kind {
        LaneKind::Requests => "requests",
        LaneKind::Replies => "replies",
        LaneKind::Notices => "notices",
    };
    let lane = mapping.port(port).lane(kind);
    // Taken before head: a live receiver that moves on in between only makes the walk longer.
    let taken = lane.taken.load(Ordering::Acquire);
    let mut at = lane.head.load(Ordering::Acquire);
    let mut records = Vec::new();
    while at != taken {
        let slot = at as u32;
        if slot >= mapping.count() || records.len() >= mapping.count() as usize {
            // A live receiver reuses what we walk over; then `taken` has moved and the walk is merely stale.
            let broken = lane.taken.load(Ordering::Acquire) == taken;
            return LaneReport {
                name,
                records: Vec::new(),
                broken,
            };
        }
        let owner = Owner::unpack(mapping.owner(slot).load(Ordering::Relaxed));
        if !matches!(owner, Some(Owner::Sent { to, .. }) if to == port) {
            break; // claimed since
        }
        records.push(slot);
        at = mapping.next(slot).load(Ordering::Relaxed);
    }
    records.reverse();
    LaneReport {
        name,
        records,
        broken: false,
    }
}

fn record_report(mapping: &Mapping, slot: Slot) -> RecordReport {
    let record = mapping.request(slot);
    let word = |word: &crate::sync::AtomicU64| word.load(Ordering::Relaxed);
    let lens = record.name_lens.load(Ordering::Relaxed);
    let text = |words, len: u32| {
        let name = crate::port::read_name(words, len as usize);
        String::from_utf8_lossy(name.as_bytes()).into_owned()
    };
    let depth = (record.depth.load(Ordering::Relaxed) as usize).min(crate::layout::PATH_MAX);
    let path = record.path[..depth].iter().map(|entry| {
        let entry = word(entry);
        crate::name::Name::unpack(entry)
            .map_or_else(|| format!("{entry:#x}?"), |name| name.to_string())
    });
    RecordReport {
        slot: slot.get(),
        owner: Owner::unpack(word(&record.owner)),
        owner_word: word(&record.owner),
        serial: word(&record.serial),
        op: OpCode(record.op.load(Ordering::Relaxed) as u16),
        flags: record.flags.load(Ordering::Relaxed),
        offset: word(&record.offset),
        length: word(&record.length),
        target: text(&record.target, lens & 0xffff),
        snapshot: text(&record.snapshot, lens >> 16),
        data_at: word(&record.data_at),
        data_len: word(&record.data_len),
        buffer: record.buffer.load(Ordering::Relaxed).checked_sub(1),
        done: word(&record.done),
        errno: record.errno.load(Ordering::Relaxed),
        deadline_ns: word(&record.deadline_ns),
        path: path.collect(),
        stamps_ns: std::array::from_fn(|index| word(&record.stamps[index])),
    }
}
