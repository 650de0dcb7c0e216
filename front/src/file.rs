//! A disk in a file: what the tests serve where it has to outlive its server, and for trying things out. Requests are done one
//! after the other, on the reactor's thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{FallocateFlags, fallocate};
use xseg::Errno;

use super::disk::{Disk, ZeroOptions};
use super::extent::Extent;
use super::facts::{DiskFacts, Features};
use super::payload::Payload;

/// A file of a disk's size. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FileDisk {
    file: Rc<File>,
    facts: DiskFacts,
}

impl FileDisk {
    /// Opens a file, or makes it, and gives it that size.
    pub fn open(path: &Path, size_bytes: u64) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        file.set_len(size_bytes)?;
        let facts = DiskFacts {
            size_bytes,
            features: Features::ALL,
            description: "in a file".to_owned(),
        };
        Ok(Self {
            file: Rc::new(file),
            facts,
        })
    }

    async fn synced(&self, fua: bool) -> Result<(), Errno> {
        if fua { self.flush().await } else { Ok(()) }
    }
}

impl Disk for FileDisk {
    fn facts(&self) -> DiskFacts {
        self.facts.clone()
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        Ok(Payload::Bytes(vec![0; len_bytes as usize]))
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        let mut bytes = vec![0; len_bytes as usize];
        let read = self.file.read_exact_at(&mut bytes, offset);
        read.map_err(|error| errno(&error))?;
        Ok(Payload::Bytes(bytes))
    }

    async fn write(&self, offset: u64, payload: Payload, fua: bool) -> Result<(), Errno> {
        let Payload::Bytes(bytes) = payload else {
            return Err(Errno::INVAL);
        };
        let written = self.file.write_all_at(&bytes, offset);
        written.map_err(|error| errno(&error))?;
        self.synced(fua).await
    }

    async fn flush(&self) -> Result<(), Errno> {
        self.file.sync_data().map_err(|error| errno(&error))
    }

    async fn trim(&self, offset: u64, len_bytes: u64, fua: bool) -> Result<(), Errno> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&*self.file, flags, offset, len_bytes)?;
        self.synced(fua).await
    }

    async fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> Result<(), Errno> {
        self.trim(offset, len_bytes, options.fua).await?;
        if options.no_hole {
            let flags = FallocateFlags::KEEP_SIZE;
            fallocate(&*self.file, flags, offset, len_bytes)?;
        }
        Ok(())
    }

    async fn block_status(&self, _offset: u64, len_bytes: u64) -> Result<Vec<Extent>, Errno> {
        Ok(vec![Extent::data(len_bytes)])
    }

    async fn cache(&self, _offset: u64, _len_bytes: u64) -> Result<(), Errno> {
        Ok(())
    }
}

fn errno(error: &io::Error) -> Errno {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Nothing here waits for anything.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn read(disk: &FileDisk, offset: u64) -> Vec<u8> {
        match now(disk.read(offset, 512)).unwrap() {
            Payload::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_outlives_the_disk_and_what_is_trimmed_is_zero() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let disk = FileDisk::open(&path, 1 << 20).unwrap();
        for offset in [0, 4096] {
            now(disk.write(offset, Payload::Bytes(vec![7; 4096]), true)).unwrap();
        }
        now(disk.trim(4096, 4096, false)).unwrap();
        drop(disk);
        let disk = FileDisk::open(&path, 1 << 20).unwrap();
        assert_eq!(read(&disk, 512), [7; 512]);
        assert_eq!(read(&disk, 4096), [0; 512]);
        now(disk.write_zeroes(0, 512, ZeroOptions::default())).unwrap();
        assert_eq!(read(&disk, 0), [0; 512]);
        assert_eq!(read(&disk, 512), [7; 512]);
        let beyond = now(disk.read(1 << 20, 512)).unwrap_err();
        assert_eq!(beyond, Errno::IO);
    }
}
