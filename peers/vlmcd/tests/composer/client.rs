//! Who uses a volume.

use std::rc::Rc;

use archipelago_runtime::{Handle, Station, Task};
use xseg::{Errno, OpCode, PortId, Reply};

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
        let buffer = match data {
            Some(bytes) => {
                let size = [4096, 65_536, 262_144]
                    .into_iter()
                    .find(|size| *size >= bytes.len());
                let buffer = self.station.buffer(size.unwrap() as u64).await.unwrap();
                buffer.data().write(0, bytes).unwrap();
                Some(buffer)
            }
            None => None,
        };
        let mut draft = self.station.draft(op).await.unwrap();
        draft.set_target(self.volume.as_bytes()).unwrap();
        draft.set_flags(flags);
        draft.set_extent(extent.0, extent.1);
        if let (Some(buffer), Some(bytes)) = (buffer, data) {
            draft.attach(buffer, bytes.len() as u64).unwrap();
        }
        self.station.call(draft, self.composer).await.unwrap()
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
