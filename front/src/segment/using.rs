//! A connection's use of a volume: OPEN, which stays with the composer as long as the connection lasts.
//!
//! # Invariants
//! * **USING-1** OPEN is on its way before the composer is asked what the volume is: so a volume that was found is in use.
//! * **USING-2** A composer that leaves is followed by one that has our OPEN; nobody has to remember us (USE-1).
//! * **USING-3** The use ends when the export is dropped, and so after the connection's last request (S7).

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use archipelago_runtime::local::{Receiver, Sender, oneshot};
use archipelago_runtime::{Handle, Station};
use rustix::rand::{GetRandomFlags, getrandom};
use xseg::{Draft, Errno, OpCode, PortId};

use super::disk::Volume;

/// Until a composer is asked again that has refused.
const PAUSE: Duration = Duration::from_secs(1);
/// A composer that was told of the end answers OPEN within this time, or is told again.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);

/// Dropped, the use ends.
#[derive(Debug)]
pub(super) struct Using {
    _ends: Sender<()>,
}

/// Whom to tell what.
struct Teller {
    handle: Handle,
    station: Rc<Station>,
    composer: PortId,
    volume: Volume,
    number: u64,
}

/// How one OPEN ended.
enum End {
    /// The export was dropped.
    Dropped,
    Refused(Errno),
    /// The composer leaves: the next one is asked.
    Left,
}

impl Using {
    /// Gives it when OPEN is on its way (USING-1).
    pub async fn begin(
        handle: &Handle,
        station: &Rc<Station>,
        composer: PortId,
        volume: &Volume,
    ) -> Result<Self, Errno> {
        let mut number = [0; 8];
        getrandom(&mut number, GetRandomFlags::empty())?;
        let teller = Teller {
            handle: handle.clone(),
            station: station.clone(),
            composer,
            volume: volume.clone(),
            number: u64::from_ne_bytes(number),
        };
        let (ends, dropped) = oneshot();
        let (sent, is_sent) = oneshot();
        let _goes_on = handle.spawn(async move { teller.tell(sent, dropped).await });
        is_sent.await.map_err(|_| Errno::SHUTDOWN)??;
        Ok(Self { _ends: ends })
    }
}

impl Teller {
    async fn tell(&self, sent: Sender<Result<(), Errno>>, mut dropped: Receiver<()>) {
        let mut sent = Some(sent);
        loop {
            let end = self.open(&mut sent, &mut dropped).await;
            match end {
                Ok(End::Dropped) => return,
                Ok(End::Left) => continue,
                Ok(End::Refused(errno)) => {
                    tracing::debug!(volume = ?self.volume, %errno, "the composer does not count us");
                }
                Err(errno) => {
                    if let Some(sent) = sent.take() {
                        let _ = sent.send(Err(errno)); // nobody waits for it any more
                        return;
                    }
                    tracing::debug!(volume = ?self.volume, %errno, "the composer is not asked");
                }
            }
            if self.handle.timeout(PAUSE, &mut dropped).await.is_ok() {
                return;
            }
        }
    }

    async fn open(
        &self,
        sent: &mut Option<Sender<Result<(), Errno>>>,
        dropped: &mut Receiver<()>,
    ) -> Result<End, Errno> {
        let draft = self.draft(OpCode::OPEN).await?;
        let call = self.station.begin_call(draft, self.composer);
        let mut call = pin!(call.map_err(|error| error.errno())?);
        if let Some(sent) = sent.take() {
            let _ = sent.send(Ok(())); // whoever does not wait has dropped the other end, too
        }
        let mut dropped = pin!(dropped);
        let reply = std::future::poll_fn(|context| {
            if let Poll::Ready(reply) = call.as_mut().poll(context) {
                return Poll::Ready(Some(reply));
            }
            dropped.as_mut().poll(context).map(|_| None)
        });
        if let Some(reply) = reply.await {
            return Ok(match reply.map_err(|error| error.errno())?.result() {
                Ok(_) | Err(Errno::SHUTDOWN) => End::Left,
                Err(errno) => End::Refused(errno),
            });
        }
        loop {
            let draft = self.draft(OpCode::CLOSE).await?;
            let told = self.station.call(draft, self.composer).await;
            told.map_err(|error| error.errno())?;
            let answered = self.handle.timeout(ANSWER_WITHIN, call.as_mut());
            if answered.await.is_ok() {
                return Ok(End::Dropped);
            }
        }
    }

    async fn draft(&self, op: OpCode) -> Result<Draft, Errno> {
        let mut draft = self
            .station
            .draft(op)
            .await
            .map_err(|error| error.errno())?;
        self.volume.name(&mut draft)?;
        draft.set_handle(self.number);
        Ok(draft)
    }
}
