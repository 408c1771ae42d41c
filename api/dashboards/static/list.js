// The list of all dashboards, by who opens them.
import { h } from './dom.js';
import * as format from './format.js';
import { empty, notice } from './states.js';

/** Draw the list. */
export function list(about, main) {
  document.title = `Dashboards – ${about.project}`;
  const groups = new Map();
  const whole = [...about.dashboards].sort((a, b) => (a.asks.length > 0) - (b.asks.length > 0)); // those that open at once first
  for (const one of whole) groups.set(one.audience, [...(groups.get(one.audience) ?? []), one]);
  const named = [...groups].sort(([a], [b]) => (a === '') - (b === '') || a.localeCompare(b));
  main.replaceChildren(
    h('div', { class: 'title' }, h('div', {}, h('h1', {}, 'Dashboards'), about.about && h('p', { class: 'soft' }, about.about))),
    ...about.broken.map((one) => notice('bad', `${one.place}: ${one.message}${one.hint ? ` (${one.hint})` : ''}`)),
    ...(named.length ? named.map(([audience, those]) => group(audience, those)) : [empty('No file stands in dashboards/ yet.')]));
}

function group(audience, those) {
  const title = audience ? format.words(audience) : 'All';
  return h('section', { class: 'group', 'aria-label': title }, h('h2', {}, title), h('ul', { class: 'cards' }, those.map((one) =>
    h('li', { class: 'card' }, h('h3', {}, h('a', { href: one.name }, one.title)), one.description && h('p', { class: 'soft' }, one.description),
      h('p', { class: 'soft small' }, [format.count(one.panels, 'panel'), one.asks.length && `asks for ${one.asks.join(', ').toLowerCase()}`,
        one.broken && `${one.broken} with an error`].filter(Boolean).join(' · '))))));
}
