//! The node's segment: whoever comes first makes it.

use archipelago_protocol::ErrorCode;
use xseg::{CreateOptions, Geometry, JoinOptions, Place, Segment, SegmentError};

use super::error::HostError;
use crate::cli::ErrorReport;
use crate::config::Config;

/// How often to look again while another host makes it.
const TRIES_MAX: u32 = 10;
/// Requests for each MiB of the segment, so that records do not run out before buffers do.
const REQUESTS_A_MIB: u64 = 64;
const REQUESTS_MIN: u64 = 4096;
const REQUESTS_MAX: u64 = 65_536;

/// Where the configured segment lies.
pub fn place(config: &Config) -> Result<Place, HostError> {
    Place::named(&config.segment.name).map_err(failed(config))
}

fn failed(config: &Config) -> impl FnOnce(SegmentError) -> HostError {
    let name = config.segment.name.clone();
    move |source| HostError::Segment { name, source }
}

fn options(config: &Config) -> JoinOptions {
    match &config.user {
        Some(user) => JoinOptions::new().trust_owner(user.id),
        None => JoinOptions::new(),
    }
}

/// Joins it, or makes it.
pub(super) fn join_or_create(config: &Config) -> Result<Segment, HostError> {
    let place = place(config)?;
    let mut tries = 0;
    loop {
        match options(config).join(&place) {
            Err(SegmentError::NotFound { .. }) => {}
            joined => return joined.map_err(failed(config)),
        }
        let mut create = CreateOptions::new(geometry(config)?).mode(0o660);
        if let Some(group) = &config.group {
            create = create.group(group.id);
        }
        match create.create(&place) {
            // Another host was first.
            Err(SegmentError::Exists { .. }) if tries < TRIES_MAX => tries += 1,
            created => return created.map_err(failed(config)),
        }
    }
}

/// While no host lives: what a dead node left behind is made anew if it is damaged, or not of the configured size. One that
/// fits is kept, with what waits in it (S6).
pub(super) fn prepare(config: &Config) -> Result<(), HostError> {
    let place = place(config)?;
    let is_damaged = match options(config).join(&place) {
        Err(SegmentError::NotFound { .. }) => return Ok(()),
        Ok(segment) if *segment.geometry() == geometry(config)? => return Ok(()),
        Ok(_) | Err(SegmentError::Destroyed { .. }) => false,
        Err(
            SegmentError::TooShort { .. }
            | SegmentError::SizeMismatch { .. }
            | SegmentError::BadGeometry { .. }
            | SegmentError::LayoutVersion { .. },
        ) => true,
        Err(error) => return Err(failed(config)(error)),
    };
    match Segment::destroy(&place, &options(config), is_damaged) {
        Ok(()) => {
            let name = &config.segment.name;
            tracing::warn!(
                segment = name,
                is_damaged,
                "what a dead node left is made anew"
            );
            Ok(())
        }
        Err(SegmentError::NotFound { .. }) => Ok(()),
        // A tool or a client: what it has there is not ours to take away.
        Err(error @ SegmentError::InUse { .. }) => {
            tracing::warn!(%error, "the segment stays as it is, and has not the configured size");
            Ok(())
        }
        Err(error) => Err(failed(config)(error)),
    }
}

fn geometry(config: &Config) -> Result<Geometry, HostError> {
    let segment = &config.segment;
    let requests = (segment.size_bytes >> 20) * REQUESTS_A_MIB;
    let requests = requests.clamp(REQUESTS_MIN, REQUESTS_MAX) as u32;
    Geometry::fitting(
        segment.size_bytes,
        segment.ports,
        segment.dynports,
        requests,
    )
    .map_err(|source| HostError::Geometry {
        name: segment.name.clone(),
        source,
    })
}

/// Joins the segment of a node that runs, for a tool.
pub fn join(config: &Config) -> Result<Segment, ErrorReport> {
    match options(config).join(&place(config)?) {
        Err(SegmentError::NotFound { .. }) => Err(ErrorReport::new(
            ErrorCode::Unavailable,
            "archipelago does not run",
            "start it with `archipelago start`",
        )),
        joined => Ok(joined.map_err(failed(config))?),
    }
}

/// Destroys it, when nobody is left.
pub(crate) fn destroy(config: &Config) -> Result<(), HostError> {
    match Segment::destroy(&place(config)?, &options(config), false) {
        Ok(()) | Err(SegmentError::NotFound { .. }) => Ok(()),
        Err(error) => Err(failed(config)(error)),
    }
}
