// From a panel's rows to what a chart draws: axes, series, and the row that stands behind each point.
import * as format from './format.js';

const SLICES = 7;
export const OTHERS = 'Others';

/** Labels, series and rows of a chart.
 *
 * `x`: 'time' | 'number' | 'names'; `named`: the places are words; `labels`: what stands at each place; `series`: [{name, unit, values, texts, rows}],
 * of which each list has an item a place (null where there is none).
 */
export function figures(panel, answer) {
  const column = Object.fromEntries(answer.columns.map((one) => [one.name, one]));
  const x = column[panel.x];
  if (panel.kind === 'pie') return slices(panel, answer.rows, x, column[panel.y[0]]);
  const places = new Map();
  for (const row of answer.rows) {
    const key = JSON.stringify(row[panel.x]);
    if (!places.has(key)) places.set(key, row[panel.x]);
  }
  const keys = [...places.keys()];
  const at = new Map(keys.map((key, index) => [key, index]));
  const made = new Map();
  for (const row of answer.rows) {
    for (const y of panel.y) {
      const name = panel.series ? format.text(row[panel.series], column[panel.series]) || 'none' : title(panel, y);
      if (!made.has(name)) made.set(name, series(name, unit(panel, y), keys.length));
      set(made.get(name), at.get(JSON.stringify(row[panel.x])), row[y], column[y], row);
    }
  }
  const values = [...places.values()];
  return { x: axis(panel, x, values), named: !format.isTime(x.type) && !format.isNumber(x.type), labels: labels(values, x), at: positions(values, x), series: [...made.values()] };
}

export function title(panel, name) {
  return panel.columns[name]?.title || format.words(name);
}

export function unit(panel, name) {
  return panel.columns[name]?.unit || panel.unit;
}

function series(name, unit, length) {
  const empty = () => new Array(length).fill(null);
  return { name, unit, values: empty(), texts: empty(), rows: empty() };
}

function set(one, at, value, column, row) {
  one.rows[at] = row;
  if (value === null) return;
  one.values[at] = Number(value);
  one.texts[at] = format.text(value, column, one.unit);
}

function axis(panel, x, values) {
  if (panel.kind !== 'line') return 'names';
  if (format.isTime(x.type) && values.every((value) => value !== null && format.instant(value, x.type) !== null)) return 'time';
  return format.isNumber(x.type) ? 'number' : 'names';
}

function positions(values, x) {
  return values.map((value) => (format.isTime(x.type) ? format.instant(value, x.type) : Number(value)));
}

function labels(values, x) {
  const months = x.type === 'date' && values.every((value) => value === null || String(value).endsWith('-01'));
  return values.map((value) => {
    if (value === null) return 'none';
    const at = months ? format.instant(value, 'date') : null;
    return at === null ? format.text(value, x) : format.month(at);
  });
}

function slices(panel, rows, x, y) {
  const name = title(panel, y.name);
  const all = rows.map((row) => ({ label: format.text(row[x.name], x) || 'none', value: Number(row[y.name] ?? 0), row, text: format.text(row[y.name], y, unit(panel, y.name)) }));
  const shown = all.length > SLICES ? [...all].sort((a, b) => b.value - a.value).slice(0, SLICES - 1) : all;
  const rest = all.filter((one) => !shown.includes(one));
  if (rest.length) {
    const sum = rest.reduce((total, one) => total + one.value, 0);
    shown.push({ label: `${OTHERS} (${rest.length})`, value: sum, row: null, text: format.short(sum, unit(panel, y.name)) });
  }
  const pick = (key) => shown.map((one) => one[key]);
  const only = { name, unit: unit(panel, y.name), values: pick('value'), texts: pick('text'), rows: pick('row') };
  return { x: 'names', labels: pick('label'), at: [], series: [only] };
}

/** A sentence or two that tell what a chart shows, for those who do not see it. */
export function summary(panel, made) {
  const kinds = { line: 'Line chart', bar: 'Bar chart', stacked: 'Stacked bar chart', pie: 'Ring chart' };
  const first = `${kinds[panel.kind]}, ${format.count(made.labels.length, 'place')}`;
  const range = made.labels.length > 1 && panel.kind !== 'pie' ? `, from ${made.labels[0]} to ${made.labels.at(-1)}` : '';
  const told = made.series.slice(0, 4).map((one) => extremes(one, made.labels)).filter(Boolean);
  const more = made.series.length > 4 ? `, and ${made.series.length - 4} more` : '';
  return `${first}${range}. ${told.join('; ')}${more}.`;
}

function extremes(one, labels) {
  const known = one.values.map((value, at) => ({ value, at })).filter((item) => item.value !== null);
  if (!known.length) return '';
  const least = known.reduce((a, b) => (b.value < a.value ? b : a));
  const most = known.reduce((a, b) => (b.value > a.value ? b : a));
  return `${one.name}: least ${one.texts[least.at]} (${labels[least.at]}), most ${one.texts[most.at]} (${labels[most.at]})`;
}
