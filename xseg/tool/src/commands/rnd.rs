//! `rnd`: pseudo-random objects, whose names and contents can be made again to check them.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use xseg::{Draft, Errno, OpCode, Outcome, Reply, RequestError};

use crate::args::{Rnd, RndAct};
use crate::client::Client;
use crate::commands::ops::data_of;
use crate::context::{Context, port_of};
use crate::exit::Failure;
use crate::load::{self, Work};
use crate::pattern;

#[derive(Debug, Default, Serialize)]
struct Tally {
    kind: &'static str,
    submitted: u64,
    received: u64,
    failed: u64,
    mismatched: u64,
    timed_out: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            submitted,
            received,
            failed,
            mismatched,
            timed_out,
            ..
        } = self;
        write!(
            f,
            "submitted {submitted}, received {received}, failed {failed}, mismatched {mismatched}, timed out {timed_out}"
        )
    }
}

struct Objects<'a> {
    args: &'a Rnd,
    tally: Tally,
    first_error: Option<Errno>,
}

pub fn rnd(context: &mut Context, args: &Rnd) -> Result<()> {
    let segment = context.segment()?;
    let to = port_of(&segment, args.port)?;
    let client = Client::bind(&segment, "xseg rnd", context.timeout)?;
    let mut objects = Objects {
        args,
        tally: Tally {
            kind: "rnd",
            ..Tally::default()
        },
        first_error: None,
    };
    let outcome = load::run(&client, to, args.concurrency, &mut objects);
    let tally = &objects.tally;
    context.out.emit(tally)?;
    outcome?;
    if tally.mismatched > 0 {
        let (count, total) = (tally.mismatched, tally.received);
        return Err(Failure::Mismatched { count, total }.into());
    }
    match objects.first_error {
        None => Ok(()),
        Some(first) => Err(Failure::SomeFailed {
            failed: tally.failed + tally.timed_out,
            submitted: tally.submitted,
            first,
        }
        .into()),
    }
}

impl Work for Objects<'_> {
    fn next(&mut self, client: &Client) -> Result<Option<Draft>, RequestError> {
        let index = self.tally.submitted;
        if index >= self.args.loops {
            return Ok(None);
        }
        let len = self.args.object_bytes;
        let seed = self.args.seed;
        let op = match self.args.act {
            RndAct::Write => OpCode::WRITE,
            RndAct::Read => OpCode::READ,
            RndAct::Delete => OpCode::DELETE,
        };
        let mut draft = client.draft(op)?;
        draft.set_target(pattern::name(seed, index).as_bytes())?;
        draft.set_cookie(index);
        match self.args.act {
            RndAct::Write => {
                draft.set_extent(0, len);
                let bytes = pattern::contents(seed, index, len as usize);
                client.attach(&mut draft, &bytes, len)?;
            }
            RndAct::Read => {
                draft.set_extent(0, len);
                client.attach(&mut draft, &[], len)?;
            }
            RndAct::Delete => {}
        }
        self.tally.submitted += 1;
        Ok(Some(draft))
    }

    fn answered(&mut self, reply: &Reply) -> Result<()> {
        self.tally.received += 1;
        match reply.outcome() {
            Outcome::Done(done) => {
                if !self.is_as_expected(reply, done)? {
                    self.tally.mismatched += 1;
                }
            }
            Outcome::Failed(errno) => {
                self.tally.failed += 1;
                self.first_error.get_or_insert(errno);
            }
        }
        Ok(())
    }

    fn expired(&mut self, _cookie: u64) {
        self.tally.timed_out += 1;
        self.first_error.get_or_insert(Errno::TIMEDOUT);
    }
}

impl Objects<'_> {
    fn is_as_expected(&self, reply: &Reply, done: u64) -> Result<bool> {
        let len = self.args.object_bytes;
        Ok(match self.args.act {
            RndAct::Delete => true,
            RndAct::Write => done == len,
            RndAct::Read => {
                let expected = pattern::contents(self.args.seed, reply.cookie(), len as usize);
                done == len && data_of(reply, len)? == expected
            }
        })
    }
}
