//! The settings of the NBD export.

use std::net::SocketAddr;
use std::path::Path;

use super::model::{NbdConfig, TlsConfig};
use super::reader::Reader;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Longest path of a unix socket, of the 108 bytes that the kernel has for it with its final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Twice the longest request, of 32 MiB: one of them must fit into what is not kept for each client.
const MEMORY_LEAST: u64 = 64 * MIB;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 86400;

const SHARED_KEYS: &str = "nbd.tls_psk_file";

/// Reads it.
pub(super) fn nbd(reader: &mut Reader, run_dir: &Path) -> NbdConfig {
    let socket = reader.path_or("nbd.socket", run_dir.join("nbd.sock"));
    let bytes = socket.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let what = format!("{bytes} bytes are too long for the path of a unix socket");
        let remedy = format!("choose a path of at most {SOCKET_PATH_BYTES_MAX} bytes");
        reader.problem("nbd.socket", what, remedy);
    }
    let listen = reader.text("nbd.listen").and_then(|text| {
        let address: Option<SocketAddr> = text.parse().ok();
        if address.is_none() {
            let remedy =
                "give an address and a port, such as \"127.0.0.1:10809\" or \"[::1]:10809\"";
            reader.problem("nbd.listen", format!("{text:?} is no address"), remedy);
        }
        address
    });
    reader.note_default("nbd.listen", "no TCP");
    let tls = tls(reader);
    let allow_plain = reader.boolean_or("nbd.allow_plain", false);
    if let Some(address) = listen
        && !address.ip().is_loopback()
        && tls.is_none()
        && !allow_plain
    {
        let what = format!("{address} is for other machines, and nothing would be encrypted");
        let remedy = "give nbd.tls_certificate and nbd.tls_key, or nbd.tls_psk_file, or say nbd.allow_plain = true";
        reader.problem("nbd.listen", what, remedy);
    }
    NbdConfig {
        socket,
        listen,
        connections_max: reader.number_or("nbd.connections_max", 1..=4096, 1024, "built in"),
        requests_max: reader.number_or("nbd.requests_max", 1..=1024, 128, "built in"),
        memory_max: reader.size_or("nbd.memory_max", MEMORY_LEAST..=1 << 40, GIB, "built in"),
        handshake_timeout: reader.duration_or("nbd.handshake_timeout", 1..=HOUR_S, 30),
        stall_timeout: reader.duration_or("nbd.stall_timeout", 1..=DAY_S, 600),
        list: reader.boolean_or("nbd.list", true),
        tls,
        allow_plain,
    }
}

/// By certificates or by shared keys, not both.
fn tls(reader: &mut Reader) -> Option<TlsConfig> {
    let keys = shared_keys(reader);
    let certificates = certificates(reader);
    if keys.is_some() && certificates.is_some() {
        let what = "is given beside certificates, and a server has one of them";
        let remedy = "remove it, or nbd.tls_certificate, nbd.tls_key and nbd.tls_client_ca";
        reader.problem(SHARED_KEYS, what, remedy);
    }
    keys.or(certificates)
}

fn shared_keys(reader: &mut Reader) -> Option<TlsConfig> {
    let file = reader.path(SHARED_KEYS);
    reader.note_default(SHARED_KEYS, "no encryption");
    if file.is_some() && cfg!(not(feature = "tls-psk")) {
        let what = "needs pre-shared keys, which were left out when this program was built";
        let remedy = "build it with `cargo build --release --features tls-psk` where libssl-dev is installed, or give certificates";
        reader.problem(SHARED_KEYS, what, remedy);
    }
    file.map(|file| TlsConfig::SharedKeys { file })
}

/// A certificate is nothing without its key, and asks nobody for theirs without being one.
fn certificates(reader: &mut Reader) -> Option<TlsConfig> {
    const KEYS: [&str; 3] = ["nbd.tls_certificate", "nbd.tls_key", "nbd.tls_client_ca"];
    let [certificate, key, client_authorities] = KEYS.map(|key| reader.path(key));
    for name in KEYS {
        reader.note_default(name, "no encryption");
    }
    let given = [&certificate, &key, &client_authorities];
    if given.iter().all(|path| path.is_none()) {
        return None;
    }
    for (name, path) in KEYS.iter().zip(given).take(2) {
        if path.is_none() {
            let remedy =
                "give both nbd.tls_certificate and nbd.tls_key, or none of the tls settings";
            reader.problem(name, "is missing, and encryption needs it", remedy);
        }
    }
    Some(TlsConfig::Certificates {
        certificate: certificate?,
        key: key?,
        client_authorities,
    })
}
