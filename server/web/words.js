// What participants say to each other on the line `room`, and what of it is believed: everything comes from somebody who may be hostile.

/** A text that is said has so many characters at most. */
export const LONGEST_TEXT = 4_000;
/** So many files are offered by one person at most. */
export const MOST_FILES = 100;
const LONGEST_NAME = 200;
/** A longer name is not even looked at: cleaning it takes time. */
const LONGEST_RAW_NAME = 1_000;

/** A new id, of 128 random bits. */
export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('');
}

/** The message that a text is, with its known fields alone; null if it is none of ours, or not as it should be. */
export function understood(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  const read = Object.hasOwn(READ, message?.type ?? '') ? READ[message.type](message) : null;
  return read && { type: message.type, ...read };
}

const isId = id => typeof id === 'string' && /^[0-9a-f]{32}$/.test(id);
const isOffset = offset => Number.isSafeInteger(offset) && offset >= 0;
const aboutFile = ({ id }) => (isId(id) ? { id } : null);
const aboutPart = ({ id, offset }) => (isId(id) && isOffset(offset) ? { id, offset } : null);

const READ = {
  state: ({ hand, files, reply }) => (typeof hand === 'boolean' && Array.isArray(files)
    ? { hand, files: files.slice(0, MOST_FILES).map(readFile).filter(Boolean), reply: reply === true }
    : null),
  hand: ({ raised }) => (typeof raised === 'boolean' ? { raised } : null),
  chat: ({ id, text, private: alone }) => (isId(id) && typeof text === 'string' && text.trim() && text.length <= LONGEST_TEXT
    ? { id, text: printable(text), private: alone === true }
    : null),
  file: readFile,
  'file-gone': aboutFile,
  get: message => {
    const part = aboutPart(message);
    return part && { ...part, again: message.again === true };
  },
  got: aboutPart,
  stop: aboutFile,
  lost: aboutFile,
};

function readFile(file) {
  const { id, name, size, mime } = file ?? {};
  if (!isId(id) || typeof name !== 'string' || name.length > LONGEST_RAW_NAME || !isOffset(size)) return null;
  return { id, name: fileName(name), size, mime: typeof mime === 'string' ? mime.slice(0, 100) : '' };
}

/** Without control characters, other than new lines and tabs. */
function printable(text) {
  return text.replace(/\r\n?/g, '\n').replace(/[^\P{Cc}\n\t]/gu, '');
}

/**
 * A name under which a file can be saved anywhere, and which does not seem to end otherwise than it does: without parts of a path, control
 * characters and characters that change the direction of writing.
 */
export function fileName(name) {
  const plain = name
    .slice(0, LONGEST_RAW_NAME)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '')
    .replace(/[\\/:*?"<>|]/g, '_')
    .replace(/^[.\s]+|[.\s]+$/g, '');
  const letters = [...plain];
  if (letters.length === 0) return 'file';
  if (letters.length <= LONGEST_NAME) return plain;
  // What it is, is told by its end.
  const end = plain.match(/\.[^.]{1,15}$/)?.[0] ?? '';
  return letters.slice(0, LONGEST_NAME - end.length).join('') + end;
}
