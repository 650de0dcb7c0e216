//! The operation table: what each operation is called, how it travels, and what a successor does with one that its
//! predecessor held when it died.

/// The code of an operation. Any 16-bit code can travel; [`OpCode::info`] knows those of this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpCode(pub u16);

/// What the next incarnation does with a request that the dead one held (S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// Doing it twice is the same as doing it once.
    Again,
    /// Done again, where "it does not exist (any more)" counts as success.
    GoneIsFine,
    /// The operation id is recorded with the change: look there first, and answer from it.
    ByOperationId,
    /// A notice: stale by now.
    Drop,
}

/// The histogram that an operation's latency goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Read = 0,
    Write = 1,
    Zero = 2,
    Flush = 3,
    Map = 4,
    Lock = 5,
    Manage = 6,
    Other = 7,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    pub code: OpCode,
    pub name: &'static str,
    pub group: Group,
    pub redo: Redo,
    /// Travels in the lane that is always taken.
    pub is_notice: bool,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $constant:ident = $code:literal, $name:literal, $group:ident, $redo:ident, $notice:literal;)*) => {
        impl OpCode {
            $($(#[$doc])* pub const $constant: OpCode = OpCode($code);)*
        }
        /// All known operations, by code.
        pub const OPERATIONS: &[OpInfo] = &[$(OpInfo {
            code: OpCode($code),
            name: $name,
            group: Group::$group,
            redo: Redo::$redo,
            is_notice: $notice,
        }),*];
    };
}

operations! {
    /// Are you there? Answered by the library itself whenever the owner polls.
    PING = 0, "ping", Other, Drop, true;
    /// Give up the request named by the arguments (slot, serial).
    CANCEL = 1, "cancel", Other, Drop, true;
    /// Give a delegation back.
    RECALL = 2, "recall", Other, Again, true;
    /// The log level of the role behind a port: its first argument is 1 to change it, the second the level. The answer's first
    /// argument is the level that holds now.
    LOG_LEVEL = 3, "log-level", Other, Drop, true;
    READ = 16, "read", Read, Again, false;
    WRITE = 17, "write", Write, Again, false;
    WRITE_ZEROES = 18, "write-zeroes", Zero, Again, false;
    DISCARD = 19, "discard", Zero, Again, false;
    FLUSH = 20, "flush", Flush, Again, false;
    INFO = 24, "info", Other, Again, false;
    LIST = 25, "list", Other, Again, false;
    /// Create or replace a whole object at once.
    WRITE_FULL = 32, "write-full", Write, Again, false;
    /// Create an object that must not exist yet.
    CREATE_EXCLUSIVE = 33, "create-exclusive", Manage, ByOperationId, false;
    DELETE = 34, "delete", Manage, GoneIsFine, false;
    COPY = 35, "copy", Manage, Again, false;
    HASH = 36, "hash", Other, Again, false;
    SYNC = 37, "sync", Flush, Again, false;
    ACQUIRE = 40, "acquire", Lock, Again, false;
    RELEASE = 41, "release", Lock, Again, false;
    LOCK_OWNER = 42, "lock-owner", Lock, Again, false;
    MAP_READ = 48, "map-read", Map, Again, false;
    MAP_WRITE = 49, "map-write", Map, Again, false;
    MAP_COMMIT = 50, "map-commit", Map, ByOperationId, false;
    OPEN = 56, "open", Manage, Again, false;
    CLOSE = 57, "close", Manage, Again, false;
    CREATE = 58, "create", Manage, ByOperationId, false;
    CLONE = 59, "clone", Manage, ByOperationId, false;
    SNAPSHOT = 60, "snapshot", Manage, ByOperationId, false;
    REMOVE = 61, "remove", Manage, ByOperationId, false;
    RENAME = 62, "rename", Manage, ByOperationId, false;
    RESIZE = 63, "resize", Manage, ByOperationId, false;
    /// Whole sub-blocks become zero.
    MAP_DISCARD = 100, "map-discard", Zero, Again, false;
    LOCKS = 101, "locks", Lock, Again, false;
    CHILDREN = 102, "children", Other, Again, false;
    /// Of a volume, by its name.
    LOCK = 103, "lock", Lock, Again, false;
    UNLOCK = 104, "unlock", Lock, Again, false;
    /// A composer begins to use a volume.
    ATTACH = 105, "attach", Map, Again, false;
    DETACH = 106, "detach", Map, Again, false;
    /// A granted write was not done.
    MAP_GIVE_UP = 107, "map-give-up", Map, Again, false;
    /// Finds what nobody names.
    GC = 108, "gc", Other, Again, false;
    /// Makes an object longer.
    EXTEND = 200, "extend", Write, Again, false;
    /// A store that failed is believed again.
    HEAL = 201, "heal", Manage, Again, false;
    GROUPS = 202, "groups", Other, Again, false;
    /// Which ranges of a volume are stored.
    BLOCK_STATUS = 210, "block-status", Map, Again, false;
    /// Which ranges of a volume changed since a snapshot.
    CHANGED = 211, "changed", Map, Again, false;
    /// What a bridge is to serve: JSON.
    BRIDGE = 212, "bridge", Manage, Again, false;
}

impl OpCode {
    /// The table's row, if the table has one. A peer answers what it does not know with EOPNOTSUPP.
    pub fn info(self) -> Option<&'static OpInfo> {
        OPERATIONS.iter().find(|info| info.code == self)
    }

    /// The operation of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        OPERATIONS
            .iter()
            .find(|info| info.name == name)
            .map(|info| info.code)
    }

    pub(crate) fn group(self) -> Group {
        match self {
            Self::READ => Group::Read,
            Self::WRITE => Group::Write,
            other => other.info().map_or(Group::Other, |info| info.group),
        }
    }

    pub(crate) fn is_notice(self) -> bool {
        self.0 <= Self::LOG_LEVEL.0
    }
}

impl std::fmt::Display for OpCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.info() {
            Some(info) => f.write_str(info.name),
            None => write!(f, "operation {}", self.0),
        }
    }
}

/// Flags of a request: bits for the peers, carried as they are.
pub mod flags {
    /// The answer means durable.
    pub const FUA: u32 = 1 << 0;
    /// All that was answered before is made durable first.
    pub const FLUSH: u32 = 1 << 1;
    /// Break what others hold.
    pub const FORCE: u32 = 1 << 2;
    /// Fail rather than wait.
    pub const NOWAIT: u32 = 1 << 3;
    /// The bytes of a write are not in its buffer, but in memory that the asker lends to others of his process.
    pub const LENT: u32 = 1 << 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_notices_are_the_low_codes() {
        for (index, info) in OPERATIONS.iter().enumerate() {
            assert_eq!(info.code.is_notice(), info.is_notice, "{}", info.name);
            assert_eq!(info.code.group(), info.group, "{}", info.name);
            assert_eq!(OpCode::by_name(info.name), Some(info.code));
            for other in &OPERATIONS[index + 1..] {
                assert_ne!(info.code, other.code);
                assert_ne!(info.name, other.name);
            }
        }
    }
}
