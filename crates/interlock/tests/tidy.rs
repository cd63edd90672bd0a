//! Keeps the house: arrows between crates, purity, and an architecture page that is true.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Which crates of the workspace each crate may use. A new arrow is added here, with its reason in the commit.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("runtime", &["kernel"]),
    ("web", &["kernel", "runtime"]),
    ("primitives", &["kernel", "runtime", "web"]),
    ("streams", &["kernel", "runtime", "web"]),
    ("battles", &["kernel", "runtime", "web"]),
    ("server", &["kernel", "runtime", "web", "primitives", "streams", "battles", "audit"]),
    ("audit", &["kernel", "runtime", "primitives", "streams", "battles"]),
    ("trust", &["kernel", "runtime", "audit"]),
    ("interlock", &["kernel", "server", "battles", "audit"]),
];

/// What pure code may depend on.
const PURE_DEPENDENCIES: &[&str] = &["jiff", "serde", "serde_json", "thiserror"];

/// What pure code must not mention: clocks, chance, tasks, sockets, files, SQL, environment.
const IMPURE: &[&str] = &[
    "tokio",
    "rusqlite",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant",
    "SystemTime",
    "RandomState",
    "HashMap",
    "HashSet",
    "rand::",
    "println!",
    "Mutex",
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/interlock lies two folders deep").to_owned()
}

fn crates() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("crates")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Normal dependencies of every crate, by folder name; those of the workspace without their prefix.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let short = |name: &str| name.strip_prefix("interlock-").unwrap_or(name).to_owned();
    let package = |package: &serde_json::Value| {
        let normal = |dependency: &&serde_json::Value| dependency["kind"].is_null();
        let list = package["dependencies"].as_array().unwrap().iter().filter(normal);
        let names = list.map(|dependency| short(dependency["name"].as_str().unwrap())).collect();
        (short(package["name"].as_str().unwrap()), names)
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let crates = crates();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (name, used) in dependencies() {
        let allowed = arrows.get(name.as_str());
        let allowed =
            allowed.unwrap_or_else(|| panic!("crate {name} is not in the list of arrows"));
        for other in used.iter().filter(|other| crates.contains(*other)) {
            assert!(allowed.contains(&other.as_str()), "{name} must not depend on {other}");
        }
    }
}

#[test]
fn the_kernel_has_few_dependencies() {
    let used = &dependencies()["kernel"];
    for name in used {
        assert!(PURE_DEPENDENCIES.contains(&name.as_str()), "kernel must not depend on {name}");
    }
}

#[test]
fn kernel_and_domains_are_pure() {
    let mut folders = vec![root().join("crates/kernel/src")];
    for name in crates() {
        folders.push(root().join("crates").join(name).join("src/domain"));
    }
    let mut checked = 0;
    for path in folders.iter().flat_map(|folder| rust_files(folder)) {
        checked += 1;
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in IMPURE {
                let place = format!("{}:{}", path.display(), number + 1);
                assert!(!code.contains(word), "{place}: pure code mentions {word}");
            }
        }
    }
    assert!(checked > 20, "only {checked} files looked at: the layout changed");
}

#[test]
fn the_architecture_page_names_exactly_the_crates_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let row = |line: &str| {
        let name = line.strip_prefix("| `crates/")?.split('`').next()?;
        Some(name.to_owned())
    };
    let named: BTreeSet<String> = text.lines().filter_map(row).collect();
    assert_eq!(named, crates());
}

#[test]
fn every_dependency_says_why_it_was_chosen() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = text.split("[workspace.dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    for line in section.lines().filter(|line| line.contains('=')) {
        let ours = line.contains("path = \"crates/");
        assert!(ours || line.contains(" # "), "no reason: {line}");
    }
}
