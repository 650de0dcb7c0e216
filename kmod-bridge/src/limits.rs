//! Bounds, with the reasons for their size.

/// The longest string that the protocol allows: a name, a description, a message.
pub const STRING_BYTES_MAX: usize = 4096;

/// The longest option whose payload is looked at: two strings, and some room for lists. Longer ones are refused.
pub const OPTION_BYTES_MAX: usize = 16 << 10;

/// The longest option whose payload is skipped so that the handshake may go on. Longer ones end the connection: who
/// announces them is no client.
pub const OPTION_SKIPPED_BYTES_MAX: u32 = 1 << 20;

/// The longest payload of a refused command that is skipped so that the connection stays in step: what a compact header
/// can announce. Only an extended header can say more.
pub const PAYLOAD_SKIPPED_BYTES_MAX: u64 = u32::MAX as u64;

/// The payload of one read or write: what clients take for granted where a server says nothing.
pub const PAYLOAD_BYTES_MAX: u32 = 32 << 20;

/// The block size at which requests are handled best: a page, and what the sub-blocks of maps are multiples of.
pub const BLOCK_BYTES_PREFERRED: u32 = 4 << 10;

/// Runs in what one context answers: 64 KiB of it, or 128 KiB with extended headers. Clients ask again for the rest.
pub const DESCRIPTORS_MAX: usize = 8 << 10;

/// One of them with extended headers.
pub const DESCRIPTOR_BYTES_MAX: usize = 16;

/// Metadata contexts that one connection may select. A status asks the export once for each.
pub const CONTEXTS_MAX: usize = 8;

/// The payload of a block status that names contexts: a length, and the contexts' numbers.
pub const STATUS_PAYLOAD_BYTES_MAX: usize = 8 + 4 * CONTEXTS_MAX;

/// What is received at once where requests are expected: many headers, or the beginning of a write. More of a payload than
/// this is never copied (W1).
pub const RECEIVE_BYTES: usize = 16 << 10;

/// The longest payload of an answer that is copied, to leave in one system call with others (W1).
pub const COPIED_BYTES_MAX: usize = 16 << 10;

/// So many bytes of zeroes that take their space are asked for at a time.
pub const ZEROED_AT_ONCE: u64 = 32 << 20;

/// How many bytes of answers are gathered before they are sent.
pub const BATCH_BYTES: usize = 128 << 10;
