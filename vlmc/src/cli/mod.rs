//! The command lines of both programs: from words to an exit code.
//!
//! ```text
//! words --parse--> VlmcArgs --vlmc::run(.., Volumes)--> Answer | ErrorReport --Output::finish--> text or JSON, exit code
//! ```
//! What is done is behind two traits, [`Volumes`] and [`Node`]; everything else of a command is here: help, completions,
//! manual pages, tables, JSON, errors. Exit codes and names of errors are a table of `archipelago_protocol::ErrorCode`.

mod answer;
pub mod archipelago;
mod archipelago_args;
mod clock;
pub mod complete;
mod config_command;
mod error_report;
mod lock_answers;
mod man;
mod node;
mod output;
mod parse;
mod print_form;
mod progress;
mod streams;
mod table;
#[cfg(test)]
mod tests;
pub mod vlmc;
mod vlmc_args;
mod volumes;

pub use answer::Answer;
pub use archipelago_args::{ArchipelagoArgs, ArchipelagoCommand, ConfigCommand, Shell};
pub use clock::span;
pub use config_command::{code_of, report as config_report};
pub use error_report::ErrorReport;
pub use man::write_pages;
pub use node::{Finding, Grade, Node, NodeStatus, Quickstart, RoleState, RoleStatus, Scope};
pub use output::{Output, wants_colour};
pub use parse::parse;
pub use progress::Progress;
pub use streams::on_streams;
pub use table::Table;
pub use vlmc_args::{AttachKind, CreateArgs, MapArgs, OneVolume, PrintForm, VlmcArgs, VlmcCommand};
pub use volumes::{
    Attachment, Breaking, CloneRequest, Collecting, CreateRequest, CreateSource, MapRequest,
    ResizeRequest, Volumes,
};
