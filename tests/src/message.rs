//! Self-verifying messages: every byte follows from who sent it and as which one, so whoever sees a message can tell
//! whether it is the one that it should be.
//!
//! ```text
//! a request's data:  | block 0 | block 1 | ...      a block:  | input, by the client | output, by the server |
//! ```
//! A server reads the input of a block, checks it, and writes the output: each input word combined with a key, and a
//! checksum in place of the last one. The input stays as it was, so a block can be done again by a successor.

use xseg::{Data, Incoming, RequestError};

use crate::rng::mix;

/// Which block of which request of which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockKey {
    pub client: u64,
    pub sequence: u64,
    pub block: u64,
}

/// What a request's arguments say about its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub key: BlockKey,
    pub blocks: u64,
    pub block_bytes: u64,
}

/// Why a message is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch(pub &'static str);

/// The most bytes that a block has.
pub const BLOCK_BYTES_MAX: u64 = 8 << 10;

impl Shape {
    pub fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.block_bytes)
    }

    pub fn to_args(&self) -> [u64; 4] {
        let BlockKey {
            client,
            sequence,
            block,
        } = self.key;
        [
            client,
            sequence,
            block,
            self.blocks << 32 | self.block_bytes,
        ]
    }

    pub fn from_args([client, sequence, block, sizes]: [u64; 4]) -> Self {
        Self {
            key: BlockKey {
                client,
                sequence,
                block,
            },
            blocks: sizes >> 32,
            block_bytes: sizes & 0xffff_ffff,
        }
    }

    /// The name that the request's target carries.
    pub fn target(&self) -> String {
        format!("c{}-{}", self.key.client, self.key.sequence)
    }

    /// The extent's offset that the request carries.
    pub fn offset(&self) -> u64 {
        mix(self.key.client ^ mix(self.key.sequence)) >> 1
    }

    /// One block of it, as a request of its own.
    pub fn part(&self, block: u64) -> Self {
        Self {
            key: BlockKey { block, ..self.key },
            blocks: 1,
            ..*self
        }
    }

    /// Does an accepted request look as a request of this shape does?
    pub fn check(&self, incoming: &Incoming) -> Result<(), Mismatch> {
        let sized = self.block_bytes.is_multiple_of(16)
            && (16..=BLOCK_BYTES_MAX).contains(&self.block_bytes);
        if !sized || self.blocks == 0 {
            return Err(Mismatch("sizes in the arguments"));
        }
        if incoming.target().as_bytes() != self.target().as_bytes() {
            return Err(Mismatch("target"));
        }
        let request = incoming.request();
        if request.offset != self.offset() || request.length != self.bytes() {
            return Err(Mismatch("extent"));
        }
        match incoming.data() {
            Some(data) if data.len() == self.bytes() => Ok(()),
            _ => Err(Mismatch("length of the data")),
        }
    }
}

impl BlockKey {
    fn input_word(&self, index: u64) -> u64 {
        mix(mix(self.client << 20 ^ self.block) ^ mix(self.sequence << 12 ^ index))
    }

    fn output_word(&self, index: u64) -> u64 {
        self.input_word(index) ^ mix(self.sequence ^ index << 40)
    }

    fn input(&self, bytes: u64) -> Vec<u8> {
        let words = 0..bytes / 16;
        words
            .flat_map(|index| self.input_word(index).to_ne_bytes())
            .collect()
    }

    fn output(&self, bytes: u64) -> Vec<u8> {
        let last = bytes / 16 - 1;
        let mut checksum = mix(self.client);
        let mut output = Vec::with_capacity(bytes as usize / 2);
        for index in 0..last {
            let word = self.output_word(index);
            checksum = mix(checksum ^ word);
            output.extend(word.to_ne_bytes());
        }
        output.extend(checksum.to_ne_bytes());
        output
    }
}

/// The client's part: fills in the inputs and wipes the outputs.
pub fn write_inputs(shape: &Shape, data: &Data<'_>) -> Result<(), RequestError> {
    for block in 0..shape.blocks {
        let part = data.part(block * shape.block_bytes, shape.block_bytes)?;
        part.write(0, &shape.part(block).key.input(shape.block_bytes))?;
        part.part(shape.block_bytes / 2, shape.block_bytes / 2)?
            .fill(0xee);
    }
    Ok(())
}

/// The server's part, for a request of one block.
pub fn serve_block(shape: &Shape, data: &Data<'_>) -> Result<(), Mismatch> {
    let mut found = vec![0; shape.block_bytes as usize / 2];
    data.read(0, &mut found).map_err(|_| Mismatch("input"))?;
    if found != shape.key.input(shape.block_bytes) {
        return Err(Mismatch("input"));
    }
    data.write(shape.block_bytes / 2, &shape.key.output(shape.block_bytes))
        .map_err(|_| Mismatch("output"))
}

/// The client's last part: is the answer what it should be?
pub fn check_outputs(shape: &Shape, data: &Data<'_>) -> Result<(), Mismatch> {
    let mut found = vec![0; shape.block_bytes as usize / 2];
    for block in 0..shape.blocks {
        let key = shape.part(block).key;
        let at = block * shape.block_bytes;
        data.read(at, &mut found)
            .map_err(|_| Mismatch("length of the answer"))?;
        if found != key.input(shape.block_bytes) {
            return Err(Mismatch("input of the answer"));
        }
        data.read(at + shape.block_bytes / 2, &mut found)
            .map_err(|_| Mismatch("length of the answer"))?;
        if found != key.output(shape.block_bytes) {
            return Err(Mismatch("output"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        key: BlockKey {
            client: 3,
            sequence: 9,
            block: 0,
        },
        blocks: 2,
        block_bytes: 64,
    };

    #[test]
    fn arguments_carry_the_shape() {
        assert_eq!(Shape::from_args(SHAPE.to_args()), SHAPE);
        assert_eq!(SHAPE.part(1).bytes(), 64);
    }

    #[test]
    fn every_part_of_the_key_changes_input_and_output() {
        let key = SHAPE.key;
        for other in [
            BlockKey { client: 4, ..key },
            BlockKey { sequence: 8, ..key },
            BlockKey { block: 1, ..key },
        ] {
            assert_ne!(key.input(64), other.input(64));
            assert_ne!(key.output(64), other.output(64));
        }
        assert_eq!(key.input(64).len() + key.output(64).len(), 64);
    }

    #[test]
    fn a_served_answer_checks_and_a_changed_one_does_not() {
        let geometry = xseg::Geometry::new(2, 1, 16)
            .and_then(|geometry| geometry.with_buffers(4096, 2))
            .unwrap();
        let segment = xseg::CreateOptions::new(geometry).create_private().unwrap();
        let port = segment.bind(0, &xseg::BindOptions::default()).unwrap();
        let buffer = port.buffer(SHAPE.bytes()).unwrap();
        let data = buffer.data().part(0, SHAPE.bytes()).unwrap();
        write_inputs(&SHAPE, &data).unwrap();
        for block in 0..2 {
            let part = data.part(block * 64, 64).unwrap();
            serve_block(&SHAPE.part(block), &part).unwrap();
        }
        assert_eq!(check_outputs(&SHAPE, &data), Ok(()));
        data.write(100, &[0]).unwrap();
        assert!(check_outputs(&SHAPE, &data).is_err());
        assert!(serve_block(&SHAPE, &data.part(64, 64).unwrap()).is_err());
    }
}
