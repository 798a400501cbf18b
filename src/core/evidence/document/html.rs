//! The document as one page that loads nothing and runs nothing: for a browser
//! of any width, light or dark, and for its printer.

use super::plot::{self, Align, Ink, Plot, Shape};
use super::{Block, Cell, Document, Table, Tone};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("report.css");
/// Nothing may be fetched or run, even by a page that was changed by accident.
const CONTENT: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

pub fn html(document: &Document) -> String {
    let places = document.blocks.iter().filter_map(|block| match block {
        Block::Heading { level: 1, text, anchor: Some(anchor) } => Some((text, anchor)),
        _ => None,
    });
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(CONTENT);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (document.title) ": " (document.subtitle) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (document.title) }
                    p { (document.subtitle) }
                }
                nav aria-label="Contents" {
                    @for (text, anchor) in places {
                        // A control by its number: its title is above it.
                        a href={ "#" (anchor) } title=(text) { (if anchor.starts_with('R') { anchor } else { text }) }
                    }
                }
                main { @for block in &document.blocks { (self::block(block)) } }
            }
        }
    }
    .into_string()
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Heading { level: 1, text, anchor } => html! { h2 id=[anchor] { (text) } },
        Block::Heading { level: 2, text, anchor } => html! { h3 id=[anchor] { (text) } },
        Block::Heading { text, anchor, .. } => html! { h4 id=[anchor] { (text) } },
        Block::Text(text) => html! { p { (code(text)) } },
        Block::Figures(figures) => html! {
            ul class="figures" {
                @for figure in figures {
                    li class=(class(figure.tone)) { b { (figure.value) } " " span { (figure.label) } }
                }
            }
        },
        Block::Facts(facts) => html! {
            dl {
                @for (name, cell) in facts { div { dt { (name) } dd class=(class(cell.tone)) { (inside(cell)) } } }
            }
        },
        Block::Table(table) => self::table(table),
        Block::Plots(plots) => html! {
            div class="plots" { @for plot in plots { (self::plot(plot)) } }
        },
    }
}

/// What stands between backquotes is to be typed.
fn code(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// On a narrow screen a row is a card, so each cell knows its column's name.
fn table(table: &Table) -> Markup {
    let right = |right: bool| if right { " right" } else { "" };
    html! {
        table {
            thead { tr { @for column in &table.columns { th scope="col" class=(right(column.right).trim()) { (column.name) } } } }
            tbody {
                @for row in &table.rows {
                    tr {
                        @for (column, cell) in table.columns.iter().zip(row) {
                            td data-of=(column.name) class={ (class(cell.tone)) (right(column.right)) } {
                                span { (inside(cell)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn inside(cell: &Cell) -> Markup {
    match &cell.link {
        Some(anchor) => html! { a href={ "#" (anchor) } { (cell.text) } },
        None => html! { (cell.text) },
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Soft => "soft",
        Tone::Good => "good",
        Tone::Bad => "bad",
    }
}

fn plot(plot: &Plot) -> Markup {
    html! {
        figure {
            figcaption { b { (plot.title) } }
            svg viewBox={ "0 0 " (plot::WIDTH) " " (plot::HEIGHT) } role="img" aria-label=(plot.caption) {
                @for shape in &plot.shapes { (self::shape(shape)) }
            }
            @if !plot.legend.is_empty() {
                p class="legend" { @for (ink, name) in &plot.legend { span { i class=(self::ink(*ink)) {} (name) } } }
            }
            p class="soft" { (plot.caption) }
        }
    }
}

fn shape(shape: &Shape) -> Markup {
    match shape {
        Shape::Bar { x, y, width, height, ink, says } => html! {
            rect class=(self::ink(*ink)) x=(at(*x)) y=(at(*y)) width=(at(*width)) height=(at(*height)) rx="1.5" {
                title { (says) }
            }
        },
        Shape::Rule { y } => html! { line x1="44" x2="412" y1=(at(*y)) y2=(at(*y)) {} },
        Shape::Word { x, y, align, text } => html! {
            text x=(at(*x)) y=(at(*y)) text-anchor=(match align {
                Align::Start => "start",
                Align::Middle => "middle",
                Align::End => "end",
            }) { (text) }
        },
    }
}

fn ink(ink: Ink) -> &'static str {
    match ink {
        Ink::Series(0) => "s0",
        Ink::Series(1) => "s1",
        Ink::Series(2) => "s2",
        Ink::Series(_) => "s3",
        Ink::Bad => "s-bad",
    }
}

/// A tenth of a unit is fine enough, and the same everywhere.
fn at(place: f32) -> String {
    format!("{place:.1}")
}
