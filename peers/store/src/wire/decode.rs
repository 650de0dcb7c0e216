//! From the words of a request to a call: all checks are here (WIRE-1).

use xseg::{OpCode, flags};

use super::call::Call;
use super::error::WireError;
use super::head::Head;
use super::op::{EXTEND, GROUPS, HEAL};
use crate::contract::Scope;
use crate::name::ObjectName;
use crate::range::range_end;

impl Head {
    fn name(&self) -> Result<ObjectName, WireError> {
        Ok(ObjectName::new(&self.target)?)
    }

    fn scope(&self) -> Scope {
        Scope(self.handle)
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn check_range(&self) -> Result<(), WireError> {
        let (offset, len) = (self.offset, self.length);
        range_end(offset, len).map_err(|_| WireError::Range { offset, len })?;
        Ok(())
    }

    /// The range is possible, and the payload has all its bytes.
    fn check_payload(&self) -> Result<(), WireError> {
        self.check_range()?;
        let (needed, given) = (self.length, self.payload_bytes);
        if needed > given {
            return Err(WireError::Payload { needed, given });
        }
        if self.has(flags::LENT) {
            return Err(WireError::Lent); // LOAN-2
        }
        Ok(())
    }

    /// What is asked.
    pub fn decode(&self) -> Result<Call, WireError> {
        match self.op {
            OpCode::READ | OpCode::WRITE | OpCode::WRITE_FULL | OpCode::CREATE_EXCLUSIVE => {
                self.check_payload()?;
                self.decode_transfer()
            }
            OpCode::WRITE_ZEROES | OpCode::DISCARD | EXTEND | OpCode::COPY => {
                self.check_range()?;
                self.decode_change()
            }
            _ => self.decode_other(),
        }
    }

    fn decode_transfer(&self) -> Result<Call, WireError> {
        let (name, offset, len) = (self.name()?, self.offset, self.length);
        Ok(match self.op {
            OpCode::READ => Call::Read { name, offset, len },
            OpCode::WRITE => Call::Write {
                scope: self.scope(),
                name,
                offset,
                len,
                durable: self.has(flags::FUA),
            },
            OpCode::WRITE_FULL => Call::WriteFull { name, len },
            _ => Call::CreateExclusive { name, len },
        })
    }

    fn decode_change(&self) -> Result<Call, WireError> {
        let (scope, name, offset, len) = (self.scope(), self.name()?, self.offset, self.length);
        Ok(match self.op {
            OpCode::WRITE_ZEROES => Call::Zero {
                scope,
                name,
                offset,
                len,
            },
            OpCode::DISCARD => Call::Punch {
                scope,
                name,
                offset,
                len,
            },
            OpCode::COPY => Call::Copy {
                scope,
                from: ObjectName::new(&self.second)?,
                to: name,
                len,
            },
            _ => Call::Extend {
                scope,
                name,
                size: len,
                reserve: self.args[0] != 0,
            },
        })
    }

    fn decode_other(&self) -> Result<Call, WireError> {
        let scope = self.scope();
        Ok(match self.op {
            OpCode::DELETE => Call::Delete { name: self.name()? },
            OpCode::INFO if self.args[0] != 0 => Call::DataIn {
                name: self.name()?,
                offset: self.offset,
                len: self.length,
            },
            OpCode::INFO => Call::Stat { name: self.name()? },
            OpCode::HASH => Call::Hash { name: self.name()? },
            OpCode::SYNC => Call::Sync { scope },
            HEAL => Call::Heal { scope },
            OpCode::ACQUIRE => Call::Lock {
                name: self.name()?,
                since: self.args[0],
                wait: !self.has(flags::NOWAIT),
            },
            OpCode::RELEASE if self.args[0] == 2 => Call::BreakLock { name: self.name()? },
            OpCode::RELEASE if self.args[0] == 3 => Call::FenceLock { name: self.name()? },
            OpCode::RELEASE if self.args[0] != 0 => Call::ForgetLock { name: self.name()? },
            OpCode::RELEASE => Call::Unlock {
                name: self.name()?,
                force: self.has(flags::FORCE),
            },
            OpCode::LOCK_OWNER if self.args[0] != 0 => Call::OwnerLife { name: self.name()? },
            OpCode::LOCK_OWNER => Call::LockOwner { name: self.name()? },
            OpCode::LIST => Call::List {
                group: self.group()?,
                after: self.after()?,
                max: self.args[0],
            },
            GROUPS => Call::Groups {
                after: (self.args[0] != 0).then(|| self.group()).transpose()?,
            },
            op => return Err(WireError::UnknownOperation { op }),
        })
    }

    /// A group is whatever a name can have before its last slash: also nothing.
    fn group(&self) -> Result<Vec<u8>, WireError> {
        let mut whole = self.target.clone();
        whole.push(b'/');
        ObjectName::new(&whole)?;
        Ok(self.target.clone())
    }

    fn after(&self) -> Result<Option<ObjectName>, WireError> {
        if self.second.is_empty() {
            return Ok(None);
        }
        Ok(Some(ObjectName::new(&self.second)?))
    }
}
