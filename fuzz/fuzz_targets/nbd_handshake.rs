//! `cargo +nightly fuzz run nbd_handshake`
#![no_main]

libfuzzer_sys::fuzz_target!(|case: &[u8]| {
    archipelago_tests::nbd::handshake(case);
});
