//! Plots of one figure's course: SVG that sets attributes only, in the shell's accent, with its range written
//! beside it.

use std::ops::Range;

use maud::{Markup, html};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
/// Room for what is written on the left.
const LEFT: f64 = 48.0;
const ACCENT: &str = "var(--accent, currentColor)";
const LINE: &str = "var(--line, currentColor)";

/// A figure with its interval, oldest first: low, value, high. `what` is read out instead.
pub fn band(values: &[[f64; 3]], range: Range<f64>, what: &str) -> Markup {
    let at = Scale { count: values.len(), range };
    let lows = values.iter().enumerate().map(|(place, [low, ..])| at.point(place, *low));
    let highs = values.iter().enumerate().map(|(place, [.., high])| at.point(place, *high));
    let around: Vec<String> = lows.chain(highs.rev()).collect();
    let line: Vec<String> =
        values.iter().enumerate().map(|(place, [_, value, _])| at.point(place, *value)).collect();
    let percent = |value: f64| format!("{:.0} %", value * 100.0);
    let inner = html! {
        polygon points=(around.join(" ")) fill=(ACCENT) fill-opacity="0.14" {}
        polyline points=(line.join(" ")) fill="none" stroke=(ACCENT) stroke-width="1.5"
            stroke-linejoin="round" {}
    };
    frame(&at, percent, what, &inner)
}

/// A figure's course, oldest first, from its lowest to its highest.
pub fn line(values: &[f64], what: &str) -> Markup {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A course without ups and downs is a line in the middle.
    let spread = (high - low).max(1.0);
    let at = Scale { count: values.len(), range: low - spread * 0.05..low + spread * 1.05 };
    let line: Vec<String> =
        values.iter().enumerate().map(|(place, value)| at.point(place, *value)).collect();
    let inner = html! {
        polyline points=(line.join(" ")) fill="none" stroke=(ACCENT) stroke-width="1.5"
            stroke-linejoin="round" {}
    };
    frame(&at, |value| format!("{value:.0}"), what, &inner)
}

struct Scale {
    count: usize,
    range: Range<f64>,
}

impl Scale {
    fn point(&self, place: usize, value: f64) -> String {
        let steps = self.count.saturating_sub(1).max(1) as f64;
        let x = LEFT + place as f64 / steps * (WIDTH - LEFT);
        format!("{x:.1},{:.1}", self.height(value))
    }

    fn height(&self, value: f64) -> f64 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        // A pixel above and below, so that the line is not cut.
        1.0 + (HEIGHT - 2.0) * (1.0 - share.clamp(0.0, 1.0))
    }
}

/// The plot with lines at its ends and in its middle.
fn frame(at: &Scale, written: impl Fn(f64) -> String, what: &str, inner: &Markup) -> Markup {
    let Range { start, end } = at.range;
    let marks = [start, start + (end - start) / 2.0, end];
    html! {
        svg role="img" aria-label=(what) width="100%" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
            title { (what) }
            @for mark in marks {
                @let y = at.height(mark);
                line x1=(LEFT) y1=(format!("{y:.1}")) x2=(WIDTH) y2=(format!("{y:.1}"))
                    stroke=(LINE) stroke-width="1" {}
                text x=(LEFT - 6.0) y=(format!("{:.1}", (y + 4.0).clamp(11.0, HEIGHT - 2.0)))
                    text-anchor="end" { (written(mark)) }
            }
            (inner)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The y of every point in the plot's own lines.
    fn heights(markup: &str) -> Vec<f64> {
        let points = markup.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let pairs = points.flat_map(|points| points.split(' '));
        pairs.map(|pair| pair.split_once(',').unwrap().1.parse().unwrap()).collect()
    }

    #[test]
    fn whatever_is_plotted_stays_within_its_frame() {
        let plots = [
            band(&[[0.0, 0.5, 1.0], [-1.0, 2.0, 9.0]], 0.0..1.0, "x"),
            line(&[1000.0, 1045.0, 980.0], "x"),
            line(&[7.0], "x"),
        ];
        for plot in plots {
            let heights = heights(&plot.0);
            assert!(!heights.is_empty());
            assert!(heights.iter().all(|y| (0.0..=HEIGHT).contains(y)), "{heights:?}");
        }
    }

    #[test]
    fn higher_is_higher() {
        let heights = heights(&line(&[1000.0, 1045.0], "x").0);
        assert!(heights[0] > heights[1], "{heights:?}");
    }
}
