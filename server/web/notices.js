// Notices: short sentences that go away by themselves; one per code, so that a repeated problem does not pile up.

const notices = new Map();

/** Says something, for so many milliseconds or (0) until it is withdrawn. `action`: a button, { label, run }. */
export function notice(code, text, lasts = 8_000, action = null) {
  let entry = notices.get(code);
  if (!entry) {
    entry = { element: document.createElement('p'), timer: 0 };
    entry.element.className = 'notice';
    entry.element.dataset.code = code;
    document.querySelector('#notices').append(entry.element);
    notices.set(code, entry);
  }
  if (entry.text !== text) {
    entry.element.textContent = entry.text = text;
    if (action) {
      const button = document.createElement('button');
      button.textContent = action.label;
      button.className = 'quiet-button';
      button.addEventListener('click', action.run);
      entry.element.append(' ', button);
    }
  }
  clearTimeout(entry.timer);
  if (lasts) entry.timer = setTimeout(() => withdraw(code), lasts);
}

/** Says it no longer. */
export function withdraw(code) {
  const entry = notices.get(code);
  if (!entry) return;
  clearTimeout(entry.timer);
  entry.element.remove();
  notices.delete(code);
}

/** Says nothing any more. */
export function withdrawAll() {
  for (const code of [...notices.keys()]) withdraw(code);
}
