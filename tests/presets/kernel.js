// Starts a kernel, runs code in it over its WebSocket, and writes a file with an odd name.
const [base, code] = arguments;
const cookie = document.cookie.split('; ').find(pair => pair.startsWith('_xsrf='));
const headers = cookie ? { 'X-XSRFToken': cookie.slice(6) } : {};
const file = JSON.stringify({ type: 'file', format: 'text', content: '1;2' });
fetch(`${base}/api/contents/a%3Bb.csv`, { method: 'PUT', headers, body: file })
    .then(() => fetch(`${base}/api/kernels`, { method: 'POST', headers, body: '{}' }))
    .then(answer => answer.json())
    .then(kernel => {
        const socket = new WebSocket(`ws://${location.host}${base}/api/kernels/${kernel.id}/channels`);
        const header = { msg_id: 'one', msg_type: 'execute_request', username: '', session: 'one', version: '5.3' };
        const content = { code, silent: false, store_history: true, user_expressions: {}, allow_stdin: false };
        socket.onopen = () => socket.send(JSON.stringify({ header, content, channel: 'shell', parent_header: {}, metadata: {}, buffers: [] }));
        socket.onmessage = event => {
            const message = JSON.parse(event.data);
            if (message.header.msg_type === 'execute_result') done(message.content.data['text/plain']);
        };
        socket.onerror = () => done('error');
    })
    .catch(error => done(String(error)));
