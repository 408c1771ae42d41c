// States that are designed, not accidents: waiting, empty, and each way in which an answer can fail.
import { h } from './dom.js';
import { words } from './format.js';

/** Marks of rows and numbers, by the value of a panel's `state` column. */
export const STATES = { good: '✓', warning: '!', bad: '✕' };

/** A state as a word with its mark; colour is never all that tells it. */
export function badge(state) {
  return h('span', { class: `badge ${state}` }, h('span', { 'aria-hidden': 'true' }, STATES[state]), ` ${words(state)}`);
}

const FAULTS = {
  denied: ['×', 'No permission'],
  source: ['!', 'A source does not answer'],
  limit: ['=', 'A limit was reached'],
  time: ['…', 'It took too long'],
  query: ['?', 'The question is not right'],
  file: ['?', 'This panel’s file has an error'],
  lost: ['!', 'The server cannot be reached'],
  gone: ['–', 'Not there any more'],
  unknown: ['!', 'Something went wrong'],
};
const REMEDIES = {
  denied: 'Ask whoever keeps vdw.yml to add the view to your `reads`.',
  source: 'The other panels are not affected. It is asked again by itself, or now:',
  lost: 'Is it being restarted? The page asks again by itself.',
};

/** Placeholder while an answer is on its way. */
export function waiting(kind) {
  return h('div', { class: `waiting ${kind}`, role: 'img', 'aria-label': 'Asking the sources' }, h('span', { class: 'shimmer' }), h('span', { class: 'shimmer' }), h('span', { class: 'shimmer' }));
}

/** An answer without rows. */
export function empty(detail) {
  return h('div', { class: 'state empty' }, h('p', { class: 'sign', 'aria-hidden': 'true' }, '–'), h('p', { class: 'what' }, 'Nothing to show'),
    h('p', {}, detail || 'The sources answered; there are no rows.'));
}

/** A panel that cannot be asked yet. */
export function wanting(names) {
  return h('div', { class: 'state empty' }, h('p', { class: 'sign', 'aria-hidden': 'true' }, '↑'), h('p', { class: 'what' }, `Choose ${names.join(' and ')} first`),
    h('p', {}, 'The fields stand above the panels.'));
}

/** An error in the place of an answer. */
export function failed(error, again) {
  const [sign, heading] = FAULTS[error.kind] ?? FAULTS.unknown;
  const told = error.told ?? {};
  const remedy = told.hint || REMEDIES[error.kind];
  return h('div', { class: `state failed ${error.kind}` },
    h('p', { class: 'sign', 'aria-hidden': 'true' }, sign),
    h('p', { class: 'what' }, heading),
    h('p', { class: 'message' }, error.message),
    told.detail && h('p', { class: 'message' }, told.detail),
    remedy && h('p', {}, remedy),
    told.place && h('p', { class: 'code' }, told.place),
    told.sqlstate && h('p', { class: 'code' }, `SQLSTATE ${told.sqlstate}`),
    again && h('button', { type: 'button', on: { click: again } }, 'Try again'));
}

/** A warning across the top of a panel. */
export function notice(level, text) {
  return h('p', { class: `notice ${level}` }, h('span', { 'aria-hidden': 'true' }, level === 'bad' ? '✕ ' : '! '), text);
}
