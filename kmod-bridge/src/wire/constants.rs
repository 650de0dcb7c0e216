//! The numbers of the protocol, by the names that its description gives them.

/// What marks the beginning of each kind of message.
pub mod magic {
    /// The first eight bytes of a connection: `NBDMAGIC`.
    pub const GREETING: u64 = u64::from_be_bytes(*b"NBDMAGIC");
    /// Before each option of the client, and the server's offer to take some: `IHAVEOPT`.
    pub const OPTION: u64 = u64::from_be_bytes(*b"IHAVEOPT");
    pub const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
    pub const REQUEST: u32 = 0x2560_9513;
    pub const REQUEST_EXTENDED: u32 = 0x21e4_1c71;
    pub const REPLY_SIMPLE: u32 = 0x6744_6698;
    pub const REPLY_STRUCTURED: u32 = 0x668e_33ef;
    pub const REPLY_EXTENDED: u32 = 0x6e8a_278c;
}

/// What the server offers in its greeting.
pub mod handshake_flags {
    pub const FIXED_NEWSTYLE: u16 = 1 << 0;
    pub const NO_ZEROES: u16 = 1 << 1;
}

/// What the client takes of it.
pub mod client_flags {
    pub const FIXED_NEWSTYLE: u32 = 1 << 0;
    pub const NO_ZEROES: u32 = 1 << 1;
    pub const KNOWN: u32 = FIXED_NEWSTYLE | NO_ZEROES;
}

/// What an export can do.
pub mod transmission_flags {
    pub const HAS_FLAGS: u16 = 1 << 0;
    pub const READ_ONLY: u16 = 1 << 1;
    pub const SEND_FLUSH: u16 = 1 << 2;
    pub const SEND_FUA: u16 = 1 << 3;
    pub const ROTATIONAL: u16 = 1 << 4;
    pub const SEND_TRIM: u16 = 1 << 5;
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    pub const SEND_DF: u16 = 1 << 7;
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
    pub const SEND_CACHE: u16 = 1 << 10;
    pub const SEND_FAST_ZERO: u16 = 1 << 11;
    /// A block status may name the contexts that it is about.
    pub const BLOCK_STATUS_PAYLOAD: u16 = 1 << 12;
}

/// What qualifies a command.
pub mod command_flags {
    pub const FUA: u16 = 1 << 0;
    pub const NO_HOLE: u16 = 1 << 1;
    pub const DF: u16 = 1 << 2;
    pub const REQ_ONE: u16 = 1 << 3;
    pub const FAST_ZERO: u16 = 1 << 4;
    pub const PAYLOAD_LEN: u16 = 1 << 5;
}

/// What `base:allocation` says of an extent.
pub mod block_state {
    pub const HOLE: u32 = 1 << 0;
    pub const ZERO: u32 = 1 << 1;
}

/// What `archipelago:changed-since:` says of an extent.
pub mod change_state {
    pub const CHANGED: u32 = 1 << 0;
}

/// The metadata context that every export has.
pub const BASE_ALLOCATION: &str = "base:allocation";

/// With the name of a snapshot behind it: the metadata context of what changed since then.
pub const CHANGED_SINCE: &str = "archipelago:changed-since:";

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $word:ty { $($constant:ident = $value:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $word);

        impl $name {
            $(pub const $constant: Self = Self($value);)*
        }
    };
}

codes! {
    /// What a client asks for during the handshake. Any number may come.
    OptionCode: u32 {
        EXPORT_NAME = 1;
        ABORT = 2;
        LIST = 3;
        STARTTLS = 5;
        INFO = 6;
        GO = 7;
        STRUCTURED_REPLY = 8;
        LIST_META_CONTEXT = 9;
        SET_META_CONTEXT = 10;
        EXTENDED_HEADERS = 11;
    }
}

const ERROR: u32 = 1 << 31;

codes! {
    /// What the server answers to an option.
    OptionReply: u32 {
        ACK = 1;
        SERVER = 2;
        INFO = 3;
        META_CONTEXT = 4;
        ERR_UNSUP = ERROR | 1;
        ERR_POLICY = ERROR | 2;
        ERR_INVALID = ERROR | 3;
        ERR_PLATFORM = ERROR | 4;
        ERR_TLS_REQD = ERROR | 5;
        ERR_UNKNOWN = ERROR | 6;
        ERR_SHUTDOWN = ERROR | 7;
        ERR_TOO_BIG = ERROR | 9;
        ERR_EXT_HEADER_REQD = ERROR | 10;
    }
}

codes! {
    /// What INFO and GO may ask for.
    InfoCode: u16 {
        EXPORT = 0;
        NAME = 1;
        DESCRIPTION = 2;
        BLOCK_SIZE = 3;
    }
}

codes! {
    /// What a client asks for during transmission. Any number may come.
    CommandCode: u16 {
        READ = 0;
        WRITE = 1;
        DISC = 2;
        FLUSH = 3;
        TRIM = 4;
        CACHE = 5;
        WRITE_ZEROES = 6;
        BLOCK_STATUS = 7;
    }
}
