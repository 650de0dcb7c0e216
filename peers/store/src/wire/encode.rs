//! From a call to the words of a request: one question for each word.

use xseg::{OpCode, flags};

use super::call::Call;
use super::head::Head;
use super::op::{EXTEND, GROUPS, HEAL};
use crate::name::ObjectName;

impl Call {
    /// The words that ask for it. The payload, if there is one, is the caller's to attach.
    pub fn head(&self) -> Head {
        let (offset, length) = self.extent();
        Head {
            flags: self.flags(),
            target: self.target().to_vec(),
            second: self.second().to_vec(),
            handle: self.handle(),
            offset,
            length,
            args: [self.argument(), 0, 0, 0],
            ..Head::new(self.op())
        }
    }

    fn op(&self) -> OpCode {
        match self {
            Self::Read { .. } => OpCode::READ,
            Self::Write { .. } => OpCode::WRITE,
            Self::WriteFull { .. } => OpCode::WRITE_FULL,
            Self::CreateExclusive { .. } => OpCode::CREATE_EXCLUSIVE,
            Self::Extend { .. } => EXTEND,
            Self::Copy { .. } => OpCode::COPY,
            Self::Delete { .. } => OpCode::DELETE,
            Self::Zero { .. } => OpCode::WRITE_ZEROES,
            Self::Punch { .. } => OpCode::DISCARD,
            Self::Stat { .. } | Self::DataIn { .. } => OpCode::INFO,
            Self::List { .. } => OpCode::LIST,
            Self::Groups { .. } => GROUPS,
            Self::Hash { .. } => OpCode::HASH,
            Self::Sync { .. } => OpCode::SYNC,
            Self::Heal { .. } => HEAL,
            Self::Lock { .. } => OpCode::ACQUIRE,
            Self::Unlock { .. }
            | Self::ForgetLock { .. }
            | Self::BreakLock { .. }
            | Self::FenceLock { .. } => OpCode::RELEASE,
            Self::LockOwner { .. } | Self::OwnerLife { .. } => OpCode::LOCK_OWNER,
        }
    }

    fn target(&self) -> &[u8] {
        match self {
            Self::Read { name, .. }
            | Self::Write { name, .. }
            | Self::WriteFull { name, .. }
            | Self::CreateExclusive { name, .. }
            | Self::Extend { name, .. }
            | Self::Copy { to: name, .. }
            | Self::Delete { name }
            | Self::Zero { name, .. }
            | Self::Punch { name, .. }
            | Self::Stat { name }
            | Self::DataIn { name, .. }
            | Self::Hash { name }
            | Self::Lock { name, .. }
            | Self::Unlock { name, .. }
            | Self::ForgetLock { name }
            | Self::BreakLock { name }
            | Self::FenceLock { name }
            | Self::OwnerLife { name }
            | Self::LockOwner { name } => name.as_bytes(),
            Self::List { group, .. } => group,
            Self::Groups { after } => after.as_deref().unwrap_or_default(),
            Self::Sync { .. } | Self::Heal { .. } => &[],
        }
    }

    fn second(&self) -> &[u8] {
        match self {
            Self::Copy { from, .. } => from.as_bytes(),
            Self::List { after, .. } => after.as_ref().map_or(&[], ObjectName::as_bytes),
            _ => &[],
        }
    }

    fn handle(&self) -> u64 {
        match self {
            Self::Write { scope, .. }
            | Self::Extend { scope, .. }
            | Self::Copy { scope, .. }
            | Self::Zero { scope, .. }
            | Self::Punch { scope, .. }
            | Self::Sync { scope }
            | Self::Heal { scope } => scope.0,
            _ => 0,
        }
    }

    fn extent(&self) -> (u64, u64) {
        match self {
            Self::Read { offset, len, .. }
            | Self::Write { offset, len, .. }
            | Self::Zero { offset, len, .. }
            | Self::Punch { offset, len, .. }
            | Self::DataIn { offset, len, .. } => (*offset, *len),
            Self::WriteFull { len, .. }
            | Self::CreateExclusive { len, .. }
            | Self::Extend { size: len, .. }
            | Self::Copy { len, .. } => (0, *len),
            _ => (0, 0),
        }
    }

    fn flags(&self) -> u32 {
        let (flag, is_set) = match self {
            Self::Write { durable, .. } => (flags::FUA, *durable),
            Self::Lock { wait, .. } => (flags::NOWAIT, !*wait),
            Self::Unlock { force, .. } => (flags::FORCE, *force),
            _ => (0, false),
        };
        if is_set { flag } else { 0 }
    }

    fn argument(&self) -> u64 {
        match self {
            Self::Extend { reserve, .. } => u64::from(*reserve),
            Self::List { max, .. } => *max,
            Self::Groups { after } => u64::from(after.is_some()),
            Self::Lock { since, .. } => *since,
            Self::DataIn { .. } | Self::ForgetLock { .. } | Self::OwnerLife { .. } => 1,
            Self::BreakLock { .. } => 2,
            Self::FenceLock { .. } => 3,
            _ => 0,
        }
    }
}
