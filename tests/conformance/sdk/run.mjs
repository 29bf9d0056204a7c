// A thread, two turns in it, and the thread's id.
import { codex, given, tell } from "./common.mjs";

const thread = codex().startThread(given.thread);
const before = thread.id;
const first = await thread.run(given.prompt);
const second = await thread.run("And again.");
tell({ before, id: thread.id, first, second });
