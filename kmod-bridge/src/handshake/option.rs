//! The payloads of options, taken apart.

use super::context::ContextKind;
use crate::limits::{CONTEXTS_MAX, STRING_BYTES_MAX};
use crate::wire::{Fields, InfoCode, TooShort};

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

    /// The contexts that the client names in full, each once, in its order. Those beyond our patience are not selected, as
    /// a server may.
    pub fn named(&self) -> Vec<ContextKind> {
        let mut named = Vec::new();
        for query in &self.queries {
            if let Some(kind) = ContextKind::by_name(query)
                && !named.contains(&kind)
                && named.len() < CONTEXTS_MAX
            {
                named.push(kind);
            }
        }
        named
    }

    /// The contexts that the client would like to see listed: by name, by namespace, or by asking for nothing in
    /// particular. Snapshots are listed only by name: there may be any number of them.
    pub fn listed(&self) -> Vec<ContextKind> {
        let mut listed = self.named();
        let is_wild = self.queries.is_empty() || self.queries.iter().any(|query| query == b"base:");
        if is_wild && !listed.contains(&ContextKind::Allocation) {
            listed.insert(0, ContextKind::Allocation);
        }
        listed
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
