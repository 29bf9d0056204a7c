// Aborts as soon as a command runs.
import { caught, codex, given, tell } from "./common.mjs";

const aborter = new AbortController();
const thread = codex().startThread(given.thread);
const { events } = await thread.runStreamed(given.prompt, { signal: aborter.signal });
const seen = [];
const error = await caught(async () => {
  for await (const event of events) {
    seen.push(event.type);
    if (event.type === "item.started") aborter.abort();
  }
});
tell({ id: thread.id, seen, error });
