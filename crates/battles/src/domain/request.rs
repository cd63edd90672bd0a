//! The request: what the server asks for, and all that it tells about the own team.
//!
//! Fields that are not known are ignored, and missing ones have defaults: formats and generations differ in them.
//! Names of moves, items and abilities are ids already; those of species are not.

use serde::{Deserialize, de::Error};

use super::protocol::{Condition, Details, Ident, Slot};
use crate::limits;

/// What must be chosen.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Goes back with the choice; without it there is nothing to answer.
    #[serde(default)]
    pub rqid: Option<u64>,
    /// The opponent is choosing.
    #[serde(default)]
    pub wait: bool,
    /// The order of the team is to be chosen.
    #[serde(default)]
    pub team_preview: bool,
    /// For every place on the field, whether somebody must come in.
    #[serde(default)]
    pub force_switch: Vec<bool>,
    /// What the Pokémon on the field can do.
    #[serde(default)]
    pub active: Vec<Active>,
    /// The own team.
    #[serde(default)]
    pub side: OwnSide,
}

/// What the Pokémon on the field can do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Active {
    /// At most four, in the order in which they are chosen by number; one while it is locked into a move.
    #[serde(default)]
    pub moves: Vec<MoveSlot>,
    /// It cannot be switched out.
    #[serde(default)]
    pub trapped: bool,
    /// Perhaps it cannot; whoever tries, learns.
    #[serde(default)]
    pub maybe_trapped: bool,
    /// The type it can terastallize to.
    #[serde(default)]
    pub can_terastallize: Option<String>,
}

/// A move, as the server offers it.
#[derive(Debug, Clone, Deserialize)]
pub struct MoveSlot {
    /// Its id.
    pub id: String,
    /// See [`Self::name`].
    #[serde(default, rename = "move")]
    name: String,
    /// How often it can be used; missing while the Pokémon is locked into it.
    #[serde(default)]
    pub pp: Option<u8>,
    /// It cannot be used now.
    #[serde(default)]
    pub disabled: bool,
}

impl MoveSlot {
    /// Its name, as the server writes it; its id where it writes none.
    pub fn name(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }
}

/// The own team.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct OwnSide {
    /// The own name, as the server writes it.
    #[serde(default)]
    pub name: String,
    /// `p1` or `p2`.
    #[serde(default)]
    id: String,
    /// Those on the field first; switches are chosen by place in this list, counted from 1.
    #[serde(default)]
    pub pokemon: Vec<OwnPokemon>,
}

impl OwnSide {
    /// Which side is the own one.
    pub fn slot(&self) -> Option<Slot> {
        Slot::parse(&self.id)
    }
}

/// One of the own Pokémon.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnPokemon {
    /// `p1: Fluffy`; see [`Self::name`].
    ident: String,
    /// See [`Self::details`].
    details: String,
    /// See [`Self::condition`].
    condition: String,
    /// On the field.
    #[serde(default)]
    pub active: bool,
    /// In points, without stages.
    #[serde(default)]
    pub stats: Stats,
    /// Ids of its moves, as it came into the battle.
    #[serde(default)]
    pub moves: Vec<String>,
    /// The ability that it came with,
    #[serde(default)]
    pub base_ability: String,
    /// and the one it has.
    #[serde(default)]
    pub ability: String,
    /// Empty for none.
    #[serde(default)]
    pub item: String,
    /// The type it could terastallize to.
    #[serde(default)]
    pub tera_type: String,
    /// The type it has terastallized to; empty for not.
    #[serde(default)]
    pub terastallized: String,
    /// It must be brought back to life: the only switch that goes to the fainted.
    #[serde(default)]
    pub reviving: bool,
}

/// Stats in points; HP are the condition's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Stats {
    /// Attack.
    pub atk: u16,
    /// Defense.
    pub def: u16,
    /// Special Attack.
    pub spa: u16,
    /// Special Defense.
    pub spd: u16,
    /// Speed.
    pub spe: u16,
}

/// Why a request could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not the JSON of a request.
    #[error("a request that cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// More than a single battle can have.
    #[error("a request for {pokemon} Pokémon, {active} of them on the field, with {moves} moves")]
    TooMany {
        /// Of the team.
        pokemon: usize,
        /// On the field.
        active: usize,
        /// Of those, the most that one has.
        moves: usize,
    },
    /// A Pokémon whose name, details or condition makes no sense.
    #[error("a request with a Pokémon that makes no sense: {0}")]
    Pokemon(String),
}

impl Request {
    /// Reads a request, and checks that it is one of a single battle. `None` for the empty one that comes first.
    pub fn parse(json: &str) -> Result<Option<Self>, RequestError> {
        if json.trim().is_empty() {
            return Ok(None);
        }
        let request: Self = read(json)?;
        let (pokemon, active) = (request.side.pokemon.len(), request.active.len());
        let moves = request.active.iter().map(|active| active.moves.len()).max().unwrap_or(0);
        let places = active.max(request.force_switch.len());
        if pokemon > limits::TEAM || places > 1 || moves > 4 {
            return Err(RequestError::TooMany { pokemon, active: places, moves });
        }
        let broken = request.side.pokemon.iter().find(|pokemon| !pokemon.makes_sense());
        match broken {
            Some(pokemon) => Err(RequestError::Pokemon(pokemon.ident.clone())),
            None => Ok(Some(request)),
        }
    }

    /// The number that an answer must have, of a request that cannot be read. `None`: it has none, or waits for none.
    pub fn number(json: &str) -> Option<u64> {
        #[derive(Deserialize)]
        struct Number {
            rqid: u64,
            #[serde(default)]
            wait: bool,
        }
        let Number { rqid, wait } = read(json).ok()?;
        (!wait).then_some(rqid)
    }

    /// Whether somebody must come in.
    pub fn must_switch(&self) -> bool {
        self.force_switch.first().is_some_and(|must| *must)
    }
}

fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, serde_json::Error> {
    // An array would be read as the fields in their order.
    if !json.trim_start().starts_with('{') {
        return Err(serde_json::Error::custom("not an object"));
    }
    serde_json::from_str(json)
}

impl OwnPokemon {
    fn makes_sense(&self) -> bool {
        Ident::parse(&self.ident).is_some()
            && Details::parse(&self.details).is_some()
            && Condition::parse(&self.condition).is_some()
    }

    /// Its name, as lines call it.
    pub fn name(&self) -> &str {
        Ident::parse(&self.ident).expect("checked when it was read").name
    }

    /// What kind of Pokémon it is now.
    pub fn details(&self) -> Details<'_> {
        Details::parse(&self.details).expect("checked when it was read")
    }

    /// Its HP and status.
    pub fn condition(&self) -> Condition {
        Condition::parse(&self.condition).expect("checked when it was read")
    }

    /// Whether it has no HP left.
    pub fn fainted(&self) -> bool {
        self.condition().hp == 0
    }
}
