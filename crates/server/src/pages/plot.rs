//! Plots of how figures went: SVG that sets attributes only, stretched to the page's width, with what is written
//! around it as text of the page, so that it can be read on any screen.

use std::ops::Range;

use maud::{Markup, html};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
const LINE: &str = "var(--line, currentColor)";
/// The first few lines can be told apart.
const COLOURS: [&str; 5] =
    ["var(--accent)", "var(--good)", "var(--warn)", "var(--bad)", "var(--quiet)"];

/// What is below a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Across {
    /// From where to where.
    pub range: Range<f64>,
    /// What its ends are called.
    pub ends: [String; 2],
}

/// A figure with its interval: at which place across, and low, value, high. `what` is read out instead.
pub fn band(points: &[(f64, [f64; 3])], range: Range<f64>, across: &Across, what: &str) -> Markup {
    let at = Scale { across: &across.range, range };
    let of = |place: usize| points.iter().map(move |(x, values)| (*x, values[place]));
    let around: Vec<String> = of(0).chain(of(2).rev()).map(|point| at.point(point)).collect();
    let percent = |value: f64| format!("{:.0} %", value * 100.0);
    let inner = html! {
        polygon points=(around.join(" ")) fill=(COLOURS[0]) fill-opacity="0.14" {}
        (stroke(0, of(1), &at))
    };
    frame(&at, across, percent, what, &inner)
}

/// Some figures on one scale, from the lowest to the highest of all.
pub fn lines(courses: &[Vec<(f64, f64)>], across: &Across, what: &str) -> Markup {
    let values = || courses.iter().flatten().map(|(_, value)| *value);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    // A course without ups and downs is a line in the middle.
    let range = if high > low { low..high } else { low - 1.0..high + 1.0 };
    let at = Scale { across: &across.range, range };
    let inner = html! {
        @for (number, course) in courses.iter().enumerate() {
            (stroke(number, course.iter().copied(), &at))
        }
    };
    frame(&at, across, |value| format!("{value:.0}"), what, &inner)
}

/// The colour of the line of this number, to be shown beside its name.
pub fn swatch(number: usize) -> Markup {
    html! {
        svg width="14" height="10" viewBox="0 0 14 10" aria-hidden="true" {
            rect y="3" width="14" height="4" rx="2" fill=(colour(number)) {}
        }
    }
}

fn colour(number: usize) -> &'static str {
    COLOURS[number.min(COLOURS.len() - 1)]
}

fn stroke(number: usize, points: impl Iterator<Item = (f64, f64)>, at: &Scale<'_>) -> Markup {
    let mut points: Vec<String> = points.map(|point| at.point(point)).collect();
    // A line takes two.
    if let [only] = &points[..] {
        points.push(only.clone());
    }
    html! {
        polyline points=(points.join(" ")) fill="none" stroke=(colour(number)) stroke-width="2"
            stroke-linejoin="round" stroke-linecap="round" vector-effect="non-scaling-stroke" {}
    }
}

struct Scale<'a> {
    across: &'a Range<f64>,
    range: Range<f64>,
}

impl Scale<'_> {
    fn point(&self, (x, value): (f64, f64)) -> String {
        format!("{:.1},{:.1}", WIDTH * share(x, self.across), self.height(value))
    }

    fn height(&self, value: f64) -> f64 {
        // A pixel above and below, so that the line is not cut.
        1.0 + (HEIGHT - 2.0) * (1.0 - share(value, &self.range))
    }
}

/// How far a value is from a range's start to its end.
fn share(value: f64, Range { start, end }: &Range<f64>) -> f64 {
    if end > start { ((value - start) / (end - start)).clamp(0.0, 1.0) } else { 0.5 }
}

/// The plot with lines at its ends and in its middle.
fn frame(
    at: &Scale<'_>,
    across: &Across,
    written: impl Fn(f64) -> String,
    what: &str,
    inner: &Markup,
) -> Markup {
    let Range { start, end } = at.range;
    let marks = [end, start + (end - start) / 2.0, start];
    html! {
        div class="plot" {
            div class="up" aria-hidden="true" { @for mark in marks { span { (written(mark)) } } }
            svg role="img" aria-label=(what) preserveAspectRatio="none"
                viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
                title { (what) }
                @for mark in marks {
                    @let y = format!("{:.1}", at.height(mark));
                    line x1="0" y1=(y) x2=(WIDTH) y2=(y) stroke=(LINE) stroke-width="1"
                        vector-effect="non-scaling-stroke" {}
                }
                (inner)
            }
            div class="across" { @for end in &across.ends { span { (end) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn across() -> Across {
        Across { range: 10.0..20.0, ends: ["ten".to_owned(), "twenty".to_owned()] }
    }

    /// Every point in the plot's own lines.
    fn points(markup: &str) -> Vec<(f64, f64)> {
        let points = markup.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let pairs = points.flat_map(|points| points.split(' '));
        let number = |text: &str| text.parse().unwrap();
        pairs
            .map(|pair| pair.split_once(',').unwrap())
            .map(|(x, y)| (number(x), number(y)))
            .collect()
    }

    #[test]
    fn whatever_is_plotted_stays_within_its_frame() {
        let plots = [
            band(&[(10.0, [0.0, 0.5, 1.0]), (99.0, [-1.0, 2.0, 9.0])], 0.0..1.0, &across(), "x"),
            lines(&[vec![(0.0, 1000.0), (15.0, 1045.0)], vec![(20.0, 980.0)]], &across(), "x"),
            lines(&[vec![(7.0, 7.0)]], &Across { range: 7.0..7.0, ..across() }, "x"),
        ];
        for plot in plots {
            let points = points(&plot.0);
            assert!(!points.is_empty());
            let is_within =
                |(x, y): &(f64, f64)| (0.0..=WIDTH).contains(x) && (0.0..=HEIGHT).contains(y);
            assert!(points.iter().all(is_within), "{points:?}");
        }
    }

    #[test]
    fn higher_is_higher_and_later_is_further_right() {
        let plot = lines(&[vec![(12.0, 1000.0), (15.0, 1045.0)]], &across(), "x").0;
        let points = points(&plot);
        assert!(points[0].1 > points[1].1, "{points:?}");
        assert_eq!((points[0].0, points[1].0), (WIDTH * 0.2, WIDTH * 0.5));
        assert!(plot.contains("ten") && plot.contains("twenty"));
    }
}
