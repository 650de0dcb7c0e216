//! What is read without being open: snapshots, which never change, and volumes whose lock somebody else holds.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::engine::{ComposerId, View};
use crate::map::VolumeId;

/// Snapshots that composers use.
#[derive(Debug, Default)]
pub struct Still {
    snapshots: RefCell<BTreeMap<VolumeId, Attached>>,
}

#[derive(Debug)]
struct Attached {
    view: Rc<View>,
    composers: BTreeSet<ComposerId>,
}

impl Still {
    pub fn view(&self, id: VolumeId) -> Option<Rc<View>> {
        self.snapshots
            .borrow()
            .get(&id)
            .map(|attached| attached.view.clone())
    }

    pub fn attach(&self, view: Rc<View>, composer: ComposerId) {
        let mut snapshots = self.snapshots.borrow_mut();
        let attached = snapshots.entry(view.head.id).or_insert_with(|| Attached {
            view,
            composers: BTreeSet::new(),
        });
        attached.composers.insert(composer);
    }

    pub fn detach(&self, id: VolumeId, composer: ComposerId) {
        let mut snapshots = self.snapshots.borrow_mut();
        if let Some(attached) = snapshots.get_mut(&id) {
            attached.composers.remove(&composer);
            if attached.composers.is_empty() {
                snapshots.remove(&id);
            }
        }
    }

    pub fn composers(&self, id: VolumeId) -> Vec<ComposerId> {
        let snapshots = self.snapshots.borrow();
        let attached = snapshots.get(&id);
        attached.map_or_else(Vec::new, |attached| {
            attached.composers.iter().copied().collect()
        })
    }
}
