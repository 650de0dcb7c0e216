//! Faults at every call: a history in which one call of a store fails, or in which the mapper or the machine dies before
//! one, and which is completed by asking again.
//!
//! Checked each time: nobody panics; what was answered is in force and what was flushed is there (after the death of
//! processes: what was written); what was asked is done or not done; completed, the history ends as if nothing had
//! happened, and nothing is left in the stores that nobody names, but
//!
//! * the one object that was granted and not committed when the fault struck (F3, F4),
//! * a journal segment that was made for a head of which nobody knows whether it was published, and
//! * after power loss, objects, pages, edges and journal segments whose deletion came undone,
//!
//! all of which `gc` finds: after it there is nothing that nobody names.

use std::collections::BTreeMap;

use archipelago_mapperd::engine::{GcMode, GcReport, MapError, Mapper, World};
use archipelago_store::StoreError;
use archipelago_store::sim::{SimStore, block_on};
use rustix::io::Errno;

use crate::client::SECTORS;
use crate::model::Model;
use crate::script::{Step, content_of, script};
use crate::seeds::fresh_seed;
use crate::space::{leaks, orphans};
use crate::world::{SimWorld, crashed, killed, mapper_of};

/// More sub-blocks than any of the volumes has.
const SUBS: u64 = 52;

type Models = BTreeMap<String, Model>;

/// Which of the two stores.
#[derive(Clone, Copy, Debug)]
enum Which {
    Maps,
    Data,
}

impl Which {
    fn of(self, mapper: &Mapper<SimWorld>) -> &SimStore {
        let world = &mapper.base().world;
        match self {
            Self::Maps => world.maps(),
            Self::Data => world.data(),
        }
    }
}

/// Asks until it is done: volumes that failed are closed, and opened when they are used again.
async fn ask_again(mapper: &Mapper<SimWorld>, step: &Step, what: &str) {
    let mut last = None;
    for _ in 0..4 {
        close_failed(mapper).await;
        match step.run(mapper).await {
            Ok(()) => return,
            Err(error) => last = Some(error),
        }
    }
    panic!("{what}: {step:?} cannot be completed: {}", last.unwrap());
}

async fn close_failed(mapper: &Mapper<SimWorld>) {
    for volume in mapper.volumes() {
        if volume.failure().is_some() {
            mapper.close_volume(&volume).await.unwrap();
        }
    }
    // One that failed while it was opened is not open: its name is closed.
    for entry in mapper.base().entries().await.unwrap() {
        if let Err(error) = mapper.open(&entry.name, false).await
            && matches!(error, MapError::Store { .. } | MapError::Failed { .. })
        {
            let closed = mapper.close(&entry.name).await;
            assert!(matches!(closed, Ok(()) | Err(MapError::NotOpen { .. })));
        }
    }
}

/// Each name says what it said before or after the step, in each sub-block.
async fn check(mapper: &Mapper<SimWorld>, before: &Models, after: &Models, what: &str) {
    let mut found = Vec::new();
    for name in ["v", "s", "c", "d", "t", "w", "r"] {
        let content = content_of(mapper, name, SUBS).await;
        let content = content.unwrap_or_else(|error| panic!("{what}: {name}: {error}"));
        let Some(content) = content else { continue };
        found.push(name.to_owned());
        let models: Vec<&Model> = [before.get(name), after.get(name)]
            .into_iter()
            .flatten()
            .collect();
        for (sub, value) in (0..).zip(&content) {
            let is_right = models.iter().any(|model| model.sub(sub) == *value);
            assert!(is_right, "{what}: {name}, sub-block {sub}: {value:?}");
        }
    }
    found.sort();
    let names = |models: &Models| models.keys().cloned().collect::<Vec<_>>();
    assert!(
        found == names(before) || found == names(after),
        "{what}: {found:?} are there"
    );
}

/// Power loss: what was not flushed may be gone. The models say what was found from then on.
async fn adopt(mapper: &Mapper<SimWorld>, models: &mut Models, after: &Models, what: &str) {
    for (name, model) in models.iter_mut() {
        let content = content_of(mapper, name, SUBS).await;
        let content = content.unwrap_or_else(|error| panic!("{what}: {name}: {error}"));
        // Renamed or removed: checked when the step is done.
        let Some(content) = content else { continue };
        println!("{what}: {name}");
        for (sub, value) in (0..).zip(content) {
            if let Some(after) = after.get(name) {
                // The step that was cut off may have been done there.
                model.before.entry(sub).or_default().push(after.sub(sub));
            }
            model.check_after_crash(sub, value);
        }
    }
}

async fn finish(mapper: &Mapper<SimWorld>, from: usize, models: &mut Models, what: &str) {
    for step in &script()[from..] {
        ask_again(mapper, step, what).await;
        step.apply(models);
    }
    check(mapper, models, models, what).await;
    for _ in 0..2 {
        close_all(mapper).await;
        mapper.empty_trash(0).await.unwrap();
    }
    close_all(mapper).await;
}

async fn close_all(mapper: &Mapper<SimWorld>) {
    // A failure that the stores remember is found when the volumes are closed.
    let _ = mapper.close_all().await;
    close_failed(mapper).await;
    mapper.close_all().await.unwrap();
}

/// Runs until a step fails; which one, and what the volumes say before it.
async fn run_until_fault(mapper: &Mapper<SimWorld>) -> (usize, Models) {
    let mut models = Models::new();
    let steps = script();
    for (index, step) in steps.iter().enumerate() {
        if step.run(mapper).await.is_err() {
            return (index, models);
        }
        step.apply(&mut models);
    }
    (steps.len(), models)
}

fn after(models: &Models, index: usize) -> Models {
    let mut after = models.clone();
    if let Some(step) = script().get(index) {
        step.apply(&mut after);
    }
    after
}

/// What may be left over: a grant that died.
fn check_leaks(leaks: &[String], index: usize, what: &str) {
    let step = script().get(index).cloned();
    let may = usize::from(step.as_ref().is_some_and(Step::writes));
    assert!(leaks.len() <= may, "{what}: {step:?} leaves {leaks:#?}");
    let is_data = |leak: &String| leak.as_bytes()[32] == b'/' && !leak.contains("missing");
    assert!(leaks.iter().all(is_data), "{what}: {leaks:#?}");
}

/// How many calls of the store the whole history makes.
fn calls_of(which: Which) -> u64 {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        let (index, mut models) = run_until_fault(&mapper).await;
        assert_eq!(index, script().len());
        let calls = which.of(&mapper).calls().total();
        finish(&mapper, index, &mut models, "without a fault").await;
        assert_eq!(leaks(&mapper).await, Vec::<String>::new());
        calls
    })
}

/// Some of so many calls: each `every`-th, from one on that is another each time. `ONLY=n` is the n-th alone.
fn some_of(calls: u64, every: u64) -> Vec<u64> {
    if let Ok(only) = std::env::var("ONLY") {
        return vec![only.parse().expect("ONLY is a number")];
    }
    let first = fresh_seed() % every;
    (first..calls).step_by(every as usize).collect()
}

fn fail_calls(which: Which, error: &StoreError) {
    for call in some_of(calls_of(which), 1) {
        let what = format!("{which:?}, call {call}: {error}");
        block_on(async {
            let mapper = mapper_of(SimWorld::new(1));
            which.of(&mapper).fail_call(call, error.clone());
            let (index, mut models) = run_until_fault(&mapper).await;
            let after = after(&models, index);
            close_failed(&mapper).await;
            check(&mapper, &models, &after, &what).await;
            finish(&mapper, index, &mut models, &what).await;
            let mut leaks = leaks(&mapper).await;
            if *error == BROKEN && leaks.len() == 1 {
                // It was begun for a head of which nobody could say whether it had been published.
                leaks.retain(|leak| !leak.starts_with("log/"));
            }
            check_leaks(&leaks, index, &what);
            collect_all(&mapper, &models, &what).await;
        });
    }
}

/// What was left is found, and nothing else goes.
async fn collect_all(mapper: &Mapper<SimWorld>, models: &Models, what: &str) {
    for _ in 0..2 {
        let report = GcReport::default();
        let collected = mapper.gc(GcMode::Collect, &report).await;
        collected.unwrap_or_else(|error| panic!("{what}: {error}"));
        mapper.empty_trash(0).await.unwrap();
    }
    close_all(mapper).await;
    let left = orphans(mapper).await;
    assert_eq!(left, Vec::<String>::new(), "{what}");
    check(mapper, models, models, what).await;
}

fn calls_to_die_at(every: u64) -> Vec<u64> {
    let mapper = mapper_of(SimWorld::in_one(1));
    block_on(run_until_fault(&mapper));
    some_of(mapper.base().world.maps().calls().total(), every)
}

fn lose_power(which: Which) {
    for call in some_of(calls_of(which), 1) {
        let what = format!("{which:?}, power loss before call {call}");
        block_on(async {
            let mapper = mapper_of(SimWorld::new(1));
            which.of(&mapper).die_before_call(call);
            let (index, mut models) = run_until_fault(&mapper).await;
            let after = after(&models, index);
            let mapper = crashed(mapper, call);
            adopt(&mapper, &mut models, &after, &what).await;
            finish(&mapper, index, &mut models, &what).await;
            let leaks = leaks(&mapper).await;
            assert!(
                leaks.iter().all(|leak| !leak.contains("missing")),
                "{what}: {leaks:#?}"
            );
            collect_all(&mapper, &models, &what).await;
        });
    }
}

const BROKEN: StoreError = StoreError::Io(Errno::IO);

/// WAL-2, CLOSE-1, DRAFT-1, GONE-1; F25, F26, F27
#[test]
fn a_call_for_maps_that_fails_once_costs_nothing_but_an_answer() {
    fail_calls(Which::Maps, &BROKEN);
}

/// F25, F26, F27
#[test]
fn a_call_for_data_that_fails_once_costs_nothing_but_an_answer() {
    fail_calls(Which::Data, &BROKEN);
}

/// F21, F22, F23
#[test]
fn a_store_that_is_full_for_a_moment_costs_nothing_but_an_answer() {
    fail_calls(Which::Maps, &StoreError::NoSpace);
    fail_calls(Which::Data, &StoreError::NoSpace);
}

/// WAL-1, CHECK-1, CHECK-2, SNAP-2, DRAFT-2, GONE-1, GONE-2, GONE-4, SPACE-3, SPACE-4; F3 to F6
#[test]
fn a_mapper_that_dies_before_any_call_leaves_what_was_answered() {
    for call in calls_to_die_at(1) {
        let what = format!("death before call {call}");
        block_on(async {
            let mapper = mapper_of(SimWorld::in_one(1));
            mapper.base().world.maps().die_before_call(call);
            let (index, mut models) = run_until_fault(&mapper).await;
            let after = after(&models, index);
            let mapper = killed(mapper);
            check(&mapper, &models, &after, &what).await;
            finish(&mapper, index, &mut models, &what).await;
            check_leaks(&leaks(&mapper).await, index, &what);
            collect_all(&mapper, &models, &what).await;
        });
    }
}

/// WAL-4, WAL-5, CHECK-1, SNAP-1; F13, F36
#[test]
fn power_that_is_lost_before_any_call_takes_nothing_that_was_flushed() {
    lose_power(Which::Maps);
    lose_power(Which::Data);
}

/// GONE-1, CHECK-2
#[test]
fn who_dies_again_while_it_recovers_leaves_what_was_answered() {
    for call in calls_to_die_at(11) {
        for again in (0..60).step_by(5) {
            let what = format!("death before call {call}, then before call {again}");
            block_on(async {
                let mapper = mapper_of(SimWorld::in_one(1));
                mapper.base().world.maps().die_before_call(call);
                let (index, mut models) = run_until_fault(&mapper).await;
                let after = after(&models, index);
                let mapper = killed(mapper);
                mapper.base().world.maps().die_before_call(again);
                if let Some(step) = script().get(index) {
                    let _ = mapper.open_left().await;
                    let _ = step.run(&mapper).await;
                    let _ = mapper.empty_trash(0).await;
                }
                let mapper = killed(mapper);
                check(&mapper, &models, &after, &what).await;
                finish(&mapper, index, &mut models, &what).await;
                let leaks = leaks(&mapper).await;
                assert!(leaks.len() <= 2, "{what}: {leaks:#?}");
            });
        }
    }
}

#[test]
fn the_model_knows_what_the_script_does() {
    let mut models = Models::new();
    script().iter().for_each(|step| step.apply(&mut models));
    assert_eq!(models["w"].sub(6), [90; SECTORS]);
    assert_eq!(models.keys().collect::<Vec<_>>(), ["w"]);
}
