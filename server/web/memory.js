// What the browser remembers for the person, from one visit to the next.

/** What was remembered under a name, or null. */
export function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(`hyaline-${name}`));
  } catch {
    return null; // private mode, or somebody else's text
  }
}

/** Remembers a value of JSON. */
export function remember(name, value) {
  try {
    localStorage.setItem(`hyaline-${name}`, JSON.stringify(value));
  } catch { /* private mode: nothing is remembered */ }
}
