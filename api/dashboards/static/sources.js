// How old each source's data is, what it was asked, and the SQL that ran.
import { ask } from './ask.js';
import { announce, fill, h } from './dom.js';
import * as format from './format.js';
import { notice } from './states.js';

const ORIGINS = {
  live: 'read for this answer', cache: 'kept from a moment ago', stale: 'past its time', copy: 'from a copy', missing: 'left out',
};
const CACHES = { miss: 'asked', shared: 'shared with another who asks the same', hit: 'kept', contained: 'kept, as part of more', stale: 'kept, past its time' };

/** One badge a source: its origin and its data's age, counted on by `tick`. `since`: when the answer came (ms). */
export function badges(answer, since) {
  const made = answer.provenance.map((fact) => one(fact, since));
  const list = h('ul', { class: 'sources', 'aria-label': 'Age of the data, by source' }, made.map((item) => item.element));
  return { element: list, tick: () => made.forEach((item) => item.tick()) };
}

function one(fact, since) {
  const shown = h('span', { class: 'age' });
  const title = [ORIGINS[fact.origin], fact.as_of && `as of ${format.clock(new Date(fact.as_of))}`, fact.why].filter(Boolean).join('; ');
  const element = h('li', { class: `source ${fact.origin}`, title }, h('span', { class: 'dot', 'aria-hidden': 'true' }),
    h('span', { class: 'name' }, fact.source), h('span', { class: 'origin' }, fact.origin), shown);
  const tick = () => {
    const told = fact.age === null ? '' : format.age(fact.age + (Date.now() - since) / 1000);
    if (shown.textContent !== told) shown.textContent = told;
  };
  tick();
  return { element, tick };
}

/** What whoever reads the panel has to know first: sources that are missing or past their time, rows cut off. */
export function warnings(answer) {
  const told = answer.provenance.filter((fact) => fact.warning)
    .map((fact) => notice(fact.missing ? 'bad' : 'warning', fact.why ? `${fact.warning} – ${fact.why}` : fact.warning));
  if (answer.more && answer.limit > 1) told.push(notice('warning', `Only the first ${format.count(answer.rows.length, 'row')} are shown; there are more.`));
  return told;
}

/** The table of what each source was asked. */
export function account(element, answer) {
  const rows = answer.asked.map((part) => h('tr', {},
    h('th', { scope: 'row' }, part.source),
    h('td', {}, CACHES[part.cache] ?? part.cache),
    h('td', { class: 'right' }, format.number(part.statements)),
    h('td', { class: 'right' }, format.number(part.rows)),
    h('td', { class: 'right' }, format.milliseconds(part.ms), part.waited >= 1 && h('span', { class: 'soft' }, ` (${format.milliseconds(part.waited)} waited)`)),
    h('td', { class: 'statement' }, h('code', {}, part.sql))));
  const heads = ['Source', 'How', 'Statements', 'Rows', 'Time', 'Statement'];
  const merged = answer.merge.cached ? 'The whole answer was kept.' : `Merged by ${answer.merge.engine} in ${format.milliseconds(answer.merge.ms)}.`;
  const facts = answer.provenance.map((fact) => `${fact.source}: ${[ORIGINS[fact.origin], fact.as_of && `as of ${format.clock(new Date(fact.as_of))}`, `kept for ${format.age(fact.ttl)}`].filter(Boolean).join(', ')}`);
  fill(element,
    answer.asked.length
      ? h('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'What the sources were asked' }, h('table', { class: 'account' },
          h('caption', { class: 'unseen' }, 'What the sources were asked'),
          h('thead', {}, h('tr', {}, heads.map((head, at) => h('th', { scope: 'col', class: at > 1 && at < 5 ? 'right' : '' }, head)))), h('tbody', {}, rows)))
      : h('p', {}, 'No source was asked.'),
    h('ul', { class: 'facts' }, facts.map((fact) => h('li', {}, fact))),
    h('p', { class: 'soft' }, `${merged} Answered in ${format.milliseconds(answer.ms)}, at ${format.clock(new Date(answer.answered_at))}.`));
}

/** The SQL, to copy, to explain, and the way into GraphiQL. */
export function sql(element, { text, graphql, explain, signal }) {
  const code = h('code', {}, text);
  const plan = h('div', { 'aria-live': 'polite' });
  const copy = h('button', { type: 'button', class: 'quiet', on: { click: () => copied(code) } }, 'Copy');
  const show = h('button', { type: 'button', class: 'quiet', on: { click: () => explained(plan, explain, signal) } }, 'Explain');
  const link = graphql && h('a', { class: 'button quiet', href: `../graphiql?query=${encodeURIComponent(graphql)}`, target: '_blank', rel: 'noopener' },
    'Open in GraphiQL', h('span', { class: 'unseen' }, ' (new tab)'));
  fill(element, h('pre', { tabindex: '0', role: 'region', 'aria-label': 'SQL' }, code), h('div', { class: 'row' }, copy, show, link), plan);
}

async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    announce('SQL copied');
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without TLS
    announce('SQL selected: press Control C');
  }
}

async function explained(element, address, signal) {
  fill(element, h('p', { class: 'soft' }, 'Explaining …'));
  try {
    fill(element, h('pre', { tabindex: '0', role: 'region', 'aria-label': 'Explanation' }, h('code', {}, await ask(address, { signal, as: 'text' }))));
  } catch (error) {
    if (error.name !== 'AbortError') fill(element, notice('bad', error.message));
  }
}
