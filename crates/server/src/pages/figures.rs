//! Numbers, times and small plots.
//!
//! Plots are SVG that sets attributes only: pages allow no styles of their own. Their colour is the shell's
//! accent, so they fit light and dark.

use interlock_kernel::time::Time;
use maud::{Markup, html};

/// `1,234,567`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.06 ms`, `12.3 ms`, `4.2 s`: three figures are as much as a look takes in.
pub fn micros(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..10_000 => format!("{ms:.2} ms"),
        10_000..1_000_000 => format!("{ms:.1} ms"),
        1_000_000.. => format!("{:.1} s", ms / 1e3),
    }
}

const SHORT_HEAD: usize = 14;
const SHORT_TAIL: usize = 6;

/// A name that fits a column; the whole one is to be its title.
pub fn short(name: &str) -> String {
    // Names are ASCII, but who knows what is passed here.
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= SHORT_HEAD + SHORT_TAIL + 3 {
        return name.to_owned();
    }
    let (head, tail) = (&chars[..SHORT_HEAD], &chars[chars.len() - SHORT_TAIL..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

/// `12 kB`, `3.4 MB`
pub fn bytes(bytes: u64) -> String {
    let amount = bytes as f64;
    match bytes {
        0..1_000_000 => format!("{:.0}\u{a0}kB", amount / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}\u{a0}MB", amount / 1e6),
        1_000_000_000.. => format!("{:.1}\u{a0}GB", amount / 1e9),
    }
}

/// A second of the day, UTC. Its title is the whole moment.
pub fn clock(at: Time) -> Markup {
    let full = at.to_string();
    moment(&full, time_of_day(&full).split('.').next().unwrap_or(""))
}

/// A millisecond of the day, UTC. Its title is the whole moment.
pub fn precise_clock(at: Time) -> Markup {
    let full = at.to_string();
    moment(&full, time_of_day(&full).trim_end_matches('Z'))
}

/// What follows the date in RFC 3339.
fn time_of_day(full: &str) -> &str {
    full.split_once('T').map_or(full, |(_, time)| time)
}

fn moment(full: &str, shown: &str) -> Markup {
    html! { time datetime=(full) title=(full) { (shown) } }
}

/// The two ends of a span, each as short as both allow: the time of one day, or the days as well.
pub fn between(from: Time, to: Time) -> [String; 2] {
    let ends = [from, to].map(|at| at.to_string());
    let day = |end: &String| end.split_once('T').map(|(day, _)| day.to_owned());
    let is_one_day = day(&ends[0]) == day(&ends[1]);
    ends.map(|end| {
        let second = end.split('.').next().unwrap_or("");
        if is_one_day { time_of_day(second).to_owned() } else { second.replace('T', " ") }
    })
}

const ACCENT: &str = "var(--accent, currentColor)";
const PLOT_WIDTH: u32 = 240;
const PLOT_HEIGHT: u32 = 48;

/// The course of a number, oldest first, from zero to its highest. `what` is read out instead.
pub fn sparkline(values: &[u64], what: &str) -> Markup {
    let top = values.iter().copied().max().unwrap_or(0);
    let says = format!("{what}; at most {}", count(top));
    let steps = values.len().saturating_sub(1).max(1) as f64;
    let points = values.iter().enumerate().map(|(index, value)| {
        let x = index as f64 / steps * f64::from(PLOT_WIDTH);
        // A pixel above and below, so that the line is not cut.
        let room = f64::from(PLOT_HEIGHT - 2);
        let y = 1.0 + room * (1.0 - *value as f64 / top.max(1) as f64);
        format!("{x:.1},{y:.1}")
    });
    let line = points.collect::<Vec<_>>().join(" ");
    let area = format!("0,{PLOT_HEIGHT} {line} {PLOT_WIDTH},{PLOT_HEIGHT}");
    html! {
        svg role="img" aria-label=(says) width="100%"
            viewBox=(format!("0 0 {PLOT_WIDTH} {PLOT_HEIGHT}")) {
            title { (says) }
            polygon points=(area) fill=(ACCENT) fill-opacity="0.14" {}
            polyline points=(line) fill="none" stroke=(ACCENT) stroke-width="1.5"
                stroke-linejoin="round" {}
        }
    }
}

const GAUGE_WIDTH: u64 = 96;
const GAUGE_HEIGHT: u64 = 8;

/// How much of a limit is used.
pub fn gauge(used: u64, limit: u64) -> Markup {
    let says = format!("{} of {}", count(used), count(limit));
    // Nothing is used of a limit of nothing.
    let filled = (GAUGE_WIDTH * used.min(limit)).checked_div(limit).unwrap_or(0);
    html! {
        svg role="img" aria-label=(says) width=(GAUGE_WIDTH) height=(GAUGE_HEIGHT)
            viewBox=(format!("0 0 {GAUGE_WIDTH} {GAUGE_HEIGHT}")) {
            title { (says) }
            rect width=(GAUGE_WIDTH) height=(GAUGE_HEIGHT) rx="4" fill=(ACCENT)
                fill-opacity="0.18" {}
            rect width=(filled) height=(GAUGE_HEIGHT) rx="4" fill=(ACCENT) {}
        }
    }
}

const BAR_WIDTH: u16 = 500;

/// A bar as wide as there is room for, filled to so many hundredths; scarce is red. `what` is read out instead.
pub fn bar(percent: u16, what: &str) -> Markup {
    let colour = match percent {
        0..=20 => "var(--bad)",
        21..=50 => "var(--warn)",
        51.. => "var(--good)",
    };
    let filled = BAR_WIDTH / 100 * percent.min(100);
    html! {
        svg role="img" aria-label=(what) width="100%" viewBox=(format!("0 0 {} 10", BAR_WIDTH)) {
            title { (what) }
            rect width="100%" height="10" rx="5" fill="currentColor" fill-opacity="0.12" {}
            rect width=(filled) height="10" rx="5" fill=(colour) {}
        }
    }
}

/// A share with its interval, from 0 to 1.
pub fn interval(low: f64, value: f64, high: f64) -> Markup {
    let x = |share: f64| format!("{:.1}", share.clamp(0.0, 1.0) * GAUGE_WIDTH as f64);
    let width = format!("{:.1}", (high - low).clamp(0.0, 1.0) * GAUGE_WIDTH as f64);
    let mark = format!("{:.1}", value.clamp(0.0, 1.0) * (GAUGE_WIDTH - 2) as f64);
    html! {
        svg aria-hidden="true" width=(GAUGE_WIDTH) height=(GAUGE_HEIGHT)
            viewBox=(format!("0 0 {GAUGE_WIDTH} {GAUGE_HEIGHT}")) {
            rect width=(GAUGE_WIDTH) height=(GAUGE_HEIGHT) rx="4" fill="currentColor" fill-opacity="0.1" {}
            rect x=(x(low)) width=(width) height=(GAUGE_HEIGHT) rx="4" fill=(ACCENT) fill-opacity="0.4" {}
            rect x=(mark) width="2" height=(GAUGE_HEIGHT) fill=(ACCENT) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn times_have_three_figures() {
        for (us, text) in [
            (0, "0.00 ms"),
            (64, "0.06 ms"),
            (9_999, "10.00 ms"),
            (12_345, "12.3 ms"),
            (999_999, "1000.0 ms"),
            (4_200_000, "4.2 s"),
        ] {
            assert_eq!(micros(us), text);
        }
    }

    #[test]
    fn long_names_keep_their_ends() {
        let id = "id-c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff";
        assert_eq!(short(id), "id-c0ffeec0ffe…eec0ff");
        assert_eq!(short("a-name-that-just-fits-x"), "a-name-that-just-fits-x");
        assert_eq!(short("ä"), "ä");
    }

    #[test]
    fn a_clock_shows_the_time_and_knows_the_date() {
        let at = Time(1_795_219_200_123);
        let shown = |clock: Markup| clock.into_string().split_once('>').unwrap().1.to_owned();
        assert_eq!(shown(clock(at)), "00:00:00</time>");
        assert_eq!(shown(precise_clock(at)), "00:00:00.123</time>");
        assert!(clock(at).into_string().contains("title=\"2026-11-21T00:00:00.123Z\""));
    }

    #[test]
    fn the_ends_of_a_span_are_as_short_as_both_allow() {
        let (night, day) = (Time(1_795_219_200_123), Time(1_795_219_200_123 + 86_400_000));
        assert_eq!(between(night, night), ["00:00:00", "00:00:00"]);
        assert_eq!(between(night, day), ["2026-11-21 00:00:00", "2026-11-22 00:00:00"]);
    }

    #[test]
    fn a_bar_is_as_long_as_it_says() {
        for (percent, filled, colour) in [(0, 0, "bad"), (50, 250, "warn"), (900, 500, "good")] {
            let shown = bar(percent, "x").into_string();
            assert!(shown.contains(&format!("<rect width=\"{filled}\"")), "{shown}");
            assert!(shown.contains(&format!("var(--{colour})")), "{shown}");
        }
    }

    #[test]
    fn a_gauge_is_never_fuller_than_full() {
        for (used, limit, filled) in [(0, 2, 0), (1, 2, 48), (2, 2, 96), (3, 2, 96), (1, 0, 0)] {
            let shown = gauge(used, limit).into_string();
            assert!(shown.contains(&format!("<rect width=\"{filled}\"")), "{shown}");
        }
    }

    #[test]
    fn a_line_stays_within_its_plot() {
        let flat = sparkline(&[0, 0, 0], "x").into_string();
        assert!(flat.contains("points=\"0.0,47.0 120.0,47.0 240.0,47.0\""), "{flat}");
        let risen = sparkline(&[0, 1, 2], "x").into_string();
        assert!(risen.contains("points=\"0.0,47.0 120.0,24.0 240.0,1.0\""), "{risen}");
        assert!(sparkline(&[], "x").into_string().contains("at most 0"));
        assert!(sparkline(&[7], "x").into_string().contains("points=\"0.0,1.0\""));
    }
}
