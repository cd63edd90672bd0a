// Makes `gen9randombattle.txt`: what the random-battle generator of the npm package pokemon-showdown (MIT) gives to
// whom, counted over many teams, and the species that may stand on the field.
//
//     node make-sets.mjs FOLDER-OF-THE-PACKAGE [TEAMS] > gen9randombattle.txt
//
// Two kinds of lines, fields apart by one space, every name an id (lower case letters and digits):
//
//     dex SPECIES TYPES HP/ATK/DEF/SPA/SPD/SPE WEIGHT-KG BASE-SPECIES
//     set SPECIES LEVEL MOVES ITEMS ABILITIES TERAS SETS
//
// The lists of a `set` line are parted by commas. A set is `moves/item/ability/tera/flags/count`: each digit (base 36)
// points into the lists; flags are 1 for an Attack and 2 for a Speed without effort. "-" is an empty list.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [folder, teams = "12000"] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const { Dex, Teams, toID } = require(join(resolve(folder), "dist/sim"));
const dex = Dex.forFormat("gen9randombattle");

for (const species of Dex.species.all()) {
    if (species.num <= 0 || species.isNonstandard === "CAP" || species.isNonstandard === "Custom") continue;
    const stats = ["hp", "atk", "def", "spa", "spd", "spe"].map((stat) => species.baseStats[stat]).join("/");
    const types = species.types.map(toID).join("/");
    console.log("dex", species.id, types, stats, species.weightkg, toID(species.baseSpecies));
}

const pools = new Map(); // species -> what was seen
for (let team = 0; team < Number(teams); team++) {
    // The generator's own seeded source, so that the same package makes the same file.
    for (const set of Teams.generate("gen9randombattle", { seed: [9, 0, team >> 16, team & 0xffff].join(",") })) {
        let species = dex.species.get(set.species);
        if (species.isCosmeticForme) species = dex.species.get(species.baseSpecies);
        const pool = pools.get(species.id) ??
            { level: set.level, moves: [], items: [], abilities: [], teras: [], sets: new Map() };
        pools.set(species.id, pool);
        const digit = (list, name) => {
            if (!list.includes(name)) list.push(name);
            return list.indexOf(name).toString(36);
        };
        const moves = set.moves.map((move) => digit(pool.moves, toID(move))).sort().join("");
        const flags = (set.evs.atk === 0 ? 1 : 0) + (set.evs.spe === 0 ? 2 : 0);
        const item = digit(pool.items, toID(set.item) || "none");
        const ability = digit(pool.abilities, toID(set.ability));
        const tera = digit(pool.teras, toID(set.teraType));
        const key = [moves, item, ability, tera, flags].join("/");
        pool.sets.set(key, (pool.sets.get(key) ?? 0) + 1);
    }
}
for (const [species, pool] of [...pools].sort(([one], [two]) => (one < two ? -1 : 1))) {
    const sets = [...pool.sets].map(([key, count]) => `${key}/${count}`).sort().join(",");
    const list = (names) => names.join(",") || "-";
    console.log("set", species, pool.level, list(pool.moves), list(pool.items), list(pool.abilities), list(pool.teras), sets);
}
