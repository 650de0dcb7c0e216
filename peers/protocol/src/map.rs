//! What composers and mappers say to each other about maps.
//!
//! ```text
//! ATTACH      target = name, args[0] = composer's port,
//!             args[1] = the token by which it had the volume, or 0   answer: args = MapHead, payload = Attached
//! DETACH      target = volume id, args[0] = composer's port          answer: nothing
//! MAP_READ    target = volume id, args[0] = composer's port,
//!             extent = (first block, blocks)                         answer: args = MapHead, payload = runs, done = blocks
//! MAP_WRITE   target = volume id, args = GrantCall                   answer: args = GrantHead, payload = runs
//! MAP_COMMIT  target = volume id, args = CommitCall, extent = (block,
//!             first sub-block | count << 16), handle = stamp         answer: args = ChangedBy; refused (ESTALE): args[3] =
//!                                                                    by what to have the grant adopted, or 0
//! MAP_GIVE_UP target = volume id, args = CommitCall                  answer: nothing
//! MAP_DISCARD target = volume id, args[0] = composer's port,
//!             extent in bytes                                        answer: args = ChangedBy
//! FLUSH       target = volume id, args as of ATTACH                  answer: nothing
//! RECALL      target = volume id, args = Recall (a notice)           answer: EBUSY if a volume in use is not detached
//! ```
//!
//! A run says where consecutive sub-blocks of one block come from. What no run names is zero. MAP_READ answers as many
//! whole blocks as the buffer has room for. What it tells under the epoch 0 is not to be kept: ask again for each use. A run
//! is 40 bytes:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | the block |
//! | 8 | 2, 2 | the first sub-block, how many |
//! | 12 | 4 | 0: an object that a volume made; 1: content |
//! | 16 | 8, 16 | the stamp and the birth volume; of content the 24 bytes of its name |

use xseg::OpCode;

use crate::{CONTENT_ID_BYTES, ObjectSource};

/// Bytes of a run on the wire.
pub const RUN_BYTES: usize = 40;

/// The epoch of an answer that is true at this moment only: somebody else changes the map (L2). Others are above it.
pub const NOT_KEPT: u64 = 0;

/// Whole sub-blocks in the range become zero.
pub const MAP_DISCARD: OpCode = OpCode::MAP_DISCARD;
/// A composer begins to use a volume.
pub const ATTACH: OpCode = OpCode::ATTACH;
/// A composer has forgotten a volume.
pub const DETACH: OpCode = OpCode::DETACH;
/// A granted write was not done.
pub const MAP_GIVE_UP: OpCode = OpCode::MAP_GIVE_UP;

/// The 16 bytes that name a volume for life.
pub type VolumeIdBytes = [u8; 16];

/// What a composer is told of a volume beside its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    pub id: VolumeIdBytes,
    /// The lease under which the mapper's node has the volume's lock, or would have it.
    pub lease: u64,
    /// The lock's token: as long as it is the same nobody else had the volume. 0 of what is read without the lock.
    pub token: u64,
    /// It was taken from this node, and those who used it then do so still.
    pub is_lost: bool,
}

/// Of an [`Attached`].
pub const ATTACHED_BYTES: usize = 40;

impl Attached {
    pub fn to_bytes(self) -> [u8; ATTACHED_BYTES] {
        let mut bytes = [0; ATTACHED_BYTES];
        bytes[..16].copy_from_slice(&self.id);
        bytes[16..24].copy_from_slice(&self.lease.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.token.to_le_bytes());
        bytes[32] = self.is_lost.into();
        bytes
    }

    pub fn from_bytes(bytes: &[u8; ATTACHED_BYTES]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Self {
            id,
            lease: word(16),
            token: word(24),
            is_lost: word(32) != 0,
        }
    }
}

/// Which volume a composer had, and by which token of its lock. What has its name now may be another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Had {
    pub id: VolumeIdBytes,
    /// 0: it had none.
    pub token: u64,
}

impl Had {
    /// The token, and the id in two words.
    pub fn to_words(self) -> [u64; 3] {
        let id = u128::from_le_bytes(self.id);
        [self.token, id as u64, (id >> 64) as u64]
    }

    pub fn from_words([token, low, high]: [u64; 3]) -> Self {
        let id = u128::from(high) << 64 | u128::from(low);
        let id = id.to_le_bytes();
        Self { id, token }
    }

    /// What was had of this one.
    pub fn token_of(self, id: &VolumeIdBytes) -> u64 {
        match self.id == *id {
            true => self.token,
            false => 0,
        }
    }
}

/// The words of the answer to a change of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedBy {
    pub epoch: u64,
    /// The token of the lock under which it was changed.
    pub token: u64,
}

impl ChangedBy {
    pub fn to_args(self) -> [u64; 4] {
        [self.epoch, self.token, 0, 0]
    }

    pub fn from_args(args: [u64; 4]) -> Self {
        Self {
            epoch: args[0],
            token: args[1],
        }
    }
}

/// Consecutive sub-blocks of a block that come from one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub block: u64,
    pub from: u16,
    pub count: u16,
    pub source: ObjectSource,
}

/// What a run says of its source, in the bytes 12 to 16.
const BORN: u32 = 0;
const CONTENT: u32 = 1;

/// The words of a MAP_READ answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapHead {
    pub epoch: u64,
    pub floor: u64,
    pub size: u64,
    pub object_bits: u8,
    pub grain_bits: u8,
    pub is_read_only: bool,
    pub runs: u32,
}

/// The words of a MAP_WRITE request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantCall {
    pub block: u64,
    pub from: u16,
    pub count: u16,
    /// The composer's port.
    pub composer: u32,
}

/// The words of a MAP_WRITE answer. The payload says where the granted sub-blocks come from as yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantHead {
    pub grant: u64,
    pub epoch: u64,
    pub stamp: u64,
    /// The object is new: it is to be made as long as a block first.
    pub is_fresh: bool,
    /// What is granted: what was asked for, or all of the block, all of which is to be copied up then.
    pub from: u16,
    pub count: u16,
    pub runs: u16,
}

/// The words of a MAP_COMMIT request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitCall {
    pub grant: u64,
    pub epoch: u64,
    /// The composer's port.
    pub composer: u32,
    /// The grant is one of the mapper's predecessor, to be adopted by the mapper that told this; or 0.
    pub adopts: u64,
}

/// What a composer is to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// What was said under an older epoch holds no more.
    pub epoch: u64,
    pub kind: RecallKind,
    pub first_block: u64,
    pub blocks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecallKind {
    /// Forget the blocks; answer when the I/O on them that was begun has ended.
    Forget = 0,
    /// Answer when the I/O that was begun has ended.
    Quiesce = 1,
    /// The volume is closed: forget it altogether. Who has it attached asks again when there is I/O. All that was answered is durable.
    Close = 2,
    /// Forget the volume, unless somebody has it attached.
    Detach = 3,
    /// Forget it as by `Close`; what was answered and not flushed may be lost.
    Drop = 4,
}

/// Words that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}")]
pub struct BadMessage {
    pub field: &'static str,
    pub value: u64,
}

fn narrow<T: TryFrom<u64>>(field: &'static str, value: u64) -> Result<T, BadMessage> {
    T::try_from(value).map_err(|_| BadMessage { field, value })
}

impl Run {
    pub fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.block.to_le_bytes());
        to.extend_from_slice(&self.from.to_le_bytes());
        to.extend_from_slice(&self.count.to_le_bytes());
        match &self.source {
            ObjectSource::Born { birth, stamp } => {
                to.extend_from_slice(&BORN.to_le_bytes());
                to.extend_from_slice(&stamp.to_le_bytes());
                to.extend_from_slice(birth);
            }
            ObjectSource::Content(id) => {
                to.extend_from_slice(&CONTENT.to_le_bytes());
                to.extend_from_slice(id);
            }
        }
    }

    /// The runs of a payload.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, BadMessage> {
        if !bytes.len().is_multiple_of(RUN_BYTES) {
            return Err(BadMessage {
                field: "the length of the runs",
                value: bytes.len() as u64,
            });
        }
        bytes.chunks_exact(RUN_BYTES).map(Self::read).collect()
    }

    fn read(bytes: &[u8]) -> Result<Self, BadMessage> {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let place = word(8);
        let (from, count) = (place as u16, (place >> 16) as u16);
        let kind = (place >> 32) as u32;
        if kind > CONTENT || count == 0 || from.checked_add(count).is_none() {
            return Err(BadMessage {
                field: "the sub-blocks of a run",
                value: place,
            });
        }
        let source = if kind == BORN {
            let mut birth = [0; 16];
            birth.copy_from_slice(&bytes[24..40]);
            let stamp = word(16);
            ObjectSource::Born { birth, stamp }
        } else {
            let mut id = [0; CONTENT_ID_BYTES];
            id.copy_from_slice(&bytes[16..40]);
            ObjectSource::Content(id)
        };
        Ok(Self {
            block: word(0),
            from,
            count,
            source,
        })
    }
}

impl MapHead {
    /// May it be kept until it is recalled?
    pub fn is_kept(&self) -> bool {
        self.epoch != NOT_KEPT
    }

    pub fn to_args(self) -> [u64; 4] {
        let packed = u64::from(self.object_bits)
            | u64::from(self.grain_bits) << 8
            | u64::from(self.is_read_only) << 16
            | u64::from(self.runs) << 32;
        [self.epoch, self.floor, self.size, packed]
    }

    pub fn from_args(args: [u64; 4]) -> Result<Self, BadMessage> {
        let packed = args[3];
        let head = Self {
            epoch: args[0],
            floor: args[1],
            size: args[2],
            object_bits: packed as u8,
            grain_bits: (packed >> 8) as u8,
            is_read_only: packed >> 16 & 1 == 1,
            runs: (packed >> 32) as u32,
        };
        let (object, grain) = (head.object_bits, head.grain_bits);
        let is_shape = (16..=26).contains(&object)
            && (12..=16).contains(&grain)
            && grain <= object
            && object - grain <= 10;
        if is_shape && head.size < 1 << 63 {
            Ok(head)
        } else {
            Err(BadMessage {
                field: "the shape of a volume",
                value: packed,
            })
        }
    }
}

impl GrantCall {
    pub fn to_args(self) -> [u64; 4] {
        [
            self.block,
            self.from.into(),
            self.count.into(),
            self.composer.into(),
        ]
    }

    pub fn from_args(args: [u64; 4]) -> Result<Self, BadMessage> {
        Ok(Self {
            block: args[0],
            from: narrow("the first sub-block", args[1])?,
            count: narrow("the number of sub-blocks", args[2])?,
            composer: narrow("the composer's port", args[3])?,
        })
    }
}

impl GrantHead {
    pub fn to_args(self) -> [u64; 4] {
        let packed = u64::from(self.is_fresh)
            | u64::from(self.from) << 16
            | u64::from(self.count) << 32
            | u64::from(self.runs) << 48;
        [self.grant, self.epoch, self.stamp, packed]
    }

    pub fn from_args(args: [u64; 4]) -> Self {
        Self {
            grant: args[0],
            epoch: args[1],
            stamp: args[2],
            is_fresh: args[3] & 1 == 1,
            from: (args[3] >> 16) as u16,
            count: (args[3] >> 32) as u16,
            runs: (args[3] >> 48) as u16,
        }
    }
}

impl CommitCall {
    pub fn to_args(self) -> [u64; 4] {
        [self.grant, self.epoch, self.composer.into(), self.adopts]
    }

    pub fn from_args(args: [u64; 4]) -> Result<Self, BadMessage> {
        Ok(Self {
            grant: args[0],
            epoch: args[1],
            composer: narrow("the composer's port", args[2])?,
            adopts: args[3],
        })
    }
}

impl Recall {
    pub fn to_args(self) -> [u64; 4] {
        [self.epoch, self.kind as u64, self.first_block, self.blocks]
    }

    pub fn from_args(args: [u64; 4]) -> Result<Self, BadMessage> {
        let kind = match args[1] {
            0 => RecallKind::Forget,
            1 => RecallKind::Quiesce,
            2 => RecallKind::Close,
            3 => RecallKind::Detach,
            4 => RecallKind::Drop,
            value => {
                return Err(BadMessage {
                    field: "the kind of a recall",
                    value,
                });
            }
        };
        Ok(Self {
            epoch: args[0],
            kind,
            first_block: args[2],
            blocks: args[3],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sources() -> impl Strategy<Value = ObjectSource> {
        let born = (any::<[u8; 16]>(), any::<u64>());
        prop_oneof![
            born.prop_map(|(birth, stamp)| ObjectSource::Born { birth, stamp }),
            any::<[u8; 24]>().prop_map(ObjectSource::Content),
        ]
    }

    fn runs() -> impl Strategy<Value = Run> {
        let parts = (any::<u64>(), 0..1024_u16, 1..1024_u16, sources());
        parts.prop_map(|(block, from, count, source)| Run {
            block,
            from,
            count,
            source,
        })
    }

    #[test]
    fn what_a_composer_had_survives_the_wire_and_is_of_one_volume() {
        let id = std::array::from_fn(|at| at as u8 * 17);
        let had = Had { id, token: 9 };
        assert_eq!(Had::from_words(had.to_words()), had);
        assert_eq!((had.token_of(&id), had.token_of(&[3; 16])), (9, 0));
        assert_eq!(Had::from_words([0; 3]), Had::default());
    }

    #[test]
    fn what_a_composer_is_told_of_a_volume_survives_the_wire() {
        for is_lost in [false, true] {
            let told = Attached {
                id: [7; 16],
                lease: 3,
                token: u64::MAX - 1,
                is_lost,
            };
            assert_eq!(Attached::from_bytes(&told.to_bytes()), told);
        }
        let by = ChangedBy { epoch: 4, token: 9 };
        assert_eq!(ChangedBy::from_args(by.to_args()), by);
    }

    #[test]
    fn a_source_of_an_unknown_kind_is_refused() {
        let run = Run {
            block: 1,
            from: 2,
            count: 3,
            source: ObjectSource::Content([5; 24]),
        };
        let mut bytes = Vec::new();
        run.write(&mut bytes);
        assert_eq!(Run::read_all(&bytes), Ok(vec![run]));
        bytes[12] = 2;
        assert!(Run::read_all(&bytes).is_err());
        bytes[12] = 0;
        bytes[13] = 1;
        assert!(Run::read_all(&bytes).is_err());
    }

    proptest! {
        #[test]
        fn runs_survive_the_wire(runs in proptest::collection::vec(runs(), 0..8)) {
            let mut bytes = Vec::new();
            runs.iter().for_each(|run| run.write(&mut bytes));
            prop_assert_eq!(bytes.len(), runs.len() * RUN_BYTES);
            prop_assert_eq!(Run::read_all(&bytes).unwrap(), runs);
        }

        #[test]
        fn whatever_comes_is_a_message_or_an_error(bytes in any::<Vec<u8>>(), args in any::<[u64; 4]>()) {
            let _ = Run::read_all(&bytes);
            if let Ok(head) = MapHead::from_args(args) {
                prop_assert_eq!(MapHead::from_args(head.to_args()), Ok(head));
            }
            if let Ok(recall) = Recall::from_args(args) {
                prop_assert_eq!(recall.to_args(), args);
            }
            if let Ok(call) = GrantCall::from_args(args) {
                prop_assert_eq!(call.to_args(), args);
            }
            let head = GrantHead::from_args(args);
            prop_assert_eq!(GrantHead::from_args(head.to_args()), head);
            if let Ok(call) = CommitCall::from_args(args) {
                prop_assert_eq!(call.to_args(), args);
            }
        }
    }
}
