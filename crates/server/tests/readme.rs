//! The configuration in the README: it is right, it shows the defaults, and it leaves nothing out.

use interlock_server::config::{Config, Overrides};

const README: &str = include_str!("../../../README.md");

/// The file that the README shows.
fn example() -> &'static str {
    let (_, rest) = README.split_once("```toml\n").expect("there is one");
    let (example, rest) = rest.split_once("```").expect("it ends");
    assert!(!rest.contains("```toml"), "there is only one");
    example
}

fn read(text: &str) -> Result<Config, String> {
    let config = Config::parse("README.md", text, &Overrides::default());
    config.map_err(|mistakes| mistakes.to_string())
}

#[test]
fn it_shows_the_defaults_and_one_engine() {
    let mut config = read(example()).unwrap();
    let engines = std::mem::take(&mut config.streams.engines);
    assert_eq!(config, Config::default());
    assert_eq!(engines.len(), 1);
    let without = example().replace("forwarded = false", "");
    assert_ne!(without, example());
    assert_eq!(read(&without).unwrap().streams.engines, engines, "this one is a default, too");
}

#[test]
fn its_tokens_are_written_as_they_can_be() {
    let lines: Vec<_> = example().lines().filter(|line| line.starts_with("# tokens")).collect();
    let names = lines.iter().map(|line| {
        let text = format!("[auth]\n{}", &line[2..]).replace('…', "0123456789abcdef");
        read(&text).unwrap().tokens.remove(0).name
    });
    assert_eq!(names.collect::<Vec<_>>(), ["token-1", "bot"]);
}

#[test]
fn it_names_every_setting() {
    for section in ["", "[auth]", "[streams]", "[[streams.engines]]"] {
        let said = read(&format!("{section}\nno-such-key = 1")).unwrap_err();
        let (_, known) = said.split_once("known: ").unwrap();
        let known = known.lines().next().unwrap();
        for key in known.split(", ") {
            let is_there = |line: &str| {
                let line = line.trim_start_matches("# ").trim_start_matches(['[']);
                let rest = line.strip_prefix("streams.").unwrap_or(line).strip_prefix(key);
                rest.is_some_and(|rest| rest.starts_with([' ', ']']))
            };
            assert!(example().lines().any(is_there), "{section} {key}");
        }
    }
}
