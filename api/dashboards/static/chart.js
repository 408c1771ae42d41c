// One chart: drawn by Chart.js, read by keyboard place by place, with a legend of real buttons.
import {
  ArcElement, BarController, BarElement, CategoryScale, Chart, DoughnutController, LinearScale, LineController,
  LineElement, PointElement, TimeScale, Tooltip,
} from './chartjs.js';
import { announce, h } from './dom.js';
import { figures, summary } from './figures.js';
import * as format from './format.js';
import './time.js';

Chart.register(ArcElement, BarController, BarElement, CategoryScale, DoughnutController, LinearScale, LineController,
  LineElement, PointElement, TimeScale, Tooltip);

const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [12, 4]];
const POINTS = ['circle', 'triangle', 'rect', 'rectRot', 'star', 'crossRot', 'cross', 'dash'];
const COLOURS = 8;
const LONG = 14; // characters of a label from which bars lie
const FEW = 8; // labels that find room below standing bars
const MANY = 60; // points from which a line has no marks

function theme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    colours: Array.from({ length: COLOURS }, (_, at) => read(`--series-${at + 1}`)),
    others: read('--series-others'), text: read('--text-soft'), grid: read('--line'), card: read('--card'),
    ink: read('--text'), font: style.fontFamily,
  };
}

/** A chart of a panel. `follow(row)` opens where a row leads, or is null. */
export class Figure {
  constructor(panel, follow) {
    this.panel = panel;
    this.follow = follow;
    this.place = -1;
    this.hidden = new Set();
    this.canvas = h('canvas', { 'aria-hidden': 'true' });
    this.frame = h('div', { class: 'canvas' }, this.canvas);
    this.legend = h('ul', { class: 'legend', 'aria-label': 'Series' });
    this.stage = h('div', {
      class: 'stage', tabindex: '0', role: 'group', 'aria-roledescription': 'chart',
      on: { keydown: (event) => this.#key(event), blur: () => this.#activate(-1) },
    }, this.frame);
    this.element = h('div', { class: `figure ${panel.kind}` }, this.stage, this.legend);
    this.watcher = () => this.#draw();
    document.addEventListener('themechange', this.watcher);
  }

  /** Draw an answer's rows. */
  show(answer) {
    this.made = figures(this.panel, answer);
    const keys = this.follow ? 'Arrow keys read it place by place, Enter opens a place.' : 'Arrow keys read it place by place.';
    this.stage.setAttribute('aria-label', `${this.panel.title}. ${summary(this.panel, this.made)} ${keys}`);
    this.#draw();
  }

  /** Free what it holds. */
  close() {
    document.removeEventListener('themechange', this.watcher);
    this.chart?.destroy();
  }

  #draw() {
    if (!this.made) return;
    const look = theme();
    const config = this.panel.kind === 'pie' ? ring(this, look) : axes(this, look);
    this.frame.classList.toggle('clicks', Boolean(this.follow));
    this.chart?.destroy();
    this.frame.style.flexBasis = config.height ? `${config.height}px` : '';
    this.chart = new Chart(this.canvas, config);
    this.#legend(look);
    if (this.place >= 0) this.#activate(Math.min(this.place, this.made.labels.length - 1));
  }

  #legend(look) {
    const pie = this.panel.kind === 'pie';
    const names = pie ? this.made.labels : this.made.series.map((one) => one.name);
    this.legend.hidden = names.length < 2 && !pie;
    const total = pie ? this.made.series[0].values.reduce((sum, value) => sum + value, 0) : 0;
    this.legend.replaceChildren(...names.map((name, at) => {
      const swatch = h('span', { class: 'swatch', 'aria-hidden': 'true' });
      swatch.style.backgroundColor = colour(look, at, name, pie);
      const told = pie ? [h('span', { class: 'value' }, this.made.series[0].texts[at]), h('span', { class: 'share' }, total ? format.percent(this.made.series[0].values[at] / total) : '')] : [];
      const label = h('span', { class: 'name' }, name);
      if (pie) return h('li', {}, swatch, label, told);
      const shown = !this.hidden.has(name);
      const press = () => {
        if (shown) this.hidden.add(name);
        else this.hidden.delete(name);
        this.#draw();
        this.legend.querySelectorAll('button')[at]?.focus();
        announce(`${name} ${shown ? 'hidden' : 'shown'}`);
      };
      return h('li', {}, h('button', { type: 'button', class: 'quiet', 'aria-pressed': String(shown), on: { click: press } }, swatch, label));
    }));
  }

  #key(event) {
    const last = this.made ? this.made.labels.length - 1 : -1;
    const moves = { ArrowRight: this.place + 1, ArrowDown: this.place + 1, ArrowLeft: this.place - 1, ArrowUp: this.place - 1, Home: 0, End: last };
    if (event.key === 'Escape') this.#activate(-1);
    else if (event.key === 'Enter' && this.follow && this.place >= 0) this.#open(this.place);
    else if (event.key in moves && last >= 0) {
      event.preventDefault();
      this.#activate(Math.max(0, Math.min(last, moves[event.key])));
      announce(this.#told(this.place));
    }
  }

  #told(place) {
    const known = this.made.series.filter((one) => !this.hidden.has(one.name));
    return `${this.made.labels[place]}: ${known.map((one) => `${one.name} ${one.texts[place] ?? 'no value'}`).join(', ')}`;
  }

  #activate(place) {
    this.place = place;
    if (!this.chart) return;
    const active = place < 0 ? [] : this.chart.data.datasets.map((_, at) => ({ datasetIndex: at, index: place })).filter((one) => this.chart.isDatasetVisible(one.datasetIndex));
    this.chart.setActiveElements(active);
    this.chart.tooltip?.setActiveElements(active, { x: 0, y: 0 });
    this.chart.update('none');
  }

  #open(place, series = 0) {
    const row = this.made.series[series]?.rows[place] ?? this.made.series.map((one) => one.rows[place]).find(Boolean);
    if (row) this.follow(row);
  }

  clicked(found) {
    if (this.follow && found.length) this.#open(found[0].index, found[0].datasetIndex);
  }
}

function colour(look, at, name, pie) {
  return pie && name.startsWith('Others (') ? look.others : look.colours[at % COLOURS];
}

function common(figure, look) {
  Chart.defaults.font.family = look.font;
  Chart.defaults.font.size = 12;
  Chart.defaults.color = look.text;
  return {
    responsive: true,
    animation: false, // what moves by itself every few seconds is no help
    maintainAspectRatio: false,
    onClick: (_event, found) => figure.clicked(found),
    plugins: { tooltip: tooltip(figure, look) },
  };
}

function tooltip(figure, look) {
  return {
    backgroundColor: look.ink, titleColor: look.card, bodyColor: look.card, cornerRadius: 8, padding: 10, boxPadding: 4,
    callbacks: {
      title: (items) => (items.length ? figure.made.labels[items[0].dataIndex] : ''),
      label: (item) => ` ${figure.panel.kind === 'pie' ? '' : `${item.dataset.label}: `}${figure.made.series[item.datasetIndex].texts[item.dataIndex] ?? ''}`,
    },
  };
}

function ring(figure, look) {
  const { labels, series } = figure.made;
  const data = { labels, datasets: [{ data: series[0].values, backgroundColor: labels.map((name, at) => colour(look, at, name, true)), borderColor: look.card, borderWidth: 2, hoverOffset: 4 }] };
  return { type: 'doughnut', data, options: { ...common(figure, look), cutout: '62%' } };
}

function axes(figure, look) {
  const { panel, made } = figure;
  const line = panel.kind === 'line';
  const lying = !line && made.named && (made.labels.length > FEW || made.labels.some((label) => label.length > LONG));
  const unit = made.series[0]?.unit ?? '';
  const values = {
    beginAtZero: !line, stacked: panel.kind === 'stacked', grid: { color: look.grid }, border: { display: false },
    ticks: { maxTicksLimit: 6, callback: (value) => format.short(value, unit) },
  };
  const places = {
    type: { time: 'time', number: 'linear', names: 'category' }[made.x], stacked: panel.kind === 'stacked',
    grid: { display: false }, border: { color: look.grid }, ticks: { maxRotation: 0, autoSkip: !lying, autoSkipPadding: 14 },
  };
  if (made.x === 'time') places.time = { minUnit: 'minute' };
  const scales = lying ? { y: places, x: values } : { x: places, y: values };
  const options = {
    ...common(figure, look), scales, indexAxis: lying ? 'y' : 'x',
    interaction: { mode: 'index', axis: lying ? 'y' : 'x', intersect: false },
  };
  const datasets = made.series.map((one, at) => dataset(figure, one, at, look));
  return { type: line ? 'line' : 'bar', data: { labels: made.x === 'names' ? made.labels : [], datasets }, options, height: lying ? heightOf(panel, made) : 0 };
}

function heightOf(panel, made) {
  const bars = panel.kind === 'stacked' ? 1 : made.series.length;
  return Math.max(180, made.labels.length * (14 + 14 * bars) + 40);
}

function dataset(figure, one, at, look) {
  const { made, panel } = figure;
  const made_at = look.colours[at % COLOURS];
  const data = made.x === 'names' ? one.values : one.values.map((y, place) => ({ x: made.at[place], y }));
  const own = { label: one.name, data, hidden: figure.hidden.has(one.name), borderColor: made_at, backgroundColor: made_at };
  if (panel.kind !== 'line') return { ...own, borderRadius: 3, maxBarThickness: 44, categoryPercentage: 0.75 };
  return {
    ...own, borderWidth: 2, borderDash: DASHES[at % DASHES.length], pointStyle: POINTS[at % POINTS.length],
    pointRadius: made.labels.length > MANY ? 0 : 3, pointHoverRadius: 6, tension: 0, spanGaps: false,
  };
}
