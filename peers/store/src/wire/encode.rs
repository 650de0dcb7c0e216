//! From a call to the words of a request.

use xseg::{OpCode, flags};

use super::call::Call;
use super::head::Head;
use super::op::{EXTEND, GROUPS, HEAL};
use crate::contract::Scope;
use crate::name::ObjectName;

impl Head {
    fn named(op: OpCode, name: &ObjectName) -> Self {
        let mut head = Self::new(op);
        head.target = name.as_bytes().to_vec();
        head
    }

    fn with_scope(mut self, scope: Scope) -> Self {
        self.handle = scope.0;
        self
    }

    fn with_extent(mut self, offset: u64, length: u64) -> Self {
        (self.offset, self.length) = (offset, length);
        self
    }

    fn with_flag(mut self, flag: u32, is_set: bool) -> Self {
        self.flags |= if is_set { flag } else { 0 };
        self
    }

    fn with_arg(mut self, arg: u64) -> Self {
        self.args[0] = arg;
        self
    }
}

impl Call {
    /// The words that ask for it. The payload, if there is one, is the caller's to attach.
    pub fn head(&self) -> Head {
        match self {
            Self::Read { name, offset, len } => {
                Head::named(OpCode::READ, name).with_extent(*offset, *len)
            }
            Self::Write {
                scope,
                name,
                offset,
                len,
                durable,
            } => Head::named(OpCode::WRITE, name)
                .with_scope(*scope)
                .with_extent(*offset, *len)
                .with_flag(flags::FUA, *durable),
            Self::WriteFull { name, len } => {
                Head::named(OpCode::WRITE_FULL, name).with_extent(0, *len)
            }
            Self::CreateExclusive { name, len } => {
                Head::named(OpCode::CREATE_EXCLUSIVE, name).with_extent(0, *len)
            }
            Self::Zero {
                scope,
                name,
                offset,
                len,
            } => Head::named(OpCode::WRITE_ZEROES, name)
                .with_scope(*scope)
                .with_extent(*offset, *len),
            Self::Punch {
                scope,
                name,
                offset,
                len,
            } => Head::named(OpCode::DISCARD, name)
                .with_scope(*scope)
                .with_extent(*offset, *len),
            other => other.head_without_range(),
        }
    }

    fn head_without_range(&self) -> Head {
        match self {
            Self::Extend {
                scope,
                name,
                size,
                reserve,
            } => Head::named(EXTEND, name)
                .with_scope(*scope)
                .with_extent(0, *size)
                .with_arg(u64::from(*reserve)),
            Self::Copy {
                scope,
                from,
                to,
                len,
            } => {
                let head = Head::named(OpCode::COPY, to).with_scope(*scope);
                let second = from.as_bytes().to_vec();
                Head { second, ..head }.with_extent(0, *len)
            }
            Self::List { group, after, max } => {
                let after = after.as_ref().map(ObjectName::as_bytes);
                Head {
                    target: group.clone(),
                    second: after.unwrap_or_default().to_vec(),
                    ..Head::new(OpCode::LIST)
                }
                .with_arg(*max)
            }
            Self::Groups { after } => Head {
                target: after.clone().unwrap_or_default(),
                ..Head::new(GROUPS)
            }
            .with_arg(u64::from(after.is_some())),
            Self::Lock { name, since, wait } => Head::named(OpCode::ACQUIRE, name)
                .with_flag(flags::NOWAIT, !*wait)
                .with_arg(*since),
            Self::Unlock { name, force } => {
                Head::named(OpCode::RELEASE, name).with_flag(flags::FORCE, *force)
            }
            Self::Sync { scope } => Head::new(OpCode::SYNC).with_scope(*scope),
            Self::Heal { scope } => Head::new(HEAL).with_scope(*scope),
            Self::Hash { name } => Head::named(OpCode::HASH, name),
            Self::LockOwner { name } => Head::named(OpCode::LOCK_OWNER, name),
            Self::Stat { name } => Head::named(OpCode::INFO, name),
            Self::Delete { name } => Head::named(OpCode::DELETE, name),
            ranged => unreachable!("{ranged:?} has a range, which was looked at before"),
        }
    }
}
