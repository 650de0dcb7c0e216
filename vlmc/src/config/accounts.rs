//! Numbers of users and groups by their names.
//!
//! The files of the machine are read first; what they do not know is asked of `getent`, which knows the directory
//! services that the machine uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user or a group with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub id: u32,
}

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Users,
    Groups,
}

impl Database {
    fn getent_name(self) -> &'static str {
        match self {
            Self::Users => "passwd",
            Self::Groups => "group",
        }
    }
}

/// The account called `name`, if there is one.
pub fn find(database: Database, file: &Path, name: &str) -> Option<Account> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) {
        return None;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let id = text.lines().find_map(|line| id_in(line, name));
    let id = id.or_else(|| ask_getent(database, name));
    id.map(|id| Account {
        name: name.to_owned(),
        id,
    })
}

/// The number of the group that a user has by the directory of users.
pub fn primary_group(file: &Path, name: &str) -> Option<u32> {
    let group = |text: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            fields.nth(2)?.parse().ok()
        })
    };
    let text = fs::read_to_string(file).unwrap_or_default();
    group(&text).or_else(|| group(&getent(Database::Users, name)?))
}

/// The home directory of a user: `name:password:id:group:remarks:home:shell`.
pub fn home(file: &Path, uid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let home = text.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()?.parse() == Ok(uid)).then_some(())?;
        fields.nth(2)
    })?;
    let home = PathBuf::from(home);
    home.is_absolute().then_some(home)
}

/// `name:password:id:...`
fn id_in(line: &str, name: &str) -> Option<u32> {
    let mut fields = line.split(':');
    (fields.next()? == name).then_some(())?;
    fields.nth(1)?.parse().ok()
}

fn ask_getent(database: Database, name: &str) -> Option<u32> {
    let text = getent(database, name)?;
    text.lines().find_map(|line| id_in(line, name))
}

fn getent(database: Database, name: &str) -> Option<String> {
    let output = Command::new("getent")
        .args([database.getent_name(), name])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()
}
