//! What the outside brings: the list of exports, and the one that was opened.

use archipelago_front::{DiskFacts, Listed, OpenRefusal};

use super::{Decision, Handshake, Opening, Phase};
use crate::handshake::agreed::{Agreed, MetaContext};
use crate::handshake::answers::ExportWords;
use crate::handshake::option::Purpose;
use crate::handshake::transmission_flags;
use crate::limits::BLOCK_BYTES_PREFERRED;
use crate::wire::{InfoCode, OptionCode, OptionReply};

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
                self.answers.old_answer(self.words(&facts), self.zeroes);
                self.finish(opening, facts);
            }
            (Err(refusal), Purpose::DiskName) => {
                self.phase = Phase::Over(Decision::Close(refusal.into()));
            }
            (Err(refusal), Purpose::Info | Purpose::Go) => {
                let reply = match refusal {
                    OpenRefusal::Unknown => OptionReply::ERR_UNKNOWN,
                    OpenRefusal::Denied { .. } => OptionReply::ERR_POLICY,
                    OpenRefusal::Shutdown => OptionReply::ERR_SHUTDOWN,
                };
                self.refuse(opening.option, reply, &refusal.to_string());
            }
        }
    }

    fn words(&self, facts: &DiskFacts) -> ExportWords {
        ExportWords {
            size_bytes: facts.size_bytes,
            transmission_flags: transmission_flags(facts.features, self.mode),
        }
    }

    fn inform(&mut self, opening: &Opening, facts: &DiskFacts) {
        let option = opening.option;
        self.answers.info_export(option, self.words(facts));
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
        let selected = self.selected.as_ref().is_some_and(|selected| {
            selected.allocation && selected.name == opening.name.as_str().as_bytes()
        });
        self.phase = Phase::Over(Decision::Transmit(Box::new(Agreed {
            name: opening.name,
            facts,
            mode: self.mode,
            context: selected.then_some(MetaContext::ALLOCATION),
        })));
    }
}
