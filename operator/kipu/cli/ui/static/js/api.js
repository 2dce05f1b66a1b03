// What the server is asked. Paths are relative to the page, whose address holds the secret.

const ASK_AGAIN_MS = 2000; // after the stream of changes broke
const TRIES = 3; // browsers give up a request when an interface of the machine comes or goes, as those of containers do
const TRY_AGAIN_MS = 300;

async function get(path, triesLeft = TRIES - 1) {
  try {
    return await fetch(`api/${path}`, { headers: { Accept: "application/json" } });
  } catch {
    if (!triesLeft) throw new Error("kipu does not answer: has it been ended in the terminal?");
    await new Promise((done) => setTimeout(done, TRY_AGAIN_MS));
    return get(path, triesLeft - 1);
  }
}

export async function ask(path) {
  const answer = await get(path);
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  const told = isJson ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw new Error(told.error ?? `status ${answer.status}`);
  return told;
}

export const pathOf = ({ namespace, name }) => `workflows/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;

/** Call `hear` for each message, and `lose` when the server is gone; it is asked again for ever. */
export function listen(hear, lose) {
  const source = new EventSource("api/changes");
  source.onmessage = (event) => hear(JSON.parse(event.data));
  source.onerror = () => {
    lose();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(hear, lose), ASK_AGAIN_MS);
  };
}
