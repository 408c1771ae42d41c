// Values for people, by the browser's Intl: exact numbers keep every digit, dates are the reader's own.

const WHOLE = new Set(['int2', 'int4', 'int8', 'oid']);
const NUMERIC = new Set([...WHOLE, 'numeric', 'float4', 'float8']);
const PLAIN_NAMES = /(^|_)(id|no|number|token|code|year|zip)$/; // numbers that name something: 7592, not 7,592
const EXACT = new Intl.NumberFormat('en').format('9007199254740993') === '9,007,199,254,740,993';
const DECIMAL = /^-?\d+(\.\d+)?$/;
const formats = new Map();

/** Whether values of a type are numbers. */
export const isNumber = (type) => NUMERIC.has(type);
/** Whether a column's values are amounts, which stand below one another by their digits; not numbers that name. */
export const isAmount = (column) => isNumber(column.type) && !(WHOLE.has(column.type) && PLAIN_NAMES.test(column.name));
/** Whether values of a type are moments or days. */
export const isTime = (type) => type === 'date' || type === 'timestamp' || type === 'timestamptz';

function numbers(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(undefined, options));
  return formats.get(key);
}

function dates(options) {
  const key = `d${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(undefined, options));
  return formats.get(key);
}

/** A number of any size as text in the reader's way, all its digits kept. `unit` as in the files. */
export function number(value, unit = '', grouped = true) {
  if (unit === '%') return number(hundredth(plain(value)), 'percent', grouped);
  const text = plain(value);
  if (!DECIMAL.test(text) || !EXACT) return suffixed(text, unit);
  const digits = text.split('.')[1]?.length ?? 0;
  if (digits > 98) return suffixed(text, unit);
  const options = { useGrouping: grouped, minimumFractionDigits: digits, maximumFractionDigits: digits };
  if (unit === 'percent') {
    const left = Math.max(0, digits - 2);
    Object.assign(options, { style: 'percent', minimumFractionDigits: left, maximumFractionDigits: left });
  } else if (isCurrency(unit)) {
    const cents = numbers({ style: 'currency', currency: unit }).resolvedOptions().minimumFractionDigits;
    Object.assign(options, { style: 'currency', currency: unit });
    options.minimumFractionDigits = options.maximumFractionDigits = Math.max(digits, cents);
  }
  const made = numbers(options).format(text);
  return unit === 'percent' || isCurrency(unit) ? made : suffixed(made, unit);
}

/** PostgreSQL's numeric as it is written; a float without its exponent where that is possible. */
function plain(value) {
  const text = String(value);
  if (DECIMAL.test(text) || typeof value !== 'number' || !Number.isFinite(value)) return text;
  return value.toLocaleString('en', { useGrouping: false, maximumFractionDigits: 20 });
}

/** A decimal with its point moved by two places. */
function hundredth(text) {
  if (!DECIMAL.test(text)) return text;
  const [, sign, whole, rest] = /^(-?)(\d+)\.?(\d*)$/.exec(text);
  const digits = whole.padStart(3, '0');
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}${rest}`;
}

function suffixed(text, unit) {
  return unit && unit !== 'percent' && !isCurrency(unit) ? `${text}\u00a0${unit}` : text;
}

function isCurrency(unit) {
  if (!/^[A-Z]{3}$/.test(unit)) return false;
  try {
    numbers({ style: 'currency', currency: unit });
    return true;
  } catch {
    return false;
  }
}

/** A short form for axes: 12K, 3.4M. */
export function short(value, unit = '') {
  const options = { notation: 'compact', maximumFractionDigits: 1 };
  if (unit === 'percent' || unit === '%') return numbers({ style: 'percent', maximumFractionDigits: 1 }).format(unit === '%' ? value / 100 : value);
  if (isCurrency(unit)) return numbers({ ...options, style: 'currency', currency: unit }).format(value);
  return numbers(options).format(value);
}

/** A share of one as percent, one digit behind the point. */
export const percent = (share) => numbers({ style: 'percent', maximumFractionDigits: 1 }).format(share);

/** Milliseconds since 1970 at which a value stands on a time axis that is labelled in UTC; null for infinity. */
export function instant(text, type) {
  const found = Date.parse(type === 'date' ? `${text}T00:00:00Z` : type === 'timestamp' ? `${text}Z` : text);
  if (Number.isNaN(found)) return null;
  return type === 'timestamptz' ? found - new Date(found).getTimezoneOffset() * 60_000 : found;
}

/** A day, moment or wall-clock time as the reader writes it; what no calendar has (infinity) as it is. */
export function moment(text, type, style = 'medium') {
  const at = instant(text, type);
  if (at === null) return String(text);
  if (type === 'date') return dates({ dateStyle: style, timeZone: 'UTC' }).format(at);
  return dates({ dateStyle: style, timeStyle: 'short', timeZone: 'UTC' }).format(at);
}

/** A month of a year. */
export const month = (at) => dates({ month: 'short', year: 'numeric', timeZone: 'UTC' }).format(at);

/** The time of day of a Date. */
export const clock = (date) => dates({ timeStyle: 'medium' }).format(date);

/** An age for people: now, 12 s, 5 min, 3 h, 2 d. */
export function age(seconds) {
  if (seconds < 1) return 'now';
  for (const [size, unit] of [[86_400, 'day'], [3_600, 'hour'], [60, 'minute']]) {
    if (seconds >= 2 * size || (seconds && seconds % size === 0)) return span(Math.floor(seconds / size), unit);
  }
  return span(Math.floor(seconds), 'second');
}

function span(count, unit) {
  return numbers({ style: 'unit', unit, unitDisplay: 'short' }).format(count);
}

/** Milliseconds. */
export const milliseconds = (ms) => span(ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms), 'millisecond');

/** A count of rows, statements ... */
export const count = (n, one, many = `${one}s`) => `${numbers({}).format(n)} ${n === 1 ? one : many}`;

/** A column's name in words. */
export function words(name) {
  const text = name.replaceAll('_', ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A value of a column (`{name, type}`) as text; '' for NULL. */
export function text(value, column, unit = '') {
  if (value === null || value === undefined) return '';
  if (isNumber(column.type)) return number(value, unit, isAmount(column));
  if (isTime(column.type)) return moment(value, column.type);
  if (column.type === 'bool') return value ? 'yes' : 'no';
  if (column.type === 'interval') return String(value).replace(/(:\d\d)\.\d+$/, '$1');
  if (Array.isArray(value)) return value.map((item) => (item === null ? '–' : String(item))).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Which of two values of a type stands first; NULLs last. Decimals are compared exactly. */
export function compare(a, b, type) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (isNumber(type)) return exactly(String(a), String(b));
  if (type === 'bool') return Number(a) - Number(b);
  if (isTime(type)) return (instant(a, type) ?? (String(a).startsWith('-') ? -Infinity : Infinity))
    - (instant(b, type) ?? (String(b).startsWith('-') ? -Infinity : Infinity)) || 0;
  return String(a).localeCompare(String(b), undefined, { numeric: true, sensitivity: 'base' });
}

function exactly(a, b) {
  const rough = Number(a) - Number(b);
  if (!DECIMAL.test(a) || !DECIMAL.test(b)) return Number.isNaN(rough) ? a.localeCompare(b) : rough;
  const [left, right] = [a, b].map((one) => one.split('.'));
  const digits = Math.max(left[1]?.length ?? 0, right[1]?.length ?? 0);
  const [x, y] = [left, right].map((one) => BigInt(one[0] + (one[1] ?? '').padEnd(digits, '0')));
  return x < y ? -1 : x > y ? 1 : 0;
}
