// Choose a room: a fresh name is suggested, so that strangers do not meet by chance.

const FIRST = ['amber', 'brisk', 'calm', 'clear', 'cobalt', 'early', 'gentle', 'golden', 'hazel', 'ivory', 'lucid', 'mellow', 'quiet', 'silver', 'still', 'vivid'];
const SECOND = ['bay', 'brook', 'cove', 'delta', 'fjord', 'garden', 'harbour', 'island', 'lagoon', 'lake', 'meadow', 'orchard', 'pond', 'reef', 'river', 'valley'];

const pick = words => words[crypto.getRandomValues(new Uint8Array(1))[0] % words.length];
const digits = () => String(crypto.getRandomValues(new Uint16Array(1))[0] % 1000).padStart(3, '0');

const field = document.querySelector('#room');
field.value = `${pick(FIRST)}-${pick(SECOND)}-${digits()}`;
field.focus();
field.select();

// A space is what people type between two words.
field.addEventListener('input', () => {
  const at = field.selectionStart;
  field.value = field.value.replaceAll(' ', '-');
  field.setSelectionRange(at, at);
});

document.querySelector('#choose').addEventListener('submit', event => {
  event.preventDefault();
  const room = field.value.trim();
  if (room) location.href = `/r/${encodeURIComponent(room)}`;
});
