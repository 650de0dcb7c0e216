//! Manual pages, from the same definitions as the commands themselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::complete::Program;
use crate::config::{Effect, SETTINGS};

/// Writes a page for each program and each of its commands, and one for the configuration. Returns their paths.
pub fn write_pages(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory)?;
    for program in Program::ALL {
        clap_mangen::generate_to(program.command(), directory)?;
    }
    fs::write(directory.join("archipelago.toml.5"), settings_page())?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let is_ours = Program::ALL
            .iter()
            .any(|program| name.starts_with(program.name()));
        if is_ours && name.ends_with(['1', '5']) {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

fn settings_page() -> String {
    let mut page = String::from(
        ".TH archipelago.toml 5\n.SH NAME\narchipelago.toml \\- configuration of archipelago\n\
         .SH FILES\n/etc/archipelago/archipelago.toml and conf.d/*.toml beside it; for other users than root\n\
         $XDG_CONFIG_HOME/archipelago instead. Later files win. Without any file every setting has its default:\n\
         .B archipelago config show\nprints them all, with where each comes from.\n.SH SETTINGS\n",
    );
    for setting in SETTINGS {
        let key = setting.key.replace('*', "NAME").replace('-', "\\-");
        page.push_str(&format!(".TP\n.B {key}\n"));
        if let Some(guide) = setting.guide {
            page.push_str(&format!("Also {guide}. "));
        }
        if setting.effect == Effect::Derived {
            page.push_str("Derived. ");
        }
        page.push_str(&format!("{}.\n", setting.about.replace('-', "\\-")));
    }
    page
}
