//! The context file. A large one is mapped rather than copied: it can be larger than all else a hook holds.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::{Sink, read};
use crate::env::{self, Env};
use crate::json;

/// Why the contexts of a run cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The variable is not set.
    #[error(
        "{} is not set: expected the path of a binding context file",
        env::BINDING_CONTEXT_PATH
    )]
    Unset,
    /// The file is absent or cannot be read.
    #[error("cannot read the binding context file {} ({})", path.display(), env::BINDING_CONTEXT_PATH)]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is empty: shell-operator always writes a list.
    #[error(
        "the binding context file {} ({}) is empty: expected a list of contexts",
        path.display(), env::BINDING_CONTEXT_PATH
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold a list of contexts.
    #[error("the binding context file {} ({}) is malformed", path.display(), env::BINDING_CONTEXT_PATH)]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: json::Error,
    },
}

/// The bytes of a context file and where they come from.
#[derive(Debug)]
pub struct ContextFile {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped(Mmap),
    Held(Vec<u8>),
}

impl ContextFile {
    /// Opens the file the environment names.
    pub fn from_env(env: &Env) -> Result<Self, ContextError> {
        env.context_path()
            .ok_or(ContextError::Unset)
            .and_then(Self::open)
    }

    /// Opens a context file, which must not be empty.
    pub fn open(path: &Path) -> Result<Self, ContextError> {
        let path = path.to_owned();
        let content = match load(&path) {
            Ok(content) => content,
            Err(source) => return Err(ContextError::Unreadable { path, source }),
        };
        let file = Self { path, content };
        if file.bytes().is_empty() {
            return Err(ContextError::Empty { path: file.path });
        }
        Ok(file)
    }

    /// Contexts that are at hand already; `origin` stands for the path in errors.
    pub fn from_bytes(origin: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self {
            path: origin.into(),
            content: Content::Held(bytes),
        }
    }

    /// The file's text.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Mapped(map) => map,
            Content::Held(bytes) => bytes,
        }
    }

    /// Reads all contexts into the sink.
    pub fn read<'a>(&'a self, sink: &mut impl Sink<'a>) -> Result<(), ContextError> {
        read(self.bytes(), sink).map_err(|source| ContextError::Malformed {
            path: self.path.clone(),
            source,
        })
    }
}

/// So small a file is copied in less time than it takes to map it.
const SMALL: u64 = 16 << 10;

fn load(path: &Path) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file()
        && metadata.len() > SMALL
        && let Some(map) = map(&file)
    {
        return Ok(Content::Mapped(map));
    }
    // Small files, pipes, and file systems without mapping.
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Content::Held(bytes))
}

#[expect(
    unsafe_code,
    reason = "the map is sound while nobody changes the file: shell-operator writes each context \
              file once, under a fresh name, before the hook starts, and removes it (which leaves \
              a map intact) after the hook has ended"
)]
fn map(file: &File) -> Option<Mmap> {
    // SAFETY: the file is not changed while the map lives, for the reason above.
    unsafe { Mmap::map(file) }.ok()
}
