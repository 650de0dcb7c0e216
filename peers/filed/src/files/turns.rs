//! Turns at a name: opening, making, replacing and deleting what has it happen one after the other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use archipelago_runtime::local;
use archipelago_store::ObjectName;

/// Who is at which name. Only names where somebody is take room.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    names: RefCell<HashMap<ObjectName, Rc<local::Semaphore>>>,
}

/// One's turn at a name.
#[derive(Debug)]
#[must_use = "dropping it ends the turn"]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    name: ObjectName,
    semaphore: Rc<local::Semaphore>,
}

/// Asking for a turn: ended when it is dropped, also before it was one's turn.
struct Asking<'a> {
    turns: &'a Turns,
    name: Option<ObjectName>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.turns.tidy(name);
        }
    }
}

impl Turns {
    pub async fn at(&self, name: &ObjectName) -> Turn<'_> {
        let semaphore = {
            let mut names = self.names.borrow_mut();
            let entry = names.entry(name.clone());
            let made = entry.or_insert_with(|| Rc::new(local::Semaphore::new(1)));
            made.clone()
        };
        let mut asking = Asking {
            turns: self,
            name: Some(name.clone()),
        };
        semaphore.acquire(1).await.forget(); // the turn gives it back
        let name = asking.name.take().expect("it was put there above");
        Turn {
            turns: self,
            name,
            semaphore,
        }
    }

    /// Forgets a name where nobody is: nobody else has the semaphore.
    fn tidy(&self, name: &ObjectName) {
        let mut names = self.names.borrow_mut();
        let is_last = names
            .get(name)
            .is_some_and(|semaphore| Rc::strong_count(semaphore) <= 2);
        if is_last {
            names.remove(name);
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.names.borrow().len()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.semaphore.add(1);
        self.turns.tidy(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archipelago_store::sim::{Interleave, yield_now};
    use std::cell::Cell;

    #[test]
    fn turns_at_a_name_are_taken_one_after_the_other_and_leave_nothing() {
        for seed in 0..30 {
            let (turns, busy) = (Turns::default(), [Cell::new(false), Cell::new(false)]);
            let mut tasks = Interleave::new(seed);
            for task in 0..8_usize {
                let (turns, busy) = (&turns, &busy[task % 2]);
                let name = ObjectName::new(&[b'a' + (task % 2) as u8]).unwrap();
                tasks.add(async move {
                    for _ in 0..3 {
                        let turn = turns.at(&name).await;
                        assert!(!busy.replace(true));
                        yield_now().await;
                        busy.set(false);
                        drop(turn);
                    }
                });
            }
            assert_eq!(tasks.run_at_most(1_000_000), Ok(()));
            assert_eq!(turns.count(), 0, "seed {seed}");
        }
    }
}
