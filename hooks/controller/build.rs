//! Links each released executable for a short life: all of them are built with this script.
//!
//! What usual runs pass through is put together (`hooks/layout.ld`, which `ng-bench --layout` writes), and the tables for
//! unwinding are left out, a tenth of an executable: a panic ends it at once (`panic = "abort"`), so nothing ever looks a
//! frame up. Tests unwind, and keep them.

#[expect(
    clippy::disallowed_methods,
    reason = "this is how cargo talks to a build script"
)]
fn main() {
    // Without a word about it every changed file of the package would run this again.
    println!("cargo::rerun-if-env-changed=PROFILE");
    let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|found| found == wanted);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    // There Rust brings its own linker along. Elsewhere, and for another machine, it takes the one of the system, whose
    // rules for such scripts are others.
    if is("TARGET", "x86_64-unknown-linux-gnu") && is("HOST", "x86_64-unknown-linux-gnu") {
        let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo tells the package");
        let hooks = format!("{package}/../../hooks");
        for script in ["layout.ld", "no-unwinding.ld"] {
            println!("cargo::rerun-if-changed={hooks}/{script}");
            println!("cargo::rustc-link-arg-bins=-T{hooks}/{script}");
        }
    }
}
