// One turn, with whatever options the test gives.
import { codex, given, tell } from "./common.mjs";

const thread = codex(given.codex).startThread(given.thread);
tell(await thread.run(given.prompt, given.turn));
