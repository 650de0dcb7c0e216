use xseg::Errno;

/// The last byte of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

impl Status {
    pub fn of(result: Result<(), Errno>) -> Self {
        match result {
            Ok(()) => Self::Ok,
            Err(Errno::OPNOTSUPP) => Self::Unsupported,
            Err(_) => Self::IoError,
        }
    }
}
