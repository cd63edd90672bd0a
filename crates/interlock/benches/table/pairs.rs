//! Pairs of measurements, taken in turn so that a machine that drifts does so for both, and their ratio.

/// What one row of the table says.
pub struct Row {
    pub what: &'static str,
    pub unit: &'static str,
    pub ours: Vec<f64>,
    pub reference: Vec<f64>,
    pub floor: &'static str,
    pub aim: &'static str,
}

/// The middle value.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The median of the ratios pair by pair, and the interval that holds the true median with at least 95 %
/// confidence whatever the distribution: the order statistics of the sign test.
pub fn ratio(ours: &[f64], reference: &[f64]) -> (f64, f64, f64) {
    let mut ratios: Vec<f64> = ours.iter().zip(reference).map(|(o, r)| o / r).collect();
    let middle = median(&mut ratios);
    let n = ratios.len();
    let mut below = 0_usize;
    let (mut cumulative, total) = (0.0, 2_f64.powi(i32::try_from(n).unwrap_or(i32::MAX)));
    let mut choose = 1.0_f64;
    #[allow(clippy::cast_precision_loss)]
    for k in 0..n / 2 {
        cumulative += choose / total;
        if cumulative > 0.025 {
            break;
        }
        below = k + 1;
        choose = choose * (n - k) as f64 / (k + 1) as f64;
    }
    let low = ratios[below.saturating_sub(1).min(n - 1)];
    let high = ratios[n - below.max(1)];
    (middle, low, high)
}

/// A number for people.
pub fn human(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e3 => format!("{:.1} k", v / 1e3),
        v if v >= 10.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

impl Row {
    /// A row without figures yet.
    pub fn new(
        what: &'static str,
        unit: &'static str,
        floor: &'static str,
        aim: &'static str,
    ) -> Self {
        Self { what, unit, ours: Vec::new(), reference: Vec::new(), floor, aim }
    }

    /// The row as Markdown; each measurement goes to standard error.
    pub fn print(&self) {
        let each = |all: &[f64]| all.iter().copied().map(human).collect::<Vec<_>>().join(", ");
        eprintln!("{}: {} | {}", self.what, each(&self.ours), each(&self.reference));
        let mut ours = self.ours.clone();
        let middle = median(&mut ours);
        let (floor, aim, unit) = (self.floor, self.aim, self.unit);
        if self.reference.is_empty() {
            println!("| {} | {} {unit} | – | – | {floor} | {aim} |", self.what, human(middle));
            return;
        }
        let (ratio, low, high) = ratio(&self.ours, &self.reference);
        let mut reference = self.reference.clone();
        let reference = human(median(&mut reference));
        println!(
            "| {} | {} {unit} | {reference} {unit} | {ratio:.2}× ({low:.2}–{high:.2}) | {floor} | {aim} |",
            self.what,
            human(middle),
        );
    }
}
