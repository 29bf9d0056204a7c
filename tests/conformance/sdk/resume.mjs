// A turn in a thread that another process began.
import { codex, given, tell } from "./common.mjs";

const thread = codex().resumeThread(given.id, given.thread);
const turn = await thread.run(given.prompt);
tell({ id: thread.id, turn });
