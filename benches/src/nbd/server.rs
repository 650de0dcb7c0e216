//! A contender at work, with a disk that was written in full.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::contender::Contender;
use super::fio;
use super::rival::Rival;
use crate::cell::Caching;
use crate::node::Node;

const VOLUME: &str = "bench";

pub struct Server {
    pub contender: Contender,
    pub uri: String,
    pub processes: BTreeSet<u32>,
    /// Its end is that of the server.
    _process: Process,
}

enum Process {
    Node { _node: Node },
    Rival { _rival: Rival },
}

impl Server {
    pub fn start(
        contender: Contender,
        caching: Caching,
        directory: &Path,
        size_mib: u64,
        settings: &[String],
    ) -> Result<Self> {
        let started = if contender.is_rival() {
            Self::rival(contender, caching, directory, size_mib)
        } else {
            Self::node(contender, caching, directory, size_mib, settings)
        };
        let server = started.with_context(|| format!("{contender} does not start"))?;
        fio::fill(directory, &server.uri).with_context(|| format!("filling {contender}"))?;
        Ok(server)
    }

    fn node(
        contender: Contender,
        caching: Caching,
        directory: &Path,
        size_mib: u64,
        settings: &[String],
    ) -> Result<Self> {
        let isolate = format!("hosts.isolate = {}", contender == Contender::Isolated);
        let direct = format!("role.blockerb.direct = {}", caching == Caching::Direct);
        let mut all = vec![isolate.as_str(), direct.as_str()];
        all.extend(settings.iter().map(String::as_str));
        let node = Node::start(directory, &all)?;
        node.time("vlmc", &["create", VOLUME, &format!("--size={size_mib}M")])?;
        Ok(Self {
            contender,
            uri: node.uri(VOLUME),
            processes: node.processes()?,
            _process: Process::Node { _node: node },
        })
    }

    fn rival(
        contender: Contender,
        caching: Caching,
        directory: &Path,
        size_mib: u64,
    ) -> Result<Self> {
        let rival = Rival::start(contender, caching, directory, size_mib << 20)?;
        Ok(Self {
            contender,
            uri: rival.uri(),
            processes: BTreeSet::from([rival.pid()]),
            _process: Process::Rival { _rival: rival },
        })
    }
}
