//! Who uses a volume.

use std::rc::Rc;

use archipelago_runtime::{Handle, LentBytes, Station, Task};
use xseg::{Buffer, Errno, OpCode, PortId, Reply, flags};

#[derive(Clone)]
pub struct Client {
    pub station: Rc<Station>,
    pub composer: PortId,
    pub volume: String,
}

impl Client {
    pub async fn ask(
        &self,
        op: OpCode,
        flags: u32,
        extent: (u64, u64),
        data: Option<&[u8]>,
    ) -> Reply {
        let data = match data {
            Some(bytes) => Some((self.buffer(bytes).await, bytes.len())),
            None => None,
        };
        self.call(op, flags, extent, data).await
    }

    async fn buffer(&self, bytes: &[u8]) -> Buffer {
        let size = [4096, 65_536, 262_144]
            .into_iter()
            .find(|size| *size >= bytes.len());
        let buffer = self.station.buffer(size.unwrap() as u64).await.unwrap();
        buffer.data().write(0, bytes).unwrap();
        buffer
    }

    async fn call(
        &self,
        op: OpCode,
        flags: u32,
        extent: (u64, u64),
        data: Option<(Buffer, usize)>,
    ) -> Reply {
        let mut draft = self.station.draft(op).await.unwrap();
        draft.set_target(self.volume.as_bytes()).unwrap();
        draft.set_flags(flags);
        draft.set_extent(extent.0, extent.1);
        if let Some((buffer, len)) = data {
            draft.attach(buffer, len as u64).unwrap();
        }
        self.station.call(draft, self.composer).await.unwrap()
    }

    /// Asks with bytes that are lent, in pieces, beside a buffer that has others. Gives what is there then, wherever it is.
    async fn ask_lending(
        &self,
        op: OpCode,
        flags: u32,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        let len = bytes.len();
        let handle = self.station.handle().unwrap();
        let own = LentBytes::new(len + 7);
        own.write(7, bytes);
        let half = 7 + len / 2;
        let memory = own.lend(&[7..half, half..7 + len]);
        let buffer = self.buffer(&vec![0xdd; len]).await;
        let loan = handle.lend(buffer.data(), memory).unwrap();
        let reply = self
            .call(op, flags, (offset, len as u64), Some((buffer, len)))
            .await;
        let in_buffer = loan.end().await.unwrap();
        assert_eq!(reply.result()?, len as u64);
        for range in in_buffer.iter().filter(|_| op == OpCode::READ) {
            let mut part = vec![0; (range.end - range.start) as usize];
            reply.data().unwrap().read(range.start, &mut part).unwrap();
            own.write(7 + range.start as usize, &part);
        }
        let mut there = vec![0; len];
        own.read(7, &mut there);
        Ok(there)
    }

    /// Is the composer on our reactor, and the blocker too (LOAN-2)?
    pub fn may_lend(&self) -> bool {
        let handle = self.station.handle();
        handle.is_some_and(|handle| handle.takes_loans(self.composer))
    }

    /// A read of which some bytes land in lent memory, and others do not (LOAN-1).
    pub async fn read_lent(&self, offset: u64, len: u64) -> Result<Vec<u8>, Errno> {
        let stale = vec![0xee; len as usize];
        self.ask_lending(OpCode::READ, 0, offset, &stale).await
    }

    /// A write whose bytes are not in its buffer (LOAN-2).
    pub async fn write_lent(&self, offset: u64, bytes: &[u8]) -> Result<u64, Errno> {
        let asked = self.ask_lending(OpCode::WRITE, flags::LENT, offset, bytes);
        Ok(asked.await?.len() as u64)
    }

    pub async fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Errno> {
        let stale = vec![0xee; len as usize];
        let reply = self.ask(OpCode::READ, 0, (offset, len), Some(&stale)).await;
        assert_eq!(reply.result()?, len);
        let mut bytes = stale;
        reply.data().unwrap().read(0, &mut bytes).unwrap();
        Ok(bytes)
    }

    pub async fn write(&self, offset: u64, bytes: &[u8]) -> Result<u64, Errno> {
        let extent = (offset, bytes.len() as u64);
        self.ask(OpCode::WRITE, 0, extent, Some(bytes))
            .await
            .result()
    }

    /// Uses the volume until `close`; the task ends with what the composer says then.
    pub fn open(&self, handle: &Handle, number: u64) -> Task<Result<u64, Errno>> {
        let own = self.clone();
        handle.spawn(async move {
            let mut draft = own.station.draft(OpCode::OPEN).await.unwrap();
            draft.set_target(own.volume.as_bytes()).unwrap();
            draft.set_handle(number);
            own.station
                .call(draft, own.composer)
                .await
                .unwrap()
                .result()
        })
    }

    /// Tells how many uses ended.
    pub async fn close(&self, number: u64) -> Result<u64, Errno> {
        let mut draft = self.station.draft(OpCode::CLOSE).await.unwrap();
        draft.set_target(self.volume.as_bytes()).unwrap();
        draft.set_handle(number);
        self.station
            .call(draft, self.composer)
            .await
            .unwrap()
            .result()
    }

    pub async fn plain(&self, op: OpCode, offset: u64, len: u64) -> Result<u64, Errno> {
        self.ask(op, 0, (offset, len), None).await.result()
    }
}
