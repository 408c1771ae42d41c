// What the page is, by its address: the list of dashboards, or one of them.
import { ask } from './ask.js';
import { Board } from './board.js';
import { h } from './dom.js';
import { list } from './list.js';
import { failed } from './states.js';

const THEMES = ['system', 'light', 'dark'];
const main = document.getElementById('main');
const name = decodeURIComponent(location.pathname.split('/').pop());

function theme() {
  return document.documentElement.dataset.theme ?? 'system';
}

function themed(button) {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem('vdw-theme', next);
  } catch {
    // it lasts as long as the page
  }
  button.textContent = `Theme: ${next}`;
  document.dispatchEvent(new Event('themechange'));
}

function top(about) {
  const button = h('button', { type: 'button', class: 'quiet', on: { click: () => themed(button) } }, `Theme: ${theme()}`);
  const links = (about?.dashboards ?? []).filter((one) => !one.asks.length || one.name === name)
    .map((one) => h('li', {}, h('a', { href: one.name, 'aria-current': one.name === name ? 'page' : null }, one.title)));
  document.getElementById('top').replaceChildren(
    h('a', { class: 'home', href: './', 'aria-current': name ? null : 'page' }, h('img', { src: '-/icon.svg', alt: '', width: 22, height: 22 }), about?.project ?? 'vdw'),
    h('nav', { 'aria-label': 'Dashboards' }, h('ul', {}, links)),
    h('div', { class: 'who' }, about?.user && h('span', { class: 'soft' }, about.user), button));
  document.querySelector('#top nav [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' });
}

async function show() {
  const all = ask('index.json');
  try {
    const [about, one] = await Promise.all([all, name ? ask(`${encodeURIComponent(name)}.json`) : null]);
    top(about);
    if (one) new Board(one, main).open();
    else list(about, main);
  } catch (error) {
    top(await all.catch(() => null));
    document.title = 'Dashboards';
    main.replaceChildren(h('h1', {}, name ? `Dashboard “${name}”` : 'Dashboards'), failed(error, error.kind === 'lost' ? () => location.reload() : null), h('p', {}, h('a', { href: './' }, 'All dashboards')));
  }
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => document.dispatchEvent(new Event('themechange')));
show();
