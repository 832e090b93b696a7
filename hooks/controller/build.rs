//! Leaves the index of unwind tables out of each released executable: all of them are built with this script.
//!
//! A panic ends it at once (`panic = "abort"`), so nothing ever looks a frame up; the index is eighty kilobytes of what an
//! executable may have. Tests unwind, and keep it.

#[expect(
    clippy::disallowed_methods,
    reason = "this is how cargo talks to a build script"
)]
fn main() {
    // Without a word about it every changed file of the package would run this again.
    println!("cargo::rerun-if-env-changed=PROFILE");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let is_gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_release && is_gnu {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
