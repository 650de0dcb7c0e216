//! A name as a disk has it: what it stood for, from the last durable moment until now.
//!
//! A crash image takes any of these states. A sync ends at the last state that it makes durable: all earlier ones
//! are past.

use std::collections::BTreeSet;

use super::random::SimRandom;
use crate::contract::Scope;

/// Which inode; a name may stand for nothing.
pub(super) type InodeNumber = u64;

#[derive(Clone, Debug, Default)]
struct State {
    inode: Option<InodeNumber>,
    /// For whom it must be made durable.
    scopes: BTreeSet<Scope>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Never empty. The first is durable, the last is what is seen.
    states: Vec<State>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            states: vec![State::default()],
        }
    }
}

impl Entry {
    fn last(&mut self) -> &mut State {
        self.states.last_mut().expect("an entry has a state")
    }

    /// What the name stands for now.
    pub fn live(&self) -> Option<InodeNumber> {
        self.states.last().expect("an entry has a state").inode
    }

    /// The name stands for this from now on, durable after a sync of the scope.
    pub fn change(&mut self, scope: Scope, inode: InodeNumber) {
        self.states.push(State {
            inode: Some(inode),
            scopes: BTreeSet::from([scope]),
        });
    }

    /// Something was written under this name: a sync of the scope has to make the name durable too.
    pub fn touch(&mut self, scope: Scope) {
        if self.states.len() > 1 {
            self.last().scopes.insert(scope);
        }
    }

    /// The name stands for nothing from now on, durable after a sync of any scope.
    pub fn remove(&mut self) {
        self.states.push(State::default());
    }

    /// The name stands for this, whatever happens (STORE-3).
    pub fn settle(&mut self, inode: InodeNumber) {
        self.states = vec![State {
            inode: Some(inode),
            scopes: BTreeSet::new(),
        }];
    }

    /// A sync of the scope makes its own states durable, and every removal.
    pub fn sync(&mut self, scope: Scope) {
        let settled = self
            .states
            .iter()
            .rposition(|state| state.inode.is_none() || state.scopes.contains(&scope));
        if let Some(settled) = settled {
            self.states.drain(..settled);
        }
        if self.states.len() == 1 {
            self.last().scopes.clear();
        }
    }

    /// Any of its states, as a power loss may leave it.
    pub fn crash(&self, random: &mut SimRandom) -> Option<InodeNumber> {
        let chosen = random.below(self.states.len() as u64) as usize;
        self.states[chosen].inode
    }

    /// The inodes that it still may come back to.
    pub fn inodes(&self) -> impl Iterator<Item = InodeNumber> {
        self.states.iter().filter_map(|state| state.inode)
    }

    /// Nothing is left of it.
    pub fn is_gone(&self) -> bool {
        self.states.len() == 1 && self.live().is_none()
    }
}
