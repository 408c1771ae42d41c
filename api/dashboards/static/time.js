// Chart.js asks for a date library on time axes; this one is the browser's own. All is in UTC: see format.instant.
import { _adapters } from './chartjs.js';

const UNITS = { millisecond: 1, second: 1e3, minute: 6e4, hour: 36e5, day: 864e5, week: 6048e5 };
const SHOWN = {
  millisecond: { minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 },
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  minute: { hour: '2-digit', minute: '2-digit' },
  hour: { month: 'short', day: 'numeric', hour: '2-digit' },
  day: { month: 'short', day: 'numeric' },
  week: { month: 'short', day: 'numeric' },
  month: { month: 'short', year: 'numeric' },
  quarter: { month: 'short', year: 'numeric' },
  year: { year: 'numeric' },
};
const MONTHS = { month: 1, quarter: 3, year: 12 };
const made = new Map();

function formatter(unit) {
  if (!made.has(unit)) made.set(unit, new Intl.DateTimeFormat(undefined, { ...SHOWN[unit], timeZone: 'UTC' }));
  return made.get(unit);
}

function startOf(time, unit, weekday) {
  const date = new Date(time);
  if (unit in MONTHS) {
    const first = date.getUTCMonth() - (date.getUTCMonth() % MONTHS[unit]);
    return Date.UTC(date.getUTCFullYear(), first, 1);
  }
  if (unit === 'week' || unit === 'isoWeek') {
    const monday = (date.getUTCDay() - (unit === 'isoWeek' ? Number(weekday) || 1 : 1) + 7) % 7;
    return startOf(time - monday * UNITS.day, 'day');
  }
  return Math.floor(time / UNITS[unit]) * UNITS[unit];
}

function add(time, amount, unit) {
  if (!(unit in MONTHS)) return time + amount * UNITS[unit];
  const date = new Date(time);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + amount * MONTHS[unit]);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return date.setUTCDate(Math.min(day, last));
}

function diff(max, min, unit) {
  if (!(unit in MONTHS)) return Math.floor((max - min) / UNITS[unit]);
  const [a, b] = [new Date(min), new Date(max)];
  const months = (b.getUTCFullYear() - a.getUTCFullYear()) * 12 + b.getUTCMonth() - a.getUTCMonth();
  return Math.floor(months / MONTHS[unit]);
}

_adapters._date.override({
  formats: () => Object.fromEntries(['datetime', ...Object.keys(SHOWN)].map((unit) => [unit, unit])),
  parse: (value) => (Number.isFinite(value) ? value : null),
  format: (time, unit) => formatter(unit === 'datetime' ? 'minute' : unit).format(time),
  add,
  diff,
  startOf,
  endOf: (time, unit) => add(startOf(time, unit), 1, unit) - 1,
});
