use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use browser_test::Page;

/// Ends an exchange of which nobody is told any more.
const NEVER_SHOWN: &str = "ended";

/// What is said in the page just now: the codes of notices, and the title of the end.
pub(crate) fn shown(page: &Page) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let shown = page.evaluate(
        "[...[...document.querySelectorAll('.notice')].map(notice => notice.dataset.code),
          document.querySelector('#end')?.hidden === false ? document.querySelector('#end-title').textContent : null].filter(Boolean)",
    )?;
    Ok(serde_json::from_value(shown)?)
}

/// All that the page's script can say: the codes of notices and problems (with `*` for what is put in when it is said),
/// and the titles of the end.
pub(crate) fn known() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/web");
    let mut known = BTreeSet::new();
    for entry in std::fs::read_dir(web)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "js") && !path.ends_with("echo.js") {
            let script = std::fs::read_to_string(path)?;
            known.extend(codes(&script));
            known.extend(titles(&script));
        }
    }
    if !known.iter().any(|said| said.contains(' ')) {
        return Err(
            "the titles of the end are not where they were in the page's script: find them for this check".into(),
        );
    }
    known.remove(NEVER_SHOWN);
    Ok(known)
}

/// Whether a code that is known, with or without a `*`, is among those that were shown.
pub(crate) fn is_seen(code: &str, seen: &BTreeSet<String>) -> bool {
    match code.split_once('*') {
        Some((begin, end)) => seen
            .iter()
            .any(|seen| seen.len() >= begin.len() + end.len() && seen.starts_with(begin) && seen.ends_with(end)),
        None => seen.contains(code),
    }
}

/// The first argument of each `notice(` and `Problem(`, if it is written there.
fn codes(script: &str) -> impl Iterator<Item = String> {
    let calls = ["notice(", "Problem("]
        .into_iter()
        .flat_map(|call| script.split(call).skip(1));
    calls.filter_map(|call| {
        let call = call.trim_start();
        let quote = call.chars().next().filter(|first| "'`".contains(*first))?;
        let code = call[1..].split(quote).next()?;
        let Some((begin, rest)) = code.split_once("${") else {
            return Some(code.to_owned());
        };
        Some(format!("{begin}*{}", rest.split_once('}')?.1))
    })
}

/// The values of `END_TITLES`, and what is said without one of them.
fn titles(script: &str) -> Vec<String> {
    let Some((_, table)) = script.split_once("END_TITLES = {") else {
        return Vec::new();
    };
    let (table, rest) = table.split_once("};").unwrap_or_default();
    let (_, line) = rest.split_once("#end-title')").unwrap_or_default();
    let line = line.lines().next().unwrap_or_default();
    [table, line].into_iter().flat_map(quoted).collect()
}

/// What stands in quotes and has several words.
fn quoted(text: &str) -> impl Iterator<Item = String> + '_ {
    let quoted = text.split('\'').skip(1).step_by(2);
    quoted.filter(|words| words.contains(' ')).map(str::to_owned)
}
