// A login service at PORT, and a server that asks for its proofs. "ann" is registered.
const crypto = require('crypto');
const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });

const secured = setInterval(() => {
    if (!global.Config?.loginserverpublickey) return;
    clearInterval(secured);
    Config.noguestsecurity = false;
    Config.loginserverkeyalgo = 'RSA-SHA1';
    Config.loginserverpublickey = publicKey.export({ type: 'spki', format: 'pem' });
});

const assertion = (challstr, userid, type) => {
    const [, challenge] = challstr.split('|');
    const data = [challenge, userid, type, Math.floor(Date.now() / 1000), 'localhost'].join();
    return `${data};${crypto.createSign('RSA-SHA1').update(data).sign(privateKey, 'hex')}`;
};
require('http').createServer((request, response) => {
    let body = '';
    request.on('data', part => body += part).on('end', () => {
        const { name, userid, pass, challstr } = Object.fromEntries(new URLSearchParams(body));
        if (request.url === '/api/getassertion') {
            return response.end(userid === 'ann' ? ';' : assertion(challstr, userid, 1));
        }
        const right = name === 'Ann' && pass === 'secret';
        const answer = right ? { assertion: assertion(challstr, 'ann', 2) } : { actionsuccess: false };
        response.end(`]${JSON.stringify(answer)}`);
    });
}).listen(PORT, '127.0.0.1');
