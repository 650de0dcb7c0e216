//! Many requests at a time: sends as long as there is room, and takes the answers.

use anyhow::Result;
use xseg::{Draft, PortId, Reply, RequestError};

use crate::client::{Arrival, Client, is_exhausted};

/// What a load is made of.
pub trait Work {
    /// Writes the next request. `None` when there is no more to do.
    fn next(&mut self, client: &Client) -> Result<Option<Draft>, RequestError>;
    /// An answer came.
    fn answered(&mut self, reply: &Reply) -> Result<()>;
    /// The request with this cookie was given up.
    fn expired(&mut self, cookie: u64);
}

/// Sends all of `work` to a port, with at most `concurrency` requests under way, until it is done.
pub fn run(client: &Client, to: PortId, concurrency: u32, work: &mut impl Work) -> Result<()> {
    let mut in_flight = 0;
    loop {
        let burst = client.port().burst();
        while in_flight < concurrency {
            match work.next(client) {
                Ok(Some(draft)) => {
                    draft.send(to)?;
                    in_flight += 1;
                }
                Ok(None) => break,
                // As many as the segment has room for: answers make room.
                Err(error) if in_flight > 0 && is_exhausted(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        drop(burst);
        if in_flight == 0 {
            return Ok(());
        }
        match client.next()? {
            Some(Arrival::Reply(reply)) => work.answered(&reply)?,
            Some(Arrival::Expired { cookie }) => work.expired(cookie),
            None => return Ok(()),
        }
        in_flight -= 1;
    }
}
