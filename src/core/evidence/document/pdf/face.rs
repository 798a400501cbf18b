//! The two fonts, and how wide text is in them. Noto Sans has Latin, Greek and
//! Cyrillic letters; others are shown by their numbers, which say as much as a
//! hash does: the page for browsers has the letters.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider as _};

const REGULAR: &[u8] = include_bytes!("fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("fonts/NotoSans-SemiBold.ttf");

pub struct Faces {
    pub regular: Face,
    pub bold: Face,
}

pub struct Face {
    pub font: Font,
    letters: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    unit: f32,
    /// The letters that text is mostly of, by their numbers.
    usual: Vec<Option<Letter>>,
}

/// A letter that the font has: its glyph, and how wide it is.
#[derive(Clone, Copy)]
struct Letter {
    glyph: u32,
    advance: f32,
}

/// Latin, Greek and Cyrillic are below.
const USUAL: u32 = 0x530;

impl Faces {
    pub fn load() -> Option<Self> {
        Some(Self { regular: Face::load(REGULAR)?, bold: Face::load(BOLD)? })
    }

    pub fn of(&self, bold: bool) -> &Face {
        if bold { &self.bold } else { &self.regular }
    }
}

impl Face {
    fn load(data: &'static [u8]) -> Option<Self> {
        let font = Font::new(data.into(), 0)?;
        let read = FontRef::new(data).ok()?;
        let unit = font.units_per_em();
        let metrics = read.glyph_metrics(Size::unscaled(), LocationRef::default());
        let mut face = Self { font, letters: read.charmap(), metrics, unit, usual: Vec::new() };
        face.usual = (0..USUAL).map(|number| face.find(char::from_u32(number)?)).collect();
        Some(face)
    }

    /// The text in letters that the font has.
    pub fn readable(&self, text: &str) -> String {
        let mut readable = String::with_capacity(text.len());
        for c in text.chars() {
            if c == '\n' || self.letter(c).is_some() {
                readable.push(c);
            } else {
                readable.push_str(&format!("[U+{:04X}]", u32::from(c)));
            }
        }
        readable
    }

    /// In the unit of `size`.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.advance(c)).sum::<f32>() * size
    }

    pub fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let glyph = |(at, c): (usize, char)| {
            let id = self.letter(c).map_or(0, |letter| letter.glyph);
            KrillaGlyph::new(GlyphId::new(id), self.advance(c), 0.0, 0.0, 0.0, at..at + c.len_utf8(), None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// Lines no wider than `width`, broken at spaces, and within a word that is
    /// wider than a line.
    pub fn wrap(&self, text: &str, width: f32, size: f32) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in self.readable(text).split('\n') {
            let (mut line, mut used) = (String::new(), 0.0);
            for word in paragraph.split_inclusive(' ') {
                let wide = self.width(word.trim_end(), size);
                if used > 0.0 && used + wide > width {
                    lines.push(std::mem::take(&mut line).trim_end().to_owned());
                    used = 0.0;
                }
                if wide <= width {
                    line.push_str(word);
                    used += self.width(word, size);
                    continue;
                }
                for c in word.chars() {
                    let wide = self.advance(c) * size;
                    if used > 0.0 && used + wide > width {
                        lines.push(std::mem::take(&mut line));
                        used = 0.0;
                    }
                    line.push(c);
                    used += wide;
                }
            }
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    fn advance(&self, c: char) -> f32 {
        self.letter(c).map_or(0.0, |letter| letter.advance)
    }

    fn letter(&self, c: char) -> Option<Letter> {
        match self.usual.get(c as usize) {
            Some(letter) => *letter,
            None => self.find(c),
        }
    }

    fn find(&self, c: char) -> Option<Letter> {
        let glyph = self.letters.map(c)?;
        let advance = self.metrics.advance_width(glyph).unwrap_or_default() / self.unit;
        Some(Letter { glyph: glyph.to_u32(), advance })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width_and_lose_nothing() {
        let face = Face::load(REGULAR).unwrap();
        let text = "Zoë Müller, Ελένη and Олег asked for grt-0123456789abcdefghijklmnopqrstuvwxyz\nagain 漢";
        let lines = face.wrap(text, 90.0, 9.0);
        assert!(lines.iter().all(|line| face.width(line, 9.0) <= 90.0), "{lines:?}");
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(&text.replace('漢', "[U+6F22]")));
        assert!(lines.len() > 4, "{lines:?}");
    }
}
