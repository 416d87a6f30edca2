/** What happens within this time is said in one sentence: a screen reader reads out each. */
const GATHER_MS = 1_000;
/** More names than this are a number. */
const NAMED = 3;

/** Says in a live region who came and who went, for people who hear the page. */
export class News {
  #known = new Map();
  #timer = 0;

  /** Somebody may have come or gone. */
  tell(region, room) {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      if (room.state !== 'joined') return;
      const [before, now] = [this.#known, new Map(room.participants)];
      this.#known = now;
      const came = [...now.values()].filter(({ id }) => !before.has(id));
      const went = [...before.values()].filter(({ id }) => !now.has(id));
      if (came.length + went.length > 0) region.textContent = sentence(came, 'joined. ') + sentence(went, 'left.');
    }, GATHER_MS);
  }
}

function sentence(people, did) {
  if (people.length === 0) return '';
  return `${people.length > NAMED ? `${people.length} people` : people.map(({ name }) => name).join(', ')} ${did}`;
}
