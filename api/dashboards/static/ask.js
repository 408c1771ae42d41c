// Asks the server: a few panels at once, the others in turn; all of it ends when the page is left.

const AT_ONCE = 4; // a browser opens six connections to a server; some are left for the reader
const waiting = [];
let running = 0;

/** What the server said instead of an answer. `kind`: denied | source | limit | time | query | file | lost | gone | unknown. */
export class Refused extends Error {
  constructor(status, told, sql) {
    super(told.message ?? 'the server gave no reason');
    this.name = 'Refused';
    this.status = status;
    this.told = told;
    this.sql = sql ?? '';
    this.kind = kind(status, told.sqlstate ?? '');
  }
}

function kind(status, state) {
  if (status === 0) return 'lost';
  if (status === 401 || status === 403 || state === '42501') return 'denied';
  if (status === 404) return 'gone';
  if (state === '57014' || status === 504) return 'time';
  if (state === 'F0000') return 'file';
  if (status === 502 || status === 503 || /^(08|57P|HV)/.test(state)) return 'source';
  if (/^53|^54/.test(state) || status === 413 || status === 429) return 'limit';
  return status >= 400 && status < 500 ? 'query' : 'unknown';
}

/** JSON (or text) of an address; Refused, or the signal's AbortError. */
export async function ask(address, { signal, as = 'json' } = {}) {
  await turn(signal);
  try {
    let response;
    try {
      response = await fetch(address, { signal, headers: { Accept: as === 'json' ? 'application/json' : 'text/plain' } });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refused(0, { message: 'the server cannot be reached' });
    }
    if (!response.ok) throw await refusal(response);
    return await response[as]();
  } finally {
    running -= 1;
    next();
  }
}

async function refusal(response) {
  try {
    const body = await response.json();
    return new Refused(response.status, body.error ?? {}, body.sql);
  } catch {
    return new Refused(response.status, { message: `the server answered with status ${response.status}` });
  }
}

function turn(signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const one = { start: resolve };
    signal?.addEventListener('abort', () => {
      const at = waiting.indexOf(one);
      if (at >= 0) {
        waiting.splice(at, 1);
        reject(signal.reason);
      }
    }, { once: true });
    waiting.push(one);
    next();
  });
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    waiting.shift().start();
  }
}
