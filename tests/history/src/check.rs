//! One block, over all losses of power.
//!
//! # Invariants
//! * **HISTORY-1** A block without losses is refused iff no order of its writes and reads, in which each stands between its
//!   beginning and its end, has each read see the last write before it. Of unknown writes any may be left out.
//! * **HISTORY-2** After a loss a block holds, for all readers, one value of those that no durable write comes after.
//! * **HISTORY-3** The evidence is a violation by itself: the operations that it names and nothing else.

use std::collections::BTreeMap;

use crate::cluster::Clusters;
use crate::era::Era;
use crate::operation::{Flush, Operation, Time, Work};
use crate::violation::{Evidence, Loss};

/// What the blocks held at the beginning.
const INITIAL: u64 = 0;

/// Checks one block. Tells how many writes there are of which nobody knows what became.
pub(crate) fn check_block(
    operations: &[Operation],
    flushes: &[Flush],
    losses: &[Time],
) -> Result<usize, Evidence> {
    let eras = Era::all(operations, flushes, losses);
    let kept = kept_values(&eras)?;
    let mut open = 0;
    for (number, era) in eras.iter().enumerate() {
        let began_with = kept[number].map_or(INITIAL, |kept| kept.value);
        let clusters = Clusters::of(&era.operations, began_with)?.ordered()?;
        open += clusters.all().iter().filter(|one| one.is_open()).count();
        if let Some(Some(kept)) = kept.get(number + 1) {
            check_kept(era, &clusters, *kept)?;
        }
    }
    Ok(open)
}

/// What a block held when an era began, and who saw it first.
#[derive(Clone, Copy, Debug)]
struct Kept {
    value: u64,
    read: Operation,
}

/// What the block held at the beginning of each era, as far as anybody ever saw it.
fn kept_values(eras: &[Era]) -> Result<Vec<Option<Kept>>, Evidence> {
    let mut eras_of = BTreeMap::from([(INITIAL, (0, None))]);
    for (number, era) in eras.iter().enumerate() {
        for write in &era.operations {
            if let Some(value) = write.written() {
                eras_of.insert(value, (number, Some(*write)));
            }
        }
    }
    let write_of = |value: u64| eras_of.get(&value).and_then(|(_, write)| *write);
    let mut kept: Vec<Option<Kept>> = vec![None; eras.len()];
    for (number, era) in eras.iter().enumerate() {
        for read in &era.operations {
            let Work::Read(value) = read.work else {
                continue;
            };
            let written_in = eras_of.get(&value).map(|(era, _)| *era);
            let Some(written_in) = written_in.filter(|era| *era < number) else {
                continue;
            };
            // It was there in all eras between.
            for between in &mut kept[written_in + 1..=number] {
                match between {
                    Some(other) if other.value != value => {
                        let writes = [other.value, value].into_iter().filter_map(write_of);
                        return Err(Evidence::TwoAfterLoss {
                            operations: writes.chain([other.read, *read]).collect(),
                        });
                    }
                    Some(_) => {}
                    None => *between = Some(Kept { value, read: *read }),
                }
            }
        }
    }
    Ok(kept)
}

/// HISTORY-2: nothing durable of this era comes after what the next one began with.
fn check_kept(era: &Era, clusters: &Clusters, kept: Kept) -> Result<(), Evidence> {
    let found = clusters.all().iter().find(|one| one.value == kept.value);
    let Some(found) = found else {
        return Err(Evidence::NeverWritten { read: kept.read });
    };
    for other in clusters.all() {
        let Some(write) = other.write else { continue };
        let Some(flush) = era.is_durable(&write) else {
            continue;
        };
        if let Some(between) = clusters.way(found, other) {
            return Err(Evidence::Lost(Box::new(Loss {
                write,
                flush,
                read: kept.read,
                before: found.clone().into(),
                between: (between.value != found.value).then(|| between.clone().into()),
                after: other.clone().into(),
            })));
        }
    }
    Ok(())
}
