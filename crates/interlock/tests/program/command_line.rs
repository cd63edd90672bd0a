use std::path::Path;

use crate::support::Place;

#[test]
fn it_says_its_version() {
    let said = Place::new().run(&["--version"]);
    assert_eq!(said.out, format!("interlock {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(said.code, Some(0));
}

#[test]
fn without_arguments_it_explains_itself() {
    let said = Place::new().run(&[]);
    assert_eq!(said.code, Some(2));
    for word in ["serve", "config", "store", "--demo", "INTERLOCK_LOG"] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
}

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let place = Place::new().with_config("listen = \"127.0.0.1:9\"\n");
    let said = place.run(&["config", "check"]);
    let expected = "interlock.toml is right: listens on 127.0.0.1:9, keeps its data in ./interlock-data; \
                    tokens: 0, engines: 0\n";
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), (expected, "", Some(0)));
}

#[test]
fn every_mistake_is_a_line_that_editors_understand() {
    let place = Place::new().with_config("listn = 1\n[streams]\nlinger = 5\n");
    let expected = "interlock.toml:1:1: unknown key \"listn\"; known: listen, data, retention, auth, streams\n\
                    interlock.toml:3:10: streams.linger must be a time from 0s to 1h, such as \"30s\", not 5\n";
    for arguments in [&["config", "check"][..], &["serve"], &["store", "verify"]] {
        let said = place.run(arguments);
        assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("", expected, Some(1)));
    }
}

#[test]
fn a_named_file_must_be_there() {
    let place = Place::new();
    let said = place.run(&["serve", "--config", "elsewhere.toml"]);
    assert!(said.err.starts_with("interlock: cannot read elsewhere.toml: "), "{}", said.err);
    let said = place.run(&["config", "check"]);
    assert!(said.err.starts_with("interlock: cannot read interlock.toml: "), "{}", said.err);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_wrong_address_is_refused_wherever_it_comes_from() {
    let place = Place::new();
    let wanted =
        "must be an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070, not \"here\"";
    let by_flag = place.run(&["serve", "--listen", "here"]);
    let by_variable = place.run_with(&["serve"], &[("INTERLOCK_LISTEN", "here")]);
    for said in [by_flag, by_variable] {
        assert!(said.err.contains(wanted), "{}", said.err);
        assert_eq!(said.code, Some(2));
    }
}

#[test]
fn a_wrong_log_filter_is_refused() {
    let said = Place::new().run_with(&["store", "verify"], &[("INTERLOCK_LOG", "a=b=c")]);
    assert!(said.err.starts_with("interlock: INTERLOCK_LOG=a=b=c: "), "{}", said.err);
    assert_eq!(said.code, Some(1));
}

#[test]
fn an_address_that_others_can_reach_needs_tokens() {
    let place = Place::new();
    let said = place.run(&["serve", "--listen", "0.0.0.0:0"]);
    let expected = "the command line: listen: 0.0.0.0:0 can be reached from other machines, so [auth] needs \
                    at least one token: ";
    assert!(said.err.starts_with(expected), "{}", said.err);
    assert_eq!(said.code, Some(1));
    assert!(!place.path().join("interlock-data").exists(), "it has not begun");
}

#[test]
fn a_demonstration_takes_no_configuration_file() {
    let place = Place::new().with_config("listen = 1");
    let said = place.run(&["serve", "--demo", "--config", "interlock.toml"]);
    let expected = "error: --demo cannot be used with --config: a demonstration has a configuration of its \
                    own\n\nUsage: interlock serve ";
    assert!(said.err.starts_with(expected), "{}", said.err);
    assert_eq!(said.code, Some(2));

    // It goes on, up to the address.
    let arguments = ["serve", "--demo", "--listen", "0.0.0.0:0"];
    let said = place.run_with(&arguments, &[("INTERLOCK_CONFIG", "elsewhere.toml")]);
    let expected = "INTERLOCK_CONFIG is not read: this is a demonstration file=elsewhere.toml\n";
    assert!(said.err.contains(expected), "{}", said.err);
    assert!(said.err.contains("0.0.0.0:0 can be reached"), "{}", said.err);
}

#[test]
fn a_folder_that_is_not_there_is_not_verified() {
    let said = Place::new().run(&["store", "verify"]);
    assert_eq!(said.err, "interlock: there is no data folder at ./interlock-data\n");
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_folder_without_a_store_is_not_verified_and_stays_as_it_is() {
    let place = Place::new();
    for (data, files) in [("empty", &[][..]), ("other", &["notes.txt"]), ("cut", &["log.sqlite"])] {
        let folder = place.path().join(data);
        std::fs::create_dir(&folder).unwrap();
        for file in files {
            std::fs::write(folder.join(file), "").unwrap();
        }
        let said = place.run(&["store", "verify", "--data", data]);
        let expected =
            format!("interlock: there is no store in {data}: log.sqlite is missing or empty\n");
        assert_eq!((said.err, said.out, said.code), (expected, String::new(), Some(1)));
        assert_eq!(names(&folder), files, "nothing is created");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
