// Where the bytes of a file go that comes: to disk as they come, where the browser lets them, or else into memory.

import { Problem } from './reasons.js';
import { randomId } from './words.js';

/** A person is asked where to save files of this size and more; smaller ones go where the browser puts downloads. */
const ASK_FROM = 32 << 20;
/** So much is gathered in memory before it becomes the browser's (which may put it on disk). */
const PART = 4 << 20;
/** More than this is not kept in memory: a page that takes too much is ended by the browser, and the call with it. */
const MOST_IN_MEMORY = 1 << 30;
/** A type that no browser opens as a page of ours. */
const PLAIN = 'application/octet-stream';

/**
 * A place for a file: `write(bytes)` one after the other, then `finish()`, which resolves to the whole (a Blob), or to null when it is where
 * the person wants it already; or else `discard()`. Has to be called in a click, as it may ask the person. Null when the person wants none;
 * throws a Problem when there is none for so large a file.
 */
export async function placeFor({ name, size }) {
  if (size >= ASK_FROM && globalThis.showSaveFilePicker) {
    try {
      const handle = await globalThis.showSaveFilePicker({ suggestedName: name });
      return new OnDisk(await handle.createWritable());
    } catch (error) {
      if (error.name === 'AbortError') return null;
    }
  }
  try {
    const folder = await ownFolder();
    const id = randomId();
    const handle = await folder.getFileHandle(id, { create: true });
    return new OnDisk(await handle.createWritable(), { handle, remove: () => folder.removeEntry(id) });
  } catch {
    // Private mode, or an older browser.
    if (size <= MOST_IN_MEMORY) return new InMemory();
    throw new Problem('file-memory', `${name} is too large for the memory of this browser, and here it cannot write to disk. `
      + 'Open this room in a window that is not private, or in another browser, and download it there.');
  }
}

class OnDisk {
  #stream;
  #own; // { handle, remove } of a file that only this page sees

  constructor(stream, own = null) {
    this.#stream = stream;
    this.#own = own;
  }

  write(bytes) {
    return this.#stream.write(bytes);
  }

  async finish() {
    await this.#stream.close();
    if (!this.#own) return null;
    const file = await this.#own.handle.getFile();
    return file.slice(0, file.size, PLAIN);
  }

  async discard() {
    await this.#stream.abort().catch(() => {}); // which also fails when it is closed
    await this.#own?.remove().catch(() => {});
  }
}

class InMemory {
  #parts = [];
  #recent = [];
  #length = 0;

  async write(bytes) {
    this.#recent.push(bytes.slice());
    this.#length += bytes.length;
    if (this.#length >= PART) this.#gather();
  }

  async finish() {
    this.#gather();
    return new Blob(this.#parts, { type: PLAIN });
  }

  async discard() {
    this.#parts = this.#recent = [];
  }

  #gather() {
    this.#parts.push(new Blob(this.#recent));
    this.#recent = [];
    this.#length = 0;
  }
}

const PREFIX = 'hyaline-';
let own = null;

/** A folder that only this page uses. */
function ownFolder() {
  own ??= (async () => {
    const root = await navigator.storage.getDirectory();
    const name = `${PREFIX}${randomId()}`;
    // Held for as long as the page lives.
    await new Promise((resolve, reject) => {
      navigator.locks.request(name, () => { resolve(); return new Promise(() => {}); }).catch(reject);
    });
    await sweep();
    return root.getDirectoryHandle(name, { create: true });
  })();
  return own;
}

/** Removes the folders of pages that are gone: nobody finds what is in them. */
export async function sweep() {
  try {
    const root = await navigator.storage.getDirectory();
    const names = [];
    for await (const name of root.keys()) if (name.startsWith(PREFIX)) names.push(name);
    for (const name of names) {
      await navigator.locks.request(name, { ifAvailable: true }, lock => lock && root.removeEntry(name, { recursive: true })).catch(() => {});
    }
  } catch {
    // Private mode, or an older browser: there are none.
  }
}
