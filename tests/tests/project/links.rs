//! Follows every link between the pages of the project, without network.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::checkout::{files, text};

/// A link: what is linked to, and the heading in it, if one is named.
type Link = (String, Option<String>);

fn pages() -> Result<Vec<String>> {
    let is_page = |file: &String| {
        std::path::Path::new(file)
            .extension()
            .is_some_and(|end| end == "md")
    };
    Ok(files()?.into_iter().filter(is_page).collect())
}

/// The lines of a page that are no code.
fn prose(page: &str) -> Result<Vec<String>> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text(page)?.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line.to_owned());
        }
    }
    Ok(lines)
}

/// The links of a page to other files of the project.
fn links(page: &str) -> Result<Vec<Link>> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut links = Vec::new();
    for line in prose(page)? {
        for target in line.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (path, heading) = match target.split_once('#') {
                Some((path, heading)) => (path, Some(heading.to_owned())),
                None => (target, None),
            };
            let path = if path.is_empty() {
                page.to_owned()
            } else {
                resolved(folder, path)
            };
            links.push((path, heading));
        }
    }
    Ok(links)
}

/// The path from the top of the project.
fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The names that links can use for the headings of a page.
pub(crate) fn anchors(page: &str) -> Result<BTreeSet<String>> {
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
        kept.map(|sign| if sign == ' ' { '-' } else { sign })
            .collect()
    };
    let headings = prose(page)?
        .into_iter()
        .filter(|line| line.starts_with('#'));
    Ok(headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let files = files()?;
    let mut problems = Vec::new();
    for page in pages()? {
        for (path, heading) in links(&page)? {
            let is_there = files
                .iter()
                .any(|file| *file == path || file.starts_with(&format!("{path}/")));
            if !is_there {
                problems.push(format!("{page}: there is no {path}"));
            } else if let Some(heading) = heading
                && !anchors(&path)?.contains(&heading)
            {
                problems.push(format!("{page}: {path} has no heading #{heading}"));
            }
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

#[test]
fn every_page_is_linked_from_the_readmes_or_the_index() -> Result<()> {
    const INDEX: &str = "docs/README.md";
    let index = links(INDEX)?;
    for readme in ["README.md", "README.zh-CN.md"] {
        let all = links(readme)?.into_iter().chain(index.clone());
        let linked: BTreeSet<String> = all.map(|(path, _)| path).collect();
        ensure!(linked.contains(INDEX), "{readme} does not link to {INDEX}");
        for page in pages()?.iter().filter(|page| page.starts_with("docs/")) {
            ensure!(
                linked.contains(page),
                "neither {readme} nor {INDEX} links to {page}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_hook_has_a_page() -> Result<()> {
    let pages = pages()?;
    for file in files()? {
        if let Some(hook) = file
            .strip_prefix("hooks/")
            .and_then(|rest| rest.strip_suffix("/Cargo.toml"))
        {
            let page = format!("docs/{hook}.md");
            ensure!(pages.contains(&page), "{hook} has no {page}");
        }
    }
    Ok(())
}
