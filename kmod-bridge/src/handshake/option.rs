//! The payloads of options, taken apart.

use crate::limits::STRING_BYTES_MAX;
use crate::wire::{BASE_ALLOCATION, Fields, InfoCode, TooShort};

/// What an export is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be told about it.
    Info,
    /// To use it.
    Go,
    /// To use it, asked in the oldest way, which knows no refusal.
    DiskName,
}

/// Why a payload makes no sense; the text goes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the option ends early: {0}")]
    Short(#[from] TooShort),
    #[error("the option has bytes after its end")]
    Long,
    #[error("a string of {len_bytes} bytes is longer than {STRING_BYTES_MAX}")]
    String { len_bytes: usize },
    #[error("this option has no payload")]
    NotEmpty,
}

/// INFO and GO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InfoRequest {
    pub name: Vec<u8>,
    pub wanted: Vec<InfoCode>,
}

/// LIST_META_CONTEXT and SET_META_CONTEXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MetaRequest {
    pub name: Vec<u8>,
    pub queries: Vec<Vec<u8>>,
}

fn string<'a>(fields: &mut Fields<'a>) -> Result<&'a [u8], Malformed> {
    let string = fields.string()?;
    if string.len() > STRING_BYTES_MAX {
        let len_bytes = string.len();
        return Err(Malformed::String { len_bytes });
    }
    Ok(string)
}

fn end(fields: Fields<'_>) -> Result<(), Malformed> {
    if fields.is_empty() {
        Ok(())
    } else {
        Err(Malformed::Long)
    }
}

impl InfoRequest {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of(payload);
        let name = string(&mut fields)?.to_vec();
        let count: u16 = fields.take()?;
        // Not reserved ahead: the count is only a claim (F71).
        let mut wanted = Vec::new();
        for _ in 0..count {
            wanted.push(InfoCode(fields.take()?));
        }
        end(fields)?;
        Ok(Self { name, wanted })
    }
}

impl MetaRequest {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of(payload);
        let name = string(&mut fields)?.to_vec();
        let count: u32 = fields.take()?;
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(string(&mut fields)?.to_vec());
        }
        end(fields)?;
        Ok(Self { name, queries })
    }

    /// Does the client want the one context that there is, by its full name?
    pub fn selects_allocation(&self) -> bool {
        self.queries
            .iter()
            .any(|query| query == BASE_ALLOCATION.as_bytes())
    }

    /// Would the client like to see it listed: by its name, by its namespace, or by asking for nothing in particular?
    pub fn lists_allocation(&self) -> bool {
        self.queries.is_empty()
            || self.selects_allocation()
            || self.queries.iter().any(|query| query == b"base:")
    }
}

/// Options that are only a word.
pub(super) fn expect_empty(payload: &[u8]) -> Result<(), Malformed> {
    if payload.is_empty() {
        Ok(())
    } else {
        Err(Malformed::NotEmpty)
    }
}
