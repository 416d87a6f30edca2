// How tiles share a rectangle: pure arithmetic, in CSS pixels.

const GAP = 12;
/** A tile is never narrower or wider than this (width by height); its video, which mostly is as wide as the widest, is cut. */
const NARROWEST = 1 / 2;
const WIDEST = 16 / 9;
/** Which part of the window the strip beside a large tile takes: the first that leaves its tiles legible, or else the last. */
const STRIPS = [0.16, 0.2, 0.25, 0.3, 0.36];
const LEGIBLE = { width: 112, height: 63 };

/** Tiles of one size in rows, the last of which is centred: as many boxes ({ x, y, width, height }) as `count`. */
export function grid(count, width, height) {
  const gap = gapFor(width, height);
  let best = { worth: -1 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    let w = (width - gap * (columns - 1)) / columns;
    let h = (height - gap * (rows - 1)) / rows;
    w = Math.min(w, h * WIDEST);
    h = Math.min(h, w / NARROWEST);
    if (w <= 0 || h <= 0) continue;
    // A tile that cuts much of its picture is worth less than its size, but not by all that it cuts: mostly that is wall.
    const worth = w * h * (w / h / WIDEST) ** 0.25;
    if (worth > best.worth) best = { worth, w: Math.floor(w), h: Math.floor(h), columns, rows };
  }
  const { w, h, columns, rows } = best;
  if (!w) return [];
  const top = Math.floor((height - rows * h - (rows - 1) * gap) / 2);
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const left = Math.floor((width - inRow * w - (inRow - 1) * gap) / 2);
    return { x: left + (index - row * columns) * (w + gap), y: top + row * (h + gap), width: w, height: h };
  });
}

/**
 * One large tile and the others in a strip, on the right of a wide window and below in a tall one. The first box is the large
 * tile's. `whole`: it is shown without cutting, so it may have any shape.
 */
export function spotlight(count, width, height, whole = false) {
  if (count <= 1) return whole && count === 1 ? [{ x: 0, y: 0, width, height }] : grid(count, width, height);
  const gap = gapFor(width, height);
  const wide = width >= height;
  const shapes = STRIPS.map(share => {
    const strip = Math.floor((wide ? width : height) * share);
    return { strip, boxes: wide ? grid(count - 1, strip, height) : grid(count - 1, width, strip) };
  });
  const legible = ({ boxes: [box] }) => box && box.width >= LEGIBLE.width && box.height >= LEGIBLE.height;
  const { strip, boxes } = shapes.find(legible) ?? shapes.at(-1);
  const room = { width: wide ? width - strip - gap : width, height: wide ? height : height - strip - gap };
  const [large] = whole ? [{ x: 0, y: 0, ...room }] : grid(1, room.width, room.height);
  const others = boxes.map(box => ({ ...box, x: box.x + (wide ? room.width + gap : 0), y: box.y + (wide ? 0 : room.height + gap) }));
  return [large, ...others];
}

/** Small windows cannot spare much between their tiles. */
const gapFor = (width, height) => (Math.min(width, height) < 500 ? GAP / 2 : GAP);
