//! A real guest: QEMU's front end, and the driver of its firmware, which boots from the disk and writes to it.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::Ordering;

use crate::driver::{Guest, Link, OUT};
use crate::held::Hold;
use crate::serving::{serve, serve_at};

const SECTORS: u16 = 8;
const FROM_SECTOR: u64 = 1;
const TO_SECTOR: u64 = 100;
/// What `isa-debug-exit` makes of 0x10.
const EXIT_OF_SUCCESS: i32 = 0x10 << 1 | 1;

/// Has the firmware read some sectors and write them elsewhere, and ends the machine.
fn boot_sector() -> Vec<u8> {
    const CODE: &[u8] = &[
        0x31, 0xc0, // xor ax, ax
        0x8e, 0xd8, // mov ds, ax
        0x8e, 0xc0, // mov es, ax
        0x8e, 0xd0, // mov ss, ax
        0xbc, 0x00, 0x7c, // mov sp, 0x7c00
        0xbe, 0x40, 0x7c, // mov si, 0x7c40: what to read
        0xb4, 0x42, // mov ah, 0x42
        0xcd, 0x13, // int 0x13
        0x72, 0x0e, // jc failed
        0xbe, 0x50, 0x7c, // mov si, 0x7c50: what to write
        0xb8, 0x00, 0x43, // mov ax, 0x4300
        0xcd, 0x13, // int 0x13
        0x72, 0x04, // jc failed
        0xb0, 0x10, // mov al, 0x10
        0xeb, 0x02, // jmp out
        0xb0, 0x01, // failed: mov al, 1
        0xe6, 0xf4, // out: out 0xf4, al
        0xf4, // hlt
        0xeb, 0xfd, // jmp to it
    ];
    let mut sector = CODE.to_vec();
    for (at, lba) in [(0x40, FROM_SECTOR), (0x50, TO_SECTOR)] {
        sector.resize(at, 0);
        sector.extend([16, 0]);
        for field in [SECTORS, 0x8000, 0] {
            sector.extend(field.to_le_bytes());
        }
        sector.extend(lba.to_le_bytes());
    }
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

fn boot(path: &Path) -> Child {
    let chardev = format!("socket,id=front,path={},reconnect=1", path.display());
    let version = Command::new("qemu-system-x86_64").arg("--version").output();
    version.expect("qemu-system-x86_64 runs: install the Debian package qemu-system-x86");
    let mut qemu = Command::new("timeout");
    qemu.args(["60", "qemu-system-x86_64", "-nodefaults"]);
    qemu.args(["-display", "none"]);
    qemu.args(["-object", "memory-backend-memfd,id=ram,size=64M,share=on"]);
    qemu.args(["-machine", "pc,accel=tcg,memory-backend=ram", "-m", "64M"]);
    qemu.args(["-chardev", &chardev]);
    qemu.args(["-device", "vhost-user-blk-pci,chardev=front,num-queues=1"]);
    qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
    qemu.spawn().expect("timeout is part of coreutils")
}

fn bytes() -> Vec<u8> {
    (0..512 * u32::from(SECTORS))
        .map(|at| (at % 251) as u8)
        .collect()
}

/// What the firmware boots from.
fn prepare(guest: &mut Guest, link: &Link) {
    assert_eq!(guest.perform(link, OUT, 0, &boot_sector(), 0), 0);
    assert_eq!(guest.perform(link, OUT, FROM_SECTOR, &bytes(), 0), 0);
}

fn assert_written(path: &Path) {
    let mut guest = Guest::new();
    let link = guest.connect(path);
    let read = guest.read(&link, TO_SECTOR, bytes().len() as u32);
    assert_eq!(read, bytes());
}

#[test]
fn qemu_boots_from_the_disk_and_writes_to_it() {
    serve(&Hold::default(), |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        prepare(&mut guest, &link);
        drop(link);
        let code = boot(path).wait().unwrap().code();
        assert_eq!(code, Some(EXIT_OF_SUCCESS));
        assert_written(path);
    });
}

#[test]
fn a_guest_of_qemu_does_not_notice_that_the_server_died_with_its_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vhost.sock");
    let first = Hold::default();
    let own = first.clone();
    let mut qemu = serve_at(path.clone(), &first, move |path| {
        let mut guest = Guest::new();
        let link = guest.connect(path);
        prepare(&mut guest, &link);
        drop(link);
        let before = own.waiting.load(Ordering::SeqCst);
        own.is_held.store(true, Ordering::SeqCst);
        let qemu = boot(path);
        while own.waiting.load(Ordering::SeqCst) == before {
            std::thread::yield_now();
        }
        qemu
    });
    // A disk without anything on it: all that it ever gets is what is done again.
    serve_at(path, &Hold::default(), move |path| {
        assert_eq!(qemu.wait().unwrap().code(), Some(EXIT_OF_SUCCESS));
        assert_written(path);
    });
}
