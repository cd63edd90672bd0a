//! The parts that battle lines are made of.

/// Which of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `p1`
    P1,
    /// `p2`
    P2,
}

impl Slot {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::P1, Self::P2];

    /// Reads `p1` or `p2`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "p1" => Some(Self::P1),
            "p2" => Some(Self::P2),
            _ => None,
        }
    }

    /// The opponent's.
    pub fn other(self) -> Self {
        match self {
            Self::P1 => Self::P2,
            Self::P2 => Self::P1,
        }
    }
}

/// Who a line is about: `p1a: Fluffy` on the field, `p1: Fluffy` anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ident<'a> {
    /// Whose Pokémon.
    pub slot: Slot,
    /// Its nickname, or its species when it has none.
    pub name: &'a str,
}

impl<'a> Ident<'a> {
    /// Reads an ident of a single battle.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (place, name) = text.split_once(": ")?;
        Some(Self { slot: Slot::parse(place.strip_suffix('a').unwrap_or(place))?, name })
    }
}

/// What kind of Pokémon: `Basculegion, L80, M, shiny, tera:Water`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Details<'a> {
    /// Species and forme.
    pub species: &'a str,
    /// 1 to 100.
    pub level: u8,
    /// `M`, `F` or none.
    pub gender: Option<char>,
    /// The type it has terastallized to.
    pub tera: Option<&'a str>,
}

impl<'a> Details<'a> {
    /// Reads details; `None` when the level is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(", ");
        let species = parts.next().filter(|species| !species.is_empty())?;
        let mut details = Self { species, level: 100, gender: None, tera: None };
        for part in parts {
            match part {
                "M" => details.gender = Some('M'),
                "F" => details.gender = Some('F'),
                "shiny" => (),
                _ if part.starts_with("tera:") => details.tera = part.strip_prefix("tera:"),
                _ if part.starts_with('L') => {
                    let level = part.strip_prefix('L')?.parse().ok()?;
                    details.level = (1..=100).contains(&level).then_some(level)?;
                }
                _ => (), // a newer server may say more
            }
        }
        Some(details)
    }
}

/// HP and status: `57/100 brn`, `323/323`, `0 fnt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Points of the own side, hundredths of the other's.
    pub hp: u16,
    /// Out of so many; 0 when it fainted, for then the server does not say.
    pub max_hp: u16,
    /// Its status.
    pub status: Option<Status>,
}

impl Condition {
    /// Its HP out of a hundred; whoever lives has at least one.
    pub fn percent(&self) -> u16 {
        let whole = u32::from(self.hp) * 100 / u32::from(self.max_hp.max(1));
        u16::try_from(whole.clamp(u32::from(self.hp > 0), 100)).expect("a hundred fits")
    }

    /// Reads a condition; `None` when it is more than full.
    pub fn parse(text: &str) -> Option<Self> {
        let (hp, status) = text.split_once(' ').unwrap_or((text, ""));
        if status == "fnt" {
            return Some(Self { hp: 0, max_hp: 0, status: None });
        }
        let (hp, max_hp) = hp.split_once('/')?;
        // "57/100y" carries the colour of the bar.
        let max_hp = max_hp.trim_end_matches(|char: char| char.is_ascii_alphabetic());
        let (hp, max_hp) = (hp.parse().ok()?, max_hp.parse().ok()?);
        (hp <= max_hp && max_hp > 0).then_some(Self { hp, max_hp, status: Status::parse(status) })
    }
}

/// A lasting status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `brn`
    Burn,
    /// `par`
    Paralysis,
    /// `slp`
    Sleep,
    /// `frz`
    Freeze,
    /// `psn`
    Poison,
    /// `tox`
    Toxic,
}

impl Status {
    /// Reads the three letters of a status.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "brn" => Some(Self::Burn),
            "par" => Some(Self::Paralysis),
            "slp" => Some(Self::Sleep),
            "frz" => Some(Self::Freeze),
            "psn" => Some(Self::Poison),
            "tox" => Some(Self::Toxic),
            _ => None,
        }
    }
}

/// Why something happened: the tagged arguments of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cause<'a> {
    /// `[from] ability: Drizzle`
    pub from: Option<&'a str>,
    /// `[of] p1a: Pelipper`
    pub of: Option<Ident<'a>>,
}

impl<'a> Cause<'a> {
    /// Collects the tags among the arguments.
    pub fn parse(args: impl Iterator<Item = &'a str>) -> Self {
        let mut cause = Self::default();
        for arg in args {
            if let Some(from) = arg.strip_prefix("[from]") {
                cause.from = Some(from.trim_start());
            } else if let Some(of) = arg.strip_prefix("[of]") {
                cause.of = Ident::parse(of.trim_start());
            }
        }
        cause
    }

    /// The item that caused it.
    pub fn item(&self) -> Option<&'a str> {
        self.from?.strip_prefix("item: ")
    }

    /// The ability that caused it.
    pub fn ability(&self) -> Option<&'a str> {
        self.from?.strip_prefix("ability: ")
    }

    /// The move that caused it.
    pub fn by_move(&self) -> Option<&'a str> {
        self.from?.strip_prefix("move: ")
    }
}
