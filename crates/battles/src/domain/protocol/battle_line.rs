//! What happens in a battle, line by line.

use super::{Cause, Condition, Details, Ident, Slot, Status};

/// A line of a battle's log. Names are as the server wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as the protocol names its arguments")]
pub enum BattleLine<'a> {
    /// Who plays in which slot. Said again without a name when a player leaves.
    Player { slot: Slot, name: &'a str },
    /// How many Pokémon a side has.
    TeamSize { slot: Slot, size: u8 },
    /// The generation of the rules.
    Gen(u8),
    /// The battle begins.
    Start,
    /// A turn begins.
    Turn(u16),
    /// The end of turn's effects begin.
    Upkeep,
    /// The battle is over, and this player won.
    Win(&'a str),
    /// The battle is over, and nobody won.
    Tie,

    /// A Pokémon comes in, by choice (`Switch`) or not (`Drag`).
    Switch { who: Ident<'a>, details: Details<'a>, condition: Condition, cause: Cause<'a> },
    /// The one that stands there was somebody else in disguise.
    Replace { who: Ident<'a>, details: Details<'a> },
    /// It is of another forme from now on; `lasting` beyond leaving the field.
    Forme { who: Ident<'a>, species: &'a str, lasting: bool },
    /// It copies another one.
    Transform { who: Ident<'a>, into: Ident<'a>, cause: Cause<'a> },
    /// It fainted.
    Faint(Ident<'a>),
    /// It uses a move.
    Move { who: Ident<'a>, name: &'a str, cause: Cause<'a> },
    /// It cannot act.
    Cant { who: Ident<'a>, reason: &'a str },
    /// Its HP fell, rose or were set.
    Hp { who: Ident<'a>, condition: Condition, rose: bool, cause: Cause<'a> },
    /// It has this status.
    Status { who: Ident<'a>, status: Status, cause: Cause<'a> },
    /// It has no status any more.
    CureStatus(Ident<'a>),
    /// Nobody of its side has a status any more.
    CureTeam(Ident<'a>),
    /// A stat's stage changed by so much,
    Boost { who: Ident<'a>, stat: &'a str, by: i8, cause: Cause<'a> },
    /// or became so much.
    SetBoost { who: Ident<'a>, stat: &'a str, to: i8 },
    /// Its stages changed as a whole.
    Boosts { who: Ident<'a>, change: BoostChange<'a> },
    /// All stages of everybody are zero.
    ClearAllBoosts,
    /// The weather; `none` when it ended. `upkeep` when it only goes on.
    Weather { name: &'a str, upkeep: bool, cause: Cause<'a> },
    /// Something about the whole field began or ended.
    Field { effect: &'a str, began: bool, cause: Cause<'a> },
    /// Something about one side began or ended.
    SideCondition { slot: Slot, effect: &'a str, began: bool },
    /// The sides' conditions changed places.
    SwapSideConditions,
    /// A volatile condition began; the argument says which move, type or stat it is about.
    VolatileStart { who: Ident<'a>, effect: &'a str, argument: &'a str, cause: Cause<'a> },
    /// It ended.
    VolatileEnd { who: Ident<'a>, effect: &'a str },
    /// Something was activated.
    Activate { who: Ident<'a>, effect: &'a str, cause: Cause<'a> },
    /// A volatile condition for this turn or this move.
    Single { who: Ident<'a>, effect: &'a str },
    /// Its item is shown, or it got one.
    Item { who: Ident<'a>, item: &'a str, cause: Cause<'a> },
    /// It has no item any more; this was it.
    EndItem { who: Ident<'a>, item: &'a str },
    /// Its ability is shown, or it got another one.
    Ability { who: Ident<'a>, ability: &'a str, cause: Cause<'a> },
    /// Something had no effect because of what it is.
    Immune { who: Ident<'a>, cause: Cause<'a> },
    /// It terastallized.
    Terastallize { who: Ident<'a>, tera: &'a str },
}

/// A change of all stages of a Pokémon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoostChange<'a> {
    /// All are zero.
    Clear,
    /// Those below zero are zero.
    ClearNegative,
    /// Those above zero are zero.
    ClearPositive,
    /// All change sign.
    Invert,
    /// They become those of another one.
    CopyFrom(Ident<'a>),
    /// Two change places; the stats are parted by commas, none means all.
    Swap(Ident<'a>, &'a str),
}

impl<'a> BattleLine<'a> {
    /// Reads a battle line; `None` when it is not one, or makes no sense.
    pub(super) fn parse(kind: &str, rest: &'a str) -> Option<Self> {
        let args = Args::new(rest);
        setting(kind, &args).or_else(|| happening(kind, &args)).or_else(|| boosts(kind, &args))
    }
}

/// Who plays, by which rules, how far they are.
fn setting<'a>(kind: &str, args: &Args<'a>) -> Option<BattleLine<'a>> {
    let at = |index| args.at(index);
    Some(match kind {
        "player" => BattleLine::Player { slot: Slot::parse(at(0))?, name: at(1) },
        "teamsize" => BattleLine::TeamSize { slot: Slot::parse(at(0))?, size: at(1).parse().ok()? },
        "gen" => BattleLine::Gen(at(0).parse().ok()?),
        "start" => BattleLine::Start,
        "turn" => BattleLine::Turn(at(0).parse().ok()?),
        "upkeep" => BattleLine::Upkeep,
        "win" => BattleLine::Win(args.rest),
        "tie" => BattleLine::Tie,
        _ => return None,
    })
}

fn happening<'a>(kind: &str, args: &Args<'a>) -> Option<BattleLine<'a>> {
    let (at, cause) = (|index| args.at(index), args.cause);
    let who = || Ident::parse(args.at(0));
    Some(match kind {
        "switch" | "drag" => BattleLine::Switch {
            who: who()?,
            details: Details::parse(at(1))?,
            condition: Condition::parse(at(2))?,
            cause,
        },
        "replace" => BattleLine::Replace { who: who()?, details: Details::parse(at(1))? },
        "detailschange" | "-formechange" => {
            let species = Details::parse(at(1))?.species;
            BattleLine::Forme { who: who()?, species, lasting: kind == "detailschange" }
        }
        "-transform" => BattleLine::Transform { who: who()?, into: Ident::parse(at(1))?, cause },
        "faint" => BattleLine::Faint(who()?),
        "move" => BattleLine::Move { who: who()?, name: at(1), cause },
        "cant" => BattleLine::Cant { who: who()?, reason: at(1) },
        "-damage" | "-heal" | "-sethp" => {
            let condition = Condition::parse(at(1))?;
            BattleLine::Hp { who: who()?, condition, rose: kind == "-heal", cause }
        }
        "-status" => BattleLine::Status { who: who()?, status: Status::parse(at(1))?, cause },
        "-curestatus" => BattleLine::CureStatus(who()?),
        "-cureteam" => BattleLine::CureTeam(who()?),
        "-weather" => BattleLine::Weather { name: at(0), upkeep: args.tagged("[upkeep]"), cause },
        "-fieldstart" | "-fieldend" => {
            BattleLine::Field { effect: at(0), began: kind == "-fieldstart", cause }
        }
        "-sidestart" | "-sideend" => {
            let (slot, _) = at(0).split_once(':').unwrap_or((at(0), ""));
            let slot = Slot::parse(slot)?;
            BattleLine::SideCondition { slot, effect: at(1), began: kind == "-sidestart" }
        }
        "-swapsideconditions" => BattleLine::SwapSideConditions,
        "-start" => {
            BattleLine::VolatileStart { who: who()?, effect: at(1), argument: at(2), cause }
        }
        "-mustrecharge" => {
            BattleLine::VolatileStart { who: who()?, effect: "mustrecharge", argument: "", cause }
        }
        // A move that is charged holds until it is let go.
        "-prepare" => BattleLine::VolatileStart { who: who()?, effect: at(1), argument: "", cause },
        "-end" => BattleLine::VolatileEnd { who: who()?, effect: at(1) },
        "-activate" => BattleLine::Activate { who: who()?, effect: at(1), cause },
        "-singleturn" | "-singlemove" => BattleLine::Single { who: who()?, effect: at(1) },
        "-item" => BattleLine::Item { who: who()?, item: at(1), cause },
        "-enditem" => BattleLine::EndItem { who: who()?, item: at(1) },
        "-ability" => BattleLine::Ability { who: who()?, ability: at(1), cause },
        "-immune" => BattleLine::Immune { who: who()?, cause },
        "-terastallize" => BattleLine::Terastallize { who: who()?, tera: at(1) },
        _ => return None,
    })
}

fn boosts<'a>(kind: &str, args: &Args<'a>) -> Option<BattleLine<'a>> {
    if kind == "-clearallboost" {
        return Some(BattleLine::ClearAllBoosts);
    }
    let who = Ident::parse(args.at(0))?;
    let amount = || args.at(2).parse::<i8>().ok().filter(|amount| (-12..=12).contains(amount));
    let change = match kind {
        "-boost" => {
            return Some(BattleLine::Boost {
                who,
                stat: args.at(1),
                by: amount()?,
                cause: args.cause,
            });
        }
        "-unboost" => {
            return Some(BattleLine::Boost {
                who,
                stat: args.at(1),
                by: -amount()?,
                cause: args.cause,
            });
        }
        "-setboost" => return Some(BattleLine::SetBoost { who, stat: args.at(1), to: amount()? }),
        "-clearboost" => BoostChange::Clear,
        "-clearnegativeboost" => BoostChange::ClearNegative,
        "-clearpositiveboost" => {
            BoostChange::ClearPositive // of the first; the second is who did it
        }
        "-invertboost" => BoostChange::Invert,
        "-copyboost" => BoostChange::CopyFrom(Ident::parse(args.at(1))?),
        "-swapboost" => BoostChange::Swap(Ident::parse(args.at(1))?, args.at(2)),
        _ => return None,
    };
    Some(BattleLine::Boosts { who, change })
}

/// The arguments of a line: the plain ones in front, by place, and what the tags say.
struct Args<'a> {
    rest: &'a str,
    plain: [&'a str; 4],
    cause: Cause<'a>,
}

impl<'a> Args<'a> {
    fn new(rest: &'a str) -> Self {
        let mut plain = [""; 4];
        let untagged = rest.split('|').take_while(|arg| !is_tag(arg));
        for (place, arg) in plain.iter_mut().zip(untagged) {
            *place = arg;
        }
        Self { rest, plain, cause: Cause::parse(rest.split('|')) }
    }

    fn at(&self, index: usize) -> &'a str {
        self.plain[index]
    }

    fn tagged(&self, tag: &str) -> bool {
        self.rest.split('|').any(|arg| arg == tag)
    }
}

fn is_tag(arg: &str) -> bool {
    arg.starts_with('[') && arg.contains(']')
}
