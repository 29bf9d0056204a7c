// Every event of a turn, in order, and what the stream ended with.
import { caught, codex, given, tell } from "./common.mjs";

const { events } = await codex().startThread(given.thread).runStreamed(given.prompt);
const seen = [];
const error = await caught(async () => {
  for await (const event of events) seen.push(event);
});
tell({ seen, error });
