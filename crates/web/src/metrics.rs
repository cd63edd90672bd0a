//! The Prometheus text format (0.0.4).
//!
//! ```
//! use interlock_web::metrics::{Text, Type};
//!
//! let mut text = Text::new();
//! text.family("pool_active", Type::Gauge, "Leases in use.")
//!     .sample(&[("pool", "engines")], 3)
//!     .sample(&[("pool", "a \"quoted\" one")], 0);
//! assert_eq!(text.as_str(), "\
//! ## HELP pool_active Leases in use.
//! ## TYPE pool_active gauge
//! pool_active{pool=\"engines\"} 3
//! pool_active{pool=\"a \\\"quoted\\\" one\"} 0
//! ".replace("##", "#"));
//! ```

use std::fmt::{Display, Write};

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

/// The media type.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// It only rises, until the process restarts.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Quantiles, sum and count.
    Summary,
}

impl Type {
    fn as_str(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Summary => "summary",
        }
    }
}

/// Metrics on their way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a family of samples. Panics if the name is none that Prometheus takes: names are constants.
    pub fn family(&mut self, name: &'static str, of: Type, help: &str) -> Family<'_> {
        check_name(name);
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", of.as_str()));
        Family { text: self, name }
    }

    /// What has been written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a string takes what is written to it");
    }
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], self.0).into_response()
    }
}

/// A family of samples with one name.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Family<'_> {
    /// One number. Labels are written in the order given.
    pub fn sample(&mut self, labels: &[(&'static str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value)
    }

    /// A summary: its quantiles, each from 0 to 1 with its value, its sum and its count.
    pub fn summary(
        &mut self,
        labels: &[(&'static str, &str)],
        quantiles: &[(&str, f64)],
        sum: f64,
        count: u64,
    ) -> &mut Self {
        for (quantile, value) in quantiles {
            self.line("", labels, Some(quantile), value);
        }
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count)
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&'static str, &str)],
        quantile: Option<&str>,
        value: impl Display,
    ) -> &mut Self {
        self.text.write(format_args!("{}{suffix}", self.name));
        let quantile = quantile.map(|quantile| ("quantile", quantile));
        for (index, (name, value)) in labels.iter().copied().chain(quantile).enumerate() {
            check_name(name);
            let open = if index == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.text.write(format_args!("{open}{name}=\"{value}\""));
        }
        let close = if labels.is_empty() && quantile.is_none() { "" } else { "}" };
        self.text.write(format_args!("{close} {value}\n"));
        self
    }
}

fn check_name(name: &str) {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    assert!(fits && name.starts_with(|c: char| !c.is_ascii_digit()), "{name:?} is no metric name");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_help_are_escaped() {
        let mut text = Text::new();
        text.family("x", Type::Counter, "a \\ b\nc").sample(&[("l", "\\ \" \n é")], 1);
        let expected = "# HELP x a \\\\ b\\nc\n# TYPE x counter\nx{l=\"\\\\ \\\" \\n é\"} 1\n";
        assert_eq!(text.as_str(), expected);
    }

    #[test]
    fn a_summary_has_quantiles_a_sum_and_a_count() {
        let mut text = Text::new();
        let quantiles = [("0.5", 0.25), ("1", f64::NAN)];
        text.family("d", Type::Summary, "D.").summary(&[("p", "a")], &quantiles, 2.5, 4);
        let expected = "# HELP d D.\n# TYPE d summary\n\
            d{p=\"a\",quantile=\"0.5\"} 0.25\nd{p=\"a\",quantile=\"1\"} NaN\n\
            d_sum{p=\"a\"} 2.5\nd_count{p=\"a\"} 4\n";
        assert_eq!(text.as_str(), expected);
        text.family("n", Type::Gauge, "N.").sample(&[], 0.25);
        assert!(text.as_str().ends_with("\nn 0.25\n"));
    }

    #[test]
    #[should_panic(expected = "no metric name")]
    fn a_name_that_prometheus_would_not_read_is_a_bug() {
        Text::new().family("a-b", Type::Gauge, "");
    }
}
