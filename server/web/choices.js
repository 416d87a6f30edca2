// Which microphone, camera and loudspeaker: in the lobby, and in the settings during a call.

import { recall, remember } from './memory.js';

const KINDS = ['microphone', 'camera', 'speaker'];
const LEVEL_MS = 100;

/** What was chosen before is chosen again. */
export function recallChoices(devices) {
  const chosen = recall('devices') ?? {};
  for (const what of KINDS) if (typeof chosen[what] === 'string') devices.chosen[what] = chosen[what];
}

/**
 * Puts the choice into an element: a list per kind of device, and the microphone's level. `speak(id)` takes the loudspeaker. A
 * list of one is no choice, and is not shown.
 */
export function offerChoices(place, devices, speak) {
  place.append(document.querySelector('#choices').content.cloneNode(true));
  const lists = KINDS.map(what => place.querySelector(`[data-choice=${what}]`));
  for (const list of lists) {
    list.addEventListener('change', async () => {
      const what = list.dataset.choice;
      await devices.choose(what, list.value);
      remember('devices', devices.chosen);
      if (what === 'speaker') speak(list.value);
    });
  }
  let fills = 0;
  const fill = async () => {
    const turn = ++fills;
    const all = await Promise.all(KINDS.map(what => devices.list(what)));
    // What a browser took longer to say is older than what it said since.
    if (turn !== fills) return;
    lists.forEach((list, index) => {
      const what = list.dataset.choice;
      const there = what === 'speaker' && !('setSinkId' in HTMLMediaElement.prototype) ? [] : all[index];
      list.replaceChildren(new Option('The system’s choice', ''), ...there.map(({ id, label }, index) => new Option(label || `${what} ${index + 1}`, id)));
      const used = devices.track(what)?.getSettings().deviceId ?? devices.chosen[what];
      list.value = there.some(({ id }) => id === used) ? used : '';
      list.closest('label').hidden = there.length < 2;
    });
  };
  navigator.mediaDevices?.addEventListener?.('devicechange', fill);
  devices.addEventListener('change', fill);
  fill();
  showLevel(place.querySelector('meter'), devices);
}

function showLevel(meter, devices) {
  let listening = null; // { track, analyser, source, context }
  setInterval(() => {
    const track = meter.checkVisibility?.() === false || !meter.offsetParent ? null : devices.microphone;
    if (listening?.track !== track) {
      listening?.context.close();
      listening = track && listen(track);
    }
    // A context that began without a click waits for one.
    if (listening?.context.state === 'suspended') listening.context.resume().catch(() => {});
    meter.value = listening && devices.on.microphone ? level(listening.analyser) : 0;
  }, LEVEL_MS);
}

function listen(track) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192; // longer than between two looks, so that nothing is missed
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  return { track, analyser, context };
}

/** From 0, silence, to 1: 60 dB in even steps, as loudness is heard. */
function level(analyser) {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 6));
}
