//! `vlmc`: a parsed command, done by a [`Volumes`], as an [`Answer`].

use archipelago_protocol::{Damaged, ListAnswer, VolumeInfo, VolumeRef, format_bytes, rfc3339};
use serde_json::{Value, json};

use super::answer::Answer;
use super::error_report::ErrorReport;
use super::lock_answers::{evicted, locks, unlocked};
use super::print_form::{no_export, print_form};
use super::progress::Progress;
use super::table::Table;
use super::vlmc_args::{AttachKind, CreateArgs, MapArgs, PrintForm, VlmcCommand};
use super::volumes::{
    Attachment, Breaking, CloneRequest, Collecting, CreateRequest, CreateSource, MapRequest,
    ResizeRequest, Volumes,
};

/// Does what the command line says.
pub fn run(command: VlmcCommand, volumes: &mut dyn Volumes) -> Result<Answer, ErrorReport> {
    use VlmcCommand as Command;
    match command {
        Command::Map(args) => map(args, volumes),
        Command::Unmap { device } => {
            volumes.unmap(&device)?;
            Ok(done("unmap", &device, ""))
        }
        Command::Showmapped => attachments(&volumes.attachments()?),
        Command::Create(args) => {
            let info = volumes.create(&create_request(args))?;
            Ok(Answer::new(json!({ "volume": info }), ""))
        }
        Command::Snapshot { volume, snapshot } => {
            volumes.snapshot(&volume, &snapshot)?;
            let json = json!({ "done": "snapshot", "volume": volume.as_str(), "snapshot": snapshot.as_str() });
            Ok(Answer::new(json, format!("Snapshot name: {snapshot}")))
        }
        Command::Remove { volume, hash } => remove(volume, hash, volumes),
        Command::List { quiet } => list(volumes.list()?, quiet),
        Command::Info { volume } => Ok(info(&volumes.info(&volume)?)),
        Command::Hash { snapshot } => {
            let mut progress = Progress::on_stderr("hash");
            let hash = volumes.hash(&snapshot, &mut progress)?;
            let json = json!({ "volume": snapshot.to_string(), "hash": hash });
            Ok(Answer::new(json, format!("Hash name: {hash}")))
        }
        Command::Clone {
            source,
            volume,
            size,
        } => {
            let info = volumes.clone_volume(&CloneRequest {
                source,
                volume,
                size,
            })?;
            Ok(Answer::new(json!({ "volume": info }), ""))
        }
        Command::Gc { dry_run } => gc(dry_run, volumes),
        Command::Locks => Ok(locks(volumes.locks()?)),
        Command::EvictNode { node } => Ok(evicted(&node, &volumes.evict_node(&node)?)),
        Command::Children { volume } => {
            let volumes = volumes.children(&volume)?;
            list(
                ListAnswer {
                    volumes,
                    ..ListAnswer::default()
                },
                false,
            )
        }
        other => change(other, volumes),
    }
}

/// What changes a volume that is there, and answers with a word.
fn change(command: VlmcCommand, volumes: &mut dyn Volumes) -> Result<Answer, ErrorReport> {
    use VlmcCommand as Command;
    match command {
        Command::Open(one) => {
            volumes.open(&one.volume)?;
            Ok(done("open", one.volume.as_str(), "Volume opened"))
        }
        Command::Close(one) => {
            volumes.close(&one.volume)?;
            Ok(done("close", one.volume.as_str(), "Volume closed"))
        }
        Command::Lock(one) => {
            volumes.lock(&one.volume)?;
            Ok(done("lock", one.volume.as_str(), "Volume locked"))
        }
        Command::Unlock {
            force,
            fence,
            force_unsafe,
            volume,
        } => {
            let breaking = match (force, fence, force_unsafe) {
                (_, _, true) => Breaking::Anyway,
                (_, true, false) => Breaking::Fenced,
                (true, false, false) => Breaking::Anybodys,
                (false, false, false) => Breaking::OwnOnly,
            };
            let broken = volumes.unlock(&volume, breaking)?;
            Ok(unlocked(volume.as_str(), &broken, breaking))
        }
        Command::Rename { volume, new_name } => {
            volumes.rename(&volume, &new_name)?;
            let json = json!({ "done": "rename", "volume": volume.as_str(), "new_name": new_name.as_str() });
            Ok(Answer::new(json, format!("Renamed {volume} to {new_name}")))
        }
        Command::Resize {
            volume,
            size,
            allow_shrink,
        } => {
            let request = ResizeRequest {
                volume,
                size,
                allow_shrink,
            };
            volumes.resize(&request)?;
            let json = json!({ "done": "resize", "volume": request.volume.as_str(), "size": size.bytes() });
            Ok(Answer::new(json, ""))
        }
        _ => unreachable!("the commands that answer with more are done in `run`"),
    }
}

fn done(command: &str, volume: &str, text: &str) -> Answer {
    let subject = if command == "unmap" {
        "device"
    } else {
        "volume"
    };
    let mut json = json!({ "done": command });
    json[subject] = Value::from(volume);
    Answer::new(json, text)
}

fn create_request(args: CreateArgs) -> CreateRequest {
    let source = match (args.snap, args.from_hash) {
        (Some(snapshot), _) => CreateSource::Snapshot(snapshot),
        (None, Some(hash)) => CreateSource::Hash(hash),
        (None, None) => CreateSource::Blank,
    };
    CreateRequest {
        volume: args.volume,
        source,
        size: args.size,
        object_bytes: args.object_size,
    }
}

fn remove(
    volume: Option<VolumeRef>,
    hash: Option<String>,
    volumes: &mut dyn Volumes,
) -> Result<Answer, ErrorReport> {
    if let Some(hash) = hash {
        volumes.remove_hash(&hash)?;
        let json = json!({ "done": "remove", "hash": hash });
        return Ok(Answer::new(json, ""));
    }
    let volume = volume.expect("the command line has a volume where it has no hash");
    volumes.remove(&volume)?;
    Ok(done("remove", &volume.to_string(), ""))
}

fn gc(dry_run: bool, volumes: &mut dyn Volumes) -> Result<Answer, ErrorReport> {
    let what = if dry_run {
        Collecting::DryRun
    } else {
        Collecting::ForGood
    };
    let found = volumes.gc(what, &mut Progress::on_stderr("gc"))?;
    let mut text = String::new();
    for orphan in &found.orphans {
        text.push_str(&format!(
            "{} ({})\n",
            orphan.object,
            format_bytes(orphan.bytes)
        ));
    }
    let told = found.orphans.len() as u64;
    if told < found.found {
        text.push_str(&format!("... and {} more\n", found.found - told));
    }
    for note in &found.notes {
        text.push_str(&format!("Note: {note}\n"));
    }
    let verb = if dry_run {
        "would be given back"
    } else {
        "given back"
    };
    let size = format_bytes(found.bytes);
    text.push_str(&format!(
        "Objects that nothing names: {}; {size} {verb}",
        found.found
    ));
    Ok(Answer::new(
        json!({ "dry_run": dry_run, "gc": found }),
        text,
    ))
}

fn map(args: MapArgs, volumes: &mut dyn Volumes) -> Result<Answer, ErrorReport> {
    // Only the export has an address to print.
    let kind = match (args.kind, args.print) {
        (AttachKind::Auto, Some(PrintForm::Uri)) => AttachKind::NbdSocket,
        (AttachKind::NbdSocket, _) => args.kind,
        (_, Some(PrintForm::Uri)) => return Err(no_export()),
        _ => args.kind,
    };
    let attachment = volumes.map(&MapRequest {
        volume: args.volume,
        is_read_only: args.read_only,
        kind,
        is_persistent: args.persist,
    })?;
    let mut json = json!({ "attachment": attachment });
    let text = match args.print {
        Some(form) => {
            let printed = print_form(form, &attachment)?;
            json["printed"] = Value::from(printed.as_str());
            printed
        }
        None => attachment.address().to_owned(),
    };
    Ok(Answer::new(json, text))
}

fn attachments(attachments: &[Attachment]) -> Result<Answer, ErrorReport> {
    let json = json!({ "attachments": attachments });
    if attachments.is_empty() {
        return Ok(Answer::new(json, "No volumes mapped"));
    }
    let mut table = Table::new(&["VOLUME", "TYPE", "ACCESS", ">CLIENTS", "DEVICE"]);
    for attachment in attachments {
        table.row([
            attachment.volume.clone(),
            attachment.kind.name().to_owned(),
            if attachment.is_read_only { "ro" } else { "rw" }.to_owned(),
            attachment.clients.to_string(),
            attachment.address().to_owned(),
        ]);
    }
    Ok(Answer::new(json, table.render()))
}

fn list(listed: ListAnswer, quiet: bool) -> Result<Answer, ErrorReport> {
    let ListAnswer {
        mut volumes,
        damaged,
        ..
    } = listed;
    volumes.sort_by(|left, right| left.name.cmp(&right.name));
    let json = json!({ "volumes": volumes, "damaged": damaged });
    if quiet {
        let names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
        return Ok(Answer::new(json, names.join("\n")));
    }
    let mut table = Table::new(&["NAME", "KIND", ">SIZE", "PARENT", "OPEN", "LOCKED BY"]);
    for volume in &volumes {
        table.row([
            volume.name.clone(),
            kind(volume).to_owned(),
            format_bytes(volume.size),
            volume.parent.clone().unwrap_or_default(),
            if volume.is_open { "yes" } else { "no" }.to_owned(),
            volume
                .lock
                .as_ref()
                .map(|lock| lock.node.clone())
                .unwrap_or_default(),
        ]);
    }
    for damaged in &damaged {
        let unknown = ["damaged", "", "", "", ""].map(str::to_owned);
        table.row([damaged.name.clone()].into_iter().chain(unknown));
    }
    let mut text = table.render();
    for Damaged { name, problem } in &damaged {
        text += &format!("{name}: {problem}\n");
    }
    Ok(Answer::new(json, text))
}

fn kind(volume: &VolumeInfo) -> &'static str {
    if volume.is_snapshot {
        "snapshot"
    } else {
        "volume"
    }
}

/// The first line is the historic one.
fn info(volume: &VolumeInfo) -> Answer {
    let mut text = format!("Volume {}: size: {}\n", volume.name, volume.size);
    let lock = volume.lock.as_ref().map_or("none".into(), |lock| {
        let since = rfc3339(lock.since);
        format!(
            "{} (deployment {}) since {since}",
            lock.node, lock.deployment
        )
    });
    let rows = [
        ("kind", kind(volume).to_owned()),
        ("size", format_bytes(volume.size)),
        ("id", volume.id.clone()),
        (
            "parent",
            volume.parent.clone().unwrap_or_else(|| "none".into()),
        ),
        ("created", rfc3339(volume.created)),
        ("object size", format_bytes(volume.object_bytes)),
        ("grain", format_bytes(volume.grain_bytes)),
        (
            "open here",
            if volume.is_open { "yes" } else { "no" }.to_owned(),
        ),
        ("lock", lock),
    ];
    for (name, value) in rows {
        text.push_str(&format!("  {name:<12} {value}\n"));
    }
    Answer::new(json!({ "volume": volume }), text)
}
