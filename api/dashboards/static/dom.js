// Elements, made without a line of HTML text: whatever comes from data can only become text.

/** An element. `props`: `class`, `on` ({event: handler}), `data`, or an attribute (false and null leave it out). */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') made.className = value;
    else if (name === 'on') for (const [event, handler] of Object.entries(value)) made.addEventListener(event, handler);
    else if (name === 'data') Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? '' : String(value));
  }
  append(made, children);
  return made;
}

/** Replace all that stands in an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

let said = 0;

/** Tell a screen reader something, without moving the focus. */
export function announce(text) {
  const live = document.getElementById('live');
  said += 1;
  // The same text twice would not be read again.
  live.textContent = said % 2 ? text : `${text}\u00a0`;
}

let ids = 0;

/** An id that no other element has. */
export function unique(prefix) {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** A button that opens and closes a region below it. `region(element)` is called when it opens. */
export function disclosure(label, region, describedBy) {
  const id = unique('region');
  const body = h('div', { id, class: 'disclosed', hidden: true });
  const button = h('button', {
    type: 'button',
    class: 'quiet',
    'aria-expanded': 'false',
    'aria-controls': id,
    'aria-describedby': describedBy,
    on: { click: () => toggle(button.getAttribute('aria-expanded') !== 'true') },
  }, label);
  function toggle(open) {
    button.setAttribute('aria-expanded', String(open));
    body.hidden = !open;
    if (open) region(body);
  }
  return { button, body, toggle, get open() { return !body.hidden; } };
}
