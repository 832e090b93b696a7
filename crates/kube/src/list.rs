//! Whole lists, page by page, keeping only what the caller wants of each object.

use std::time::Instant;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::KubeError;
use crate::request::{PAGE_LIMIT, Page, Request};

/// A `continue` token lives about five minutes; a list that expires more often than this will never end.
const RESTARTS: u32 = 2;

/// Decoded without `kind` and `apiVersion`, so that lean types of our own will do as items.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct ListPage<T> {
    #[serde(default)]
    metadata: PageMetadata,
    /// Go writes an empty list as `null` at times.
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

impl Client {
    /// Reads every page of a list and keeps what `keep` makes of each object; one page is held at a time.
    ///
    /// A list that expires on the way is started again, and what was kept so far is dropped.
    pub fn list<T, R>(
        &self,
        page_request: impl Fn(Page<'_>) -> Request,
        deadline: Instant,
        mut keep: impl FnMut(T) -> Option<R>,
    ) -> Result<Vec<R>, KubeError>
    where
        T: DeserializeOwned,
    {
        let mut restarts = 0;
        loop {
            match self.list_once(&page_request, deadline, &mut keep) {
                Err(error) if error.is_expired() && restarts < RESTARTS => restarts += 1,
                result => return result,
            }
        }
    }

    fn list_once<T, R>(
        &self,
        page_request: &impl Fn(Page<'_>) -> Request,
        deadline: Instant,
        keep: &mut impl FnMut(T) -> Option<R>,
    ) -> Result<Vec<R>, KubeError>
    where
        T: DeserializeOwned,
    {
        let mut kept = Vec::new();
        let mut continue_token: Option<String> = None;
        loop {
            let request = page_request(Page {
                limit: PAGE_LIMIT,
                continue_token: continue_token.as_deref(),
            });
            let page: ListPage<T> = self.send_json(&request, deadline)?;
            kept.extend(
                page.items
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(&mut *keep),
            );
            match page.metadata.continue_token {
                Some(token) if !token.is_empty() => continue_token = Some(token),
                _ => return Ok(kept),
            }
        }
    }
}
