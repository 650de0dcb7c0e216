//! One front end, from its first message to its last.

use std::rc::Rc;

use archipelago_front::Disk;

use super::device::{Device, Outcome};
use super::error::ConnectionError;
use super::link::{Link, Received};
use super::ring::Shared;
use crate::message::{Code, Message, Reply, RingState};
use crate::session::{Answer, Offer, Session};

/// A connection at work.
#[derive(Debug)]
pub struct Connection<D> {
    link: Link,
    session: Session,
    device: Device<D>,
}

impl<D: Disk> Connection<D> {
    pub fn new(shared: &Rc<Shared<D>>, offer: Offer, link: Link) -> Self {
        Self {
            link,
            session: Session::new(offer),
            device: Device::new(shared, offer.config.queues),
        }
    }

    /// Until the front end leaves, or makes no sense. Nothing is in flight afterwards (VHOST-1).
    pub async fn serve(mut self) -> Result<(), ConnectionError> {
        let result = self.answer_all().await;
        self.device.stop_all().await;
        result
    }

    async fn answer_all(&mut self) -> Result<(), ConnectionError> {
        while let Some(received) = self.link.receive().await? {
            self.answer(received).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, received: Received) -> Result<(), ConnectionError> {
        let Received {
            header,
            payload,
            fds,
        } = received;
        let message = Message::parse(header.number, &payload, fds.len())?;
        let code = message.code();
        let is_awaited = header.needs_reply && self.session.acknowledges();
        let done = self.perform(&message, fds).await;
        let (answer, outcome) = match done {
            Ok(done) => done,
            // Whoever waits is told, and may go on; whoever does not would go on in ignorance.
            Err(error) if is_awaited && !has_answer(code) => {
                tracing::warn!(?code, %error, "a front end's message is refused");
                return self.reply(code, &Reply::REFUSAL).await;
            }
            Err(error) => return Err(error),
        };
        match (answer, outcome) {
            (Answer::Now(reply), _) => self.reply(code, &reply).await,
            (Answer::Result, Outcome::Stopped(index, at)) => {
                let value = at.unwrap_or_else(|| self.session.base(index));
                self.session.stopped_at(index, value);
                let (index, value) = (index.into(), value.into());
                self.reply(code, &Reply::Ring(RingState { index, value }))
                    .await
            }
            (Answer::Result, Outcome::Inflight(facts, fd)) => {
                let bytes = Reply::Inflight(facts).to_bytes(code);
                self.link.send(&bytes, Some(&fd)).await
            }
            (Answer::Acknowledgement, _) if is_awaited => self.reply(code, &Reply::ACK).await,
            _ => Ok(()),
        }
    }

    async fn perform(
        &mut self,
        message: &Message,
        fds: Vec<std::os::fd::OwnedFd>,
    ) -> Result<(Answer, Outcome), ConnectionError> {
        let step = self.session.step(message)?;
        let features = self.session.features();
        let outcome = self.device.apply(step.action, features, fds).await?;
        Ok((step.answer, outcome))
    }

    async fn reply(&self, code: Code, reply: &Reply) -> Result<(), ConnectionError> {
        self.link.send(&reply.to_bytes(code), None).await
    }
}

/// Is it answered by more than an acknowledgement?
fn has_answer(code: Code) -> bool {
    matches!(
        code,
        Code::GetFeatures
            | Code::GetProtocolFeatures
            | Code::GetQueueNum
            | Code::GetVringBase
            | Code::GetConfig
            | Code::GetInflightFd
            | Code::GetMaxMemSlots
    )
}
