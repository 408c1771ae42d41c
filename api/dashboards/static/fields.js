// The fields of a dashboard's parameters.
import { h, unique } from './dom.js';

const TYPES = { int4: 'text', int8: 'text', numeric: 'text', date: 'date', text: 'text', timestamptz: 'text' };
const MODES = { int4: 'numeric', int8: 'numeric', numeric: 'decimal' };

export class Fields {
  /** `chosen`: called when the reader wants other values. */
  constructor(about, chosen) {
    this.parameters = about.parameters;
    this.inputs = new Map();
    const send = (event) => {
      event.preventDefault();
      chosen();
    };
    this.element = h('form', { class: 'fields', 'aria-label': 'Parameters', hidden: !this.parameters.length, on: { submit: send } },
      this.parameters.map((one) => this.#field(one, chosen)),
      h('button', { type: 'submit', class: 'primary' }, 'Show'));
  }

  #field(one, chosen) {
    const id = unique('field');
    const help = one.description ? unique('help') : null;
    const shared = { id, name: one.name, 'aria-describedby': help, required: one.required, autocomplete: 'off' };
    const input = one.choices.length || one.asked || one.type === 'bool'
      ? h('select', { ...shared, on: { change: () => input.value || !one.required ? chosen() : null } }, this.#options(one, one.type === 'bool' ? ['true', 'false'] : one.choices))
      : h('input', { ...shared, type: TYPES[one.type] ?? 'text', inputmode: MODES[one.type], placeholder: one.default ?? (one.required ? '' : 'any') });
    this.inputs.set(one.name, input);
    return h('div', { class: 'field' }, h('label', { for: id }, one.title, one.required && h('span', { class: 'soft' }, ' (required)')), input,
      help && h('p', { id: help, class: 'soft' }, one.description));
  }

  #options(one, choices) {
    const first = one.required ? 'Choose …' : one.default === null ? 'Any' : null;
    const made = choices.map((value) => h('option', { value }, value));
    return first === null ? made : [h('option', { value: '' }, first), ...made];
  }

  /** Fill the choices that the server has to ask for. `load(name)` gives a panel's answer. */
  load(load) {
    for (const one of this.parameters.filter((parameter) => parameter.asked)) this.#load(one, load);
  }

  async #load(one, load) {
    const input = this.inputs.get(one.name);
    try {
      const answer = await load(one.name);
      const [value, label] = answer.columns.map((column) => column.name);
      const options = answer.rows.filter((row) => row[value] !== null).map((row) => h('option', { value: String(row[value]) }, String(row[label ?? value])));
      const chosen = input.value || input.dataset.wanted || '';
      input.replaceChildren(...this.#options(one, []), ...options);
      this.#set(one, chosen);
    } catch (error) {
      if (error.name !== 'AbortError') input.closest('.field').append(h('p', { class: 'soft', role: 'note' }, `The choices cannot be read: ${error.message}`));
    }
  }

  /** Show the values of an address. */
  read(given) {
    for (const one of this.parameters) this.#set(one, given.get(one.name) ?? (this.inputs.get(one.name) instanceof HTMLSelectElement ? one.default ?? '' : ''));
  }

  #set(one, value) {
    const input = this.inputs.get(one.name);
    input.dataset.wanted = value;
    if (input instanceof HTMLSelectElement && value && ![...input.options].some((option) => option.value === value)) input.append(h('option', { value }, value));
    input.value = value;
  }

  /** What the reader chose, without what is empty. */
  values() {
    const found = new URLSearchParams();
    for (const [name, input] of this.inputs) if (input.value.trim()) found.set(name, input.value.trim());
    return found;
  }
}
