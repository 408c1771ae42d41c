// Rows as a table: sorted by its headings, searched, paged; every digit of a number is there.
import { announce, h, unique } from './dom.js';
import * as format from './format.js';
import { STATES, badge } from './states.js';

const SIZES = [10, 25, 50, 100];
const LONG = 16; // characters from which a cell wants some width
const SEARCHED = 10; // rows from which there is a search

/** A table of a panel. `address(row, column)`: where a cell leads, or null. */
export class Table {
  constructor(panel, address) {
    this.panel = panel;
    this.address = address;
    this.sort = null;
    this.down = false;
    this.page = 0;
    this.size = SIZES[0];
    this.wanted = '';
    this.element = h('div', { class: 'table' });
    this.#frame();
  }

  #frame() {
    const search = unique('search');
    this.search = h('input', { id: search, type: 'search', autocomplete: 'off', on: { input: () => this.#find() } });
    this.tools = h('div', { class: 'tools' }, h('label', { for: search }, 'Search'), this.search);
    this.region = h('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': `${this.panel.title}, table` });
    this.status = h('p', { class: 'status' });
    this.back = h('button', { type: 'button', class: 'quiet', on: { click: () => this.#turn(-1) } }, 'Previous');
    this.on = h('button', { type: 'button', class: 'quiet', on: { click: () => this.#turn(1) } }, 'Next');
    const size = unique('size');
    const choice = h('select', { id: size, on: { change: (event) => this.#resize(Number(event.target.value)) } },
      SIZES.map((rows) => h('option', { value: rows }, rows)));
    this.pager = h('div', { class: 'pager' }, h('label', { for: size }, 'Rows'), choice, this.status, this.back, this.on);
    this.element.append(this.tools, this.region, this.pager);
  }

  /** Show an answer's rows; sorting, search and page stay. */
  show(answer) {
    this.answer = answer;
    this.columns = answer.columns.filter((one) => !this.panel.columns[one.name]?.hidden);
    this.tools.hidden = answer.rows.length <= SEARCHED && !this.wanted;
    this.#index();
    this.#draw();
  }

  #index() {
    this.texts = new Map(this.answer.rows.map((row) => [row, this.columns.map((one) => format.text(row[one.name], one, this.#unit(one)))]));
  }

  #unit(column) {
    return this.panel.columns[column.name]?.unit || (this.panel.y?.includes(column.name) ? this.panel.unit : '');
  }

  #rows() {
    const wanted = this.wanted.toLocaleLowerCase();
    let rows = this.answer.rows;
    if (wanted) rows = rows.filter((row) => this.texts.get(row).some((text) => text.toLocaleLowerCase().includes(wanted)));
    if (!this.sort) return rows;
    const column = this.columns.find((one) => one.name === this.sort);
    if (!column) return rows;
    const sign = this.down ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [a[column.name], b[column.name]];
      return (x === null || y === null ? 1 : sign) * format.compare(x, y, column.type);
    });
  }

  #draw() {
    const rows = this.#rows();
    const pages = Math.max(1, Math.ceil(rows.length / this.size));
    this.page = Math.min(this.page, pages - 1);
    const first = this.page * this.size;
    const shown = rows.slice(first, first + this.size);
    this.region.replaceChildren(h('table', {},
      h('caption', { class: 'unseen' }, this.panel.title),
      h('thead', {}, h('tr', {}, this.columns.map((one) => this.#heading(one)))),
      h('tbody', {}, shown.map((row) => this.#row(row)))));
    if (!rows.length) this.region.append(h('p', { class: 'nothing' }, this.wanted ? `No row holds “${this.wanted}”.` : 'No rows.'));
    const last = first + shown.length;
    this.status.textContent = rows.length ? `${first + 1}–${last} of ${format.number(rows.length)}` : '';
    this.pager.hidden = rows.length <= SIZES[0];
    this.back.disabled = this.page === 0;
    this.on.disabled = this.page >= pages - 1;
  }

  #heading(column) {
    const sorted = this.sort === column.name;
    const title = this.panel.columns[column.name]?.title || format.words(column.name);
    const press = () => {
      this.down = sorted ? !this.down : format.isNumber(column.type);
      this.sort = column.name;
      this.page = 0;
      this.#draw();
      this.region.querySelector('th[aria-sort] button')?.focus();
      announce(`sorted by ${title}, ${this.down ? 'descending' : 'ascending'}`);
    };
    const mark = h('span', { class: 'mark', 'aria-hidden': 'true' }, sorted ? (this.down ? '▼' : '▲') : '');
    return h('th', { scope: 'col', class: format.isAmount(column) ? 'right' : '', 'aria-sort': sorted ? (this.down ? 'descending' : 'ascending') : null },
      h('button', { type: 'button', on: { click: press } }, title, mark));
  }

  #row(row) {
    const state = STATES[row[this.panel.state]] ? row[this.panel.state] : '';
    return h('tr', { class: state && `marked ${state}` }, this.columns.map((column, at) => {
      const text = this.texts.get(row)[at];
      const right = format.isAmount(column) ? 'right' : '';
      if (column.name === this.panel.state && state) return h('td', {}, badge(state));
      if (text === '') return h('td', { class: `${right} none` }, h('span', { 'aria-hidden': 'true' }, '–'), h('span', { class: 'unseen' }, 'no value'));
      const href = this.address?.(row, column.name);
      const shown = format.isTime(column.type) ? h('time', { datetime: String(row[column.name]), title: String(row[column.name]) }, text) : text;
      return h('td', { class: right || (text.length > LONG ? 'long' : 'short') }, href ? h('a', { href }, shown) : shown);
    }));
  }

  #find() {
    this.wanted = this.search.value.trim();
    this.page = 0;
    this.#draw();
    announce(format.count(this.#rows().length, 'row'));
  }

  #turn(by) {
    this.page += by;
    this.#draw();
    const button = by < 0 ? this.back : this.on;
    if (button.disabled) (by < 0 ? this.on : this.back).focus();
    announce(this.status.textContent);
  }

  #resize(size) {
    this.size = size;
    this.page = 0;
    this.#draw();
  }
}
