//! A connected pair of Unix stream sockets.

use std::os::unix::net::UnixStream;

use anyhow::Result;

use super::channel::Ends;
use super::stream::Stream;

pub fn contender() -> Stream {
    Stream {
        name: "unix socket",
        pair,
    }
}

fn pair() -> Result<(Ends, Ends)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ends(ours)?, ends(theirs)?))
}

/// A socket is both reader and writer.
fn ends(socket: UnixStream) -> Result<Ends> {
    Ok(Ends {
        reader: socket.try_clone()?.into(),
        writer: socket.into(),
    })
}
