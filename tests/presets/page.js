// What a person does on a page, also inside of shadow roots, where selectors do not reach.
const roots = (root) => [root, ...[...root.querySelectorAll('*')].filter(node => node.shadowRoot).flatMap(node => roots(node.shadowRoot))];
const find = (css, text) => roots(document).flatMap(root => [...root.querySelectorAll(css)])
    .find(node => !text || (node.innerText || node.value || '').trim() === text);
const read = () => roots(document).map(root => root === document ? document.body?.innerText ?? '' :
    [...root.children].filter(node => node.tagName !== 'STYLE').map(node => node.innerText ?? node.textContent).join(' ')).join(' ');
// Fails after some seconds: the test tries again, also when the page was left meanwhile.
const until = (ask) => new Promise((resolve, reject) => {
    const began = Date.now();
    const step = () => {
        const answer = ask();
        if (answer) resolve(answer);
        else if (Date.now() - began > 5000) reject('not within five seconds');
        else setTimeout(step, 100);
    };
    step();
});

const actions = {
    reads: (text) => until(() => read().includes(text)),
    presses: async (css, text) => { (await until(() => find(css, text))).click(); return true; },
    uploads: async (size) => {
        const input = await until(() => find('input[type=file]'));
        const chosen = new DataTransfer();
        chosen.items.add(new File([new Uint8Array(size)], 'file with a blank.bin', { type: 'application/octet-stream' }));
        input.files = chosen.files;
        for (const name of ['input', 'change']) input.dispatchEvent(new Event(name, { bubbles: true }));
        return true;
    },
    // A link, or a button that makes a link and follows it.
    downloads: async (css, text) => {
        const target = await until(() => find(css, text));
        target.scrollIntoView();
        // A link to an object of the page is good only while it is followed.
        const content = async (href) => (await fetch(href)).text();
        if (!target.href) {
            const followed = new Promise(resolve => {
                // Links that are not in the page.
                for (const name of ['click', 'dispatchEvent']) {
                    const original = HTMLAnchorElement.prototype[name];
                    HTMLAnchorElement.prototype[name] = function (...rest) {
                        return this.download && this.href ? resolve(content(this.href)) : original.apply(this, rest);
                    };
                }
                document.addEventListener('click', event => {
                    const link = event.composedPath().find(node => node.tagName === 'A' && node.download && node.href);
                    if (link) { event.preventDefault(); resolve(content(link.href)); }
                }, true);
            });
            target.click();
            return Promise.race([followed, until(() => false)]);
        }
        return content(target.href);
    },
};

const [action, ...rest] = [...arguments].slice(0, -1);
actions[action](...rest).then(value => done({ value }), error => done({ error: String(error) }));
