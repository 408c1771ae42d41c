// One panel: asks, shows its answer or why there is none, and asks again when that can bring something newer.
import { ask } from './ask.js';
import { Figure } from './chart.js';
import { announce, disclosure, fill, h, unique } from './dom.js';
import { account, badges, sql, warnings } from './sources.js';
import { Detail, Number_ } from './single.js';
import { Table } from './table.js';
import { empty, failed, notice, waiting, wanting } from './states.js';

const CHARTS = new Set(['line', 'bar', 'stacked', 'pie']);
const SHORTEST_PAUSE = 5; // seconds between two tries at what fails, doubled by each
const LONGEST_PAUSE = 300;

export class Panel {
  /** `about`: its description; `board`: whose parameters it is asked with. */
  constructor(about, board) {
    this.about = about;
    this.board = board;
    this.failures = 0;
    this.due = Infinity;
    this.heading = unique('panel');
    this.chart = CHARTS.has(about.kind);
    this.#frame();
  }

  #frame() {
    const { about } = this;
    this.warnings = h('div', { class: 'notices' });
    this.body = h('div', { class: 'body' }, waiting(about.kind));
    this.foot = h('div', { class: 'foot' });
    this.ages = h('div', { class: 'ages' });
    this.element = h('section', { class: `card panel w${about.width ?? 2} is-${about.kind ?? 'broken'}`, id: `panel-${about.name}`, 'aria-labelledby': this.heading, 'aria-busy': 'true' },
      h('header', {}, h('h2', { id: this.heading }, about.title), about.description && h('p', { class: 'soft' }, about.description)),
      this.warnings, this.body, this.ages, this.foot);
    if (about.fault) this.#broken();
  }

  #broken() {
    const { message, place, hint } = this.about.fault;
    this.body.replaceChildren(failed({ kind: 'file', message, told: { place, hint } }));
    this.element.setAttribute('aria-busy', 'false');
  }

  /** Ask, unless it is broken, wanting or being asked; `loud`: the reader wants to hear of it. */
  async refresh(loud = false) {
    if (this.about.fault || this.asking) return;
    const missing = this.board.missing(this.about.uses);
    if (missing.length) return this.#wanting(missing);
    const turn = (this.asking = {});
    this.due = Infinity;
    this.element.setAttribute('aria-busy', 'true');
    try {
      const answer = await ask(this.board.address(this.about), { signal: this.board.signal });
      if (this.asking === turn) this.#answered(answer, loud);
    } catch (error) {
      if (error.name !== 'AbortError' && this.asking === turn) this.#failed(error);
    } finally {
      if (this.asking === turn) this.asking = null;
      this.element.setAttribute('aria-busy', String(Boolean(this.asking)));
    }
  }

  /** Forget what is shown: other parameters. */
  reset() {
    this.asking = null;
    this.answer = null;
    this.failures = 0;
    if (this.about.fault) return;
    this.#clear();
    this.body.replaceChildren(waiting(this.about.kind));
  }

  #clear() {
    this.view?.close?.();
    this.view = this.table = null;
    this.shown = '';
    for (const part of [this.warnings, this.ages, this.foot]) part.replaceChildren();
    this.details = this.query = null;
  }

  #wanting(names) {
    this.#clear();
    this.due = Infinity;
    this.body.replaceChildren(wanting(names));
    this.element.setAttribute('aria-busy', 'false');
  }

  #answered(answer, loud) {
    answer.limit = this.about.kind === 'number' || this.about.kind === 'detail' ? 1 : Infinity;
    this.answer = answer;
    this.since = Date.now();
    this.failures = 0;
    this.#next(Math.max(this.board.every, answer.fresh_for ?? 0));
    fill(this.warnings, warnings(answer));
    if (answer.rows.length) this.#draw(answer);
    else this.#empty();
    this.badges = badges(answer, this.since);
    fill(this.ages, this.badges.element);
    this.#tools();
    if (loud) announce(`${this.about.title} is up to date`);
  }

  #draw(answer) {
    if (!this.view) {
      this.view = this.#made();
      this.table = this.chart ? new Table(this.about, (row, name) => this.#leads(row, name)) : null;
      this.body.replaceChildren(this.view.element);
      if (this.shown === 'table') this.#swap('table');
    }
    this.view.show(answer);
    this.table?.show(answer);
  }

  #made() {
    const address = (row, name) => this.#leads(row, name);
    if (this.about.kind === 'number') return new Number_(this.about);
    if (this.about.kind === 'detail') return new Detail(this.about, address);
    if (this.about.kind === 'table') return new Table(this.about, address);
    return new Figure(this.about, this.about.links.length ? (row) => this.board.follow(this.about.links[0], row) : null);
  }

  #leads(row, name) {
    const link = this.about.links.find((one) => one.column === name);
    return link ? this.board.leads(link, row) : null;
  }

  #empty() {
    this.view?.close?.();
    this.view = this.table = null;
    this.body.replaceChildren(empty(''));
  }

  #failed(error) {
    this.failures += 1;
    const usual = Number.isFinite(this.board.every) ? Math.max(SHORTEST_PAUSE, this.board.every) : SHORTEST_PAUSE;
    const pause = Math.min(LONGEST_PAUSE, usual * 2 ** (this.failures - 1));
    const hopeless = ['denied', 'query', 'file', 'gone'].includes(error.kind);
    this.#next(hopeless ? Infinity : pause);
    const again = () => this.refresh(true);
    if (this.answer && !hopeless) { // what was read last is better than nothing, where it says so
      const at = new Date(this.since).toLocaleTimeString();
      fill(this.warnings, notice('bad', `Not renewed since ${at}: ${error.message}`), h('button', { type: 'button', class: 'quiet', on: { click: again } }, 'Try again'));
      return;
    }
    const known = error.sql;
    this.#clear();
    this.answer = null;
    this.body.replaceChildren(failed(error, hopeless && error.kind !== 'denied' ? null : again));
    if (known) this.#sqlOnly(known);
    if (this.failures === 1) announce(`${this.about.title}: ${error.message}`);
  }

  #next(seconds) {
    const jitter = 1 + Math.random() / 10; // a wall of screens that start together does not ask together
    this.due = this.board.every === Infinity && !this.failures ? Infinity : Date.now() + seconds * 1000 * jitter;
  }

  /** Counts the ages on; asks when it is due. */
  tick(now, paused) {
    this.badges?.tick();
    if (!paused && now >= this.due) this.refresh();
  }

  #tools() {
    const links = this.answer.rows.length ? this.#links() : [];
    if (!this.details) {
      this.details = disclosure('Sources', (body) => account(body, this.answer), this.heading);
      this.query = disclosure('SQL', (body) => this.#sql(body), this.heading);
      this.swap = this.chart ? h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', 'aria-describedby': this.heading, on: { click: () => this.#swap() } }, 'Table') : null;
      this.links = h('span', { class: 'links' });
      this.foot.replaceChildren(h('div', { class: 'row' }, this.swap ?? '', this.details.button, this.query.button, this.links), this.details.body, this.query.body);
    }
    if (this.swap) this.swap.hidden = !this.table;
    fill(this.links, links);
    if (this.details.open) account(this.details.body, this.answer);
  }

  /** Links of a whole panel: of its one row, or with the dashboard's parameters alone. */
  #links() {
    const single = this.about.kind === 'number';
    return this.about.links.filter((link) => single || !link.column)
      .map((link) => this.board.leads(link, this.answer.rows[0], link.title))
      .map((href, at) => href && h('a', { href }, `${this.about.links[at].title} →`));
  }

  #sql(body) {
    const graphql = this.board.explore ? this.answer.graphql : null;
    sql(body, { text: this.answer.sql, graphql, explain: this.board.address(this.about, '/explain'), signal: this.board.signal });
  }

  #sqlOnly(text) {
    const query = disclosure('SQL', (body) => sql(body, { text, graphql: null, explain: this.board.address(this.about, '/explain'), signal: this.board.signal }), this.heading);
    this.foot.replaceChildren(h('div', { class: 'row' }, query.button), query.body);
  }

  #swap(to = this.shown === 'table' ? 'chart' : 'table') {
    this.shown = to;
    this.body.replaceChildren(to === 'table' ? this.table.element : this.view.element);
    this.swap?.setAttribute('aria-pressed', String(to === 'table'));
  }

  /** Free what it holds. */
  close() {
    this.view?.close?.();
  }
}
