//! An attachment as other programs want to be told about it.

use archipelago_protocol::ErrorCode;

use super::error_report::ErrorReport;
use super::vlmc_args::PrintForm;
use super::volumes::Attachment;
use crate::attach::Kind;

/// How long a client of the export waits for a server that is restarted.
const RECONNECT_SECONDS: u32 = 30;

pub fn print_form(form: PrintForm, attachment: &Attachment) -> Result<String, ErrorReport> {
    let place = place_of(attachment)?;
    match (form, place) {
        (PrintForm::Uri, _) => attachment.uri.clone().ok_or_else(no_export),
        (PrintForm::Qemu, Place::Device(device)) => Ok(qemu_device(attachment, device)),
        (PrintForm::Qemu, Place::Export(socket)) => Ok(qemu_nbd(attachment, socket)),
        (PrintForm::Qemu, Place::VhostUser(socket)) => Ok(qemu_vhost_user(socket)),
        (PrintForm::LibvirtXml, place) => Ok(libvirt(attachment, place)),
    }
}

/// Where a virtual machine finds the disk.
#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    Device(&'a str),
    /// The socket of the NBD server.
    Export(&'a str),
    VhostUser(&'a str),
}

/// The name that stays, if the device has one.
fn place_of(attachment: &Attachment) -> Result<Place<'_>, ErrorReport> {
    let device = attachment.link.as_deref().or(attachment.device.as_deref());
    let place = match (attachment.kind, device, attachment.socket.as_deref()) {
        (Kind::Ublk | Kind::Nbd, Some(device), _) => Some(Place::Device(device)),
        (Kind::NbdSocket, _, Some(socket)) => Some(Place::Export(socket)),
        (Kind::VhostUser, _, Some(socket)) => Some(Place::VhostUser(socket)),
        _ => None,
    };
    place.ok_or_else(|| {
        ErrorReport::new(
            ErrorCode::Failed,
            format!(
                "{} is attached, but its record does not say where",
                attachment.volume
            ),
            "unmap it and map it again",
        )
    })
}

pub fn no_export() -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Unsupported,
        "only an NBD export has an address to print",
        "say --type nbd-socket",
    )
}

/// A server that is restarted is waited for.
fn qemu_nbd(attachment: &Attachment, socket: &str) -> String {
    format!(
        "-blockdev driver=nbd,node-name=disk0,server.type=unix,server.path={},export={},read-only={},\
         reconnect-delay={RECONNECT_SECONDS},discard=unmap -device virtio-blk-pci,drive=disk0",
        commas(socket),
        commas(&attachment.volume),
        on_off(attachment.is_read_only),
    )
}

fn qemu_device(attachment: &Attachment, device: &str) -> String {
    format!(
        "-blockdev driver=host_device,node-name=disk0,filename={},cache.direct=on,read-only={},\
         discard=unmap -device virtio-blk-pci,drive=disk0",
        commas(device),
        on_off(attachment.is_read_only),
    )
}

/// The guest's memory has to be shared with the server; how much there is, is the machine's `-m`.
fn qemu_vhost_user(socket: &str) -> String {
    format!(
        "-object memory-backend-memfd,id=mem0,size=1G,share=on -m 1G -machine memory-backend=mem0 \
         -chardev socket,id=disk0,path={},reconnect=1 -device vhost-user-blk-pci,chardev=disk0",
        commas(socket),
    )
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// QEMU's options end at a comma; two stand for one.
fn commas(text: &str) -> String {
    text.replace(',', ",,")
}

fn libvirt(attachment: &Attachment, place: Place<'_>) -> String {
    let driver = "<driver name='qemu' type='raw' cache='none' discard='unmap'/>";
    let (kind, driver, source) = match place {
        Place::Export(socket) => (
            "network",
            driver,
            format!(
                "  <source protocol='nbd' name='{}'>\n    <host transport='unix' socket='{}'/>\n    \
                 <reconnect delay='{RECONNECT_SECONDS}'/>\n  </source>\n",
                xml(&attachment.volume),
                xml(socket),
            ),
        ),
        Place::Device(device) => (
            "block",
            driver,
            format!("  <source dev='{}'/>\n", xml(device)),
        ),
        // The domain needs <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>.
        Place::VhostUser(socket) => (
            "vhostuser",
            "<driver name='qemu' type='raw'/>",
            format!(
                "  <source type='unix' path='{}'>\n    <reconnect enabled='yes' timeout='1'/>\n  \
                 </source>\n",
                xml(socket)
            ),
        ),
    };
    let read_only = if attachment.is_read_only {
        "  <readonly/>\n"
    } else {
        ""
    };
    format!(
        "<disk type='{kind}' device='disk'>\n  {driver}\n\
         {source}  <target dev='vda' bus='virtio'/>\n{read_only}</disk>\n",
    )
}

fn xml(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
