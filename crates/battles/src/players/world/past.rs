//! A world as it stood when something was chosen in it.

use poke_engine::state::{Side as EngineSide, State};

use super::{World, index, own};
use crate::{
    domain::battle::{Before, Standing, Stat},
    players::Position,
};

impl World {
    /// The two Pokémon that faced each other when the opponent chose, with their HP, stages and types of then; all
    /// else is as it is now. `None`: one of them is not known any more.
    pub(in crate::players) fn as_it_stood(
        &self,
        position: Position<'_>,
        before: &Before,
    ) -> Option<State> {
        let mine = position.battle.side(position.request.side.slot()?);
        let mut state = self.state.clone();
        let place = own::place(mine, position.request, before.opposite.place)?;
        stand(&mut state.side_one, before.opposite, place);
        stand(&mut state.side_two, before.own, before.own.place);
        Some(state)
    }
}

fn stand(side: &mut EngineSide, then: Standing, place: usize) {
    side.active_index = index(place);
    side.attack_boost = then.boosts.of(Stat::Attack);
    side.defense_boost = then.boosts.of(Stat::Defense);
    side.special_attack_boost = then.boosts.of(Stat::SpecialAttack);
    side.special_defense_boost = then.boosts.of(Stat::SpecialDefense);
    side.volatile_statuses = Default::default();
    let pokemon = side.get_active();
    let hp = i32::from(pokemon.maxhp) * i32::from(then.hp) / 100;
    pokemon.hp = i16::try_from(hp).expect("a part of a number that fits").max(1);
    pokemon.terastallized = then.terastallized;
}
