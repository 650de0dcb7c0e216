//! `create` and `destroy`.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use xseg::{CreateOptions, Geometry, GeometryError, HugePages, Segment};

use crate::accounts;
use crate::args::{Create, Huge};
use crate::context::Context;
use crate::units::bytes_text;

#[derive(Debug, Serialize)]
struct Created {
    kind: &'static str,
    path: String,
    size_bytes: u64,
    ports: u32,
    static_ports: u32,
    requests: u32,
    buffers: u32,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = bytes_text(self.size_bytes);
        write!(
            f,
            "created {}: {size}, {} ports ({} static), {} requests, {} buffers",
            self.path, self.ports, self.static_ports, self.requests, self.buffers
        )
    }
}

pub fn create(context: &mut Context, args: &Create) -> Result<()> {
    let geometry = geometry_of(args)?;
    let mut options = CreateOptions::new(geometry)
        .mode(args.mode)
        .huge_pages(match args.huge {
            Huge::Auto => HugePages::Auto,
            Huge::Never => HugePages::Never,
        });
    if let Some(group) = &args.group {
        options = options.group(accounts::group(group)?);
    }
    options.create(&context.place)?;
    context.out.emit(&Created {
        kind: "created",
        path: context.place.path().display().to_string(),
        size_bytes: geometry.size_bytes(),
        ports: geometry.ports(),
        static_ports: geometry.static_ports(),
        requests: geometry.requests(),
        buffers: geometry.buffers(),
    })?;
    Ok(())
}

fn geometry_of(args: &Create) -> Result<Geometry, GeometryError> {
    if args.buffers.is_empty() {
        return Geometry::fitting(args.size, args.ports, args.static_ports, args.requests);
    }
    let bare = Geometry::new(args.ports, args.static_ports, args.requests)?;
    args.buffers.iter().try_fold(bare, |geometry, buffers| {
        geometry.with_buffers(buffers.bytes, buffers.count)
    })
}

#[derive(Debug, Serialize)]
struct Destroyed {
    kind: &'static str,
    path: String,
}

impl fmt::Display for Destroyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "destroyed {}", self.path)
    }
}

pub fn destroy(context: &mut Context, force: bool) -> Result<()> {
    Segment::destroy(&context.place, &context.join, force)?;
    context.out.emit(&Destroyed {
        kind: "destroyed",
        path: context.place.path().display().to_string(),
    })?;
    Ok(())
}
