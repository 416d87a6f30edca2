// Files that are dropped onto the call, or pasted.

/** What is held above an element says so several times in this time. */
const HELD_MS = 1_000;

const carriesFiles = transfer => transfer?.types.includes('Files') ?? false;

/**
 * Calls `take(files)` with what is dropped onto an element or pasted, while `ready()`, and shows the veil while something is held above it.
 * `refuse(reason)` is called with a sentence.
 */
export function takeDrops(element, veil, { ready, take, refuse }) {
  let timer = 0;
  const show = held => {
    clearTimeout(timer);
    // Its end is not always told: what it was above last may be gone.
    if (held) timer = setTimeout(() => show(false), HELD_MS);
    veil.hidden = !held;
  };
  for (const type of ['dragenter', 'dragover']) {
    element.addEventListener(type, event => {
      if (!carriesFiles(event.dataTransfer) || !ready()) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'copy';
      show(true);
    });
  }
  element.addEventListener('dragleave', event => { if (!element.contains(event.relatedTarget)) show(false); });
  element.addEventListener('drop', event => {
    if (!carriesFiles(event.dataTransfer)) return;
    // Left to itself the browser goes to the file, and away from the call.
    event.preventDefault();
    show(false);
    if (!ready()) return;
    const items = [...event.dataTransfer.items].filter(({ kind }) => kind === 'file');
    const files = items.filter(item => !item.webkitGetAsEntry?.()?.isDirectory).map(item => item.getAsFile()).filter(Boolean);
    if (files.length < items.length) refuse('Folders cannot be shared: pack one into an archive (ZIP) and share that.');
    take(files);
  });
  // Nor does it anywhere else.
  for (const type of ['dragover', 'drop']) {
    document.addEventListener(type, event => {
      if (event.defaultPrevented || !carriesFiles(event.dataTransfer)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'none';
    });
  }
  document.addEventListener('paste', event => {
    // Who copies words in an office program has their picture with them.
    if (event.target.closest?.('input, textarea') && event.clipboardData?.types.includes('text/plain')) return;
    const files = [...event.clipboardData?.files ?? []];
    if (files.length === 0 || !ready()) return;
    event.preventDefault();
    take(files);
  });
}
