// Files that are dropped onto the call, or pasted.

const carriesFiles = transfer => transfer?.types.includes('Files') ?? false;

/**
 * Calls `take(files)` with what is dropped onto an element or pasted, while `ready()`, and shows the veil while something is held above it.
 * `refuse(reason)` is called with a sentence.
 */
export function takeDrops(element, veil, { ready, take, refuse }) {
  let depth = 0; // elements entered and not left: each child has events of its own
  const over = by => {
    depth = Math.max(0, by === 0 ? 0 : depth + by);
    veil.hidden = depth === 0;
  };
  element.addEventListener('dragenter', event => {
    if (!carriesFiles(event.dataTransfer) || !ready()) return;
    event.preventDefault();
    over(1);
  });
  element.addEventListener('dragover', event => {
    if (!carriesFiles(event.dataTransfer) || !ready()) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  element.addEventListener('dragleave', event => { if (carriesFiles(event.dataTransfer)) over(-1); });
  element.addEventListener('drop', event => {
    if (!carriesFiles(event.dataTransfer)) return;
    // Left to itself the browser goes to the file, and away from the call.
    event.preventDefault();
    over(0);
    if (!ready()) return;
    const items = [...event.dataTransfer.items].filter(({ kind }) => kind === 'file');
    const files = items.filter(item => !item.webkitGetAsEntry?.()?.isDirectory).map(item => item.getAsFile()).filter(Boolean);
    if (files.length < items.length) refuse('Folders cannot be shared: pack one into an archive (ZIP) and share that.');
    take(files);
  });
  document.addEventListener('paste', event => {
    const files = [...event.clipboardData?.files ?? []];
    if (files.length === 0 || !ready()) return;
    event.preventDefault();
    take(files);
  });
}
