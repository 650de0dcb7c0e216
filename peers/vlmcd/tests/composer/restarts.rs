//! A composer that dies with requests under way, and its successor.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{ATTACH, NOT_KEPT, RecallKind};
use archipelago_runtime::{Handle, Reactor, ReactorOptions};
use archipelago_vlmcd::serve;
use xseg::{BindOptions, Errno, JoinOptions, OpCode, Place, Segment};

use crate::mapper::Moods;
use crate::naive::Volume;
use crate::random::{Model, check_all, work};
use crate::world::{COMPOSER, Random, named_segment, options, run_in};

const STEPS: u64 = 90;
const SIZE: u64 = 3 * 65_536 + 5_000;

/// Names the segment to a composer in a process of its own.
const PLACE: &str = "VLMCD_TEST_SEGMENT";

/// Not a test of anything by itself: the process that others kill.
#[test]
fn a_composer_in_a_process_of_its_own() {
    let Ok(path) = std::env::var(PLACE) else {
        return;
    };
    let path = Path::new(&path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap();
    let place = Place::within(path.parent().unwrap(), name).unwrap();
    let segment = JoinOptions::new().join(&place).unwrap();
    let port = segment.bind(COMPOSER, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let composer = serve(&handle, &handle.station(), options(&segment));
    println!("\nready");
    reactor.block_on(async move {
        let until_told = || std::io::stdin().read(&mut [0]).map(drop);
        handle.blocking(until_told).await.unwrap();
        composer.drain().await;
    });
}

/// The life of such a process.
struct Life {
    child: Child,
    /// Open as long as it lives: it goes on writing there.
    _said: BufReader<ChildStdout>,
}

impl Life {
    fn begin(segment: &Segment) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("restarts::a_composer_in_a_process_of_its_own")
            .env(PLACE, segment.place().path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let is_ready = said.by_ref().lines().any(|line| line.unwrap() == "ready");
        assert!(is_ready, "it ends before it serves");
        Self { child, _said: said }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to end, which it does in good order.
    async fn drain(mut self, handle: &Handle) -> bool {
        drop(self.child.stdin.take());
        let ended = handle.blocking(move || self.child.wait()).await;
        ended.unwrap().success()
    }
}

/// S7, S8, D1, ATTACH-2, RECALL-2, CORPHAN-1, CORPHAN-2
#[test]
fn what_a_composer_held_when_it_died_is_done_by_the_next_one() {
    for seed in 1..4 {
        let segment = named_segment(&format!("restarts-{seed}"));
        run_in(&segment, seed, |world| async move {
            world.mapper.add("v", Volume::new(1, SIZE));
            world.mapper.moods.set(Moods {
                stale: 20,
                wide: 50,
                dies: 0,
                delay_us: 500,
            });
            world.blocker.delay_us.set(800);
            let mut life = Life::begin(&world.segment);
            let model = Rc::new(Model::new(&Random::new(seed), SIZE, 4));
            let mut tasks = Vec::new();
            for who in 0..4 {
                let (client, model) = (world.client("v"), model.clone());
                let work = async move { work(client, &model, seed, who, STEPS).await };
                tasks.push(world.handle.spawn(work));
            }
            for death in 0..5_u8 {
                world.handle.sleep(Duration::from_millis(25)).await;
                // The mapper waits for the one that dies, and for its successor then.
                let (own, name) = (world.clone(), format!("s{death}"));
                let snapshot = async move { own.mapper.snapshot("v", &name, 50 + death).await };
                let snapshot = world.handle.spawn(snapshot);
                world.handle.sleep(Duration::from_micros(300)).await;
                life.kill();
                life = Life::begin(&world.segment);
                snapshot.await;
            }
            assert!(model.steps.get() < 4 * STEPS, "they all died too late");
            for task in tasks {
                task.await;
            }
            let expected = model.bytes.borrow().clone();
            check_all(&world.client("v"), &expected).await;
            assert!(life.drain(&world.handle).await);
            world.mapper.with("v", |volume| {
                assert!(volume.grants.is_empty() && volume.composers.is_empty());
            });
        });
        Segment::destroy(segment.place(), &JoinOptions::new(), true).unwrap();
    }
}

/// USE-1, USERS-1, USING-2: nobody has to say again that he uses a volume.
#[test]
fn who_uses_a_volume_is_known_to_the_composers_successor() {
    let segment = named_segment("users");
    run_in(&segment, 9, |world| async move {
        world.mapper.add("v", Volume::new(1, SIZE));
        let life = Life::begin(&world.segment);
        let client = world.client("v");
        let used = client.open(&world.handle, 1);
        client.write(0, &[1; 100]).await.unwrap();
        life.kill();
        // Asked when nobody is there to answer, and again when the successor may not know the volume yet.
        let own = world.clone();
        let all = (0, u64::MAX);
        let detach = async move {
            own.mapper
                .recall("v", RecallKind::Detach, all, u32::MAX)
                .await
        };
        let detached = world.handle.spawn(detach);
        world.handle.sleep(Duration::from_millis(5)).await;
        let life = Life::begin(&world.segment);
        assert_eq!(detached.await, Err(Errno::BUSY));
        let detach = || world.mapper.recall("v", RecallKind::Detach, all, u32::MAX);
        assert_eq!(detach().await, Err(Errno::BUSY));
        assert_eq!(client.close(1).await, Ok(1));
        assert_eq!(used.await, Ok(0));
        assert_eq!(detach().await, Ok(()));
        // One that leaves in good order says so, and the next one is asked.
        let used = client.open(&world.handle, 2);
        assert_eq!(client.read(0, 100).await, Ok(vec![1; 100]));
        assert!(life.drain(&world.handle).await);
        assert_eq!(used.await, Err(Errno::SHUTDOWN));
    });
    Segment::destroy(segment.place(), &JoinOptions::new(), true).unwrap();
}

/// USERS-3, COMPOSE-4: composer and mapper die at once, and another node has the volume when they are back.
#[test]
fn by_which_token_it_was_had_is_known_to_the_composers_successor_while_it_is_used() {
    let segment = named_segment("had");
    run_in(&segment, 10, |world| async move {
        world.mapper.add("v", Volume::new(1, SIZE));
        world.mapper.with("v", |volume| volume.token = 5);
        let life = Life::begin(&world.segment);
        let client = world.client("v");
        let used = client.open(&world.handle, 1);
        client.write(0, &[1; 100]).await.unwrap();
        life.kill();
        world.mapper.with("v", |volume| {
            (volume.epoch, volume.token, volume.is_lost) = (NOT_KEPT, 0, true);
        });
        for _ in 0..2 {
            let life = Life::begin(&world.segment);
            client.plain(OpCode::FLUSH, 0, 0).await.unwrap();
            let said = [ATTACH, OpCode::FLUSH].map(|op| world.mapper.had_by(op));
            assert_eq!(said, [5, 5]); // USERS-3
            life.kill();
        }
        let life = Life::begin(&world.segment);
        assert_eq!(client.close(1).await, Ok(1));
        assert_eq!(used.await, Ok(0));
        assert!(life.drain(&world.handle).await);
    });
    Segment::destroy(segment.place(), &JoinOptions::new(), true).unwrap();
}
