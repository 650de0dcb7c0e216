//! The configuration of a small cluster whose daemons share a machine, and which is to notice quickly who is gone.

use std::path::Path;

use crate::options::ClusterOptions;

/// What the configuration is about.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub directory: &'a Path,
    pub id: &'a str,
    /// The monitor's two ports: the second protocol's and the first's.
    pub ports: (u16, u16),
    pub options: &'a ClusterOptions,
}

/// What all clusters of this kind have.
const ALWAYS: &str = "\
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
admin socket =
log to stderr = false
log flush on exit = false
osd crush chooseleaf type = 0
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd heartbeat interval = 1
osd heartbeat grace = 4
mon max pg per osd = 2000

[client]
log file =
objecter tick interval = 0.2
objecter timeout = 0.5

[mon]
mon allow pool delete = true
mon data avail warn = 2
mon data avail crit = 1
mon osd min down reporters = 1
mon osd reporter subtree level = osd
mon osd adjust heartbeat grace = false
mon osd down out interval = 600
mon mgr mkfs grace = 36000
mon warn on insecure global id reclaim = false
paxos propose interval = 0.02
paxos min wait = 0.01
mon tick interval = 1

[osd]
osd objectstore = bluestore
osd class update on start = false
osd crush initial weight = 1
osd fast fail on connection refused = true
osd max markdown count = 1000
osd op num shards = 2
osd op num threads per shard = 1
osd recovery sleep = 0
osd delete sleep = 0
bdev aio poll ms = 10
bluestore cache autotune = false
bluestore cache size = 67108864
bluestore block create = true
";

pub(crate) fn text(facts: &Facts<'_>) -> String {
    let Facts {
        directory,
        id,
        ports: (second, first),
        options,
    } = facts;
    let directory = directory.display();
    let ClusterOptions {
        copies, osd_bytes, ..
    } = options;
    format!(
        "[global]\n\
         fsid = {id}\n\
         mon host = [v2:127.0.0.1:{second},v1:127.0.0.1:{first}]\n\
         mon initial members = a\n\
         keyring = {directory}/keyring\n\
         run dir = {directory}\n\
         crash dir = {directory}\n\
         log file = {directory}/$name.log\n\
         mon cluster log file = {directory}/cluster.log\n\
         mon data = {directory}/mon.$id\n\
         osd data = {directory}/osd.$id\n\
         bluestore block size = {osd_bytes}\n\
         osd pool default size = {copies}\n\
         {ALWAYS}\
         admin socket = {directory}/$name.asok\n"
    )
}
