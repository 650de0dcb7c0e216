//! One front end, from its first message to its last.

use std::rc::Rc;

use archipelago_front::Disk;

use super::device::{Device, Outcome};
use super::elsewhere::JOBS_MAX;
use super::error::ConnectionError;
use super::foreign::Foreign;
use super::link::{Link, Received};
use super::shared::Shared;
use crate::message::{Code, Message, Reply, RingState};
use crate::session::{Answer, Offer, Session};

/// A connection at work.
#[derive(Debug)]
pub struct Connection<D: Disk> {
    link: Link,
    session: Session,
    device: Device<D>,
    shared: Rc<Shared<D>>,
    /// A refusal was logged.
    has_refused: bool,
}

impl<D: Disk> Connection<D> {
    pub fn new(shared: &Rc<Shared<D>>, link: Link) -> Self {
        let offer = Offer {
            features: shared.features,
            queues: shared.queues,
        };
        Self {
            link,
            session: Session::new(offer),
            device: Device::new(shared),
            shared: shared.clone(),
            has_refused: false,
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
            if self.shared.hold.is_cut() {
                break; // whatever it said before: it has its memory back (VHOST-6)
            }
            if self.shared.elsewhere.jobs() > JOBS_MAX {
                return Err(ConnectionError::Unclosed); // VHOST-8
            }
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
                self.note_refusal(code, &error);
                return self.reply(code, &Reply::REFUSAL).await;
            }
            // The ring's own error: it was told of by its descriptor (VHOST-3).
            Err(error @ ConnectionError::Ring(_)) => {
                self.note_refusal(code, &error);
                return Ok(());
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
            (Answer::Result, Outcome::Config(range)) => {
                self.reply(code, &Reply::Config(range)).await
            }
            (Answer::Acknowledgement, _) if is_awaited => self.reply(code, &Reply::ACK).await,
            _ => Ok(()),
        }
    }

    /// A front end that goes on and on does not fill the log (F99).
    fn note_refusal(&mut self, code: Code, error: &ConnectionError) {
        if std::mem::replace(&mut self.has_refused, true) {
            tracing::debug!(?code, %error, "another message of the front end is refused");
        } else {
            tracing::warn!(?code, %error, "a front end's message is refused");
        }
    }

    async fn perform(
        &mut self,
        message: &Message,
        fds: Vec<Foreign>,
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
