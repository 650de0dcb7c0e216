//! GUEST-1 to GUEST-3: what is inside is reached, and nothing else.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::*;
use crate::message::Region;
use crate::queue::{GuestMemory, MemoryFault};

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
        assert_eq!(
            ram.check(at, len_bytes),
            Err(MemoryFault::Outside { at, len_bytes })
        );
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

#[test]
fn memory_that_goes_away_fails_its_own_accesses_only() {
    // GUEST-4, F61
    let (shrinking, other) = (file(4 * PAGE), file(PAGE));
    let ram = Ram::new()
        .with(region(PAGE, 4 * PAGE, 0), shrinking.as_fd())
        .unwrap();
    let neighbour = Ram::new().with(region(PAGE, PAGE, 0), other.as_fd());
    let neighbour = neighbour.unwrap();
    neighbour.write(PAGE, &[7; 64]).unwrap();
    ram.write(PAGE, &[1; 3 * PAGE as usize]).unwrap();
    ftruncate(&shrinking, PAGE).unwrap();
    // What is still there is still read, until an access meets what is gone.
    assert_eq!(ram.load_u16(PAGE), Ok(0x0101));
    let mut bytes = vec![0; 2 * PAGE as usize];
    let lost = Err(MemoryFault::Lost { at: PAGE });
    assert_eq!(ram.read(PAGE, &mut bytes), lost);
    assert_eq!(ram.load_u16(PAGE), Err(MemoryFault::Lost { at: PAGE }));
    assert_eq!(ram.write(PAGE, &[1]), lost);
    assert_eq!(ram.store_u16(PAGE, 1), lost);
    assert_eq!(ram.zero(PAGE, 1), lost);
    assert_eq!(neighbour.load_u16(PAGE), Ok(0x0707));
    // A new mapping, which may be watched by the same watch, is not lost; and what is unmapped is not watched.
    drop(ram);
    let again = Ram::new().with(region(PAGE, PAGE, 0), shrinking.as_fd());
    assert_eq!(again.unwrap().load_u16(PAGE), Ok(0x0101));
}

#[test]
fn each_kind_of_access_survives_memory_that_goes_away() {
    // GUEST-4, F61
    type Access = fn(&Ram) -> Result<(), MemoryFault>;
    let accesses: [Access; 5] = [
        |ram| ram.read(PAGE, &mut [0; 8]),
        |ram| ram.write(PAGE, &[0; 8]),
        |ram| ram.zero(PAGE, 8),
        |ram| ram.load_u16(PAGE).map(drop),
        |ram| ram.store_u16(PAGE, 8),
    ];
    for access in accesses {
        let fd = file(PAGE);
        let ram = Ram::new().with(region(PAGE, PAGE, 0), fd.as_fd()).unwrap();
        assert_eq!(access(&ram), Ok(()));
        ftruncate(&fd, 0).unwrap();
        assert_eq!(access(&ram), Err(MemoryFault::Lost { at: PAGE }));
    }
}

#[test]
fn lost_memory_is_not_touched_again() {
    // GUEST-4: each place that is touched would be one mapping more of those that a process may have
    let fd = memfd_create("lost-memory", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, 200 * PAGE).unwrap();
    let ram = Ram::new()
        .with(region(0, 200 * PAGE, 0), fd.as_fd())
        .unwrap();
    let mappings = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let ours = maps
            .lines()
            .filter(|line| line.contains("memfd:lost-memory"));
        ours.count()
    };
    ftruncate(&fd, 0).unwrap();
    let before = mappings();
    for page in (1..200).step_by(2) {
        let lost = Err(MemoryFault::Lost { at: page * PAGE });
        assert_eq!(ram.read(page * PAGE, &mut [0; 8]), lost);
        assert_eq!(ram.write(page * PAGE, &[0; 8]), lost);
    }
    assert!(mappings() <= before + 1);
}

#[test]
fn a_region_far_inside_its_file_maps_no_more_than_itself() {
    // GUEST-1
    let fd = file(1 << 50);
    let at = (1 << 49) + 1234;
    let ram = Ram::new().with(region(PAGE, PAGE, at), fd.as_fd()).unwrap();
    ram.write(PAGE, b"here").unwrap();
    let mut seen = [0; 4];
    rustix::io::pread(&fd, &mut seen, at).unwrap();
    assert_eq!(&seen, b"here");
}

#[test]
fn a_guest_maps_no_more_than_its_share() {
    // GUEST-5
    let fd = file(GUEST_BYTES_MAX);
    let mut ram = Ram::new();
    let too_much = |result: Result<Ram, MapError>| {
        assert!(
            matches!(result, Err(MapError::TooMuch { .. })),
            "{result:?}"
        );
    };
    too_much(ram.with(region(0, GUEST_BYTES_MAX + 1, 0), fd.as_fd()));
    for slot in 0..SLOTS_MAX as u64 {
        ram = ram.with(region(slot * PAGE, PAGE, 0), fd.as_fd()).unwrap();
    }
    too_much(ram.with(region(1 << 30, PAGE, 0), fd.as_fd()));
}

#[test]
fn memory_that_somebody_could_keep_from_us_is_refused() {
    // GUEST-3
    // A disk's file as well: the disk may be one that we serve ourselves.
    let program = std::env::current_exe().unwrap();
    for path in ["/proc/self/status".as_ref(), &*program] {
        let fd = std::fs::File::open(path).unwrap();
        let refused = Ram::new().with(region(0, PAGE, 0), fd.as_fd());
        assert!(matches!(refused, Err(MapError::Kind)), "{path:?}");
    }
}

#[test]
fn memory_in_a_file_of_a_file_system_of_memory_is_taken() {
    // GUEST-3: what QEMU makes of memory-backend-file in /dev/shm
    let fd = tempfile::tempfile_in("/dev/shm").unwrap();
    fd.set_len(PAGE).unwrap();
    let ram = Ram::new().with(region(0, PAGE, 0), fd.as_fd()).unwrap();
    assert_eq!(ram.load_u16(0), Ok(0));
}

#[test]
fn regions_that_the_front_end_has_at_one_place_are_refused() {
    // GUEST-3
    let fd = file(PAGE);
    let ram = Ram::new().with(region(PAGE, PAGE, 0), fd.as_fd()).unwrap();
    let twice = Region {
        guest_at: 1 << 30,
        ..region(PAGE, PAGE, 0)
    };
    let refused = ram.with(twice, fd.as_fd());
    assert!(matches!(refused, Err(MapError::Overlap { .. })));
}
