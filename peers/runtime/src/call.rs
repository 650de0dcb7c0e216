//! A request that is away, and the future that waits for its answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use xseg::{Draft, PortId, Reply, Ticket};

use crate::error::CallError;
use crate::slab::Key;
use crate::station::Station;

/// What is known of a call. It lies in the station's slab: a call allocates nothing.
#[derive(Debug)]
pub(crate) enum CallState {
    Waiting(Option<Waker>),
    Answered(Reply),
    Expired,
}

/// A request that was sent. Await it for the answer; drop it to give the request up (CALL-3).
#[derive(Debug)]
#[must_use = "dropping a call gives it up"]
pub struct Call<'a> {
    station: &'a Station,
    key: Key,
    ticket: Ticket,
    to: PortId,
}

impl<'a> Call<'a> {
    pub(crate) fn begin(
        station: &'a Station,
        mut draft: Draft,
        to: PortId,
    ) -> Result<Self, CallError> {
        let key = station.calls.borrow_mut().insert(CallState::Waiting(None));
        draft.set_cookie(key.to_bits());
        match draft.send(to) {
            Ok(ticket) => Ok(Self {
                station,
                key,
                ticket,
                to,
            }),
            Err(error) => {
                station.calls.borrow_mut().remove(key);
                Err(error.into())
            }
        }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Names the request on all its way.
    pub fn serial(&self) -> u64 {
        self.ticket.serial()
    }
}

impl Future for Call<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut calls = self.station.calls.borrow_mut();
        match calls.get_mut(self.key) {
            Some(CallState::Waiting(Some(waker))) if waker.will_wake(context.waker()) => {
                return Poll::Pending;
            }
            Some(CallState::Waiting(waker)) => {
                *waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            _ => {}
        }
        Poll::Ready(match calls.remove(self.key) {
            Some(CallState::Answered(reply)) => Ok(reply),
            Some(_) => Err(CallError::Expired { to: self.to }),
            None => Err(CallError::Stopped),
        })
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let state = self.station.calls.borrow_mut().remove(self.key);
        if let Some(CallState::Waiting(_)) = state {
            self.station.port().abandon(self.ticket);
        }
    }
}
