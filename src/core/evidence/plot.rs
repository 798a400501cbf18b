//! A metric's weeks as a picture: SVG that stands by itself in a page, a file
//! or a print, with the same in words for whoever does not see it.
//!
//! Its colours are the page's: `--plot-ink` (axis and text), `--plot-mark`
//! (values), `--plot-miss` (values that miss the goal) and `--plot-goal` (the
//! goal's line). Where a page sets none, there are colours that can be read on
//! light and on dark ground. It has no style sheet, script or foreign content.

use crate::core::model::{Goal, Unit, Week};
use std::fmt::Write as _;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    /// Unlike any other in the page: the names of its parts begin with it.
    pub id: &'a str,
    pub title: &'a str,
    pub unit: Unit,
    pub goal: Option<Goal>,
    pub shape: Shape,
    /// Oldest first.
    pub weeks: &'a [Week],
}

/// Bars suit what is counted, a line what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Bars,
    Line,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 28.0;
/// As many dates as fit beside each other.
const MOST_DATES: usize = 8;

const INK: &str = "var(--plot-ink,#6b7280)";
const MARK: &str = "var(--plot-mark,#3b82c4)";
const MISS: &str = "var(--plot-miss,#d9480f)";
const GOAL: &str = "var(--plot-goal,#2f9e44)";

impl Plot<'_> {
    /// The picture: 640 by 200, as wide as its place allows.
    pub fn svg(&self) -> String {
        let (id, title) = (escaped(self.id), escaped(self.title));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"100%\" \
             role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" font-family=\"system-ui,sans-serif\" \
             font-size=\"11\"><title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{}</desc>",
            escaped(&self.words())
        );
        let scale = Scale { top: self.top(), count: self.weeks.len().max(1) };
        self.frame(&mut svg, &scale);
        match self.shape {
            Shape::Bars => self.bars(&mut svg, &scale),
            Shape::Line => self.line(&mut svg, &scale),
        }
        svg.push_str("</svg>");
        svg
    }

    /// What the picture shows, in words.
    fn words(&self) -> String {
        let known: Vec<(&Week, f64)> =
            self.weeks.iter().filter_map(|week| Some((week, week.value?))).collect();
        let goal = self.goal.map_or_else(String::new, |goal| format!(" Goal: {}.", goal.say(self.unit)));
        let (Some((last, now)), Some(first)) = (known.last(), self.weeks.first()) else {
            return format!("Nothing was measured.{goal}");
        };
        let least = known.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        let most = known.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let missed = known.iter().filter(|(_, value)| self.misses(*value)).count();
        let missed = if missed == 0 { String::new() } else { format!(" Missed in {missed} of them.") };
        format!(
            "{} weeks from {}; least {}, most {}, in the week from {} {}.{goal}{missed}",
            self.weeks.len(),
            first.from,
            self.unit.say(least),
            self.unit.say(most),
            last.from,
            self.unit.say(*now)
        )
    }

    fn misses(&self, value: f64) -> bool {
        self.goal.is_some_and(|goal| !goal.met(value))
    }

    /// The scale's end: room for every value and for the goal, a round number.
    fn top(&self) -> f64 {
        let bound = match self.goal {
            Some(Goal::Under(bound)) => bound,
            _ => 0.0,
        };
        let most = self.weeks.iter().filter_map(|week| week.value).fold(bound, f64::max);
        if !(most > 0.0 && most.is_finite()) {
            return 1.0;
        }
        let magnitude = 10_f64.powf(most.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0];
        steps.into_iter().map(|step| step * magnitude).find(|top| *top >= most).unwrap_or(most)
    }

    /// Lines with their values, the goal, and dates below.
    fn frame(&self, svg: &mut String, scale: &Scale) {
        for part in [0.0, 0.5, 1.0] {
            let (value, y) = (scale.top * part, scale.y(scale.top * part));
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{INK}\" \
                 stroke-opacity=\"0.3\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{INK}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                escaped(&self.unit.say(value))
            );
        }
        if let Some(goal) = self.goal {
            let y = match goal {
                Goal::Zero => scale.y(0.0),
                Goal::Under(bound) => scale.y(bound),
            };
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{GOAL}\" \
                 stroke-dasharray=\"5 4\"><title>Goal: {}</title></line>",
                WIDTH - RIGHT,
                escaped(&goal.say(self.unit))
            );
        }
        let every = self.weeks.len().div_ceil(MOST_DATES).max(1);
        for (index, week) in self.weeks.iter().enumerate().step_by(every) {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"{INK}\">{}</text>",
                scale.x(index),
                HEIGHT - 8.0,
                week.from.strftime("%m-%d")
            );
        }
    }

    fn bars(&self, svg: &mut String, scale: &Scale) {
        let wide = (scale.step() * 0.7).min(48.0);
        for (index, week) in self.weeks.iter().enumerate() {
            let Some(value) = week.value else { continue };
            let y = scale.y(value);
            let _ = write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" fill=\"{}\">{}</rect>",
                scale.x(index) - wide / 2.0,
                // A value is seen, however small: no bar would say that nothing was measured.
                (scale.y(0.0) - y).max(1.0),
                self.colour(value),
                self.hint(week, value)
            );
        }
    }

    /// Points, joined where weeks follow each other.
    fn line(&self, svg: &mut String, scale: &Scale) {
        let mut path = String::new();
        let mut drawing = false;
        for (index, week) in self.weeks.iter().enumerate() {
            if let Some(value) = week.value {
                let verb = if drawing { 'L' } else { 'M' };
                let _ = write!(path, "{verb}{:.1} {:.1}", scale.x(index), scale.y(value));
            }
            drawing = week.value.is_some();
        }
        let _ = write!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{MARK}\" stroke-width=\"2\"/>");
        for (index, week) in self.weeks.iter().enumerate() {
            let Some(value) = week.value else { continue };
            let _ = write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{}\">{}</circle>",
                scale.x(index),
                scale.y(value),
                self.colour(value),
                self.hint(week, value)
            );
        }
    }

    fn colour(&self, value: f64) -> &'static str {
        if self.misses(value) { MISS } else { MARK }
    }

    fn hint(&self, week: &Week, value: f64) -> String {
        format!("<title>Week from {}: {}</title>", week.from, escaped(&self.unit.say(value)))
    }
}

/// From weeks and values to places.
struct Scale {
    top: f64,
    count: usize,
}

impl Scale {
    fn step(&self) -> f64 {
        let count = self.count as f64;
        (WIDTH - LEFT - RIGHT) / count
    }

    fn x(&self, index: usize) -> f64 {
        let index = index as f64;
        LEFT + (index + 0.5) * self.step()
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (value / self.top).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;
    use jiff::civil::date;

    fn weeks(values: &[Option<f64>]) -> Vec<Week> {
        let from = |index: usize| date(2026, 1, 5) + (7 * index as i64).days();
        values.iter().enumerate().map(|(index, value)| Week { from: from(index), value: *value }).collect()
    }

    fn plot(shape: Shape, weeks: &[Week]) -> String {
        Plot {
            id: "r10-2",
            title: "Time <\"held\">",
            unit: Unit::Seconds,
            goal: Some(Goal::Under(7200.0)),
            shape,
            weeks,
        }
        .svg()
    }

    #[test]
    fn a_plot_says_in_words_what_it_shows() {
        let svg = plot(Shape::Bars, &weeks(&[Some(600.0), None, Some(9000.0), Some(3600.0)]));
        assert!(svg.contains("<title id=\"r10-2-title\">Time &lt;&quot;held&quot;&gt;</title>"), "{svg}");
        assert!(
            svg.contains(
                "<desc id=\"r10-2-desc\">4 weeks from 2026-01-05; least 10 min, most 2.5 h, in the week from \
                 2026-01-26 60 min. Goal: under 2 h. Missed in 1 of them.</desc>"
            ),
            "{svg}"
        );
        assert_eq!(svg.matches("<rect ").count(), 3, "{svg}");
        assert_eq!((svg.matches(MISS).count(), svg.matches("02-").count()), (1, 0), "{svg}");
    }

    #[test]
    fn a_line_breaks_where_a_week_has_no_value() {
        let svg = plot(Shape::Line, &weeks(&[Some(1.0), Some(2.0), None, Some(3.0)]));
        let path = svg.split("<path d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    }

    #[test]
    fn nothing_and_very_much_stay_inside_the_frame() {
        for values in [vec![], vec![None], vec![Some(0.0)], vec![Some(f64::INFINITY)], vec![Some(1e9); 60]] {
            let svg = plot(Shape::Bars, &weeks(&values));
            assert!(!svg.contains("NaN") && !svg.contains("\"inf"), "{svg}");
            assert!(svg.matches("text-anchor=\"middle\"").count() <= MOST_DATES, "{svg}");
        }
        assert!(plot(Shape::Line, &[]).contains("Nothing was measured. Goal: under 2 h."));
    }
}
