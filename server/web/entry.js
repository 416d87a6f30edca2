// A file that somebody shares, as an entry of the chat.

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];
/** How long the address of a file that is saved has to be good: the browser takes it up at once, or after a question. */
const ADDRESS_MS = 600_000;

/** A number of bytes, as people read it. */
export function size(bytes) {
  let unit = 0;
  for (; bytes >= 999.5 && unit < UNITS.length - 1; unit++) bytes /= 1_000;
  return `${unit === 0 || bytes >= 99.5 ? Math.round(bytes) : bytes.toFixed(1)} ${UNITS[unit]}`;
}

/** Gives a file that has come to the person, as the browser's download. */
export function save({ blob, name }) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), ADDRESS_MS);
}

/** The entry of one file. */
export class Entry {
  element;
  #file;
  #actions;
  #parts;
  #buttons = '';

  /** `actions`: what the buttons do, by name: `fetch`, `pause`, `cancel`, `withdraw`, each with the file. */
  constructor(template, file, actions) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#file = file;
    this.#actions = { ...actions, save };
    const part = name => this.element.querySelector(name);
    this.#parts = { state: part('.file-state'), progress: part('progress'), buttons: part('.file-buttons') };
    part('.file-name').textContent = file.name;
    part('.file-size').textContent = size(file.size);
    this.#parts.progress.setAttribute('aria-label', `Progress of ${file.name}`);
    this.show();
  }

  /** Shows what has changed. */
  show() {
    const { state, progress, buttons } = this.#parts;
    const file = this.#file;
    this.element.dataset.state = file.state;
    const text = file.own ? ownState(file) : othersState(file);
    if (state.textContent !== text) state.textContent = text;
    state.hidden = !text;
    const moves = file.own ? file.state === 'offered' && file.receiving > 0 : ['waiting', 'coming', 'paused', 'absent'].includes(file.state);
    progress.hidden = !moves;
    progress.value = share(file);
    // Others are made only when they are others: the focus is on one of them.
    const wanted = this.#wanted();
    if (wanted.join() === this.#buttons) return;
    this.#buttons = wanted.join();
    const focused = buttons.contains(document.activeElement);
    buttons.replaceChildren(...wanted.map(([name, action]) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', className: 'quiet-button', textContent: name });
      button.setAttribute('aria-label', `${name}: ${file.name}`);
      button.addEventListener('click', () => this.#actions[action](file));
      return button;
    }));
    if (focused) buttons.querySelector('button')?.focus();
  }

  /** [what a button says, what it does]. */
  #wanted() {
    const { own, state, blob, owner } = this.#file;
    if (own) return state === 'offered' ? [['Stop sharing', 'withdraw']] : [];
    switch (state) {
      case 'offered': return [['Download', 'fetch']];
      case 'waiting':
      case 'coming': return [['Pause', 'pause'], ['Cancel', 'cancel']];
      case 'paused': return [['Resume', 'fetch'], ['Cancel', 'cancel']];
      case 'absent': return [['Cancel', 'cancel']];
      case 'done': return blob ? [['Save', 'save']] : [];
      case 'failed': return owner === null ? [] : [['Download again', 'fetch']];
      default: return [];
    }
  }
}

const share = ({ done, size }) => (size > 0 ? Math.min(1, done / size) : 1);
const percent = file => `${Math.floor(100 * share(file))} %`;
const people = (count, one, many) => (count === 1 ? `1 person ${one}` : `${count} people ${many}`);

function ownState(file) {
  if (file.state === 'failed') return file.problem.message;
  if (file.state !== 'offered') return 'You share it no longer.';
  const parts = [];
  if (file.holders > 0) parts.push(people(file.holders, 'has it', 'have it'));
  if (file.receiving > 0) parts.push(people(file.receiving, 'gets it', 'get it'));
  if (file.receiving > 0 && file.speed > 0) parts.push(`${size(file.speed)}/s`);
  return parts.join(' · ') || 'Everybody here can get it, for as long as you are here.';
}

function othersState(file) {
  switch (file.state) {
    case 'waiting': return 'Begins when another one is done or stands still.';
    case 'coming': return `${percent(file)} · ${file.speed > 0 ? `${size(file.speed)}/s` : `waiting for ${file.ownerName}`}`;
    case 'paused': return `Paused at ${percent(file)}.`;
    case 'absent': return `Waits at ${percent(file)} for ${file.ownerName} to come back.`;
    case 'left': return `${file.ownerName} has left, and the file with them.`;
    case 'gone': return `${file.ownerName} shares it no longer.`;
    case 'done': return 'It is here.';
    case 'failed': return file.problem.message;
    default: return '';
  }
}
