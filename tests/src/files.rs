//! Files of the checkout for tests that change them.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Copies a folder with all that is in it, or a file; makes the folders above.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
