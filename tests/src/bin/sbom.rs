//! Prints the bill of materials of this checkout: `cargo run -p ng-tests --bin sbom > sbom.cdx.json`.

use std::io::Write as _;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = ng_tests::sbom::make(package.parent().unwrap_or(package))?;
    std::io::stdout().lock().write_all(document.as_bytes())?;
    Ok(())
}
