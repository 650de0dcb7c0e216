//! A pair of pipes, one for each direction.

use std::io;

use anyhow::Result;

use super::channel::Ends;
use super::stream::Stream;

pub fn contender() -> Stream {
    Stream { name: "pipe", pair }
}

fn pair() -> Result<(Ends, Ends)> {
    let (to_us, from_them) = io::pipe()?;
    let (to_them, from_us) = io::pipe()?;
    let ours = Ends {
        reader: to_us.into(),
        writer: from_us.into(),
    };
    let theirs = Ends {
        reader: to_them.into(),
        writer: from_them.into(),
    };
    Ok((ours, theirs))
}
