//! Reads of objects that are away at the same time, each into its place in the request (W1).

use std::collections::VecDeque;

use archipelago_runtime::Call;
use archipelago_runtime::local::Permit;
use xseg::{Incoming, OpCode};

use super::core::Composer;
use super::objects::ObjectRange;
use super::volume::Volume;
use crate::error::ComposeError;

/// A read that is away.
struct Away<'a> {
    _permit: Permit<'a>,
    call: Call<'a>,
    range: ObjectRange,
}

/// A read that failed.
#[derive(Debug)]
pub struct ReadFailure {
    pub error: ComposeError,
    /// What was to be read, if it was that.
    pub range: Option<ObjectRange>,
}

impl From<ComposeError> for ReadFailure {
    fn from(error: ComposeError) -> Self {
        Self { error, range: None }
    }
}

/// So many reads at a time. Who has something away waits for nothing else: what it has is needed by others.
pub struct ReadWindow<'a> {
    composer: &'a Composer,
    volume: &'a Volume,
    request: &'a Incoming,
    away: VecDeque<Away<'a>>,
    failure: Option<ReadFailure>,
}

impl<'a> ReadWindow<'a> {
    pub fn new(composer: &'a Composer, volume: &'a Volume, request: &'a Incoming) -> Self {
        Self {
            composer,
            volume,
            request,
            away: VecDeque::new(),
            failure: None,
        }
    }

    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Begins a read into the request's data, from `from` on.
    pub async fn begin(&mut self, range: ObjectRange, from: u64) {
        let begun = self.try_begin(range, from).await;
        self.note(begun);
    }

    /// Remembers a failure, if it is the first.
    pub fn note(&mut self, done: Result<(), ComposeError>) {
        if let Err(error) = done {
            self.failure.get_or_insert(error.into());
        }
    }

    async fn try_begin(&mut self, range: ObjectRange, from: u64) -> Result<(), ComposeError> {
        let composer = self.composer;
        while self.away.len() >= composer.options.parts_max.max(1) {
            self.settle_first().await;
        }
        let permit = loop {
            match composer.blocker_permits.try_acquire(1) {
                Some(permit) => break permit,
                None if self.away.is_empty() => break composer.blocker_permits.acquire(1).await,
                None => self.settle_first().await,
            }
        };
        let mut draft = loop {
            match composer.station.try_draft(OpCode::READ) {
                Ok(draft) => break draft,
                Err(_) if self.away.is_empty() => {
                    break composer.station.draft(OpCode::READ).await?;
                }
                Err(_) => self.settle_first().await,
            }
        };
        range.put(self.volume, &mut draft)?;
        draft.view(self.request, from, range.len())?;
        let call = composer
            .station
            .begin_call(draft, composer.options.blocker)?;
        self.away.push_back(Away {
            _permit: permit,
            call,
            range,
        });
        Ok(())
    }

    async fn settle_first(&mut self) {
        let Some(first) = self.away.pop_front() else {
            return;
        };
        let Away {
            _permit,
            call,
            range,
        } = first;
        let read = match call.await {
            Ok(reply) => range.whole(&reply, "read"),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = read {
            self.failure.get_or_insert(ReadFailure {
                error,
                range: Some(range),
            });
        }
    }

    /// Waits for all that is away, failures or not.
    pub async fn end(mut self) -> Result<(), ReadFailure> {
        while !self.away.is_empty() {
            self.settle_first().await;
        }
        self.failure.map_or(Ok(()), Err)
    }
}
