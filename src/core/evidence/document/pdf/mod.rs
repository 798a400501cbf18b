//! The document on A4 paper. Laid out first, so that each page knows how many
//! there are; then written. The same document gives the same bytes.

mod face;
mod layout;
mod sheet;
mod write;

use super::Document;

/// A PDF of the document; `None` where the fonts cannot be read, which only a
/// broken build could cause.
pub fn pdf(document: &Document) -> Option<Vec<u8>> {
    let faces = face::Faces::load()?;
    let sheet = layout::lay_out(document, &faces);
    write::write(document, &sheet, &faces)
}
