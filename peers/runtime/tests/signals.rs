//! Signals of the whole process, which has blocked them before it has a second thread: so not in the usual harness.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]

use std::time::Duration;

use archipelago_runtime::{Reactor, ReactorOptions, Signal, block_signals};
use xseg::{BindOptions, CreateOptions, Geometry, WaitMethod};

fn main() {
    block_signals(&[Signal::USR1, Signal::TERM]).unwrap();
    for way in [WaitMethod::Auto, WaitMethod::Futex] {
        signals_are_awaited_and_wake_a_sleeping_reactor(way);
    }
}

fn signals_are_awaited_and_wake_a_sleeping_reactor(way: WaitMethod) {
    let segment = CreateOptions::new(Geometry::new(2, 1, 16).unwrap())
        .create_private()
        .unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default().wait_method(way)).unwrap();
    let handle = reactor.handle();
    let limited = handle.timeout(Duration::from_secs(20), {
        let handle = handle.clone();
        async move {
            let mut signals = handle.signals(&[Signal::USR1, Signal::TERM]).unwrap();
            let early = handle.timeout(Duration::from_millis(5), signals.next());
            assert!(early.await.is_err(), "nobody has sent one");
            for signal in [Signal::USR1, Signal::TERM, Signal::USR1] {
                let sender = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
                });
                assert_eq!(signals.next().await.unwrap(), signal);
                sender.join().unwrap();
            }
        }
    });
    reactor.block_on(limited).expect("it took too long");
}
