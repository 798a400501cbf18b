//! Pages as marks to be made, in points from the top left.

/// A4.
pub const WIDTH: f32 = 595.0;
pub const HEIGHT: f32 = 842.0;
pub const LEFT: f32 = 48.0;
pub const RIGHT: f32 = WIDTH - 48.0;
const TOP: f32 = 52.0;
const BOTTOM: f32 = HEIGHT - 58.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Ink,
    Soft,
    Line,
    Shade,
    Good,
    Bad,
    Series(usize),
}

pub enum Mark {
    /// `y` is the line that letters stand on.
    Text {
        x: f32,
        y: f32,
        size: f32,
        bold: bool,
        colour: Colour,
        text: String,
    },
    Box {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        colour: Colour,
    },
}

/// A place in the list of contents.
pub struct Place {
    pub level: u8,
    pub text: String,
    pub page: usize,
    pub y: f32,
}

pub struct Sheet {
    pub pages: Vec<Vec<Mark>>,
    pub places: Vec<Place>,
    /// Where the next thing goes on the last page.
    pub y: f32,
}

impl Sheet {
    pub fn new() -> Self {
        Self { pages: vec![Vec::new()], places: Vec::new(), y: TOP }
    }

    pub fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    pub fn room(&self) -> f32 {
        BOTTOM - self.y
    }

    /// Goes to the next page, unless so much fits on this one; says whether it went.
    pub fn need(&mut self, height: f32) -> bool {
        let full = self.room() < height && self.y > TOP;
        if full {
            self.pages.push(Vec::new());
            self.y = TOP;
        }
        full
    }

    pub fn place(&mut self, level: u8, text: &str) {
        let (page, y) = (self.pages.len() - 1, self.y);
        self.places.push(Place { level, text: text.to_owned(), page, y });
    }
}
