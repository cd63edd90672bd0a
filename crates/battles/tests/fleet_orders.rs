//! What a fleet is told: started once, slowed and never sped up, over once, and then anew.
#![allow(missing_docs, clippy::unwrap_used)]

use interlock_battles::domain::{
    contestant::Contestant,
    fleet::{Crew, Fleet, FleetCommand, FleetRejection, FleetReply, SaveReplay, Secret, Wanted},
};
use interlock_kernel::{
    ids::Worker,
    kit::{Alone, Sent},
};

fn crew(name: &str) -> FleetCommand {
    FleetCommand::Start(Crew {
        server: None,
        usernames: vec![name.to_owned()],
        secret: Secret::None,
        workers: vec![Worker::new("w0").unwrap()],
        teams: Vec::new(),
        player: Contestant::default(),
        save_replay: SaveReplay::Never,
    })
}

fn started(fleet: &mut Alone<Fleet>, sent: Sent, anew: bool) {
    assert_eq!(fleet.reply(sent), FleetReply::Started { anew });
}

/// The end of the fleet that was started last.
fn end(fleet: &Alone<Fleet>, trouble: Option<&str>) -> FleetCommand {
    let started = fleet.state().orders().unwrap().started;
    FleetCommand::End { started, trouble: trouble.map(str::to_owned) }
}

#[test]
fn a_fleet_that_is_asked_for_once_more_does_not_end_with_the_start_before() {
    let mut fleet = Alone::<Fleet>::new();
    fleet.send(crew("a"));
    let early = end(&fleet, None);
    let same = fleet.send(crew("a"));
    started(&mut fleet, same, false);
    fleet.send(early);
    assert_eq!(fleet.state().orders().unwrap().over, None, "it is begun once more");
    fleet.send(end(&fleet, None));
    assert!(fleet.state().orders().unwrap().over.is_some());

    fleet.send(crew("a"));
    let first = end(&fleet, None);
    fleet.send(crew("a"));
    fleet.send(FleetCommand::Drain);
    fleet.send(first);
    assert!(fleet.state().orders().unwrap().over.is_some(), "it was told to end, and has");
    fleet.check_replay();
}

#[test]
fn a_fleet_that_is_asked_for_while_it_fails_ends_with_its_trouble() {
    let mut fleet = Alone::<Fleet>::new();
    fleet.send(crew("a"));
    let failed = end(&fleet, Some("wrong password"));
    let same = fleet.send(crew("a"));
    started(&mut fleet, same, false);
    fleet.send(failed);
    let over = fleet.state().orders().unwrap().over.clone().unwrap();
    assert_eq!(over.trouble.as_deref(), Some("wrong password"));
    let anew = fleet.send(crew("a"));
    started(&mut fleet, anew, true);
    fleet.check_replay();
}

#[test]
fn one_crew_plays_at_a_time() {
    let mut fleet = Alone::<Fleet>::new();
    let first = fleet.send(crew("a"));
    started(&mut fleet, first, true);
    let same = fleet.send(crew("a"));
    started(&mut fleet, same, false);
    let other = fleet.send(crew("b"));
    assert_eq!(fleet.rejection(other), FleetRejection::Playing);
    fleet.send(FleetCommand::Drain);
    let again = fleet.send(crew("a"));
    assert_eq!(fleet.rejection(again), FleetRejection::Ending);
    fleet.send(end(&fleet, None));
    let other = fleet.send(crew("b"));
    started(&mut fleet, other, true);
    assert_eq!(fleet.state().orders().unwrap().wanted, Wanted::Playing);
    fleet.check_replay();
}

#[test]
fn a_fleet_only_comes_closer_to_its_end() {
    let mut fleet = Alone::<Fleet>::new();
    let early = fleet.send(FleetCommand::Drain);
    assert_eq!(fleet.rejection(early), FleetRejection::Unknown);
    fleet.send(crew("a"));
    for (command, wanted) in [
        (FleetCommand::Drain, Wanted::Draining),
        (FleetCommand::Drain, Wanted::Draining),
        (FleetCommand::Forfeit, Wanted::Forfeiting),
        (FleetCommand::Drain, Wanted::Forfeiting),
    ] {
        let sent = fleet.send(command);
        assert_eq!(fleet.reply(sent), FleetReply::Done);
        assert_eq!(fleet.state().orders().unwrap().wanted, wanted);
    }
    let trouble = Some("the server refuses the format".to_owned());
    fleet.send(end(&fleet, trouble.as_deref()));
    fleet.send(end(&fleet, None));
    let over = fleet.state().orders().unwrap().over.clone().unwrap();
    assert_eq!(over.trouble, trouble, "it ends once");
    assert_eq!(fleet.events().len(), 4);
    fleet.check_replay();
}
