//! What the outside brings: the list of exports, and the one that was opened.

use archipelago_front::{DiskFacts, DiskName, Listed, OpenRefusal};

use super::{Decision, Finding, Handshake, Opening, Phase, Selected};
use crate::handshake::agreed::Agreed;
use crate::handshake::answers::ExportWords;
use crate::handshake::context::{ContextKind, MetaContext};
use crate::handshake::option::Purpose;
use crate::handshake::transmission_flags;
use crate::limits::BLOCK_BYTES_PREFERRED;
use crate::wire::{InfoCode, OptionCode, OptionReply, ReplyMode, transmission_flags as flags};

impl Handshake {
    /// The answer to [`Decision::List`]. Without a list the client is told why.
    pub fn listed(&mut self, exports: Result<&[Listed], &str>) {
        assert!(
            matches!(self.phase, Phase::Listing),
            "nobody asked for a list"
        );
        let option = OptionCode::LIST;
        self.phase = Phase::Header;
        match exports {
            Ok(exports) => {
                for Listed { name, description } in exports {
                    self.answers.server(option, name, description);
                }
                self.answers.answer(option, OptionReply::ACK, &[]);
            }
            Err(why) => self.refuse(option, OptionReply::ERR_PLATFORM, why),
        }
    }

    /// The answer to [`Decision::StartTls`]: what comes from now on came encrypted. What was agreed on before could be anybody's
    /// (HANDSHAKE-5).
    pub fn secured(&mut self) {
        assert!(
            matches!(self.phase, Phase::Securing),
            "nobody asked for encryption"
        );
        self.phase = Phase::Header;
        self.mode = ReplyMode::Simple;
        self.selected = None;
        self.is_secure = true;
    }

    /// The answer to [`Decision::Open`].
    pub fn opened(&mut self, outcome: Result<DiskFacts, OpenRefusal>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Header);
        let Phase::Opening(opening) = phase else {
            panic!("nobody asked for an export to be opened");
        };
        match (outcome, opening.purpose) {
            (Ok(facts), Purpose::Info) => self.inform(&opening, &facts),
            (Ok(facts), Purpose::Go) => {
                self.inform(&opening, &facts);
                self.finish(opening, facts);
            }
            (Ok(facts), Purpose::DiskName) => {
                let words = self.words(&opening, &facts);
                self.answers.old_answer(words, self.zeroes);
                self.finish(opening, facts);
            }
            (Err(refusal), Purpose::DiskName) => {
                self.phase = Phase::Over(Decision::Close(refusal.into()));
            }
            (Err(refusal), Purpose::Info | Purpose::Go) => {
                self.refuse_export(opening.option, &refusal);
            }
        }
    }

    fn refuse_export(&mut self, option: OptionCode, refusal: &OpenRefusal) {
        let reply = match refusal {
            OpenRefusal::Unknown => OptionReply::ERR_UNKNOWN,
            OpenRefusal::Denied { .. } => OptionReply::ERR_POLICY,
            OpenRefusal::Shutdown => OptionReply::ERR_SHUTDOWN,
        };
        self.refuse(option, reply, &refusal.to_string());
    }

    /// The answer to [`Decision::FindSnapshots`]: those that the export can tell changes since.
    pub fn found(&mut self, found: Result<&[DiskName], OpenRefusal>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Header);
        let Phase::Finding(mut finding) = phase else {
            panic!("nobody asked for snapshots");
        };
        match found {
            Ok(found) => {
                finding.wanted.retain(|kind| match kind {
                    ContextKind::Allocation => true,
                    ContextKind::ChangedSince(snapshot) => found.contains(snapshot),
                });
                self.tell_contexts(finding);
            }
            Err(refusal) => self.refuse_export(finding.option, &refusal),
        }
    }

    pub(super) fn tell_contexts(&mut self, finding: Finding) {
        let Finding {
            option,
            name,
            wanted,
        } = finding;
        let contexts: Vec<MetaContext> = (1..)
            .zip(wanted)
            .map(|(number, kind)| MetaContext { number, kind })
            .collect();
        let selects = option == OptionCode::SET_META_CONTEXT;
        for MetaContext { number, kind } in &contexts {
            // Numbers are given only to what was selected.
            let number = if selects { *number } else { 0 };
            self.answers.context(option, number, &kind.name());
        }
        self.answers.answer(option, OptionReply::ACK, &[]);
        if selects {
            self.selected = Some(Selected { name, contexts });
        }
    }

    fn words(&self, opening: &Opening, facts: &DiskFacts) -> ExportWords {
        // Who only looks may select a context later.
        let may_ask = opening.purpose == Purpose::Info || !self.selected_for(opening).is_empty();
        let filters = match self.mode {
            ReplyMode::Extended if may_ask => flags::BLOCK_STATUS_PAYLOAD,
            _ => 0,
        };
        ExportWords {
            size_bytes: facts.size_bytes,
            transmission_flags: transmission_flags(facts.features, self.mode) | filters,
        }
    }

    fn selected_for(&self, opening: &Opening) -> &[MetaContext] {
        let selected = self.selected.as_ref();
        let selected = selected.filter(|selected| selected.name == opening.name);
        selected.map_or(&[], |selected| &selected.contexts)
    }

    fn inform(&mut self, opening: &Opening, facts: &DiskFacts) {
        let option = opening.option;
        let words = self.words(opening, facts);
        self.answers.info_export(option, words);
        let wants = |code| opening.wanted.contains(&code);
        if wants(InfoCode::NAME) {
            let name = opening.name.as_str().as_bytes();
            self.answers.info(option, InfoCode::NAME, name);
        }
        if wants(InfoCode::DESCRIPTION) && !facts.description.is_empty() {
            let description = facts.description.as_bytes();
            self.answers
                .info(option, InfoCode::DESCRIPTION, description);
        }
        if wants(InfoCode::BLOCK_SIZE) {
            let max = self.options.payload_bytes_max;
            let sizes = [1, BLOCK_BYTES_PREFERRED.min(max), max];
            self.answers.info_block_size(option, sizes);
        }
        self.answers.answer(option, OptionReply::ACK, &[]);
    }

    fn finish(&mut self, opening: Opening, facts: DiskFacts) {
        let contexts = self.selected_for(&opening).to_vec();
        self.phase = Phase::Over(Decision::Transmit(Box::new(Agreed {
            name: opening.name,
            facts,
            mode: self.mode,
            contexts,
        })));
    }
}
