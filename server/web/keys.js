// Keyboard shortcuts: single keys, which can be switched off (WCAG 2.1.4), as speech input types them.

import { recall, remember } from './memory.js';

/** `shortcuts`: [{ key, name, run }], in the order of the list that `?` shows; `run` may do nothing when it does not fit. */
export function listenToKeys(shortcuts) {
  const find = selector => document.querySelector(selector);
  const dialog = find('#keys');
  const all = [...shortcuts, { key: '?', name: 'Show this list', run: () => dialog.showModal() }];
  find('#keys dl').replaceChildren(...all.map(({ key, name }) => {
    const [row, term, description] = ['div', 'dt', 'dd'].map(tag => document.createElement(tag));
    term.append(Object.assign(document.createElement('kbd'), { textContent: key.toUpperCase() }));
    description.textContent = name;
    row.append(term, description);
    return row;
  }));
  const enabled = find('#keys-enabled');
  enabled.checked = recall('keys') !== false;
  enabled.addEventListener('change', () => remember('keys', enabled.checked));
  find('#show-keys').addEventListener('click', () => dialog.showModal());

  document.addEventListener('keydown', event => {
    if (!enabled.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.matches('input, textarea, select') || find('dialog[open]')) return;
    const shortcut = all.find(({ key }) => key === event.key.toLowerCase());
    if (!shortcut) return;
    // It is not typed into what it moves the focus to.
    event.preventDefault();
    shortcut.run();
  });
}
