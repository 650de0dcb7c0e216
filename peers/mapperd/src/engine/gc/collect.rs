//! A collection, from the first look to the last judgement.

use super::heads::Heads;
use super::limits::Limits;
use super::mark::Marks;
use super::report::Report;
use crate::engine::error::MapError;
use crate::engine::mapper::Mapper;
use crate::engine::world::World;

/// Objects that are looked at before the others have their turn again.
pub const AT_ONCE: usize = 32;

/// Is what is found given back?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    DryRun,
    Collect,
}

impl<W: World> Judge<'_, W> {
    /// Between pieces: others have their turn, and a mapper that stops gives up.
    pub async fn rest(&self) -> Result<(), MapError> {
        self.mapper.base.world.pause().await;
        if self.mapper.is_stopping.get() {
            return Err(MapError::Stopping);
        }
        Ok(())
    }
}

impl<W: World> Mapper<W> {
    /// Finds what nobody names, and gives it back.
    pub async fn gc(&self, mode: Mode, report: &Report) -> Result<(), MapError> {
        // What is on its way out is the trash's.
        let _emptying = self.emptying.lock().await;
        // GC-5
        let id = self.base.world.random_id();
        let turn = self.begin_collecting(id).await?;
        if let Err(who) = &turn {
            report.note(format!("content is not judged: {who} makes some"));
        }
        let collected = self.collect(mode, report, turn.is_ok()).await;
        if turn.is_ok() {
            self.end_collecting(id).await?;
        }
        collected
    }

    async fn collect(
        &self,
        mode: Mode,
        report: &Report,
        may_judge_content: bool,
    ) -> Result<(), MapError> {
        let mut heads = Heads::default();
        let collected = self
            .collect_with(mode, report, may_judge_content, &mut heads)
            .await;
        for id in heads.take_opened() {
            self.close_unused(id).await;
        }
        collected
    }

    async fn collect_with(
        &self,
        mode: Mode,
        report: &Report,
        may_judge_content: bool,
        heads: &mut Heads<W>,
    ) -> Result<(), MapError> {
        self.read_heads(heads).await?;
        let mut limits = self.limits(heads).await?;
        let map_groups = self.base.groups_of(self.base.maps()).await?;
        let data_groups = self.base.groups_of(self.base.data()).await?;
        // GC-2
        heads.read_anew();
        self.read_heads(heads).await?;
        let mut marks = Marks::default();
        loop {
            for (id, head) in heads.take_new() {
                self.mark(id, &head, &mut marks).await?;
            }
            if !self.read_heads(heads).await? {
                break;
            }
        }
        heads.check_locks().await?;
        limits.add_young(heads.all().map(|(id, _)| id));
        let judge = Judge {
            mapper: self,
            mode,
            report,
            limits: &limits,
            marks: &marks,
            nobody_makes: may_judge_content,
        };
        judge.sweep_maps(&map_groups, heads).await?;
        judge.sweep_data(&data_groups, heads).await?;
        if may_judge_content {
            match heads.forget_content().await {
                Ok(()) => judge.sweep_content(&data_groups).await?,
                Err(why) => report.note(format!("content is not judged: {why}")),
            }
        }
        Ok(())
    }
}

/// Decides on one object after the other.
#[derive(Debug)]
pub struct Judge<'a, W: World> {
    pub mapper: &'a Mapper<W>,
    pub mode: Mode,
    pub report: &'a Report,
    pub limits: &'a Limits,
    pub marks: &'a Marks,
    /// No content is being made, here or elsewhere.
    pub nobody_makes: bool,
}
