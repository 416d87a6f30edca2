// The chat: what is said, and the files that are shared.

import { Entry, save, size } from './entry.js';
import { notice, withdraw } from './notices.js';

/** What one person says within this time stands together. */
const TOGETHER_MS = 300_000;
/** So many things are shown; older ones go. */
const SHOWN = 500;
/** So much of what is said is told while the chat is closed. */
const BEGINNING = 120;
/** Who is no further from the end, in pixels, follows what comes. */
const NEAR_END = 40;
/** Where it covers all else. */
const COVERS = matchMedia('(max-width: 760px), (max-height: 480px)');
export const UNAVAILABLE = 'Chat, files and raised hands do not work here: this browser or the server has no data channels.';

const find = selector => document.querySelector(selector);

/** The panel with it. */
export class Chat {
  #room = null;
  #unread = 0;
  #follows = true; // the end is shown, and stays so
  #frame = 0; // in which it will be
  #last = null; // { key, at, element }: whose things stand together at the end
  #entries = new Map(); // by file
  #texts = []; // the oldest first
  #over = new Set(); // files that nobody can get

  constructor() {
    find('#chat-button').addEventListener('click', () => this.toggle());
    find('#close-chat').addEventListener('click', () => this.toggle(false));
    find('#latest').addEventListener('click', () => this.#toEnd());
    const log = find('#log');
    log.addEventListener('scroll', () => {
      if (this.#frame) return; // what was added is below
      this.#follows = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
      if (this.#follows) find('#latest').hidden = true;
    });
    new ResizeObserver(() => { if (this.#follows) this.#toEnd(); }).observe(log);
    find('#chat').addEventListener('keydown', event => {
      if (event.key !== 'Escape' || event.isComposing) return;
      event.preventDefault();
      this.toggle(false);
    });
    const text = find('#text');
    text.addEventListener('keydown', event => {
      // Who writes with an input method chooses a word by it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#say();
    });
    text.addEventListener('input', () => fit(text));
    find('#say').addEventListener('submit', event => {
      event.preventDefault();
      this.#say();
    });
    find('#attach').addEventListener('click', () => find('#attached').click());
    find('#attached').addEventListener('change', ({ target }) => {
      this.share([...target.files]);
      target.value = ''; // the same file can be chosen again
    });
    COVERS.addEventListener('change', () => this.#cover());
  }

  get isOpen() { return !find('#chat').hidden; }

  /** A call begins. */
  begin(room) {
    this.#room = room;
    this.#last = null;
    this.#entries.clear();
    this.#texts = [];
    this.#over.clear();
    for (const element of find('#log').querySelectorAll('.turn')) element.remove();
    find('#nothing').hidden = false;
    find('#latest').hidden = true;
    this.#read();
    room.addEventListener('chat', ({ detail }) => this.#hear(detail));
    room.addEventListener('file', ({ detail }) => this.#file(detail));
    room.addEventListener('progress', ({ detail }) => this.#entries.get(detail)?.show());
    room.addEventListener('talk', () => this.#showTalk());
    this.#showTalk();
  }

  /** Opens it, or closes it. */
  toggle(open = !this.isOpen) {
    if (open && this.#room?.talk === 'unavailable') {
      notice('talk-unavailable', UNAVAILABLE);
      return;
    }
    if (open === this.isOpen) return;
    find('#chat').hidden = !open;
    find('#call').classList.toggle('talking', open);
    find('#chat-button').setAttribute('aria-expanded', String(open));
    this.#cover();
    if (open) {
      this.#read();
      this.#toEnd();
      find('#text').focus();
    } else {
      find('#chat-button').focus();
    }
  }

  /** Offers files to everybody. */
  share(files) {
    if (files.length === 0) return;
    if (this.#room.talk === 'unavailable') {
      notice('talk-unavailable', UNAVAILABLE);
      return;
    }
    try {
      for (const file of files) this.#room.offerFile(file);
    } catch (problem) {
      notice(problem.code, problem.message);
    }
    this.toggle(true);
  }

  #say() {
    const text = find('#text');
    try {
      this.#room.say(text.value);
    } catch (problem) {
      notice(problem.code, problem.message);
      return; // the text stays
    }
    text.value = '';
    fit(text);
  }

  #hear({ from, name, text, private: alone }) {
    const words = document.createElement('p');
    words.className = 'text';
    words.dir = 'auto';
    words.append(...linked(text));
    this.#texts.push(words);
    this.#add(from, `${from ? name : 'You'}${alone ? ` (to ${from ? 'you' : 'one'} alone)` : ''}`, words);
    if (from) this.#tell(`${name}: ${text.length > BEGINNING ? `${text.slice(0, BEGINNING)}…` : text}`);
  }

  #file(file) {
    let entry = this.#entries.get(file);
    if (!entry) {
      if (isOver(file)) return; // its entry was removed
      const room = this.#room;
      entry = new Entry(find('#file'), file, {
        fetch: () => room.fetchFile(file).catch(({ code, message }) => notice(code, message)),
        pause: () => room.pauseFile(file),
        cancel: () => room.cancelFile(file),
        withdraw: () => room.withdrawFile(file),
      });
      this.#entries.set(file, entry);
      const owner = file.own ? null : room.participants.get(file.owner);
      this.#add(owner, file.own ? 'You' : file.ownerName, entry.element);
      if (!file.own) this.#tell(`${file.ownerName} shares ${file.name} (${size(file.size)}).`);
      return;
    }
    const before = entry.element.dataset.state;
    entry.show();
    if (isOver(file)) this.#over.add(file);
    else this.#over.delete(file);
    if (file.state === before) return;
    if (file.state === 'done') {
      if (file.blob) save(file);
      notice('file-done', `${file.name} is here.`);
    } else if (file.state === 'failed') {
      notice(file.problem.code, file.problem.message);
    }
  }

  /** Adds a thing that somebody (null: we ourselves) said or shared. */
  #add(from, name, element) {
    const log = find('#log');
    const now = Date.now();
    const key = `${from?.id ?? ''} ${name}`;
    if (this.#last?.key !== key || now > this.#last.at + TOGETHER_MS) {
      const turn = find('#turn').content.firstElementChild.cloneNode(true);
      turn.classList.toggle('own-turn', !from);
      turn.querySelector('.who').textContent = name;
      const time = turn.querySelector('time');
      time.dateTime = new Date(now).toISOString();
      time.textContent = new Date(now).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
      log.append(turn);
      this.#last = { key, at: now, element: turn };
    }
    this.#last.element.append(element);
    find('#nothing').hidden = true;
    this.#trim();
    if (this.#follows || !from) this.#toEnd();
    else find('#latest').hidden = false;
  }

  /** What is old goes; files that can still be had stay, and those that are here. */
  #trim() {
    const old = this.#texts.splice(0, Math.max(0, this.#texts.length - SHOWN));
    for (const file of [...this.#over].slice(0, Math.max(0, this.#over.size - SHOWN))) {
      old.push(this.#entries.get(file).element);
      this.#entries.delete(file);
      this.#over.delete(file);
    }
    for (const element of old) {
      const turn = element.parentElement;
      element.remove();
      if (!turn.querySelector('.text, .file')) turn.remove();
    }
  }

  #tell(text) {
    if (this.isOpen) return;
    this.#unread++;
    this.#showUnread();
    notice('chat', text, 8_000, { label: 'Open the chat', run: () => this.toggle(true) });
  }

  #read() {
    this.#unread = 0;
    withdraw('chat');
    this.#showUnread();
  }

  #showUnread() {
    const badge = find('#unread');
    badge.textContent = this.#unread > 99 ? '99+' : String(this.#unread);
    badge.hidden = this.#unread === 0;
    find('#chat-button').setAttribute('aria-label', this.#unread > 0 ? `Chat, ${this.#unread} new` : 'Chat');
  }

  #showTalk() {
    const { talk } = this.#room;
    const button = find('#chat-button');
    button.setAttribute('aria-disabled', String(talk === 'unavailable'));
    button.title = talk === 'unavailable' ? UNAVAILABLE : 'Chat and files (C)';
    if (talk === 'unavailable') this.toggle(false);
    find('#unsent').hidden = talk === 'open';
  }

  /** Once before the next picture, however much comes: to ask how high the log is has all of it laid out. */
  #toEnd() {
    this.#follows = true;
    find('#latest').hidden = true;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const log = find('#log');
      log.scrollTop = log.scrollHeight;
    });
  }

  /** What is beneath it is not to be reached. */
  #cover() {
    for (const element of find('#call').children) {
      if (element.id !== 'chat') element.inert = this.isOpen && COVERS.matches;
    }
  }
}

/** Nobody can get it any more, or not for now. */
const isOver = ({ own, state }) => state === 'gone' || state === 'left' || (own && state === 'failed');

/** As high as its text, up to what the style allows. */
function fit(text) {
  text.style.height = 'auto';
  text.style.height = `${text.scrollHeight + 2}px`;
}

/** A text as nodes, its addresses as links. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"']+)/i).flatMap((part, index) => {
    if (index % 2 === 0) return part;
    // What ends the sentence is not of the address.
    const address = part.replace(/[.,;:!?)\]}]+$/, '');
    const url = parsed(address);
    if (!url || !['http:', 'https:'].includes(url.protocol)) return part;
    const link = Object.assign(document.createElement('a'), { href: url.href, target: '_blank', rel: 'noopener noreferrer', textContent: address });
    return [link, part.slice(address.length)];
  });
}

function parsed(address) {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}
