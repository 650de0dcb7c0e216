//! Operations of stores beyond those that all peers have.

use xseg::OpCode;

/// Make an object longer.
pub const EXTEND: OpCode = OpCode(200);
/// Believe a scope again (STORE-5).
pub const HEAL: OpCode = OpCode(201);
/// Which groups there are.
pub const GROUPS: OpCode = OpCode(202);
