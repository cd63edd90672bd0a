// The n-th battle of any two players has the same teams and the same dice as the n-th of any other two, side by side:
// so two pairs of accounts that challenge each other the other way round play the same games with sides swapped. A line
// of the battle's log, `||seed …`, says which games are the same. No two servers have the same seeds.
const crypto = require('crypto');
const salt = crypto.randomBytes(8).toString('hex');
const seed = (...parts) => {
    const hash = crypto.createHash('sha256').update([salt, ...parts].join(' '));
    return 'sodium,' + hash.digest('hex').slice(0, 32);
};
const waiting = setInterval(() => {
    if (!global.Rooms?.createBattle) return;
    clearInterval(waiting);
    const played = new Map();
    const { createBattle } = Rooms;
    Rooms.createBattle = options => {
        const players = options.players.map(player => player.user.id).join();
        const number = (played.get(players) ?? 0) + 1;
        const room = createBattle.call(Rooms, { ...options, seed: seed(number) });
        if (!room) return room;
        played.set(players, number);
        room.add(`||seed ${salt}-${number}`).update();
        return room;
    };
    // Teams have seeds of their own, which the server leaves to chance.
    const { PM } = require('./dist/server/room-battle');
    const { createStream } = PM;
    PM.createStream = () => {
        const stream = createStream.call(PM);
        const { write } = stream;
        let start;
        stream.write = chunk => {
            const [, command, json] = /^>(start|player p\d) (\{.*\})$/.exec(chunk) ?? [];
            if (!command) return write.call(stream, chunk);
            const options = JSON.parse(json);
            if (command === 'start') start = options.seed;
            else if (!options.team) options.seed = seed(start, command);
            return write.call(stream, `>${command} ${JSON.stringify(options)}`);
        };
        return stream;
    };
}, 1);
