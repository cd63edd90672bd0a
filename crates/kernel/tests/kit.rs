//! The test kit: it shows all that an entity does, and moves nothing but what it is told to.

use interlock_kernel::{
    entity::{Context, Decision, EffectRequest, Entity, Refusal, TimerName, Verdict},
    ids::Version,
    kit::{Alone, Answer},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

/// A kettle: it boils when there is water, and whistles outside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Kettle {
    water: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Command {
    Fill,
    /// Waits for water, for a minute.
    Boil,
    FillAt(Time),
    Forget,
    Whistle,
    Break,
    /// Answers with the id that it came with.
    Look,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Happened {
    Filled,
    Boiled,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("it is dry")]
struct Dry;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Steam;

impl Entity for Kettle {
    const TYPE: &'static str = "kettle";
    type Command = Command;
    type Event = Happened;
    type Reply = Option<String>;
    type Rejection = Dry;
    type Effect = Steam;

    fn decide(&self, command: &Command, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            Command::Fill => Decision::event(Happened::Filled, None),
            Command::Boil if self.water > 0 => Decision::event(Happened::Boiled, None),
            Command::Boil => {
                let until = cx.arrived + Millis::from_secs(60);
                let is_over = cx.now >= until;
                return Err(if is_over { Dry.into() } else { Refusal::Wait { until } });
            }
            Command::FillAt(at) => Decision::unchanged(None).timer("fill", *at, Command::Fill),
            Command::Forget => Decision::unchanged(None).cancel_timer("fill"),
            Command::Whistle => Decision::events(vec![Happened::Filled, Happened::Boiled], None)
                .effect(EffectRequest {
                    effect: Steam,
                    deadline: Millis::from_secs(1),
                    attempts: 1,
                    backoff: Millis::from_secs(1),
                    fallback: Command::Forget,
                }),
            Command::Break => Decision::unchanged(None).close(),
            Command::Look => Decision::unchanged(cx.id.map(|id| id.as_str().to_owned())),
        })
    }

    fn apply(&mut self, event: &Happened) {
        match event {
            Happened::Filled => self.water += 1,
            Happened::Boiled => self.water -= 1,
        }
    }

    fn command_name(_: &Command) -> &'static str {
        "command"
    }

    fn event_name(_: &Happened) -> &'static str {
        "happened"
    }
}

#[test]
fn it_shows_what_has_happened_and_at_which_version() {
    let mut kettle = Alone::<Kettle>::default();
    assert_eq!((kettle.version(), kettle.events()), (Version(0), &[][..]));
    kettle.send(Command::Fill);
    let whistled = kettle.send(Command::Whistle);
    assert_eq!(kettle.events(), [Happened::Filled, Happened::Filled, Happened::Boiled]);
    assert_eq!(kettle.effects(), [Steam]);
    assert_eq!(kettle.state(), &Kettle { water: 1 });
    assert_eq!(kettle.version(), Version(2));
    assert!(matches!(kettle.answer(whistled), Answer::Reply(None, Version(2))));
    kettle.check_replay();
    assert!(!kettle.is_closed());
    kettle.send(Command::Break);
    kettle.send(Command::Look);
    assert!(kettle.is_closed(), "and stays so");
}

#[test]
fn an_id_goes_with_all_commands_until_another_one_does() {
    let mut kettle = Alone::<Kettle>::new();
    let with = kettle.with_id(Some("w0-1")).send(Command::Look);
    let without = kettle.with_id(None).send(Command::Look);
    assert_eq!(kettle.reply(with).as_deref(), Some("w0-1"));
    assert_eq!(kettle.reply(without), None);
}

#[test]
fn whoever_waits_is_asked_again_when_something_has_changed() {
    let mut kettle = Alone::<Kettle>::new();
    let boils = kettle.send(Command::Boil);
    let given_up = kettle.send(Command::Boil);
    let late = kettle.send(Command::Boil);
    assert_eq!(kettle.waiting(), 3);
    kettle.give_up(given_up);
    kettle.send(Command::Look);
    assert_eq!(kettle.waiting(), 2, "nothing has changed");
    kettle.send(Command::Fill);
    assert_eq!(kettle.reply(boils), None);
    assert_eq!(kettle.waiting(), 1, "there was water for one");
    kettle.pass(Millis(59_999));
    assert_eq!(kettle.waiting(), 1);
    kettle.pass(Millis(1));
    assert_eq!(kettle.rejection(late), Dry);
    assert!(matches!(kettle.answer(given_up), Answer::Waiting));
}

#[test]
fn time_passes_as_told_and_timers_fire_at_their_time() {
    let mut kettle = Alone::<Kettle>::new();
    let began = kettle.now();
    let waits = kettle.send(Command::Boil);
    kettle.send(Command::FillAt(began + Millis(10)));
    let pending: Vec<(&TimerName, Time)> =
        kettle.timers().iter().map(|(name, (at, _))| (name, *at)).collect();
    assert_eq!(pending, [(&TimerName::from("fill"), began + Millis(10))]);
    kettle.pass(Millis(9));
    assert_eq!((kettle.now(), kettle.waiting()), (began + Millis(9), 1));
    kettle.pass(Millis(1));
    assert_eq!(kettle.reply(waits), None, "the timer filled it");
    assert!(kettle.timers().is_empty());
    assert_eq!(kettle.now() - Millis(10), began);
    kettle.send(Command::FillAt(began + Millis(30)));
    kettle.send(Command::Forget);
    kettle.pass(Millis(100));
    assert_eq!(kettle.events().len(), 2, "the second timer was cancelled");
    assert_eq!(kettle.now(), began + Millis(110));
}

#[test]
#[should_panic(expected = "the events do not fold to the state")]
fn a_state_that_its_events_do_not_make_is_noticed() {
    /// Counts the commands that it sees, which no event tells.
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Forgetful(u32);

    impl PartialEq for Forgetful {
        fn eq(&self, _: &Self) -> bool {
            false
        }
    }

    impl Entity for Forgetful {
        const TYPE: &'static str = "forgetful";
        type Command = ();
        type Event = ();
        type Reply = ();
        type Rejection = Dry;
        type Effect = Steam;

        fn decide(&self, (): &(), _: &Context<'_>) -> Verdict<Self> {
            Ok(Decision::event((), ()))
        }

        fn apply(&mut self, (): &()) {
            self.0 += 1;
        }

        fn command_name((): &()) -> &'static str {
            "see"
        }

        fn event_name((): &()) -> &'static str {
            "seen"
        }
    }
    let mut forgetful = Alone::<Forgetful>::new();
    forgetful.send(());
    forgetful.check_replay();
}
