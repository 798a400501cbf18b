//! Where everything goes. A table's head is repeated on each page, a heading
//! stays with what follows it, a row is split only where it is taller than a page.

use super::super::plot::{self, Align, Ink, Plot, Shape};
use super::super::{Block, Cell, Document, Figure, Table, Tone};
use super::face::Faces;
use super::sheet::{Colour, LEFT, Mark, RIGHT, Sheet};

const SIZE: f32 = 9.0;
const LEADING: f32 = 12.5;
/// In tables.
const SMALL: f32 = 7.8;
const TIGHT: f32 = 10.4;
const GAP: f32 = 6.0;
const NAMES: f32 = 84.0;
/// Between two plots, and how small they are.
const BESIDE: f32 = 20.0;
const SCALE: f32 = (RIGHT - LEFT - BESIDE) / 2.0 / plot::WIDTH;

pub fn lay_out(document: &Document, faces: &Faces) -> Sheet {
    let mut layout = Layout { sheet: Sheet::new(), faces };
    layout.line(&document.title, 22.0, true, Colour::Ink, 30.0);
    layout.line(&document.subtitle, 11.0, false, Colour::Soft, 24.0);
    for block in &document.blocks {
        layout.block(block);
    }
    layout.sheet
}

struct Layout<'f> {
    sheet: Sheet,
    faces: &'f Faces,
}

impl Layout<'_> {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading { level, text, .. } => self.heading(*level, text),
            Block::Text(text) => {
                let plain = text.replace('`', "");
                self.paragraph(&plain, LEFT, SIZE, LEADING, Colour::Ink);
                self.sheet.y += GAP;
            }
            Block::Figures(figures) => self.figures(figures),
            Block::Facts(facts) => {
                for (name, cell) in facts {
                    self.fact(name, cell);
                }
                self.sheet.y += GAP;
            }
            Block::Table(table) => self.table(table),
            Block::Plots(plots) => self.plots(plots),
        }
    }

    fn text(&mut self, x: f32, y: f32, size: f32, bold: bool, colour: Colour, text: &str) {
        let text = self.faces.of(bold).readable(text);
        self.sheet.mark(Mark::Text { x, y, size, bold, colour, text });
    }

    fn line(&mut self, text: &str, size: f32, bold: bool, colour: Colour, height: f32) {
        self.sheet.need(height);
        let y = self.sheet.y + size;
        self.text(LEFT, y, size, bold, colour, text);
        self.sheet.y += height;
    }

    fn paragraph(&mut self, text: &str, x: f32, size: f32, leading: f32, colour: Colour) {
        for line in self.faces.regular.wrap(text, RIGHT - x, size) {
            self.sheet.need(leading);
            let y = self.sheet.y + size;
            self.text(x, y, size, false, colour, &line);
            self.sheet.y += leading;
        }
    }

    fn heading(&mut self, level: u8, text: &str) {
        let (size, above, below) = match level {
            1 => (15.0, 22.0, 8.0),
            2 => (10.5, 10.0, 5.0),
            _ => (9.5, 14.0, 4.0),
        };
        // With the first lines of what follows.
        if !self.sheet.need(above + size + 70.0) {
            self.sheet.y += above;
        }
        if level != 2 {
            self.sheet.place(level, text);
        }
        if level == 3 {
            let (y, width) = (self.sheet.y - 6.0, RIGHT - LEFT);
            self.sheet.mark(Mark::Box { x: LEFT, y, width, height: 0.6, colour: Colour::Line });
        }
        for line in self.faces.bold.wrap(text, RIGHT - LEFT, size) {
            let y = self.sheet.y + size;
            self.text(LEFT, y, size, true, Colour::Ink, &line);
            self.sheet.y += size * 1.35;
        }
        self.sheet.y += below;
    }

    fn figures(&mut self, figures: &[Figure]) {
        let step = (RIGHT - LEFT) / figures.len().max(1) as f32;
        self.sheet.need(46.0);
        let top = self.sheet.y;
        for (index, figure) in figures.iter().enumerate() {
            let x = LEFT + step * index as f32;
            self.sheet.mark(Mark::Box { x, y: top, width: step - 6.0, height: 40.0, colour: Colour::Shade });
            self.text(x + 8.0, top + 19.0, 15.0, true, colour(figure.tone), &figure.value);
            self.text(x + 8.0, top + 32.0, 8.0, false, Colour::Soft, &figure.label);
        }
        self.sheet.y += 50.0;
    }

    fn fact(&mut self, name: &str, cell: &Cell) {
        let lines = self.faces.regular.wrap(&cell.text, RIGHT - LEFT - NAMES, SIZE);
        for (index, line) in lines.iter().enumerate() {
            self.sheet.need(LEADING);
            let y = self.sheet.y + SIZE;
            if index == 0 {
                self.text(LEFT, y, SIZE, false, Colour::Soft, name);
            }
            self.text(LEFT + NAMES, y, SIZE, false, colour(cell.tone), line);
            self.sheet.y += LEADING;
        }
    }

    fn table(&mut self, table: &Table) {
        let shares: f32 = table.columns.iter().map(|column| column.share).sum();
        let widths: Vec<f32> =
            table.columns.iter().map(|column| (RIGHT - LEFT) * column.share / shares).collect();
        self.sheet.need(3.0 * TIGHT + 8.0);
        self.head(table, &widths);
        for row in &table.rows {
            self.row(table, &widths, row);
        }
        self.sheet.y += GAP + 4.0;
    }

    fn head(&mut self, table: &Table, widths: &[f32]) {
        let mut x = LEFT;
        let y = self.sheet.y + SMALL;
        for (column, width) in table.columns.iter().zip(widths) {
            self.aligned((x, *width), y, column.right, Colour::Soft, column.name, true);
            x += width;
        }
        self.sheet.y += TIGHT + 2.0;
        let y = self.sheet.y;
        self.sheet.mark(Mark::Box { x: LEFT, y, width: RIGHT - LEFT, height: 0.8, colour: Colour::Soft });
        self.sheet.y += 3.5;
    }

    fn row(&mut self, table: &Table, widths: &[f32], row: &[Cell]) {
        let wrapped: Vec<Vec<String>> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| self.faces.regular.wrap(&cell.text, width - GAP, SMALL))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let mut done = 0;
        while done < height {
            // Two lines of a row do not make a page; more are not torn apart without need.
            let whole = (height - done) as f32 * TIGHT + 5.0;
            let least = if whole > 300.0 { 3.0 * TIGHT } else { whole };
            if self.sheet.need(least) {
                self.head(table, widths);
            }
            let fit = ((self.sheet.room() / TIGHT).floor().max(1.0) as usize).min(height - done);
            let mut x = LEFT;
            for (((column, width), lines), cell) in table.columns.iter().zip(widths).zip(&wrapped).zip(row) {
                for (index, line) in lines.iter().skip(done).take(fit).enumerate() {
                    let y = self.sheet.y + SMALL + TIGHT * index as f32;
                    self.aligned((x, *width), y, column.right, colour(cell.tone), line, false);
                }
                x += width;
            }
            done += fit;
            self.sheet.y += TIGHT * fit as f32 + 2.5;
        }
        let y = self.sheet.y;
        self.sheet.mark(Mark::Box { x: LEFT, y, width: RIGHT - LEFT, height: 0.4, colour: Colour::Line });
        self.sheet.y += 2.5;
    }

    fn aligned(
        &mut self,
        (x, width): (f32, f32),
        y: f32,
        right: bool,
        colour: Colour,
        text: &str,
        bold: bool,
    ) {
        let wide = self.faces.of(bold).width(text, SMALL);
        let x = if right { x + width - GAP - wide } else { x };
        self.text(x, y, SMALL, bold, colour, text);
    }

    fn plots(&mut self, plots: &[Plot]) {
        for pair in plots.chunks(2) {
            let height = plot::HEIGHT * SCALE + 62.0;
            self.sheet.need(height);
            let top = self.sheet.y;
            for (index, plot) in pair.iter().enumerate() {
                self.plot(plot, LEFT + (plot::WIDTH * SCALE + BESIDE) * index as f32, top);
            }
            self.sheet.y = top + height;
        }
    }

    fn plot(&mut self, plot: &Plot, left: f32, top: f32) {
        self.text(left, top + SIZE, SIZE, true, Colour::Ink, plot.title);
        let origin = top + 16.0;
        for shape in &plot.shapes {
            match shape {
                Shape::Bar { x, y, width, height, ink, .. } => self.sheet.mark(Mark::Box {
                    x: left + x * SCALE,
                    y: origin + y * SCALE,
                    width: width * SCALE,
                    height: height * SCALE,
                    colour: self::ink(*ink),
                }),
                Shape::Rule { y } => self.sheet.mark(Mark::Box {
                    x: left + 44.0 * SCALE,
                    y: origin + y * SCALE,
                    width: (plot::WIDTH - 52.0) * SCALE,
                    height: 0.4,
                    colour: Colour::Line,
                }),
                Shape::Word { x, y, align, text } => {
                    let size = plot::SIZE * SCALE;
                    let wide = self.faces.regular.width(text, size);
                    let back = match align {
                        Align::Start => 0.0,
                        Align::Middle => wide / 2.0,
                        Align::End => wide,
                    };
                    let (x, y) = (left + x * SCALE - back, origin + y * SCALE);
                    self.text(x, y, size, false, Colour::Soft, text);
                }
            }
        }
        let (mut x, mut y) = (left, origin + plot::HEIGHT * SCALE + 8.0);
        for (ink, name) in &plot.legend {
            self.sheet.mark(Mark::Box { x, y: y - 5.5, width: 6.0, height: 6.0, colour: self::ink(*ink) });
            self.text(x + 9.0, y, SMALL, false, Colour::Soft, name);
            x += 9.0 + self.faces.regular.width(name, SMALL) + 10.0;
        }
        if !plot.legend.is_empty() {
            y += 11.0;
        }
        for line in self.faces.regular.wrap(&plot.caption, plot::WIDTH * SCALE, SMALL) {
            self.text(left, y, SMALL, false, Colour::Soft, &line);
            y += TIGHT;
        }
    }
}

fn colour(tone: Tone) -> Colour {
    match tone {
        Tone::Plain => Colour::Ink,
        Tone::Soft => Colour::Soft,
        Tone::Good => Colour::Good,
        Tone::Bad => Colour::Bad,
    }
}

fn ink(ink: Ink) -> Colour {
    match ink {
        Ink::Series(series) => Colour::Series(series),
        Ink::Bad => Colour::Bad,
    }
}
