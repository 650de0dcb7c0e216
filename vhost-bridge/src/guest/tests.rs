//! GUEST-1 to GUEST-3: what is inside is reached, and nothing else.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::*;
use crate::message::Region;
use crate::queue::{GuestMemory, Outside};

const PAGE: u64 = 4096;

fn file(len_bytes: u64) -> OwnedFd {
    let fd = memfd_create("guest", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, len_bytes).unwrap();
    fd
}

fn region(guest_at: u64, len_bytes: u64, file_offset: u64) -> Region {
    Region {
        guest_at,
        len_bytes,
        user_at: guest_at + (1 << 40),
        file_offset,
    }
}

#[test]
fn both_sides_see_the_same_bytes() {
    // GUEST-1
    let fd = file(3 * PAGE);
    let ram = Ram::new()
        .with(region(0x10_0000, PAGE, 512), fd.as_fd())
        .unwrap();
    ram.write(0x10_0000, b"from us").unwrap();
    let mut seen = [0; 7];
    rustix::io::pread(&fd, &mut seen, 512).unwrap();
    assert_eq!(&seen, b"from us");
    rustix::io::pwrite(&fd, b"to", 512 + 100).unwrap();
    let word = ram.load_u16(0x10_0000 + 100).unwrap();
    assert_eq!(word.to_le_bytes(), *b"to");
    ram.store_u16(0x10_0000, 0x4241).unwrap();
    ram.read(0x10_0000, &mut seen).unwrap();
    assert_eq!(&seen, b"ABom us");
}

#[test]
fn regions_that_touch_are_one_memory() {
    // GUEST-2
    let fd = file(4 * PAGE);
    let ram = Ram::new()
        .with(region(2 * PAGE, PAGE, PAGE), fd.as_fd())
        .unwrap();
    let ram = ram.with(region(PAGE, PAGE, 3 * PAGE), fd.as_fd()).unwrap();
    let bytes: Vec<u8> = (0..200).collect();
    ram.write(2 * PAGE - 100, &bytes).unwrap();
    let mut read = vec![0; 200];
    ram.read(2 * PAGE - 100, &mut read).unwrap();
    assert_eq!(read, bytes);
    rustix::io::pread(&fd, &mut read[..100], 4 * PAGE - 100).unwrap();
    rustix::io::pread(&fd, &mut read[100..], PAGE).unwrap();
    assert_eq!(read, bytes);
}

#[test]
fn nothing_outside_is_reached() {
    // GUEST-2
    let fd = file(PAGE);
    let ram = Ram::new().with(region(PAGE, PAGE, 0), fd.as_fd()).unwrap();
    for (at, len_bytes) in [
        (0, 1),
        (PAGE - 1, 2),
        (2 * PAGE - 1, 2),
        (2 * PAGE, 1),
        (u64::MAX, 2),
        (PAGE, u64::MAX),
    ] {
        assert_eq!(ram.check(at, len_bytes), Err(Outside { at, len_bytes }));
    }
    assert!(ram.check(PAGE, PAGE).is_ok());
    assert!(ram.load_u16(2 * PAGE - 1).is_err());
    assert!(ram.load_u16(PAGE + 1).is_err());
    assert!(ram.store_u16(0, 1).is_err());
    assert!(ram.read(2 * PAGE - 1, &mut [0; 2]).is_err());
    assert_eq!(ram.guest_address((1 << 40) + PAGE + 5), Ok(PAGE + 5));
    assert!(ram.guest_address((1 << 40) + 2 * PAGE).is_err());
    assert!(ram.guest_address(PAGE).is_err());
}

#[test]
fn regions_that_lie_about_themselves_are_refused() {
    // GUEST-3
    let fd = file(PAGE);
    let ram = Ram::new().with(region(PAGE, PAGE, 0), fd.as_fd()).unwrap();
    let refused = |region| ram.with(region, fd.as_fd()).unwrap_err();
    assert!(matches!(
        refused(region(8 * PAGE, PAGE, 1)),
        MapError::Short { .. }
    ));
    assert!(matches!(
        refused(region(8 * PAGE, 0, 0)),
        MapError::Range { .. }
    ));
    assert!(matches!(
        refused(region(8 * PAGE, PAGE, u64::MAX)),
        MapError::Range { .. }
    ));
    let at_the_end = Region {
        guest_at: u64::MAX - 5,
        ..region(0, PAGE, 0)
    };
    assert!(matches!(refused(at_the_end), MapError::Range { .. }));
    assert!(matches!(
        refused(region(2 * PAGE - 1, 1, 0)),
        MapError::Overlap { .. }
    ));
    let (read_end, _write_end) = rustix::pipe::pipe().unwrap();
    assert!(ram.with(region(8 * PAGE, 1, 0), read_end.as_fd()).is_err());
}

#[test]
fn a_region_is_taken_away_by_its_place() {
    let fd = file(PAGE);
    let whole = Ram::new().with(region(PAGE, PAGE, 0), fd.as_fd()).unwrap();
    let other = region(PAGE, PAGE - 1, 0);
    assert!(matches!(
        whole.without(&other),
        Err(MapError::NoSuchRegion { .. })
    ));
    let empty = whole.without(&region(PAGE, PAGE, 0)).unwrap();
    assert_eq!((empty.regions(), whole.regions()), (0, 1));
    assert!(empty.check(PAGE, 1).is_err());
    assert!(whole.check(PAGE, 1).is_ok());
}
