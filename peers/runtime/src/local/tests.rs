//! The primitives against naive models, with futures dropped at any moment.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;

use super::{Acquire, Canceled, Gate, Mutex, Notified, Notify, Permit, Semaphore, either, oneshot};

/// Counts its wake-ups.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What somebody does with a semaphore; numbers choose among those who wait, or hold.
#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(usize),
    TryAcquire(usize),
    Poll(usize),
    DropWaiting(usize),
    DropPermit(usize),
    Add(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..4).prop_map(Step::Acquire),
        1 => (1_usize..4).prop_map(Step::TryAcquire),
        4 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::DropWaiting),
        4 => any::<usize>().prop_map(Step::DropPermit),
        1 => (1_usize..3).prop_map(Step::Add),
    ]
}

/// Whoever stands first and can be served is served: a list, walked from the front after each change.
#[derive(Default)]
struct Model {
    available: usize,
    waiting: VecDeque<(u32, usize)>,
    chosen: Vec<(u32, usize)>,
}

impl Model {
    fn serve(&mut self) {
        while let Some((_, asks)) = self.waiting.front().copied() {
            if asks > self.available {
                return;
            }
            self.available -= asks;
            self.chosen.extend(self.waiting.pop_front());
        }
    }

    fn give_up(&mut self, who: u32) {
        self.waiting.retain(|(other, _)| *other != who);
        if let Some(place) = self.chosen.iter().position(|(other, _)| *other == who) {
            self.available += self.chosen.swap_remove(place).1;
        }
        self.serve();
    }
}

struct Waiting<'a> {
    who: u32,
    wakes: Arc<Wakes>,
    acquire: Pin<Box<Acquire<'a>>>,
}

impl<'a> Waiting<'a> {
    fn poll(&mut self) -> Poll<Permit<'a>> {
        let waker = self.wakes.clone().into();
        self.acquire.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// A semaphore, its model, and who has what of it.
struct Run<'a> {
    semaphore: &'a Semaphore,
    model: Model,
    made: usize,
    waiting: Vec<Waiting<'a>>,
    held: Vec<(usize, Permit<'a>)>,
}

impl<'a> Run<'a> {
    fn new(semaphore: &'a Semaphore) -> Self {
        let made = semaphore.available();
        Self {
            semaphore,
            model: Model {
                available: made,
                ..Model::default()
            },
            made,
            waiting: Vec::new(),
            held: Vec::new(),
        }
    }

    fn take(&mut self, who: u32, step: Step) {
        match step {
            Step::Acquire(asks) => self.acquire(who, asks),
            Step::TryAcquire(asks) => {
                let at_once = self.is_free(asks);
                let permit = self.semaphore.try_acquire(asks);
                assert_eq!(permit.is_some(), at_once);
                if let Some(permit) = permit {
                    self.model.available -= asks;
                    self.held.push((asks, permit));
                }
            }
            Step::Poll(index) if !self.waiting.is_empty() => self.poll(index % self.waiting.len()),
            Step::DropWaiting(index) if !self.waiting.is_empty() => {
                let one = self.waiting.swap_remove(index % self.waiting.len());
                self.model.give_up(one.who);
            }
            Step::DropPermit(index) if !self.held.is_empty() => {
                let (permits, permit) = self.held.swap_remove(index % self.held.len());
                drop(permit);
                self.model.available += permits;
                self.model.serve();
            }
            Step::Add(permits) => {
                self.semaphore.add(permits);
                self.made += permits;
                self.model.available += permits;
                self.model.serve();
            }
            _ => {}
        }
    }

    fn is_free(&self, asks: usize) -> bool {
        self.model.waiting.is_empty() && self.model.available >= asks
    }

    fn acquire(&mut self, who: u32, asks: usize) {
        let mut one = Waiting {
            who,
            wakes: Arc::default(),
            acquire: Box::pin(self.semaphore.acquire(asks)),
        };
        let at_once = self.is_free(asks);
        match one.poll() {
            Poll::Ready(permit) => {
                assert!(at_once, "overtook somebody (PERMIT-1)");
                self.model.available -= asks;
                self.held.push((asks, permit));
            }
            Poll::Pending => {
                assert!(!at_once, "waits for nothing (PERMIT-3)");
                self.model.waiting.push_back((who, asks));
                self.waiting.push(one);
            }
        }
    }

    fn poll(&mut self, index: usize) {
        let chosen = &mut self.model.chosen;
        let who = self.waiting[index].who;
        let place = chosen.iter().position(|(other, _)| *other == who);
        match (self.waiting[index].poll(), place) {
            (Poll::Ready(permit), Some(place)) => {
                self.held.push((chosen.swap_remove(place).1, permit));
                drop(self.waiting.swap_remove(index));
            }
            (Poll::Pending, None) => {}
            _ => panic!("the model disagrees about {who}"),
        }
    }

    /// Who has what, and who was woken.
    fn check(&self) {
        let model = &self.model;
        let out: usize = self.held.iter().map(|(permits, _)| permits).sum();
        let chosen: usize = model.chosen.iter().map(|(_, permits)| permits).sum();
        let available = self.semaphore.available();
        assert_eq!(available, model.available);
        assert_eq!(available + out + chosen, self.made, "PERMIT-2");
        for one in &self.waiting {
            let is_chosen = model.chosen.iter().any(|(who, _)| *who == one.who);
            assert_eq!(one.wakes.0.load(Ordering::Relaxed) > 0, is_chosen);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_semaphore_serves_as_a_list_walked_from_the_front_does(
        permits in 0_usize..4,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        // PERMIT-1, PERMIT-2, PERMIT-3
        let semaphore = Semaphore::new(permits);
        let mut run = Run::new(&semaphore);
        for (who, step) in (0..).zip(steps) {
            run.take(who, step);
            run.check();
        }
    }

    #[test]
    fn a_mutex_goes_around_in_order_whoever_gives_up(given_up in proptest::collection::vec(any::<bool>(), 1..20)) {
        let mutex = Mutex::new(Vec::new());
        let first = mutex.try_lock().expect("nobody has it");
        let mut waiting: Vec<_> = given_up.iter().map(|_| Some(Box::pin(mutex.lock()))).collect();
        for one in waiting.iter_mut().flatten() {
            assert!(poll(one.as_mut()).is_pending());
        }
        assert!(mutex.try_lock().is_none());
        drop(first);
        for (number, gives_up) in given_up.iter().enumerate() {
            // Each one is chosen by now; those who give up have not noticed.
            let mut one = waiting[number].take().expect("taken once");
            if *gives_up {
                continue;
            }
            match poll(one.as_mut()) {
                Poll::Ready(mut list) => list.push(number),
                Poll::Pending => panic!("{number} is first and waits"),
            }
        }
        let expected: Vec<_> = (0..given_up.len()).filter(|number| !given_up[*number]).collect();
        drop(waiting);
        assert_eq!(mutex.into_inner(), expected);
    }

    #[test]
    fn notifications_are_as_many_as_those_who_notice_or_one_is_kept(
        steps in proptest::collection::vec((0..5_u8, any::<usize>()), 1..80),
    ) {
        // NOTIFY-1, NOTIFY-2
        let notify = Notify::new();
        let mut waiting: Vec<(Pin<Box<Notified<'_>>>, Told)> = Vec::new();
        let mut kept = false;
        for (what, index) in steps {
            match what {
                0 => {
                    let mut one = Box::pin(notify.notified());
                    let noticed = poll(one.as_mut()).is_ready();
                    assert_eq!(noticed, std::mem::take(&mut kept));
                    if !noticed {
                        waiting.push((one, Told::Nothing));
                    }
                }
                1 => {
                    notify.notify_one();
                    kept |= !tell_first(&mut waiting);
                }
                2 => {
                    notify.notify_all();
                    for (_, told) in &mut waiting {
                        if *told == Told::Nothing {
                            *told = Told::ByAll;
                        }
                    }
                }
                3 if !waiting.is_empty() => {
                    // In order, for the model tells who came first by it.
                    let (one, told) = waiting.remove(index % waiting.len());
                    drop(one);
                    if told == Told::ByOne {
                        kept |= !tell_first(&mut waiting);
                    }
                }
                _ if !waiting.is_empty() => {
                    let index = index % waiting.len();
                    let (one, told) = &mut waiting[index];
                    assert_eq!(poll(one.as_mut()).is_ready(), *told != Told::Nothing);
                    if *told != Told::Nothing {
                        drop(waiting.remove(index));
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    ByOne,
    ByAll,
}

fn tell_first(waiting: &mut [(Pin<Box<Notified<'_>>>, Told)]) -> bool {
    let first = waiting.iter_mut().find(|(_, told)| *told == Told::Nothing);
    first.is_some_and(|(_, told)| {
        *told = Told::ByOne;
        true
    })
}

#[test]
fn a_oneshot_brings_its_value_or_says_that_none_will_come() {
    let (sender, mut receiver) = oneshot();
    assert!(poll(Pin::new(&mut receiver)).is_pending());
    assert_eq!(sender.send(5), Ok(()));
    assert_eq!(poll(Pin::new(&mut receiver)), Poll::Ready(Ok(5)));
    let (sender, mut receiver) = oneshot::<u8>();
    drop(sender);
    assert_eq!(poll(Pin::new(&mut receiver)), Poll::Ready(Err(Canceled)));
    let (sender, receiver) = oneshot();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send("back"), Err("back"));
}

#[test]
fn a_oneshot_wakes_its_receiver_once() {
    let wakes = Arc::<Wakes>::default();
    let waker = wakes.clone().into();
    let (sender, mut receiver) = oneshot();
    let pending = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
    assert!(pending.is_pending());
    assert!(sender.send(()).is_ok());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_gate_is_empty_when_all_have_left_and_not_before() {
    let gate = Gate::new();
    assert!(poll(std::pin::pin!(gate.empty())).is_ready());
    let inside: RefCell<Vec<_>> = RefCell::new((0..3).map(|_| gate.enter()).collect());
    let mut empty = std::pin::pin!(gate.empty());
    let left = Rc::new(Cell::new(0));
    while let Some(guard) = inside.borrow_mut().pop() {
        assert!(poll(empty.as_mut()).is_pending());
        drop(guard);
        left.set(left.get() + 1);
    }
    assert_eq!((left.get(), gate.inside()), (3, 0));
    assert!(poll(empty).is_ready());
}

#[test]
fn of_two_the_first_is_given_unless_the_second_was_there_before() {
    let (first, second) = (Notify::new(), Notify::new());
    let waiting = || {
        let first = async {
            first.notified().await;
            1
        };
        Box::pin(either(first, second.notified()))
    };
    let mut both = waiting();
    assert_eq!(poll(both.as_mut()), Poll::Pending);
    first.notify_all();
    second.notify_all();
    assert_eq!(poll(both.as_mut()), Poll::Ready(Some(1)));
    let mut last = waiting();
    assert_eq!(poll(last.as_mut()), Poll::Pending);
    second.notify_all();
    assert_eq!(poll(last.as_mut()), Poll::Ready(None));
}
