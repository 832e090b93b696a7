//! Bounds that keep an untrusted template small in time, memory and stack.

use crate::error::Problem;

/// Longest template text.
pub(crate) const TEMPLATE_BYTES: usize = 64 * 1024;
/// Most tags in one template.
pub(crate) const TAGS: usize = 1000;
/// Deepest nesting of blocks.
pub(crate) const BLOCK_DEPTH: usize = 16;
/// Most `else if` branches of one block.
pub(crate) const BRANCHES: usize = 64;
/// Deepest nesting inside one tag: parentheses, lists, operators to the right.
pub(crate) const EXPRESSION_DEPTH: usize = 32;
/// Most parts of the expression in one tag. A chain of filters nests as deeply as it is long.
pub(crate) const EXPRESSION_PARTS: usize = 128;
/// Longest text that rendering, or one step of it, may produce.
pub(crate) const OUTPUT_BYTES: usize = 256 * 1024;
/// Most steps of one rendering: about a tenth of a second.
pub(crate) const STEPS: usize = 500_000;
/// Bytes that may be read or built for the price of one step.
const BYTES_PER_STEP: usize = 32;

/// Counts the work of one rendering.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    spent: usize,
}

impl Budget {
    /// Pays for `steps` steps.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), Problem> {
        self.spent = self.spent.saturating_add(steps);
        if self.spent > STEPS {
            return Err(Problem::TooManySteps);
        }
        Ok(())
    }

    /// Pays for handling `bytes` bytes of text.
    pub(crate) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Problem> {
        self.spend(bytes / BYTES_PER_STEP)
    }

    /// Pays for building a text of `bytes` bytes, before it is built.
    pub(crate) fn build(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes > OUTPUT_BYTES {
            return Err(Problem::OutputTooLarge);
        }
        self.spend_bytes(bytes)
    }
}
