//! The floor of a run's output: builds each line of the given files as a generic JSON tree, and writes it.

use std::io::{BufWriter, Write};

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path)?;
        let mut out = BufWriter::new(std::fs::File::create(path + ".again")?);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line)?;
            serde_json::to_writer(&mut out, &value)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
    }
    Ok(())
}
