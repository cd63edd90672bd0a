//! What happens in a battle, line by line.

use super::{BoostChange, Cause, Condition, Details, Ident, Line, Slot, Status};

/// Reads a battle line; `None` when it is not one, or makes no sense.
pub(super) fn parse<'a>(kind: &str, rest: &'a str) -> Option<Line<'a>> {
    let args = Args::new(rest);
    let (at, cause) = (|index| args.at(index), args.cause);
    let who = || Ident::parse(args.at(0));
    Some(match kind {
        "switch" | "drag" => Line::Switch {
            who: who()?,
            details: Details::parse(at(1))?,
            condition: Condition::parse(at(2))?,
            cause,
        },
        "replace" => Line::Replace { who: who()?, details: Details::parse(at(1))? },
        "detailschange" | "-formechange" => {
            let species = Details::parse(at(1))?.species;
            Line::Forme { who: who()?, species, lasting: kind == "detailschange" }
        }
        "-transform" => Line::Transform { who: who()?, into: Ident::parse(at(1))? },
        "faint" => Line::Faint(who()?),
        "move" => Line::Move { who: who()?, name: at(1), cause },
        "cant" => Line::Cant { who: who()?, reason: at(1) },
        "-damage" | "-heal" | "-sethp" => {
            let condition = Condition::parse(at(1))?;
            Line::Hp { who: who()?, condition, rose: kind == "-heal", cause }
        }
        "-status" => Line::Status { who: who()?, status: Status::parse(at(1))?, cause },
        "-curestatus" => Line::CureStatus(who()?),
        "-cureteam" => Line::CureTeam(who()?),
        "-weather" => Line::Weather { name: at(0), upkeep: args.tagged("[upkeep]"), cause },
        "-fieldstart" | "-fieldend" => {
            Line::Field { effect: at(0), began: kind == "-fieldstart", cause }
        }
        "-sidestart" | "-sideend" => {
            let (slot, _) = at(0).split_once(':').unwrap_or((at(0), ""));
            let slot = Slot::parse(slot)?;
            Line::SideCondition { slot, effect: at(1), began: kind == "-sidestart" }
        }
        "-swapsideconditions" => Line::SwapSideConditions,
        "-start" => Line::VolatileStart { who: who()?, effect: at(1), argument: at(2), cause },
        "-mustrecharge" => {
            Line::VolatileStart { who: who()?, effect: "mustrecharge", argument: "", cause }
        }
        // A move that is charged holds until it is let go.
        "-prepare" => Line::VolatileStart { who: who()?, effect: at(1), argument: "", cause },
        "-end" => Line::VolatileEnd { who: who()?, effect: at(1) },
        "-activate" => Line::Activate { who: who()?, effect: at(1), cause },
        "-singleturn" | "-singlemove" => Line::Single { who: who()?, effect: at(1) },
        "-item" => Line::Item { who: who()?, item: at(1), cause },
        "-enditem" => Line::EndItem { who: who()?, item: at(1) },
        "-ability" => Line::Ability { who: who()?, ability: at(1), cause },
        "-immune" => Line::Immune { who: who()?, cause },
        "-terastallize" => Line::Terastallize { who: who()?, tera: at(1) },
        _ => return boosts(kind, &args),
    })
}

fn boosts<'a>(kind: &str, args: &Args<'a>) -> Option<Line<'a>> {
    if kind == "-clearallboost" {
        return Some(Line::ClearAllBoosts);
    }
    let who = Ident::parse(args.at(0))?;
    let amount = || args.at(2).parse::<i8>().ok().filter(|amount| (-12..=12).contains(amount));
    let change = match kind {
        "-boost" => {
            return Some(Line::Boost { who, stat: args.at(1), by: amount()?, cause: args.cause });
        }
        "-unboost" => {
            return Some(Line::Boost { who, stat: args.at(1), by: -amount()?, cause: args.cause });
        }
        "-setboost" => return Some(Line::SetBoost { who, stat: args.at(1), to: amount()? }),
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
    Some(Line::Boosts { who, change })
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
