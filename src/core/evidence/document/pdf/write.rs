//! The laid-out pages as a PDF, with a list of contents for the reader's side bar.

use super::super::Document;
use super::face::Faces;
use super::sheet::{Colour, HEIGHT, LEFT, Mark, Place, RIGHT, Sheet, WIDTH};
use krilla::color::rgb;
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;

pub fn write(document: &Document, sheet: &Sheet, faces: &Faces) -> Option<Vec<u8>> {
    let mut pdf = krilla::Document::new();
    let pages = sheet.pages.len();
    for (index, marks) in sheet.pages.iter().enumerate() {
        let mut page = pdf.start_page_with(PageSettings::from_wh(WIDTH, HEIGHT)?);
        let mut surface = page.surface();
        for mark in marks {
            make(&mut surface, mark, faces);
        }
        for mark in foot(document, index + 1, pages, faces) {
            make(&mut surface, &mark, faces);
        }
        surface.finish();
        page.finish();
    }
    let title = format!("{}: {}", document.title, document.subtitle);
    pdf.set_metadata(Metadata::new().title(title).language("en".to_owned()).creator("dbaccess".to_owned()));
    pdf.set_outline(outline(&sheet.places));
    pdf.finish().ok()
}

fn make(surface: &mut Surface<'_>, mark: &Mark, faces: &Faces) {
    match mark {
        Mark::Text { x, y, size, bold, colour, text } => {
            let face = faces.of(*bold);
            surface.set_fill(Some(fill(*colour)));
            let start = Point::from_xy(*x, *y);
            surface.draw_glyphs(start, &face.glyphs(text), face.font.clone(), text, *size, false);
        }
        Mark::Box { x, y, width, height, colour } => {
            let mut path = PathBuilder::new();
            // Nothing is drawn of a box without an area.
            let Some(rect) = Rect::from_xywh(*x, *y, *width, *height) else { return };
            path.push_rect(rect);
            let Some(path) = path.finish() else { return };
            surface.set_fill(Some(fill(*colour)));
            surface.draw_path(&path);
        }
    }
}

fn foot(document: &Document, page: usize, pages: usize, faces: &Faces) -> [Mark; 2] {
    let (size, y) = (7.5, HEIGHT - 30.0);
    let number = format!("page {page} of {pages}");
    let x = RIGHT - faces.regular.width(&number, size);
    let what = format!("{}, {}", document.title, document.subtitle);
    let word = |x, text| Mark::Text { x, y, size, bold: false, colour: Colour::Soft, text };
    [word(LEFT, what), word(x, number)]
}

/// Headings of level 3 stand below the last one of level 1.
fn outline(places: &[Place]) -> Outline {
    let mut outline = Outline::new();
    let mut open: Option<OutlineNode> = None;
    for place in places {
        let to = XyzDestination::new(place.page, Point::from_xy(0.0, (place.y - 12.0).max(0.0)));
        let node = OutlineNode::new(place.text.clone(), to);
        match (&mut open, place.level) {
            (Some(parent), 2..) => parent.push_child(node),
            _ => {
                if let Some(done) = open.replace(node) {
                    outline.push_child(done);
                }
            }
        }
    }
    if let Some(last) = open {
        outline.push_child(last);
    }
    outline
}

fn fill(colour: Colour) -> Fill {
    let (red, green, blue) = match colour {
        Colour::Ink => (27, 31, 36),
        Colour::Soft => (87, 96, 106),
        Colour::Line => (213, 218, 224),
        Colour::Shade => (243, 245, 247),
        Colour::Good => (26, 127, 75),
        Colour::Bad => (180, 35, 24),
        Colour::Series(0) => (59, 120, 195),
        Colour::Series(1) => (217, 138, 31),
        Colour::Series(2) => (122, 91, 181),
        Colour::Series(_) => (194, 65, 58),
    };
    Fill { paint: rgb::Color::new(red, green, blue).into(), ..Fill::default() }
}
