// What `run` throws.
import { caught, codex, given, tell } from "./common.mjs";

tell(await caught(() => codex(given.codex).startThread(given.thread).run(given.prompt)));
