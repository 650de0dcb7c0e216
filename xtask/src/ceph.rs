//! A Ceph cluster by hand: the same that the tests have.

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use archipelago_ceph::{Cluster, ClusterError, ClusterOptions, NODE_ID};
use clap::Args;

use crate::command::Outcome;

/// The pools that nodes of tests want.
const POOLS: [&str; 2] = ["blocks", "maps"];

/// A cluster with the pools that nodes of tests want.
pub fn for_nodes(options: &ClusterOptions) -> Result<Cluster, ClusterError> {
    let cluster = options.start()?;
    POOLS
        .iter()
        .try_for_each(|pool| cluster.create_pool(pool))?;
    Ok(cluster)
}

/// A cluster, its daemons and its pools.
#[derive(Debug, Args)]
pub struct Ceph {
    /// Where its files lie; must not exist. A temporary directory that goes with it, if not given
    #[arg(long)]
    directory: Option<PathBuf>,
    /// How many OSDs
    #[arg(long, default_value_t = 3)]
    osds: usize,
    /// Copies of each object
    #[arg(long, default_value_t = 2)]
    copies: usize,
    /// Pools to make
    #[arg(long = "pool", default_values_t = POOLS.map(str::to_owned))]
    pools: Vec<String>,
}

impl Ceph {
    pub fn run(&self) -> Result<Outcome> {
        let options = ClusterOptions {
            directory: self.directory.clone(),
            osds: self.osds,
            copies: self.copies,
            ..ClusterOptions::default()
        };
        let cluster = options.start()?;
        for pool in &self.pools {
            cluster.create_pool(pool)?;
        }
        let conf = cluster.conf();
        println!("pools: {}", self.pools.join(", "));
        println!("configuration: {}", conf.display());
        println!("try: ceph --conf {} status", conf.display());
        println!("a node's name: {NODE_ID}");
        println!("it runs until its input ends, or it is interrupted");
        io::copy(&mut io::stdin().lock(), &mut io::sink())?;
        drop(cluster);
        Ok(Outcome::Passed)
    }
}
