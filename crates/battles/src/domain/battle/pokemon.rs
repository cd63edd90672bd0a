//! One Pokémon, as far as it has shown itself.

use std::collections::BTreeMap;

use crate::{
    domain::{
        id::id,
        protocol::{Condition, Details, Status},
    },
    limits,
};

/// One Pokémon. All names but its own are ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pokemon {
    /// As lines call it.
    pub name: String,
    /// The species as it first showed itself.
    pub came_as: String,
    /// The species it is now, temporary formes apart.
    pub species: String,
    /// 1 to 100.
    pub level: u8,
    /// HP: points of the own side, hundredths of the other's.
    pub hp: u16,
    /// Full HP in the same unit.
    pub max_hp: u16,
    /// Its lasting status,
    pub status: Option<Status>,
    /// and how many turns it has slept.
    pub slept: u8,
    /// The ability that it came with, if it was shown,
    pub base_ability: Option<String>,
    /// and the one it has now.
    pub ability: Option<String>,
    /// What it holds now,
    pub item: Held,
    /// and what it came with, if that was shown.
    pub base_item: Option<String>,
    /// Moves that it was seen to use, and how often.
    pub moves: BTreeMap<String, u8>,
    /// The type it has terastallized to,
    pub tera: Option<String>,
    /// which lasts until it faints.
    pub terastallized: bool,
    /// What lasts until it leaves the field.
    pub stint: Stint,
}

/// What is known of a held item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Held {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It holds nothing.
    Nothing,
    /// It holds this.
    Item(String),
}

/// What a Pokémon loses when it leaves the field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stint {
    /// Stages of its stats.
    pub boosts: Boosts,
    /// Volatile conditions, by id.
    pub volatiles: BTreeMap<String, Volatile>,
    /// The last move that it used.
    pub last_move: Option<String>,
    /// The turn in which it came in.
    pub since: u16,
    /// How often its poison has worked, while that is the bad one.
    pub toxic_turns: u8,
    /// Its types, where a move changed them.
    pub types: Option<Vec<String>>,
    /// Its forme, where that is a temporary one.
    pub forme: Option<String>,
    /// Whom it has transformed into.
    pub copied: Option<Copied>,
    /// Moves that it first showed in this stint: somebody else's, should it turn out to be a disguise.
    pub(super) shown: Vec<String>,
    /// HP, full HP and status as it came in, for the same case.
    pub(super) before: (u16, u16, Option<Status>),
}

/// A volatile condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volatile {
    /// The turn of its beginning.
    pub since: u16,
    /// What it is about: the id of a move, a type, or a stat; often empty.
    pub about: String,
}

/// Whom a Pokémon has transformed into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The other's species.
    pub species: String,
    /// The other's level.
    pub level: u8,
    /// The other's moves, as far as they are known.
    pub moves: Vec<String>,
}

/// A stat that has stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// `atk`
    Attack,
    /// `def`
    Defense,
    /// `spa`
    SpecialAttack,
    /// `spd`
    SpecialDefense,
    /// `spe`
    Speed,
    /// `accuracy`
    Accuracy,
    /// `evasion`
    Evasion,
}

impl Stat {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Attack,
        Self::Defense,
        Self::SpecialAttack,
        Self::SpecialDefense,
        Self::Speed,
        Self::Accuracy,
        Self::Evasion,
    ];

    /// Its short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Attack => "atk",
            Self::Defense => "def",
            Self::SpecialAttack => "spa",
            Self::SpecialDefense => "spd",
            Self::Speed => "spe",
            Self::Accuracy => "accuracy",
            Self::Evasion => "evasion",
        }
    }

    /// Reads a stat's short name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stat| stat.id() == text)
    }
}

/// Stages of all stats, −6 to 6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boosts([i8; 7]);

impl Boosts {
    /// One stat's stage.
    pub fn of(&self, stat: Stat) -> i8 {
        self.0[stat as usize]
    }

    pub(super) fn set(&mut self, stat: Stat, stage: i8) {
        self.0[stat as usize] = stage.clamp(-6, 6);
    }

    pub(super) fn each(&mut self, change: impl Fn(i8) -> i8) {
        self.0 = self.0.map(|stage| change(stage).clamp(-6, 6));
    }
}

impl Pokemon {
    pub(super) fn new(name: &str, details: &Details<'_>) -> Self {
        let species = id(details.species);
        Self {
            name: name.chars().take(limits::ID_BYTES).collect(),
            came_as: species.clone(),
            species,
            level: details.level,
            hp: 100,
            max_hp: 100,
            status: None,
            slept: 0,
            base_ability: None,
            ability: None,
            item: Held::Unknown,
            base_item: None,
            moves: BTreeMap::new(),
            tera: details.tera.map(id),
            terastallized: details.tera.is_some(),
            stint: Stint::default(),
        }
    }

    /// Whether it has no HP left.
    pub fn fainted(&self) -> bool {
        self.hp == 0
    }

    /// Its HP out of a hundred; whoever lives has at least one.
    pub fn hp_percent(&self) -> u16 {
        Condition { hp: self.hp, max_hp: self.max_hp, status: None }.percent()
    }

    /// The species that counts on the field.
    pub fn forme(&self) -> &str {
        let copied = self.stint.copied.as_ref().map(|copied| &copied.species);
        copied.or(self.stint.forme.as_ref()).unwrap_or(&self.species)
    }

    pub(super) fn faint(&mut self) {
        (self.hp, self.terastallized) = (0, false);
        self.set_status(None);
    }

    /// Whether a volatile condition holds.
    pub fn is(&self, volatile: &str) -> bool {
        self.stint.volatiles.contains_key(volatile)
    }

    pub(super) fn set(&mut self, condition: &Condition) {
        self.hp = condition.hp;
        if condition.max_hp > 0 {
            self.max_hp = condition.max_hp;
        }
        self.set_status(condition.status);
    }

    pub(super) fn set_status(&mut self, status: Option<Status>) {
        if status != self.status {
            (self.status, self.slept, self.stint.toxic_turns) = (status, 0, 0);
        }
    }

    pub(super) fn begin(&mut self, volatile: String, about: String, turn: u16) {
        let known = self.stint.volatiles.contains_key(&volatile);
        if known || self.stint.volatiles.len() < limits::CONDITIONS {
            self.stint.volatiles.insert(volatile, Volatile { since: turn, about });
        }
    }

    /// It leaves the field.
    pub(super) fn leave(&mut self) {
        if self.ability.as_deref() == Some("regenerator") && !self.fainted() {
            self.hp = (self.hp + self.max_hp / 3).min(self.max_hp);
        }
        // What was swapped or suppressed comes back.
        self.ability.clone_from(&self.base_ability);
        self.turn_into(self.species.clone());
    }

    /// It is of another forme from now on. Those of Terapagos have other abilities, and nobody says so.
    pub(super) fn turn_into(&mut self, species: String) {
        match species.as_str() {
            "terapagosterastal" => self.ability = Some("terashell".to_owned()),
            "terapagosstellar" => self.ability = Some("teraformzero".to_owned()),
            _ => (),
        }
        self.species = species;
    }

    pub(super) fn change_forme(&mut self, species: String, lasting: bool) {
        if lasting {
            self.turn_into(species);
        } else {
            self.stint.forme = Some(species);
        }
    }

    /// It cannot act, for this reason.
    pub(super) fn cannot(&mut self, reason: &str) {
        match reason {
            "slp" => self.slept = self.slept.saturating_add(1),
            "recharge" => {
                self.stint.volatiles.remove("mustrecharge");
            }
            _ => (),
        }
    }

    /// A hungry Morpeko stays so, once it has terastallized.
    pub(super) fn terastallize(&mut self, tera: String) {
        (self.tera, self.terastallized) = (Some(tera), true);
        if let Some(forme) = self.stint.forme.take_if(|forme| *forme == "morpekohangry") {
            self.species = forme;
        }
    }

    /// It was seen to use one of its own moves.
    pub(super) fn show_move(&mut self, name: String) {
        if !self.moves.contains_key(&name) {
            if self.moves.len() >= limits::MOVES_SEEN {
                return;
            }
            self.stint.shown.push(name.clone());
        }
        let times = self.moves.entry(name).or_insert(0);
        *times = times.saturating_add(1);
    }

    /// Its ability is shown; `own` when it came with it.
    pub(super) fn show_ability(&mut self, ability: String, own: bool) {
        let ability = match (ability.as_str(), self.forme()) {
            // Calyrex has two abilities at once, which show one by one; together they have a third name.
            ("asone" | "unnerve" | "chillingneigh", "calyrexice") => "asoneglastrier".to_owned(),
            ("asone" | "unnerve" | "grimneigh", "calyrexshadow") => "asonespectrier".to_owned(),
            _ => ability,
        };
        if own && self.base_ability.is_none() && self.stint.copied.is_none() {
            self.base_ability = Some(ability.clone());
        }
        self.ability = Some(ability);
    }

    /// Its item is shown; `own` when it came with it.
    pub(super) fn show_item(&mut self, item: String, own: bool) {
        if own && self.base_item.is_none() && self.item == Held::Unknown {
            self.base_item = Some(item.clone());
        }
        self.item = Held::Item(item);
    }
}
