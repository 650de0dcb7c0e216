//! The kernel proper, out of the image that Debian ships: it boots without having to unpack itself, which takes seconds where
//! each instruction is emulated.

use std::io::Write;
use std::process::{Command, Stdio};

/// Where the boot protocol's header tells of the packed kernel: sectors of set-up code, its offset behind them, its length.
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LEN: usize = 0x24c;
const SECTOR_BYTES: usize = 512;

/// Behind the packed kernel stands its length, for the code that unpacks it.
const LEN_BYTES: usize = 4;

/// The packed kernel within an image, and the program that unpacks it.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed<'a> {
    bytes: &'a [u8],
    unpacker: &'static str,
}

impl<'a> Packed<'a> {
    pub fn find(image: &'a [u8]) -> Result<Self, &'static str> {
        let word = |at: usize| -> Option<usize> {
            let bytes = image.get(at..at + 4)?;
            let bytes = bytes.try_into().expect("four of them");
            Some(u32::from_le_bytes(bytes) as usize)
        };
        let cut = "the image of the kernel is cut off";
        if image.get(MAGIC..MAGIC + 4).ok_or(cut)? != b"HdrS" {
            return Err("no image of a kernel");
        }
        let sectors = usize::from(image[SETUP_SECTORS]) + 1;
        let from = sectors * SECTOR_BYTES + word(PAYLOAD_OFFSET).ok_or(cut)?;
        let len = word(PAYLOAD_LEN).ok_or(cut)?.saturating_sub(LEN_BYTES);
        let bytes = image.get(from..from + len).ok_or(cut)?;
        let unpacker = match bytes {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
            [0xfd, b'7', b'z', b'X', ..] => "xz",
            [0x1f, 0x8b, ..] => "gzip",
            _ => return Err("the kernel is packed in a way that is not known here"),
        };
        Ok(Self { bytes, unpacker })
    }

    pub fn unpack(&self) -> std::io::Result<Vec<u8>> {
        let mut child = Command::new(self.unpacker)
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("piped above");
        let bytes = self.bytes.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = child.wait_with_output()?;
        // What follows the packed bytes may make an unpacker complain; what came out is what counts.
        let _ = feeder.join();
        if output.stdout.starts_with(b"\x7fELF") {
            Ok(output.stdout)
        } else {
            let what = format!("{} does not make a kernel of it", self.unpacker);
            Err(std::io::Error::other(what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR_BYTES];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image.resize(2 * SECTOR_BYTES + 16, 0);
        image[PAYLOAD_OFFSET..][..4].copy_from_slice(&16_u32.to_le_bytes());
        let len = (payload.len() + LEN_BYTES) as u32;
        image[PAYLOAD_LEN..][..4].copy_from_slice(&len.to_le_bytes());
        image.extend(payload);
        image.extend([0; LEN_BYTES]);
        image
    }

    #[test]
    fn the_packed_kernel_is_found_and_its_packer_known() {
        let whole = image(&[0x28, 0xb5, 0x2f, 0xfd, 1, 2]);
        let packed = Packed::find(&whole).unwrap();
        assert_eq!(packed.unpacker, "zstd");
        assert_eq!(packed.bytes, [0x28, 0xb5, 0x2f, 0xfd, 1, 2]);
    }

    #[test]
    fn what_is_no_image_or_half_of_one_is_refused() {
        let whole = image(&[0x1f, 0x8b, 0, 0]);
        assert!(Packed::find(&whole).is_ok());
        for len in [0, MAGIC, PAYLOAD_LEN, whole.len() - 5] {
            assert!(Packed::find(&whole[..len]).is_err(), "{len} bytes");
        }
        assert!(Packed::find(&[0; 4096]).is_err());
        assert!(Packed::find(&image(b"plain")).is_err());
    }
}
