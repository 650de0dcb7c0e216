//! An attachment as other programs want to be told about it.

use archipelago_protocol::ErrorCode;

use super::error_report::ErrorReport;
use super::vlmc_args::PrintForm;
use super::volumes::Attachment;

pub fn print_form(form: PrintForm, attachment: &Attachment) -> Result<String, ErrorReport> {
    match form {
        PrintForm::NbdUri => attachment.uri.clone().ok_or_else(no_export),
        PrintForm::Qemu => match (&attachment.socket, &attachment.device, &attachment.uri) {
            (Some(socket), ..) => Ok(qemu_nbd(attachment, socket)),
            (None, Some(device), _) => Ok(qemu_file(attachment, device)),
            (None, None, Some(uri)) => {
                Ok(format!("-drive file={},format=raw,if=virtio", commas(uri)))
            }
            (None, None, None) => Err(no_export()),
        },
        PrintForm::LibvirtXml => libvirt(attachment),
    }
}

fn no_export() -> ErrorReport {
    ErrorReport::new(
        ErrorCode::Unsupported,
        "the volume is attached, but not over NBD",
        "add --type nbd",
    )
}

fn qemu_nbd(attachment: &Attachment, socket: &str) -> String {
    format!(
        "-blockdev driver=nbd,node-name=disk0,server.type=unix,server.path={},export={},read-only={} \
         -device virtio-blk-pci,drive=disk0",
        commas(socket),
        commas(&attachment.volume),
        on_off(attachment.is_read_only),
    )
}

fn qemu_file(attachment: &Attachment, device: &str) -> String {
    format!(
        "-blockdev driver=host_device,node-name=disk0,filename={},cache.direct=on,read-only={} \
         -device virtio-blk-pci,drive=disk0",
        commas(device),
        on_off(attachment.is_read_only),
    )
}

fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// QEMU's options end at a comma; two stand for one.
fn commas(text: &str) -> String {
    text.replace(',', ",,")
}

fn libvirt(attachment: &Attachment) -> Result<String, ErrorReport> {
    let (kind, source) = match (&attachment.socket, &attachment.device) {
        (Some(socket), _) => (
            "network",
            format!(
                "  <source protocol='nbd' name='{}'>\n    <host transport='unix' socket='{}'/>\n  </source>\n",
                xml(&attachment.volume),
                xml(socket),
            ),
        ),
        (None, Some(device)) => ("block", format!("  <source dev='{}'/>\n", xml(device))),
        (None, None) => return Err(no_export()),
    };
    let read_only = if attachment.is_read_only {
        "  <readonly/>\n"
    } else {
        ""
    };
    Ok(format!(
        "<disk type='{kind}' device='disk'>\n  <driver name='qemu' type='raw' cache='none' discard='unmap'/>\n\
         {source}  <target dev='vda' bus='virtio'/>\n{read_only}</disk>\n",
    ))
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
