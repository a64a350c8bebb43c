//! A revision: what a flow was made from, as the store keeps it, and its hash. A revision that was stored is compiled again
//! by any later process, so that whoever is inside it stays there (P7).

use super::over;
use crate::{
    domain::id::Revision,
    findings::{Findings, Source},
    flow::{bundled, graph::Flow, texts::TextsDocument},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The version of the bytes: the first of them.
const VERSION: u8 = 1;

/// The two files that make a revision.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    flow: File<'a>,
    #[serde(borrow)]
    texts: File<'a>,
}

/// One of them. Its folder is this machine's affair and no part of the revision.
#[derive(Serialize, Deserialize)]
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn of(source: &Source) -> File<'_> {
        File { name: source.name.rsplit(['/', '\\']).next().unwrap_or_default(), text: &source.text }
    }

    fn source(&self) -> Source {
        Source::new(self.name, self.text)
    }
}

/// The bytes for the store, and the revision that they are.
pub(super) fn store(flow: &Source, texts: &Source) -> (Arc<[u8]>, Revision) {
    let stored = Stored { flow: File::of(flow), texts: File::of(texts) };
    let bytes = postcard::to_extend(&stored, vec![VERSION]).expect("texts always have a stored form");
    let revision = Revision(Sha256::digest(&bytes).into());
    (bytes.into(), revision)
}

/// Compiles a revision that was stored. What the engine of this release says and that of an older one did not is said in
/// the bundled words. `None`: the bytes are of a version, or a language, that this release does not know.
pub fn reload(stored: &[u8]) -> Option<Flow> {
    let (version, bytes) = stored.split_first()?;
    if *version != VERSION {
        return None;
    }
    let files: Stored<'_> = postcard::from_bytes(bytes).ok()?;
    let findings = Findings::default();
    let spare = TextsDocument::read(&bundled::texts(), &Findings::default());
    let base = TextsDocument::read(&files.texts.source(), &findings).with_spare(spare);
    base.checked(&findings);
    over(&[files.flow.source()], &base, findings.errors() == 0, &findings).pop()
}
