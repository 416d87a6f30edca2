// The panel with the figures of a call, for who wants to see through it.

import { bitrate, milliseconds } from './figures.js';

/**
 * What three shapes of a call with so many others cost this client, in bits per second. `one` is what one copy of our own sound
 * and picture takes; the others are taken to send as much.
 *
 * In a mesh everybody sends to everybody; a mixer (MCU) takes one picture of each and returns one of all.
 */
export function shapes(others, one, up, down) {
  return { here: { up, down }, mesh: { up: others * one, down: others * one }, mixer: { up: one, down: one } };
}

/** What one copy takes: the largest layer of the picture, and everything else that is sent. */
export function oneCopy(own) {
  const layers = own.filter(({ rid }) => rid).map(({ bitrate }) => bitrate);
  const single = own.filter(({ rid }) => !rid).reduce((sum, { bitrate }) => sum + bitrate, 0);
  return single + Math.max(0, ...layers);
}

/** Writes the figures into the panel. `people`: [{ name, picture, sound, layer }], of which the middle ones are tracks' figures. */
export function showFigures(panel, meter, people) {
  const received = people.map(({ name, picture, sound, layer }) => [
    name,
    size(picture),
    frames(picture),
    bitrate((picture?.bitrate ?? 0) + (sound?.bitrate ?? 0)),
    percent(Math.max(picture?.loss ?? 0, sound?.loss ?? 0)),
    layer ?? '–',
  ]);
  // A layer that is not encoded is nothing that is sent.
  const sent = meter.own.filter(each => each.bitrate > 0).map(each => [
    each.kind === 'audio' ? 'Sound' : each.rid ? `Picture, layer ${each.rid}` : 'Picture', size(each), frames(each), bitrate(each.bitrate),
  ]);
  const { here, mesh, mixer } = shapes(people.filter(({ screen }) => !screen).length, oneCopy(meter.own), meter.up, meter.down);
  fill(panel.querySelector('[data-table=received]'), received);
  fill(panel.querySelector('[data-table=sent]'), sent);
  fill(panel.querySelector('[data-table=shapes]'), [
    ['This room (the server forwards)', bitrate(here.up), bitrate(here.down)],
    ['Mesh (each sends to each)', bitrate(mesh.up), bitrate(mesh.down)],
    ['Mixer (one picture of all)', bitrate(mixer.up), bitrate(mixer.down)],
  ]);
  panel.querySelector('[data-round-trip]').textContent = meter.roundTrip === undefined ? '–' : milliseconds(meter.roundTrip);
}

const size = each => (each?.width ? `${each.width} × ${each.height}` : '–');
const frames = each => (each?.width ? String(Math.round(each.framesPerSecond)) : '–');
const percent = share => `${(100 * share).toFixed(1)} %`;

function fill(body, rows) {
  body.replaceChildren();
  for (const [name, ...values] of rows) {
    const row = body.insertRow();
    row.append(Object.assign(document.createElement('th'), { scope: 'row', textContent: name }));
    for (const value of values) row.insertCell().textContent = value;
  }
}
