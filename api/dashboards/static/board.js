// One dashboard: its parameters in the address, its panels, and when they are asked again.
import { ask } from './ask.js';
import { announce, h } from './dom.js';
import { Fields } from './fields.js';
import * as format from './format.js';
import { Panel } from './panel.js';
import { notice } from './states.js';

const SECOND = 1000;
const LOOKED = 60 * SECOND; // how often the file itself is looked at, while it is shown

export class Board {
  constructor(about, main) {
    this.about = about;
    this.main = main;
    this.explore = about.explore;
    this.every = about.refresh ?? Infinity;
    this.paused = false;
    this.leaving = new AbortController();
    this.given = new URLSearchParams(location.search);
    this.fields = new Fields(about, () => this.#chosen());
    this.panels = about.panels.map((panel) => new Panel(panel, this));
  }

  /** Draw, ask, and go on asking until `close`. */
  open() {
    document.title = `${this.about.title} – ${this.about.project}`;
    this.#frame();
    this.fields.read(this.given);
    this.fields.load((name) => this.#choices(name));
    for (const panel of this.panels) panel.refresh();
    this.timer = setInterval(() => this.#tick(), SECOND);
    this.looked = Date.now();
    addEventListener('popstate', (this.back = () => this.#returned()));
    document.addEventListener('visibilitychange', (this.seen = () => this.#tick()));
    addEventListener('pagehide', (this.left = () => this.leaving.abort()));
    addEventListener('pageshow', (this.again = (event) => event.persisted && location.reload()));
  }

  /** Stop everything. */
  close() {
    clearInterval(this.timer);
    this.leaving.abort();
    removeEventListener('popstate', this.back);
    removeEventListener('pagehide', this.left);
    removeEventListener('pageshow', this.again);
    document.removeEventListener('visibilitychange', this.seen);
    for (const panel of this.panels) panel.close();
  }

  get signal() {
    return this.leaving.signal;
  }

  #frame() {
    const { about } = this;
    const broken = about.panels.filter((panel) => panel.fault).length;
    this.now = h('button', { type: 'button', on: { click: () => this.#all(true) } }, 'Refresh');
    this.pause = this.every === Infinity ? null : h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', on: { click: () => this.#pause() } }, 'Pause');
    this.told = h('p', { class: 'soft told' });
    this.#tell();
    this.main.replaceChildren(
      h('div', { class: 'title' },
        h('div', {}, h('h1', {}, about.title), about.description && h('p', { class: 'soft' }, about.description)),
        h('div', { class: 'controls' }, this.told, this.pause ?? '', this.now)),
      broken ? notice('bad', `${format.count(broken, 'panel')} cannot be shown: vdw check tells what is wrong with the file.`) : '',
      this.fields.element,
      h('div', { class: 'grid' }, this.panels.map((panel) => panel.element)));
  }

  #tell() {
    const every = this.every === Infinity ? 'Refreshed only by hand' : `Refreshed every ${format.age(this.every)}`;
    this.told.textContent = this.paused ? 'Paused' : every;
  }

  #pause() {
    this.paused = !this.paused;
    this.pause.setAttribute('aria-pressed', String(this.paused));
    this.#tell();
    this.#tick();
  }

  #tick() {
    const hidden = document.visibilityState === 'hidden';
    const now = Date.now();
    for (const panel of this.panels) panel.tick(now, this.paused || hidden);
    if (!hidden && now - this.looked > LOOKED) this.#look(now);
  }

  /** Whether the file was changed meanwhile: the page shows the new one. */
  async #look(now) {
    this.looked = now;
    try {
      const about = await ask(`${this.about.name}.json`, { signal: this.signal });
      if (about.version !== this.about.version) location.reload();
    } catch {
      // told by the panels
    }
  }

  async #all(loud) {
    await Promise.all(this.panels.map((panel) => panel.refresh()));
    if (loud) announce(`${format.count(this.panels.length, 'panel')} asked again`);
  }

  #chosen() {
    const values = this.fields.values();
    history.pushState(null, '', `${location.pathname}${values.size ? `?${values}` : ''}`);
    this.#anew(values);
  }

  #returned() {
    const values = new URLSearchParams(location.search);
    if (String(values) === String(this.given)) return; // a link within the page asks the sources nothing
    this.fields.read(values);
    this.#anew(values);
  }

  #anew(values) {
    this.given = values;
    this.leaving.abort();
    this.leaving = new AbortController();
    for (const panel of this.panels) panel.reset();
    this.#all(true);
  }

  #choices(name) {
    return ask(`${this.about.name}/parameters/${name}${this.#query()}`, { signal: this.signal });
  }

  #query(names = null) {
    const kept = new URLSearchParams([...this.given].filter(([name]) => names === null || names.includes(name) || !this.#known(name)));
    return kept.size ? `?${kept}` : '';
  }

  #known(name) {
    return this.about.parameters.some((one) => one.name === name);
  }

  /** The titles of the parameters that a panel uses and that have no value. */
  missing(names) {
    return this.about.parameters
      .filter((one) => names.includes(one.name) && one.required && !this.given.get(one.name))
      .map((one) => one.title);
  }

  /** Where a panel is asked. */
  address(panel, more = '') {
    return `${this.about.name}/panels/${panel.name}${more}${this.#query(panel.uses)}`;
  }

  /** The address of a link from a row; null where the row lacks what it takes. */
  leads(link, row) {
    const values = new URLSearchParams();
    for (const [name, from] of Object.entries(link.parameters)) {
      const own = from.startsWith(':');
      const value = own ? this.#value(from.slice(1)) : row?.[from];
      if (value !== null && value !== undefined) values.set(name, String(value));
      else if (!own) return null;
    }
    return `${link.dashboard}${values.size ? `?${values}` : ''}`;
  }

  #value(name) {
    return this.given.get(name) ?? this.about.parameters.find((one) => one.name === name)?.default ?? null;
  }

  /** Go where a link leads. */
  follow(link, row) {
    const address = this.leads(link, row);
    if (address) location.assign(address);
  }
}
