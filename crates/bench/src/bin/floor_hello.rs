//! The floor of a start: a static program that prints a line.

#[expect(
    clippy::print_stdout,
    reason = "printing a line is what this program is for"
)]
fn main() {
    println!("{{\"configVersion\":\"v1\"}}");
}
