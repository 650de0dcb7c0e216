//! Requests of bridges, one after the other.
//!
//! # Invariants
//! * **ASKER-1** What whoever asked for did not live to see done is not begun anew: no write comes back that another node has
//!   overwritten, when this one gets the lock again (L3, S7).

use archipelago_protocol::{BLOCK_STATUS, CHANGED};
use archipelago_runtime::Peer;
use xseg::{Errno, Incoming, OpCode};

use super::core::Composer;
use super::users::name_of;
use super::volume::{Told, Volume};
use super::write::MadeBy;
use super::zero::Ends;
use crate::error::ComposeError;

/// How often a volume is attached anew for one request.
const ATTACHES_MAX: u32 = 16;
/// The flag of INFO's answer.
const READ_ONLY: u64 = 1 << 0;

/// The answer to a request.
pub struct Answer {
    done: u64,
    args: Option<[u64; 4]>,
}

/// What was done, and what was known of the volume before.
pub struct Performed {
    pub done: Result<Answer, ComposeError>,
    pub told: Told,
}

impl Performed {
    /// It was not begun: it depends on nothing that the lease says.
    fn not_begun(error: ComposeError, told: Told) -> Self {
        Self {
            done: Err(error),
            told,
        }
    }
}

impl From<u64> for Answer {
    fn from(done: u64) -> Self {
        Self { done, args: None }
    }
}

fn is_known(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::READ
            | OpCode::WRITE
            | OpCode::WRITE_ZEROES
            | OpCode::DISCARD
            | OpCode::FLUSH
            | OpCode::INFO
            | BLOCK_STATUS
            | CHANGED
    )
}

/// Does it change what the volume holds?
pub fn is_change(op: OpCode) -> bool {
    matches!(op, OpCode::WRITE | OpCode::WRITE_ZEROES | OpCode::DISCARD)
}

impl Composer {
    pub async fn perform(&self, request: &Incoming) -> Performed {
        let op = request.request().op;
        let name = name_of(request);
        // Who begins to use a volume means what the name stands for now.
        let anew = op == OpCode::INFO;
        let mut told = Told::of(self.lease());
        let made_by = MadeBy::default();
        for tries in 0..ATTACHES_MAX {
            let visit = match self.visit(&name, anew).await {
                Ok(visit) => visit,
                Err(error) => return Performed::not_begun(error, told),
            };
            told = visit.volume.told();
            match self.perform_on(&visit.volume, request, &made_by).await {
                Err(ComposeError::NotAttached) => visit.volume.lose(),
                done => {
                    if done.is_ok() && is_change(op) && told.token == 0 {
                        visit.volume.ask_whose_lock(); // it has become ours meanwhile
                        told.token = made_by.token();
                    }
                    return Performed { done, told };
                }
            }
            self.pause(tries).await;
        }
        Performed::not_begun(ComposeError::NotAttached, told)
    }

    async fn perform_on(
        &self,
        volume: &Volume,
        request: &Incoming,
        made_by: &MadeBy,
    ) -> Result<Answer, ComposeError> {
        let done = match request.request().op {
            OpCode::READ => self.read(volume, request).await?,
            OpCode::WRITE => self.write(volume, request, made_by).await?,
            OpCode::WRITE_ZEROES => {
                let ends = Ends::BecomeZero;
                self.make_zero(volume, request, ends, made_by).await?
            }
            OpCode::DISCARD => {
                let ends = Ends::StayAsTheyAre;
                self.make_zero(volume, request, ends, made_by).await?
            }
            OpCode::FLUSH => self.ask_flush(volume).await.map(|()| 0)?,
            BLOCK_STATUS => self.block_status(volume, request).await?,
            CHANGED => self.changed(volume, request).await?,
            _ => return Ok(info(volume)), // INFO: nothing else comes here
        };
        Ok(done.into())
    }
}

fn info(volume: &Volume) -> Answer {
    let flags = if volume.is_read_only() { READ_ONLY } else { 0 };
    let args = [volume.size(), flags, volume.shape.grain_bytes(), 0];
    Answer {
        done: 0,
        args: Some(args),
    }
}

impl Peer for Composer {
    async fn handle(&self, mut request: Incoming) {
        match request.request().op {
            OpCode::OPEN => return self.open(request).await,
            OpCode::CLOSE => return self.close(request),
            op if !is_known(op) => return request.unsupported(),
            // ASKER-1: it may have been done already, and overwritten by another node since.
            op if is_change(op) && !request.has_asker() => return request.fail(Errno::CANCELED),
            _ => {}
        }
        match self.perform_under_lease(&request).await {
            Ok(answer) => {
                if let Some(args) = answer.args {
                    request.set_answer_args(args);
                }
                request.answer(answer.done);
            }
            Err(error) => {
                let said = request.request();
                tracing::debug!(
                    op = %said.op, target = ?request.target(), offset = said.offset, length = said.length, %error,
                    "a request failed"
                );
                request.fail(error.errno());
            }
        }
    }

    fn notice(&self, notice: Incoming) {
        match notice.request().op {
            OpCode::RECALL => self.recall(notice),
            OpCode::CANCEL => notice.answer(0), // what is under way ends by itself
            _ => notice.unsupported(),
        }
    }
}
