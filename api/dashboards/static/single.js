// Panels of one row: a number with what it was before, and a card with a line a column.
import { h } from './dom.js';
import { unit, title } from './figures.js';
import * as format from './format.js';
import { STATES, badge } from './states.js';

/** A large number of a panel's first row. */
export class Number_ {
  constructor(panel) {
    this.panel = panel;
    this.element = h('div', { class: 'number' });
  }

  show(answer) {
    const row = answer.rows[0];
    const name = this.panel.y[0] ?? answer.columns[0].name;
    const column = answer.columns.find((one) => one.name === name);
    const text = format.text(row[name], column, unit(this.panel, name));
    const state = row[this.panel.state];
    this.element.replaceChildren(
      h('p', { class: `big ${state ?? ''}` }, text || h('span', { class: 'none' }, 'no value')),
      h('p', { class: 'beside' }, STATES[state] && badge(state), this.#change(row, name, answer)));
  }

  #change(row, name, answer) {
    const earlier = row[this.panel.compare];
    if (!this.panel.compare || earlier === null || earlier === undefined || row[name] === null) return null;
    const column = answer.columns.find((one) => one.name === this.panel.compare);
    const [now, before] = [Number(row[name]), Number(earlier)];
    const told = `against ${format.text(earlier, column, unit(this.panel, name))}`;
    if (now === before) return h('span', { class: 'change' }, `unchanged ${told}`);
    const up = now > before;
    const good = this.panel.better && (up === (this.panel.better === 'up') ? 'good' : 'bad');
    const by = before ? format.percent(Math.abs((now - before) / before)) : '';
    return h('span', { class: 'change' },
      h('span', { class: `by ${good ?? ''}` }, h('span', { 'aria-hidden': 'true' }, up ? '▲ ' : '▼ '),
        h('span', { class: 'unseen' }, `${up ? 'up' : 'down'}${good ? `, which is ${good}` : ''}: `), by || (up ? 'more' : 'less')),
      ` ${told}`);
  }
}

/** The first row as a card. */
export class Detail {
  constructor(panel, address) {
    this.panel = panel;
    this.address = address;
    this.element = h('dl', { class: 'detail' });
  }

  show(answer) {
    const row = answer.rows[0];
    const shown = answer.columns.filter((one) => !this.panel.columns[one.name]?.hidden);
    this.element.replaceChildren(...shown.map((column) => {
      const text = format.text(row[column.name], column, unit(this.panel, column.name) || '');
      const href = this.address?.(row, column.name);
      const state = column.name === this.panel.state && STATES[row[column.name]] ? badge(row[column.name]) : null;
      const value = text === '' ? h('span', { class: 'none' }, h('span', { 'aria-hidden': 'true' }, '–'), h('span', { class: 'unseen' }, 'no value')) : text;
      return h('div', {}, h('dt', {}, title(this.panel, column.name)), h('dd', {}, state ?? (href ? h('a', { href }, value) : value)));
    }));
  }
}
